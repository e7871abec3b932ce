"""A leaf's heir: the super-peer that has a copy of what we share and takes us if our parent goes.

The parent names it. We keep a link to it, so that joining it takes one round trip; where the link
breaks it is made again, with pauses that double. Where it cannot be made the parent is told so: it
may name another. Here too stands when we last heard of either, and
so whether the parent is silent while the heir is not. A watch that comes late was asleep itself: it
accuses nobody.
"""

from collections.abc import Container
from typing import Final

from common.addresses import Address, may_tell
from common.config import ParentConfig
from common.core import Dial, Effect, LetGo, Send
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.ids import NodeId
from common.ladder import PEER
from common.messages.cluster import Unreached
from common.messages.fields import Contact
from leaf.parent.candidates import Candidate, Standing

NAMED_PER_S: Final = 0.5  # heirs that are dialled because a parent names them: THREATS T3
NAMED_BURST: Final = 8
NAMED_S: Final = 3600.0  # between two dials of one where nobody answered: THREATS T3
PROVEN_MAX: Final = 1_000
ASSUMED_S: Final = 10.0  # until then the new parent has named one, or has none; wild guess
AGAIN: Final = (
    0.125  # of the silence that counts, until two that are both silent are looked at again
)
LATE: Final = 0.25  # ... and later than this by it we were asleep ourselves

_DIAL: Final = "dial"
_ANSWER: Final = "answer"  # to our dial, which is under way until then
_LOOK: Final = "look"
_ASSUMED: Final = "assumed"


