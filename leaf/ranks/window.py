"""How much of a transfer test may be on its way, to all witnesses together.

What waits before a full uplink is dropped or let through by lot, and then the witnesses see it
come unevenly. So it is what leaves in a tenth of a second and during the way, twice: a rate that
can grow shows within a few round trips (BBR keeps as much, Cardwell et al. 2016), and a home
router's queue does not fill. One whose link stands still holds no more of it than others might.
"""

from collections import deque
from typing import Final

from common.ids import NodeId
from common.rates import Rate

WAITS_S: Final = 0.1  # of what leaves: what has left is heard of so late at worst
WAY_S_MAX: Final = 0.5  # what counts as the way, and not as a queue
RATE_S: Final = 0.5  # over which what leaves is measured
BYTES_MIN: Final = 16 * 1024  # a first window of TCP (RFC 6928)
BYTES_MAX: Final = 16 * 1024 * 1024  # 1 Gbit/s for 130 ms
UNEVEN: Final = 2  # times as much as others may lie in one link


class Window:
    """Blocks on their way since a test began, and how many bytes there may be."""

    __slots__ = ("_bytes", "_bytes_max", "_out", "_rate", "_way_s")

    def __init__(self, now: float) -> None:
        self._out: dict[NodeId, deque[tuple[int, float]]] = {}  # lengths, and when each was given
        self._bytes, self._bytes_max = 0, float(BYTES_MIN)
        self._rate = Rate(now, RATE_S)
        self._way_s = WAY_S_MAX  # the shortest time that a block took

    @property
    def bytes_on_way(self) -> int:
        """To all of them."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether nobody may be given more."""
        return self._bytes >= self._bytes_max

    def share(self, takers: int) -> float:
        """How many bytes may be on their way to one of so many."""
        return UNEVEN * self._bytes_max / takers

    def of(self, peer: NodeId) -> int:
        """How many are."""
        return sum(length for length, _ in self._out.get(peer, ()))

    def give(self, peer: NodeId, length: int, now: float) -> None:
        """A block goes to it."""
        self._out.setdefault(peer, deque()).append((length, now))
        self._bytes += length

    def left(self, peer: NodeId, length: int, now: float) -> None:
        """So much has left, of what it was given first."""
        out = self._out.get(peer)
        while out and length > 0:
            block, given_at = out.popleft()
            gone = min(block, length)
            if gone < block:
                out.appendleft((block - gone, given_at))
            length -= gone
            self._bytes -= gone
            self._rate.add(gone, now)
            self._way_s = min(self._way_s, now - given_at)
        leaves = self._rate.per_s(now) * (WAITS_S + 2 * self._way_s)
        self._bytes_max = min(max(leaves, BYTES_MIN), BYTES_MAX)

    def forget(self, peer: NodeId) -> None:
        """It gets nothing any more."""
        self._bytes -= self.of(peer)
        self._out.pop(peer, None)
