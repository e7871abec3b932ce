"""Whose data has left: that of a transfer test, or a file's."""

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.core import LinkDown, LinkUp, Received, Send, Sent
from common.doors import Door
from common.messages.fields import Contact
from common.messages.hierarchy import Errand, Trial, TrialData
from common.messages.swarm import Piece
from leaf.handed import Handed
from leaf.ranks.trials import BLOCK
from leaf.role import Leaf
from leaf.tables import EVENTS, TEST_SENT
from leaf.uploads.ledger import Ledger
from leaf.uploads.upload import Uploads
from tests.leaf_scene import MIB, begun, content, network

PEER, OTHER = b"p" * 32, b"o" * 32
AT = Address.of("10.0.0.1", 1215)


def send(length: int, *, is_test: bool) -> Send:
    """Data of one kind."""
    return Send(PEER, TrialData(5) if is_test else Piece(b"r" * 32, 0), bytes(length))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 99)), max_size=20), st.data())
def test_what_has_left_is_told_to_those_that_gave_it(
    lots: list[tuple[bool, int]], data: st.DataObject
) -> None:
    """However the shell cuts it: byte for byte, in order."""
    handed, order = Handed(), list[bool]()
    for is_test, length in lots:
        handed.over(send(length, is_test=is_test))
        order += [is_test] * length
    told: list[bool] = []
    while len(told) < len(order):
        length = data.draw(st.integers(1, len(order) - len(told)))
        for event, takers in handed.parts(Sent(PEER, length)):
            assert isinstance(event, Sent)
            assert takers in (TEST_SENT, EVENTS[Sent])
            told += [takers == TEST_SENT] * event.length
    assert told == order


def test_what_nobody_knows_of_is_no_test() -> None:
    """Of another peer, of a link before, or more than was handed over."""
    handed = Handed()
    handed.over(send(10, is_test=True))
    assert handed.parts(LinkDown(PEER, Door.CONTROL, "lost")) == []
    assert handed.parts(Sent(OTHER, 4)) == [(Sent(OTHER, 4), EVENTS[Sent])]
    assert handed.parts(Sent(PEER, 12)) == [
        (Sent(PEER, 10), TEST_SENT),
        (Sent(PEER, 2), EVENTS[Sent]),
    ]
    for event in (LinkDown(PEER, Door.BULK, "lost"), LinkUp(PEER, Door.BULK, AT, AT, True)):
        handed.over(send(10, is_test=True))
        assert handed.parts(event) == []
        assert handed.parts(Sent(PEER, 10)) == [(Sent(PEER, 10), EVENTS[Sent])]


def charged(*, tests: bool) -> int:
    """What the giver of a file enters as had by who fetches it, and maybe tests it meanwhile."""
    world = network(content(4 * MIB), sources=1)
    begun(world)
    if tests:
        guid, me = b"g" * 16, Contact(world.node("source0"), world.address("source0"))
        world.feed("source0", Received(world.node("s"), Errand(guid, me, 5)))
        world.feed("source0", Received(world.node("asker"), Trial(20 * BLOCK, guid)))
    world.advance(10.0)
    assert any(type(said) is TrialData for *_, said in world.sent) == tests
    leaf = world.nodes["source0"]
    assert isinstance(leaf, Leaf)
    trials, uploads = leaf._ranks.trials, leaf._machines["uploads"]
    assert trials._window.bytes_on_way == 0
    assert isinstance(uploads, Uploads)
    assert uploads._outlet.bytes_on_their_way == 0
    ledger = leaf._machines["ledger"]
    assert isinstance(ledger, Ledger)
    return ledger.account(world.node("asker")).had


def test_who_tests_us_and_fetches_of_us_too_is_charged_for_the_file_alone() -> None:
    """And nothing of either stays on its way for good."""
    assert charged(tests=True) == charged(tests=False) >= 4 * MIB
