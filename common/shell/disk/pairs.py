"""The two files of a download, found again or made: `NAME.part` and `NAME.part.journal`.

Invariant: a pair is opened for writing only if its journal starts as ours with the same root and
size, and only under an exclusive lock on it; everything else of that name belongs to somebody else
and the next numbered name is tried. What could not be made completely is taken away again. A pair
that nobody has open is removed under the same rules.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from common.content.merkle import piece_count, piece_size_bytes
from common.errors import Exit, UserError
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError, naming
from common.shell.disk.files import FileStamp
from common.shell.disk.journal import HEAD_BYTES, Journal, Replay, replay
from common.shell.disk.placing import is_named, numbered

PART = ".part"
JOURNAL = ".journal"  # behind PART


class PartBusyError(UserError):
    """Another process writes this download."""

    def __init__(self, path: Path) -> None:
        hint = "Stop the other node or choose another folder."
        super().__init__(Exit.BUSY, f"{path} is being written by another process.", hint)
        self.path = path


@dataclass(slots=True)
class Pair:
    """Both files, open and locked. `doubtful` are claimed pieces that must be proven again,
    `unclaimed` such as were written and not claimed when the last session was cut short.

    `was_finished`: the part has all pieces and another name, so an end was cut short after it got
    that name; unless every piece still holds, it is a file that the user has changed since.
    """

    name: str  # of the part
    data: int
    journal: Journal
    found: Replay
    doubtful: list[int] = field(default_factory=list)
    was_finished: bool = False
    unclaimed: list[int] = field(default_factory=list)

    @property
    def journal_name(self) -> str:
        """The journal's name in the same folder."""
        return self.name + JOURNAL


def take_pair(
    disk: DiskCalls, folder: int, target: Path, root: bytes, size: int, *, reserve_bytes: int
) -> Pair:
    """The pair of this download beside `target`: the one that is there, else a new one.

    Raises OSError, DiskError(ENOSPC) where less than `reserve_bytes` would stay free, and
    PartBusyError.
    """
    free: str | None = None
    for name in numbered(target.name, PART + JOURNAL):
        part = name.removesuffix(JOURNAL)
        if _is_ours(disk, folder, name, root, size):
            pair = _resume(disk, folder, target.with_name(part), size, reserve_bytes)
            if pair is not None:
                return pair
        elif not _taken(disk, folder, name) and not _taken(disk, folder, part):
            free = part
            break
    if free is None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.name)
    _check_space(disk, folder, target.with_name(free), size, reserve_bytes)
    return _begin(disk, folder, free, root, size)


def find_pair(target: Path, root: bytes, size: int, disk: DiskCalls = REAL) -> Path | None:
    """The part that `take_pair` would take up; None if there is none. Nothing is locked."""
    try:
        folder = disk.open_folder(target.parent)
    except OSError:
        return None
    try:
        return next(_ours(disk, folder, target, root, size), None)
    finally:
        disk.close(folder)


def remove_pair(target: Path, root: bytes, size: int, disk: DiskCalls = REAL) -> bool:
    """Remove the pair that `take_pair` would take up; False if there is none.

    Needs no free space and reads no piece. Raises DiskError and PartBusyError.
    """
    with naming("delete", target.with_name(target.name + PART)):
        try:
            folder = disk.open_folder(target.parent)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            parts = _ours(disk, folder, target, root, size)
            return any(_removed(disk, folder, part, size) for part in parts)
        finally:
            disk.close(folder)


def _ours(disk: DiskCalls, folder: int, target: Path, root: bytes, size: int) -> Iterator[Path]:
    """The parts of this download, up to the first free place: `take_pair` looks no further."""
    for name in numbered(target.name, PART + JOURNAL):
        part = target.with_name(name.removesuffix(JOURNAL))
        if _is_ours(disk, folder, name, root, size):
            yield part
        elif not _taken(disk, folder, name) and not _taken(disk, folder, part.name):
            return


def _removed(disk: DiskCalls, folder: int, path: Path, size: int) -> bool:
    """Lock and remove the pair of `path`; False if it went or the part is not ours."""
    name = path.name + JOURNAL
    try:
        journal = disk.reopen(name, folder)
    except FileNotFoundError:
        return False
    try:
        _lock(disk, journal, path)
        if not is_named(disk, journal, name, folder):
            return False
        if _taken(disk, folder, path.name):
            there = disk.stat_in(path.name, folder)
            if not stat.S_ISREG(there.st_mode) or there.st_size not in (0, size):
                return False
            disk.unlink(path.name, folder)
        disk.unlink(name, folder)
        disk.sync_folder(folder)
    finally:
        disk.close(journal)
    return True


