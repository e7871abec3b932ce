"""From a key to the documents that carry it, small while few do and fast when many do.

One document is kept as the number itself, up to 256 as an array, more as a Roaring bitmap: most
words of real file names stand in one name only, and most searches are decided by the few words
that stand in thousands. A key without documents is not kept. Nothing here knows which documents
are still shared: `Index` masks the dead ones and takes them out later.
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
        elif isinstance(docs, int):
            self._docs[key] = array("I", (docs, doc))
        elif len(docs) < ARRAY_DOCS_MAX:
            docs.append(doc)
        else:
            many = self._docs[key] = BitMap(docs)
            many.add(doc)
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

    def rarest_first(self, keys: Iterable[Key]) -> list[BitMap]:
        """The documents of each of these keys, to be read only; none where one has none."""
        postings = sorted([self._docs.get(key, ()) for key in keys], key=_count)
        return [_bitmap(docs) for docs in postings] if postings and _count(postings[0]) else []


def _count(docs: _Docs) -> int:
    return 1 if isinstance(docs, int) else len(docs)


def _bitmap(docs: _Docs) -> BitMap:
    """To be read only."""
    if isinstance(docs, BitMap):
        return docs
    return BitMap((docs,) if isinstance(docs, int) else docs)
