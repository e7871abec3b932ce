"""The way in for questions: credit, pace, turns, and work within bounds."""

from typing import Any

from common.core import Effect, Hangup, Notify, Send
from common.doors import Door
from common.ids import NodeId
from common.messages.cluster import Forget, Search
from common.terms import Terms
from superpeer.search.credit import CHANGE_S, CREDIT_MIN, HEARD_S, OPEN_TOTAL, SLACK, Credit
from superpeer.search.questions import AT_ONCE_MAX, WORK_PER_TURN, Desk, Questions
from superpeer.search.turns import IN_A_ROW

A, B = b"a" * 32, b"b" * 32


def search(number: int) -> Search:
    return Search(number.to_bytes(16, "big"), Terms(("x",)), 1, 1)


class Bench:
    """Questions before a desk that notes what it answers."""

    def __init__(self, limit: int = 1_000) -> None:
        self.answered: list[tuple[NodeId, int]] = []
        self.late: list[int] = []
        self.open = 0
        self.pause = 0.0
        desk = Desk(
            waits_s=10.0,
            limit=lambda _now: limit,
            open=lambda _peer: self.open,
            pause_s=lambda _peer, _now: self.pause,
            answer=self.answer,
            give_up=self.give_up,
        )
        self.questions = Questions({Search: desk}, late_s=1.0)

    def answer(self, peer: NodeId, asked: Any, _now: float) -> list[Effect]:
        self.answered.append((peer, int.from_bytes(asked.guid, "big")))
        return [Notify("answered")]

    def give_up(self, _peer: NodeId, asked: Any, _now: float) -> list[Effect]:
        self.late.append(int.from_bytes(asked.guid, "big"))
        return [Notify("too late")]

    def ask(self, peer: NodeId, number: int, now: float = 0.0) -> list[Effect]:
        return self.questions.on_question(peer, search(number), now)


def test_a_question_is_answered_at_once_while_there_is_little_to_do() -> None:
    """Nothing waits, nothing wakes."""
    bench = Bench()
    assert bench.ask(A, 1) == [Notify("answered")]
    assert (len(bench.questions), bench.questions.wakeup()) == (0, None)


def test_one_turn_has_bounded_work() -> None:
    """What is beyond it waits, wakes the loop at once, and comes in the order of turns: the few of
    one asker are not kept by the many of another."""
    bench = Bench()
    for number in range(WORK_PER_TURN):
        bench.ask(A, number)
    bench.ask(B, 0)
    assert len(bench.answered) == AT_ONCE_MAX
    assert bench.questions.wakeup() == 0.0
    bench.questions.due(0.001)
    assert (
        len(bench.answered) == AT_ONCE_MAX + WORK_PER_TURN // 2
    )  # a question and one message each
    assert bench.answered.index((B, 0)) == AT_ONCE_MAX + IN_A_ROW
    bench.questions.due(0.002)
    assert (len(bench.answered), bench.questions.wakeup()) == (WORK_PER_TURN + 1, None)


def test_who_goes_beyond_its_credit_is_hung_up() -> None:
    """Open and waiting ones count together."""
    bench = Bench(limit=5)
    bench.pause, bench.open = 1.0, 2
    for number in range(3):
        assert bench.ask(A, number) == []
    hangup = Hangup(A, Door.CONTROL, "it asks for more than its credit allows")
    assert bench.ask(A, 3) == [hangup]
    assert bench.questions.dropped["credit_ignored"] == 1
    assert bench.ask(B, 0) == []
    bench.questions.peer_lost(A)
    assert len(bench.questions) == 1


def test_who_must_pause_waits() -> None:
    """It is answered when its pause is over, and others meanwhile."""
    bench = Bench()
    bench.pause = 0.4
    bench.ask(A, 1)
    bench.questions.due(0.0)
    assert (bench.answered, bench.questions.wakeup()) == ([], 0.4)
    bench.pause = 0.0
    bench.ask(B, 2, 0.1)
    bench.questions.due(0.4)
    assert bench.answered == [(B, 2), (A, 1)]


def test_a_pause_is_never_too_short_to_end() -> None:
    """At a late hour a tiny pause would end at the very moment it began, for ever."""
    bench = Bench()
    bench.pause = 1e-15
    bench.ask(A, 1, 1e6)
    bench.questions.due(1e6)
    woken_at = bench.questions.wakeup()
    assert woken_at is not None
    assert woken_at > 1e6


def test_what_waited_too_long_is_told_so() -> None:
    """Nobody waits any more for its answer; it gets a word."""
    bench = Bench()
    bench.pause = 20.0
    bench.ask(A, 1)
    bench.questions.due(0.0)
    bench.questions.due(20.0)
    assert (bench.late, bench.answered) == ([1], [])
    assert bench.questions.dropped["question_too_late"] == 1


def test_what_is_forgotten_is_not_answered() -> None:
    """Neither begun nor told."""
    bench = Bench()
    bench.pause = 0.4
    bench.ask(A, 1)
    assert bench.questions.take_back(A, Forget(search(1).guid).guid)
    assert not bench.questions.take_back(A, search(1).guid)
    bench.pause = 0.0
    assert bench.questions.due(1.0) == []


def leaves(count: int) -> dict[NodeId, None]:
    return {number.to_bytes(32, "big"): None for number in range(count)}


def test_credit_follows_the_number_of_leaves() -> None:
    """The more there are the less each has, in powers of two; all are told of each change."""
    credit = Credit(64)
    assert credit.look(leaves(OPEN_TOTAL // 64), 0.0) == []
    told = credit.look(leaves(200), 1.0)
    assert [type(effect) for effect in told] == [Send] * 200
    assert credit.value == 32
    credit.look(leaves(100_000), 2.0)
    assert credit.value == CREDIT_MIN


def test_a_smaller_credit_counts_when_it_was_heard() -> None:
    """Until then the largest of before is held against a leaf; a larger one comes after a pause."""
    credit = Credit(64)
    credit.look(leaves(100), 0.0)
    credit.look(leaves(10_000), 1.0)
    assert credit.limit(1.0 + HEARD_S - 0.1) == 64 + SLACK
    assert credit.limit(1.0 + HEARD_S) == CREDIT_MIN + SLACK
    assert credit.look(leaves(10), 1.0 + CHANGE_S - 0.1) == []
    assert len(credit.look(leaves(10), 1.0 + CHANGE_S)) == 10
    assert credit.limit(20.0) == 64 + SLACK
