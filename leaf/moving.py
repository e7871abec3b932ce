"""Changing the parent because it asks us to, without a moment between.

    RESTING --Move--> JOINING --Welcome--> LEAVING --Acknowledged, or too late--> RESTING
                         '---- Busy, LinkDown, too late, orphaned: as if nothing had been ----'

The old parent stays ours until the new one has welcomed us, and stays linked until what we share is
found there; only then do we say `Left`. A node that is a super-peer itself keeps the link, which
may be one of its overlay.
"""

import enum
from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address, from_here, may_tell
from common.config import ParentConfig
from common.core import (
    Bound,
    Demoted,
    Dial,
    Effect,
    Event,
    Hangup,
    LinkDown,
    LinkUp,
    Promoted,
    Received,
    Send,
    Woke,
)
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from common.messages.cluster import Join, Welcome
from common.messages.fields import Contact
from common.messages.hierarchy import Left, Move
from leaf.candidates import Candidate, Standing
from leaf.publish import Publisher
from leaf.signals import Acknowledged, Joined, Orphaned, Rehomed

MOVED: Final = "moved to another super-peer"  # why the link to the old parent ends
NOT_MOVED: Final = "not moved there"
LEAVE_TIMES: Final = 4.0  # times `join_s`: how long what we share may take to be found there
_LATE: Final = "late"
_LEAVE: Final = "leave"


class Phase(enum.Enum):
    """How far a move is."""

    RESTING = "resting"
    JOINING = "joining"
    LEAVING = "leaving"


class Mover:
    """The leaf's end of a move; what becomes of it is signalled to `leaf.parent`."""

    __slots__ = (
        *("_config", "_deadlines", "_dialled", "_epoch", "_links", "_listen", "_me", "_old"),
        *(
            "_parent",
            "_parent_address",
            "_phase",
            "_promoted",
            "_promotes",
            "_published",
            "_target",
        ),
    )

    def __init__(
        self,
        me: NodeId,
        config: ParentConfig,
        published: Publisher,
        epoch: int,
        *,
        promotes: bool,
    ) -> None:
        self._me, self._config = me, config
        self._published, self._epoch, self._promotes = published, epoch, promotes
        self._phase, self._promoted = Phase.RESTING, False
        self._listen: Address | None = None
        self._links: dict[NodeId, bool] = {}  # control links, and whether they dialled
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._target: Contact | None = None
        self._dialled = False
        self._old: NodeId | None = None
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    @property
    def leaves(self) -> NodeId | None:
        """The old parent that is about to be left, which does not know it yet."""
        return self._old if self._phase is Phase.LEAVING else None

    # --- joining the new one ----------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        message = event.message
        if isinstance(message, Move):
            return self._on_move(event.peer, message, now) if event.peer == self._parent else []
        is_target = self._target is not None and event.peer == self._target.node
        if self._phase is not Phase.JOINING or not is_target:
            return []
        return self._on_welcome(message) if isinstance(message, Welcome) else self._abort()

    def _on_move(self, peer: NodeId, move: Move, now: float) -> list[Effect]:
        node, address = move.contact.node, move.contact.address
        if self._phase is Phase.JOINING or node == peer or self._parent_address is None:
            return []
        if node == self._me:
            if not self._promoted or self._listen is None:
                return []
            address = from_here(self._listen)
        elif peer != self._me and not may_tell(address, self._parent_address):
            return []
        effects = self._leave()  # the one before, if that is still under way
        self._phase, self._target = Phase.JOINING, Contact(node, address)
        self._deadlines.set(_LATE, now + 2 * self._config.join_s)
        self._dialled = node not in self._links
        if self._dialled:
            return [*effects, Dial(node, address, Door.CONTROL)]
        return [*effects, self._join(node)]

    def _join(self, node: NodeId) -> Effect:
        held = self._published
        join = Join(self._epoch, held.generation, held.entries, promotes=self._promotes)
        return Send(node, join)

    def _on_welcome(self, welcome: Welcome) -> list[Effect]:
        target = self._target
        if target is None:
            return []
        self._phase, self._target, self._old = Phase.LEAVING, None, self._parent
        self._deadlines.cancel(_LATE)
        candidate = Candidate("", target.address, target.node, Standing.READY)
        return [Rehomed(candidate, welcome, self._dialled)]

    def _abort(self) -> list[Effect]:
        """It comes to nothing; what we dialled for it is hung up."""
        target, self._target = self._target, None
        self._phase = Phase.RESTING
        self._deadlines.cancel(_LATE)
        if target is None or target.node not in self._links:
            return []
        left: list[Effect] = [Send(target.node, Left())]  # a welcome may still be on its way
        return [*left, *([Hangup(target.node, Door.CONTROL, NOT_MOVED)] if self._dialled else [])]

    # --- leaving the old one ----------------------------------------------------------------

    def _joined(self, event: Joined, now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        if self._phase is Phase.LEAVING:
            self._deadlines.set(_LEAVE, now + LEAVE_TIMES * self._config.join_s)
        return []

    def _acknowledged(self, _event: Acknowledged, _now: float) -> list[Effect]:
        """Our new parent holds what we share."""
        return self._leave() if self._phase is Phase.LEAVING else []

    def _leave(self) -> list[Effect]:
        old, self._old = self._old, None
        self._deadlines.cancel(_LEAVE)
        if self._phase is Phase.LEAVING:
            self._phase = Phase.RESTING
        if old is None or old not in self._links or old == self._parent:
            return []
        if old == self._me:
            return [Send(old, Left()), Hangup(old, Door.CONTROL, MOVED)]
        ours = not self._links[old] and not self._promoted
        return [Send(old, Left()), *([Hangup(old, Door.CONTROL, MOVED)] if ours else [])]

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        """Our parent is gone: `leaf.parent` looks for another by itself."""
        if self._phase is Phase.LEAVING:
            return []  # it is we who left it
        self._parent = None
        return self._abort() if self._phase is Phase.JOINING else []

    # --- links, roles and time --------------------------------------------------------------

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links[event.peer] = event.inbound
        is_target = self._target is not None and event.peer == self._target.node
        return [self._join(event.peer)] if self._phase is Phase.JOINING and is_target else []

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links.pop(event.peer, None)
        if self._phase is Phase.JOINING and self._target and event.peer == self._target.node:
            return self._abort()
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._abort() if key == _LATE else self._leave()
        return effects

    def _bound(self, event: Bound, _now: float) -> list[Effect]:
        self._listen = event.control
        return []

    def _on_promoted(self, _event: Promoted, _now: float) -> list[Effect]:
        self._promoted = True
        return []

    def _on_demoted(self, _event: Demoted, _now: float) -> list[Effect]:
        self._promoted = False
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        Joined: _joined,
        Acknowledged: _acknowledged,
        Orphaned: _orphaned,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Bound: _bound,
        Promoted: _on_promoted,
        Demoted: _on_demoted,
        Woke: _woke,
    }
