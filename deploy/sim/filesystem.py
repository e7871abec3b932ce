"""The file system of one simulated host: what is on its disk, and what only seems to be.

As on ext4 and its like, only worse: bytes are durable once the file was synced and names once the
folder was; of all else a power cut keeps what it likes. A process that is killed loses nothing but
its descriptors and locks. Programs use it through the calls of one process (`filecalls.py`), which
can be made to fail; what a person does is done at once, always works and is durable. Links to other
paths are not modelled. Paths are absolute, with `/`. All chance comes from the generator that was
handed over, all time from `now`.
"""

import errno
import os
from collections.abc import Callable
from random import Random

from deploy.sim.diskfaults import DiskFaults
from deploy.sim.filecalls import ProcessCalls
from deploy.sim.filenodes import BLOCK, File, Folder

_NO_LIMIT_BLOCKS = 1 << 40
Watcher = Callable[[str], None]


class FileSystem:
    """What a host has on its disk; it outlives the host's processes."""

    __slots__ = (
        *("_dirty", "_inodes", "_now", "_processes", "_root", "_used_blocks"),
        *("capacity_bytes", "faults", "full", "lies", "rng", "short_reads", "watchers"),
    )

    def __init__(
        self, rng: Random, now: Callable[[], float], capacity_bytes: int | None = None
    ) -> None:
        self.rng = rng
        self.capacity_bytes = capacity_bytes
        self.full = False
        """Nothing more fits, whatever the capacity."""
        self.lies = False
        """A sync of a file says yes and does nothing, as drives with a cache of their own do."""
        self.short_reads = 0.0
        """How likely a read brings less than it was asked for, as a read may."""
        self.faults: DiskFaults | None = None
        self.watchers: list[Watcher] = []
        """Told the path of each name or content that changed, but for what programs write."""
        self._now = now
        self._inodes = 1
        self._root = Folder(1, "/")
        self._dirty: dict[int, File | Folder] = {}
        self._processes: list[ProcessCalls] = []
        self._used_blocks = 0

    # --- faults -----------------------------------------------------------------------------

    def power_loss(self) -> None:
        """Of all that was not synced, anything may be lost; every process is gone."""
        for process in self._processes.copy():
            process.die()
        if self.faults is not None:
            self.faults.cut_after(0)
        dirty, self._dirty = self._dirty, {}
        touched: list[File | Folder] = []
        for node in dirty.values():
            if isinstance(node, Folder):
                touched += node.lose_power(self.rng)
            else:
                node.lose_power(self.rng)
                touched.append(node)
        for node in touched:
            self.settle(node)

    def cut_after(self, operations: int) -> None:
        """The power goes in the middle of that operation, counted from now (1: the next)."""
        self._faults().cut_after(operations)

    def fail(
        self, kind: str, *, nth: int = 0, chance: float = 0.0, number: int = errno.EIO
    ) -> None:
        """The `nth` operation of a kind from now fails once, or each with this chance (neither:
        none any more).

        Kinds: open create read write allocate extend sync sync_folder link rename unlink mkdir
        stat, and `any`. Half of a failed write is written; a failed sync drops what it should
        have kept, and the next says yes.
        """
        self._faults().fail(kind, nth, chance, number)

    def protect(self, folder: str, *, writable: bool = False) -> None:
        """No name in this folder can be made or removed (EACCES), or it can again."""
        self._folder(folder).is_writable = writable

    def flip_bit(self, path: str, offset: int) -> None:
        """The medium decays: this byte reads wrong from now on, and no stamp tells of it."""
        self._file(path).flip_bit(offset)

    def wear_out(self, path: str, offset: int) -> None:
        """The medium decays: what is around this byte cannot be read until it is written anew."""
        self._file(path).wear_out(offset)

    def _faults(self) -> DiskFaults:
        if self.faults is None:
            self.faults = DiskFaults(self.rng)
        return self.faults

    # --- people -----------------------------------------------------------------------------

    def put(self, path: str, data: bytes) -> None:
        """Make the file and its folders, or write it anew in place."""
        found = self.find(path)
        if isinstance(found, File):
            self._rewrite(path, data)
        else:
            self.replace(path, data)

    def edit(self, path: str, offset: int, data: bytes) -> None:
        """Write into a file in place."""
        held = bytearray(self._file(path).data)
        held.extend(bytes(max(0, offset - len(held))))
        held[offset : offset + len(data)] = data
        self._rewrite(path, bytes(held))

    def truncate(self, path: str, size: int) -> None:
        """Cut a file, or lengthen it with zeros."""
        data = bytes(self._file(path).data[:size])
        self._rewrite(path, data + bytes(size - len(data)))

    def replace(self, path: str, data: bytes) -> None:
        """Another file takes the name."""
        folder, name = self._place(path)
        self._mean(folder, name, File(self.next_inode(), self.mtime_ns(0), data))

    def rename(self, path: str, new: str) -> None:
        """Give a file or folder another name, over any file of that name."""
        node = self.find(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if node is self.find(new):
            return
        folder, name = self._place(new)
        self._mean(folder, name, node)
        self._mean(*self._place(path), None)
        if isinstance(node, Folder):
            _move(node, folder.path.rstrip("/") + "/" + name)

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all that is in it; fine if it is not there."""
        if self.find(path) is not None:
            self._mean(*self._place(path), None)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        self._place(path.rstrip("/") + "/.")

    def read(self, path: str) -> bytes:
        """The content; FileNotFoundError."""
        return bytes(self._file(path).data)

    def durable(self, path: str) -> bytes:
        """What would be left of the content if the power went now, at worst; FileNotFoundError."""
        return self._file(path).durable()

    def exists(self, path: str) -> bool:
        """Whether something has this name."""
        return self.find(path) is not None

    def names(self, folder: str) -> list[str]:
        """What is in a folder, sorted."""
        return sorted(self._folder(folder).entries)

    def names_of(self, path: str) -> int:
        """How many names a file has."""
        node = self.find(path)
        return node.links if node is not None else 0

    def fold(self, path: str, known: Callable[[bytes], bytes | None]) -> None:
        """Hold a file's content by the one copy that all hosts have of it, if there is one."""
        node = self.find(path)
        if isinstance(node, File) and not node.is_dirty:
            node.data = known(bytes(node.data)) or node.data

    @property
    def used_bytes(self) -> int:
        """How much of the capacity is taken."""
        return self._used_blocks * BLOCK

    # --- for processes ----------------------------------------------------------------------

    def process(self) -> ProcessCalls:
        """The calls of a new process."""
        process = ProcessCalls(self)
        self._processes.append(process)
        return process

    def leave(self, process: ProcessCalls) -> None:
        """A process is gone."""
        if process in self._processes:
            self._processes.remove(process)

    def find(self, path: str) -> File | Folder | None:
        """What has this name."""
        node: File | Folder | None = self._root
        for name in path.split("/"):
            if not name:
                continue
            if not isinstance(node, Folder):
                return None
            node = node.entries.get(name)
        return node

    def next_inode(self) -> int:
        """A number that no node ever had."""
        self._inodes += 1
        return self._inodes

    def mtime_ns(self, before: int) -> int:
        """The time of a change; later than `before`, so that no change hides in a tick."""
        return max(int(self._now() * 1e9), before + 1)

    def soil(self, node: File | Folder) -> None:
        """It holds what is not durable."""
        self._dirty[node.inode] = node

    def cleanse(self, node: File | Folder) -> None:
        """It was synced."""
        if isinstance(node, Folder):
            for before in node.sync():
                if before.links == 0:
                    self._dirty.pop(before.inode, None)
        if not node.is_dirty:
            self._dirty.pop(node.inode, None)

    def free_blocks(self) -> int:
        """How many blocks can still be taken."""
        if self.full:
            return 0
        if self.capacity_bytes is None:
            return _NO_LIMIT_BLOCKS
        return max(0, self.capacity_bytes // BLOCK - self._used_blocks)

    def settle(self, node: File | Folder) -> None:
        """Count what it takes of the disk: nothing once it has no name and nobody has it open."""
        if isinstance(node, Folder):
            if node.links == 0:
                entries, node.entries = node.entries, {}
                for each in entries.values():
                    each.links -= 1
                    self.settle(each)
            return
        counted = node.owned() if node.links or node.opens else 0
        self._used_blocks += counted - node.counted
        node.counted = counted

    def tell(self, path: str) -> None:
        """A name or a content changed."""
        for watcher in self.watchers:
            watcher(path)

    # --- below ------------------------------------------------------------------------------

    def _file(self, path: str) -> File:
        node = self.find(path)
        if not isinstance(node, File):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node

    def _folder(self, path: str) -> Folder:
        node = self.find(path)
        if not isinstance(node, Folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node

    def _place(self, path: str) -> tuple[Folder, str]:
        """The folder of a path, made if it is not there, and the name in it."""
        *folders, name = [each for each in path.split("/") if each]
        here = self._root
        for each in folders:
            inner = here.entries.get(each)
            if inner is None:
                inner = Folder(self.next_inode(), here.path.rstrip("/") + "/" + each)
                here.change({each: inner}, durable=True)
            if not isinstance(inner, Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            here = inner
        return here, name

    def _rewrite(self, path: str, data: bytes) -> None:
        file = self._file(path)
        file.replace(data, self.mtime_ns(file.mtime_ns))
        self._dirty.pop(file.inode, None)
        self.settle(file)
        self.tell(path)

    def _mean(self, folder: Folder, name: str, node: File | Folder | None) -> None:
        before = folder.entries.get(name)
        folder.change({name: node}, durable=True)
        for each in (before, node):
            if each is not None:
                self.settle(each)
        self.tell(folder.path.rstrip("/") + "/" + name)


def _move(folder: Folder, path: str) -> None:
    folder.path = path
    for name, node in folder.entries.items():
        if isinstance(node, Folder):
            _move(node, path + "/" + name)
