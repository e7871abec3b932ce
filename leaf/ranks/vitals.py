"""What our parent tells us that others measured of us, and errands that we run for it.

An errand: dial the control door of another leaf, or take what its bulk door gives for some seconds
(`leaf.ranks.trials`). Whom to dial is hearsay, so such dials have a small budget of their own
(THREATS T3), and only our parent sends us.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import SwarmConfig, VitalsConfig
from common.core import Dial, Effect, Event, LetGo, LinkDown, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.ids import Guid, NodeId
from common.messages.hierarchy import Errand, ErrandDone, Vitals
from leaf.signals import Joined, Orphaned

SEEN: Final = "only looking"  # why the link of an errand ends
ERRANDS_MAX: Final = 8  # at a time; a parent sends few


class Errands:
    """Dials for our parent, and what it told of us in `told`."""

    __slots__ = (
        *("_budget", "_config", "_deadlines", "_links", "_me", "_open", "_parent"),
        *("_parent_address", "told"),
    )

    def __init__(self, me: NodeId, config: VitalsConfig, swarm: SwarmConfig) -> None:
        self._me, self._config = me, config
        self._budget = DialBudget(
            per_s=swarm.hearsay_dials_per_s,
            burst=swarm.hearsay_dials_burst,
            target_s=config.dialback_s,
            again_s=config.dialback_s,
        )
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._links: dict[NodeId, bool] = {}  # control links, and whether they dialled
        self._open: dict[NodeId, Guid] = {}  # whom we dial
        self._deadlines = Deadlines()
        self.told = Vitals()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When an errand takes too long."""
        return self._deadlines.earliest()

    def _received(self, event: Received, now: float) -> list[Effect]:
        if event.peer != self._parent:
            return []
        if isinstance(event.message, Vitals):
            self.told = event.message
            return []
        errand = event.message
        if not isinstance(errand, Errand) or errand.seconds:
            return []
        node, address = errand.contact.node, errand.contact.address
        if node in self._links:
            return [self._done(errand.guid, None if self._links[node] else True)]
        if not self._may(node, address, now):
            return [self._done(errand.guid, None)]
        self._open[node] = errand.guid
        self._deadlines.set(node, now + self._config.dialback_answer_s)
        return [Dial(node, address, Door.CONTROL)]

    def _may(self, node: NodeId, address: Address, now: float) -> bool:
        near = self._parent_address
        if near is None or node in (self._me, self._parent) or node in self._open:
            return False
        is_told = may_tell(address, near) and len(self._open) < ERRANDS_MAX
        return is_told and self._budget.take(address, now)

    def _done(self, guid: Guid, reached: bool | None) -> Effect:
        return Send(self._parent or b"", ErrandDone(guid, reached))

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links[event.peer] = event.inbound
        guid = self._open.pop(event.peer, None)
        if guid is None:
            return []
        self._deadlines.cancel(event.peer)
        if event.inbound:  # its link crossed our dial
            return [self._done(guid, None)]
        return [self._done(guid, True), LetGo(event.peer, Door.CONTROL, SEEN)]

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links.pop(event.peer, None)
        guid = self._open.pop(event.peer, None)
        self._deadlines.cancel(event.peer)
        return [] if guid is None else [self._done(guid, False)]

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None  # what was told of us stays true until the next one tells
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        late = [node for node in self._deadlines.pop_due(now) if isinstance(node, bytes)]
        open_ = [self._open.pop(node) for node in late if node in self._open]
        return [self._done(guid, None) for guid in open_]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Joined: _joined,
        Orphaned: _orphaned,
        Woke: _woke,
    }
