"""7, 15, 17, 23: one parent, no honest leaf accused, nothing kept for a link that is gone.

A leaf that has joined is linked to its parent and to no other as a parent. Whoever it holds for a
liar did send wrong bytes. A wish of a leaf lives as long as the link that it came over. What has
changed in its shares is on its way, or will be.
"""

from collections.abc import Callable, Mapping

from common.core import Effect, Event, FrameReceived
from common.doors import Door
from common.ids import NodeId
from common.links import Links
from common.links import Phase as LinkPhase
from common.messages.cluster import Busy
from deploy.sim.chaos.truth import Truth
from deploy.sim.host import Host
from deploy.sim.inside import LeafInside, leaf_of, links_of, wants
from leaf.parent.parent import State
from leaf.swarm.source import Phase

SLACK_S = 1.0
CORRUPTING = ("corrupter",)


class Leaves:
    """Looks into each leaf after each of its events."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        by_node: dict[NodeId, Host],
    ) -> None:
        self._violate, self._truth, self._by_node = violate, truth, by_node

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in."""
        inside = leaf_of(host)
        if inside is None:
            return
        links = links_of(host)
        if isinstance(event, FrameReceived) and isinstance(event.message, Busy) and links:
            self._refused(host, links, event.link)
        up: dict[tuple[NodeId, Door], object] = dict.fromkeys(inside.relayed.beyond)
        up.update(links.snapshot() if links is not None else {})
        self._parent(host, inside, up)
        self._uploads(host, inside, up)
        self._sources(host, inside, up)
        self._publisher(host, inside)

    def _publisher(self, host: Host, inside: LeafInside) -> None:
        """What has changed will be published, even if nothing else ever changes."""
        publisher = inside.publisher
        awaits = publisher._sending or publisher._awaited or publisher.wakeup() is not None
        if publisher._pending and not awaits:
            self._violate("23: changes are published", f"{host.name} keeps one to itself")

    def _parent(
        self, host: Host, inside: LeafInside, up: Mapping[tuple[NodeId, Door], object]
    ) -> None:
        parent = inside.parent
        if parent._state is not State.JOINED:
            return
        contact = parent.contact
        if contact is None:
            self._violate("7: a leaf has one parent", f"{host.name} has joined nobody")
        elif contact.node != host.identity.node and (contact.node, Door.CONTROL) not in up:
            self._violate("7: a leaf is linked to its parent", f"{host.name} is not")

    def _refused(self, host: Host, links: Links, number: int) -> None:
        """The link ends in that very turn, unless something else is wanted of it: an heir may have
        room when it is needed."""
        link = links._links.get(number)
        if link is None or link.dial is None or link.phase is not LinkPhase.UP:
            return
        if link.peer is not None and not wants(host, link.peer, Door.CONTROL):
            self._violate("7: who refuses is left alone", f"{host.name} keeps a link to it")

    def _uploads(
        self, host: Host, inside: LeafInside, up: Mapping[tuple[NodeId, Door], object]
    ) -> None:
        uploads = inside.uploads
        for peer in uploads._wants.peers:
            if (peer, Door.BULK) not in up and peer != host.identity.node:
                self._violate("17: nothing outlives its link", f"{host.name} keeps a wish")
        if uploads.served > uploads._config.upload_slots:
            self._violate("10: no more slots than there are", f"{host.name} serves too many")

    def _sources(
        self, host: Host, inside: LeafInside, up: Mapping[tuple[NodeId, Door], object]
    ) -> None:
        for download in inside.downloads._under_way.values():
            for peer in download._past.liars:
                self._accused(host, peer)
            if download._fetch is None:
                continue
            for peer in download._fetch.sources.liars:
                self._accused(host, peer)
            for source in download._fetch.sources:
                due = download._fetch.sources.deadlines.get(("data", source.peer))
                if due is not None and due > host.clock + download._config.request_s + SLACK_S:
                    self._violate("19: who answers nothing is given up", f"{host.name} waits on")
                if source.peer in download._fetch.sources.liars:
                    self._violate("15: a liar is asked no more", f"{host.name} asks one again")
                linked = source.phase is Phase.LINKED and source.peer != host.identity.node
                if linked and (source.peer, Door.BULK) not in up:
                    self._violate("17: a linked source has a link", host.name)

    def _accused(self, host: Host, peer: NodeId) -> None:
        other = self._by_node.get(peer)
        truth = self._truth
        if other is None or other.number in truth.decayed or other.number in truth.rotten:
            return
        if self._truth.hostile.get(other.number) not in CORRUPTING:
            self._violate("15: nobody honest is banned", f"{host.name} accuses {other.name}")
