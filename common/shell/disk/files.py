"""Files of the user: what may be shared, and reading it without ever being fooled.

A shared file is known by its stamp (size, mtime_ns, inode). `OpenFiles` reads a span only while
the open file has that stamp, before and after the read, else `FileChangedError`: what was hashed
is what is sent. Paths are walked component by component below the share's folder and no link is
followed, so nothing outside is ever opened. A user's file is opened for reading only and never
mapped: one truncation of a mapped file kills the process. Nothing here writes.
"""

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from common.errors import Exit, UserError
from common.shell.disk.diskcalls import REAL, DiskCalls, naming

_SYSTEM: Final = ("/etc", "/private/etc", "/root", "/proc", "/sys", "/dev", "/boot")
_SHARED_MEMORY: Final = "/dev/shm"
OPEN_FILES_MAX = 64  # wild guess: 4 unchoke slots, some swarms, far below any descriptor limit


class FileStamp(NamedTuple):
    """Which content a path had when it was looked at; any edit or replacement changes it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStamp":
        """The stamp in a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class FileChangedError(UserError):
    """A shared file is no longer what was hashed: withdraw it and hash it again."""

    def __init__(self, path: Path) -> None:
        super().__init__(Exit.DISK, f"{path} changed while it was read.", "It is hashed again.")
        self.path = path


class ShareRefusedError(UserError):
    """A path that must not be shared; `hint` says what could be shared instead."""

    def __init__(self, path: Path, reason: str, hint: str, code: Exit = Exit.REFUSED) -> None:
        super().__init__(code, f"{path} is not shared: {reason}.", hint)
        self.path = path


