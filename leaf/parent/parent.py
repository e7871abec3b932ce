"""A leaf's parent: join one, notice when it is gone, join the next.

    SEEKING --next candidate--> JOINING --Welcome--> JOINED --heir welcomes--> JOINED
       ^------- Busy, LinkDown, too late ---'           |      the old one is left
       '----------------- LinkDown, Busy ---------------'      only then

Invariant: at most one parent, and only `Welcome` from the candidate that was asked makes it so. Who
is asked, in which order, is `leaf.parent.rounds`; but when a parent is lost its heir
(`leaf.parent.heir`) is the first. A parent that goes in peace, or is silent while the heir is not,
is left when the other has said welcome: make before break. What is published and searched there is
not our business here.
"""

import enum
from collections.abc import Callable
from typing import ClassVar

from common.addresses import may_tell
from common.config import ParentConfig
from common.core import (
    Asked,
    Dial,
    Effect,
    Event,
    LetGo,
    LinkDown,
    LinkMeasured,
    LinkUp,
    Notify,
    Received,
    Send,
    Stopped,
    Woke,
)
from common.deadlines import Deadlines, soonest
from common.doors import Door
from common.ids import NodeId, node_text
from common.messages import cluster
from common.messages.cluster import Busy, Join, Leave, ReHome, Welcome
from common.messages.fields import Contact, Message
from common.messages.link import Bye
from leaf.library.publish import Publisher
from leaf.parent.candidates import Candidate
from leaf.parent.heir import Heir, candidate_of
from leaf.parent.moving import ASKED, LEAVE_TIMES, SILENT, Moving
from leaf.parent.rounds import HEARD, Rounds, Then
from leaf.signals import Acknowledged, Inherits, Joined, Orphaned


class State(enum.Enum):
    """How far the search for a parent is."""

    SEEKING = "seeking"
    JOINING = "joining"
    JOINED = "joined"


