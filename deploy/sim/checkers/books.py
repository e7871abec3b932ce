"""15, 19, 22: what happens is entered in the books where it will be looked for.

A search has its time, a piece its sender, a request that is taken back its place among the late
ones, a part of a frame counts as a sign of life. Nobody who is gone owes an answer. Of two that
dial each other only the one with the lower key refuses, so that one link is left.
"""

from collections.abc import Callable

from common.content.merkle import piece_size_bytes
from common.core import Asked, CloseLink, Effect, Event, FrameReceived, LinkHeard, SendFrame
from common.ids import NodeId
from common.messages.swarm import Cancel, Piece
from common.storage import WritePieces
from deploy.sim.host import Host
from deploy.sim.inside import LeafInside, leaf_of, links_of, superpeer_of
from leaf.methods import Search
from leaf.swarm.source import LATE_MAX

DUPLICATE = "duplicate link"
SLACK_S = 0.1


class BooksAreKept:
    """Looks into the books of the node that has just taken in an event."""

    def __init__(self, violate: Callable[[str, str], None], hostile: dict[int, str]) -> None:
        self._violate, self._hostile = violate, hostile

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if host.number in self._hostile:
            return
        inside = leaf_of(host)
        if isinstance(event, LinkHeard):
            self._heard(host, event)
        elif isinstance(event, Asked) and isinstance(event.params, Search) and inside:
            self._search(host, inside, event.call, event.params)
        elif isinstance(event, FrameReceived) and isinstance(event.message, Piece) and inside:
            self._sender(host, inside, event, effects)
        for effect in effects:
            if isinstance(effect, CloseLink) and effect.reason == DUPLICATE:
                self._refused(host, effect)
            elif isinstance(effect, SendFrame) and isinstance(effect.message, Cancel) and inside:
                self._taken_back(host, inside, effect.link, effect.message)
        if not isinstance(event, FrameReceived):
            self._debts(host)

    def _heard(self, host: Host, event: LinkHeard) -> None:
        links = links_of(host)
        link = links._links.get(event.link) if links else None
        if link is not None and link.pulse.heard_at < host.clock - SLACK_S:
            what = f"{host.name} does not count what is on its way"
            self._violate("22: a part of a frame is a sign of life", what)

    def _search(self, host: Host, inside: LeafInside, call: int, asked: Search) -> None:
        due = inside.searches._deadlines.get(call)
        is_open = call in inside.searches._open
        if is_open and (due is None or due > host.clock + asked.wait + SLACK_S):
            what = f"a search at {host.name} may take longer than {asked.wait:g} s"
            self._violate("19: every request ends", what)

    def _sender(
        self, host: Host, inside: LeafInside, event: FrameReceived, effects: list[Effect]
    ) -> None:
        """Who sent a piece answers for it, whoever else was asked."""
        peer = _peer(host, event.link)
        for effect in effects:
            if not isinstance(effect, WritePieces):
                continue
            download = inside.downloads._downloads[effect.download]
            pieces = download._fetch.pieces if download._fetch else None
            size = piece_size_bytes(download.record.size)
            first, length = effect.offset // size, len(effect.data)
            for piece in range(first, first + -(-length // size)) if pieces else ():
                if pieces and pieces.owners(piece) not in ((peer,), ()):
                    what = f"{host.name} holds another for the sender of piece {piece}"
                    self._violate("15: who sent a piece answers for it", what)

    def _taken_back(self, host: Host, inside: LeafInside, link: int, cancel: Cancel) -> None:
        download, peer = inside.downloads._under_way.get(cancel.root), _peer(host, link)
        fetch = download._fetch if download else None
        source = fetch.sources.get(peer) if fetch else None
        if source is None or len(source.late) >= LATE_MAX:
            return
        known = (*source.requests, *(offset for offset, _ in source.late))
        if cancel.offset not in known:
            what = f"{host.name} would not know what it asked for at {cancel.offset}"
            self._violate("15: what is taken back may still come", what)

    def _refused(self, host: Host, effect: CloseLink) -> None:
        wire = host.wires.get(effect.link)
        if wire is None or wire.end_of(host) == 0:  # it dialled, and was told
            return
        other = wire.hosts[0]
        if other.number not in self._hostile and host.identity.node > other.identity.node:
            what = f"{host.name} refuses {other.name}, whose key is lower"
            self._violate("22: of two links one is left", what)

    def _debts(self, host: Host) -> None:
        inside = superpeer_of(host)
        if inside is None:
            return
        for tree in inside.flood._trees.values():
            if any(peer not in inside.links and peer != host.identity.node for peer in tree.owing):
                self._violate("19: who is gone owes nothing", f"{host.name} waits for one")


def _peer(host: Host, number: int) -> NodeId:
    """Who is at the other end of a link."""
    links = links_of(host)
    link = links._links.get(number) if links else None
    return (link.peer or b"") if link else b""