def _taken(disk: DiskCalls, folder: int, name: str) -> bool:
    try:
        disk.stat_in(name, folder)
    except FileNotFoundError:
        return False
    return True


def _is_ours(disk: DiskCalls, folder: int, name: str, root: bytes, size: int) -> bool:
    """Whether a journal of this very download has that name; opened for reading only."""
    try:
        fd = disk.open_to_read(name, folder)
    except OSError:
        return False
    try:
        found = replay(disk.pread(fd, HEAD_BYTES, 0))
    except OSError:
        return False
    finally:
        disk.close(fd)
    if found is None:
        return False
    return (found.root, found.size, found.piece_size) == (root, size, piece_size_bytes(size))


def _resume(disk: DiskCalls, folder: int, path: Path, size: int, reserve_bytes: int) -> Pair | None:
    """Lock and open the pair of `path`; None if it went or is no pair of ours after all."""
    opened: list[int] = []
    try:
        opened.append(disk.reopen(path.name + JOURNAL, folder))
        _lock(disk, opened[0], path)
        found = replay(disk.contents(opened[0]))
        if found is None or not is_named(disk, opened[0], path.name + JOURNAL, folder):
            raise FileNotFoundError  # finished or removed while we waited for nothing
        journal = Journal(opened[0], found.end, found.crc, disk)
        opened.append(_reopen_data(disk, folder, path.name, journal, found))
        there = disk.fstat(opened[1])
        missing = size - there.st_blocks * 512
        _check_space(disk, folder, path, missing, reserve_bytes)
        was_finished = there.st_nlink > 1 and len(found.pieces) == piece_count(size)
        doubtful = list(found.pieces) if was_finished else _doubtful(there, found)
        unclaimed = list(found.handed) if found.clean is None else []
        pair = Pair(path.name, opened[1], journal, found, doubtful, was_finished, unclaimed)
        journal.enter_opened()
    except BaseException as error:
        for fd in opened:
            disk.close(fd)
        if isinstance(error, FileNotFoundError | _ForeignPartError):
            return None
        raise
    return pair


class _ForeignPartError(Exception):
    """The file beside our journal is not the part that we made."""


def _reopen_data(disk: DiskCalls, folder: int, name: str, journal: Journal, found: Replay) -> int:
    is_new = False
    try:
        fd = disk.reopen(name, folder)
    except FileNotFoundError:  # somebody removed the part: begin again under the old journal
        fd, is_new = disk.create(name, folder), True
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR):
            raise _ForeignPartError from error
        raise
    try:
        if is_new:
            journal.enter_lost(list(found.pieces))
            found.pieces.clear()
            found.handed.clear()
        length = disk.fstat(fd).st_size
        if length not in (0, found.size):
            raise _ForeignPartError
        if length != found.size:  # Linux stamps a file anew even if its length stays
            disk.extend(fd, found.size)
        disk.sync_folder(folder)  # whoever made the two may have died before it did
    except BaseException:
        disk.close(fd)
        raise
    return fd


def _doubtful(part: os.stat_result, found: Replay) -> list[int]:
    if found.clean is None:
        return found.suspects()
    same = FileStamp.of(part) == found.clean
    return [] if same else list(found.pieces)  # edited or copied since: prove all of it


def _begin(disk: DiskCalls, folder: int, name: str, root: bytes, size: int) -> Pair:
    made: list[tuple[int, str]] = []
    try:
        made.append((disk.create(name + JOURNAL, folder), name + JOURNAL))
        _lock(disk, made[0][0], Path(name))
        journal = Journal.begin(made[0][0], root, size, disk)
        disk.sync_folder(folder)  # else one of that name, removed before, could claim our part
        made.append((disk.create(name, folder), name))
        disk.extend(made[1][0], size)
        disk.sync(made[1][0])
        disk.sync_folder(folder)
    except BaseException:
        for fd, created in made:
            with suppress(OSError):
                disk.unlink(created, folder)
            disk.close(fd)
        raise
    return Pair(name, made[1][0], journal, Replay(size, piece_size_bytes(size), root))


def _lock(disk: DiskCalls, fd: int, path: Path) -> None:
    try:
        disk.lock(fd)
    except BlockingIOError as error:
        raise PartBusyError(path) from error


def _check_space(disk: DiskCalls, folder: int, path: Path, missing: int, reserve: int) -> None:
    if missing > 0 and disk.free_bytes(folder) < missing + reserve:
        raise DiskError("write", path, errno.ENOSPC)
