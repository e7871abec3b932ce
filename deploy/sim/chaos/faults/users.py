"""What people do to files while they are shared: edit, cut, replace, remove, add.

And to downloads: change what is not done yet while the node is off, start another node on them.
"""

from pathlib import Path
from typing import Final

from common.errors import UserError
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.journal import replay
from common.shell.disk.pairs import JOURNAL, PART
from common.shell.disk.parts import PartFile
from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.faults.strike import Strike
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.host import Host
from deploy.sim.inside import parts_of
from deploy.sim.nodes import DOWNLOADS, SHARE

MORE: Final = 0.6  # how likely a file that appears is followed by another ...
MORE_S: Final = (0.0, 1.0)  # ... while the first is being published
AWAY_S: Final = (2.5, 8.0)


def _file(arena: Arena) -> tuple[Host, str] | None:
    host = arena.rng.choice(arena.leaves)
    paths = list(arena.truth.now.get(host.number, {}))
    arena.in_vain = not paths
    return (host, arena.rng.choice(paths)) if paths else None


def edit(arena: Arena) -> None:
    """A few bytes in the middle are written anew."""
    found = _file(arena)
    if found is not None:
        host, path = found
        data = bytearray(arena.files[host.number].read(f"{SHARE}/{path}"))
        at = arena.rng.randrange(len(data)) if data else 0
        data[at : at + 4] = arena.rng.randbytes(4)
        arena.files[host.number].edit(f"{SHARE}/{path}", at, bytes(data[at : at + 4]))
        arena.truth.put(host.number, path, bytes(data))


def truncate(arena: Arena) -> None:
    """A file loses its end."""
    found = _file(arena)
    if found is not None:
        host, path = found
        data = arena.files[host.number].read(f"{SHARE}/{path}")
        size = arena.rng.randrange(len(data) + 1)
        arena.files[host.number].truncate(f"{SHARE}/{path}", size)
        arena.truth.put(host.number, path, data[:size])


def replace(arena: Arena) -> None:
    """Another file takes the name."""
    found = _file(arena)
    if found is not None:
        host, path = found
        data = arena.rng.randbytes(arena.rng.randint(1, 50_000))
        arena.files[host.number].replace(f"{SHARE}/{path}", data)
        arena.truth.put(host.number, path, data)


def remove(arena: Arena) -> None:
    """A file is deleted."""
    found = _file(arena)
    if found is not None:
        arena.remove(*found)


def add(arena: Arena) -> None:
    """A file appears: a new one, or a copy of one that another has; at times more follow."""
    host = arena.rng.choice(arena.leaves)
    _add_to(arena, host)
    while arena.rng.random() < MORE:
        after_s = arena.rng.uniform(*MORE_S)
        arena.later(after_s, lambda: _add_to(arena, host))


def _add_to(arena: Arena, host: Host) -> None:
    data = arena.rng.choice([arena.rng.randbytes(20_000), *arena.truth.contents.values()])
    arena.put(host, f"added/new song {arena.rng.randrange(1000)}.ogg", data)


def edit_part(arena: Arena) -> None:
    """A node is stopped in order, somebody writes into what it was fetching, and it comes back."""
    host = arena.rng.choice([leaf for leaf in arena.leaves if parts_of(leaf)] or arena.leaves)
    arena.in_vain = not parts_of(host)
    host.stop(1.0)

    def come_back() -> None:
        if not host.is_running:
            _meddle(arena, host)
        host.start()

    arena.lasting(arena.rng.uniform(*AWAY_S), come_back)


def _meddle(arena: Arena, host: Host) -> None:
    """Change a byte of a part of which a piece is claimed and that was closed in order."""
    files = arena.files[host.number]
    for name in files.names(DOWNLOADS) if files.exists(DOWNLOADS) else []:
        path = f"{DOWNLOADS}/{name.removesuffix(JOURNAL)}"
        found = replay(files.read(path + JOURNAL)) if name.endswith(JOURNAL) else None
        if found is None or found.clean is None or not found.pieces or files.names_of(path) != 1:
            continue
        data = files.read(path)
        at = arena.rng.choice(list(found.pieces)) * found.piece_size
        if at < len(data):
            arena.truth.meddled[host.number] = None
            files.edit(path, at, bytes((data[at] ^ 1,)))


def other_node(arena: Arena) -> None:
    """Another node of the same person takes up what this one is fetching: it must be refused."""
    host = arena.rng.choice([leaf for leaf in arena.leaves if parts_of(leaf)] or arena.leaves)
    arena.in_vain = not parts_of(host)
    calls = arena.files[host.number].process()
    try:
        for part in list(parts_of(host).values()):
            _take_up(arena, host, part, calls)
    except PowerCutError:
        arena.darken(host)
    calls.die()


def _take_up(arena: Arena, host: Host, part: PartFile, calls: DiskCalls) -> None:
    target = Path(str(part.path).removesuffix(PART))
    try:
        mine = PartFile.open(target, part.root, part.size, disk=calls)
        if mine.path == part.path:
            what = f"{host.name}: two processes write {part.path}"
            arena.world.violate("4: one process writes a download", what)
        mine.abandon(delete_data=True)
    except UserError:
        pass  # it is busy, or the disk says no


FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    "user-edits": (edit, 10.0),
    "user-truncates": (truncate, 20.0),
    "user-replaces": (replace, 15.0),
    "user-removes": (remove, 15.0),
    "user-adds": (add, 5.0),
    "user-edits-part": (edit_part, 8.0),
    "user-starts-another": (other_node, 8.0),
}
