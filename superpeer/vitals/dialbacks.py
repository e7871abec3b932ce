"""Can others dial this leaf? Asked of others, and seen by ourselves.

The control door is dialled by one that is not its parent: a neighbour, by lot a new one each time;
where there is none that can, another leaf of ours. Who is linked with the leaf already, as its heir
is, cannot tell. Whoever lies can only delay: the bulk door we dial
ourselves, and without that no leaf counts as reachable. What a neighbour asks us to dial is
hearsay, and comes out of the same budget as all such dials (THREATS T3). A link that was made for
this is hung up as soon as it is there.
"""

from collections import Counter
from collections.abc import Hashable
from random import Random
from typing import Final, NamedTuple

from common.addresses import may_tell
from common.config import VitalsConfig
from common.core import Dial, Effect, LetGo, LinkUp, Send
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.ids import Guid, NodeId, new_guid
from common.messages.fields import Contact
from common.messages.hierarchy import Errand, ErrandDone, Examine, Examined
from common.rates import Bucket
from superpeer.vitals.examiner import Examiner

SEEN: Final = "only looking"  # why the link of a dial-back ends
UNABLE_MAX: Final = 4_096  # neighbours that could not tell of a leaf, remembered
FOR_OTHERS_MAX: Final = 64  # dials for neighbours under way; wild guess


class _Asked(NamedTuple):
    leaf: NodeId
    by: NodeId


class _ForOthers(NamedTuple):
    asker: NodeId
    guid: Guid


