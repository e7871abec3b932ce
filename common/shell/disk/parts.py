"""A download on the disk: `NAME.part`, its journal beside it, and the moment it becomes `NAME`.

Invariants: a byte is written only once its piece is proven against the layer; a piece is `durable`
only after its bytes were synced and then its entry in the journal; the final name appears only over
bytes that this process proved, and never replaces anything. A file is written to only if we created
it: it is taken up again by a journal with the same root and size, else another name is chosen.
After a failure the state is as before the call, except that pieces whose sync failed are forgotten.
Which pieces to fetch, when to sync and what to do about an error is the caller's business. Every
method may be called from any thread.
"""

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from common.content.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Buffer,
    layer_root,
    piece_count,
    piece_hash,
    piece_span,
)
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError, naming
from common.shell.disk.files import (
    Descriptor,
    FileChangedError,
    FileStamp,
    read_fully,
    read_whole,
)
from common.shell.disk.pairs import Pair, take_pair
from common.shell.disk.partfaults import (
    NotProvenError,
    PartClosedError,
    PiecesLostError,
    SyncFailedError,
)
from common.shell.disk.placing import Exists, is_named, place

FREE_RESERVE_BYTES = 64 * 1024 * 1024  # wild guess: a full disk hurts others before it hurts us

_WRITTEN = 1  # proven and handed to the system
_DURABLE = 2  # synced and entered in the journal
_HASHED = 4  # proven by this process, not only by the journal


