"""The piece layer of a download: fetched in ranges, each proven against the root.

Without it no piece can be believed, so it comes first. A range is as wide as one answer may be, a
power of two and aligned, and asked of one leaf; where that lets us wait, of another too, then of
two more and so on, since nothing else can be asked for meanwhile. Who says that too many ask it is
left alone for a moment: others may have the hashes by then. The root of a file of one piece
is its hash, and an empty file has none: for those the layer is there from the start.
"""

from math import inf
from typing import Final

from common.content.merkle import HASH_BYTES, piece_count, verify_layer
from common.ids import NodeId
from common.limits import TREE_HASHES_MAX
from common.messages.swarm import TreeHashes, TreeRequest

ASKED_MAX: Final = (
    8  # leaves for one range: a chance of 1 in 1,500 that four in ten are all of them
)
AGAIN_S: Final = 0.25  # until one that was asked by too many is asked again; wild guess


class LayerFetch:
    """What is known of one file's piece layer, and of whom the rest was asked."""

    def __init__(self, root: bytes, size: int, layer: bytes, lateness_s: float) -> None:
        """`layer` is the whole proven layer where it is known, else empty. Each time `lateness_s`
        has gone by, as many leaves more may be asked for a range as were asked so far."""
        self._root = root
        self._size = size
        self._pieces = piece_count(size)
        self._width: Final = min(TREE_HASHES_MAX, 1 << max(self._pieces - 1, 0).bit_length())
        self._hashes: dict[int, bytes] = {}
        self._asked: dict[int, dict[NodeId, None]] = {}
        self._since: dict[int, float] = {}  # when the range was asked for first
        self._refused_at: dict[NodeId, float] = {}
        self._lateness_s = lateness_s
        self._known = layer if self._pieces > 1 else b"-"

    @property
    def complete(self) -> bool:
        """Whether pieces can be believed now."""
        return bool(self._known)

    @property
    def layer(self) -> bytes:
        """The whole layer; empty where it is not complete, or the file needs none."""
        return self._known if self._pieces > 1 else b""

    def ask(self, peer: NodeId, now: float) -> TreeRequest | None:
        """The next range for `peer` to send; None while it owes one, or none is left to ask."""
        if self.complete or self.owes(peer) or now < self._refused_at.get(peer, -inf) + AGAIN_S:
            return None
        for first in range(0, self._pieces, self._width):
            if first not in self._hashes and self._may_ask(first, now):
                self._since.setdefault(first, now)
                self._asked.setdefault(first, {})[peer] = None
                return TreeRequest(self._root, first, self._width)
        return None

    def _may_ask(self, first: int, now: float) -> bool:
        asked = self._asked.get(first)
        if not asked:
            return True
        doublings = min(int((now - self._since[first]) / self._lateness_s), ASKED_MAX)
        return len(asked) < min(1 << doublings, ASKED_MAX)

    def owes(self, peer: NodeId) -> bool:
        """Whether a range was asked of `peer`."""
        return any(peer in asked for asked in self._asked.values())

    def awaits(self, peer: NodeId, first: int) -> bool:
        """Whether the range that begins at `first` was asked of `peer`, and is still wanted."""
        return peer in self._asked.get(first, ())

    def give_back(self, peer: NodeId) -> None:
        """`peer` does not bring what was asked of it."""
        for first, asked in self._asked.items():
            if asked.pop(peer, "") is None and not asked:
                self._since.pop(first, None)  # whoever is asked next has time of its own

    def refused(self, peer: NodeId, now: float) -> None:
        """`peer` is asked by too many."""
        self.give_back(peer)
        self._refused_at[peer] = now

    def take(self, peer: NodeId, message: TreeHashes, hashes: bytes) -> bool:
        """What `peer` sent; False where it was not asked of it or does not lead to the root."""
        first = message.first
        if not self.awaits(peer, first):
            return False
        self.give_back(peer)
        if len(hashes) != min(self._width, self._pieces - first) * HASH_BYTES:
            return False
        if not verify_layer(self._root, self._size, first, hashes, message.proof):
            return False
        self._hashes[first] = hashes
        del self._asked[first]
        if len(self._hashes) == -(-self._pieces // self._width):
            self._known = b"".join([self._hashes[first] for first in sorted(self._hashes)])
            self._hashes.clear()
            self._refused_at.clear()
        return True
