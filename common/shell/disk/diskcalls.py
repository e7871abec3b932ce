"""The calls to the disk that can fail, and the error that they become.

Everything below `jobs.py` reaches the disk through one `DiskCalls` object, so that a test can make
the n-th call fail or record what was and wasn't synced, and a simulated file system can take its
place. What changes nothing stands in `lookcalls.py`. A failing call leaves as `DiskError`: which
operation, which path, which errno, one sentence and one fix. Names are opened relative to a folder
descriptor, never through a link, and only created where nothing was: no method here can replace or
truncate a file that was there before. No state, no retries: who calls decides what a failure means.
"""

import ctypes
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import Exit, UserError
from common.shell.disk.lookcalls import SAFELY, LookCalls

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KEPT_FREE = "64 MiB are kept free"  # parts.FREE_RESERVE_BYTES: a full disk may look as if not
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = "Something that is no folder has this name; choose another."
_UNMADE = {
    errno.EEXIST: _NO_FOLDER,
    errno.ENOTDIR: _NO_FOLDER,
    errno.ENOENT: "No folder can be made there; choose another.",
}
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # FAT, some network disks
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EOPNOTSUPP)


class DiskError(UserError):
    """The disk refused `op` on `path` with `errno`; nothing that was done before is lost."""

    def __init__(self, op: str, path: Path, number: int) -> None:
        reason = os.strerror(number)
        hint = _UNMADE.get(number) if op == "make" else None
        hint = hint or _hint(op, path, number)
        super().__init__(Exit.DISK, f"Cannot {op} {path}: {reason}.", hint)
        self.op = op
        self.path = path
        self.errno = number

    @property
    def full(self) -> bool:
        """Whether waiting for free space is the cure, so that the caller pauses and tries again."""
        return self.errno in _FULL


def _hint(op: str, path: Path, number: int) -> str:
    if number in _FULL:
        return (
            f"Free space on the disk mounted at {mount_point(path)} ({_KEPT_FREE}); "
            "it goes on from there."
        )
    if number in _DENIED and op == "reach":
        return "Choose another place, or let this user in there."
    if number in _DENIED and op == "read":
        return f"Make {path} readable for this user, or choose another."
    if number in _DENIED:
        return f"Make {path.parent} writable for this user, or choose another folder."
    if number == errno.EEXIST:
        return "Choose another name with -o, or --exists rename."
    if number == errno.ENOENT:
        return "Check the path."
    return f"Check the disk mounted at {mount_point(path)}."


def mount_point(path: Path) -> Path:
    """The mounted folder that holds `path` (which need not exist): a person's word for the disk."""
    absolute = path.absolute()
    for folder in (absolute, *absolute.parents):
        if folder.is_mount():
            return folder
    return Path(absolute.anchor)


@contextmanager
def naming(op: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the block into `DiskError(op, path, errno)`."""
    try:
        yield
    except OSError as error:
        raise DiskError(op, path, error.errno or errno.EIO) from error


def denied(error: BaseException) -> DiskError | None:
    """What a person is told of an error that nobody named, where it is a refusal of some path."""
    if not isinstance(error, OSError) or error.errno not in _DENIED or not error.filename:
        return None
    return DiskError("reach", Path(os.fsdecode(error.filename)), error.errno)


class DiskCalls(LookCalls):
    """The system calls themselves. `folder` is a descriptor of a folder, `name` a name in it."""

    def open_folder(self, path: Path) -> int:
        """A descriptor of the folder; everything in it is then reached relative to it."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def make_folder(self, path: Path) -> None:
        """A new folder; FileNotFoundError if the one above is not there."""
        path.mkdir()

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with nothing in it."""
        path.rmdir()

    def create(self, name: str, folder: int) -> int:
        """A new, empty file for reading and writing; FileExistsError if anything has that name."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFELY
        return os.open(name, flags, 0o666, dir_fd=folder)

    def reopen(self, name: str, folder: int) -> int:
        """An existing regular file for reading and writing; links and devices are refused."""
        fd = os.open(name, os.O_RDWR | SAFELY, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return fd

    def allocate(self, fd: int, start: int, length: int) -> None:
        """Make the file that long and own its blocks, so that writing them cannot meet ENOSPC."""
        if sys.platform == "linux":
            os.posix_fallocate(fd, start, length)
        else:  # pragma: no cover - macOS has no posix_fallocate; zeros own their blocks too
            self.write(fd, bytes(length), start)

    def extend(self, fd: int, length: int) -> None:
        """Make the file that long without owning blocks: the rest reads as zeros."""
        os.ftruncate(fd, length)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data` at `offset`, however many calls the system needs."""
        view = memoryview(data)
        while view:
            written = os.pwrite(fd, view, offset)
            view = view[written:]
            offset += written

    def sync(self, fd: int) -> None:
        """Return once the data is on the disk. After an error never call again for that data:
        the kernel has dropped the pages and would say yes (PostgreSQL's fsync finding of 2018)."""
        if sys.platform == "linux":
            os.fdatasync(fd)
        else:  # pragma: no cover - on macOS fsync stops at the drive's cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

    def sync_folder(self, folder: int) -> None:
        """Make the folder's entries durable, where its file system can."""
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise

    def rename_new(self, source: str, target: str, folder: int) -> None:
        """Give a file a second, final name and drop the first; FileExistsError if it is taken.

        Between link and unlink a crash leaves both names on one file, which the caller can see.
        Where there are no links, the kernel's rename that refuses to replace.
        """
        try:
            self.link(source, target, folder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.exclusive_rename(source, target, folder)
            self.sync_folder(folder)
            return
        self.sync_folder(folder)
        self.unlink(source, folder)

    def link(self, source: str, target: str, folder: int) -> None:
        """A second name for one file; FileExistsError if it is taken."""
        os.link(source, target, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)

    def exclusive_rename(self, source: str, target: str, folder: int) -> None:
        """Rename unless `target` exists: renameat2 on Linux, renameatx_np on macOS."""
        linux = sys.platform == "linux"
        libc = ctypes.CDLL(None, use_errno=True)
        call = getattr(libc, "renameat2" if linux else "renameatx_np", None)
        if call is None:
            raise OSError(errno.ENOSYS, "no rename that refuses to replace", target)
        no_replace = ctypes.c_uint(1 if linux else 4)  # RENAME_NOREPLACE, RENAME_EXCL
        if call(folder, os.fsencode(source), folder, os.fsencode(target), no_replace) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), target)

    def unlink(self, name: str, folder: int) -> None:
        """Remove a name; the caller has made sure that the file is ours."""
        os.unlink(name, dir_fd=folder)

    def free_bytes(self, fd: int) -> int:
        """Bytes that this user may still write to the disk that holds the descriptor."""
        disk = os.statvfs(fd)
        return disk.f_bavail * disk.f_frsize


REAL = DiskCalls()  # it has no state
