"""A leaf beyond a relay is a peer without a link: its parent passes on what we say to it.

To downloads and uploads it looks like any leaf with a bulk link. What they order about it comes
here (`ToRelay`); it is written as it would be on a bulk link, cut into parts, and sent to the
super-peer that relays, a window of them at a time; what comes is put together again and told as if
a link had brought it (`FromRelay`). Data counts as sent when the other end has taken it.

One end, which asked for files, hears from its own parent that another is there; the other was told
to dial it, could not, and so asks that parent (`superpeer.relays.relays`), a stranger to it.
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from common import wire
from common.addresses import Address
from common.core import (
    Dial,
    Effect,
    Event,
    Hangup,
    LetGo,
    LinkDown,
    LinkUp,
    Received,
    Send,
    Sent,
    Woke,
)
from common.deadlines import Deadlines
from common.doors import Door
from common.errors import RemoteProtocolError
from common.ids import NodeId
from common.limits import BULK_FRAME_BYTES_MAX, RELAY_PART_BYTES_MAX, RELAY_WINDOW_BYTES
from common.messages.fields import Contact, Message
from common.messages.relay import Ferried, Ferry, Relay, Relayed
from common.messages.swarm import Interested, NotInterested
from common.messages.table import BY_MESSAGE, TABLE, To
from leaf.signals import FromRelay, Joined, Orphaned, RelayWanted, ToRelay

BEYOND_MAX: Final = 16  # leaves that we speak to by relays at a time; wild guess
WAITING_BYTES_MAX: Final = 4 * BULK_FRAME_BYTES_MAX  # more than uploads ever have on their way
AWAITED_S: Final = 15.0  # for a link to a relay, and then for its word; a dial has 12 s
_HEAD_BYTES: Final = 4  # how long the message is, before its data
_TYPES: Final = tuple(row.id for row in TABLE if row.to is To.LEAF and row.door is Door.BULK)
_NOWHERE: Final = Address(bytes(4), 0)


class _Beyond:
    """One leaf beyond a relay: what waits to be sent to it, and what came of a whole message."""

    __slots__ = (
        "came",
        "came_bytes",
        "relay",
        "untaken",
        "untold",
        "waiting",
        "waiting_bytes",
        "wanted",
    )

    def __init__(self, relay: NodeId) -> None:
        self.relay = relay
        self.waiting: deque[tuple[bytes | memoryview, bool]] = deque()  # parts; the last of one
        self.waiting_bytes = 0
        self.untaken = 0  # bytes of parts on their way
        self.untold: deque[list[int]] = deque()  # of messages with data: bytes to be taken, length
        self.wanted: dict[tuple[bytes, bool], None] = {}  # files, by us or by them
        self.came: list[bytes] = []
        self.came_bytes = 0


class RelayedPeers:
    """The leaves beyond relays, by key."""

    __slots__ = ("_awaited", "_beyond", "_deadlines", "_links", "_parent")

    def __init__(self) -> None:
        self._parent: NodeId | None = None
        self._links: dict[NodeId, None] = {}  # control links that are up, whoever made them
        self._awaited: dict[NodeId, Contact] = {}  # the leaf that we want to speak to -> its relay
        self._beyond: dict[NodeId, _Beyond] = {}
        self._deadlines = Deadlines()  # by whom is awaited

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When a relay should have said something."""
        return self._deadlines.earliest()

    def takes(self, order: Effect) -> bool:
        """Whether this order is about a leaf beyond a relay, and its bulk link."""
        if not self._beyond or not isinstance(order, Dial | Send | Hangup):
            return False
        if order.peer not in self._beyond:
            return False
        door = BY_MESSAGE[type(order.message)].door if isinstance(order, Send) else order.door
        return door is Door.BULK

    @property
    def beyond(self) -> list[tuple[NodeId, Door]]:
        """The leaves that are there, as if by links."""
        return [(peer, Door.BULK) for peer in self._beyond]

    # --- coming and going -------------------------------------------------------------------

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent = event.parent
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        return []

    def _wanted(self, event: RelayWanted, now: float) -> list[Effect]:
        """We were to dial this leaf and could not: ask the super-peer that it hangs on."""
        is_known = event.peer in self._beyond or event.peer in self._awaited
        if is_known or len(self._awaited) >= BEYOND_MAX:
            return []
        relay = event.relay
        self._awaited[event.peer] = relay
        self._deadlines.set(event.peer, now + AWAITED_S)
        if relay.node in self._links or relay.node == self._parent:
            return [Send(relay.node, Relay(event.peer))]
        return [Dial(relay.node, relay.address, Door.CONTROL)]

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links[event.peer] = None
        awaited = self._awaited_of(event.peer)
        for peer in awaited:
            self._deadlines.set(peer, now + AWAITED_S)
        return [Send(event.peer, Relay(peer)) for peer in awaited]

    def _awaited_of(self, relay: NodeId) -> list[NodeId]:
        return [peer for peer, each in self._awaited.items() if each.node == relay]

    def _no_longer_await(self, peer: NodeId) -> None:
        self._awaited.pop(peer, None)
        self._deadlines.cancel(peer)

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        """A relay that says nothing takes no place for long."""
        effects: list[Effect] = []
        for peer in self._deadlines.pop_due(now):
            relay = self._awaited.pop(peer, None) if isinstance(peer, bytes) else None
            effects += [] if relay is None else self._leave(relay.node)
        return effects

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links.pop(event.peer, None)
        for peer in self._awaited_of(event.peer):
            self._no_longer_await(peer)
        lost = [peer for peer, each in self._beyond.items() if each.relay == event.peer]
        return [out for peer in lost for out in self._part(peer, "its relay is gone")]

    def _received(self, event: Received, _now: float) -> list[Effect]:
        if isinstance(event.message, Relayed):
            return self._on_relayed(event.peer, event.message)
        if isinstance(event.message, Ferried):
            return self._on_ferried(event.peer, event.message)
        return []

    def _on_relayed(self, relay: NodeId, message: Relayed) -> list[Effect]:
        peer, beyond = message.peer, self._beyond.get(message.peer)
        asked = self._awaited.get(peer)
        is_asked = asked is not None and asked.node == relay
        if is_asked:
            self._no_longer_await(peer)
        left = self._leave(relay) if is_asked else []
        if beyond is not None:
            ends = bool(message.refused) and beyond.relay == relay
            return self._part(peer, message.refused) if ends else left
        known = is_asked or relay == self._parent
        if message.refused or not known or len(self._beyond) >= BEYOND_MAX:
            return left
        self._beyond[peer] = _Beyond(relay)
        return [FromRelay(LinkUp(peer, Door.BULK, _NOWHERE, _NOWHERE, inbound=True))]

    def _noted(self, peer: NodeId, message: Message, *, ours: bool) -> list[Effect]:
        """Follow who wants what; where neither end wants any more, others need the relay."""
        wanted = self._beyond[peer].wanted
        if isinstance(message, Interested):
            wanted[message.root, ours] = None
        elif isinstance(message, NotInterested):
            wanted.pop((message.root, ours), None)
            return self._break(peer, "nothing is wanted any more") if not wanted else []
        return []

    def _part(self, peer: NodeId, reason: str) -> list[Effect]:
        relay = self._beyond.pop(peer).relay
        return [FromRelay(LinkDown(peer, Door.BULK, reason)), *self._leave(relay)]

    def _leave(self, relay: NodeId) -> list[Effect]:
        """A super-peer is wanted as long as somebody is behind it, or may soon be."""
        return [] if self.needs(relay) else [LetGo(relay, Door.CONTROL, "nothing more to relay")]

    def needs(self, relay: NodeId) -> bool:
        """Whether we want the control link to this super-peer."""
        behind = any(each.relay == relay for each in self._beyond.values())
        return behind or bool(self._awaited_of(relay))

    # --- what is ordered --------------------------------------------------------------------

    def _ordered(self, event: ToRelay, _now: float) -> list[Effect]:
        order = event.order
        if not isinstance(order, Hangup | Send):
            return []
        beyond = self._beyond.get(order.peer)
        if beyond is None:
            return []  # an order before it, in the same turn, ended the link
        if isinstance(order, Hangup):
            return [
                Send(beyond.relay, Relay(order.peer, over=True)),
                *self._part(order.peer, order.reason),
            ]
        said = wire.frame([wire.encode(order.message)])
        data = memoryview(order.data) if order.data is not None else memoryview(b"")
        whole = b"".join((len(said).to_bytes(_HEAD_BYTES, "big"), said, data))
        beyond.waiting_bytes += len(whole)
        if beyond.waiting_bytes > WAITING_BYTES_MAX:
            return self._break(order.peer, "it takes too little of what we say")
        for first in range(0, len(whole), RELAY_PART_BYTES_MAX):
            beyond_it = first + RELAY_PART_BYTES_MAX
            beyond.waiting.append((whole[first:beyond_it], beyond_it >= len(whole)))
        beyond.untold.append([len(whole), len(data)])
        effects = self._send_on(order.peer, beyond)
        return effects + self._noted(order.peer, order.message, ours=True)

    def _send_on(self, peer: NodeId, beyond: _Beyond) -> list[Effect]:
        """As many parts as the window holds."""
        effects: list[Effect] = []
        while beyond.waiting:
            part, is_last = beyond.waiting[0]
            if beyond.untaken + len(part) > RELAY_WINDOW_BYTES:
                break
            beyond.waiting.popleft()
            beyond.waiting_bytes -= len(part)
            beyond.untaken += len(part)
            effects.append(Send(beyond.relay, Ferry(peer, bytes(part), is_last)))
        return effects

    # --- what comes -------------------------------------------------------------------------

    def _on_ferried(self, relay: NodeId, message: Ferried) -> list[Effect]:
        peer, beyond = message.peer, self._beyond.get(message.peer)
        if beyond is None or beyond.relay != relay:
            return []
        effects = self._taken(peer, beyond, message.taken)
        if not message.part:
            return effects
        effects.append(Send(relay, Ferry(peer, taken=len(message.part))))
        beyond.came.append(message.part)
        beyond.came_bytes += len(message.part)
        if beyond.came_bytes > BULK_FRAME_BYTES_MAX + _HEAD_BYTES:
            return [*effects, *self._break(peer, "what it says never ends")]
        if not message.last:
            return effects
        whole, beyond.came, beyond.came_bytes = b"".join(beyond.came), [], 0
        return [*effects, *self._whole(peer, whole)]

    def _whole(self, peer: NodeId, whole: bytes) -> list[Effect]:
        end = _HEAD_BYTES + int.from_bytes(whole[:_HEAD_BYTES], "big")
        said, data = whole[_HEAD_BYTES:end], memoryview(whole)[end:]
        try:
            messages = wire.decode(said, types=_TYPES, has_data=bool(data))
        except RemoteProtocolError as error:
            return self._break(peer, str(error))
        carried = data if data else None
        effects: list[Effect] = []
        for each in messages:
            if type(each) in BY_MESSAGE:
                effects.append(FromRelay(Received(peer, each, carried)))
            if peer in self._beyond:
                effects += self._noted(peer, each, ours=False)
        return effects

    def _break(self, peer: NodeId, reason: str) -> list[Effect]:
        relay = self._beyond[peer].relay
        return [Send(relay, Relay(peer, over=True)), *self._part(peer, reason)]

    def _taken(self, peer: NodeId, beyond: _Beyond, taken: int) -> list[Effect]:
        """The other end has so much more: go on, and tell what data has left our hands."""
        effects: list[Effect] = []
        beyond.untaken = max(beyond.untaken - taken, 0)
        while taken > 0 and beyond.untold:
            first = beyond.untold[0]
            used = min(first[0], taken)
            first[0] -= used
            taken -= used
            if not first[0]:
                beyond.untold.popleft()
                if first[1]:
                    effects.append(FromRelay(Sent(peer, first[1])))
        return effects + self._send_on(peer, beyond)

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Joined: _joined,
        Orphaned: _orphaned,
        RelayWanted: _wanted,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        ToRelay: _ordered,
        Woke: _woke,
    }