class Parent:
    """The leaf's end of its one link into the network."""

    __slots__ = (
        *("_by_heir", "_candidate", "_config", "_deadlines", "_epoch", "_joins", "_links"),
        *("_me", "_moving", "_promotes", "_published", "_rounds", "_state", "heir"),
    )

    def __init__(
        self,
        me: NodeId,
        config: ParentConfig,
        rounds: Rounds,
        published: Publisher,
        *,
        epoch: int,
        promotes: bool = False,
    ) -> None:
        """`promotes`: this leaf would be a super-peer where one is needed."""
        self._me = me
        self._promotes = promotes
        self._config = config
        self._published = published
        self._epoch = epoch
        self._joins = 0  # said in this life
        self._rounds = rounds
        self._links: dict[NodeId, None] = {}  # control links that are up, whoever made them
        self.heir = Heir(me, config, self._links)
        self._state = State.SEEKING
        self._candidate: Candidate | None = None  # whom we join or joined
        self._by_heir = False  # it is the heir of the last one, and no candidate of a round
        self._moving = Moving()
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        warm = self.heir.warm
        effects = self._HANDLERS[type(event)](self, event, now)
        if self.heir.warm != warm:
            effects.append(Inherits(self.heir.warm))
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._deadlines.earliest(), self._rounds.wakeup(), self.heir.wakeup())
        return soonest(times)

    def needs(self, peer: NodeId) -> bool:
        """Whether we want the control link to `peer`: it is our parent or to become it, our heir,
        or about to be left."""
        is_heir = self.heir.contact is not None and self.heir.contact.node == peer
        return self._is_candidate(peer) or is_heir or self._moving.needs(peer)

    @property
    def contact(self) -> Contact | None:
        """Our parent and where it is, while there is one."""
        each = self._candidate
        if self._state is not State.JOINED or each is None or each.node is None:
            return None
        return Contact(each.node, each.address)

    @property
    def leaving(self) -> Contact | None:
        """The parent before, while it does not know yet that we have left it."""
        return self._moving.leaving

    @property
    def source(self) -> str | None:
        """The step of the ladder that named our parent, while there is one."""
        each = self._candidate
        return None if self.contact is None or each is None else each.source

    @property
    def reason(self) -> str:
        """Why there is no parent, in one sentence; '' while there is one."""
        return self._rounds.reason

    @property
    def refused(self) -> bool:
        """Whether in the last round somebody was there and would not have us."""
        return self._rounds.refused

    # --- seeking ----------------------------------------------------------------------------

    def _look(self, event: Event, now: float) -> list[Effect]:
        """Something that tells where super-peers are."""
        seeking = self._state is State.SEEKING
        effects, then = self._rounds.take(event, now, seeking=seeking)
        if then is Then.BEGIN:
            return effects + self._begin_round(now)
        return effects + self._advance(now) if then is Then.GO_ON else effects

    def _begin_round(self, now: float) -> list[Effect]:
        return self._rounds.begin(now) + self._advance(now)

    def _advance(self, now: float) -> list[Effect]:
        """Join the next candidate, or wait for one, or pause after a round without success."""
        effects, candidate = self._rounds.next(now)
        return effects if candidate is None else effects + self._enter_joining(candidate, now)

    # --- joining ----------------------------------------------------------------------------

    def _enter_joining(self, candidate: Candidate, now: float) -> list[Effect]:
        self._state, self._candidate, self._by_heir = State.JOINING, candidate, False
        peer = candidate.node or b""
        if peer not in self._links:
            return [Dial(peer, candidate.address, Door.CONTROL)]
        return self._join(peer, self._config.join_s, now)

    def _join(self, peer: NodeId, within_s: float, now: float) -> list[Effect]:
        self._deadlines.set("join", now + within_s)
        return [self._joining(peer)]

    def _joining(self, peer: NodeId) -> Send:
        self._joins += 1
        numbers = (self._epoch, self._published.generation, self._published.entries)
        return Send(peer, Join(*numbers, promotes=self._promotes, joins=self._joins))

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links[event.peer] = None
        self.heir.link_up(event.peer, event.address, now, inbound=event.inbound)
        is_joining = self._state is State.JOINING and self._is_candidate(event.peer)
        asks = is_joining or self._moving.is_to(event.peer)
        return self._join(event.peer, self._config.join_s, now) if asks else []

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        was_up = event.peer in self._links
        self._links.pop(event.peer, None)
        effects = self.heir.link_down(event.peer, now, was_up=was_up)
        self._moving.lost(event.peer)
        if self._moving.is_to(event.peer):
            return effects + self._stay()
        if self._state is State.SEEKING or not self._is_candidate(event.peer):
            return effects
        return effects + self._lose(event.reason, now)

    def _due_join(self, now: float) -> list[Effect]:
        """The one that was asked does not take us."""
        if self._moving.target is not None:
            self.heir.put_off(now)
            return self._stay()
        asked = self._candidate.node if self._candidate is not None else None
        return self._take_back(asked) + self._lose("no welcome in time", now)

    def _take_back(self, asked: NodeId | None) -> list[Effect]:
        """Whom we asked may still say yes: it is to keep nothing of us, for its link may stay. What
        we say to a parent that we have once more, by a later `Join`, makes it so there too."""
        if asked is None or asked not in self._links:
            return []
        if (contact := self.contact) is not None:
            return [self._joining(contact.node), Send(asked, Leave(self._joins))]
        self._joins += 1
        return [Send(asked, Leave(self._joins))]

    def _lose(self, reason: str, now: float, busy: Busy | None = None) -> list[Effect]:
        """The candidate does not become our parent, or the parent is gone: seek on."""
        candidate, was_joined = self._candidate, self._state is State.JOINED
        self._state, self._candidate = State.SEEKING, None
        self._deadlines.cancel("join")
        if candidate is None or candidate.node is None:
            return []
        text = f"{candidate.name}: {'the link broke' if reason == 'lost' else reason}"
        effects: list[Effect] = [LetGo(candidate.node, Door.CONTROL, reason)]
        if was_joined:
            return effects + self._orphaned(candidate.node, reason, text, now)
        if self._by_heir:
            return [*effects, Orphaned(), *self._begin_round(now)]
        if busy is not None:
            self._rounds.full(candidate, text, busy.retry_s, busy.alternatives)
        else:
            self._rounds.failed(candidate, text, reason)
        return effects + self._advance(now)

    def _orphaned(self, node: NodeId, reason: str, text: str, now: float) -> list[Effect]:
        """The parent is gone: its heir is joined at once, or others after a pause."""
        self._rounds.reason = f"lost {text}"
        effects = self._stay()
        heir = self.heir.take()
        self.heir.watch(None, now)
        lost = Notify("parent_lost", {"node": node_text(node), "reason": reason})
        effects += [Orphaned(soon=heir is not None), lost]
        if heir is None or heir.node is None:
            self._rounds.rest(now)
            return effects
        self._state, self._candidate, self._by_heir = State.JOINING, heir, True
        return effects + self._reach(heir.node, heir, now)

    def _is_candidate(self, peer: NodeId) -> bool:
        return self._candidate is not None and self._candidate.node == peer

    # --- moving from one parent to another --------------------------------------------------

    def _move(self, contact: Contact, now: float, why: str) -> list[Effect]:
        """Join this one while we have our parent."""
        if self._state is not State.JOINED or self._moving.target is not None:
            return []
        here = self._rounds.here if contact.node == self._me else contact
        if here is None or self._is_candidate(here.node) or not self.heir.may_reach(here, now):
            return []
        effects = self._leave_old(now)  # the one before, if that is still under way
        target = candidate_of(here)
        self._moving.aim(target, why=why)
        return effects + self._reach(here.node, target, now)

    def _reach(self, peer: NodeId, candidate: Candidate, now: float) -> list[Effect]:
        """Join it over the link that is there, or make one."""
        if peer in self._links:
            return self._join(peer, self._config.heir_s, now)
        self._deadlines.set("join", now + self._config.join_s)
        return [Dial(peer, candidate.address, Door.CONTROL)]

    def _stay(self, *, refused: bool = False) -> list[Effect]:
        """Whom we wanted to move to does not take us; who has not said so may still do it."""
        self._deadlines.cancel("join")
        asked = self._moving.target.node if self._moving.target and not refused else None
        return self._take_back(asked) + self._moving.give_up()

    def _moved(self, welcome: Welcome, now: float) -> list[Effect]:
        """The other is our parent now; the one before is left once all of ours is found there."""
        old, new = self.contact, self._moving.target
        if new is None or old is None:
            return []
        told = [self._moving.arrived(old), Orphaned(soon=True)]
        effects: list[Effect] = [*told, *self.heir.forget(), *self._joined(new, welcome, now)]
        if welcome.generation == self._published.generation or not self._published.entries:
            return effects + self._leave_old(now)
        self._deadlines.set("leave", now + LEAVE_TIMES * self._config.join_s)
        return effects

    def _acknowledged(self, _event: Acknowledged, now: float) -> list[Effect]:
        return self._leave_old(now)

    def _leave_old(self, now: float) -> list[Effect]:
        self._deadlines.cancel("leave")
        self.heir.assume(self._moving.sender, now)
        return self._moving.leave(self._joins)

    # --- what others say --------------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        message = event.message
        if isinstance(message, Welcome) and message.joins not in (0, self._joins):
            return []  # we have left there and come back meanwhile
        if self._moving.is_to(event.peer) and isinstance(message, Welcome):
            return self._moved(message, now)
        if self._moving.is_to(event.peer) and isinstance(message, Busy):
            self.heir.put_off(now)
            return self._stay(refused=True)
        if self._is_candidate(event.peer):
            return self._MESSAGES[type(message)](self, message, now)
        return []

    def _on_welcome(self, welcome: Welcome, now: float) -> list[Effect]:
        candidate = self._candidate
        if self._state is not State.JOINING or candidate is None:
            return []
        return self.heir.forget() + self._joined(candidate, welcome, now)

    def _joined(self, candidate: Candidate, welcome: Welcome, now: float) -> list[Effect]:
        self._state, self._candidate = State.JOINED, candidate
        self._deadlines.cancel("join")
        node, address = candidate.node or b"", candidate.address
        self.heir.watch(node, now)
        joined = Joined(node, address, welcome.generation, welcome.entries_max)
        return [*self._rounds.joined(candidate, welcome.alternatives), joined]

    def _on_busy(self, busy: Busy, now: float) -> list[Effect]:
        candidate = self._candidate
        if candidate is None or candidate.node is None:
            return []
        self._rounds.cache.hear(busy.alternatives, Contact(candidate.node, candidate.address))
        return self._lose("it takes no more leaves", now, busy)

    def _on_heir(self, message: cluster.Heir, now: float) -> list[Effect]:
        contact = self.contact
        return [] if contact is None else self.heir.named(message.contact, contact.address, now)

    def _on_re_home(self, message: ReHome, now: float) -> list[Effect]:
        contact = self.contact
        if contact is None:
            return []
        known = self._me in (contact.node, message.contact.node)  # which needs no telling
        if not known and not may_tell(message.contact.address, contact.address):
            return []
        return self._move(message.contact, now, ASKED)

    def _measured(self, event: LinkMeasured, now: float) -> list[Effect]:
        """An echo."""
        if event.door is Door.CONTROL:
            self.heir.measured(event.peer, event.rtt_s, now)
        return []

    # --- people and other nodes -------------------------------------------------------------

    def _asked_pins_reset(self, event: Asked, now: float) -> list[Effect]:
        effects = self._rounds.pins.reset(event)
        if self._state is State.SEEKING:
            self._rounds.hurry(now)
        return effects

    def _stopped(self, _event: Stopped, now: float) -> list[Effect]:
        contact, self._state, self._candidate = self.contact, State.SEEKING, None
        self._moving.target = None
        for key in ("join", "leave"):
            self._deadlines.cancel(key)
        self.heir.watch(None, now)
        self._rounds.stop()
        self._rounds.reason = "this leaf is stopping"
        return [Send(contact.node, Bye("leaving"))] if contact else []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects, parent_is_silent = self.heir.due(now)
        if parent_is_silent and self.heir.warm is not None:
            effects += self._move(self.heir.warm, now, SILENT)
        for key in self._deadlines.pop_due(now):
            effects += self._due_join(now) if key == "join" else self._leave_old(now)
        begins, waited = self._rounds.due(now)
        if self._state is State.SEEKING and (begins or waited):
            effects += self._begin_round(now) if begins else self._advance(now)
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        **dict.fromkeys(HEARD, _look),
        Acknowledged: _acknowledged,
        LinkUp: _link_up,
        LinkDown: _link_down,
        LinkMeasured: _measured,
        Received: _received,
        Asked: _asked_pins_reset,
        Stopped: _stopped,
        Woke: _woke,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Welcome: _on_welcome,
        Busy: _on_busy,
        cluster.Heir: _on_heir,
        ReHome: _on_re_home,
    }
