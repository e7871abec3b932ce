"""Whose request is read next: one of each leaf in turn, the oldest of it first.

A few requests on their way at full speed are of more use than many at a crawl: what a leaf has
whole it can pass on, and fifty halves nobody can. So requests wait here for their turn, where they
can still be cancelled, and not inside the links. What a request costs is not known here.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

from common.ids import NodeId

Key = tuple[NodeId, bytes]  # who, and the root of what
Waiting = tuple[Key, int]  # and the offset


class Turns:
    """The requests that wait, by leaf; one without any has no turn."""

    __slots__ = ("_count", "_queues")

    def __init__(self) -> None:
        self._queues = OrderedDict[NodeId, deque[Waiting]]()  # whose turn is next: first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: Key, offset: int) -> None:
        """It waits behind those of the same leaf."""
        self._queues.setdefault(key[0], deque()).append((key, offset))
        self._count += 1

    def next(self, has_room: Callable[[NodeId], bool]) -> Waiting | None:
        """The request whose turn it is, of a leaf that has room for its bytes."""
        peer = next((peer for peer in self._queues if has_room(peer)), None)
        if peer is None:
            return None
        queue = self._queues[peer]
        self._count -= 1
        if len(queue) == 1:
            del self._queues[peer]
        else:
            self._queues.move_to_end(peer)
        return queue.popleft()

    def leave(self, peer: NodeId) -> None:
        """The leaf is gone, and all that it still had to ask."""
        self._count -= len(self._queues.pop(peer, ()))
