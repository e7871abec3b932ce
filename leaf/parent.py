"""A leaf's parent: join one, notice when it is gone, join the next.

    SEEKING --next candidate--> JOINING --Welcome--> JOINED
       ^------- Busy, LinkDown, too late ---'           |
       '----------------- LinkDown, Busy ---------------'

Invariant: at most one parent, and only `Welcome` from the candidate that was asked makes it so. Who
is asked, in which order, is `leaf.ladder`; rounds that find nobody are repeated with a doubling,
jittered pause. What becomes of a leaf that is alone then is `leaf.succession`: its node may become
a super-peer too, and that is its parent then. What is published and searched there is not this
machine's business.
"""

import enum
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar, Final

from common.addresses import Address, from_here
from common.config import ParentConfig
from common.core import (
    Asked,
    Bound,
    DatagramReceived,
    Demoted,
    Dial,
    Effect,
    Event,
    Hangup,
    LinkDown,
    LinkUp,
    Notify,
    Promoted,
    Received,
    Send,
    Stopped,
    Woke,
)
from common.deadlines import Deadlines
from common.doors import Door
from common.hostcache import HostCache
from common.ids import NodeId, node_text
from common.ladder import LINE, SELF, Found
from common.meeting import Meeting, Seed
from common.messages.cluster import Busy, Join, Welcome
from common.messages.fields import Contact
from common.messages.link import Bye
from common.storage import RememberSuperPeer, Restored
from leaf.candidates import Candidate
from leaf.ladder import Ladder
from leaf.pins import Pins
from leaf.publish import Publisher
from leaf.signals import Alone, Joined, Named, Orphaned, Rehomed

_Table = dict[Any, Callable[..., list[Effect]]]
_REFUSED: Final = "refused: "  # how `common.links` begins the reason of a link that was refused


class State(enum.Enum):
    """How far the search for a parent is."""

    SEEKING = "seeking"
    JOINING = "joining"
    JOINED = "joined"


