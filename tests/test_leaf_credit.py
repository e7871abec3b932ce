"""What a leaf may ask its parent at a time."""

from hypothesis import given
from hypothesis import strategies as st

from common.core import Effect, Notify, Received, Send, Woke
from common.messages.cluster import (
    Coverage,
    Credit,
    Forget,
    Locate,
    Search,
    SearchDone,
    Sources,
    Welcome,
)
from common.messages.fields import Message
from common.terms import Terms
from leaf.parent.credit import WAITING_MAX, Asking

PARENT, OTHER = b"p" * 32, b"o" * 32
NOTHING = Coverage(1, 1, 0, 0.0, complete=True)


def search(number: int) -> Send:
    return Send(PARENT, Search(number.to_bytes(16, "big"), Terms(("x",)), 1, 1))


def done(number: int) -> Received:
    return Received(PARENT, SearchDone(number.to_bytes(16, "big"), NOTHING))


def welcomed(credit: int) -> Asking:
    asking = Asking()
    hear(asking, Welcome(0, 5.0, 10, (), credit))
    return asking


def hear(asking: Asking, message: Message, peer: bytes = PARENT) -> list[Effect]:
    return asking.passed(Received(peer, message), [])


def test_what_is_beyond_credit_waits_in_order() -> None:
    """It goes out as answers come, and the user's log hears once that something waits."""
    asking = welcomed(2)
    assert asking.passed(Woke(), [search(0), search(1)]) == [search(0), search(1)]
    (note,) = asking.passed(Woke(), [search(2), search(3)])
    assert note == Notify("searches_wait", {"open": 2, "credit": 2})
    assert asking.passed(done(1), []) == [search(2)]
    assert hear(asking, Credit(5)) == [search(3)]


def test_locates_count_too_and_end_with_the_last_sources() -> None:
    """One that is not done yet stays open."""
    asking = welcomed(1)
    locate = Send(PARENT, Locate(b"l" * 16, bytes(32), 1, 1))
    assert asking.passed(Woke(), [locate]) == [locate]
    asking.passed(Woke(), [search(1)])
    assert hear(asking, Sources(b"l" * 16, ())) == []
    assert hear(asking, Sources(b"l" * 16, (), done=True), OTHER) == []
    assert hear(asking, Sources(b"l" * 16, (), done=True)) == [search(1)]


def test_what_is_forgotten_frees_its_place() -> None:
    """The parent hears of it only where it has heard of the question."""
    asking = welcomed(1)
    asking.passed(Woke(), [search(0)])
    asking.passed(Woke(), [search(1)])
    asking.passed(Woke(), [search(2)])
    forget = [Send(PARENT, Forget(number.to_bytes(16, "big"))) for number in range(3)]
    assert asking.passed(Woke(), [forget[1]]) == []
    assert asking.passed(Woke(), [forget[0]]) == [forget[0], search(2)]


def test_a_new_parent_begins_anew() -> None:
    """What the old one owed is not held against the new one's credit."""
    asking = welcomed(1)
    asking.passed(Woke(), [search(0)])
    again = Send(OTHER, search(0).message)
    assert asking.passed(Received(OTHER, Welcome(0, 5.0, 10)), [again]) == [again]


def test_waiting_is_bounded() -> None:
    """What is beyond is dropped and counted: its search ends with its time."""
    asking = welcomed(1)
    for number in range(WAITING_MAX + 2):
        asking.passed(Woke(), [search(number)])
    assert asking.dropped == {"questions beyond credit": 1}


def test_everything_else_passes() -> None:
    """Other effects keep their place."""
    asking = welcomed(1)
    others: list[Effect] = [Notify("x"), Send(OTHER, Credit(1))]
    assert asking.passed(Woke(), others) == others


@given(st.integers(1, 5), st.lists(st.one_of(st.none(), st.integers(0, 3))))
def test_never_more_open_than_credit(credit: int, steps: list[int | None]) -> None:
    """Whatever is asked and answered in whatever order, all that was asked goes out, once."""
    asking = welcomed(credit)
    sent: list[int] = []
    asked = answered = 0
    for step in steps:
        if step is None:
            out = asking.passed(Woke(), [search(asked)])
            asked += 1
        elif answered < len(sent):
            out = asking.passed(done(sent[answered]), [])
            answered += 1
        else:
            continue
        sent += [number_of(each) for each in out if isinstance(each, Send)]
        assert len(sent) - answered <= credit
    while answered < len(sent):
        out = asking.passed(done(sent[answered]), [])
        answered += 1
        sent += [number_of(each) for each in out if isinstance(each, Send)]
    assert sent == list(range(asked))


def number_of(send: Send) -> int:
    assert isinstance(send.message, Search)
    return int.from_bytes(send.message.guid, "big")
