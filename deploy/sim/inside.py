"""What a checker sees of a node: its machines, by name.

The one place of the simulator that opens the roles' doors. Checkers read, they never write.
"""

from collections.abc import Callable
from typing import TypeVar

from common.doors import Door
from common.ids import NodeId
from common.links import Links
from common.node import LEAF, SUPERPEER
from common.shell.disk.jobs import Disk
from common.shell.disk.parts import PartFile
from deploy.sim.disk import SimulatedDisk
from deploy.sim.host import Host
from leaf.downloads.downloads import Downloads
from leaf.library.library import Library
from leaf.library.publish import Publisher
from leaf.links.relayed import RelayedPeers
from leaf.parent.parent import Parent
from leaf.role import Leaf
from leaf.search.search import Searches as LeafSearches
from leaf.search.wishes import Wishes as LeafWishes
from leaf.uploads.upload import Uploads
from superpeer.cluster.cluster import Cluster
from superpeer.flood.flood import Flood
from superpeer.overlay.overlay import Overlay
from superpeer.role import SuperPeer
from superpeer.search.search import Searches
from superpeer.search.wishes import Wishes

R = TypeVar("R")
V = TypeVar("V")


class SuperPeerInside:
    """The machines of a super-peer."""

    __slots__ = ("cluster", "flood", "links", "overlay", "searches", "wishes")

    def __init__(self, role: SuperPeer) -> None:
        self.cluster: Cluster = role._cluster
        self.flood: Flood = role._flood
        self.overlay: Overlay = role._overlay
        self.searches: Searches = role._searches
        self.wishes: Wishes = role._wishes
        self.links = role._links


class LeafInside:
    """The machines of a leaf."""

    __slots__ = (
        *("downloads", "library", "parent", "publisher", "relayed", "searches", "uploads"),
        "wishes",
    )

    def __init__(self, role: Leaf) -> None:
        self.parent: Parent = role._parent
        self.publisher: Publisher = role._publisher
        self.library: Library = role._library
        self.downloads: Downloads = role._downloads
        self.relayed: RelayedPeers = role._relayed
        self.searches: LeafSearches = role._searches
        uploads = role._machines["uploads"]
        if not isinstance(uploads, Uploads):
            raise TypeError("uploads")
        self.uploads = uploads
        wishes = role._machines["wishes"]
        if not isinstance(wishes, LeafWishes):
            raise TypeError("wishes")
        self.wishes = wishes


def superpeer_of(host: Host) -> SuperPeerInside | None:
    """The super-peer that a host runs, if it does."""
    return _view(host, SUPERPEER, SuperPeer, SuperPeerInside)


def leaf_of(host: Host) -> LeafInside | None:
    """The leaf that a host runs, if it does."""
    return _view(host, LEAF, Leaf, LeafInside)


def links_of(host: Host) -> Links | None:
    """The links of a host's node."""
    return host.node._links if host.node is not None else None


def wants(host: Host, peer: NodeId, door: Door) -> bool:
    """Whether a role of a host needs its link to `peer`."""
    roles = host.node._roles.values() if host.node is not None else ()
    return any(role.needs(peer, door) for role in roles)


def disk_of(host: Host) -> Disk | None:
    """What performs a host's downloads and reads, once it has had to."""
    working = host.storage._working if isinstance(host.storage, SimulatedDisk) else None
    return working._disk if working is not None else None


def parts_of(host: Host) -> dict[int, PartFile]:
    """The downloads that a host's disk has open, by number."""
    disk = disk_of(host)
    return disk._parts if disk is not None else {}


def _view(host: Host, name: str, kind: type[R], view: Callable[[R], V]) -> V | None:
    role = host.node._roles.get(name) if host.node is not None else None
    if not isinstance(role, kind):
        return None
    if host.views is None:
        host.views = {}
    known: V | None = host.views.get(name)
    if known is None:
        known = host.views[name] = view(role)
    return known
