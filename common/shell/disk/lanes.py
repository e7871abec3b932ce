"""Jobs of one thing in worker threads: two side by side where they may, alone where they must.

A lane belongs to one download. Its jobs start in the order in which they came; an exclusive one
(taking the layer, finishing, closing) waits for those before it and holds back those after it.
What a job has to say is told once the lane has ended it: who hears the last word finds the lane
idle. Everything but the jobs themselves runs in the loop.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from common.core import Event

SIDE_BY_SIDE: Final = 2  # two hash; more would wait for the kernel's lock of their one file

Job = Callable[[], Event | None]


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What is needed of an event loop: asyncio's have it, and so has one in virtual time."""

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Timer: ...

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> object: ...

    def call_exception_handler(self, context: dict[str, Any], /) -> None: ...


class Pool(Protocol):
    """Who runs jobs: `common.shell.disk.workers` is it, and so is one in virtual time."""

    def submit(self, call: Callable[..., object], /, *args: Any) -> object: ...

    def shutdown(self) -> None: ...


class Lane:
    """The jobs of one download; `idle` is called each time none is left, `tell` with each word."""

    def __init__(
        self, loop: Loop, pool: Pool, idle: Callable[[], None], tell: Callable[[Event], None]
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._idle = idle
        self._tell = tell
        self._waiting: deque[tuple[Job, bool]] = deque()
        self._running = 0
        self._alone = False

    def put(self, job: Job, *, exclusive: bool = False) -> None:
        """Run `job` in its turn; it must not raise."""
        self._waiting.append((job, exclusive))
        self._start()

    def _start(self) -> None:
        while self._waiting and not self._alone and self._running < SIDE_BY_SIDE:
            job, exclusive = self._waiting[0]
            if exclusive and self._running:
                return
            self._waiting.popleft()
            self._running += 1
            self._alone = exclusive
            self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        event: Event | None = None
        try:
            event = job()
        finally:
            self._loop.call_soon_threadsafe(self._ended, event)

    def _ended(self, event: Event | None) -> None:
        self._running -= 1
        self._alone = False
        self._start()
        if not self._running:
            self._idle()
        if event is not None:
            self._tell(event)
