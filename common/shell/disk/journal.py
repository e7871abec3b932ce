"""The journal of one download: what of its `.part` file is proven and on the disk.

Layout: `MAGIC`, then records `kind u8, body length u32, body, crc32 u32`, big-endian. Each checksum
starts from the one before it, so a record is valid only after exactly the records before it: a torn
tail, and whatever an older tail left behind, ends the journal. Appended, synced, never rewritten;
its blocks are allocated when it is made, so a full disk cannot keep a finished piece from being
entered. Only hints are not synced by themselves: a kill does not cost what the system has taken,
so they tell where to look for it. Records only: whether a claim is true is `parts.py`'s business.
"""

import enum
import struct
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from common.content.merkle import HASH_BYTES, piece_count, piece_size_bytes
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.files import FileStamp

MAGIC = b"PARTJRN1"
SUSPECT_S = 60.0  # THREATS G16-G20: after an unclean end this much of the journal is proven again
_SPARE_BYTES = 4096  # room for clean and lost records of many sessions
_FRAME = struct.Struct(">BI")
_CRC = struct.Struct(">I")
_HEADER = struct.Struct(">QI32s")
_SECONDS = struct.Struct(">d")
_STAMP = struct.Struct(">QqQ")
_INDEX_BYTES = 4
HEAD_BYTES = len(MAGIC) + _FRAME.size + _HEADER.size + _CRC.size  # tells whose journal it is


class Kind(enum.IntEnum):
    """What a record says; a number is never given another meaning."""

    HEADER = 1  # file size, piece size, file root
    LAYER = 2  # the piece hashes, proven against the root
    PIECES = 3  # wall time, indexes that are proven and synced
    LOST = 4  # indexes that were not what the journal said
    CLEAN = 5  # the stamp of the part when it was closed in order
    OPENED = 6  # a session begins: what comes after is clean again only by its own CLEAN
    HANDED = 7  # indexes that are handed to the system; no claim, and nothing is synced for it


@dataclass(slots=True)
class Replay:
    """What the valid records of a journal add up to."""

    size: int
    piece_size: int
    root: bytes
    layer: bytes | None = None
    pieces: dict[int, float] = field(default_factory=dict)  # index -> wall time, in journal order
    handed: dict[int, None] = field(default_factory=dict)  # no claim: may be there all the same
    clean: FileStamp | None = None  # None: the last session did not end in order
    end: int = 0  # where the next record goes
    crc: int = 0

    def suspects(self) -> list[int]:
        """The pieces entered in the last minute before the last record, and all entered after one
        of those (a wall clock may go back)."""
        indexes = list(self.pieces)
        if not indexes:
            return []
        since = self.pieces[indexes[-1]] - SUSPECT_S
        first = next(n for n, index in enumerate(indexes) if self.pieces[index] >= since)
        return indexes[first:]


def replay(data: bytes) -> Replay | None:
    """Read a journal up to its first invalid record; None if it does not start as one of ours."""
    if not data.startswith(MAGIC):
        return None
    end, crc = len(MAGIC), zlib.crc32(MAGIC)
    found: Replay | None = None
    while (record := _record_at(data, end, crc)) is not None:
        kind, body, end, crc = record
        if found is None:
            if kind != Kind.HEADER or len(body) != _HEADER.size:
                return None
            found = Replay(*_HEADER.unpack(body))
        else:
            _apply(found, kind, body)
        found.end, found.crc = end, crc
    return found


def _record_at(data: bytes, at: int, crc: int) -> tuple[int, bytes, int, int] | None:
    if at + _FRAME.size > len(data):
        return None
    kind, length = _FRAME.unpack_from(data, at)
    body_end = at + _FRAME.size + length
    if kind == 0 or body_end + _CRC.size > len(data):
        return None
    crc = zlib.crc32(memoryview(data)[at:body_end], crc)
    if crc != _CRC.unpack_from(data, body_end)[0]:
        return None
    return kind, data[at + _FRAME.size : body_end], body_end + _CRC.size, crc


