"""From a key to the documents that carry it, small while few do and fast when many do.

One document is kept as the number itself, up to 256 as an array, more as a Roaring bitmap: most
words of real file names stand in one name only, and most searches are decided by the few words
that stand in thousands. A key without documents is not kept. Nothing here knows which documents
are still shared: `Index` masks the dead ones and takes them out later.
"""

from array import array
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from pyroaring import BitMap

Key = TypeVar("Key", bound=Hashable)

ARRAY_DOCS_MAX: Final = 256  # measured: 52 bytes a file against 200 with a limit of 64
BITMAP_DOCS_MIN: Final = ARRAY_DOCS_MAX // 2  # below it an array again; apart, so as not to flap


class Postings(Generic[Key]):
    """Sets of document numbers (below 2^32) by key."""

    def __init__(self) -> None:
        self._docs: dict[Key, int | array[int] | BitMap] = {}

    def __len__(self) -> int:
        return len(self._docs)

    def add(self, key: Key, doc: int) -> None:
        """Note that `doc` carries `key`; the caller does so once for each pair."""
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

    def discard(self, key: Key, doc: int) -> None:
        """Undo an `add` of the same pair."""
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

    def count(self, key: Key) -> int:
        """How many documents carry `key`."""
        docs = self._docs.get(key)
        if docs is None:
            return 0
        return 1 if isinstance(docs, int) else len(docs)

    def bitmap(self, key: Key) -> BitMap:
        """The documents that carry `key`, to be read only: it may be the very one kept here."""
        docs = self._docs.get(key)
        if isinstance(docs, BitMap):
            return docs
        if docs is None:
            return BitMap()
        return BitMap([docs] if isinstance(docs, int) else docs)
