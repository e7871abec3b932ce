"""Whose turn it is: fair between askers, newest first when late, and bounded pauses."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from superpeer.search.turns import IN_A_ROW, Turns, Waiting

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def waiting(asker: bytes, question: int, since: float = 0.0) -> Waiting[int]:
    return Waiting(asker, question, since, since + 10.0)


def served(turns: Turns[int], now: float) -> list[tuple[bytes, int]]:
    """All that have a turn, in order."""
    order = []
    while (one := turns.next(now)) is not None:
        order.append((one.asker, one.question))
    return order


def test_who_asks_much_waits_for_itself() -> None:
    """Askers take turns of so many questions, however many they have; each hears in its order."""
    turns: Turns[int] = Turns(late_s=1.0)
    for _ in range(2):  # who was served comes back as a newcomer
        for number in range(2 * IN_A_ROW + 1):
            turns.add(waiting(A, number))
        turns.add(waiting(B, 0))
        turns.add(waiting(C, 0))
        order = served(turns, 0.5)
        rows = [list(row) for _, row in groupby(order, key=lambda each: each[0])]
        assert [(row[0][0], len(row)) for row in rows] == [
            *((A, IN_A_ROW), (B, 1), (C, 1)),
            (A, IN_A_ROW + 1),
        ]
        assert [number for asker, number in order if asker == A] == list(range(2 * IN_A_ROW + 1))
        assert not turns.ready


def test_the_newest_come_first_when_late() -> None:
    """What can still be answered in time is; the late ones follow, and those too late come first
    of all: they cost nothing but a word."""
    turns: Turns[int] = Turns(late_s=1.0)
    for number, since in enumerate((-11.0, 0.0, 0.5, 1.0)):
        turns.add(waiting(A, number, since))
    assert served(turns, 1.2) == [(A, 0), (A, 3), (A, 2), (A, 1)]


def test_who_is_held_has_no_turn_until_then() -> None:
    """Others go on, and its questions keep their order."""
    turns: Turns[int] = Turns(late_s=1.0)
    turns.add(waiting(A, 0))
    turns.add(waiting(A, 1))
    turns.add(waiting(B, 0))
    first = turns.next(0.0)
    assert first is not None
    turns.hold(first, 0.3)
    turns.add(waiting(A, 2))
    assert (turns.count(A), turns.wakeup()) == (3, 0.3)
    assert served(turns, 0.1) == [(B, 0)]
    turns.release(0.2)
    assert not turns.ready
    turns.release(0.3)
    assert served(turns, 0.3) == [(A, 0), (A, 1), (A, 2)]
    assert turns.wakeup() is None


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(["add", "next", "hold"]))))
def test_nothing_is_lost_and_nothing_comes_twice(steps: list[tuple[bytes, str]]) -> None:
    """Whatever happens, each question comes out once, unless its asker took it back or left."""
    turns: Turns[int] = Turns(late_s=1.0)
    put: list[int] = []
    got: list[int] = []
    for number, (asker, step) in enumerate(steps):
        now = number / 10
        if step == "add":
            turns.add(waiting(asker, number, now))
            put.append(number)
            continue
        taken = turns.next(now)
        if taken is not None and step == "hold":
            turns.hold(taken, now + 0.5)
        elif taken is not None:
            got.append(taken.question)
        turns.release(now)
    turns.release(1e9)
    assert sorted(got + [question for _, question in served(turns, 0.0)]) == put
    assert len(turns) == 0


def test_what_is_taken_back_has_no_turn() -> None:
    """Also of who is held; the last one's queue goes with it."""
    turns: Turns[int] = Turns(late_s=1.0)
    turns.add(waiting(A, 0))
    turns.add(waiting(A, 1))
    assert turns.take_back(A, lambda question: question == 0)
    assert not turns.take_back(A, lambda question: question == 0)
    first = turns.next(0.0)
    assert first is not None
    turns.hold(first, 9.0)
    assert turns.take_back(A, lambda question: question == 1)
    assert (len(turns), turns.wakeup()) == (0, None)
    turns.add(waiting(B, 0))
    turns.leave(B)
    assert served(turns, 0.0) == []
