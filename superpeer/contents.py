"""From a file's content to the documents that have it: a table of short arrays.

A dictionary by root costs 100 bytes a file; here a document costs its number. Which document has
which root is asked of whoever made the table, one array of some dozens at a time. Which array it is
depends on a secret number (multiply-shift: Dietzfelbinger et al. 1997), so that nobody who makes up
roots can aim at one.
"""

from array import array
from collections.abc import Callable, Iterator
from typing import Final

_ARRAY_BITS: Final = 14  # 61 documents each among a million
_ROOT_BITS: Final = 64  # of a root, that are looked at


class Contents:
    """Documents by the root of their file."""

    __slots__ = ("_arrays", "_root_of", "_secret")

    def __init__(self, root_of: Callable[[int], bytes], secret: int) -> None:
        """`root_of` tells the root of a document that is in the table."""
        self._arrays: list[array[int] | None] = [None] * (1 << _ARRAY_BITS)
        self._root_of = root_of
        self._secret = secret | 1

    def add(self, root: bytes, doc: int) -> None:
        """`doc` has this content."""
        place = self._place(root)
        docs = self._arrays[place]
        if docs is None:
            docs = self._arrays[place] = array("I")
        docs.append(doc)

    def discard(self, root: bytes, doc: int) -> None:
        """Undo an `add` of the same pair."""
        docs = self._arrays[self._place(root)]
        if docs is not None:
            docs.remove(doc)

    def find(self, root: bytes) -> Iterator[int]:
        """The documents with this content, the first added first."""
        for doc in self._arrays[self._place(root)] or ():
            if self._root_of(doc) == root:
                yield doc

    def _place(self, root: bytes) -> int:
        seen = int.from_bytes(root[: _ROOT_BITS // 8], "big")
        return (seen * self._secret) % (1 << _ROOT_BITS) >> _ROOT_BITS - _ARRAY_BITS
