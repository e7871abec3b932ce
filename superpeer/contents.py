"""From a file's content to the documents that have it: a table of short arrays.

A dictionary by root costs 100 bytes a file; here a document costs its number. Which document has
which root is asked of whoever made the table, one array of some dozens at a time. Arrays are chosen
by the hash of the root, which nobody can aim at.
"""

from array import array
from collections.abc import Callable, Iterator
from typing import Final

ARRAYS: Final = 1 << 14  # 61 documents each among a million


class Contents:
    """Documents by the root of their file."""

    __slots__ = ("_arrays", "_root_of")

    def __init__(self, root_of: Callable[[int], bytes | None]) -> None:
        """`root_of` tells the root of a document that is in the table."""
        self._arrays: list[array[int] | None] = [None] * ARRAYS
        self._root_of = root_of

    def add(self, root: bytes, doc: int) -> None:
        """`doc` has this content."""
        place = hash(root) % ARRAYS
        docs = self._arrays[place]
        if docs is None:
            docs = self._arrays[place] = array("I")
        docs.append(doc)

    def discard(self, root: bytes, doc: int) -> None:
        """Undo an `add` of the same pair."""
        docs = self._arrays[hash(root) % ARRAYS]
        if docs is not None:
            docs.remove(doc)

    def find(self, root: bytes) -> Iterator[int]:
        """The documents with this content, the first added first."""
        for doc in self._arrays[hash(root) % ARRAYS] or ():
            if self._root_of(doc) == root:
                yield doc
