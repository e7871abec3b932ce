"""9: what a super-peer holds of a leaf is what that leaf signed, whole and nothing else."""

from collections.abc import Callable

from common.content.catalogue import statement
from common.core import Effect, Event, FrameReceived
from common.ids import is_signed
from common.messages.cluster import Publish
from common.messages.overlay import Hold
from deploy.sim.host import Host
from deploy.sim.inside import links_of, superpeer_of
from superpeer.index.share import Share


class Signed:
    """Proves a holding after each message that may change it."""

    def __init__(self, violate: Callable[[str, str], None], network: str) -> None:
        self._violate, self._network = violate, network

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in."""
        if not isinstance(event, FrameReceived) or not isinstance(event.message, Publish | Hold):
            return
        inside = superpeer_of(host)
        links = links_of(host) if inside is not None else None
        link = links._links.get(event.link) if links is not None else None
        if inside is None or link is None or link.peer is None:
            return
        peer = event.message.leaf if isinstance(event.message, Hold) else link.peer
        cluster = inside.cluster
        leaf: Share | None = cluster._leaves.get(peer) or cluster.dormant._copies.get(peer)
        if leaf is None or not leaf.holding:
            return
        holding = leaf.holding
        root = holding._catalogue.root()
        said = statement(self._network, peer, holding.generation, root)
        if not is_signed(peer, said, holding._signature):
            self._violate("9: only what is signed is held", f"{host.name} holds what nobody signed")
