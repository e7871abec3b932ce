"""Where each document of the index lies: which leaf, which slot of its catalogue.

Documents are numbers. Those of a leaf come in pages of 64 side by side, one page for 64 of its
slots; so a number tells its leaf and slot, and back, for a fraction of a byte a file, and a leaf's
documents are a few ranges. Pages are given out again once they are given back. What a document says
is not looked at here.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from common.catalogue import Entry

PAGE_BITS: Final = 6
PAGE: Final = 1 << PAGE_BITS  # slots; a leaf with one file wastes 63 numbers, and no memory
NO_PAGE: Final = 2**32 - 1


class Found(msgspec.Struct, frozen=True, gc=False):
    """An entry, whose it is, and its slot in that leaf's catalogue; `doc` is its place among all
    answers."""

    leaf: bytes
    slot: int
    entry: Entry
    doc: int


class Shelf:
    """What one leaf shares, by slot."""

    __slots__ = ("entries", "files", "keys", "leaf", "pages")

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf
        self.entries: list[Entry | None] = []
        self.files = 0
        self.keys = 0  # by how many keys they are found
        self.pages = array("I")

    def get(self, slot: int) -> Entry | None:
        """What is in `slot`."""
        return self.entries[slot] if slot < len(self.entries) else None

    def put(self, slot: int, entry: Entry | None, keys: int) -> None:
        """Fill `slot`, which may lie beyond all earlier ones, or empty it; one or the other."""
        missing = slot + 1 - len(self.entries)
        if missing > 0:
            self.entries.extend([None] * missing)
        self.entries[slot] = entry
        self.files += 1 if entry is not None else -1
        self.keys += keys


class Shelves:
    """The pages of all leaves."""

    __slots__ = ("_first", "_free", "_owners")

    def __init__(self) -> None:
        self._owners: list[Shelf] = []  # by page; of one that is free, the last
        self._first = array("I")  # by page: the first of its slots
        self._free: list[int] = []

    @property
    def docs(self) -> int:
        """Above all numbers that were given out."""
        return len(self._owners) << PAGE_BITS

    def doc(self, shelf: Shelf, slot: int) -> int:
        """The number of the document in `slot`, which has a page from now on."""
        place = slot >> PAGE_BITS
        missing = place + 1 - len(shelf.pages)
        if missing > 0:
            shelf.pages.extend([NO_PAGE] * missing)
        if shelf.pages[place] == NO_PAGE:
            shelf.pages[place] = self._take(shelf, place << PAGE_BITS)
        return shelf.pages[place] << PAGE_BITS | slot & PAGE - 1

    def read(self, docs: Iterable[int]) -> Iterator[Found]:
        """What these documents say, each of which must say something."""
        owners, firsts = self._owners, self._first
        for doc in docs:  # the inner loop of a search: nothing is called but the constructor
            page = doc >> PAGE_BITS
            shelf, slot = owners[page], firsts[page] + (doc & PAGE - 1)
            entry = shelf.entries[slot]
            if entry is None:
                raise AssertionError(f"document {doc} is alive and says nothing")
            yield Found(shelf.leaf, slot, entry, doc)

    def root(self, doc: int) -> bytes | None:
        """Of which content a document is."""
        page = doc >> PAGE_BITS
        entry = self._owners[page].entries[self._first[page] + (doc & PAGE - 1)]
        return entry.root if entry is not None else None

    def ranges(self, shelf: Shelf) -> Iterator[tuple[int, int]]:
        """Where the documents of a leaf are: [first, beyond) of each page."""
        for page in shelf.pages:
            if page != NO_PAGE:
                yield page << PAGE_BITS, (page + 1) << PAGE_BITS

    def give_back(self, shelf: Shelf) -> None:
        """The last page of a leaf is not used any more."""
        page = shelf.pages.pop()
        if page != NO_PAGE:
            self._free.append(page)

    def _take(self, shelf: Shelf, first: int) -> int:
        if self._free:
            page = self._free.pop()
            self._owners[page], self._first[page] = shelf, first
            return page
        self._owners.append(shelf)
        self._first.append(first)
        return len(self._owners) - 1