def _apply(found: Replay, kind: int, body: bytes) -> None:
    found.clean = None
    if kind == Kind.LAYER:
        found.layer = body
    elif kind == Kind.PIECES:
        seconds = _SECONDS.unpack_from(body)[0]
        for index in _indexes(body[_SECONDS.size :]):
            found.pieces.pop(index, None)
            found.pieces[index] = seconds
            found.handed.pop(index, None)
    elif kind == Kind.LOST:
        for index in _indexes(body):
            found.pieces.pop(index, None)
    elif kind == Kind.HANDED:
        found.handed.update(dict.fromkeys(_indexes(body)))
    elif kind == Kind.CLEAN:
        found.clean = FileStamp(*_STAMP.unpack(body))


def _packed(indexes: Sequence[int]) -> bytes:
    return struct.pack(f">{len(indexes)}I", *indexes)


def _indexes(body: bytes) -> Sequence[int]:
    return struct.unpack(f">{len(body) // _INDEX_BYTES}I", body)


class Journal:
    """An open journal. The caller holds its lock and lets one thread at a time enter something;
    hints may be left by any thread meanwhile."""

    def __init__(self, fd: int, end: int, crc: int, disk: DiskCalls) -> None:
        self.fd = fd
        self._end = end
        self._crc = crc
        self._disk = disk
        self._allocated = disk.fstat(fd).st_size
        self._synced = end, crc  # where to go on from after a sync that failed
        self._lock = threading.Lock()  # where the next record goes

    @classmethod
    def begin(cls, fd: int, root: bytes, size: int, disk: DiskCalls) -> "Journal":
        """Start the journal in a file just created: blocks for every record to come, the header."""
        record = _INDEX_BYTES + _FRAME.size + _CRC.size
        per_piece = HASH_BYTES + _SECONDS.size + 2 * record  # a hint and a claim of its own
        disk.allocate(fd, 0, _SPARE_BYTES + piece_count(size) * per_piece)
        disk.write(fd, MAGIC, 0)
        journal = cls(fd, len(MAGIC), zlib.crc32(MAGIC), disk)
        journal._append(Kind.HEADER, _HEADER.pack(size, piece_size_bytes(size), root))
        return journal

    def enter_layer(self, layer: bytes) -> None:
        """Keep the proven piece hashes, so that a restart can check pieces with no network."""
        self._append(Kind.LAYER, layer)

    def enter_pieces(self, indexes: Sequence[int], wall_s: float) -> None:
        """Claim pieces whose bytes are proven and synced."""
        self._append(Kind.PIECES, _SECONDS.pack(wall_s) + _packed(indexes))

    def enter_lost(self, indexes: Sequence[int]) -> None:
        """Take claims back."""
        self._append(Kind.LOST, _packed(indexes))

    def enter_opened(self) -> None:
        """A session begins."""
        self._append(Kind.OPENED, b"")

    def enter_clean(self, stamp: FileStamp) -> None:
        """The session ends in order with the part in this state."""
        self._append(Kind.CLEAN, _STAMP.pack(*stamp))

    def hint(self, indexes: Sequence[int]) -> None:
        """These pieces are being written: whoever comes after a kill may find them there.

        Costs no sync, never grows the file, and is left out where the disk does not want it.
        """
        with suppress(OSError), self._lock:
            self._put(Kind.HANDED, _packed(indexes), may_grow=False)

    def _append(self, kind: Kind, body: bytes) -> None:
        """Durable or, with an OSError, as if never called: the next goes to the same place, or
        before the hints since the last sync, which may not have reached the disk."""
        with self._lock:
            end, crc = self._put(kind, body)
        try:
            self._disk.sync(self.fd)
        except OSError:
            with self._lock:
                self._end, self._crc = self._synced
            raise
        self._synced = end, crc

    def _put(self, kind: Kind, body: bytes, *, may_grow: bool = True) -> tuple[int, int]:
        """Written as the next record; where it ends, and the checksum so far."""
        framed = _FRAME.pack(kind, len(body)) + body
        crc = zlib.crc32(framed, self._crc)
        end = self._end + len(framed) + _CRC.size
        if end > self._allocated:
            if not may_grow:
                return self._end, self._crc
            self._disk.allocate(self.fd, self._allocated, end - self._allocated + _SPARE_BYTES)
            self._allocated = end + _SPARE_BYTES
        self._disk.write(self.fd, framed + _CRC.pack(crc), self._end)
        self._end, self._crc = end, crc
        return end, crc
