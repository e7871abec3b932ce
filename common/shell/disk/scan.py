"""What is in a share, and the hash of each file: the walk and the reading, for worker threads.

The walk yields folder by folder, so that what is known of a folder is looked up in one go and an
unchanged file is never opened. Only regular files count; links are not followed and what is hidden,
unfinished, undecodable or too deep is left out. A hash belongs to one stamp: a file that changes
while it is read is FileChangedError, never a wrong root. What is kept of it is up to `store.py`.
"""

import errno
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from common.content.merkle import FileHasher, FileTree
from common.limits import FILE_SIZE_MAX, PATH_DEPTH_MAX
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError, naming
from common.shell.disk.files import (
    FileChangedError,
    FileStamp,
    check_stamp,
    open_beneath,
    read_fully,
)
from common.shell.disk.lookcalls import Entry

READ_BYTES: Final = 1024 * 1024  # measured: larger reads hash no faster
UNFINISHED: Final = (".part", ".part.journal")


class HashCancelledError(Exception):
    """The caller's `cancelled` said so; nothing is known of the file."""


class FoundFile(NamedTuple):
    """A file of a share, by its path inside it, '/'-separated."""

    relpath: str
    stamp: FileStamp


class Known(NamedTuple):
    """What is remembered of a file: its root is believed while the stamp is the same."""

    stamp: FileStamp
    root: bytes


Skipped = Callable[[str, str], None]  # relpath, reason: what the walk left out and should tell


def share_root(share: Path, disk: DiskCalls = REAL) -> Path:
    """The folder that relpaths of a share start from: the share, or the folder of a lone file."""
    return share if disk.is_folder(share) else share.parent


def walk(share: Path, skipped: Skipped = lambda _relpath, _reason: None) -> Iterator[FoundFile]:
    """All files of a share in a stable order: a folder's files by name, then its folders."""
    for _, files in walk_folders(share, skipped):
        yield from files


def walk_folders(
    share: Path, skipped: Skipped = lambda _relpath, _reason: None, disk: DiskCalls = REAL
) -> Iterator[tuple[str, list[FoundFile]]]:
    """(folder's relpath, its files) for each folder of a share that has files.

    One that cannot be read, or went since it was listed, is told to `skipped` and left out;
    DiskError if it is the share itself.
    """
    with naming("read", share):
        status = disk.lstat(share)
    if stat.S_ISREG(status.st_mode):
        yield "", [FoundFile(share.name, FileStamp.of(status))]
        return
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with disk.scandir(share / folder) as entries:
                files, folders = _sorted(folder, entries, skipped)
        except OSError as error:
            if not folder:
                raise DiskError("read", share, error.errno or errno.EIO) from error
            skipped(folder, error.strerror or "unreadable")
            continue
        if files:
            yield folder, files
        if folder.count("/") + bool(folder) < PATH_DEPTH_MAX:
            waiting.extend(reversed(folders))
        elif folders:
            skipped(folder, "too deep")


def _sorted(
    folder: str, entries: Iterator[Entry], skipped: Skipped
) -> tuple[list[FoundFile], list[str]]:
    prefix = folder + "/" if folder else ""
    files, folders = [], []
    for entry in entries:
        name = entry.name
        if not _decodable(name):
            skipped(prefix + ascii(name), "its name is not UTF-8")
        elif name.startswith("."):
            skipped(prefix + name, "its name begins with a dot")
        elif entry.is_dir(follow_symlinks=False):
            folders.append(prefix + name)
        elif entry.is_file(follow_symlinks=False) and not name.endswith(UNFINISHED):
            try:
                stamp = FileStamp.of(entry.stat(follow_symlinks=False))
            except OSError:
                continue  # gone since it was listed
            if stamp.size <= FILE_SIZE_MAX:
                files.append(FoundFile(prefix + name, stamp))
            else:
                skipped(prefix + name, "too large")
        elif not name.endswith(UNFINISHED):
            skipped(prefix + name, "a link, or no plain file")
    files.sort()
    folders.sort()
    return files, folders


def _decodable(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= char <= "\udcff" for char in name)


def compare(
    share: Path,
    lookup: Callable[[str], Mapping[str, Known]],
    skipped: Skipped = lambda _relpath, _reason: None,
    disk: DiskCalls = REAL,
) -> Iterator[tuple[FoundFile, bytes | None]]:
    """Each file of a share with its root if it is unchanged, None if it must be hashed.

    `lookup` tells what is known of a folder, by file name; it is asked once for each folder.
    """
    for folder, files in walk_folders(share, skipped, disk):
        known = lookup(folder)
        start = len(folder) + 1 if folder else 0
        for file in files:
            had = known.get(file.relpath[start:])
            unchanged = had is not None and had.stamp == file.stamp
            yield file, had.root if had is not None and unchanged else None


class Hashing(Protocol):
    """How the tree of a file is made: `hash_file` is it."""

    def __call__(
        self,
        root: Path,
        file: FoundFile,
        cancelled: Callable[[], bool] = ...,
        on_bytes: Callable[[int], None] = ...,
        disk: DiskCalls = ...,
    ) -> FileTree: ...


def hash_file(
    root: Path,
    file: FoundFile,
    cancelled: Callable[[], bool] = lambda: False,
    on_bytes: Callable[[int], None] = lambda _count: None,
    disk: DiskCalls = REAL,
) -> FileTree:
    """The tree of a file that has its stamp before, while and after it is read.

    `cancelled` is asked and `on_bytes` told after each READ_BYTES. Raises FileChangedError,
    HashCancelledError and DiskError.
    """
    hasher = FileHasher(file.stamp.size)

    def take(view: memoryview) -> None:
        hasher.update(view)
        on_bytes(len(view))

    read_through(root, file, take, cancelled, disk)
    return hasher.finish()


def read_through(
    root: Path,
    file: FoundFile,
    take: Callable[[memoryview], None],
    cancelled: Callable[[], bool] = lambda: False,
    disk: DiskCalls = REAL,
) -> None:
    """Give all bytes of a file to `take`, in order, at most READ_BYTES at once and only lent.

    They are those of a file that has its stamp before, while and after it is read; `cancelled` is
    asked before each read. Raises FileChangedError, HashCancelledError and DiskError.
    """
    path = root / file.relpath
    with naming("read", path):
        fd = open_beneath(root, file.relpath, disk)
        try:
            check_stamp(fd, path, file.stamp, disk)
            at, size = 0, file.stamp.size
            buffer = memoryview(bytearray(min(READ_BYTES, size)))
            while at < size:
                if cancelled():
                    raise HashCancelledError(path)
                view = buffer[: size - at]
                read_fully(fd, path, view, at, disk)
                take(view)
                at += len(view)
            check_stamp(fd, path, file.stamp, disk)
            if FileStamp.of(disk.lstat(path)) != file.stamp:
                raise FileChangedError(path)  # another file was moved over it
        finally:
            disk.close(fd)
