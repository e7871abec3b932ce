"""What one leaf shares: entries in numbered slots under one Merkle root, signed once a generation.

The root is a function of what the slots hold now, never of the order in which it got there, so a
leaf and the super-peer that follows its deltas arrive at the same root. A slot's proof is the
path of hashes beside it; with the leaf's signature over the root it proves one entry to somebody
who has seen nothing else of the leaf. Nothing here signs, and nothing checks the types of an
entry: that is the border's.

Bytes, for other languages (all integers big-endian and unsigned, text UTF-8, SHA-256):

    entry      root (32) | size (8) | modified_s (8) | name | folder
    text       length in bytes (2) | the bytes
    slot hash  SHA-256(0x00 | entry), or 32 zero bytes for an empty slot
    inner hash SHA-256(0x01 | left | right), of two empty halves too      (as in RFC 6962)
    root       of the slots 0 .. 2^d - 1, d the smallest that holds the highest slot in use;
               with one slot its hash, with none 32 zero bytes
    proof      d hashes, from the slot's sibling to the child of the root
    statement  "superpeer catalogue 1" 0x00 | network | leaf (32) | generation (8) | root (32)
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    FILES_PER_LEAF_MAX,
    STRING_BYTES_MAX,
)

HASH_BYTES: Final = 32
EMPTY: Final = bytes(HASH_BYTES)
PROOF_HASHES_MAX: Final = (FILES_PER_LEAF_MAX - 1).bit_length()
_BLOCK_LEVELS: Final = 6  # of a proof, that are read each time; the rest is kept for 64 slots each

_STATEMENT = b"superpeer catalogue 1\0"
_SLOT = b"\x00"
_INNER = b"\x01"


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One shared file: what it is (`root`, `size` in bytes) and how its leaf calls it.

    `folder` is the path inside the share, '/' between its parts and '' at the top; `modified_s`
    is in Unix seconds, 0 where unknown. The character limits here are the outer ones; the same
    numbers hold in bytes where frames are decoded.
    """

    root: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    size: Annotated[int, Meta(ge=0, le=FILE_SIZE_MAX)]
    name: Annotated[str, Meta(min_length=1, max_length=FILE_NAME_BYTES_MAX)]
    folder: Annotated[str, Meta(max_length=STRING_BYTES_MAX)] = ""
    modified_s: Annotated[int, Meta(ge=0, le=2**40)] = 0


