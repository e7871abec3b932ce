"""The nodes of a simulated world: the real roles, put together as the entry points do it.

Settings, keys and time come from the host; everything else is what `leaf.assembly` and
`superpeer.assembly` give a daemon. There is no other code of any role here.
"""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

import msgspec

from common.addresses import Address
from common.config import Config
from common.core import Role
from common.ids import node_text
from common.meeting import Seed
from common.network import Network
from common.node import LEAF, SUPERPEER, Node, RoleFactory
from deploy.sim.host import Host
from leaf.role import Leaf
from superpeer.role import SuperPeer

NETWORK: Final = Network("simulated")
SHARE: Final = "/share"
DOWNLOADS: Final = "/downloads"
VERSION: Final = "simulated"


class Plan(msgspec.Struct, frozen=True):
    """What kind of node a host runs."""

    roles: tuple[str, ...]
    config: Config = Config()
    joins: tuple[Seed, ...] = ()  # super-peers that a super-peer is told to join
    supers: tuple[Seed, ...] = ()  # super-peers that a leaf is told of
    shares: tuple[str, ...] = ()
    network: Network = NETWORK
    promotes: bool = False  # a leaf becomes a super-peer where one is needed


class Roles(Mapping[str, RoleFactory]):
    """What can be played at one host: the roles, made when they begin."""

    __slots__ = ("_host", "_plan")

    def __init__(self, host: Host, plan: Plan) -> None:
        self._host, self._plan = host, plan

    def __getitem__(self, role: str) -> RoleFactory:
        return {LEAF: self._leaf, SUPERPEER: self._superpeer}[role]

    def __iter__(self) -> Iterator[str]:
        return iter((LEAF, SUPERPEER))

    def __len__(self) -> int:
        return 2

    def _superpeer(self, rng: Random) -> Role:
        plan = self._plan
        return SuperPeer(
            self._host.identity,
            config=plan.config,
            network=plan.network,
            rng=rng,
            seeds=plan.joins,
            version=VERSION,
        )

    def _leaf(self, rng: Random) -> Role:
        plan = self._plan
        return Leaf(
            identity=self._host.identity,
            config=plan.config,
            network=plan.network,
            rng=rng,
            supers=plan.supers,
            epoch=int(self._host.wall * 1000),
            shares=plan.shares,
            downloads_dir=DOWNLOADS,
            version=VERSION,
            promotes=plan.promotes,
        )


def builder(plan: Plan, rng: Random) -> Callable[[Host], Node]:
    """Makes the node of a host's next life; may serve many hosts with the same plan."""

    def build(host: Host) -> Node:
        return Node(
            host.identity.node,
            plan.network,
            plan.config.link,
            factories=Roles(host, plan),
            start=plan.roles,
            rng=rng,
            agent=VERSION,
        )

    return build


def seed_of(host_address: Address, node: bytes) -> Seed:
    """How one is told of a super-peer with its key."""
    return Seed(f"{host_address}/{node_text(node)}", host_address, node)


def seed_to(host: Host, *, with_key: bool = True) -> Seed:
    """How one is told of a host."""
    address = host.control
    return seed_of(address, host.identity.node) if with_key else Seed(str(address), address)
