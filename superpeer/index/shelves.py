"""The documents of the index: what each says, and which slot of which leaf's catalogue it is.

Documents are numbers. Those of a leaf come in pages of 64 side by side, one page for 64 of its
slots; so a number tells its leaf and slot, and back, for a fraction of a byte a file, and a leaf's
documents are a few ranges. Pages are given out again once they are given back. Entries stand in
rows of many pages: one long list would leave a hole as large as itself whenever it grows.
"""

from array import array
from collections.abc import Iterator
from typing import Final

from common.content.catalogue import Entry

PAGE_BITS: Final = 6
PAGE: Final = 1 << PAGE_BITS  # slots; a leaf with one file wastes 63 numbers, 8 bytes each
ROW_BITS: Final = 12
ROW: Final = 1 << ROW_BITS  # documents
NO_PAGE: Final = 2**32 - 1
NOTHING: Final = Entry(bytes(32), 0, "nothing")  # what a free slot says; known by identity


class Shelf:
    """What one leaf shares: pages by the place of their slots, and how much is on them."""

    __slots__ = ("files", "hidden", "keys", "leaf", "pages")

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf
        self.files = 0
        self.hidden = False  # in no answer
        self.keys = 0  # by how many keys they are found
        self.pages = array("I")


class Shelves:
    """The pages of all leaves."""

    __slots__ = ("_first", "_free", "_owners", "_rows", "changes")

    def __init__(self) -> None:
        self.changes = 0
        """How often a document has come or gone."""
        self._rows: list[list[Entry]] = []  # by document
        self._owners: list[Shelf] = []  # by page; of one that is free, the last
        self._first = array("I")  # by page: the first of its slots
        self._free: list[int] = []

    @property
    def docs(self) -> int:
        """Above all numbers that were given out."""
        return len(self._owners) << PAGE_BITS

    def has_room(self, docs_max: int) -> bool:
        """Whether there is a page for whoever needs one, of numbers below `docs_max`."""
        return bool(self._free) or self.docs + PAGE <= docs_max

    def get(self, shelf: Shelf, slot: int) -> tuple[int, Entry] | None:
        """The document in `slot`, and what it says; None where there is none."""
        place = slot >> PAGE_BITS
        page = shelf.pages[place] if place < len(shelf.pages) else NO_PAGE
        if page == NO_PAGE:
            return None
        doc = page << PAGE_BITS | slot & PAGE - 1
        entry = self._rows[doc >> ROW_BITS][doc & ROW - 1]
        return None if entry is NOTHING else (doc, entry)

    def put(self, shelf: Shelf, slot: int, entry: Entry) -> int:
        """Fill `slot`, which is free; the document that it is now."""
        place, pages = slot >> PAGE_BITS, shelf.pages
        if place >= len(pages):
            pages.extend([NO_PAGE] * (place + 1 - len(pages)))
        page = pages[place]
        if page == NO_PAGE:
            page = pages[place] = self._take(shelf, place << PAGE_BITS)
        doc = page << PAGE_BITS | slot & PAGE - 1
        self._rows[doc >> ROW_BITS][doc & ROW - 1] = entry
        shelf.files += 1
        self.changes += 1
        return doc

    def free(self, shelf: Shelf, doc: int) -> None:
        """This document says nothing any more."""
        self._rows[doc >> ROW_BITS][doc & ROW - 1] = NOTHING
        shelf.files -= 1
        self.changes += 1

    def entry(self, doc: int) -> Entry:
        """What one document says: `NOTHING` where there is none."""
        return self._rows[doc >> ROW_BITS][doc & ROW - 1]

    def where(self, doc: int) -> tuple[bytes, int]:
        """Whose document it is, and in which slot."""
        page = doc >> PAGE_BITS
        return self._owners[page].leaf, self._first[page] + (doc & PAGE - 1)

    def ranges(self, shelf: Shelf) -> Iterator[tuple[int, int]]:
        """Where the documents of a leaf are: [first, beyond) of each page."""
        for page in shelf.pages:
            if page != NO_PAGE:
                yield page << PAGE_BITS, (page + 1) << PAGE_BITS

    def last_page(self, shelf: Shelf) -> list[tuple[int, Entry]]:
        """The documents of a leaf's last page, and what they say."""
        if shelf.pages[-1] == NO_PAGE:
            return []
        first = shelf.pages[-1] << PAGE_BITS
        page = [(doc, self.entry(doc)) for doc in range(first, first + PAGE)]
        return [(doc, entry) for doc, entry in page if entry is not NOTHING]

    def give_back(self, shelf: Shelf) -> tuple[int, int]:
        """The last page of a leaf, which is empty, is not used any more; where it was."""
        page = shelf.pages.pop()
        if page == NO_PAGE:
            return 0, 0
        self._free.append(page)
        return page << PAGE_BITS, (page + 1) << PAGE_BITS

    def _take(self, shelf: Shelf, first: int) -> int:
        if self._free:
            page = self._free.pop()
            self._owners[page], self._first[page] = shelf, first
            return page
        if self.docs == len(self._rows) << ROW_BITS:
            self._rows.append([NOTHING] * ROW)
        self._owners.append(shelf)
        self._first.append(first)
        return len(self._owners) - 1
