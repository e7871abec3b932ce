"""Named deadlines of one machine: set, move, cancel, and ask which are due.

A deadline is a key (any hashable, usually a tuple whose first item says what is due) and a time
in the seconds of `now`. Due keys come out in order of time, then of setting, so that a run
replays identically. Moving a deadline leaves a stale heap item behind that is skipped later; the
heap never holds more than twice the live deadlines plus a constant.
"""

import heapq
from collections.abc import Hashable, Iterable

_SLACK = 64

_Item = tuple[float, int, Hashable]


def soonest(times: Iterable[float | None]) -> float | None:
    """The first of them that there are: asked after each event, so without a generator."""
    first: float | None = None
    for time in times:
        if time is not None and (first is None or time < first):
            first = time
    return first


class Deadlines:
    """The earliest deadline decides when a machine wants to be woken."""

    __slots__ = ("_count", "_heap", "_when")

    def __init__(self) -> None:
        self._when: dict[Hashable, _Item] = {}  # the very item of the heap
        self._heap: list[_Item] = []
        self._count = 0

    def set(self, key: Hashable, when: float) -> None:
        """Set or move the deadline `key`."""
        self._count += 1
        item = self._when[key] = (when, self._count, key)
        heapq.heappush(self._heap, item)
        if len(self._heap) > 2 * len(self._when) + _SLACK:
            self._rebuild()

    def cancel(self, key: Hashable) -> None:
        """Forget the deadline `key`; nothing happens where there is none."""
        self._when.pop(key, None)

    def get(self, key: Hashable) -> float | None:
        """When `key` is due, or None where it is not set."""
        entry = self._when.get(key)
        return entry[0] if entry else None

    def earliest(self) -> float | None:
        """The time of the next live deadline. Asked of each machine after each event: a third of
        all time in a simulation went into it."""
        heap = self._heap
        if heap and self._when.get(heap[0][2]) is heap[0]:
            return heap[0][0]
        return heap[0][0] if heap and self._skip_stale() else None

    def pop_due(self, now: float) -> list[Hashable]:
        """Take out every key due at `now`, earliest first."""
        due: list[Hashable] = []
        while self._skip_stale() and self._heap[0][0] <= now:
            key = heapq.heappop(self._heap)[2]
            del self._when[key]
            due.append(key)
        return due

    def __len__(self) -> int:
        return len(self._when)

    def _skip_stale(self) -> bool:
        """Drop moved and cancelled items from the top; whether anything is left."""
        while self._heap:
            item = self._heap[0]
            if self._when.get(item[2]) is item:
                return True
            heapq.heappop(self._heap)
        return False

    def _rebuild(self) -> None:
        self._heap = list(self._when.values())
        heapq.heapify(self._heap)
