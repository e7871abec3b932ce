"""What a seed draws: a small network, its settings, and which faults are switched on.

Swarm testing (Groce and others, 2012): each fault is on with probability one half, because faults
hide one another. Settings are drawn too, so that no default becomes load-bearing. Pauses are short,
so that after the faults a network that can recover does so within `QUIET_S`.
"""

from random import Random
from typing import Final

import msgspec

from common.addresses import Address
from common.config import (
    ClusterConfig,
    Config,
    FloodConfig,
    LinkConfig,
    OverlayConfig,
    ParentConfig,
    SwarmConfig,
    WishConfig,
)
from common.network import Network
from deploy import graphs
from deploy.sim.hostile.mask import SUPER_PEERS
from deploy.sim.nodes import NETWORK

WARM_S: Final = 6.0  # from the first start to the first fault
CHAOS_S: Final = (25.0, 60.0)
QUIET_S: Final = 45.0  # without faults, before everything must be well again

FAMILIES: Final = ("10.0.0.{}", "11.0.0.{}", "fd00::{}", "2a00:1::{}", "127.0.0.{}")
SIZES: Final = ((1, 400), (16_000, 17_000), (30_000, 200_000), (300_000, 1_500_000))


class ChaosPlan(msgspec.Struct, frozen=True):
    """One small world."""

    seed: int
    super_peers: int
    leaves: int
    edges: tuple[graphs.Edge, ...]
    family: str  # of addresses: private, public, IPv6, loopback
    config: Config
    told: tuple[tuple[int, ...], ...]  # of each leaf, the super-peers it is told of
    with_keys: tuple[bool, ...]  # whether node N is told the keys of those it is told of
    files: tuple[tuple[int, str, int], ...]  # leaf, path in its share, content number
    sizes: tuple[int, ...]  # of each content
    faults: tuple[str, ...]
    hostile: tuple[str, ...]
    newer: tuple[int, ...]  # nodes of a later release
    skew: tuple[float, ...]  # of each node's clock
    clocks: tuple[float, ...]  # what each node's monotonic clock shows at first
    network: Network  # with a key, or open
    chaos_s: float
    pause_s: float  # mean time between two things that people do

    @property
    def settings(self) -> Config:
        """The settings, with places for hostile leaves too.

        Keys are free, and a leaf that has an entry keeps its place.
        """
        guests = sum(kind not in SUPER_PEERS for kind in self.hostile)
        room = self.config.cluster.leaves_max + guests
        cluster = msgspec.structs.replace(self.config.cluster, leaves_max=room)
        return msgspec.structs.replace(self.config, cluster=cluster)

    def address(self, number: int) -> Address:
        """Where host `number` is."""
        return Address.of(self.family.format(number + 1), 1214)


def draw(seed: int, faults: tuple[str, ...], hostile: tuple[str, ...]) -> ChaosPlan:
    """The world of a seed; `faults` and `hostile` are all that there are."""
    rng = Random(f"{seed}/plan")
    super_peers, leaves = rng.randint(1, 4), rng.randint(2, 6)
    nodes = super_peers + leaves
    shape = rng.choice(("line", "ring", "full", "random"))
    edges = graphs.draw(shape, super_peers, 2, rng)  # type: ignore[arg-type]
    sizes = tuple(rng.randint(*rng.choice(SIZES)) for _ in range(rng.randint(3, 10)))
    told = tuple(_told(rng, leaf, super_peers) for leaf in range(leaves))
    return ChaosPlan(
        seed=seed,
        super_peers=super_peers,
        leaves=leaves,
        edges=tuple(edges),
        family=rng.choice(FAMILIES),
        config=_config(rng, leaves, super_peers),
        told=told,
        with_keys=tuple(rng.random() < 0.5 for _ in range(nodes)),
        files=tuple(_files(rng, leaves, len(sizes))),
        sizes=sizes,
        faults=tuple(fault for fault in faults if rng.random() < 0.5),
        hostile=tuple(kind for kind in hostile if rng.random() < 0.15),
        newer=tuple(n for n in range(nodes) if rng.random() < 0.15),
        skew=tuple(rng.choice((0.0, 0.0, 0.01, -0.01)) for _ in range(nodes)),
        clocks=tuple(rng.choice((0.0, rng.uniform(0, 1e6))) for _ in range(nodes)),
        network=rng.choice((NETWORK, Network(NETWORK.name, rng.randbytes(24)))),
        chaos_s=rng.uniform(*CHAOS_S),
        pause_s=rng.choice((0.2, 0.5, 1.5)),
    )