class Catalogue:
    """The slots of one leaf. Changes are noted and hashed together when a root is asked for."""

    __slots__ = ("_above", "_count", "_entries", "_levels", "_stale")

    def __init__(self) -> None:
        self._entries: list[Entry | None] = []
        self._levels = [bytearray()]  # as many as the largest tree so far had
        self._stale: dict[int, None] = {}
        self._above: dict[int, list[bytes]] = {}  # the upper part of proofs, by block of slots
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, slot: int) -> Entry | None:
        """The entry in `slot`, None where it is empty."""
        return self._entries[slot] if 0 <= slot < len(self._entries) else None

    def items(self) -> list[tuple[int, Entry]]:
        """All (slot, entry), by slot."""
        return [(slot, entry) for slot, entry in enumerate(self._entries) if entry is not None]

    def put(self, slot: int, entry: Entry) -> None:
        """Set or replace `slot`; ValueError for a slot that no catalogue has."""
        if not 0 <= slot < FILES_PER_LEAF_MAX:
            raise ValueError(f"slot {slot} is not below {FILES_PER_LEAF_MAX}")
        missing = slot + 1 - len(self._entries)
        if missing > 0:
            self._entries.extend([None] * missing)
        self._count += self._entries[slot] is None
        self._entries[slot] = entry
        self._stale[slot] = None

    def drop(self, slot: int) -> None:
        """Empty `slot`; nothing happens where it is empty already."""
        if self.get(slot) is None:
            return
        self._count -= 1
        self._entries[slot] = None
        self._stale[slot] = None
        while self._entries and self._entries[-1] is None:
            self._entries.pop()

    def root(self) -> bytes:
        """The hash over all slots. 2 us per changed entry when many did, 30 us for one."""
        self._refresh()
        return self._node(self._depth(), 0)

    def proof(self, slot: int) -> list[bytes]:
        """The hashes that prove `slot` under `root()`; KeyError where it is empty."""
        if self.get(slot) is None:
            raise KeyError(slot)
        self._refresh()
        block = slot >> _BLOCK_LEVELS
        above = self._above.get(block)
        if above is None:
            levels = range(_BLOCK_LEVELS, self._depth())
            above = self._above[block] = [self._node(at, (slot >> at) ^ 1) for at in levels]
        below = self._levels[: min(_BLOCK_LEVELS, self._depth())]
        starts = [((slot >> level) ^ 1) * HASH_BYTES for level in range(len(below))]
        return [
            bytes(nodes[start : start + HASH_BYTES]) or _EMPTY_AT[level]
            for level, (nodes, start) in enumerate(zip(below, starts, strict=True))
        ] + above

    def _depth(self) -> int:
        return max(len(self._entries) - 1, 0).bit_length()

    def _node(self, level: int, place: int) -> bytes:
        """The hash at `place` of `level`; beyond what was ever used all slots are empty."""
        start = place * HASH_BYTES
        return bytes(self._levels[level][start : start + HASH_BYTES]) or _EMPTY_AT[level]

    def _refresh(self) -> None:
        """Hash what changed, level by level, so that a shared ancestor is hashed once.

        All levels that there ever were are kept up, also those above the present root: a catalogue
        that shrinks and grows again then never meets an old hash.
        """
        if not self._stale:
            return
        stale = list(self._stale)
        self._stale.clear()
        self._above.clear()
        self._fit(0, max(stale))
        nodes = self._levels[0]
        for slot in stale:
            entry = self.get(slot)
            start = slot * HASH_BYTES
            nodes[start : start + HASH_BYTES] = EMPTY if entry is None else slot_hash(entry)
        for level in range(max(self._depth(), len(self._levels) - 1)):
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
                stale.append(0)  # all that was below the old top
            stale = list(dict.fromkeys([place >> 1 for place in stale]))
            self._fit(level + 1, max(stale))
            _hash_pairs(self._levels[level], self._levels[level + 1], stale)

    def _fit(self, level: int, place: int) -> None:
        """Make room for `place` and its sibling, as empty slots."""
        nodes = self._levels[level]
        missing = (place | 1) + 1 - len(nodes) // HASH_BYTES
        if missing > 0:
            nodes += _EMPTY_AT[level] * missing


def _hash_pairs(below: bytearray, above: bytearray, places: list[int]) -> None:
    """Set `places` of the level above from the two nodes under each."""
    for place in places:
        start = place * HASH_BYTES
        pair = below[2 * start : 2 * start + 2 * HASH_BYTES]
        above[start : start + HASH_BYTES] = sha256(_INNER + pair).digest()


def slot_hash(entry: Entry) -> bytes:
    """The hash of a slot that holds `entry`."""
    name, folder = entry.name.encode(), entry.folder.encode()
    numbers = struct.pack(">QQH", entry.size, entry.modified_s, len(name))
    inside = struct.pack(">H", len(folder)) + folder
    return sha256(_SLOT + entry.root + numbers + name + inside).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two nodes of the tree."""
    return sha256(_INNER + left + right).digest()


def verify(root: bytes, slot: int, entry: Entry, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the catalogue under `root` holds `entry` in `slot`.

    The depth needs no telling: a slot hash and an inner hash never coincide, so a proof of another
    length than the tree's leads to another root.
    """
    if len(proof) > PROOF_HASHES_MAX or slot < 0 or slot >> len(proof):
        return False
    node = slot_hash(entry)
    for level, sibling in enumerate(proof):
        if len(sibling) != HASH_BYTES:
            return False
        right = (slot >> level) & 1
        node = inner_hash(sibling, node) if right else inner_hash(node, sibling)
    return node == root


def statement(network: str, leaf: bytes, generation: int, root: bytes) -> bytes:
    """What `leaf` signs: that `root` is over everything it shares, as of `generation`."""
    name = network.encode()
    named = struct.pack(">H", len(name)) + name
    return _STATEMENT + named + leaf + struct.pack(">Q", generation) + root


def _empty_levels() -> list[bytes]:
    """The hash of a wholly empty subtree, by its height."""
    levels = [EMPTY]
    for _ in range(PROOF_HASHES_MAX):
        levels.append(inner_hash(levels[-1], levels[-1]))
    return levels


_EMPTY_AT: Final = _empty_levels()
