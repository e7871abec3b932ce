"""Faults of whole hosts: crashes, freezes, slow processors, jumping clocks, lost and old states."""

from typing import Final

from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.faults.strike import Strike
from deploy.sim.host import Host

DOWN_S: Final = (0.0, 15.0)
FREEZE_S: Final = (0.1, 12.0)
MASS_S: Final = 1.0  # within which a mass event strikes


def _some(arena: Arena) -> Host | None:
    running = [host for host in arena.world.hosts if host.is_running]
    arena.in_vain = not running
    return arena.rng.choice(running) if running else None


def _down(arena: Arena, host: Host, for_s: float | None = None) -> None:
    """It starts again after a while."""
    arena.lasting(arena.rng.uniform(*DOWN_S) if for_s is None else for_s, host.start)


def crash(arena: Arena) -> None:
    """A process is killed; the kernel tells the others."""
    host = _some(arena)
    if host is not None:
        arena.world.kill(host)
        _down(arena, host)


def power(arena: Arena) -> None:
    """A host loses its power: nobody is told, and what was not synced may be gone."""
    host = _some(arena)
    if host is not None:
        arena.darken(host)
        _down(arena, host)


def fragile(arena: Arena) -> None:
    """For a while hosts die in the middle of what they are doing."""
    host = _some(arena)
    if host is None:
        return
    host.fragile = 0.01

    def mend() -> None:
        host.fragile = 0.0
        host.start()

    arena.lasting(arena.rng.uniform(2, 10), mend)


def leave(arena: Arena) -> None:
    """A node is stopped in order, and comes back."""
    host = _some(arena)
    if host is not None:
        host.stop(arena.rng.choice((0.0, 1.0, 5.0)))
        arena.lasting(arena.rng.uniform(0, 15), host.start)


def old_state(arena: Arena) -> None:
    """A host comes back with an older state directory."""
    host = _some(arena)
    if host is None:
        return
    number = host.number
    backup = arena.older.pop(number, None)
    if backup is None:
        arena.older[number] = arena.stores[number].copy()
        return
    arena.world.kill(host)
    arena.stores[number] = backup
    _down(arena, host)


def lost_state(arena: Arena) -> None:
    """A leaf loses its state directory with its key; a super-peer all but its key."""
    host = _some(arena)
    if host is None:
        return
    arena.world.kill(host)
    arena.stores[host.number] = type(arena.stores[host.number])()
    if host in arena.leaves:
        arena.rekey(host)
    _down(arena, host)


def freeze(arena: Arena) -> None:
    """A process stands still for a while."""
    host = _some(arena)
    if host is not None:
        host.freeze()
        arena.lasting(arena.rng.uniform(*FREEZE_S), host.thaw)


def slow(arena: Arena) -> None:
    """A processor takes 1 to 20 ms for what takes 0.1."""
    host = _some(arena)
    if host is None:
        return
    host.cost_s = arena.rng.choice((0.001, 0.005, 0.02))

    def mend() -> None:
        host.cost_s = 0.0
        host.slow_until = arena.world.now

    arena.lasting(arena.rng.uniform(2, 15), mend)


def clock(arena: Arena) -> None:
    """A wall clock jumps by up to a day; the node starts again with it."""
    host = _some(arena)
    if host is not None:
        host.wall_jump_s += arena.rng.uniform(-86_400, 86_400)
        arena.world.kill(host)
        _down(arena, host, arena.rng.choice((0.0, 3.0)))


def mass(arena: Arena) -> None:
    """All super-peers, or all leaves, die within a second."""
    hosts = arena.rng.choice((arena.super_peers, arena.leaves))
    for host in hosts:
        arena.later(
            arena.rng.uniform(0, MASS_S),
            lambda host=host: arena.world.kill(host),  # type: ignore[misc]
        )
        arena.lasting(MASS_S + arena.rng.uniform(*DOWN_S), host.start)


def upgrade(arena: Arena) -> None:
    """A rolling restart into another release, one node after the other."""
    from deploy.sim.dialect import PLAIN, Newer

    for place, host in enumerate(arena.world.hosts):

        def restart(host: Host = host) -> None:
            arena.world.kill(host)
            host.dialect = Newer() if host.dialect is PLAIN else PLAIN
            host.start()

        arena.later(1.0 + place, restart)


FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    "crash": (crash, 8.0),
    "power": (power, 12.0),
    "fragile": (fragile, 15.0),
    "leave": (leave, 15.0),
    "old-state": (old_state, 8.0),
    "lost-state": (lost_state, 25.0),
    "freeze": (freeze, 8.0),
    "slow": (slow, 8.0),
    "clock": (clock, 20.0),
    "mass": (mass, 40.0),
    "upgrade": (upgrade, 40.0),
}
