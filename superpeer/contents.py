"""From a file's content to the documents that have it: a table of arrays.

A dictionary by root costs 100 bytes a file; here a document costs its number, and a byte by which
all but one in 256 others are passed over. Which document has which root is asked of whoever made
the table. Which array it is, and which byte, depends on a secret number (multiply-shift:
Dietzfelbinger et al. 1997), so that nobody who makes up roots can aim at one.
"""

from array import array
from collections.abc import Callable, Iterator
from typing import Final

_ARRAY_BITS: Final = 10  # 977 documents each among a million
_MARK_BITS: Final = 8
_ROOT_BITS: Final = 64  # of a root, that are looked at


class Contents:
    """Documents by the root of their file."""

    __slots__ = ("_docs", "_marks", "_root_of", "_secret")

    def __init__(self, root_of: Callable[[int], bytes], secret: int) -> None:
        """`root_of` tells the root of a document that is in the table."""
        self._docs: list[array[int]] = [array("I") for _ in range(1 << _ARRAY_BITS)]
        self._marks = [bytearray() for _ in range(1 << _ARRAY_BITS)]
        self._root_of = root_of
        self._secret = secret | 1

    def add(self, root: bytes, doc: int) -> None:
        """`doc` has this content."""
        place, mark = self._place(root)
        self._docs[place].append(doc)
        self._marks[place].append(mark)

    def discard(self, root: bytes, doc: int) -> None:
        """Undo an `add` of the same pair."""
        place, _ = self._place(root)
        at = _index(self._docs[place], doc)
        del self._docs[place][at], self._marks[place][at]

    def find(self, root: bytes) -> Iterator[int]:
        """The documents with this content, the first added first."""
        place, mark = self._place(root)
        docs, marks = self._docs[place], self._marks[place]
        at = marks.find(mark)
        while at >= 0:
            if self._root_of(docs[at]) == root:
                yield docs[at]
            at = marks.find(mark, at + 1)

    def _place(self, root: bytes) -> tuple[int, int]:
        """In which array, and under which mark."""
        seen = int.from_bytes(root[: _ROOT_BITS // 8], "big")
        hashed = (seen * self._secret) % (1 << _ROOT_BITS) >> _ROOT_BITS - _ARRAY_BITS - _MARK_BITS
        return hashed >> _MARK_BITS, hashed & (1 << _MARK_BITS) - 1


def _index(docs: "array[int]", doc: int) -> int:
    """Where `doc` is: as bytes are found, ten times as fast as numbers are."""
    plain, sought = docs.tobytes(), array("I", (doc,)).tobytes()
    at = plain.find(sought)
    while at % docs.itemsize:
        at = plain.find(sought, at + 1)
    return at // docs.itemsize