class Descriptor:
    """A file descriptor that several threads use at once.

    `retire` closes it once the last of them has left: a number closed under a reader could by then
    be somebody else's file.
    """

    def __init__(self, fd: int, close: Callable[[int], None] = REAL.close) -> None:
        self.fd = fd
        self._close = close
        self._users = 0
        self._retired = False
        self._lock = threading.Lock()

    def acquire(self) -> int:
        """The number, good until `release`; ValueError once retired."""
        with self._lock:
            if self._retired:
                raise ValueError("descriptor is retired")
            self._users += 1
            return self.fd

    def release(self) -> None:
        """Leave; the last one out of a retired descriptor closes it."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close(self.fd)

    def retire(self) -> bool:
        """Let nobody in any more, and close when nobody is inside; False if it was retired."""
        with self._lock:
            before, self._retired = self._retired, True
            idle = not before and self._users == 0
        if idle:
            self._close(self.fd)
        return not before


class OpenFiles:
    """The least recently read shared files give way to others; safe to use from several threads."""

    def __init__(self, limit: int = OPEN_FILES_MAX, disk: DiskCalls = REAL) -> None:
        self._limit = limit
        self._disk = disk
        self._open: OrderedDict[tuple[Path, str], Descriptor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def read_span(
        self,
        root: Path,
        relpath: str,
        expected: FileStamp,
        offset: int,
        length: int,
    ) -> memoryview:
        """The bytes [offset, offset + length) of root/relpath.

        Raises FileChangedError unless the file has the `expected` stamp before and after the read,
        and DiskError if it cannot be read.
        """
        if offset < 0 or length < 0 or offset + length > expected.size:
            raise ValueError(f"span {offset}+{length} lies outside of {expected.size} bytes")
        path = root / relpath
        try:
            with naming("read", path), self._opened(root, relpath) as fd:
                check_stamp(fd, path, expected, self._disk)
                view = read_whole(fd, path, length, offset, self._disk)
                check_stamp(fd, path, expected, self._disk)
        except FileChangedError:
            self.forget(root, relpath)
            raise
        return view

    def forget(self, root: Path, relpath: str) -> None:
        """Close the file if it is open: it was unshared, changed or removed."""
        with self._lock:
            descriptor = self._open.pop((root, relpath), None)
        if descriptor is not None:
            descriptor.retire()

    def close(self) -> None:
        """Close all; the object stays usable."""
        with self._lock:
            descriptors = list(self._open.values())
            self._open.clear()
        for descriptor in descriptors:
            descriptor.retire()

    @contextmanager
    def _opened(self, root: Path, relpath: str) -> Iterator[int]:
        descriptor = self._acquire_known(root, relpath) or self._acquire_new(root, relpath)
        try:
            yield descriptor.fd
        finally:
            descriptor.release()

    def _acquire_known(self, root: Path, relpath: str) -> Descriptor | None:
        with self._lock:
            descriptor = self._open.get((root, relpath))
            if descriptor is not None:
                self._open.move_to_end((root, relpath))
                descriptor.acquire()
            return descriptor

    def _acquire_new(self, root: Path, relpath: str) -> Descriptor:
        opened = Descriptor(open_beneath(root, relpath, self._disk), self._disk.close)
        opened.acquire()
        with self._lock:
            replaced = [self._open.pop((root, relpath), None)]
            self._open[root, relpath] = opened
            if len(self._open) > self._limit:
                replaced.append(self._open.popitem(last=False)[1])
        for descriptor in replaced:
            if descriptor is not None:
                descriptor.retire()
        return opened


def open_beneath(root: Path, relpath: str, disk: DiskCalls = REAL) -> int:
    """A descriptor for reading root/relpath; a link on the way is an OSError, `..` a ValueError."""
    *folders, name = relpath.split("/")
    if any(part in ("", ".", "..") for part in (*folders, name)):
        raise ValueError(f"not a path below a share: {relpath!r}")
    here = disk.open_folder(root)
    try:
        for folder in folders:
            inner = disk.enter(folder, here)
            disk.close(here)
            here = inner
        return disk.open_to_read(name, here)
    finally:
        disk.close(here)


def check_stamp(fd: int, path: Path, expected: FileStamp, disk: DiskCalls = REAL) -> None:
    """Raise FileChangedError unless the open file is regular, has a name and has that stamp."""
    status = disk.fstat(fd)
    same = FileStamp.of(status) == expected
    if not same or not stat.S_ISREG(status.st_mode) or status.st_nlink == 0:
        raise FileChangedError(path)


def read_whole(fd: int, path: Path, length: int, offset: int, disk: DiskCalls = REAL) -> memoryview:
    """So many bytes, in memory of their own that nobody had to clear before."""
    data = disk.pread(fd, length, offset)
    if len(data) == length:
        return memoryview(data)
    view = memoryview(bytearray(length))
    view[: len(data)] = data
    read_fully(fd, path, view[len(data) :], offset + len(data), disk)
    return view


def read_fully(fd: int, path: Path, view: memoryview, offset: int, disk: DiskCalls = REAL) -> None:
    """Fill `view` from `offset`; a file that ends before has been cut: FileChangedError."""
    while view:
        got = disk.preadv(fd, [view], offset)
        if got == 0:
            raise FileChangedError(path)
        view = view[got:]
        offset += got


def check_share(path: Path, private: Sequence[Path] = (), home: Path | None = None) -> Path:
    """The real path of a file or folder that may be shared, else ShareRefusedError with a hint.

    Refused: `/`, the system's own folders and what is in them, `home` (default: this user's) and
    what holds it, whatever is hidden by its own name or lies hidden in home, and a folder in
    `private` (a node's own with its key) or one that holds it.
    """
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ShareRefusedError(path, reason, "Check the path.", Exit.DISK) from error
    home = (home or Path.home()).resolve()
    explicit = "Share one folder made for sharing."
    if real == Path(real.anchor):
        raise ShareRefusedError(path, "it is the whole disk", explicit)
    if home == real or real in home.parents:
        raise ShareRefusedError(path, "it holds your whole home folder", explicit)
    if any(map(real.is_relative_to, _system(home))) and not real.is_relative_to(_SHARED_MEMORY):
        raise ShareRefusedError(path, "it belongs to the system", explicit)
    if _hidden(real, home) or _hidden(path.absolute(), home):
        raise ShareRefusedError(path, "hidden files and folders stay private", "Move it out first.")
    for folder in (each.resolve() for each in private):
        if folder == real or real in folder.parents:
            raise ShareRefusedError(path, f"it holds this node's key in {folder}", explicit)
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise ShareRefusedError(path, "it is neither a file nor a folder", explicit)
    if not os.access(real, os.R_OK | (os.X_OK if real.is_dir() else 0)):
        raise ShareRefusedError(path, "it cannot be read", "Check its permissions.", Exit.DISK)
    return real


def _system(home: Path) -> list[Path]:
    """Folders that hold passwords, keys and devices; a user may live in one of them."""
    return [each for each in map(Path, _SYSTEM) if not home.is_relative_to(each)]


def _hidden(path: Path, home: Path) -> bool:
    inside = path.relative_to(home).parts if path.is_relative_to(home) else (path.name,)
    return any(part.startswith(".") and part not in (".", "..") for part in inside)
