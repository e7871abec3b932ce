"""The loop and the worker threads of a simulated disk, in virtual time and one thread.

They have the slices of an event loop and of a thread pool that `common.shell.disk.lanes` asks for.
A job waits for one of a few workers, then for as long as `latency` says, and then happens as a
whole; what it calls back comes right after it, before anything else happens.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from deploy.sim.diskfaults import PowerCutError

Call = Callable[..., object]


class Handle(Protocol):
    """What is scheduled and can be taken back."""

    def cancel(self) -> None:
        """It does not happen any more."""


Schedule = Callable[[float, Callable[[], None]], Handle]  # in so many seconds, this


class VirtualLoop:
    """What is to be called in virtual time; once it is closed, nothing is."""

    def __init__(self, schedule: Schedule, failed: Callable[[Exception], None]) -> None:
        self.is_closed = False
        self._schedule = schedule
        self._failed = failed
        self._soon: deque[tuple[Call, tuple[Any, ...]]] = deque()

    def call_later(self, delay: float, callback: Call, /, *args: Any) -> Handle:
        """Call it after so many seconds."""

        def call() -> None:
            if not self.is_closed:
                callback(*args)

        return self._schedule(delay, call)

    def call_soon_threadsafe(self, callback: Call, /, *args: Any) -> None:
        """Call it at the next `drain`."""
        self._soon.append((callback, args))

    def call_exception_handler(self, context: dict[str, Any], /) -> None:
        """A job raised what it should not."""
        self._failed(context["exception"])

    def drain(self) -> None:
        """Call what is to be called, and what that wants called."""
        while self._soon and not self.is_closed:
            callback, args = self._soon.popleft()
            callback(*args)

    def close(self) -> None:
        """Nothing more is called."""
        self.is_closed = True
        self._soon.clear()


class Workers:
    """A pool of workers; `lost_power` is called when the power goes in the middle of a job."""

    def __init__(
        self,
        count: int,
        loop: VirtualLoop,
        schedule: Schedule,
        latency: Callable[[], float],
        lost_power: Callable[[], None],
    ) -> None:
        self._count = count
        self._loop = loop
        self._schedule = schedule
        self._latency = latency
        self._lost_power = lost_power
        self._waiting: deque[tuple[Call, tuple[Any, ...]]] = deque()
        self._under_way: dict[int, tuple[Call, tuple[Any, ...], Handle]] = {}
        self._started = 0

    def submit(self, call: Call, /, *args: Any) -> None:
        """Run it in its turn."""
        self._waiting.append((call, args))
        self._start()

    def shutdown(self) -> None:
        """Run at once all that was submitted; the loop is closed by now."""
        jobs = [(call, args) for call, args, _ in self._under_way.values()]
        jobs += self._waiting
        self.stop()
        for call, args in jobs:
            self._run(call, args)

    def stop(self) -> None:
        """Forget all that was submitted."""
        for _, _, handle in self._under_way.values():
            handle.cancel()
        self._under_way.clear()
        self._waiting.clear()

    def _start(self) -> None:
        while self._waiting and len(self._under_way) < self._count:
            call, args = self._waiting.popleft()
            self._started += 1
            handle = self._schedule(self._latency(), _Due(self, self._started))
            self._under_way[self._started] = call, args, handle

    def due(self, number: int) -> None:
        """A job has taken its time: it happens."""
        found = self._under_way.pop(number, None)
        if found is not None:
            self._run(found[0], found[1])
            self._start()
            self._loop.drain()

    def _run(self, call: Call, args: tuple[Any, ...]) -> None:
        try:
            call(*args)
        except PowerCutError:
            self._lost_power()


class _Due:
    """A job's end, as something to schedule."""

    __slots__ = ("_number", "_workers")

    def __init__(self, workers: Workers, number: int) -> None:
        self._workers = workers
        self._number = number

    def __call__(self) -> None:
        self._workers.due(self._number)
