"""Which leaves want which of our files, and what they asked for and have no answer to yet."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from common.content.merkle import piece_count, piece_size_bytes
from common.ids import NodeId
from common.limits import TREE_HASHES_MAX
from leaf.uploads.turns import Key

WISHES_MAX: Final = 4_000  # leaves that want something, waiting ones included (PARQ: 4,000)
PROOFS_EACH: Final = 4  # a range may be asked for again after a pause or a refusal; wild guess
WISHES_PER_LEAF_MAX: Final = 64  # files; wild guess


@dataclass(slots=True)
class Wish:
    """One leaf that wants one file."""

    size: int
    requests: dict[int, int] = field(default_factory=dict)  # offset -> length, not answered yet
    place: int = 0  # in the line, as it was told
    proofs: int = 0  # ranges of piece hashes that it asked for

    def may_have_proof(self) -> bool:
        """Whether it may ask for piece hashes once more: for each range a few times."""
        self.proofs += 1
        return self.proofs <= PROOFS_EACH * (piece_count(self.size) // TREE_HASHES_MAX + 1)

    def is_whole(self, offset: int, length: int) -> bool:
        """Whether a span is whole pieces inside the file."""
        piece_bytes, end = piece_size_bytes(self.size), offset + length
        return (
            offset % piece_bytes == 0
            and end <= self.size
            and (end % piece_bytes == 0 or end == self.size)
        )


class Wants:
    """All wishes, by leaf and file."""

    __slots__ = ("_roots", "_wishes")

    def __init__(self) -> None:
        self._wishes: dict[Key, Wish] = {}
        self._roots: dict[NodeId, dict[bytes, None]] = {}

    def __contains__(self, peer: NodeId) -> bool:
        return peer in self._roots

    def find(self, peer: NodeId, root: bytes) -> Wish | None:
        """What this leaf wants of this file."""
        return self._wishes.get((peer, root))

    def of(self, peer: NodeId) -> list[tuple[bytes, Wish]]:
        """All that this leaf wants."""
        return [(root, self._wishes[peer, root]) for root in self._roots.get(peer, ())]

    def of_file(self, root: bytes) -> list[tuple[NodeId, Wish]]:
        """All who want this file."""
        return [(key[0], wish) for key, wish in self._wishes.items() if key[1] == root]

    @property
    def peers(self) -> Iterable[NodeId]:
        """All who want something."""
        return self._roots

    def waits(self, peer: NodeId) -> bool:
        """Whether this leaf waits for bytes."""
        return any(wish.requests for _, wish in self.of(peer))

    def has_room(self, peer: NodeId, root: bytes) -> bool:
        """Whether this leaf may want this file too."""
        if (peer, root) in self._wishes:
            return True
        mine = len(self._roots.get(peer, ()))
        return len(self._wishes) < WISHES_MAX and mine < WISHES_PER_LEAF_MAX

    def add(self, peer: NodeId, root: bytes, size: int) -> None:
        """It wants this file; it may have done so before."""
        self._wishes.setdefault((peer, root), Wish(size)).place = 0
        self._roots.setdefault(peer, {})[root] = None

    def forget(self, peer: NodeId, root: bytes) -> bool:
        """It does not want it any more; whether it wants nothing now and did before."""
        if self._wishes.pop((peer, root), None) is None:
            return False
        del self._roots[peer][root]
        if self._roots[peer]:
            return False
        del self._roots[peer]
        return True
