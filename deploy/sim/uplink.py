"""A host's uplink: bulk data of all its links takes turns, as flows share a bottleneck.

A segment of each link's first frame is sent in turn. What was still waiting when its link ended is
not sent; what a slow link carries is a sign of life while it comes. Without a rate nothing waits.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from deploy.sim.schedule import Schedule

if TYPE_CHECKING:
    from deploy.sim.wires import Wire

SEGMENT_BYTES: Final = 1460  # what an Ethernet frame carries of a stream
SEGMENT_S: Final = 0.01  # of the rate, where that is more

Left = Callable[[], None]


class _Frame:
    """Bytes of one link that have not all been sent."""

    __slots__ = ("left", "moved", "waiting_bytes")

    def __init__(self, size: int, moved: Left, left: Left) -> None:
        self.waiting_bytes = size
        self.moved = moved  # some of it has left
        self.left = left  # all of it has


class Uplink:
    """What waits to leave one host."""

    __slots__ = ("_busy", "_schedule", "_waiting")

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._waiting: dict[tuple[Wire, int], deque[_Frame]] = {}
        self._busy = False

    def has(self, wire: "Wire", end: int) -> bool:
        """Whether something of this end of a wire is still waiting."""
        return (wire, end) in self._waiting

    def put(
        self, wire: "Wire", end: int, size: int, rate: Callable[[], float], moved: Left, left: Left
    ) -> None:
        """Send `size` bytes from this end of a wire; `rate` is the uplink's at the time."""
        self._waiting.setdefault((wire, end), deque()).append(_Frame(size, moved, left))
        if not self._busy:
            self._next(rate)

    def _next(self, rate: Callable[[], float]) -> None:
        """A segment of whose turn it is."""
        self._busy = False
        while self._waiting:
            (wire, end), frames = next(iter(self._waiting.items()))
            del self._waiting[wire, end]
            if not wire.up[end]:
                continue
            self._waiting[wire, end] = frames  # behind all others
            per_s, frame = rate(), frames[0]
            segment = min(frame.waiting_bytes, max(SEGMENT_BYTES, int(per_s * SEGMENT_S)))
            took_s = segment / per_s if per_s else 0.0
            self._busy = True
            self._schedule.later(took_s, partial(self._sent, (wire, end), frame, segment, rate))
            return

    def _sent(
        self, key: "tuple[Wire, int]", frame: _Frame, segment: int, rate: Callable[[], float]
    ) -> None:
        frame.waiting_bytes -= segment
        frames = self._waiting.get(key)
        if frames and key[0].up[key[1]]:
            if frame.waiting_bytes:
                frame.moved()
            else:
                frames.popleft()
                if not frames:
                    del self._waiting[key]
                frame.left()
        self._next(rate)
