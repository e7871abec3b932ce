"""Jobs of one thing in worker threads: side by side where they may, alone where they must.

A lane belongs to one download. Its jobs start in the order in which they came; an exclusive one
(taking the layer, finishing, closing) waits for those before it and holds back those after it.
Everything but the jobs themselves runs in the loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Job = Callable[[], None]


class Lane:
    """The jobs of one download; `idle` is called each time none is left."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: ThreadPoolExecutor,
        idle: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._idle = idle
        self._waiting: deque[tuple[Job, bool]] = deque()
        self._running = 0
        self._alone = False

    def put(self, job: Job, *, exclusive: bool = False) -> None:
        """Run `job` in its turn; it must not raise."""
        self._waiting.append((job, exclusive))
        self._start()

    def _start(self) -> None:
        while self._waiting and not self._alone:
            job, exclusive = self._waiting[0]
            if exclusive and self._running:
                return
            self._waiting.popleft()
            self._running += 1
            self._alone = exclusive
            self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        try:
            job()
        finally:
            self._loop.call_soon_threadsafe(self._ended)

    def _ended(self) -> None:
        self._running -= 1
        self._alone = False
        self._start()
        if not self._running:
            self._idle()