class Parent:
    """The leaf's end of its one link into the network."""

    __slots__ = (
        *("_began", "_busy_s", "_cache", "_candidate", "_config", "_deadlines", "_dialled"),
        *("_epoch", "_ladder", "_links", "_listen", "_me", "_meeting", "_pause_s", "_pins"),
        *("_promoted", "_promotes", "_published", "_rng", "_state", "reason", "refused"),
    )

    def __init__(
        self,
        *,
        me: NodeId,
        meeting: Meeting,
        config: ParentConfig,
        seeds: Sequence[Seed],
        published: Publisher,
        epoch: int,
        rng: Random,
        steps: Sequence[str] = (),
        promotes: bool = False,
    ) -> None:
        """`steps` of the ladder come after the host cache where there are no `seeds`; then a node
        that `promotes` begins the network where it finds nobody."""
        self._me = me
        self._meeting = meeting
        self._config = config
        self._published = published
        self._epoch = epoch
        self._rng = rng
        self._promotes = promotes
        self._promoted = False
        self._listen: Address | None = None
        self._pins = Pins()
        self._cache = HostCache(me, rng)
        self._ladder = Ladder(
            me,
            seeds=seeds,
            steps=steps,
            meeting=meeting,
            config=config,
            pins=self._pins,
            cache=self._cache,
            rng=rng,
        )
        self._links: dict[NodeId, None] = {}  # control links that are up, whoever made them
        self._state = State.SEEKING
        self._candidate: Candidate | None = None  # whom we join or joined
        self._dialled = False  # the link to it is ours to end
        self._busy_s: float | None = None  # when the first full one wants to be asked again
        self._pause_s = config.redial_s
        self._began: float | None = None
        self._deadlines = Deadlines()
        self.reason = "not asked yet"
        """Why there is no parent, in one sentence; '' while there is one."""
        self.refused = False
        """Whether in the last round somebody was there and would not have us."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._deadlines.earliest(), self._ladder.wakeup())
        return min((when for when in times if when is not None), default=None)

    @property
    def contact(self) -> Contact | None:
        """Our parent and where it is, while there is one."""
        each = self._candidate
        if self._state is not State.JOINED or each is None or each.node is None:
            return None
        return Contact(each.node, each.address)

    @property
    def source(self) -> str | None:
        """The step of the ladder that named our parent, while there is one."""
        each = self._candidate
        return None if self.contact is None or each is None else each.source

    # --- seeking ----------------------------------------------------------------------------

    def _restored(self, event: Restored, now: float) -> list[Effect]:
        self._pins.restore(event.pins)
        if not self._ladder.is_given:  # who was given super-peers wants those
            self._cache.restore(event.known)
        if self._began is not None:
            return []
        self._began = now
        return self._begin_round(now)

    def _bound(self, event: Bound, _now: float) -> list[Effect]:
        self._listen = event.control
        return []

    def _begin_round(self, now: float) -> list[Effect]:
        self._busy_s = None
        if self._promoted and self._listen is not None:
            self._ladder.with_these((Contact(self._me, from_here(self._listen)),), SELF)
            return self._advance(now)
        return self._ladder.begin(now) + self._advance(now)

    def _advance(self, now: float) -> list[Effect]:
        """Join the next candidate, or wait for one, or pause after a round without success."""
        effects = self._ladder.climb(now, to_the_end=not self._may_begin)
        candidate = self._ladder.next()
        if candidate is not None:
            return effects + self._enter_joining(candidate, now)
        if not self._ladder.over:
            return effects
        self._deadlines.set("round", now + self._pause())
        may_begin = self._may_begin and self._listen is not None and self._ladder.nobody
        alone = Alone(self._ladder.reason, may_begin)
        return [*effects, *([] if may_begin else self._explain()), alone]

    @property
    def _may_begin(self) -> bool:
        """Whether this leaf may begin the network where it finds nobody."""
        return self._promotes and not self._promoted and not self._ladder.is_given

    def _on_named(self, event: Named, now: float) -> list[Effect]:
        """Others have found a super-peer: a round with those, whoever we were given."""
        if self._state is not State.SEEKING:
            return []
        self._deadlines.cancel("round")
        self._ladder.with_these(event.superpeers, LINE)
        return self._advance(now)

    def _found(self, event: Found, now: float) -> list[Effect]:
        effects = self._ladder.found(event, now)
        if self._state is not State.SEEKING:
            return effects
        due = self._deadlines.get("round")
        if due is None:
            return effects + self._advance(now)
        if event.seeds:  # while we rest: soon, but not each time somebody shows up
            self._deadlines.set("round", min(due, now + self._config.lan_s))
        return []

    def _on_promoted(self, _event: Promoted, now: float) -> list[Effect]:
        """Our node is a super-peer now; a parent that we have stays."""
        self._promoted = True
        return self._begin_round(now) if self._state is State.SEEKING else []

    def _on_demoted(self, _event: Demoted, _now: float) -> list[Effect]:
        self._promoted = False
        return []

    def _pause(self) -> float:
        """How long until the next round: doubling, with jitter, or when a full one said."""
        limit = self._config.redial_max_s
        pause = self._pause_s * self._rng.uniform(0.5, 1.0)
        self._pause_s = min(2 * self._pause_s, limit)
        if self._busy_s is None:
            return pause
        return max(pause, min(self._busy_s, limit) * self._rng.uniform(1.0, 1.2))

    def _explain(self) -> list[Effect]:
        """Say why there is no parent, once as long as the reason stays."""
        self.refused = self._ladder.refused
        if self.reason == self._ladder.reason:
            return []
        self.reason = self._ladder.reason
        level = "error" if self._ladder.wrong_key else "warning"
        return [Notify("parent_not_found", {"reason": self.reason}, level)]

    def _on_pong(self, event: DatagramReceived, now: float) -> list[Effect]:
        counted = self._ladder.pong(event, now)
        return self._advance(now) if counted and self._state is State.SEEKING else []

    # --- joining ----------------------------------------------------------------------------

    def _enter_joining(self, candidate: Candidate, now: float) -> list[Effect]:
        self._state, self._candidate = State.JOINING, candidate
        peer = candidate.node or b""
        self._dialled = peer not in self._links
        if self._dialled:
            return [Dial(peer, candidate.address, Door.CONTROL)]
        return self._join(peer, now)

    def _join(self, peer: NodeId, now: float) -> list[Effect]:
        self._deadlines.set("join", now + self._config.join_s)
        held = self._published
        join = Join(self._epoch, held.generation, held.entries, promotes=self._promotes)
        return [Send(peer, join)]

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links[event.peer] = None
        if self._state is State.JOINING and self._is_candidate(event.peer):
            return self._join(event.peer, now)
        return []

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        if event.door is not Door.CONTROL:
            return []
        self._links.pop(event.peer, None)
        if self._state is State.SEEKING or not self._is_candidate(event.peer):
            return []
        self._dialled = False
        return self._lose(event.reason, now)

    def _due_join(self, now: float) -> list[Effect]:
        return self._lose(f"no welcome within {self._config.join_s:g} s", now)

    def _due_round(self, now: float) -> list[Effect]:
        return self._begin_round(now) if self._state is State.SEEKING else []

    def _lose(self, reason: str, now: float, busy: Busy | None = None) -> list[Effect]:
        """The candidate does not become our parent, or the parent is gone: seek on."""
        candidate, was_joined = self._candidate, self._state is State.JOINED
        self._state, self._candidate = State.SEEKING, None
        self._deadlines.cancel("join")
        if candidate is None or candidate.node is None:
            return []
        text = f"{candidate.name}: {'the link broke' if reason == 'lost' else reason}"
        effects: list[Effect] = []
        if self._dialled:
            effects.append(Hangup(candidate.node, Door.CONTROL, reason))
        if not was_joined:
            if busy is not None:
                self._ladder.full(candidate, text, busy.alternatives)
            else:
                self._fail(candidate, text, refused=reason.startswith(_REFUSED))
            return effects + self._advance(now)
        self.reason = f"lost {text}"
        self._deadlines.set("round", now + self._pause())
        lost = Notify("parent_lost", {"node": node_text(candidate.node), "reason": reason})
        return [*effects, Orphaned(self.reason), lost]

    def _fail(self, candidate: Candidate, text: str, *, refused: bool) -> None:
        """It cannot be joined now."""
        self._ladder.failed(candidate, text, refused=refused)
        self._cache.failed(candidate.node or b"")

    def _is_candidate(self, peer: NodeId) -> bool:
        return self._candidate is not None and self._candidate.node == peer

    # --- what the candidate says ------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        if not self._is_candidate(event.peer):
            return []
        return self._MESSAGES[type(event.message)](self, event.message, now)

    def _on_welcome(self, welcome: Welcome, _now: float) -> list[Effect]:
        candidate = self._candidate
        if self._state is not State.JOINING or candidate is None or candidate.node is None:
            return []
        self._state, self.reason, self._pause_s = State.JOINED, "", self._config.redial_s
        self.refused = False
        self._deadlines.cancel("join")
        self._deadlines.cancel("round")
        self._ladder.rest()
        node, address = candidate.node, candidate.address
        self._cache.hear(welcome.alternatives, Contact(node, address))
        source: dict[str, object] = {"source": candidate.source} if candidate.source else {}
        told = {"node": node_text(node), "address": str(address), **source}
        return [
            *self._remember(candidate, node),
            Notify("parent_joined", told),
            Joined(node, address, welcome.generation, welcome.entries_max),
        ]

    def _rehomed(self, event: Rehomed, now: float) -> list[Effect]:
        """`leaf.moving` has found us another parent while the old one was still there."""
        self._state, self._candidate, self._dialled = State.JOINING, event.candidate, event.dialled
        return [Orphaned("it moves to another super-peer"), *self._on_welcome(event.welcome, now)]

    def _remember(self, candidate: Candidate, node: NodeId) -> list[Effect]:
        """What the next run should know; a key is pinned only after a link has proven it."""
        if node == self._me:
            return []
        self._cache.worked(Contact(node, candidate.address))
        return [RememberSuperPeer(node, candidate.address), *self._pins.joined(candidate)]

    def _on_busy(self, busy: Busy, now: float) -> list[Effect]:
        candidate = self._candidate
        if candidate is None or candidate.node is None:
            return []
        self._cache.hear(busy.alternatives, Contact(candidate.node, candidate.address))
        if self._state is State.JOINING:
            self._busy_s = min(self._busy_s or busy.retry_s, busy.retry_s)
        return self._lose("it takes no more leaves", now, busy)

    # --- people -------------------------------------------------------------

    def _asked_pins_reset(self, event: Asked, now: float) -> list[Effect]:
        effects = self._pins.reset(event)
        if self._state is State.SEEKING:
            self._deadlines.set("round", now)
        return effects

    def _stopped(self, _event: Stopped, _now: float) -> list[Effect]:
        contact, self._state, self._candidate = self.contact, State.SEEKING, None
        for key in ("round", "join"):
            self._deadlines.cancel(key)
        self._ladder.rest()
        self.reason = "this leaf is stopping"
        return [Send(contact.node, Bye("leaving"))] if contact else []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._DUE[str(key)](self, now)
        if self._ladder.due(now) and self._state is State.SEEKING:
            effects += self._advance(now)
        return effects

    _HANDLERS: ClassVar[_Table] = {
        Restored: _restored,
        Bound: _bound,
        Found: _found,
        Named: _on_named,
        Promoted: _on_promoted,
        Demoted: _on_demoted,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        Rehomed: _rehomed,
        DatagramReceived: _on_pong,
        Asked: _asked_pins_reset,
        Stopped: _stopped,
        Woke: _woke,
    }

    _MESSAGES: ClassVar[_Table] = {Welcome: _on_welcome, Busy: _on_busy}
    _DUE: ClassVar[_Table] = {"round": _due_round, "join": _due_join}
