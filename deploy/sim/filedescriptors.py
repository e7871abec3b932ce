"""The descriptors and locks of one process on a simulated file system.

A number is never given out twice, so a call on a descriptor that was closed is always EBADF. When
the process is gone, so is all of it; a call that is still under way then does not come back.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EBADF, EISDIR, ENOENT, ENOTDIR, EWOULDBLOCK
from typing import Final, NoReturn

from common.shell.disk.lookcalls import Entry
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.filenodes import BLOCK, File, Folder

_FIRST_FD: Final = 3
_STAT_BLOCK: Final = 512


def refuse(number: int, name: str = "") -> NoReturn:
    """The system says no."""
    raise OSError(number, os.strerror(number), name)


class Descriptors:
    """What one process has open; `unused` is told of a file that nothing and nobody holds."""

    def __init__(self, unused: Callable[[File], None]) -> None:
        self._unused = unused
        self._next_fd = _FIRST_FD
        self._files: dict[int, File] = {}
        self._written: dict[int, File] = {}  # those of them that may be written to
        self._folders: dict[int, Folder] = {}
        self.is_dead = False

    def __len__(self) -> int:
        return len(self._files) + len(self._folders)

    def open(
        self,
        node: File | Folder | None,
        name: str,
        *,
        is_folder: bool = False,
        writable: bool = False,
    ) -> int:
        """A descriptor of what has this name."""
        if node is None:
            refuse(ENOENT, name)
        fd, self._next_fd = self._next_fd, self._next_fd + 1
        if isinstance(node, Folder):
            if writable:
                refuse(EISDIR, name)
            self._folders[fd] = node
        elif is_folder:
            refuse(ENOTDIR, name)
        else:
            node.opens += 1
            self._files[fd] = node
            if writable:
                self._written[fd] = node
        return fd

    def close(self, fd: int) -> None:
        """Give it back, and its lock."""
        if self.is_dead or self._folders.pop(fd, None) is not None:
            return
        node = self._files.pop(fd, None)
        if node is None:
            refuse(EBADF)
        self._written.pop(fd, None)
        node.opens -= 1
        if node.locked_by == (self, fd):
            node.locked_by = None
        if not node.opens and not node.links:
            self._unused(node)

    def close_all(self) -> None:
        """The process is gone."""
        for fd in [*self._files, *self._folders]:
            self.close(fd)
        self.is_dead = True

    def lock(self, fd: int) -> None:
        """Take the file's lock, or be refused."""
        node = self.file(fd)
        if node.locked_by not in (None, (self, fd)):
            refuse(EWOULDBLOCK)
        node.locked_by = self, fd

    def file(self, fd: int) -> File:
        """The file that this has open."""
        node = self._files.get(fd)
        if node is None:
            self._gone(EISDIR if fd in self._folders else EBADF)
        return node

    def writable(self, fd: int, reading: int = EBADF) -> File:
        """The file that this has open for writing; `reading` says no to one only for reading."""
        node = self._written.get(fd)
        if node is None:
            self._gone(reading if fd in self._files else EBADF)
        return node

    def folder(self, fd: int) -> Folder:
        """The folder that this has open."""
        node = self._folders.get(fd)
        if node is None:
            self._gone(EBADF)
        return node

    def node(self, fd: int) -> File | Folder:
        """What this has open."""
        return self._folders.get(fd) or self.file(fd)

    def _gone(self, number: int) -> NoReturn:
        if self.is_dead:
            raise PowerCutError
        refuse(number)


class _Entry:
    """One name of a listing."""

    __slots__ = ("_node", "name")

    def __init__(self, name: str, node: File | Folder) -> None:
        self.name = name
        self._node = node

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - there are no links
        return isinstance(self._node, Folder)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return isinstance(self._node, File)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002
        return status(self._node)


@contextmanager
def listing(folder: Folder) -> Iterator[Iterator[Entry]]:
    """What `os.scandir` gives."""
    yield iter([_Entry(name, node) for name, node in folder.entries.items()])


def status(node: File | Folder) -> os.stat_result:
    """What `os.stat` gives."""
    if isinstance(node, Folder):
        mode, size, mtime_ns, blocks = stat.S_IFDIR | 0o777, 0, 0, 0
    else:
        mode, size, mtime_ns = stat.S_IFREG | 0o666, len(node.data), node.mtime_ns
        blocks = node.owned() * (BLOCK // _STAT_BLOCK)
    seconds = mtime_ns // 10**9
    return os.stat_result(
        (mode, node.inode, 1, node.links, 0, 0, size, seconds, seconds, seconds),
        {"st_mtime_ns": mtime_ns, "st_blocks": blocks},
    )
