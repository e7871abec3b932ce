"""The nodes of a simulated file system: a file and a folder, and how each looks after a power cut.

Each holds what programs see, and beside it how to undo all that is not durable yet: of a file what
its bytes and size were before each write since the last sync, of a folder what its names meant
before each change. So writing costs a copy, a sync nothing, and a power cut as much as is unsynced.
The disk may have taken unsynced changes in any order, any sector of them or a part of one.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

SECTOR = 512  # what a disk writes whole; a torn one is worse than real disks promise
BLOCK = 4096  # what a file owns of the disk


class _Before(NamedTuple):
    """What stood in `length` bytes from `start` on before they were changed."""

    start: int
    length: int
    old: bytes | bytearray  # shorter where the file was
    size: int


class File:
    """A file, by whatever names it has (`links`) and whoever has it open (`opens`)."""

    __slots__ = (
        *("blocks", "counted", "data", "inode", "links", "locked_by", "mtime_ns"),
        *("opens", "worn", "_safe_mtime_ns", "_stale", "_undo"),
    )

    def __init__(self, inode: int, mtime_ns: int, data: bytes | bytearray = b"") -> None:
        self.inode = inode
        self.data = data
        """Bytes where the content is shared with other hosts, until it is written to."""
        self.mtime_ns = mtime_ns
        self.links = 0
        self.opens = 0
        self.locked_by: object = None
        self.blocks: bytearray | None = None
        """A 1 for each block that it owns; None: all of them."""
        self.counted = 0
        """How many blocks of the disk are counted as taken by it."""
        self.worn: dict[int, None] = {}
        """Blocks that cannot be read any more, until they are written anew."""
        self._safe_mtime_ns = mtime_ns
        self._undo: list[_Before] = []
        self._stale: dict[int, bytes] | None = None
        """What the disk has in sectors that a failed sync dropped, though programs see others."""

    @property
    def is_dirty(self) -> bool:
        """Whether a power cut could cost some of it."""
        return bool(self._undo or self._stale)

    def owned(self) -> int:
        """How many blocks it has."""
        if self.blocks is None:
            return -(-len(self.data) // BLOCK)
        return self.blocks.count(1)

    def missing(self, start: int, end: int) -> int:
        """How many more blocks it needs to hold these bytes."""
        first, beyond = start // BLOCK, -(-end // BLOCK)
        if self.blocks is None:
            return max(0, beyond - max(first, self.owned()))
        return beyond - first - self.blocks.count(1, first, beyond)

    def own(self, start: int, end: int) -> None:
        """Give it the blocks for these bytes."""
        first, beyond = start // BLOCK, -(-end // BLOCK)
        if self.blocks is None:
            if beyond <= self.owned():
                return
            self.blocks = bytearray(b"\1" * self.owned())
        self.blocks.extend(bytes(max(0, beyond - len(self.blocks))))
        self.blocks[first:beyond] = b"\1" * (beyond - first)

    def write(self, start: int, data: bytes | memoryview) -> None:
        """New bytes, not durable yet."""
        held = self._writable()
        size, length = len(held), len(data)
        for block in range(start // BLOCK, -(-(start + length) // BLOCK)) if self.worn else ():
            self.worn.pop(block, None)
        self._undo.append(_Before(start, length, held[start : start + length], size))
        if start > size:
            held.extend(bytes(start - size))
        held[start : start + length] = data

    def resize(self, size: int) -> None:
        """Cut it, or lengthen it with zeros that own no blocks; not durable yet."""
        held = self._writable()
        before = len(held)
        if size == before:
            return
        self._undo.append(_Before(size, max(0, before - size), held[size:], before))
        del held[size:]
        held.extend(bytes(size - len(held)))
        if self.blocks is None:
            self.blocks = bytearray(b"\1" * -(-before // BLOCK))
        count = -(-size // BLOCK)
        del self.blocks[count:]
        self.blocks.extend(bytes(count - len(self.blocks)))

    def replace(self, data: bytes | bytearray, mtime_ns: int) -> None:
        """Other content, durable at once."""
        self.data, self.blocks = data, None
        self.mtime_ns = self._safe_mtime_ns = mtime_ns
        self._undo.clear()
        self.worn.clear()
        self._stale = None

    def flip_bit(self, offset: int) -> None:
        """The medium decays."""
        self._writable()[offset] ^= 1

    def wear_out(self, offset: int) -> None:
        """The medium decays so far that it says so."""
        self.flip_bit(offset)
        self.worn[offset // BLOCK] = None

    def is_worn(self, start: int, count: int) -> bool:
        """Whether some of these bytes cannot be read."""
        return any(start < (n + 1) * BLOCK and n * BLOCK < start + count for n in self.worn)

    def durable(self) -> bytes:
        """What the disk has if it took nothing that it need not have taken yet."""
        held = bytearray(self.data)
        for change in reversed(self._undo):
            _restore(held, change, change.start, change.start + change.length)
        for sector, old in (self._stale or {}).items():
            start = sector * SECTOR
            _restore(held, _Before(start, len(old), old, 0), start, start + len(old))
        return bytes(held)

    def sync(self) -> None:
        """All that was written is durable, but for what a failed sync dropped before."""
        if self._stale:
            for change in self._undo:
                for start, _ in _sectors(change):
                    self._stale.pop(start // SECTOR, None)
        self._undo.clear()

    def drop_unsynced(self, rng: Random) -> None:
        """A sync failed: what was not durable never will be. Programs see it for a while longer,
        or see what the disk has."""
        held = self._writable()
        sectors = {start // SECTOR: b"" for change in self._undo for start, _ in _sectors(change)}
        spans = {sector: slice(sector * SECTOR, (sector + 1) * SECTOR) for sector in sectors}
        seen = {sector: bytes(held[span]) for sector, span in spans.items()}
        for change in reversed(self._undo):
            _restore(held, change, change.start, change.start + change.length)
        stale = {sector: bytes(held[span]) for sector, span in spans.items()}
        self._undo.clear()
        if rng.random() < 0.5:
            for sector, span in spans.items():
                held[span] = seen[sector]
            self._stale = {**stale, **(self._stale or {})}

    def lose_power(self, rng: Random) -> None:
        """Of what was not durable, any size, sector or part of one may be lost."""
        held = self._writable()
        sizes = [change.size for change in self._undo]
        size = rng.choice([*sizes, len(held)])
        held.extend(bytes(max(0, *sizes, len(held)) - len(held)) if sizes else b"")
        reached: dict[int, None] = {}  # sectors that are settled
        for change in reversed(self._undo):
            _lose(held, change, reached, rng)
        for sector, old in (self._stale or {}).items():
            if sector not in reached:
                start = sector * SECTOR
                _restore(held, _Before(start, len(old), old, 0), start, start + len(old))
        if len(held) != size:
            del held[size:]
        if self.blocks is not None:
            del self.blocks[-(-size // BLOCK) :]
            self.blocks.extend(bytes(-(-size // BLOCK) - len(self.blocks)))
        if self._undo and rng.random() < 0.5:
            self.mtime_ns = self._safe_mtime_ns
        self._safe_mtime_ns = self.mtime_ns
        self._undo.clear()
        self._stale = None

    def _writable(self) -> bytearray:
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        return self.data


class Folder:
    """Names and what they mean."""

    __slots__ = ("_undo", "entries", "inode", "is_writable", "links", "path")

    def __init__(self, inode: int, path: str) -> None:
        self.inode = inode
        self.path = path
        self.links = 0
        self.is_writable = True
        self.entries: dict[str, File | Folder] = {}
        self._undo: list[dict[str, File | Folder | None]] = []

    @property
    def is_dirty(self) -> bool:
        """Whether a power cut could undo some of it."""
        return bool(self._undo)

    def change(self, names: dict[str, "File | Folder | None"], *, durable: bool = False) -> None:
        """Let these names mean this (None: nothing), all of them or none."""
        if not durable:
            self._undo.append({name: self.entries.get(name) for name in names})
        for before in self._undo if durable else ():
            for name in names:
                before.pop(name, None)
        for name, node in names.items():
            self._mean(name, node)

    def sync(self) -> list["File | Folder"]:
        """Its names are durable; what some of them meant before, to be let go of."""
        before = [node for change in self._undo for node in change.values() if node is not None]
        self._undo.clear()
        return before

    def lose_power(self, rng: Random) -> list["File | Folder"]:
        """Any change that was not durable may be undone; what that may have cost or given a name.

        A later change of a name that reached the disk hides the earlier ones.
        """
        touched: list[File | Folder] = []
        settled: dict[str, None] = {}
        for change in reversed(self._undo):
            touched += [self.entries[name] for name in change if name in self.entries]
            touched += [node for node in change.values() if node is not None]
            if any(name in settled for name in change) or rng.random() < 0.5:
                settled.update(dict.fromkeys(change))
                continue
            for name, node in change.items():
                self._mean(name, node)
        self._undo.clear()
        return touched

    def _mean(self, name: str, node: "File | Folder | None") -> None:
        before = self.entries.pop(name, None)
        if before is not None:
            before.links -= 1
        if node is not None:
            self.entries[name] = node
            node.links += 1


def _sectors(change: _Before) -> Iterator[tuple[int, int]]:
    """The parts of a change that lie in one sector each."""
    start, end = change.start, change.start + change.length
    while start < end:
        beyond = min((start // SECTOR + 1) * SECTOR, end)
        yield start, beyond
        start = beyond


def _lose(held: bytearray, change: _Before, reached: dict[int, None], rng: Random) -> None:
    mode = rng.random()  # often a whole write shares one fate
    for start, end in _sectors(change):
        if start // SECTOR in reached:
            continue
        fate = mode if mode < 0.25 or mode > 0.75 else rng.random()
        if fate < 0.5:
            reached[start // SECTOR] = None
            continue
        if mode <= 0.75 and fate > 0.7:  # torn: its first bytes are new
            reached[start // SECTOR] = None
            start += rng.randrange(end - start)  # noqa: PLW2901
        _restore(held, change, start, end)


def _restore(held: bytearray, change: _Before, start: int, end: int) -> None:
    """Undo these bytes of a change, as far as they are in the file; new ones become zeros."""
    end = min(end, len(held))
    old = change.old[start - change.start : end - change.start]
    if start < end:
        held[start:end] = old + bytes(end - start - len(old))