class PartFile:
    """One download: `open`; `verify` a layer, `write`, `sync`, `read`; `finish` or `close`."""

    def __init__(
        self, target: Path, folder: int, pair: Pair, disk: DiskCalls, wall: Callable[[], float]
    ) -> None:
        self.size = pair.found.size
        self.root = pair.found.root
        self.pieces = piece_count(self.size)
        self.path = target.with_name(pair.name)
        self.target = target
        self._pair = pair
        self._piece_size = pair.found.piece_size
        self._layer = self._known_layer()
        self._marks = bytearray(self.pieces)
        for index in pair.found.pieces:
            self._marks[index] = _WRITTEN | _DURABLE
        self._pending: dict[int, None] = {}  # written, not synced; in the order of writing
        self._failed_syncs = 0
        self._folder = Descriptor(folder, disk.close)
        self._data = Descriptor(pair.data, disk.close)
        self._journal = pair.journal
        self._disk = disk
        self._wall = wall
        self._lock = threading.Lock()  # marks, pending, failed_syncs
        self._journal_lock = threading.RLock()  # one sync, check or finish at a time

    @classmethod
    def open(
        cls,
        target: Path,
        root: bytes,
        size: int,
        *,
        reserve_bytes: int = FREE_RESERVE_BYTES,
        disk: DiskCalls | None = None,
        wall: Callable[[], float] = time.time,
    ) -> "PartFile":
        """Take up the download of `root` to `target`, or begin it.

        Raises DiskError, ENOSPC too where what is missing would leave less than `reserve_bytes`
        free, and PartBusyError. What was doubtful or not claimed is hashed by then.
        """
        disk = disk or REAL
        with naming("open", target.parent):
            folder = disk.open_folder(target.parent)
        try:
            with naming("open", target):
                pair = take_pair(disk, folder, target, root, size, reserve_bytes=reserve_bytes)
        except BaseException:
            disk.close(folder)
            raise
        part = cls(target, folder, pair, disk, wall)
        try:
            part._recheck(pair.doubtful)
            part._take_up(pair.unclaimed)
            if not pair.was_finished or part.complete:
                return part
            part._leave_to_user()
        except BaseException:
            part._release()
            raise
        return cls.open(target, root, size, reserve_bytes=reserve_bytes, disk=disk, wall=wall)

    @property
    def layer(self) -> bytes:
        """The proven piece hashes; empty while unknown and, as in FileTree, for one piece."""
        return self._layer if self._layer is not None and self.pieces > 1 else b""

    @property
    def done(self) -> bytes:
        """A 1 for each durable piece, else 0."""
        with self._lock:
            return bytes(1 if mark & _DURABLE else 0 for mark in self._marks)

    @property
    def complete(self) -> bool:
        """Whether every piece is proven and written."""
        with self._lock:
            return all(self._marks)

    @property
    def unsynced(self) -> bool:
        """Whether a sync would make something durable."""
        return bool(self._pending)

    def verify(self, layer: bytes) -> bool:
        """Take the piece hashes if they lead to the root, and keep them over restarts."""
        with self._journal_lock:
            if self._layer is not None:
                return layer in (self._layer, self.layer)
            if len(layer) != self.pieces * HASH_BYTES or layer_root(layer, self.size) != self.root:
                return False
            with naming("write", self._journal_path), self._entered(self._data):
                self._journal.enter_layer(layer)
            self._layer = layer
            return True

    def write(self, offset: int, data: Buffer) -> list[tuple[int, bool]]:
        """Prove the whole pieces in `data` and write those that hold; (index, whether it held).

        They are `durable` only after `sync`. A piece that is there already is not written again.
        """
        view = memoryview(data).cast("B")
        verdicts = [
            (index, self._holds(index, view[start - offset : start - offset + length]))
            for index, start, length in self._whole_pieces(offset, len(view))
        ]
        with self._lock:
            failed_syncs = self._failed_syncs
            fresh = [index for index, held in verdicts if held and not self._marks[index]]
        with naming("write", self.path), self._entered(self._data) as fd:
            if fresh:
                self._journal.hint(fresh)
            for first, beyond in _runs(fresh):
                start, end = first * self._piece_size, min(beyond * self._piece_size, self.size)
                self._disk.write(fd, view[start - offset : end - offset], start)
        with self._lock:
            if failed_syncs != self._failed_syncs:  # that sync's error may have been about us
                raise SyncFailedError(self.path, errno.EIO, fresh)
            for index in fresh:
                self._marks[index] |= _WRITTEN | _HASHED
                self._pending[index] = None
        return verdicts

    def sync(self) -> list[int]:
        """Make all that was written durable and enter it in the journal; the pieces it was.

        SyncFailedError: those pieces are forgotten, since a second sync would say yes and mean
        nothing. Another DiskError: the journal failed, they stay written and the next sync
        enters them.
        """
        with self._journal_lock:
            with self._lock:
                pending = list(self._pending)
            if not pending:
                return []
            with naming("sync", self._journal_path), self._entered(self._data) as fd:
                try:
                    self._disk.sync(fd)
                except OSError as error:
                    number = error.errno or errno.EIO
                    raise SyncFailedError(self.path, number, self._forget_pending()) from error
                self._journal.enter_pieces(pending, self._wall())
            with self._lock:
                for index in pending:
                    self._marks[index] |= _DURABLE
                    del self._pending[index]
            return pending

    def read(self, offset: int, length: int) -> memoryview:
        """Proven bytes; NotProvenError where one is not."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"span {offset}+{length} lies outside of {self.size} bytes")
        first, last = offset // self._piece_size, (offset + max(length, 1) - 1) // self._piece_size
        with self._lock:
            if not all(self._marks[first : last + 1]):
                raise NotProvenError(f"{self.path} has no proven bytes {offset}+{length}")
        with naming("read", self.path), self._entered(self._data) as fd:
            return read_whole(fd, self.path, length, offset, self._disk)

    def finish(self, exists: Exists = Exists.RENAME) -> Path:
        """Check the whole, sync and give the file its name; the path it got.

        Where the wanted name is taken: RENAME chooses a free one, FAIL raises DiskError (EEXIST)
        and keeps the part, SKIP removes the part and tells the path of what is there.
        PiecesLostError where the disk no longer holds what was written.
        """
        with self._journal_lock:
            self.sync()
            with self._lock:
                missing = self._marks.count(0)
                trusted = [n for n, mark in enumerate(self._marks) if not mark & _HASHED]
            if missing:
                raise NotProvenError(f"{missing} pieces of {self.path} are missing")
            if not self.size and self.root != EMPTY_ROOT:
                raise NotProvenError(f"no bytes at all are not the file {self.path} is to be")
            if lost := self._recheck(trusted):
                raise PiecesLostError(self.path, lost)
            with naming("finish", self.target), self._inside() as (fd, folder):
                self._disk.sync(fd)
                name = self._place(fd, folder, exists)
                with suppress(OSError):  # a journal alone does no harm, nor one with its part
                    self._disk.sync_folder(folder)
                    self._remove(self._journal.fd, self._pair.journal_name, folder)
            self._release()
            return self.target.with_name(name)

    def abandon(self, delete_data: bool) -> None:
        """Let go of the download; with `delete_data` remove part and journal, else as `close`."""
        if not delete_data:
            self.close()
            return
        with self._journal_lock:
            with naming("delete", self.path), self._inside() as (fd, folder):
                self._remove(fd, self._pair.name, folder)
                self._remove(self._journal.fd, self._pair.journal_name, folder)
                self._disk.sync_folder(folder)
            self._release()

    def close(self) -> None:
        """Sync, note a clean end and let go. Twice is fine; so is an error on the way, after which
        the next `open` proves more pieces again."""
        with self._journal_lock:
            with suppress(DiskError, PartClosedError):
                self.sync()
                with naming("close", self.path), self._inside() as (fd, _):
                    self._journal.enter_clean(FileStamp.of(self._disk.fstat(fd)))
            self._release()

    def _leave_to_user(self) -> None:
        """Drop our name for a file that has another and was changed under it: it is not ours."""
        with naming("open", self.path), self._inside() as (fd, folder):
            self._remove(fd, self._pair.name, folder)
            self._disk.sync_folder(folder)
        self._release()

    def _known_layer(self) -> bytes | None:
        if self.pieces <= 1:
            return self.root[: self.pieces * HASH_BYTES]
        return self._pair.found.layer

    def _holds(self, index: int, data: memoryview) -> bool:
        if self._layer is None:
            raise NotProvenError(f"the piece hashes of {self.path} are not known yet")
        expected = self._layer[index * HASH_BYTES : (index + 1) * HASH_BYTES]
        return piece_hash(data, self._piece_size, self.size) == expected

    def _whole_pieces(self, offset: int, length: int) -> list[tuple[int, int, int]]:
        """(index, offset, length) of the pieces in a span that must begin and end with one."""
        end, step = offset + length, self._piece_size
        whole = offset % step == 0 and (end % step == 0 or end == self.size)
        if not whole or not 0 <= offset <= end <= self.size:
            raise ValueError(f"{length} bytes at {offset} are not whole pieces")
        return [(n, *piece_span(self.size, n)) for n in range(offset // step, -(-end // step))]

    def _recheck(self, indexes: Sequence[int]) -> list[int]:
        """Prove pieces from the disk; those that fail, or cannot be read, are forgotten."""
        buffer, lost = bytearray(min(self._piece_size, self.size)), []
        with self._entered(self._data) as fd:
            for index in indexes:
                if self._proven(fd, index, buffer) is None:
                    lost.append(index)
                else:
                    with self._lock:
                        self._marks[index] |= _HASHED
            if lost:
                with self._lock:
                    for index in lost:
                        self._marks[index] = 0
                with naming("write", self._journal_path):
                    self._journal.enter_lost(lost)
        return lost

    def _take_up(self, indexes: Sequence[int]) -> None:
        """Claim what of these is there, written once more: else, where a sync of it failed, another
        would say yes and mean nothing."""
        buffer = bytearray(min(self._piece_size, self.size))
        with self._entered(self._data) as fd:
            for index in indexes:
                if (view := self._proven(fd, index, buffer)) is not None:
                    self.write(index * self._piece_size, view)
        self.sync()

    def _proven(self, fd: int, index: int, buffer: bytearray) -> memoryview | None:
        """The piece as it is on the disk; None unless it can be read and proven."""
        start, length = piece_span(self.size, index)
        view = memoryview(buffer)[:length]
        try:
            read_fully(fd, self.path, view, start, self._disk)
            return view if self._layer is not None and self._holds(index, view) else None
        except (OSError, FileChangedError):
            return None

    def _forget_pending(self) -> list[int]:
        """All that is not durable; a write that is under way notices by `failed_syncs`."""
        with self._lock:
            lost = list(self._pending)
            self._pending.clear()
            self._failed_syncs += 1
            for index in lost:
                self._marks[index] = 0
            return lost

    def _place(self, fd: int, folder: int, exists: Exists) -> str:
        try:
            return place(self._disk, folder, fd, self._pair.name, self.target.name, exists=exists)
        except FileExistsError:
            if exists is not Exists.SKIP:
                raise
        self._remove(fd, self._pair.name, folder)
        return self.target.name

    def _remove(self, fd: int, name: str, folder: int) -> None:
        if is_named(self._disk, fd, name, folder):  # else it is somebody else's by now
            self._disk.unlink(name, folder)

    @property
    def _journal_path(self) -> Path:
        return self.path.with_name(self._pair.journal_name)

    @contextmanager
    def _entered(self, descriptor: Descriptor) -> Iterator[int]:
        try:
            fd = descriptor.acquire()
        except ValueError as error:
            raise PartClosedError(f"{self.path} is closed") from error
        try:
            yield fd
        finally:
            descriptor.release()

    @contextmanager
    def _inside(self) -> Iterator[tuple[int, int]]:
        """The descriptors of the part and of its folder."""
        with self._entered(self._data) as fd, self._entered(self._folder) as folder:
            yield fd, folder

    def _release(self) -> None:
        with self._journal_lock:
            if self._data.retire():
                self._folder.retire()
                self._disk.close(self._journal.fd)


def _runs(indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring indexes as [first, beyond), so that they are written by one call."""
    start = 0
    for n in range(1, len(indexes) + 1):
        if n == len(indexes) or indexes[n] != indexes[n - 1] + 1:
            yield indexes[start], indexes[n - 1] + 1
            start = n