class Heir:
    """Who it is and whether it can be joined at once. `links` are the control links that are up."""

    __slots__ = (
        *("_budget", "_config", "_deadlines", "_heard", "_links", "_me", "_parent", "_pause_s"),
        *("_proven", "_rtt_s", "contact"),
    )

    def __init__(self, me: NodeId, config: ParentConfig, links: Container[NodeId]) -> None:
        self._me = me
        self._config = config
        self._links = links
        self.contact: Contact | None = None
        """Whom the parent has named."""
        self._parent: NodeId | None = None  # while we have one
        self._heard: dict[NodeId, float] = {}  # of the two of them, when we did last
        self._rtt_s: dict[NodeId, float] = {}
        self._budget = DialBudget(
            per_s=NAMED_PER_S, burst=NAMED_BURST, target_s=NAMED_S, again_s=config.redial_s
        )
        self._proven: dict[Address, None] = {}  # where a super-peer answered our dial
        self._pause_s = config.redial_s
        self._deadlines = Deadlines()

    @property
    def warm(self) -> Contact | None:
        """The heir, where it can be joined at once."""
        contact = self.contact
        return contact if contact is not None and contact.node in self._links else None

    def heard_at(self, peer: NodeId) -> float:
        """When we last heard of the parent or the heir."""
        return self._heard.get(peer, float("-inf"))

    def rtt_s(self, peer: NodeId) -> float:
        """The round trip to the parent or the heir; 0 before it was measured."""
        return self._rtt_s.get(peer, 0.0)

    def measured(self, peer: NodeId, rtt_s: float, now: float) -> None:
        """An echo came."""
        self.heard(peer, now)
        if peer in self._heard:
            self._rtt_s[peer] = rtt_s

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    # --- who it is --------------------------------------------------------------------------

    def named(self, contact: Contact | None, teller: Address, now: float) -> list[Effect]:
        """The parent, which is at `teller`, names the heir."""
        if contact is not None and (
            contact.node == self._me or not may_tell(contact.address, teller)
        ):
            contact = None
        self._deadlines.cancel(_ASSUMED)
        if contact == self.contact:
            return []
        effects = self.forget()
        if contact is None:
            return effects
        self.contact, self._pause_s = contact, self._config.redial_s
        if contact.node in self._links:
            self._is_warm(now)
            return effects
        return effects + self._dial(now)

    def assume(self, contact: Contact | None, now: float) -> None:
        """This one is our heir until the parent names one, for a while and as long as it is linked:
        it may have what we share still, and may be about to end."""
        if contact is not None and self.contact is None and contact.node in self._links:
            self.contact = contact
            self._deadlines.set(_ASSUMED, now + ASSUMED_S)
            self._is_warm(now)

    def may_reach(self, contact: Contact, now: float) -> bool:
        """Whether we are linked with one that a parent names, or dial it already, or may dial it
        now, which is noted. Where nobody of our network answered we may not for an hour (THREATS
        T3)."""
        is_dialled = contact == self.contact and self._deadlines.get(_ANSWER) is not None
        if is_dialled or contact.node in self._links or contact.node == self._me:
            return True
        return self._budget.take(contact.address, now, proven=contact.address in self._proven)

    def take(self) -> Candidate | None:
        """The heir is to be our parent: as a candidate."""
        contact = self.contact
        self.forget()
        return None if contact is None else candidate_of(contact)

    def forget(self) -> list[Effect]:
        """It is our heir no longer."""
        contact, self.contact = self.contact, None
        for key in (_DIAL, _ANSWER, _ASSUMED):
            self._deadlines.cancel(key)
        if contact is None:
            return []
        self._unwatch(contact.node)
        return [LetGo(contact.node, Door.CONTROL, "it is our heir no longer")]

    # --- its link ---------------------------------------------------------------------------

    def _dial(self, now: float) -> list[Effect]:
        contact = self.contact
        self._deadlines.cancel(_DIAL)
        if contact is None or contact.node in self._links:
            return []
        if not self.may_reach(contact, now):
            told = [] if self._budget.is_spent(now) else self._unreached(contact.node)
            self._pause_s = min(2 * self._pause_s, self._config.redial_max_s)
            self._deadlines.set(_DIAL, now + self._pause_s)
            return told
        self._deadlines.set(_ANSWER, now + self._config.redial_max_s)
        return [Dial(contact.node, contact.address, Door.CONTROL)]

    def link_up(self, peer: NodeId, address: Address, now: float, *, inbound: bool) -> None:
        """A control link is there."""
        if not inbound:
            self._proven[address] = None
            if len(self._proven) > PROVEN_MAX:
                del self._proven[next(iter(self._proven))]
        if self.contact is not None and self.contact.node == peer:
            self._is_warm(now)

    def _is_warm(self, now: float) -> None:
        """It can be joined at once: from now on the parent's silence counts."""
        if self.contact is None:
            return
        for key in (_DIAL, _ANSWER):
            self._deadlines.cancel(key)
        self._pause_s = self._config.redial_s
        self._heard[self.contact.node] = now
        if self._parent in self._heard and self._deadlines.get(_LOOK) is None:
            self._deadlines.set(_LOOK, now + self._config.silent_s)

    def link_down(self, peer: NodeId, now: float, *, was_up: bool) -> list[Effect]:
        """A control link is gone or could not be made."""
        if self.contact is None or self.contact.node != peer:
            return []
        if self._deadlines.get(_ASSUMED) is not None:
            return self.forget()
        self._pause_s = min(2 * self._pause_s, self._config.redial_max_s)
        self._deadlines.cancel(_ANSWER)
        self._deadlines.set(_DIAL, now + self._pause_s)
        return [] if was_up else self._unreached(peer)

    def _unreached(self, peer: NodeId) -> list[Effect]:
        """The parent may name another one."""
        parent = self._parent
        return [Send(parent, Unreached(peer))] if parent in self._links and parent else []

    # --- who is silent ----------------------------------------------------------------------

    def watch(self, parent: NodeId | None, now: float) -> None:
        """This is our parent from now on; None: we have none."""
        if self._parent is not None:
            self._unwatch(self._parent)
        self._parent = parent
        self._deadlines.cancel(_LOOK)
        if parent is not None and parent != self._me:
            self._heard[parent] = now

    def _unwatch(self, peer: NodeId) -> None:
        self._heard.pop(peer, None)
        self._rtt_s.pop(peer, None)

    def put_off(self, now: float) -> None:
        """The heir was asked, and did not take us: not again at once."""
        if self._deadlines.get(_LOOK) is not None:
            self._deadlines.set(_LOOK, now + self._config.silent_s)

    def heard(self, peer: NodeId, now: float) -> None:
        """Something came from a peer."""
        if peer in self._heard:
            self._heard[peer] = now

    def due(self, now: float) -> tuple[list[Effect], bool]:
        """Dial again; and whether the parent is silent and the heir is not."""
        effects: list[Effect] = []
        silent = False
        looked_at = self._deadlines.get(_LOOK)
        for key in self._deadlines.pop_due(now):
            if key in (_DIAL, _ANSWER):
                effects += self._dial(now)
            elif key == _ASSUMED:
                effects += self.forget()
            else:
                silent = self._look(now, late_s=now - (looked_at or now))
        return effects, silent

    def _look(self, now: float, *, late_s: float) -> bool:
        silent_s = self._config.silent_s
        if late_s > LATE * silent_s:  # it was our own silence
            for peer in self._heard:
                self._heard[peer] = max(self._heard[peer], now - silent_s / 2)
        if self._parent is None or self.warm is None:
            return False
        due_at = self.heard_at(self._parent) + silent_s
        self._deadlines.set(_LOOK, max(due_at, now + AGAIN * silent_s))
        if due_at > now:
            return False
        return now - self.heard_at(self.warm.node) < silent_s


def candidate_of(contact: Contact) -> Candidate:
    """A super-peer that our parent named."""
    return Candidate("", contact.address, contact.node, Standing.READY, source=PEER)
