"""What a hostile leaf says that it shares: true contents and made-up ones, signed like any other.

The catalogue and its signature are as the protocol wants them, so that nothing but the bytes
themselves can show what the claims are worth.
"""

from typing import Final

from common.content.catalogue import Catalogue, Entry, statement
from common.content.merkle import FileHasher, FileTree, LayerTree, TreeError, piece_count
from common.messages.cluster import Publish, Put
from deploy.sim.hostile.nature import Nature

PUTS_MAX: Final = 60  # in one message: far below a frame, whatever the names


class Ware:
    """A content that is truly there, with its tree."""

    def __init__(self, data: bytes) -> None:
        hasher = FileHasher(len(data))
        hasher.update(data)
        self.data = data
        self.tree: FileTree = hasher.finish()

    def hashes(self, first: int, count: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        """The true piece hashes of a range and their proof; None where there are none."""
        layer = self.tree.layer or self.tree.root
        try:
            proof = LayerTree(layer, self.tree.size).proof(first, count)
        except TreeError:
            return None
        last = min(first + count, piece_count(self.tree.size))
        return layer[32 * first : 32 * last], proof


class Wares:
    """The catalogue of one hostile leaf; `wares` are its true contents by root."""

    def __init__(self, nature: Nature) -> None:
        self._identity = nature.identity
        self._network = nature.network.name
        self.generation = nature.epoch << 20
        self.catalogue = Catalogue()
        self.wares: dict[bytes, Ware] = {}
        for path, data in nature.contents.items():
            self.stock(path, data)

    def __len__(self) -> int:
        return len(self.catalogue)

    def has(self, root: bytes, size: int) -> bool:
        """Whether this content is truly there."""
        return root in self.wares and self.wares[root].tree.size == size

    def stock(self, path: str, data: bytes) -> None:
        """Claim a content that is there."""
        ware = Ware(data)
        self.wares[ware.tree.root] = ware
        folder, _, name = path.rpartition("/")
        self.claim(Entry(ware.tree.root, ware.tree.size, name, folder))

    def claim(self, entry: Entry) -> None:
        """Claim anything, in the next slot."""
        self.catalogue.put(len(self.catalogue), entry)

    def publish(self) -> list[Publish]:
        """All of it afresh as the next generation, duly signed."""
        self.generation += 1
        puts = [Put(slot, entry) for slot, entry in self.catalogue.items()]
        parts = [tuple(puts[at : at + PUTS_MAX]) for at in range(0, len(puts), PUTS_MAX)] or [()]
        return [
            Publish(
                self.generation,
                part,
                signature=self.signature() if place == len(parts) - 1 else None,
                afresh=place == 0,
            )
            for place, part in enumerate(parts)
        ]

    def signature(self) -> bytes:
        """Ours over the catalogue as it stands."""
        said = statement(self._network, self._identity.node, self.generation, self.catalogue.root())
        return self._identity.sign(said)