def _told(rng: Random, leaf: int, super_peers: int) -> tuple[int, ...]:
    first = leaf % super_peers
    others = [number for number in range(super_peers) if number != first]
    rng.shuffle(others)
    return (first, *others[: rng.randint(0, len(others))])


def _files(rng: Random, leaves: int, contents: int) -> list[tuple[int, str, int]]:
    """Each content at one to three leaves, under names that share words."""
    words = ("blue", "night", "train", "river", "stone", "list-en", "größe", "夜")
    files = []
    if rng.random() < 0.25:  # one who has far more than all others
        leaf = rng.randrange(leaves)
        files = [(leaf, f"many/{words[n % 3]} {n}.txt", n % contents) for n in range(120)]
    for content in range(contents):
        for leaf in rng.sample(range(leaves), min(rng.randint(1, 3), leaves)):
            name = f"{rng.choice(words)} {rng.choice(words)} {content}.{rng.choice(('txt', 'ogg'))}"
            files.append((leaf, f"{rng.choice(words)}/{name}", content))
    return files


def _config(rng: Random, leaves: int, super_peers: int) -> Config:
    """Settings for one network: quick to try again, and limits that are met now and then."""
    tight = rng.random() < 0.3
    room = -(-leaves // super_peers) + 1 if tight else 150
    return Config(
        link=LinkConfig(echo_s=rng.choice((0.5, 1.0)), dead_s=rng.choice((2.0, 2.5, 4.0))),
        cluster=ClusterConfig(
            leaves_max=room,
            entries_max=rng.choice((200, 20_000)),
            lease_s=rng.choice((2.0, 5.0)),
            busy_retry_s=2.0,
            searches_max=rng.choice((3, 64)),
            near_searches_per_s=rng.choice((4.0, 200.0)),
            near_searches_burst=rng.choice((4, 200)),
            idle_leaf_s=rng.choice((5.0, 60.0)),
        ),
        overlay=OverlayConfig(
            degree_wanted=rng.choice((0, 0, 2, 12)),
            degree_min=rng.choice((1, 6)),
            degree_max=rng.choice((3, 32)),
            redial_max_s=6.0,
            hearsay_s=6.0,
            feeler_s=rng.choice((1.0, 120.0)),
            turnover_s=rng.choice((2.0, 600.0)),
            trim_s=rng.choice((1.0, 10.0)),
            leave_s=2.0,
            relink_s=rng.choice((1.0, 5.0)),
            gossip_s=1.0,
        ),
        flood=FloodConfig(
            open_s=rng.choice((10.0, 60.0)),
            ring_s=rng.choice((1.0, 3.0)),
            queries_per_s=rng.choice((20.0, 200.0)),
            queries_burst=rng.choice((20, 200)),
            silent_s=3.0,
            silent_max_s=8.0,
            open_max=rng.choice((4, 20_000)) if tight else 20_000,
            waiting_link_max=rng.choice((20, 5_000)) if tight else 5_000,
        ),
        wish=WishConfig(every_s=8.0, again_s=2.0, searches_per_s=4.0),
        parent=ParentConfig(redial_max_s=4.0, publish_bytes=rng.choice((300, 32 * 1024))),
        swarm=SwarmConfig(
            downloads_active_max=rng.choice((1, 8)),
            links_max=rng.choice((2, 50)),
            upload_slots=rng.choice((1, 2, 64)),
            choke_s=1.0,
            slot_s=rng.choice((2.0, 10.0)),
            slot_idle_s=2.0,
            lot_s=3.0,
            place_s=rng.choice((1.0, 60.0)),
            ledger_s=2.0,
            request_s=rng.choice((1.0, 4.0, 10.0)),
            locate_s=5.0,
            link_idle_s=rng.choice((5.0, 60.0)),
            redial_s=0.5,
            redial_max_s=4.0,
        ),
    )
