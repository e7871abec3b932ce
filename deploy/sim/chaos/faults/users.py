"""What people do to files while they are shared: edit, cut, replace, remove, add."""

from typing import Final

from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.faults.strike import Strike
from deploy.sim.host import Host
from deploy.sim.nodes import SHARE


def _file(arena: Arena) -> tuple[Host, str] | None:
    host = arena.rng.choice(arena.leaves)
    paths = list(arena.truth.now.get(host.number, {}))
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
    """A file appears: a new one, or a copy of one that another has."""
    host = arena.rng.choice(arena.leaves)
    data = arena.rng.choice([arena.rng.randbytes(20_000), *arena.truth.contents.values()])
    arena.put(host, f"added/new song {arena.rng.randrange(1000)}.ogg", data)


FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    "user-edits": (edit, 10.0),
    "user-truncates": (truncate, 20.0),
    "user-replaces": (replace, 15.0),
    "user-removes": (remove, 15.0),
    "user-adds": (add, 5.0),
}
