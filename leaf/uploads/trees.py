"""Piece layers that we prove to others: the few that are asked for now, and who waits for them.

A layer is read from the disk once and its tree kept while others ask for it; the oldest gives way.
A layer that does not lead to its root is never shown. Building the tree of a file of a million
pieces takes half a second, of one below 2 GiB a few milliseconds.
"""

from dataclasses import dataclass
from typing import Final

from common.content.merkle import HASH_BYTES, LayerTree, TreeError
from common.ids import NodeId
from common.messages.swarm import TreeHashes, TreeRequest

TREES_MAX: Final = 8  # 192 KiB each below 2 GiB
TREES_BYTES_MAX: Final = 48 * 1024 * 1024  # in all, but for the newest: of 1 TiB it is 96 MiB
WAITING_MAX: Final = 256  # requests for layers that are being read


@dataclass(frozen=True, slots=True)
class Asked:
    """One leaf's question for hashes of a file of this size, and how long the answer is."""

    peer: NodeId
    request: TreeRequest
    size: int
    length: int


class Trees:
    """The layers at hand, by root."""

    __slots__ = ("_reads", "_trees", "_waiting")

    def __init__(self) -> None:
        self._trees: dict[bytes, tuple[bytes, LayerTree]] = {}
        self._reads: dict[int, tuple[bytes, int]] = {}  # read -> root, size
        self._waiting: dict[bytes, list[Asked]] = {}

    def __contains__(self, root: bytes) -> bool:
        return root in self._trees

    def is_read(self, root: bytes) -> bool:
        """Whether the disk is reading it."""
        return any(root == reading for reading, _ in self._reads.values())

    def wait(self, asked: Asked) -> bool:
        """Answer this when the layer is there; False where too many wait."""
        if sum(len(waiting) for waiting in self._waiting.values()) >= WAITING_MAX:
            return False
        self._waiting.setdefault(asked.request.root, []).append(asked)
        return True

    def reading(self, read: int, root: bytes, size: int) -> None:
        """The disk reads it now."""
        self._reads[read] = (root, size)

    def came(self, read: int, layer: bytes) -> tuple[bytes, list[Asked]]:
        """What the disk brought (empty: nothing): whose it is, and who waited for it."""
        root, size = self._reads.pop(read, (b"", 0))
        try:
            tree = LayerTree(layer, size)
        except TreeError:
            return root, self._waiting.pop(root, [])
        if tree.root == root:
            self._make_room(len(layer))
            self._trees[root] = (layer, tree)
        return root, self._waiting.pop(root, [])

    def _make_room(self, layer_bytes: int) -> None:
        """For one more, the oldest go: a tree is two hashes for each one of its layer."""
        while self._trees and (
            len(self._trees) >= TREES_MAX or 3 * (self._layer_bytes + layer_bytes) > TREES_BYTES_MAX
        ):
            del self._trees[next(iter(self._trees))]

    @property
    def _layer_bytes(self) -> int:
        return sum(len(layer) for layer, _ in self._trees.values())

    def answer(self, message: TreeRequest) -> tuple[TreeHashes, bytes]:
        """The hashes asked for, and their proof; TreeError for a range that has none."""
        root, first = message.root, message.first
        layer, tree = self._trees.pop(root)
        self._trees[root] = (layer, tree)  # the newest
        proof = tree.proof(first, message.count)
        hashes = layer[first * HASH_BYTES : (first + message.count) * HASH_BYTES]
        return TreeHashes(root, first, proof), hashes
