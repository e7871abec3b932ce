"""The calls to the disk that change nothing on it: look, open for reading, read, lock, let go.

They are the lower half of `diskcalls.DiskCalls`, the one object through which everything here
reaches the disk, so that a whole file system can stand in its place. Names are opened relative to
a folder's descriptor and never through a link; a pipe does not hang an open. What is hot is the
system call itself, with no frame of ours around it.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe must not hang an open
_READ = os.O_RDONLY | SAFELY
_ENTER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)


class Entry(Protocol):
    """What a folder's listing says of one name: an `os.DirEntry` is it."""

    @property
    def name(self) -> str: ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool: ...

    def is_file(self, *, follow_symlinks: bool = True) -> bool: ...

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result: ...


class LookCalls:
    """The system calls themselves. `folder` is a descriptor of a folder, `name` a name in it."""

    fstat: Callable[[int], os.stat_result] = staticmethod(os.fstat)
    preadv: Callable[[int, Sequence[memoryview], int], int] = staticmethod(os.preadv)
    pread: Callable[[int, int, int], bytes] = staticmethod(os.pread)
    close: Callable[[int], None] = staticmethod(os.close)
    lstat: Callable[[Path], os.stat_result] = staticmethod(os.lstat)

    def scandir(self, path: Path) -> AbstractContextManager[Iterator[Entry]]:
        """What is in a folder."""
        return os.scandir(path)

    def look(self, path: Path) -> os.stat_result | None:
        """What has this name, a broken link too; OSError where that is not told."""
        try:
            return self.lstat(path)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        except ValueError:
            return None  # no name that a disk could have

    def is_folder(self, path: Path) -> bool:
        """Whether it is a folder, or a link to one."""
        return path.is_dir()

    def stat_in(self, name: str, folder: int) -> os.stat_result:
        """What has this name, not what a link leads to."""
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def enter(self, name: str, folder: int) -> int:
        """A descriptor of a folder in a folder; never through a link."""
        return os.open(name, _ENTER, dir_fd=folder)

    def open_to_read(self, name: str, folder: int) -> int:
        """An existing file for reading only; never through a link."""
        return os.open(name, _READ, dir_fd=folder)

    def contents(self, fd: int) -> bytes:
        """All that is in an open file."""
        with os.fdopen(os.dup(fd), "rb") as file:
            file.seek(0)
            return file.read()

    def lock(self, fd: int) -> None:
        """Take the file's exclusive lock; BlockingIOError if another has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
