"""A neighbour: the super-peer at the other end of an edge of ours, and how people are shown it.

What it says of its own neighbours is hearsay: it fills the map and the host cache, nothing else.
"""

from collections.abc import Mapping

from common.addresses import Address
from common.ids import NodeId, node_text
from common.messages.fields import Contact
from superpeer.methods import Graph, GraphEdge, GraphNode, NeighbourRow
from superpeer.overlay.reach import short_id


class Neighbour:
    """A peer that is our neighbour, and what it told of itself."""

    def __init__(
        self,
        address: Address,
        now: float,
        *,
        ours: bool = False,
        chosen: bool = False,
        near: bool = False,
    ) -> None:
        self.address = address
        self.since = now
        self.ours = ours  # we asked it
        self.chosen = chosen  # by our own lot, or told to us by our own people
        self.near = near  # taken because it is near
        self.leaving = False  # nothing new is asked of it
        self.rtt_s: float | None = None
        self.leaves = 0
        self.referred = 0  # leaves that we have told of it since it said how many it has
        self.contacts: tuple[Contact, ...] = ()
        self.nearby: tuple[int, ...] = ()

    @property
    def degree(self) -> int:
        """How many neighbours it says it has, and us."""
        return len(self.contacts) + 1

    def beyond(self) -> list[int]:
        """The ids of its neighbours."""
        return [short_id(contact.node) for contact in self.contacts]


def staying(neighbours: Mapping[NodeId, Neighbour]) -> dict[NodeId, Neighbour]:
    """Those that do not leave."""
    return {peer: each for peer, each in neighbours.items() if not each.leaving}


def has_way(neighbours: Mapping[NodeId, Neighbour], other: Neighbour) -> bool:
    """Whether it and we have a neighbour in common that stays: without our link nothing comes
    apart."""
    shared = (neighbours.get(contact.node) for contact in other.contacts)
    return any(each is not None and not each.leaving for each in shared)


def rows(neighbours: Mapping[NodeId, Neighbour], now: float) -> list[NeighbourRow]:
    """Our neighbours, for people."""
    return [
        NeighbourRow(
            node=node_text(peer),
            address=str(neighbour.address),
            rtt_s=neighbour.rtt_s,
            up_rate=None,
            uptime_s=now - neighbour.since,
        )
        for peer, neighbour in neighbours.items()
    ]


def graph(me: NodeId, address: str, leaves: int, neighbours: Mapping[NodeId, Neighbour]) -> Graph:
    """Us at `address` with so many leaves, our neighbours, and theirs."""
    nodes = {me: GraphNode(node_text(me), address, leaves)}
    edges: dict[tuple[str, str], GraphEdge] = {}
    for peer, neighbour in neighbours.items():
        nodes[peer] = GraphNode(node_text(peer), str(neighbour.address), neighbour.leaves)
        _join(edges, me, peer)
    for peer, neighbour in neighbours.items():
        for contact in neighbour.contacts:
            hearsay = GraphNode(node_text(contact.node), str(contact.address), None)
            nodes.setdefault(contact.node, hearsay)
            _join(edges, peer, contact.node)
    return Graph([nodes[node] for node in sorted(nodes)], [edges[key] for key in sorted(edges)])


def _join(edges: dict[tuple[str, str], GraphEdge], one: NodeId, other: NodeId) -> None:
    a, b = sorted((node_text(one), node_text(other)))
    edges[a, b] = GraphEdge(a, b)
