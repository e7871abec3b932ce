"""From a file's content to the documents that have it: a table of bytes.

A dictionary by root costs 100 bytes a file; here a document costs its number, and a mark by which
all but one in 256 others are passed over. Which document has which root is asked of whoever made
the table. In which row it is, and under which mark, depends on all of the root and on a secret
number (multiply-shift: Dietzfelbinger et al. 1997), so that nobody who makes up roots can aim at
one.
"""

import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final

_ROW_BITS: Final = 11  # 488 documents each among a million: 2 KB, whose heads weigh nothing
_MARK_BITS: Final = 8
DOCS_MAX: Final = 1 << 32 - _MARK_BITS  # numbers of documents: 16 million
_ROOT_BITS: Final = 256
_ROOTS: Final = (1 << _ROOT_BITS) - 1
_SHIFT: Final = _ROOT_BITS - _ROW_BITS - _MARK_BITS
_MARKS: Final = (1 << _MARK_BITS) - 1
_LONG_BYTES: Final = 8_000  # of a row: a content that thousands have; it grows in place
_RECORD: Final = struct.Struct("<I")  # the document, and below it the mark


class Contents:
    """Documents by the root of their file."""

    __slots__ = ("_root_of", "_rows", "_secret")

    def __init__(self, root_of: Callable[[int], bytes], secret: int) -> None:
        """`root_of` tells the root of a document that is in the table."""
        self._rows: list[bytes | bytearray] = [b""] * (1 << _ROW_BITS)
        self._root_of = root_of
        stretched = blake2b(secret.to_bytes(8, "big"), digest_size=_ROOT_BITS // 8).digest()
        self._secret = int.from_bytes(stretched, "big") | 1

    def add(self, root: bytes, doc: int) -> None:
        """`doc`, which is below `DOCS_MAX`, has this content."""
        row, mark = self._place(root)
        self._rows[row] += _RECORD.pack(doc << _MARK_BITS | mark)
        if len(self._rows[row]) == _LONG_BYTES:
            self._rows[row] = bytearray(self._rows[row])

    def discard(self, root: bytes, doc: int) -> None:
        """Undo an `add` of the same pair."""
        row, mark = self._place(root)
        records = self._rows[row]
        at = next(_found(records, _RECORD.pack(doc << _MARK_BITS | mark)))
        self._rows[row] = records[:at] + records[at + _RECORD.size :]

    def find(self, root: bytes) -> Iterator[int]:
        """The documents with this content, the first added first."""
        row, mark = self._place(root)
        records = self._rows[row]
        for at in _found(records, bytes((mark,))):
            doc = _RECORD.unpack_from(records, at)[0] >> _MARK_BITS
            if self._root_of(doc) == root:
                yield doc

    def _place(self, root: bytes) -> tuple[int, int]:
        """In which row, and under which mark."""
        hashed = (int.from_bytes(root, "big") * self._secret & _ROOTS) >> _SHIFT
        return hashed >> _MARK_BITS, hashed & _MARKS


def _found(records: bytes | bytearray, beginning: bytes) -> Iterator[int]:
    """Where the records are that begin so."""
    at = records.find(beginning)
    while at >= 0:
        if at % _RECORD.size == 0:
            yield at
        at = records.find(beginning, at + 1)
