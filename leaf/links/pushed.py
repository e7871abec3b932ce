"""What a leaf does that nobody can dial: it dials those who want its files, when it is told.

Its parent says who (`superpeer.relays.pushes`). Where that is, is hearsay like every address that
others name: within the parent's scope, each at most once in an hour unless it proved to be one of
us, and a few a second in all (THREATS T3). What the other end wants of us it says itself, once
linked. Who cannot be dialled either may be reached by a relay, its own parent
(`leaf.links.relayed`).
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import SwarmConfig
from common.core import Dial, Effect, Event, LinkDown, LinkUp, Received, Woke
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.hearsay import as_seen
from common.ids import NodeId
from common.messages.cluster import Push
from common.messages.fields import Contact
from leaf.links.links import BulkLinks
from leaf.signals import Joined, Orphaned, RelayWanted

RELAY_S: Final = 1.0  # a dial that is not answered so long may never be; wild guess
PROVEN_MAX: Final = 1_000  # doors that a leaf of our network answered at


class Pushed:
    """Whom we dialled because we were told to."""

    __slots__ = (
        "_budget",
        "_deadlines",
        "_dialled",
        "_links",
        "_me",
        "_near",
        "_parent",
        "_proven",
        "_wanted",
    )

    def __init__(self, me: NodeId, links: BulkLinks, config: SwarmConfig) -> None:
        self._me = me
        self._links = links
        self._parent: tuple[NodeId, Address] | None = None
        self._proven: dict[Address, None] = {}
        self._deadlines = Deadlines()  # by whom we dialled
        self._near: dict[NodeId, None] = {}  # super-peers that we are linked with
        self._dialled: dict[NodeId, Contact] = {}  # and who relays, should it come to nothing
        self._wanted: dict[NodeId, None] = {}  # whom we dialled, until that link is gone
        self._budget = DialBudget(
            per_s=config.hearsay_dials_per_s,
            burst=config.hearsay_dials_burst,
            target_s=config.hearsay_s,
            again_s=config.redial_s,
        )

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When a dial should have been answered."""
        return self._deadlines.earliest()

    def needs(self, peer: NodeId) -> bool:
        """Whether we want the bulk link to `peer`: it said that it wants something of us."""
        return peer in self._wanted

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent = event.parent, event.address
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        return []

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        if event.door is Door.BULK:
            self._dialled.pop(event.peer, None)
            self._deadlines.cancel(event.peer)
        else:
            self._near[event.peer] = None
        if not event.inbound:
            self._proven[event.address] = None
            if len(self._proven) > PROVEN_MAX:
                del self._proven[next(iter(self._proven))]
        return []

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        if event.door is Door.BULK:
            self._wanted.pop(event.peer, None)
            return self._turn_to_relay(event.peer, now)
        self._near.pop(event.peer, None)
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for peer in self._deadlines.pop_due(now):
            if isinstance(peer, bytes):
                effects += self._turn_to_relay(peer, now)
        return effects

    def _turn_to_relay(self, peer: NodeId, now: float) -> list[Effect]:
        """Our dial is not answered."""
        relay, parent = self._dialled.pop(peer, None), self._parent
        self._deadlines.cancel(peer)
        if relay is None or parent is None:
            return []
        is_linked = relay.node == parent[0] or relay.node in self._near
        if not is_linked and not self._may_dial(relay.address, now):
            return []
        return [RelayWanted(peer, relay)]

    def _may_dial(self, address: Address, now: float) -> bool:
        return self._budget.take(address, now, proven=address in self._proven)

    def _received(self, event: Received, now: float) -> list[Effect]:
        message, parent = event.message, self._parent
        if not isinstance(message, Push) or parent is None or event.peer != parent[0]:
            return []
        asker = as_seen(message.asker, *parent)
        if asker.node == self._me or self._links.is_up(asker.node):
            return []
        if not may_tell(asker.address, parent[1]):
            return []
        relay = None if message.relay is None else as_seen(message.relay, *parent)
        if relay is not None and may_tell(relay.address, parent[1]):
            self._dialled[asker.node] = relay
        if not self._may_dial(asker.address, now):  # it was in vain before
            return self._turn_to_relay(asker.node, now)
        self._wanted[asker.node] = None
        self._deadlines.set(asker.node, now + RELAY_S)
        return [Dial(asker.node, asker.address, Door.BULK)]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Joined: _joined,
        Orphaned: _orphaned,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Woke: _woke,
        Received: _received,
    }
