"""Which bulk links are up, where they lead, and since when nothing has come over each.

Uploads and downloads share the one link between two leaves. Strangers never have more than a named
number of them, so they use up neither our descriptors nor the links that we dial ourselves. What is
said over a link is not looked at; which end because nobody uses them stands in `leaf.uploads.idle`.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address
from common.config import SwarmConfig
from common.core import Effect, Event, Hangup, LinkDown, LinkUp, Received
from common.doors import Door
from common.ids import NodeId
from common.messages.fields import Contact
from leaf.links.caps import Caps
from leaf.links.places import Places
from leaf.signals import Limited

STRANGERS_PER_SLOT: Final = 2  # links of others, for each upload slot: one served, one waiting


class BulkLinks:
    """The bulk links of one leaf."""

    __slots__ = (
        *("_addresses", "_heard_at", "_links_max", "_strangers", "_strangers_max", "caps"),
        "places",
    )

    def __init__(self, config: SwarmConfig) -> None:
        self.caps = Caps()
        """How fast content may go over them, and over HTTP."""
        self.places = Places(config.redial_s)
        """Where they were dialled."""
        self._heard_at: dict[NodeId, float] = {}
        self._addresses: dict[NodeId, Address] = {}
        self._strangers: dict[NodeId, None] = {}  # they dialled us
        self._links_max = config.links_max
        self._strangers_max = config.links_max + STRANGERS_PER_SLOT * config.upload_slots

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """Nothing here is due by itself."""
        return None

    def __len__(self) -> int:
        return len(self._heard_at)

    def silent_since(self, time: float) -> list[NodeId]:
        """The other ends from which no message of the swarm has come after `time`."""
        return [peer for peer, heard_at in self._heard_at.items() if heard_at <= time]

    def contact(self, peer: NodeId) -> Contact | None:
        """The other end of a link that is up, and where it listens."""
        address = self._addresses.get(peer)
        is_known = address is not None and address.is_a_place  # not beyond a relay
        return Contact(peer, address) if is_known and address is not None else None

    def is_up(self, peer: NodeId) -> bool:
        """Whether there is a bulk link to `peer`."""
        return peer in self._heard_at

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._heard_at[event.peer] = now
        self._addresses[event.peer] = event.address
        if not event.inbound:
            self.places.answered(event.peer, event.address)
            return []
        self._strangers[event.peer] = None
        if len(self._strangers) > self._strangers_max:
            return [Hangup(event.peer, Door.BULK, "too many links")]
        return []

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is Door.BULK:
            self._heard_at.pop(event.peer, None)
            self._addresses.pop(event.peer, None)
            self._strangers.pop(event.peer, None)
        return []

    def _limited(self, event: Limited, _now: float) -> list[Effect]:
        self._strangers_max = self._links_max + STRANGERS_PER_SLOT * event.slots
        return []

    def _received(self, event: Received, now: float) -> list[Effect]:
        if event.peer in self._heard_at:
            self._heard_at[event.peer] = now
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        Limited: _limited,
    }
