"""Faults of disks: full, failing, short of descriptors, decaying, read-only, without power."""

from errno import EIO, EMFILE
from typing import Final

from common.shell.disk.pairs import PART
from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.faults.strike import Strike
from deploy.sim.diskfaults import ANY
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.inside import parts_of
from deploy.sim.nodes import DOWNLOADS, SHARE

KINDS: Final = ("write", "sync", "allocate", "extend", "link", "sync_folder", "open", "read", ANY)
BUSY: Final = 0.6
DOWN_S: Final = (0.5, 5.0)
PROTECTED_S: Final = (2.0, 12.0)


def _disk(arena: Arena) -> tuple[Host, FileSystem]:
    """A leaf's, rather of one that has work for it."""
    busy = [leaf for leaf in arena.leaves if parts_of(leaf)] if arena.rng.random() < BUSY else []
    host = arena.rng.choice(busy or arena.leaves)
    return host, arena.files[host.number]


def _may_be_clumsy(arena: Arena, host: Host, kind: str) -> None:
    """Where anything can fail, so can the removal of what could not be made."""
    if kind == ANY:
        arena.truth.clumsy[host.number] = None


def full(arena: Arena) -> None:
    """No byte more fits for a while."""
    _, files = _disk(arena)
    files.full = True

    def mend() -> None:
        files.full = False

    arena.lasting(arena.rng.uniform(2, 15), mend)


def fails_once(arena: Arena) -> None:
    """One operation to come fails, often a sync: what that should have kept is lost."""
    host, files = _disk(arena)
    kind = arena.rng.choice((*KINDS, "sync", "sync", "sync"))
    _may_be_clumsy(arena, host, kind)
    files.fail(kind, nth=arena.rng.randint(1, 10), number=EIO)


def fails_often(arena: Arena) -> None:
    """Every tenth operation of a kind fails, for a while."""
    host, files = _disk(arena)
    kind = arena.rng.choice(KINDS)
    _may_be_clumsy(arena, host, kind)
    files.fail(kind, chance=0.1, number=EIO)
    arena.lasting(arena.rng.uniform(2, 10), lambda: files.fail(kind, chance=0.0))


def no_descriptors(arena: Arena) -> None:
    """For a while every other file cannot be opened: the process has too many open."""
    _, files = _disk(arena)
    files.fail("open", chance=0.5, number=EMFILE)
    arena.lasting(arena.rng.uniform(1, 8), lambda: files.fail("open", chance=0.0))


def reads_short(arena: Arena) -> None:
    """Reads bring less than they were asked for, for a while."""
    _, files = _disk(arena)
    files.short_reads = 0.3

    def mend() -> None:
        files.short_reads = 0.0

    arena.lasting(arena.rng.uniform(5, 20), mend)


def dies_writing(arena: Arena) -> None:
    """The power goes in the middle of an operation of the disk."""
    host, files = _disk(arena)
    files.cut_after(arena.rng.randint(1, 40))
    arena.lasting(arena.rng.uniform(5, 20), host.start)


def decays(arena: Arena) -> None:
    """A byte of a shared file reads wrong from now on."""
    host, files = _disk(arena)
    held = [(path, one) for path, one in arena.truth.now.get(host.number, {}).items() if one[1]]
    arena.in_vain = not held
    if held:
        path, content = arena.rng.choice(held)
        arena.truth.decayed[host.number] = None
        files.flip_bit(f"{SHARE}/{path}", arena.rng.randrange(content[1]))


def part_decays(arena: Arena) -> None:
    """A process dies, and a byte of what it had fetched so far reads wrong from then on, or not
    at all.

    Not of what has its final name too: that was proven, and is not read again.
    """
    host, files = _disk(arena)
    names = files.names(DOWNLOADS) if files.exists(DOWNLOADS) else []
    parts = [f"{DOWNLOADS}/{name}" for name in names if name.endswith(PART)]
    begun = [path for path in parts if files.read(path) and files.names_of(path) == 1]
    arena.in_vain = not begun
    if begun:
        path = arena.rng.choice(begun)
        arena.truth.rotten[host.number] = None
        arena.world.kill(host)
        arena.lasting(arena.rng.uniform(*DOWN_S), host.start)
        decay = arena.rng.choice((files.flip_bit, files.wear_out))
        decay(path, arena.rng.randrange(len(files.read(path))))


def protected(arena: Arena) -> None:
    """The folder of downloads cannot be written to."""
    _, files = _disk(arena)
    arena.in_vain = not files.exists(DOWNLOADS)
    if files.exists(DOWNLOADS):
        files.protect(DOWNLOADS)
        for_s = arena.rng.uniform(*PROTECTED_S)
        arena.lasting(for_s, lambda: files.protect(DOWNLOADS, writable=True))


FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    "disk-full": (full, 10.0),
    "disk-fails-once": (fails_once, 5.0),
    "disk-fails-often": (fails_often, 15.0),
    "disk-no-descriptors": (no_descriptors, 20.0),
    "disk-reads-short": (reads_short, 10.0),
    "disk-dies-writing": (dies_writing, 12.0),
    "disk-decays": (decays, 20.0),
    "disk-part-decays": (part_decays, 6.0),
    "disk-protected": (protected, 20.0),
}
