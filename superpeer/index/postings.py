"""From a key to the documents that carry it, small while few do and fast when many do.

Most words of real file names stand in one name only, and most searches are decided by the few words
that stand in thousands. So one document is kept as the number itself, up to 128 as the bytes of an
array, up to 3,000 as those of a Roaring bitmap, more as a bitmap. A key without documents is not
kept.
Nothing here knows which documents are still shared: `Index` knows the dead ones and takes them out
later.
"""

import struct
from array import array
from collections.abc import Hashable, Iterable
from operator import itemgetter
from typing import Final, Generic, TypeAlias, TypeVar

from pyroaring import BitMap

Key = TypeVar("Key", bound=Hashable)
Counted = tuple[int, BitMap]  # how many documents, and which

ARRAY_DOCS_MAX: Final = 128
PACKED_DOCS_MAX: Final = 3_000  # unpacked in 3 us, hardly slower than its containers one by one
FRESH_DOCS_MAX: Final = 16

_count_of = itemgetter(0)
_DOC: Final = struct.Struct("I")  # as in an array
_FRESH_BYTES_MAX: Final = _DOC.size * FRESH_DOCS_MAX
_pack_doc: Final = _DOC.pack


class _Packed:
    """The bytes of a bitmap, and of a few documents that are not in it yet.

    A bitmap among a million documents has 16 containers, each an allocation or two: some 1,000
    bytes that say nothing.
    """

    __slots__ = ("_packed", "count", "fresh")

    def __init__(self, docs: BitMap) -> None:
        self.count = len(docs)
        self._packed: bytes = docs.serialize()
        self.fresh = b""

    def pack(self) -> None:
        self._packed, self.fresh = self.unpacked().serialize(), b""

    def unpacked(self) -> BitMap:
        docs = BitMap.deserialize(self._packed)
        if self.fresh:
            docs.update(array("I", self.fresh))
        return docs


class _Many:
    """A bitmap, and how many documents are in it: counting them would touch each container.

    Whenever it has grown by an eighth its containers are made anew, side by side and no larger than
    they must be: a fifth less memory, and met a fifth faster.
    """

    __slots__ = ("count", "docs", "pack_at")

    def __init__(self, docs: BitMap) -> None:
        self.docs = docs
        self.count = len(docs)
        self.pack_at = 0

    def pack(self) -> None:
        self.docs = BitMap.deserialize(self.docs.serialize())
        self.pack_at = self.count + self.count // 8


_Docs: TypeAlias = int | bytes | _Packed | _Many


class Postings(Generic[Key]):
    """Sets of document numbers (below 2^32) by key."""

    __slots__ = ("_docs",)

    def __init__(self) -> None:
        self._docs: dict[Key, _Docs] = {}

    def __len__(self) -> int:
        return len(self._docs)

    def add(self, keys: Iterable[Key], doc: int) -> list[Key]:
        """Note that `doc` carries these, once for each pair; those that it is the first to carry.

        Half of what adding a file takes: all its keys in one call, the most frequent case first.
        """
        all_docs, packed, first = self._docs, _pack_doc(doc), []
        for key in keys:
            docs = all_docs.get(key)
            if docs is None:
                all_docs[key] = doc
                first.append(key)
            elif type(docs) is _Many:
                docs.docs.add(doc)
                docs.count += 1
                if docs.count > docs.pack_at:
                    docs.pack()
            elif type(docs) is _Packed:
                docs.count += 1
                docs.fresh += packed
                if len(docs.fresh) > _FRESH_BYTES_MAX:
                    docs.pack()
                    if docs.count > PACKED_DOCS_MAX:
                        all_docs[key] = _Many(docs.unpacked())
            elif type(docs) is bytes:
                few = len(docs) < _DOC.size * ARRAY_DOCS_MAX
                docs += packed
                all_docs[key] = docs if few else _Packed(BitMap(array("I", docs)))
            elif type(docs) is int:
                all_docs[key] = _pack_doc(docs) + packed
        return first

    def discard(self, key: Key, doc: int) -> bool:
        """Undo an `add` of the same pair; whether nobody carries `key` any more.

        Shapes change back at half the size at which they came, so as not to flap.
        """
        docs = self._docs[key]
        if isinstance(docs, _Many):
            docs.docs.remove(doc)
            docs.count -= 1
            if docs.count <= PACKED_DOCS_MAX // 2:
                self._docs[key] = _Packed(docs.docs)
        elif isinstance(docs, int):
            del self._docs[key]
        elif isinstance(docs, _Packed):
            left = docs.unpacked()
            left.remove(doc)
            few = len(left) <= ARRAY_DOCS_MAX // 2
            self._docs[key] = array("I", left).tobytes() if few else _Packed(left)
        else:
            some = array("I", docs)
            some.remove(doc)
            self._docs[key] = some.tobytes() if len(some) > 1 else some[0]
        return isinstance(docs, int)

    def bitmap(self, key: Key) -> BitMap:
        """The documents that carry `key`, to be read only: it may be the very one kept here."""
        docs = self._docs.get(key)
        return BitMap() if docs is None else _counted(docs)[1]

    def rarest_first(self, keys: Iterable[Key]) -> list[Counted]:
        """The documents of each of these keys, to be read only; none where one key has none."""
        there = []
        for key in keys:
            docs = self._docs.get(key)
            if docs is None:
                return []
            there.append(docs)
        found = [
            (docs.count, docs.docs) if isinstance(docs, _Many) else _counted(docs) for docs in there
        ]
        found.sort(key=_count_of)
        return found

    def union(self, keys: Iterable[Key]) -> BitMap:
        """The documents that carry one of these keys or more."""
        few, many = array("I"), []
        for key in keys:
            docs = self._docs.get(key, b"")
            if isinstance(docs, bytes):
                few.frombytes(docs)
            elif isinstance(docs, int):
                few.append(docs)
            else:
                many.append(_counted(docs)[1])
        return BitMap(array("I", sorted(few))).union(*many)  # in order: a third of the time


def _counted(docs: _Docs) -> Counted:
    """To be read only."""
    if isinstance(docs, bytes):
        return len(docs) // _DOC.size, BitMap(array("I", docs))
    if isinstance(docs, _Packed):
        return docs.count, docs.unpacked()
    if isinstance(docs, _Many):
        return docs.count, docs.docs
    return 1, BitMap((docs,))
