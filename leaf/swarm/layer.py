"""The piece layer of a download: fetched in ranges, each proven against the root.

Without it no piece can be believed, so it comes first. A range is as wide as one answer may be, a
power of two and aligned, asked of one leaf at a time. The root of a file of one piece is its
hash, and an empty file has none: for those the layer is there from the start.
"""

from typing import Final

from common.ids import NodeId
from common.limits import TREE_HASHES_MAX
from common.merkle import HASH_BYTES, piece_count, verify_layer
from common.messages.swarm import TreeHashes, TreeRequest


class LayerFetch:
    """What is known of one file's piece layer, and of whom the rest was asked."""

    def __init__(self, root: bytes, size: int, layer: bytes) -> None:
        """`layer` is the whole proven layer where it is known, else empty."""
        self._root = root
        self._size = size
        self._pieces = piece_count(size)
        self._width: Final = min(TREE_HASHES_MAX, 1 << max(self._pieces - 1, 0).bit_length())
        self._hashes: dict[int, bytes] = {}
        self._asked: dict[int, NodeId] = {}
        self._known = layer if self._pieces > 1 else b"-"

    @property
    def complete(self) -> bool:
        """Whether pieces can be believed now."""
        return bool(self._known)

    @property
    def layer(self) -> bytes:
        """The whole layer; empty where it is not complete, or the file needs none."""
        return self._known if self._pieces > 1 else b""

    def ask(self, peer: NodeId) -> TreeRequest | None:
        """The next range for `peer` to send; None while it owes one, or none is left to ask."""
        if self.complete or peer in self._asked.values():
            return None
        for first in range(0, self._pieces, self._width):
            if first not in self._hashes and first not in self._asked:
                self._asked[first] = peer
                return TreeRequest(self._root, first, self._width)
        return None

    def owes(self, peer: NodeId) -> bool:
        """Whether a range was asked of `peer`."""
        return peer in self._asked.values()

    def awaits(self, peer: NodeId, first: int) -> bool:
        """Whether the range that begins at `first` was asked of `peer`."""
        return self._asked.get(first) == peer

    def give_back(self, peer: NodeId) -> None:
        """`peer` does not bring what was asked of it."""
        for first in [first for first, owner in self._asked.items() if owner == peer]:
            del self._asked[first]

    def take(self, peer: NodeId, message: TreeHashes, hashes: bytes) -> bool:
        """What `peer` sent; False where it was not asked of it or does not lead to the root."""
        first = message.first
        if self._asked.get(first) != peer:
            return False
        del self._asked[first]
        if len(hashes) != min(self._width, self._pieces - first) * HASH_BYTES:
            return False
        if not verify_layer(self._root, self._size, first, hashes, message.proof):
            return False
        self._hashes[first] = hashes
        if len(self._hashes) == -(-self._pieces // self._width):
            self._known = b"".join([self._hashes[first] for first in sorted(self._hashes)])
            self._hashes.clear()
        return True
