"""Web servers as sources: each looks to a download like a leaf that has the whole file.

What a download orders about such a peer never becomes a link: the role hands it to this machine
(`ToWeb`), which orders ranges of the URL and says what came of it as that peer would (`FromWeb`).
So every byte takes the way of all others: asked for by piece, proven by the disk, and who sent a
wrong one is never asked again. A web server knows no piece layer: it is fetched from a leaf's own
server, or made by reading the file once, and proven against the root before any piece is asked for.
While that lasts the peer chokes, so that others may bring the layer first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar, Final

from common.addresses import Address
from common.content.merkle import HASH_BYTES, LayerTree, TreeError
from common.core import Dial, Effect, Event, Hangup, LinkDown, LinkUp, Notify, Received, Send
from common.doors import Door
from common.ids import NodeId
from common.messages.fields import Contact, Message
from common.messages.swarm import (
    Bitfield,
    Cancel,
    Interested,
    NotInterested,
    Piece,
    Reject,
    Request,
    TreeHashes,
    TreeRequest,
    Unchoke,
)
from common.web.webget import WebFailed, WebFetch, WebFetched, WebFetchLayer, WebStop
from leaf.signals import FromWeb, PiecesProven, ToWeb, Wanted

PLACES_MAX: Final = 1_000  # web servers known, for all downloads
FETCHES_MAX: Final = 4  # ranges under way at one server: it is no swarm; browsers open 6
LAYERS_MAX: Final = 8  # kept to be shown to a download, as `leaf.uploads.trees` does

_NOWHERE: Final = Address.of("127.0.0.1", 1)  # a link to it never leaves the node


def contact_of(root: bytes, url: str) -> Contact:
    """The peer that stands for a web server: a key that nobody has."""
    return Contact(sha256(b"web source\0" + root + url.encode()).digest(), _NOWHERE)


@dataclass(slots=True)
class _Place:
    """A file on a web server, and while a download is linked with it what that wants."""

    root: bytes
    size: int
    url: str
    linked: bool = False
    waiting: dict[int, int] = field(default_factory=dict)  # offset -> length
    under_way: dict[int, int] = field(default_factory=dict)  # fetch -> offset
    layer_fetch: int | None = None


class WebPeers:
    """The web servers that downloads know."""

    __slots__ = ("_fetches", "_last_fetch", "_layers", "_places")

    def __init__(self) -> None:
        self._places: dict[NodeId, _Place] = {}
        self._fetches: dict[int, NodeId] = {}
        self._layers: dict[NodeId, tuple[bytes, LayerTree]] = {}
        self._last_fetch = 0

    def handle(self, event: Event, _now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event)

    def wakeup(self) -> float | None:
        """Nothing here is due by itself: downloads keep the time, and so does the shell."""
        return None

    def knows(self, peer: NodeId) -> bool:
        """Whether this peer is a web server."""
        return peer in self._places

    def _wanted(self, event: Wanted) -> list[Effect]:
        for url in event.urls:
            peer = contact_of(event.root, url).node
            self._places.setdefault(peer, _Place(event.root, event.size, url))
        idle = [peer for peer, place in self._places.items() if not place.linked]
        for peer in idle[: max(len(self._places) - PLACES_MAX, 0)]:
            del self._places[peer]
            self._layers.pop(peer, None)
        return []

    # --- what a download orders -------------------------------------------------------------

    def _ordered(self, event: ToWeb) -> list[Effect]:
        order = event.order
        if isinstance(order, Send):
            handler = self._MESSAGES.get(type(order.message))
            place = self._places[order.peer]
            return handler(self, order.peer, place, order.message) if handler else []
        if isinstance(order, Dial):
            self._places[order.peer].linked = True
            up = LinkUp(order.peer, Door.BULK, _NOWHERE, _NOWHERE, inbound=False)
            return [FromWeb(up)]
        if isinstance(order, Hangup):
            return self._part(order.peer, order.reason)
        return []

    def _on_interested(self, peer: NodeId, place: _Place, _message: Message) -> list[Effect]:
        return [_says(peer, Bitfield(place.root)), _says(peer, Unchoke(place.root))]

    def _on_not_interested(self, _peer: NodeId, place: _Place, _message: Message) -> list[Effect]:
        return self._stop(place)

    def _on_request(self, peer: NodeId, place: _Place, message: Message) -> list[Effect]:
        if isinstance(message, Request):
            place.waiting[message.offset] = message.length
        return self._fetch_next(peer, place)

    def _on_cancel(self, peer: NodeId, place: _Place, message: Message) -> list[Effect]:
        offset = message.offset if isinstance(message, Cancel) else -1
        place.waiting.pop(offset, None)
        stopped = [fetch for fetch, each in place.under_way.items() if each == offset]
        for fetch in stopped:
            del place.under_way[fetch], self._fetches[fetch]
        return [*map(WebStop, stopped), *self._fetch_next(peer, place)]

    def _fetch_next(self, peer: NodeId, place: _Place) -> list[Effect]:
        effects: list[Effect] = []
        while place.waiting and len(place.under_way) < FETCHES_MAX:
            offset = next(iter(place.waiting))
            length = place.waiting.pop(offset)
            fetch = self._new_fetch(peer)
            place.under_way[fetch] = offset
            effects.append(WebFetch(fetch, place.url, offset, length, place.size))
        return effects

    def _new_fetch(self, peer: NodeId) -> int:
        self._last_fetch += 1
        self._fetches[self._last_fetch] = peer
        return self._last_fetch

    def _on_tree_request(self, peer: NodeId, place: _Place, message: Message) -> list[Effect]:
        if not isinstance(message, TreeRequest):
            return []
        if peer in self._layers:
            layer, tree = self._layers[peer]
            first, end = message.first, message.first + message.count
            answer = TreeHashes(place.root, first, tree.proof(first, message.count))
            hashes = memoryview(layer)[first * HASH_BYTES : end * HASH_BYTES]
            return [FromWeb(Received(peer, answer, hashes))]
        choked = _says(peer, Reject(place.root, "choked"))
        if place.layer_fetch is not None:
            return [choked]
        place.layer_fetch = fetch = self._new_fetch(peer)
        layer_url = _layer_url(place)
        return [choked, WebFetchLayer(fetch, place.url, layer_url, place.size)]

    # --- what comes -------------------------------------------------------------------------

    def _fetched(self, event: WebFetched) -> list[Effect]:
        peer = self._fetches.pop(event.fetch, None)
        place = self._places.get(peer) if peer is not None else None
        if peer is None or place is None:
            return []
        if event.fetch == place.layer_fetch:
            place.layer_fetch = None
            return self._layer_came(peer, place, bytes(event.data))
        offset = place.under_way.pop(event.fetch)
        piece = FromWeb(Received(peer, Piece(place.root, offset), event.data))
        return [piece, *self._fetch_next(peer, place)]

    def _layer_came(self, peer: NodeId, place: _Place, layer: bytes) -> list[Effect]:
        try:
            tree = LayerTree(layer, place.size)
        except TreeError as error:
            return self._give_up(peer, place, str(error))
        if tree.root != place.root:
            return self._give_up(peer, place, "what is there is another file")
        if len(self._layers) >= LAYERS_MAX:
            del self._layers[next(iter(self._layers))]
        self._layers[peer] = (layer, tree)
        return [_says(peer, Unchoke(place.root))]

    def _failed(self, event: WebFailed) -> list[Effect]:
        peer = self._fetches.pop(event.fetch, None)
        place = self._places.get(peer) if peer is not None else None
        if peer is None or place is None:
            return []
        if event.lasting:
            return self._give_up(peer, place, event.reason)
        fields: dict[str, object] = {"url": place.url, "reason": event.reason}
        return [Notify("web_source_failed", fields), *self._part(peer, event.reason)]

    def _give_up(self, peer: NodeId, place: _Place, reason: str) -> list[Effect]:
        """It does not have the file: the download lets go of it, and we forget it then."""
        fields: dict[str, object] = {"url": place.url, "reason": reason}
        refusal = _says(peer, Reject(place.root, "not_here"))
        return [Notify("web_source_useless", fields, "warning"), *self._stop(place), refusal]

    def _part(self, peer: NodeId, reason: str) -> list[Effect]:
        """The link that never was is gone."""
        place = self._places[peer]
        place.linked = False
        return [*self._stop(place), FromWeb(LinkDown(peer, Door.BULK, reason))]

    def _stop(self, place: _Place) -> list[Effect]:
        """Nothing that was ordered is wanted any more."""
        stopped = list(place.under_way)
        if place.layer_fetch is not None:
            stopped.append(place.layer_fetch)
        for fetch in stopped:
            self._fetches.pop(fetch, None)
        place.waiting.clear()
        place.under_way.clear()
        place.layer_fetch = None
        return [WebStop(fetch) for fetch in stopped]

    def _proven(self, event: PiecesProven) -> list[Effect]:
        """Somebody else brought the layer: it need not be made here."""
        effects: list[Effect] = []
        for peer, place in self._places.items():
            if place.root == event.root and place.layer_fetch is not None:
                self._fetches.pop(place.layer_fetch, None)
                effects += [WebStop(place.layer_fetch), _says(peer, Unchoke(place.root))]
                place.layer_fetch = None
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Wanted: _wanted,
        ToWeb: _ordered,
        WebFetched: _fetched,
        WebFailed: _failed,
        PiecesProven: _proven,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Interested: _on_interested,
        NotInterested: _on_not_interested,
        Request: _on_request,
        Cancel: _on_cancel,
        TreeRequest: _on_tree_request,
    }


def _says(peer: NodeId, message: Message) -> FromWeb:
    return FromWeb(Received(peer, message))


def _layer_url(place: _Place) -> str:
    """Where a leaf that serves the file has its layer; empty where the URL is not a leaf's."""
    head, found, _ = place.url.partition(f"/f/{place.root.hex()}")
    return f"{head}/t/{place.root.hex()}" if found else ""
