"""How many bytes may be read for others and not have left yet: for each leaf, and for all.

What lies inside a link can neither be cancelled nor be overtaken, and shares the uplink with all
else that lies there, whoever has a better right to it. So it is what leaves within `LINKS_S`
and in the time that the way takes: for each leaf by how fast it takes what it gets and how soon
the first of it has left, for all together the most that these were lately, so that who is held up
does not hold the others up next. What lies with a leaf that takes slowly lies in its own link and
not before our uplink: among all it counts for no more than its rate accounts for. What was taken
for a leaf is given back when it has left, when it is not needed any more, or when the link is gone.
"""

import math
from dataclasses import dataclass
from typing import Final

from common.ids import NodeId
from common.rates import Rate

LINKS_S: Final = 0.25  # DESIGN §5 has 0.1; but what left is heard of late, on a busy machine
LEAF_S: Final = 0.4  # ... of one leaf, so that its share can grow quickly; wild guess
WAY_S_MAX: Final = 0.5  # what counts as the way, and not as our own queue
BYTES_MIN: Final = 64 * 1024  # of a leaf, and of all: one request arrives while one is read
LEAF_BYTES_MAX: Final = 8 * 1024 * 1024  # = the window that a downloader has at one source
ALL_BYTES_MAX: Final = 64 * 1024 * 1024  # of memory: a request of each leaf that has a slot
STALLED_S: Final = 2.0  # without a byte that left; wild guess
RATE_S: Final = 1.0  # over which it is measured: a link that could do more is soon found out
SLOW_S: Final = 0.75  # between two bytes that left: what is ahead of our uplink leaves sooner
PEAK_S: Final = 30.0  # how long what all took at best is remembered; wild guess
LIMIT_S: Final = 0.005  # how long the sum is believed: it costs more than a piece


@dataclass(slots=True)
class _Way:
    """What is on its way to one leaf."""

    rate: Rate
    taken: int = 0
    busy_since: float = 0.0  # it had nothing before
    first_is_out: bool = False  # ... and this is the first of it
    way_s: float = math.inf  # the shortest time that a first one took
    left_at: float = 0.0
    is_slow: bool = False  # what left last had let us wait

    def bytes_in(self, seconds: float, now: float) -> int:
        """What leaves in so long, and on the way."""
        return int(self.rate.per_s(now) * (seconds + min(self.way_s, WAY_S_MAX)))

    def waited_s(self, now: float) -> float:
        """Since when nothing has left."""
        return now - max(self.left_at, self.busy_since)

    def is_stalled(self, for_s: float, now: float) -> bool:
        return self.taken > 0 and self.waited_s(now) >= for_s

    def share(self, now: float) -> int:
        """What of it counts among all."""
        if self.is_slow or self.waited_s(now) >= SLOW_S:
            return min(self.taken, self.bytes_in(LINKS_S, now))
        return self.taken if self.left_at else min(self.taken, BYTES_MIN)


class Budget:
    """Bytes on their way from the disk to the links."""

    __slots__ = ("_limit", "_limit_at", "_ways")

    def __init__(self) -> None:
        self._ways: dict[NodeId, _Way] = {}
        self._limit = BYTES_MIN
        self._limit_at = -math.inf

    @property
    def bytes_on_their_way(self) -> int:
        """Read, or being read, and not gone."""
        return sum(way.taken for way in self._ways.values())

    def stalled(self, for_s: float, now: float) -> list[NodeId]:
        """Those to whom nothing has left for so long, although something is on its way."""
        return [peer for peer, way in self._ways.items() if way.is_stalled(for_s, now)]

    def is_spent(self, now: float) -> bool:
        """Whether nothing may be read for anybody."""
        if now - self._limit_at >= LIMIT_S:
            forgotten = math.exp((self._limit_at - now) / PEAK_S)
            self._limit_at = now
            leaves = sum(way.bytes_in(LINKS_S, now) for way in self._ways.values())
            self._limit = max(leaves, int(self._limit * forgotten), BYTES_MIN)
        taken = self.bytes_on_their_way
        if taken < self._limit:  # what counts of it is no more
            return taken >= ALL_BYTES_MAX
        share = sum(way.share(now) for way in self._ways.values())
        return share >= self._limit or taken >= ALL_BYTES_MAX

    def has_room(self, peer: NodeId, now: float) -> bool:
        """Whether something may be read for this leaf, where it may for anybody."""
        way = self._ways.get(peer)
        if way is None:
            return True
        if way.is_stalled(STALLED_S, now):
            return False
        return way.taken < min(max(way.bytes_in(LEAF_S, now), BYTES_MIN), LEAF_BYTES_MAX)

    def is_under_way(self, peer: NodeId) -> bool:
        """Whether something for this leaf has not left yet."""
        way = self._ways.get(peer)
        return way is not None and way.taken > 0

    def take(self, peer: NodeId, length: int, now: float) -> None:
        """This much is read, or made, for it."""
        way = self._ways.get(peer)
        if way is None:
            way = self._ways[peer] = _Way(Rate(now, RATE_S))
        if not way.taken:
            way.busy_since, way.first_is_out = now, True
        way.taken += length

    def left(self, peer: NodeId, length: int, now: float) -> None:
        """This much has left."""
        way = self._ways.get(peer)
        if way is None:
            return
        if way.first_is_out:
            way.first_is_out = False
            way.way_s = min(way.way_s, now - way.busy_since)
        way.is_slow = way.waited_s(now) >= SLOW_S
        way.rate.add(length, now)
        way.left_at = now
        self.give_back(peer, length)

    def give_back(self, peer: NodeId, length: int) -> None:
        """This much is not on its way; nothing where the link went in between."""
        way = self._ways.get(peer)
        if way is not None:
            way.taken -= min(length, way.taken)

    def forget(self, peer: NodeId) -> None:
        """The link is gone, and all that was meant for it."""
        self._ways.pop(peer, None)
