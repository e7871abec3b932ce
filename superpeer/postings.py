"""From a key to the documents that carry it, small while few do and fast when many do.

One document is kept as the number itself, up to 256 as an array, more as a Roaring bitmap: most
words of real file names stand in one name only, and most searches are decided by the few words
that stand in thousands. A key without documents is not kept. A bitmap that has grown by an
eighth is packed: its containers, made anew side by side and no larger than they must be, take a
fifth less memory and are met a fifth faster. Nothing here knows which documents are still shared:
`Index` masks the dead ones and takes them out later.
"""

from array import array
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeAlias, TypeVar

from pyroaring import BitMap

Key = TypeVar("Key", bound=Hashable)
_Docs: TypeAlias = "int | array[int] | BitMap | tuple[()]"

ARRAY_DOCS_MAX: Final = 256  # measured: 52 bytes a file against 200 with a limit of 64
BITMAP_DOCS_MIN: Final = ARRAY_DOCS_MAX // 2  # below it an array again; apart, so as not to flap


class Postings(Generic[Key]):
    """Sets of document numbers (below 2^32) by key."""

    def __init__(self) -> None:
        self._docs: dict[Key, int | array[int] | BitMap] = {}

    def __len__(self) -> int:
        return len(self._docs)

    def add(self, key: Key, doc: int) -> bool:
        """Note that `doc` carries `key`, once for each pair; whether it is the first to do so."""
        docs = self._docs.get(key)
        if docs is None:
            self._docs[key] = doc
        elif isinstance(docs, BitMap):
            docs.add(doc)
            if _is_loose(len(docs)):
                self._docs[key] = _packed(docs)
        elif isinstance(docs, int):
            self._docs[key] = array("I", (docs, doc))
        elif len(docs) < ARRAY_DOCS_MAX:
            docs.append(doc)
        else:
            docs.append(doc)
            self._docs[key] = _packed(BitMap(docs))
        return docs is None

    def discard(self, key: Key, doc: int) -> bool:
        """Undo an `add` of the same pair; whether nobody carries `key` any more."""
        docs = self._docs[key]
        if isinstance(docs, BitMap):
            docs.discard(doc)
            if len(docs) < BITMAP_DOCS_MIN:
                self._docs[key] = array("I", docs)
        elif isinstance(docs, int):
            del self._docs[key]
        else:
            docs.remove(doc)
            if len(docs) == 1:
                self._docs[key] = docs[0]
        return isinstance(docs, int)

    def count(self, key: Key) -> int:
        """How many documents carry `key`."""
        return _count(self._docs.get(key, ()))

    def bitmap(self, key: Key) -> BitMap:
        """The documents that carry `key`, to be read only: it may be the very one kept here."""
        return _bitmap(self._docs.get(key, ()))

    def bitmaps(self, keys: Iterable[Key]) -> list[BitMap]:
        """The documents of each of these keys, to be read only, the fewest first; none where one
        has none."""
        found = []
        for key in keys:
            docs = self._docs.get(key)
            if docs is None:
                return []
            found.append(docs if isinstance(docs, BitMap) else _bitmap(docs))
        if len(found) > 1:
            found.sort(key=len)
        return found

    def union(self, keys: Iterable[Key]) -> BitMap:
        """The documents that carry one of these keys or more."""
        few, many = array("I"), []
        for key in keys:
            docs = self._docs.get(key, ())
            if isinstance(docs, BitMap):
                many.append(docs)
            elif isinstance(docs, int):
                few.append(docs)
            else:
                few.extend(docs)
        return BitMap(few).union(*many)


def _count(docs: _Docs) -> int:
    return 1 if isinstance(docs, int) else len(docs)


def _bitmap(docs: _Docs) -> BitMap:
    """To be read only."""
    if isinstance(docs, BitMap):
        return docs
    return BitMap((docs,) if isinstance(docs, int) else docs)


def _is_loose(count: int) -> bool:
    """Whether a bitmap that grew to so many documents has an eighth more than when it was packed."""
    return not count & (1 << count.bit_length() - 3) - 1


def _packed(docs: BitMap) -> BitMap:
    return BitMap.deserialize(docs.serialize())
