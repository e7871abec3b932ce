"""Nodes that do harm: they speak the protocol, and use it against everybody else.

Each kind is a small core behind a mask (`deploy.sim.hostile.mask`) that any honest node links with.
`KINDS` are all; those of `SUPER_PEERS` are super-peers to others, the rest are leaves. What each
does stands in its own file.
"""

from collections.abc import Callable, Mapping
from typing import Final, cast

from common.addresses import Address
from common.doors import Door
from common.meeting import Seed
from common.network import Network
from common.node import Node
from deploy.sim.host import Host
from deploy.sim.hostile.corrupter import Corrupter
from deploy.sim.hostile.flooder import Flooder
from deploy.sim.hostile.forger import Forger
from deploy.sim.hostile.mask import SUPER_PEERS, Mask
from deploy.sim.hostile.nature import Harm, Nature
from deploy.sim.hostile.poisoner import Poisoner
from deploy.sim.hostile.silent import Silent
from deploy.sim.hostile.staller import Staller
from deploy.sim.nodes import NETWORK
from deploy.sim.shelf import Shelf
from deploy.sim.world import World

__all__ = ["KINDS", "SUPER_PEERS", "add"]

_HARMS: Final[dict[str, Callable[[Nature], Harm]]] = {
    "corrupter": Corrupter,
    "staller": Staller,
    "poisoner": Poisoner,
    "flooder": Flooder,
    "forger": Forger,
    "silent": Silent,
}
KINDS: Final = tuple(_HARMS)


def add(
    world: World,
    kind: str,
    address: Address,
    told: tuple[Seed, ...],
    contents: Mapping[str, bytes] | None = None,
    network: Network = NETWORK,
) -> Host:
    """A host of this kind, not started yet.

    `told` are super-peers with their keys; `contents` are true ones by their path in a share,
    which a leaf of most kinds claims to have.
    """
    harm = _HARMS[kind]

    def build(host: Host) -> Node:
        nature = Nature(
            identity=host.identity,
            network=network,
            address=host.doors[Door.CONTROL],
            told=told,
            contents=dict(contents or {}),
            epoch=int(host.wall),
            rng=world.draws,
        )
        return cast("Node", Mask(kind, nature, harm(nature)))  # by its shape: see the contract

    return world.add(
        f"{kind} {len(world.hosts)}",
        address,
        build=build,
        equip=lambda host: Shelf((), host.take),
        has_bulk=kind not in SUPER_PEERS,
    )
