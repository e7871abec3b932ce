"""Virtual time: one heap of what is to happen, in order of time, then of entry.

Everything in a simulated world happens by an entry of this heap, so a run is a function of its
seed alone. An entry is a call with one argument; entries are never taken out, who does not want
one any more ignores it. Nothing here knows hosts or networks.
"""

import heapq
from collections.abc import Callable
from typing import Any

Call = Callable[[Any], None]


class Handle:
    """An entry that can be taken back, in the form that event loops have it."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object] | None) -> None:
        self.call = call

    def cancel(self) -> None:
        """It does not happen any more."""
        self.call = None


class Schedule:
    """What is to happen; `now` is seconds of virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Call, Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, call: Call, argument: Any = None) -> None:
        """Call it at `when`, or now where that is past."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, call, argument))

    def after(self, delay_s: float, call: Call, argument: Any = None) -> None:
        """Call it so much later."""
        self.at(self.now + delay_s, call, argument)

    def later(self, delay_s: float, call: Callable[[], object]) -> Handle:
        """Call it so much later, unless it is cancelled before."""
        handle = Handle(call)
        self.at(self.now + delay_s, _run, handle)
        return handle

    def step(self, until: float) -> bool:
        """Let the next thing happen, if it does so by `until`; else it is `until` now."""
        if not self._heap or self._heap[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, call, argument = heapq.heappop(self._heap)
        call(argument)
        return True

    def run(self, until: float) -> None:
        """Let all things happen up to `until`."""
        while self.step(until):
            pass


def _run(handle: Handle) -> None:
    if handle.call is not None:
        handle.call()