class Dialbacks:
    """Dials of our leaves by others, and of others' leaves by us."""

    def __init__(
        self, examiner: Examiner, config: VitalsConfig, rng: Random, *, budget: DialBudget
    ) -> None:
        self._me, self._links, self._leaves = examiner.me, examiner.links, examiner.leaves
        self._askable, self._book = examiner.askable, examiner.book
        self._changed = examiner.changed
        self._config, self._rng, self._budget = config, rng, budget
        self._per_s = max(config.dialbacks_per_s, 1e-9)
        self._pace = Bucket(self._per_s, 8, 0.0)
        self._asked: dict[Guid, _Asked] = {}
        self._bulk: dict[NodeId, None] = {}  # bulk doors that we dial ourselves now
        self._unable: dict[tuple[NodeId, NodeId], float] = {}  # leaf, who cannot tell; how long
        self._bulk_links: dict[NodeId, bool] = {}  # that are up, and whether the other end dialled
        self._for_others: dict[NodeId, _ForOthers] = {}  # whom we dial for a neighbour
        self._deadlines = Deadlines()
        self.dropped: Counter[str] = Counter()

    # --- our leaves -------------------------------------------------------------------------

    def arrived(self, leaf: NodeId, now: float) -> None:
        """A leaf is here: it is looked at soon, and again and again."""
        first_s = self._config.dialback_first_s
        if first_s > 0 and leaf != self._me and self._deadlines.get(("look", leaf)) is None:
            self._deadlines.set(("look", leaf), now + first_s * self._rng.uniform(0.5, 1.5))

    def departed(self, leaf: NodeId) -> None:
        """It is gone."""
        self._deadlines.cancel(("look", leaf))

    def _look(self, leaf: NodeId, now: float) -> list[Effect]:
        link = self._links.get(leaf)
        if link is None or leaf not in self._leaves:
            return []
        if not self._pace.take(now):
            spread_s = max(1.0, len(self._deadlines) / self._per_s)
            wait_s = self._pace.wait_s + spread_s * self._rng.random()  # all get there in that time
            self._deadlines.set(("look", leaf), now + wait_s)
            return []
        config, effects = self._config, list[Effect]()
        is_open = self._book(leaf).reachable(config, now) is None
        pause_s = config.dialback_again_s if is_open else config.dialback_s
        self._deadlines.set(("look", leaf), now + pause_s * self._rng.uniform(0.8, 1.2))
        if self._may_dial_bulk(leaf, link, now):
            self._bulk[leaf] = None
            self._deadlines.set(("bulk", leaf), now + config.dialback_answer_s)
            effects.append(Dial(leaf, link.address.at(link.bulk_port), Door.BULK))
        return effects + self._ask_another(Contact(leaf, link.address), now)

    def _may_dial_bulk(self, leaf: NodeId, link: LinkUp, now: float) -> bool:
        """Its port is what the leaf says, so this too is seldom, and of the same budget. Where
        there is a link no other is made: who dialled that one tells, or nothing does."""
        if not link.bulk_port or leaf in self._bulk:
            return False
        known = self._book(leaf).bulk_reached
        if known is not None and now < known.at + self._config.kept_s:
            return False
        if leaf in self._bulk_links:
            if not self._bulk_links[leaf]:
                self._bulk_known(leaf, now, reached=True)
            return False
        return self._budget.take(link.address.at(link.bulk_port), now)

    def _ask_another(self, contact: Contact, now: float) -> list[Effect]:
        """One that has not looked at it lately, by lot. A neighbour to which the leaf holds a link
        cannot tell, as its heir: where all are such, a leaf of ours is asked. What it says cannot
        make a leaf reachable whose bulk door we do not reach ourselves."""
        unable, node = self._unable, contact.node
        near = [peer for peer in self._askable() if peer != node]
        neighbours = [peer for peer in near if unable.get((node, peer), now) <= now]
        others = [leaf for leaf in self._leaves if leaf not in (contact.node, self._me)]
        able = neighbours or others
        if not able:
            return []
        before = self._book(contact.node).dialled
        fresh = [peer for peer in able if peer not in before]
        by = self._rng.choice(fresh or able)
        guid = new_guid(self._rng)
        self._asked[guid] = _Asked(contact.node, by)
        self._deadlines.set(("asked", guid), now + self._config.dialback_answer_s)
        ask = Examine(guid, contact) if by in neighbours else Errand(guid, contact)
        return [Send(by, ask)]

    def on_examined(self, peer: NodeId, message: Examined | ErrandDone, now: float) -> bool:
        """Whether it answers a dial-back of ours; then it is entered."""
        asked = self._asked.get(message.guid)
        if asked is None or asked.by != peer:
            return False
        del self._asked[message.guid]
        self._deadlines.cancel(("asked", message.guid))
        if message.reached is not None:
            self._book(asked.leaf).enter_dial(peer, message.reached, now)
            self._settled(asked.leaf, now)
        else:
            self._unable.pop((asked.leaf, peer), None)
            self._unable[asked.leaf, peer] = now + self._config.dialback_s
            if len(self._unable) > UNABLE_MAX:
                del self._unable[next(iter(self._unable))]
            self._deadlines.set(("look", asked.leaf), now + self._pace.wait_s)
        return True

    def _settled(self, leaf: NodeId, now: float) -> None:
        """The next look comes late enough, now that the verdict may be known."""
        self._changed(leaf, now)
        due = self._deadlines.get(("look", leaf))
        if due is not None and self._book(leaf).reachable(self._config, now) is not None:
            pause_s = self._config.dialback_s * self._rng.uniform(0.8, 1.2)
            self._deadlines.set(("look", leaf), max(due, now + pause_s))

    # --- leaves of others -------------------------------------------------------------------

    def on_examine(self, peer: NodeId, message: Examine, now: float) -> list[Effect]:
        """A neighbour wants to know whether a leaf of its can be dialled."""
        node, address = message.contact.node, message.contact.address
        link = self._links.get(node)
        if link is not None:
            return [self._answer(_ForOthers(peer, message.guid), None if link.inbound else True)]
        may = may_tell(address, self._links[peer].address) and node != self._me
        if not may or node in self._for_others or len(self._for_others) >= FOR_OTHERS_MAX:
            return [self._answer(_ForOthers(peer, message.guid), None)]
        if not self._budget.take(address, now):
            self.dropped["dialback_over_budget"] += 1
            return [self._answer(_ForOthers(peer, message.guid), None)]
        self._for_others[node] = _ForOthers(peer, message.guid)
        self._deadlines.set(("other", node), now + self._config.dialback_answer_s)
        return [Dial(node, address, Door.CONTROL)]

    def _answer(self, asked: _ForOthers, reached: bool | None) -> Effect:
        return Send(asked.asker, Examined(asked.guid, self._me, reached))

    # --- links and time ---------------------------------------------------------------------

    def linked(self, event: LinkUp, now: float) -> list[Effect] | None:
        """A link that is up for a dial-back; None if this one is not."""
        peer = event.peer
        if event.door is Door.BULK:
            self._bulk_links[peer] = event.inbound
            if not event.inbound:
                return self._bulk_seen(peer, now, reached=True)
            self._no_longer_dials(peer)  # whose end would tell nothing of its door
            return None
        if peer not in self._for_others:
            return None
        if event.inbound:  # its link crossed our dial: nothing is known, and we say so
            self._deadlines.set(("other", peer), now)
            return None
        asked = self._for_others.pop(peer)
        self._deadlines.cancel(("other", peer))
        return [self._answer(asked, True), LetGo(peer, Door.CONTROL, SEEN)]

    def lost(self, peer: NodeId, door: Door, now: float) -> list[Effect]:
        """A link is gone, or could not be made."""
        if door is Door.BULK:
            self._bulk_links.pop(peer, None)
            return self._bulk_seen(peer, now, reached=False) or []
        asked = self._for_others.pop(peer, None)
        if asked is None:
            return []
        self._deadlines.cancel(("other", peer))
        return [self._answer(asked, False)]

    def _bulk_seen(self, peer: NodeId, now: float, *, reached: bool) -> list[Effect] | None:
        if peer not in self._bulk:
            return None
        self._no_longer_dials(peer)
        self._bulk_known(peer, now, reached=reached)
        return [LetGo(peer, Door.BULK, SEEN)] if reached else []

    def _no_longer_dials(self, peer: NodeId) -> None:
        self._bulk.pop(peer, None)
        self._deadlines.cancel(("bulk", peer))

    def _bulk_known(self, leaf: NodeId, now: float, *, reached: bool) -> None:
        self._book(leaf).enter_bulk(reached, now)
        self._settled(leaf, now)

    def due(self, now: float) -> list[Effect]:
        """Look at leaves, and give up waiting."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._on_due(key, now)
        return effects

    def _on_due(self, key: Hashable, now: float) -> list[Effect]:
        what, who = key if isinstance(key, tuple) else ("", b"")
        if what == "look":
            return self._look(who, now)
        if what == "asked":
            self._asked.pop(who, None)
        elif what == "bulk":
            self._bulk.pop(who, None)  # no answer at all: nothing is known
        elif what == "other" and who in self._for_others:
            return [self._answer(self._for_others.pop(who), None)]
        return []

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()
