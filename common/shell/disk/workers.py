"""Threads that do what blocks, and the way back into the loop.

What a ThreadPoolExecutor does and nobody here needs, a future with a lock and a condition for each
job, costs the loop more than a piece does; so does waking it for each one that ends. Here a job is
a call in a queue, and what many threads have to say while the loop is busy is one wake-up.
Invariants: jobs begin in the order in which they were given; calls come back in the order in which
they were handed in; a job that raises is told of and ends no thread.
"""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from common.shell.disk.lanes import Loop, Timer

_Job = tuple[Callable[..., object], tuple[Any, ...]]


class Workers:
    """A few threads; each starts when there is more to do than those that run have begun."""

    def __init__(self, threads_max: int, name: str) -> None:
        self._threads_max = threads_max
        self._name = name
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()

    def submit(self, call: Callable[..., object], /, *args: Any) -> None:
        """Have one of them call this, in its turn."""
        self._jobs.put((call, args))
        if len(self._threads) < self._threads_max:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def shutdown(self) -> None:
        """Return once all that was given is done; nothing may be given after that."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, args = job
            try:
                call(*args)
            except Exception as error:
                told = (type(error), error, error.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(told))
            del job, call, args  # what they hold is not kept while nothing is to do


class Returns:
    """A loop as jobs need it: what threads hand in comes in one turn, however much it is."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._calls: deque[_Job] = deque()
        self._is_due = False

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Timer:
        """As the loop does it."""
        return self._loop.call_later(delay, callback, *args)

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> None:
        """Call it in the loop, after all that was handed in before."""
        self._calls.append((callback, args))
        if not self._is_due:  # else a turn is to come that sees what was just appended
            self._is_due = True
            self._loop.call_soon_threadsafe(self._turn)

    def call_exception_handler(self, context: dict[str, Any], /) -> None:
        """As the loop does it."""
        self._loop.call_exception_handler(context)

    def _turn(self) -> None:
        self._is_due = False  # before looking: what comes from now on asks for a turn of its own
        for _ in range(len(self._calls)):
            callback, args = self._calls.popleft()
            try:
                callback(*args)
            except Exception as error:
                context = {"message": "what a thread handed in failed", "exception": error}
                self._loop.call_exception_handler(context)
