"""Threads for what blocks: jobs in order, none lost, and what they say in one turn of the loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from common.shell.disk.workers import Returns, Workers


def test_jobs_begin_in_the_order_given() -> None:
    """One thread runs them one after another, and `shutdown` waits for the last."""
    workers, seen = Workers(1, "test"), list[int]()
    for number in range(100):
        workers.submit(seen.append, number)
    workers.shutdown()
    assert seen == list(range(100))


def test_no_more_threads_than_allowed_run_side_by_side() -> None:
    """Two may wait for one another where there are two."""
    workers, meet = Workers(2, "test"), threading.Barrier(2)
    seen: list[str] = []

    def job() -> None:
        meet.wait(10)
        seen.append(threading.current_thread().name)

    for _ in range(10):
        workers.submit(job)
    workers.shutdown()
    assert len(seen) == 10
    assert set(seen) <= {"test-0", "test-1"}


def test_a_job_that_raises_is_told_of_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one runs in the same thread."""
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    workers, seen = Workers(1, "test"), list[int]()

    def fail() -> None:
        raise ZeroDivisionError

    workers.submit(fail)
    workers.submit(seen.append, 1)
    workers.shutdown()
    assert [each.exc_type for each in told] == [ZeroDivisionError]
    assert seen == [1]


class Turns:
    """A loop that only counts how often it was woken."""

    def __init__(self) -> None:
        self.turns: list[Callable[[], object]] = []
        self.told: list[dict[str, Any]] = []

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> None:
        self.turns.append(lambda: callback(*args))

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Any:
        raise AssertionError

    def call_exception_handler(self, context: dict[str, Any], /) -> None:
        self.told.append(context)


def test_what_comes_while_the_loop_is_busy_is_one_turn() -> None:
    """In order; what is handed in by one of these calls comes in a turn of its own."""
    loop, seen = Turns(), list[int]()
    returns = Returns(loop)
    for number in range(3):
        returns.call_soon_threadsafe(seen.append, number)
    returns.call_soon_threadsafe(lambda: returns.call_soon_threadsafe(seen.append, 9))
    assert len(loop.turns) == 1
    loop.turns[0]()
    assert (seen, len(loop.turns)) == ([0, 1, 2], 2)
    loop.turns[1]()
    assert seen == [0, 1, 2, 9]


def test_a_call_that_raises_loses_none_behind_it() -> None:
    """It is told to the loop."""
    loop, seen = Turns(), list[int]()
    returns = Returns(loop)

    def fail() -> None:
        raise ZeroDivisionError

    returns.call_soon_threadsafe(fail)
    returns.call_soon_threadsafe(seen.append, 1)
    loop.turns[0]()
    assert seen == [1]
    assert isinstance(loop.told[0]["exception"], ZeroDivisionError)


async def test_nothing_is_lost_between_threads_and_a_loop() -> None:
    """Many threads hand in as fast as they can; all comes back, in the order of each."""
    count, threads = 2_000, 4
    workers, returns = Workers(threads, "test"), Returns(asyncio.get_running_loop())
    seen: dict[int, list[int]] = {number: [] for number in range(threads)}
    done = asyncio.Event()

    def come(thread: int, number: int) -> None:
        seen[thread].append(number)
        if all(len(each) == count for each in seen.values()):
            done.set()

    def job(thread: int) -> None:
        for number in range(count):
            returns.call_soon_threadsafe(come, thread, number)

    for thread in range(threads):
        workers.submit(job, thread)
    await asyncio.wait_for(done.wait(), 30)
    workers.shutdown()
    assert all(each == list(range(count)) for each in seen.values())
