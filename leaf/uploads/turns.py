"""Whose request is read next: a fair share of the uplink for each leaf, by its weight.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): a leaf's clock goes on with the bytes read
for it, the slower the greater its weight, and whose clock is furthest behind comes next; one that
wanted nothing for a while does not get the turns it left out, and who goes and comes again finds
its clock where it was. So a leaf of small weight takes all
that others leave, and little of what they want. Within a leaf the order is that of its requests.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from common.ids import NodeId

CLOCKS_MAX: Final = 1_000  # before those are looked through that nobody is behind any more

Key = tuple[NodeId, bytes]  # who, and the root of what
Turn = tuple[Key, int]  # and the offset


class Turns:
    """Requests that wait to be read."""

    __slots__ = ("_clocks", "_count", "_now", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[NodeId, deque[Turn]] = {}
        self._clocks: dict[NodeId, float] = {}  # of those that had a turn, in weighted bytes
        self._now = 0.0  # the clock of who had the last turn
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, turn: Turn) -> None:
        """This waits from now on."""
        peer = turn[0][0]
        waiting = self._waiting.get(peer)
        if waiting is None:
            waiting = self._waiting[peer] = deque()
            self._clocks[peer] = max(self._clocks.get(peer, 0.0), self._now)
        waiting.append(turn)
        self._count += 1

    def next(self, may: Callable[[NodeId], bool]) -> Turn | None:
        """Whose turn it is among those that `may` have one; it waits no longer."""
        ready = [peer for peer in self._waiting if may(peer)]
        if not ready:
            return None
        peer = min(ready, key=self._clocks.__getitem__)
        waiting = self._waiting[peer]
        turn = waiting.popleft()
        if not waiting:
            del self._waiting[peer]
        self._count -= 1
        return turn

    def put_back(self, turn: Turn) -> None:
        """It cannot be read yet: it is the next of its leaf again."""
        self._waiting.setdefault(turn[0][0], deque()).appendleft(turn)
        self._count += 1

    def took(self, peer: NodeId, length: int, weight: float) -> None:
        """So much was read for this leaf in its turn."""
        self._now = max(self._now, self._clocks.get(peer, 0.0))
        self._clocks[peer] = self._clocks.get(peer, self._now) + length / weight

    def waiting_of(self, peer: NodeId) -> int:
        """How many requests of this leaf wait."""
        return len(self._waiting.get(peer, ()))

    def cancel(self, turn: Turn) -> None:
        """This does not wait any more."""
        peer = turn[0][0]
        waiting = self._waiting.get(peer, ())
        if turn in waiting:
            self._waiting[peer].remove(turn)
            self._count -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]

    def forget(self, peer: NodeId) -> None:
        """It wants nothing any more; its clock counts until all others have come so far."""
        self._count -= len(self._waiting.pop(peer, ()))
        if len(self._clocks) > CLOCKS_MAX:
            self._clocks = {
                other: clock
                for other, clock in self._clocks.items()
                if clock > self._now or other in self._waiting
            }
