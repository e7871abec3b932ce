"""From a key to the documents that carry it, small while few do and fast when many do.

Most words of real file names stand in one name only, and most searches are decided by the few words
that stand in thousands. So one document is kept as the number itself, up to 160 as the bytes of an
array, up to 3,000 as those of a Roaring bitmap, more as bitmaps, one for each strip
(`superpeer.index.strips`). A key without documents is not kept. Nothing here knows which documents
are still shared: `Index` knows the dead ones and takes them out later.
"""

import struct
from array import array
from collections.abc import Hashable, Iterable
from itertools import repeat
from operator import itemgetter
from typing import Final, Generic, TypeAlias, TypeVar

from pyroaring import BitMap

from superpeer.index.strips import CONTAINER_BITS, STRIPS, numbers_in

Key = TypeVar("Key", bound=Hashable)

ARRAY_DOCS_MAX: Final = 160
PACKED_DOCS_MAX: Final = 3_000  # unpacked in 3 us
FRESH_DOCS_MAX: Final = 16

_DOC: Final = struct.Struct("I")  # as in an array
_FRESH_BYTES_MAX: Final = _DOC.size * FRESH_DOCS_MAX
_pack_doc: Final = _DOC.pack
_count_of = itemgetter(0)


class _Packed:
    """The bytes of a bitmap, and of a few documents that are not in it yet.

    A bitmap among a million documents has 16 containers, each an allocation or two: some 1,000
    bytes that say nothing.
    """

    __slots__ = ("count", "fresh", "packed")

    def __init__(self, docs: BitMap) -> None:
        self.count = len(docs)
        self.packed: bytes = docs.serialize()
        self.fresh = b""

    def pack(self) -> None:
        """Put in what is fresh."""
        self.packed, self.fresh = self.unpacked().serialize(), b""

    def unpacked(self) -> BitMap:
        """All of them."""
        docs = BitMap.deserialize(self.packed)
        if self.fresh:
            docs.update(array("I", self.fresh))
        return docs


class _Many:
    """A bitmap for each strip, and how many documents are in all: counting them would touch each
    container.

    Whenever they have grown by a 32nd their containers are made anew, side by side and no larger
    than they must be: a fifth less memory, and met a fifth faster.
    """

    __slots__ = ("count", "last", "last_strip", "pack_at", "strips")

    def __init__(self, docs: BitMap) -> None:
        """Of these documents, more than none."""
        self.count = len(docs)
        self.last_strip = STRIPS[docs.max() >> CONTAINER_BITS]
        self.strips = [docs & BitMap(numbers_in(strip)) for strip in range(self.last_strip + 1)]
        self.pack()

    def add(self, doc: int, strip: int) -> None:
        """One more, which lies in this strip."""
        while len(self.strips) <= strip:
            self.strips.append(BitMap())
        self.strips[strip].add(doc)
        self.last_strip, self.last = len(self.strips) - 1, self.strips[-1]

    def pack(self) -> None:
        """Make them anew."""
        self.strips = [BitMap.deserialize(docs.serialize()) for docs in self.strips]
        self.last = self.strips[-1]  # new documents mostly lie in this one
        self.pack_at = self.count + self.count // 32


Docs: TypeAlias = int | bytes | _Packed | _Many
Counted: TypeAlias = tuple[int, Docs]  # how many documents, and which


class Postings(Generic[Key]):
    """Sets of document numbers (below 2^24) by key."""

    __slots__ = ("_docs",)

    def __init__(self) -> None:
        self._docs: dict[Key, Docs] = {}

    def __len__(self) -> int:
        return len(self._docs)

    def add(self, keys: Iterable[Key], doc: int) -> list[Key]:
        """Note that `doc` carries these, once for each pair; those that it is the first to carry.

        Half of what adding a file takes: all its keys in one call, the most frequent case first.
        """
        all_docs, packed, first = self._docs, _pack_doc(doc), []
        strip = STRIPS[doc >> CONTAINER_BITS]
        for key in keys:
            docs = all_docs.get(key)
            if docs is None:
                all_docs[key] = doc
                first.append(key)
            elif type(docs) is _Many:
                if strip == docs.last_strip:
                    docs.last.add(doc)
                else:
                    docs.add(doc, strip)
                docs.count = count = docs.count + 1
                if count > docs.pack_at:
                    docs.pack()
            elif type(docs) is _Packed:
                docs.count = count = docs.count + 1
                docs.fresh += packed
                if len(docs.fresh) > _FRESH_BYTES_MAX:
                    docs.pack()
                    if count > PACKED_DOCS_MAX:
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
            docs.strips[STRIPS[doc >> CONTAINER_BITS]].remove(doc)
            docs.count -= 1
            if docs.count <= PACKED_DOCS_MAX // 2:
                self._docs[key] = _Packed(whole(docs))
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

    def strip(self, key: Key, strip: int) -> BitMap:
        """The documents that carry `key`, to be read only: all of one strip, and perhaps others."""
        docs = self._docs.get(key)
        return BitMap() if docs is None else part(docs, strip)

    def rarest_first(self, keys: Iterable[Key]) -> list[Counted]:
        """The documents of each of these keys; none where one key has none."""
        all_docs, found = self._docs, list[Counted]()
        for key in keys:
            docs = all_docs.get(key)
            if docs is None:
                return []
            if isinstance(docs, bytes):
                found.append((len(docs) // _DOC.size, docs))
            else:
                found.append((1 if isinstance(docs, int) else docs.count, docs))
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
            elif isinstance(docs, _Packed):
                many.append(docs.unpacked())
            else:
                many += docs.strips
        return BitMap(array("I", sorted(few))).union(*many)  # in order: a third of the time


def counted(docs: BitMap) -> Counted:
    """These, in strips."""
    return len(docs), _Many(docs) if docs else b""


def side_by_side(needed: Iterable[Counted]) -> Iterable[tuple[BitMap, ...]]:
    """These sets strip by strip, to be read only, up to where one of them ends; all at once if
    none is in strips."""
    sets: list[Iterable[BitMap]] = []
    in_strips = False
    for _, docs in needed:
        if type(docs) is _Many:
            sets.append(docs.strips)
            in_strips = True
        else:
            sets.append(repeat(whole(docs)))
    strips = zip(*sets, strict=False)
    return strips if in_strips else [next(strips)]


def part(docs: Docs, strip: int) -> BitMap:
    """Those of one strip, to be read only, and perhaps others."""
    if not isinstance(docs, _Many):
        return whole(docs)
    return docs.strips[strip] if strip < len(docs.strips) else BitMap()


def few(docs: Docs) -> list[int] | None:
    """Their numbers in the order in which they came, where they are few enough to be looked at one
    by one; else None."""
    if type(docs) is bytes:
        return array("I", docs).tolist()
    return [docs] if type(docs) is int else None


def whole(docs: Docs) -> BitMap:
    """All of them."""
    if isinstance(docs, _Packed):
        return docs.unpacked()
    return BitMap().union(*docs.strips) if isinstance(docs, _Many) else BitMap(few(docs))


def those_in(docs: Docs, some: list[int]) -> list[int]:
    """Which of some documents are among these."""
    if isinstance(docs, _Many):
        strips, last = docs.strips, docs.last_strip
        return [
            doc
            for doc in some
            if (strip := STRIPS[doc >> CONTAINER_BITS]) <= last and doc in strips[strip]
        ]
    numbers = few(docs)
    there = whole(docs) if numbers is None else frozenset(numbers)
    return [doc for doc in some if doc in there]
