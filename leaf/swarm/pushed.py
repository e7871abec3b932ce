"""What a leaf does that nobody can dial: it dials those who want its files, when it is told.

Its parent says who (`superpeer.pushes`). Where that is, is hearsay like every address that others
name: within the parent's scope, each at most once in an hour unless it proved to be one of us, and
a few a second in all (THREATS T3). What the other end wants of us it says itself, once linked.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import SwarmConfig
from common.core import Dial, Effect, Event, LinkUp, Received
from common.dialbudget import DialBudget
from common.doors import Door
from common.hearsay import as_seen
from common.ids import NodeId
from common.messages.cluster import Push
from leaf.signals import Joined, Orphaned
from leaf.swarm.links import BulkLinks

PROVEN_MAX: Final = 1_000  # doors that a leaf of our network answered at


class Pushed:
    """Whom we dialled because we were told to."""

    __slots__ = ("_budget", "_links", "_me", "_parent", "_proven")

    def __init__(self, me: NodeId, links: BulkLinks, config: SwarmConfig) -> None:
        self._me = me
        self._links = links
        self._parent: tuple[NodeId, Address] | None = None
        self._proven: dict[Address, None] = {}
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
        """Nothing here is due by itself."""
        return None

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent = event.parent, event.address
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        return []

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        if event.door is Door.BULK and not event.inbound and len(self._budget):
            self._proven[event.address] = None
            if len(self._proven) > PROVEN_MAX:
                del self._proven[next(iter(self._proven))]
        return []

    def _received(self, event: Received, now: float) -> list[Effect]:
        message, parent = event.message, self._parent
        if not isinstance(message, Push) or parent is None or event.peer != parent[0]:
            return []
        asker = as_seen(message.asker, *parent)
        if asker.node == self._me or self._links.is_up(asker.node):
            return []
        if not may_tell(asker.address, parent[1]):
            return []
        proven = asker.address in self._proven
        if not self._budget.take(asker.address, now, proven=proven):
            return []
        return [Dial(asker.node, asker.address, Door.BULK)]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Joined: _joined,
        Orphaned: _orphaned,
        LinkUp: _link_up,
        Received: _received,
    }
