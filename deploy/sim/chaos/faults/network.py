"""Faults between hosts: cuts of every shape, clogs, lost links, late and lost messages."""

from collections.abc import Iterable
from typing import Final

from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.faults.strike import Strike
from deploy.sim.host import Host

HOLD_S: Final = (1.0, 15.0)


def _cut(arena: Arena, pairs: Iterable[tuple[int, int]], for_s: float | None = None) -> None:
    paths = arena.world.paths
    cut = paths.cut(pairs)
    hold_s = arena.rng.uniform(*HOLD_S) if for_s is None else for_s
    arena.lasting(hold_s, lambda: paths.heal(cut, arena.world.now))


def _both(a: Iterable[Host], b: Iterable[Host]) -> list[tuple[int, int]]:
    pairs = [(one.number, other.number) for one in a for other in b if one is not other]
    return pairs + [(other, one) for one, other in pairs]


def partition(arena: Arena) -> None:
    """The network falls into two halves."""
    hosts = list(arena.world.hosts)
    arena.rng.shuffle(hosts)
    at = arena.rng.randint(1, len(hosts) - 1)
    _cut(arena, _both(hosts[:at], hosts[at:]))


def isolate(arena: Arena) -> None:
    """One host is alone."""
    host = arena.rng.choice(arena.world.hosts)
    _cut(arena, _both([host], [each for each in arena.world.hosts if each is not host]))


def one_way(arena: Arena) -> None:
    """What one host sends to another does not arrive; the other way is fine."""
    a, b = arena.rng.sample(arena.world.hosts, 2)
    _cut(arena, [(a.number, b.number)])


def partial(arena: Arena) -> None:
    """Two hosts cannot reach one another, while all others reach both."""
    a, b = arena.rng.sample(arena.world.hosts, 2)
    _cut(arena, _both([a], [b]))


def flap(arena: Arena) -> None:
    """A way is cut and free again, over and over."""
    a, b = arena.rng.sample(arena.world.hosts, 2)
    for turn in range(arena.rng.randint(2, 6)):
        arena.later(
            4.0 * turn, lambda: _cut(arena, _both([a], [b]), for_s=arena.rng.uniform(0.2, 3.5))
        )


def clog(arena: Arena) -> None:
    """Half of the ways stop one by one, and are released in another order."""
    hosts = arena.world.hosts
    pairs = [(a.number, b.number) for a in hosts for b in hosts if a is not b]
    for pair in arena.rng.sample(pairs, len(pairs) // 2):
        arena.later(
            arena.rng.uniform(0, 2.0),
            lambda pair=pair: _cut(arena, [pair], arena.rng.uniform(0.5, 5.0)),  # type: ignore[misc]
        )


def drop_links(arena: Arena) -> None:
    """Something between two hosts drops their links."""
    host = arena.rng.choice(arena.world.hosts)
    for wire in list(host.wires.values()):
        if arena.rng.random() < 0.5:
            arena.world.wires.cut_off(wire, "dropped on the way")


def stutter(arena: Arena) -> None:
    """A leaf loses its links, finds them again, and loses them for longer."""
    leaf = arena.rng.choice(arena.leaves)
    _drop_all(arena, leaf)

    def again() -> None:
        others = [each for each in arena.world.hosts if each is not leaf]
        _cut(arena, _both([leaf], others), for_s=arena.rng.uniform(2.0, 8.0))
        _drop_all(arena, leaf)

    arena.later(arena.rng.uniform(0.5, 2.0), again)


def _drop_all(arena: Arena, host: Host) -> None:
    for wire in list(host.wires.values()):
        arena.world.wires.cut_off(wire, "dropped on the way")


def late(arena: Arena) -> None:
    """Messages take 30 to 100 ms on average, a few of them seconds."""
    paths = arena.world.paths
    paths.jitter_s, paths.spikes = arena.rng.uniform(0.03, 0.1), 0.005

    def mend() -> None:
        paths.jitter_s = paths.spikes = 0.0
        paths.late_until = arena.world.now + 10.0  # the last spike is over by then

    arena.lasting(arena.rng.uniform(5, 20), mend)


def narrow(arena: Arena) -> None:
    """A host's link is slow for a while: 5 kB/s to 1 MB/s, so that what is still on its way when
    the faults are over arrives soon after."""
    access = arena.rng.choice(arena.world.hosts).access
    access.up_rate = arena.rng.choice((5e3, 60e3, 200e3, 1e6))
    access.down_rate = arena.rng.choice((0.0, 200e3, 1e6))

    def mend() -> None:
        access.up_rate = access.down_rate = 0.0
        access.down_free = arena.world.now

    arena.lasting(arena.rng.uniform(5, 20), mend)


def datagrams(arena: Arena) -> None:
    """Pings and pongs are lost, doubled and overtaken."""
    wires = arena.world.wires
    wires.datagram_loss = arena.rng.uniform(0, 0.5)
    wires.datagram_doubling = arena.rng.uniform(0, 0.2)

    def mend() -> None:
        wires.datagram_loss = wires.datagram_doubling = 0.0

    arena.lasting(arena.rng.uniform(5, 20), mend)


FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    "partition": (partition, 20.0),
    "isolate": (isolate, 15.0),
    "one-way": (one_way, 12.0),
    "partial": (partial, 12.0),
    "flap": (flap, 25.0),
    "clog": (clog, 25.0),
    "drop-links": (drop_links, 6.0),
    "stutter": (stutter, 15.0),
    "late": (late, 15.0),
    "narrow": (narrow, 10.0),
    "datagrams": (datagrams, 15.0),
}
