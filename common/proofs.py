"""Whether a hit is proven: its path of hashes leads to a root that the leaf itself signed.

A leaf's signature over one generation is checked once and remembered, as far as there is room.
That a hit answers what was asked, and whether its teller may speak of its address, is not looked at
here.
"""

from collections.abc import Sequence
from typing import Final

from common.content.catalogue import (
    EMPTY,
    PROOF_HASHES_MAX,
    Entry,
    inner_hash,
    slot_hash,
    statement,
)
from common.ids import NodeId, is_signed
from common.messages.cluster import Hit

VERIFIED_MAX: Final = 10_000  # roots whose signature was checked; 200 bytes each


class Proofs:
    """Checks hits of one network."""

    __slots__ = ("_network", "_signed")

    def __init__(self, network: str) -> None:
        self._network = network
        self._signed: dict[tuple[NodeId, int, bytes], None] = {}

    def hold(self, hit: Hit) -> bool:
        """Whether it is proven; some 15 us, and 100 where the signature is new."""
        root = proven_root(hit.slot, hit.entry, hit.proof)
        return root is not None and self._is_signed(hit, root)

    def _is_signed(self, hit: Hit, root: bytes) -> bool:
        node = hit.source.node
        key = (node, hit.generation, root)
        if key in self._signed:
            return True
        said = statement(self._network, node, hit.generation, root)
        if not is_signed(node, said, hit.signature):
            return False
        if len(self._signed) >= VERIFIED_MAX:
            del self._signed[next(iter(self._signed))]
        self._signed[key] = None
        return True


def proven_root(slot: int, entry: Entry, proof: Sequence[bytes]) -> bytes | None:
    """The root of a catalogue that holds `entry` in `slot`, by this path; None for a bad path."""
    if len(proof) > PROOF_HASHES_MAX or slot < 0 or slot >> len(proof):
        return None
    node = slot_hash(entry)
    for level, sibling in enumerate(proof):
        if len(sibling) != len(EMPTY):
            return None
        right = (slot >> level) & 1
        node = inner_hash(sibling, node) if right else inner_hash(node, sibling)
    return node
