"""Our leaves: joining, what they share, and how long it lives.

Each entry that can be found belongs to a leaf that is linked to us, or was less than a lease ago;
it is signed, and its source is where we saw the leaf, never where it says it is. A leaf that comes
back in time and in the same life finds its entries held and sends nothing again. An address that a
leaf advertises is used only where its host is the one we observed: nobody dials back yet.

Entries become searchable in slices, so that a large library never keeps the others waiting; once
the neighbours know of them too their generation is acknowledged. Hits are found and proven one by
one, as they are taken. When we are full, who shares something gets the place of who has shared
nothing for long. A leaf here may be this node itself.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from random import Random
from typing import Final

from common.config import ClusterConfig
from common.content.catalogue import Entry
from common.core import Effect, LetGo, LinkUp, Send
from common.deadlines import Deadlines, soonest
from common.digest import CountedPlaces
from common.doors import Door
from common.ids import NodeId, node_text
from common.messages.cluster import Busy, Join, Leave, Publish, Published, Welcome
from common.messages.fields import Contact
from common.messages.overlay import Held
from superpeer.cluster.findable import Findable
from superpeer.cluster.leaf import Leaf
from superpeer.heirs.dormant import Dormant
from superpeer.heirs.heirs import Heirs
from superpeer.index.holding import Holding, PublishError
from superpeer.index.index import Index
from superpeer.index.share import Share, index_some, source_of
from superpeer.methods import LeafRow
from superpeer.search.credit import Credit
from superpeer.search.wishes import Wishes

SWEEP_SLICE: Final = 10_000  # keys of removed entries swept in one turn: 5 to 10 ms
CHECK_KEYS: Final = 20  # that a look at a wish counts for, by the time it takes
MOVED_S: Final = 1.0  # for queries that are under way; a ring among hosts afar; wild guess
SWEEP_S: Final = 0.05  # between two of them; wild guess

_SWEEP: Final = ("sweep", b"")


class Cluster:
    """The leaves by key, and the index of what they share. `links` is read as it is at the moment;
    `alternatives` names super-peers to go to instead, `refer` those to whom one leaf is sent, with
    room first; `digest` is kept for the others to hear of, and `spread_s` is how long that may
    take."""

    def __init__(
        self,
        network: str,
        *,
        config: ClusterConfig,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        alternatives: Callable[[], tuple[Contact, ...]],
        refer: Callable[[], tuple[Contact, ...]],
        digest: CountedPlaces,
        spread_s: Callable[[], float],
        wishes: Wishes,
        credit: Credit,
        neighbours: Mapping[NodeId, object],
    ) -> None:
        self._network = network
        self._spread_s = spread_s
        self._wishes = wishes
        self._credit = credit
        self._config = config
        self._rng = rng
        self._links = links
        self._alternatives = alternatives
        self._refer = refer
        self._deadlines = Deadlines()
        self._index = Index(rng.getrandbits(64), digest)
        self._findable = Findable(self._index, rng, self._share_of)
        self.evaluate = self._findable.evaluate
        """What our leaves, and those that we inherit, have for a query."""
        self._leaves: dict[NodeId, Leaf] = {}
        self._heirs = self.heirs = Heirs(config, links=links, contacts=alternatives)
        self._dormant = self.dormant = Dormant(
            network,
            config,
            self._index,
            links=links,
            neighbours=neighbours,
            on_changed=self._findable.forget,
            on_dropped=self._sweep_later,
        )
        self.uploads = 0
        """How many whole catalogues leaves have sent us."""
        self.members: dict[NodeId, Contact] = {}  # the leaves whose link is up
        self._admitting = True
        self.moved = 0
        """How many leaves have left us for another parent."""
        self.dropped: Counter[str] = Counter()

    def stop(self, now: float) -> list[Effect]:
        """Take no new leaves any more and be nobody's heir; who is here may say so again."""
        self._admitting = False
        return self._dormant.close("it leaves", now)

    @property
    def files(self) -> int:
        """How many entries can be found."""
        return self._index.files

    @property
    def hidden(self) -> int:
        """How many entries we keep as heirs and show nobody."""
        return self._index.hidden

    # --- messages ---------------------------------------------------------------------------

    def on_join(self, peer: NodeId, join: Join, now: float) -> list[Effect]:
        """Take the leaf in, or name others; the same life keeps what is held of it."""
        leaf = self._leaves.get(peer)
        link = self._links[peer]
        effects: list[Effect] = []
        if leaf is None and len(self._leaves) >= self._config.leaves_max:
            effects = self._make_room(now) if join.entries and link.bulk_port else []
        full = leaf is None and len(self._leaves) >= self._config.leaves_max
        if full or (leaf is None and not self._admitting):
            return [*effects, self._busy(peer)]
        leaf = self._take_in(peer, leaf, join, now)
        self._findable.forget(peer)
        leaf.holding.unstage()
        leaf.unacknowledged.clear()
        self.members[peer] = leaf.source
        self._deadlines.cancel(("lease", peer))
        welcome = Welcome(
            generation=leaf.holding.generation,
            lease_s=self._config.lease_s,
            entries_max=leaf.holding.entries_max,
            alternatives=self._alternatives(),
            credit=self._credit.value,
            joins=join.joins,
        )
        before, returns, leaf.has_left = leaf.came_from, leaf.has_left, False
        effects += [Send(peer, welcome), *self.tell_moved(peer)]
        return effects + self._heirs.joined(peer, leaf, now, before=before, returns=returns)

    def _take_in(self, peer: NodeId, leaf: Leaf | None, join: Join, now: float) -> Leaf:
        """What we keep of a leaf from now on: of the same life what we had, or had as its heir."""
        link = self._links[peer]
        source = source_of(link, join)
        if leaf is None or leaf.epoch != join.epoch:
            here_since = now if leaf is None else leaf.here_since
            self.drop(peer, now)
            entries_max = self._config.entries_max if link.bulk_port else 0  # who could fetch them?
            inherited = self._dormant.adopt(peer, join.epoch if entries_max else -1, now)
            if inherited is None:
                holding = Holding(self._network, peer, entries_max)
                leaf = Leaf(Share(join.epoch, join.joins, source, holding), here_since)
            else:
                leaf = Leaf(inherited[1], here_since)
                leaf.came_from = inherited[0]
            self._leaves[peer] = leaf
            if leaf.unindexed:
                self._deadlines.set(("index", peer), now)
        leaf.source, leaf.joins, leaf.joined_at = source, join.joins, now
        return leaf

    def tell_moved(self, peer: NodeId) -> list[Effect]:
        """The parent before us of this leaf, if we are linked to it, is to let go of it."""
        leaf = self._leaves[peer]
        if leaf.came_from is None or leaf.came_from not in self._links:
            return []
        parent, leaf.came_from = leaf.came_from, None
        return [Send(parent, self.our_word(peer))]

    def our_word(self, peer: NodeId) -> Held:
        """Our word that a leaf belongs here, and by which of its joins."""
        return Held(peer, 0, self._leaves[peer].joins, "it is a leaf of ours")

    def on_publish(self, peer: NodeId, message: Publish, now: float) -> list[Effect]:
        """Stage changes; a generation is answered when all of it can be found, or refused."""
        leaf = self._leaves.get(peer)
        if leaf is None or peer not in self.members:
            self.dropped["publish_of_stranger"] += 1
            return []
        self._findable.forget(peer)
        try:
            changes = leaf.holding.publish(message)
        except PublishError as refusal:
            return self._refuse(peer, str(refusal), now)
        if changes is None:
            return []
        leaf.unindexed |= changes
        leaf.unacknowledged.append(message.generation)
        self.uploads += leaf.holding.was_afresh
        return self._index_some(peer, now) + self._heirs.changed(peer, changes, now)

    def on_leave(self, peer: NodeId, message: Leave, now: float) -> list[Effect]:
        """A leaf has another parent."""
        leaf = self._leaves.get(peer)
        if leaf is None or peer not in self.members or message.joins <= leaf.joins:
            return []
        self.members.pop(peer)
        return self.moved_away(peer, now)

    def moved_away(self, peer: NodeId, now: float) -> list[Effect]:
        """A leaf has another parent. What it shares is found here for a moment more: queries are
        under way that have passed its new parent before it came there."""
        self.moved += 1
        self._leaves[peer].has_left = True
        until = self._deadlines.get(("lease", peer)) or float("inf")
        self._deadlines.set(("lease", peer), min(until, now + MOVED_S))
        return self._heirs.left(peer)

    # --- links and time ---------------------------------------------------------------------

    def leaf_lost(self, peer: NodeId, now: float, *, on_purpose: bool) -> list[Effect]:
        """The link is gone: what the leaf shares lives on for a lease, unless it said goodbye."""
        if peer not in self.members:
            return []
        del self.members[peer]
        if on_purpose:
            return self.drop(peer, now)
        self._deadlines.set(("lease", peer), now + self._config.lease_s)
        return []

    def rtt_s(self, peer: NodeId) -> float | None:
        """The round trip to a leaf, where it is known."""
        leaf = self._leaves.get(peer)
        return None if leaf is None else leaf.rtt_s

    def measured(self, peer: NodeId, rtt_s: float) -> None:
        """The round trip to a leaf."""
        leaf = self._leaves.get(peer)
        if leaf is not None:
            leaf.rtt_s = rtt_s

    def due(self, now: float) -> list[Effect]:
        """End leases, and go on indexing and sweeping."""
        effects = [*self._heirs.due(now), *self._dormant.due(now)]
        for key in self._deadlines.pop_due(now):
            effects += self._on_due(key, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        times = (self._deadlines.earliest(), self._heirs.wakeup(), self._dormant.wakeup())
        return soonest(times)

    # --- questions --------------------------------------------------------------------------

    def rows(self, now: float) -> list[LeafRow]:
        """Our leaves, for people."""
        return [
            LeafRow(
                node=node_text(peer),
                address=str(leaf.source.address),
                rtt_s=leaf.rtt_s,
                up_rate=None,
                uptime_s=now - leaf.joined_at,
                files=len(leaf.holding),
                heir=node_text(heir.node) if (heir := self._heirs.heir_of(peer)) else None,
            )
            for peer, leaf in self._leaves.items()
            if peer in self.members
        ]

    # --- the steps they share ---------------------------------------------------------------

    def _on_due(self, key: Hashable, now: float) -> list[Effect]:
        if not isinstance(key, tuple):
            return []
        what, peer = key
        if key == _SWEEP:
            if self._index.sweep(SWEEP_SLICE):
                self._sweep_later(now)
        elif peer not in self._leaves:
            return []  # its lease was due before this
        elif what == "index":
            return self._index_some(peer, now)
        elif what == "acknowledge":
            return self._acknowledge(peer)
        else:
            return self.drop(peer, now)
        return []

    def _index_some(self, peer: NodeId, now: float) -> list[Effect]:
        """Make a slice of what is signed findable; acknowledge when all of it is."""
        leaf = self._leaves[peer]
        effects: list[Effect] = []

        def look(slot: int, entry: Entry) -> int:
            told, checks = self._wished(leaf, slot, entry, now)
            effects.extend(told)
            return checks * CHECK_KEYS

        why = index_some(self._index, peer, leaf, self._config, look)
        if why:
            return effects + self._refuse(peer, why, now)
        self._sweep_later(now)
        if leaf.unindexed:
            self._deadlines.set(("index", peer), now)
            return effects
        spread_s = self._spread_s()
        if not spread_s:
            return effects + self._acknowledge(peer)
        self._deadlines.set(("acknowledge", peer), now + spread_s)
        return effects

    def _wished(self, leaf: Leaf, slot: int, entry: Entry, now: float) -> tuple[list[Effect], int]:
        """Tell who wishes for an entry that is findable now, and how many wishes were looked at."""
        wishes, checks = self._wishes.wanting(entry)
        hit = leaf.holding.hit(slot, entry, leaf.source) if wishes else None
        return ([] if hit is None else self._wishes.found(wishes, hit, now)), checks

    def _acknowledge(self, peer: NodeId) -> list[Effect]:
        """All that was published can be found, from everywhere."""
        leaf = self._leaves[peer]
        if leaf.unindexed:
            return []  # more has come since
        generations, leaf.unacknowledged = leaf.unacknowledged, []
        return [Send(peer, Published(generation)) for generation in generations]

    def _refuse(self, peer: NodeId, why: str, now: float) -> list[Effect]:
        """Hold nothing of a leaf any more, and tell it why."""
        leaf = self._leaves[peer]
        self._findable.forget(peer)
        released = self._heirs.emptied(peer, now)
        leaf.holding.forget()
        leaf.unindexed.clear()
        leaf.unacknowledged.clear()
        self._index.drop_leaf(peer)
        self._sweep_later(now)
        return [*released, Send(peer, Published(0, refused=why))]

    def _busy(self, peer: NodeId) -> Effect:
        return Send(peer, Busy(self._config.busy_retry_s, self._refer()))

    def _make_room(self, now: float) -> list[Effect]:
        """Send the leaf away that has shared nothing for longest, if that is long enough."""
        idle = {
            peer: leaf.here_since
            for peer, leaf in self._leaves.items()
            if not leaf.holding and now - leaf.here_since >= self._config.idle_leaf_s
        }
        if not idle:
            return []
        peer = min(idle, key=lambda one: idle[one])
        self.members.pop(peer, None)
        effects = self.drop(peer, now)
        gone = LetGo(peer, Door.CONTROL, "it gives way to one that shares", refuses=True)
        return [*effects, self._busy(peer), gone]

    def drop(self, peer: NodeId, now: float) -> list[Effect]:
        """Forget a leaf and all that it shares."""
        if peer not in self._leaves:
            return []
        effects = self._let_go(peer)
        self._index.drop_leaf(peer)
        self._sweep_later(now)
        return effects

    def put_to_sleep(self, peer: NodeId, parent: NodeId, now: float) -> list[Effect]:
        """A leaf that has left us, or that we lost, has another parent, whose heir we are."""
        leaf, effects = self._leaves[peer], self._let_go(peer)
        self._dormant.keep(peer, leaf, parent, now, shown_s=MOVED_S)
        return effects

    def get(self, peer: NodeId) -> Leaf | None:
        """What we keep of a leaf of ours."""
        return self._leaves.get(peer)

    @property
    def places_free(self) -> int:
        """How many leaves more are taken that share nothing."""
        return max(self._config.leaves_max - len(self._leaves), 0)

    def _let_go(self, peer: NodeId) -> list[Effect]:
        """A leaf is ours no longer."""
        del self._leaves[peer]
        self._findable.forget(peer)
        for what in ("lease", "index", "acknowledge"):
            self._deadlines.cancel((what, peer))
        return self._heirs.left(peer)

    def _share_of(self, leaf: NodeId) -> Share | None:
        """What may be shown of a leaf."""
        return self._leaves.get(leaf) or self._dormant.share_of(leaf)

    def _sweep_later(self, now: float) -> None:
        if self._index.dead and self._deadlines.get(_SWEEP) is None:
            self._deadlines.set(_SWEEP, now + SWEEP_S)
