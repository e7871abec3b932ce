"""The disk calls of one process on a simulated file system.

It stands in for `common.shell.disk.diskcalls.DiskCalls`, method for method, with the same refusals
and errors. Each call is one operation that may fail, or in which the power may go: it then does not
come back (`PowerCutError`), and the process is gone.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from common.limits import FILE_NAME_BYTES_MAX
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.lookcalls import Entry
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.filedescriptors import Descriptors, listing, refuse, status
from deploy.sim.filenodes import BLOCK, File, Folder

if TYPE_CHECKING:
    from deploy.sim.filesystem import FileSystem


class ProcessCalls(DiskCalls):
    """What one process can do; made by `FileSystem.process`."""

    def __init__(self, files: "FileSystem") -> None:
        self._files = files
        self._fds = Descriptors(files.settle)

    @property
    def open_count(self) -> int:
        """How many descriptors it has."""
        return len(self._fds)

    def die(self) -> None:
        """The process is gone."""
        self._fds.close_all()
        self._files.leave(self)

    # --- looking ----------------------------------------------------------------------------

    def fstat(self, fd: int) -> os.stat_result:
        self._begin("stat")
        return status(self._fds.node(fd))

    def lstat(self, path: Path) -> os.stat_result:
        self._begin("stat")
        return status(self._found(path))

    def stat_in(self, name: str, folder: int) -> os.stat_result:
        self._begin("stat")
        return status(self._fds.folder(folder).entries.get(name) or refuse(errno.ENOENT, name))

    def is_folder(self, path: Path) -> bool:
        return isinstance(self._files.find(str(path)), Folder)

    def scandir(self, path: Path) -> AbstractContextManager[Iterator[Entry]]:
        self._begin("open")
        node = self._found(path)
        if not isinstance(node, Folder):
            refuse(errno.ENOTDIR, str(path))
        return listing(node)

    # --- opening ----------------------------------------------------------------------------

    def open_folder(self, path: Path) -> int:
        self._begin("open")
        return self._fds.open(self._found(path), str(path), is_folder=True)

    def enter(self, name: str, folder: int) -> int:
        self._begin("open")
        return self._fds.open(self._fds.folder(folder).entries.get(name), name, is_folder=True)

    def open_to_read(self, name: str, folder: int) -> int:
        self._begin("open")
        return self._fds.open(self._fds.folder(folder).entries.get(name), name)

    def reopen(self, name: str, folder: int) -> int:
        self._begin("open")
        return self._fds.open(self._fds.folder(folder).entries.get(name), name, writable=True)

    def create(self, name: str, folder: int) -> int:
        cut = self._begin("create")
        files, into = self._files, self._writable_folder(folder)
        if name in into.entries:
            refuse(errno.EEXIST, name)
        if len(os.fsencode(name)) > FILE_NAME_BYTES_MAX:
            refuse(errno.ENAMETOOLONG, name)
        if not files.free_blocks():
            refuse(errno.ENOSPC, name)
        node = File(files.next_inode(), files.mtime_ns(0), bytearray())
        node.blocks = bytearray()
        self._change(into, {name: node})
        fd = self._fds.open(node, name, writable=True)
        self._ended(cut)
        return fd

    def close(self, fd: int) -> None:
        self._fds.close(fd)

    def lock(self, fd: int) -> None:
        self._begin("open")
        self._fds.lock(fd)

    # --- bytes ------------------------------------------------------------------------------

    def preadv(self, fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        self._begin("read")
        data, into = self._fds.file(fd).data, buffers[0]
        count = max(0, min(len(into), len(data) - offset))
        self._readable(fd, offset, count)
        if count > 1 and self._files.short_reads > self._files.rng.random():
            count = self._files.rng.randrange(1, count)
        into[:count] = memoryview(data)[offset : offset + count]
        return count

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        self._begin("read")
        self._readable(fd, offset, count)
        return bytes(self._fds.file(fd).data[offset : offset + count])

    def contents(self, fd: int) -> bytes:
        self._begin("read")
        return bytes(self._fds.file(fd).data)  # no copy where it is shared with other hosts

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        node = self._fds.writable(fd)
        try:
            cut = self._begin("write")
        except OSError:
            self._put(node, data[: len(data) // 2], offset)
            raise
        fits = len(data)
        if node.missing(offset, offset + fits) > self._files.free_blocks():
            fits = self._fitting(node, offset, fits)
        self._put(node, data if fits == len(data) else data[:fits], offset)
        self._ended(cut)
        if fits < len(data):
            refuse(errno.ENOSPC)

    def allocate(self, fd: int, start: int, length: int) -> None:
        cut = self._begin("allocate")
        node, end = self._fds.writable(fd), start + length
        if node.missing(start, end) > self._files.free_blocks():
            refuse(errno.ENOSPC)
        node.resize(max(end, len(node.data)))
        node.own(start, end)
        self._resized(node)
        self._ended(cut)

    def extend(self, fd: int, length: int) -> None:
        cut = self._begin("extend")
        node = self._fds.writable(fd, errno.EINVAL)
        node.resize(length)
        self._resized(node)
        self._ended(cut)

    def sync(self, fd: int) -> None:
        node = self._fds.file(fd)
        try:
            self._begin("sync")
        except OSError:
            node.drop_unsynced(self._files.rng)
            raise
        if not self._files.lies:
            node.sync()
            self._files.cleanse(node)

    def free_bytes(self, fd: int) -> int:
        self._fds.node(fd)
        return self._files.free_blocks() * BLOCK

    # --- names ------------------------------------------------------------------------------

    def make_folder(self, path: Path) -> None:
        cut = self._begin("mkdir")
        files = self._files
        above = self._found(path.parent)
        if not isinstance(above, Folder):
            refuse(errno.ENOTDIR, str(path))
        if path.name in above.entries or path.parent == path:
            refuse(errno.EEXIST, str(path))
        if not above.is_writable:
            refuse(errno.EACCES, str(path))
        if not files.free_blocks():
            refuse(errno.ENOSPC, str(path))
        self._change(above, {path.name: Folder(files.next_inode(), str(path))})
        self._ended(cut)

    def remove_folder(self, path: Path) -> None:
        cut = self._begin("unlink")
        above, node = self._found(path.parent), self._found(path)
        if not isinstance(node, Folder) or not isinstance(above, Folder):
            refuse(errno.ENOTDIR, str(path))
        if node.entries:
            refuse(errno.ENOTEMPTY, str(path))
        self._change(above, {path.name: None})
        self._ended(cut)

    def sync_folder(self, folder: int) -> None:
        node = self._fds.folder(folder)
        self._begin("sync_folder")
        self._files.cleanse(node)

    def link(self, source: str, target: str, folder: int) -> None:
        cut = self._begin("link")
        into = self._writable_folder(folder)
        node = into.entries.get(source) or refuse(errno.ENOENT, source)
        if target in into.entries:
            refuse(errno.EEXIST, target)
        if isinstance(node, Folder):
            refuse(errno.EPERM, source)
        self._change(into, {target: node})
        self._ended(cut)

    def exclusive_rename(self, source: str, target: str, folder: int) -> None:
        cut = self._begin("rename")
        into = self._writable_folder(folder)
        node = into.entries.get(source) or refuse(errno.ENOENT, source)
        if target in into.entries:
            refuse(errno.EEXIST, target)
        self._change(into, {source: None, target: node})
        self._ended(cut)

    def unlink(self, name: str, folder: int) -> None:
        cut = self._begin("unlink")
        into = self._writable_folder(folder)
        node = into.entries.get(name) or refuse(errno.ENOENT, name)
        if isinstance(node, Folder):
            refuse(errno.EISDIR, name)
        self._change(into, {name: None})
        self._files.settle(node)
        self._ended(cut)

    # --- below ------------------------------------------------------------------------------

    def _readable(self, fd: int, start: int, count: int) -> None:
        file = self._fds.file(fd)
        if file.worn and file.is_worn(start, count):
            refuse(errno.EIO)

    def _begin(self, kind: str) -> bool:
        """Whether the power goes once the operation has changed what it changes."""
        if self._fds.is_dead:
            raise PowerCutError
        faults = self._files.faults
        if faults is None:
            return False
        try:
            return faults.begin(kind)
        except PowerCutError:
            self.die()
            raise

    def _ended(self, cut: bool) -> None:
        if cut:
            self.die()
            raise PowerCutError

    def _found(self, path: Path) -> File | Folder:
        node = self._files.find(str(path))
        if node is None:
            above = path.parent
            while (there := self._files.find(str(above))) is None:
                above = above.parent
            refuse(errno.ENOENT if isinstance(there, Folder) else errno.ENOTDIR, str(path))
        return node

    def _writable_folder(self, fd: int) -> Folder:
        folder = self._fds.folder(fd)
        if not folder.is_writable:
            refuse(errno.EACCES, folder.path)
        return folder

    def _change(self, folder: Folder, names: dict[str, File | Folder | None]) -> None:
        folder.change(names)
        self._files.soil(folder)
        for name in names:
            self._files.tell(folder.path.rstrip("/") + "/" + name)

    def _fitting(self, node: File, offset: int, length: int) -> int:
        """How many bytes of a write still fit."""
        free, end = self._files.free_blocks(), offset + length
        while end > offset and node.missing(offset, end) > free:
            end = (end - 1) // BLOCK * BLOCK
        return max(0, end - offset)

    def _put(self, node: File, data: bytes | memoryview, offset: int) -> None:
        if not len(data):
            return
        node.write(offset, data)
        if node.missing(offset, offset + len(data)):
            node.own(offset, offset + len(data))
            self._files.settle(node)
        self._stamp(node)

    def _resized(self, node: File) -> None:
        self._files.settle(node)
        self._stamp(node)

    def _stamp(self, node: File) -> None:
        node.mtime_ns = self._files.mtime_ns(node.mtime_ns)
        self._files.soil(node)
