"""The heirs of our leaves: who keeps a copy of what each shares, and how the copies stay true.

    ASKED --Held--> COPYING --all of it is held--> TRUE --the leaf publishes--> COPYING
      '---- refused, silent, gone: another neighbour is asked, or nobody for a while ----'

An heir is a neighbour of ours, on another host where there is one, and of those the parent that a
leaf had before us, which has all of it, or the one that keeps fewest for us. It is asked first,
says which generation it has, and gets what is missing; the last message of it carries the leaf's
own signature. The leaf is told once the heir has agreed. Backpressure is credit: one message is
under way to each heir, whatever its leaves are, so copies never fill the queue of a link that
queries share. A copy that is not true yet is of use too: a leaf that joins its heir sends only the
difference.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from common.config import ClusterConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.ids import NodeId
from common.messages.cluster import Heir, Unreached
from common.messages.fields import Contact
from common.messages.overlay import Held, Release
from superpeer.heirs.copied import Copied
from superpeer.index.share import Share

RETURNED_S: Final = 60.0  # between two whole copies of who comes and goes at will; wild guess
GATHER_S: Final = 0.25  # until heirs are named: first who lost a parent is served; wild guess

_LOOK: Final = "look"
_AGAIN: Final = "again"


class _Line:
    """What goes to one heir: leaves in turn, one message at a time."""

    __slots__ = ("awaits", "turns")

    def __init__(self) -> None:
        self.turns: deque[NodeId] = deque()
        self.awaits: NodeId | None = None  # of whose message the answer is still to come


class Heirs:
    """The heirs by leaf. `contacts` are the neighbours that may be heirs, `links` those to all."""

    def __init__(
        self,
        config: ClusterConfig,
        *,
        links: Mapping[NodeId, LinkUp],
        contacts: Callable[[], tuple[Contact, ...]],
    ) -> None:
        self._config = config
        self._links = links
        self._contacts = contacts
        self._leaves: dict[NodeId, Copied] = {}
        self._lines: dict[NodeId, _Line] = {}
        self._counts: Counter[NodeId] = Counter()  # of leaves by heir
        self._deadlines = Deadlines()

    def __len__(self) -> int:
        """How many leaves have an heir that has all that they share."""
        return sum(leaf.is_true for leaf in self._leaves.values())

    # --- questions --------------------------------------------------------------------------

    def heir_of(self, leaf: NodeId) -> Contact | None:
        """The heir that a leaf was told of."""
        known = self._leaves.get(leaf)
        return None if known is None else known.told

    def is_ready(self, leaf: NodeId) -> bool:
        """Whether a leaf can move to its heir without sending anything again."""
        known = self._leaves.get(leaf)
        return known is not None and known.is_true and known.told == known.heir

    def is_sought(self, leaf: NodeId) -> bool:
        """Whether somebody is asked to be its heir, or will be in a moment."""
        known = self._leaves.get(leaf)
        return known is not None and (
            known.heir is not None or self._deadlines.get(_LOOK) is not None
        )

    def is_asked(self, leaf: NodeId, heir: Contact) -> bool:
        """Whether this neighbour is the heir of a leaf, or asked to be."""
        known = self._leaves.get(leaf)
        return known is not None and known.heir is not None and known.heir.node == heir.node

    # --- our leaves -------------------------------------------------------------------------

    def joined(
        self,
        leaf: NodeId,
        share: Share,
        now: float,
        *,
        before: NodeId | None = None,
        returns: bool = False,
    ) -> list[Effect]:
        """A leaf is ours, or once more; this is what it shares, and who was its parent `before`.
        Who comes from one that stays has an heir at once; who left us and `returns` has none for
        long: its whole catalogue would be copied for a message of 150 bytes."""
        known = self._leaves.get(leaf)
        if known is None or known.share is not share:
            effects = self.left(leaf)
            rests_until = now + RETURNED_S if returns else now
            known = self._leaves[leaf] = Copied(share, before, rests_until)
            if not returns and any(contact.node == before for contact in self._contacts()):
                return effects + self._name(leaf, known, now)
            self.peers_changed(now)
            return effects
        known.told = None  # it has come back and may have forgotten
        effects = self._drop_kept(leaf, known)
        if known.heir is None:
            self.peers_changed(now)
            return effects
        known.held = None  # the heir is to know by which join it is ours, and where it is
        return effects + self._queue(leaf, known, now)

    def changed(self, leaf: NodeId, slots: Mapping[int, object], now: float) -> list[Effect]:
        """These slots of a leaf may hold something else now."""
        known = self._leaves.get(leaf)
        if known is None or known.heir is None or known.held is None:
            return []  # who says what it has gets what is missing
        known.slots.update(dict.fromkeys(slots))
        if known.afresh:
            known.slots.update(dict.fromkeys(known.share.holding.slots()))
        return self._queue(leaf, known, now)

    def prefer(self, leaf: NodeId, heir: Contact, now: float) -> list[Effect]:
        """A leaf is to move to this neighbour: let it be the heir, and have all of it before. Until
        then the one before stays, for we may go meanwhile."""
        known = self._leaves.get(leaf)
        if known is None or self.is_asked(leaf, heir) or heir not in self._contacts():
            return []
        if known.heir is not None and known.is_true:
            effects = self._drop_kept(leaf, known)
            self._counts[known.heir.node] -= 1
            known.kept = known.heir
        else:
            effects = self._release(leaf, known)
        if known.kept is not None and known.kept.node == heir.node:
            known.kept = None
        return effects + self._take(leaf, known, heir, now)

    def emptied(self, leaf: NodeId, now: float) -> list[Effect]:
        """We hold nothing of a leaf any more, so its heir is not to show any of it either; what it
        publishes next is all that it shares."""
        known = self._leaves.get(leaf)
        if known is None:
            return []
        self.peers_changed(now)
        return self._drop_kept(leaf, known) + self._release(leaf, known)

    def left(self, leaf: NodeId) -> list[Effect]:
        """A leaf is ours no longer."""
        known = self._leaves.pop(leaf, None)
        if known is None:
            return []
        return self._drop_kept(leaf, known) + self._release(leaf, known)

    # --- heirs ------------------------------------------------------------------------------

    def on_held(self, peer: NodeId, message: Held, now: float) -> list[Effect]:
        """An heir has taken what we told it, or is none."""
        line = self._lines.get(peer)
        if line is not None and line.awaits == message.leaf:
            self._answered(peer, line)
        leaf, known = message.leaf, self._leaves.get(message.leaf)
        effects: list[Effect] = []
        if known is not None and known.heir is not None and known.heir.node == peer:
            if message.refused:
                effects = self._refused(leaf, known, now)
            else:
                effects = self._agreed(leaf, known, message.generation, now)
        return effects + self._send_next(peer, now)

    def on_unreached(self, leaf: NodeId, message: Unreached, now: float) -> list[Effect]:
        """A leaf has no way to its heir: another one is better, where there is one. Once for each,
        so nobody makes us copy over and over."""
        known = self._leaves.get(leaf)
        if known is None or known.told is None or known.told.node != message.node or known.kept:
            return []
        known.unreached[message.node] = None
        others = (each.node for each in self._candidates(leaf, known))
        if all(each in known.unreached for each in others):
            return []
        return self._release(leaf, known) + self._name(leaf, known, now)

    def on_moving(self, peer: NodeId, leaf: NodeId, now: float) -> list[Effect]:
        """A leaf has joined its heir, and has not left us yet: it needs no other one, unless it
        stays."""
        known = self._leaves.get(leaf)
        if known is not None and known.heir is not None and known.heir.node == peer:
            self._counts[peer] -= 1
            known.unname()
            self._again_later(now)
        line = self._lines.get(peer)
        if line is not None and line.awaits == leaf:
            self._answered(peer, line)
        return self._send_next(peer, now)

    def peers_changed(self, now: float) -> None:
        """Neighbours came, or go: heirs are named in a moment, where there are none."""
        if self._deadlines.get(_LOOK) is None:
            self._deadlines.set(_LOOK, now + GATHER_S)

    def peer_lost(self, peer: NodeId, now: float) -> None:
        """The link to a peer is gone: its copies are somebody else's."""
        self._lines.pop(peer, None)
        self._deadlines.cancel(peer)
        if peer not in self._counts:
            return  # it was nobody's heir: one of our leaves, mostly
        for known in self._leaves.values():
            known.refused.pop(peer, None)
            known.unreached.pop(peer, None)
            if known.kept is not None and known.kept.node == peer:
                known.kept = None
            if known.heir is not None and known.heir.node == peer:
                known.unname()
                self.peers_changed(now)
        self._counts.pop(peer, None)

    def due(self, now: float) -> list[Effect]:
        """Name heirs where there were none, and give up those that do not answer."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if key in (_LOOK, _AGAIN):
                effects += self._look(now, again=key == _AGAIN)
            elif isinstance(key, bytes) and (line := self._lines.get(key)) is not None:
                awaited, line.awaits = line.awaits, None
                known = self._leaves.get(awaited or b"")
                if awaited and known is not None and known.heir and known.heir.node == key:
                    known.refused[key] = None
                    effects += self._release(awaited, known) + self._name(awaited, known, now)
                effects += self._send_next(key, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- the steps they share ---------------------------------------------------------------

    def _look(self, now: float, *, again: bool) -> list[Effect]:
        """Name heirs for those that have none, or one that takes nothing new."""
        staying = {contact.node for contact in self._contacts()}
        effects: list[Effect] = []
        for leaf, known in self._leaves.items():
            if again:
                known.refused.clear()
            if known.heir is None:
                effects += self._name(leaf, known, now)
            elif known.heir.node not in staying:
                effects += self._release(leaf, known) + self._name(leaf, known, now)
        return effects

    def _name(self, leaf: NodeId, known: Copied, now: float) -> list[Effect]:
        """Ask the neighbour that is best for it; tell the leaf where there is none."""
        if now < known.rests_until:
            self._again_later(now)
            return []
        contacts = self._candidates(leaf, known)
        if not contacts:
            if known.refused:
                self._again_later(now)
            return self._tell(leaf, known, None)
        if (kept := known.kept) in contacts and kept is not None:  # which has most of it
            known.kept = None
            return self._take(leaf, known, kept, now)
        return self._take(leaf, known, min(contacts, key=partial(self._rank, known)), now)

    def _candidates(self, leaf: NodeId, known: Copied) -> list[Contact]:
        """Who may be its heir."""
        contacts = self._contacts()
        return [one for one in contacts if one.node != leaf and one.node not in known.refused]

    def _take(self, leaf: NodeId, known: Copied, heir: Contact, now: float) -> list[Effect]:
        known.unname()
        known.heir = heir
        self._counts[heir.node] += 1
        return self._queue(leaf, known, now)

    def _again_later(self, now: float) -> None:
        """Ask once more those that would not."""
        if self._deadlines.get(_AGAIN) is None:
            self._deadlines.set(_AGAIN, now + self._config.heir_again_s)

    def _rank(self, known: Copied, contact: Contact) -> tuple[bool, bool, bool, int]:
        """Whom it can reach first, then another host than ours, then who was its parent, then who
        keeps fewest for us."""
        link = self._links.get(contact.node)
        is_beside_us = link is not None and link.observed.ip == contact.address.ip
        is_new_to_it = contact.node != known.before
        is_unreached = contact.node in known.unreached
        return is_unreached, is_beside_us, is_new_to_it, self._counts[contact.node]

    def _agreed(self, leaf: NodeId, known: Copied, generation: int, now: float) -> list[Effect]:
        is_first, known.held = known.held is None, generation
        holding = known.share.holding
        if generation == holding.generation:
            known.afresh = False
        elif is_first and holding.generation:
            known.afresh = True
            known.slots = dict.fromkeys(holding.slots())
        is_true = known.is_true
        effects = self._tell(leaf, known, known.heir) if is_true or not known.kept else []
        return effects + (
            self._drop_kept(leaf, known) if is_true else self._queue(leaf, known, now)
        )

    def _refused(self, leaf: NodeId, known: Copied, now: float) -> list[Effect]:
        """Another one, then."""
        if known.heir is not None:
            known.refused[known.heir.node] = None
            self._counts[known.heir.node] -= 1
        known.unname()
        return self._name(leaf, known, now)

    def _release(self, leaf: NodeId, known: Copied) -> list[Effect]:
        """The heir is to keep nothing of it any more."""
        heir = known.heir
        if heir is None:
            return []
        self._counts[heir.node] -= 1
        known.unname()
        return [Send(heir.node, Release(leaf))] if heir.node in self._links else []

    def _drop_kept(self, leaf: NodeId, known: Copied) -> list[Effect]:
        """Nor is the one before."""
        kept, known.kept = known.kept, None
        return [Send(kept.node, Release(leaf))] if kept and kept.node in self._links else []

    def _tell(self, leaf: NodeId, known: Copied, heir: Contact | None) -> list[Effect]:
        """The leaf is to know who its heir is, if that is news to it."""
        if known.told == heir or leaf not in self._links:
            return []
        known.told = heir
        return [Send(leaf, Heir(heir))]

    # --- one message at a time --------------------------------------------------------------

    def _queue(self, leaf: NodeId, known: Copied, now: float) -> list[Effect]:
        """There is something to say to the heir of a leaf."""
        if known.heir is None:
            return []
        line = self._lines.setdefault(known.heir.node, _Line())
        if leaf not in line.turns:
            line.turns.append(leaf)
        return self._send_next(known.heir.node, now)

    def _send_next(self, heir: NodeId, now: float) -> list[Effect]:
        line = self._lines.get(heir)
        if line is None or heir not in self._links:
            return []
        while line.awaits is None and line.turns:
            leaf = line.turns.popleft()
            known = self._leaves.get(leaf)
            if known is None or known.heir is None or known.heir.node != heir or known.is_true:
                continue
            message = known.next_message(leaf)
            if message is not None:
                line.awaits = leaf
                self._deadlines.set(heir, now + self._config.held_s)
                return [Send(heir, message)]
        return []

    def _answered(self, heir: NodeId, line: _Line) -> None:
        line.awaits = None
        self._deadlines.cancel(heir)
