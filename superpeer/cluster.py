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
from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import islice
from random import Random
from typing import Final

from common.catalogue import Entry
from common.config import ClusterConfig
from common.core import Effect, Hangup, LinkUp, Send
from common.deadlines import Deadlines
from common.digest import CountedPlaces
from common.doors import Door
from common.ids import NodeId, node_text
from common.limits import HITS_PER_QUERY_MAX, SOURCES_PER_ANSWER_MAX
from common.messages.cluster import Busy, Hit, Join, Publish, Published, Welcome
from common.messages.fields import Contact
from common.messages.overlay import QueryBody
from common.terms import Terms, matches
from superpeer.credit import Credit
from superpeer.holding import Changes, Holding, PublishError
from superpeer.index import Index
from superpeer.methods import LeafRow
from superpeer.proven import Proven
from superpeer.query import Gap
from superpeer.wishes import Wishes

INDEX_SLICE: Final = 10_000  # keys by which entries are made searchable in one turn: 5 to 10 ms
SWEEP_SLICE: Final = 10_000  # keys of removed entries swept in one turn: 5 to 10 ms
SEARCH_SLICE: Final = 50  # documents that the index is asked for at a time; wild guess
SHORT_PAGES_MAX: Final = 200  # of the index, for one query: 10,000 entries looked at, 20 ms in all
CHECK_KEYS: Final = 20  # that a look at a wish counts for, by the time it takes
SWEEP_S: Final = 0.05  # between two of them; wild guess

_SWEEP: Final = ("sweep", b"")


class _Leaf:
    """One leaf in one of its lives."""

    __slots__ = (
        *("epoch", "here_since", "holding", "joined_at", "rtt_s", "source", "unacknowledged"),
        *("unindexed",),
    )

    def __init__(self, epoch: int, source: Contact, holding: Holding, here_since: float) -> None:
        self.epoch = epoch
        self.source = source
        self.holding = holding
        self.here_since = here_since  # over all its lives, while we hold a place for it
        self.joined_at = 0.0  # for the last time
        self.rtt_s: float | None = None
        self.unindexed: Changes = {}  # signed, but not findable yet
        self.unacknowledged: list[int] = []  # generations to confirm when it is


class Cluster:
    """The leaves by key, and the index of what they share.

    `links` is read as it is at the moment; `alternatives` names super-peers to go to instead,
    `digest` is kept for the others to hear of, and `spread_s` is how long that may take.
    """

    def __init__(
        self,
        network: str,
        *,
        config: ClusterConfig,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        alternatives: Callable[[], tuple[Contact, ...]],
        digest: CountedPlaces,
        spread_s: Callable[[], float],
        wishes: Wishes,
        credit: Credit,
    ) -> None:
        self._network = network
        self._spread_s = spread_s
        self._wishes = wishes
        self._credit = credit
        self._config = config
        self._rng = rng
        self._links = links
        self._alternatives = alternatives
        self._deadlines = Deadlines()
        self._index = Index(rng.getrandbits(64), digest)
        self._proven = Proven()
        self._leaves: dict[NodeId, _Leaf] = {}
        self.members: dict[NodeId, Contact] = {}  # the leaves whose link is up
        self._admitting = True
        self.dropped: Counter[str] = Counter()

    def stop(self) -> None:
        """Take no leaves any more."""
        self._admitting = False

    @property
    def files(self) -> int:
        """How many entries can be found."""
        return self._index.files

    # --- messages ---------------------------------------------------------------------------

    def on_join(self, peer: NodeId, join: Join, now: float) -> list[Effect]:
        """Take the leaf in, or name others; the same life keeps what is held of it."""
        leaf = self._leaves.get(peer)
        link = self._links[peer]
        effects: list[Effect] = []
        if leaf is None and len(self._leaves) >= self._config.leaves_max:
            effects = self._make_room(now) if join.entries and link.bulk_port else []
        full = leaf is None and len(self._leaves) >= self._config.leaves_max
        if full or not self._admitting:
            return [*effects, self._busy(peer)]
        entries_max = self._config.entries_max if link.bulk_port else 0  # nobody could fetch them
        source = _source(link, join)
        if leaf is None or leaf.epoch != join.epoch:
            here_since = now if leaf is None else leaf.here_since
            self._drop_leaf(peer, now)
            holding = Holding(self._network, peer, entries_max)
            leaf = self._leaves[peer] = _Leaf(join.epoch, source, holding, here_since)
        leaf.source, leaf.joined_at = source, now
        self._proven.forget(peer)
        leaf.holding.unstage()
        leaf.unacknowledged.clear()
        self.members[peer] = source
        self._deadlines.cancel(("lease", peer))
        welcome = Welcome(
            generation=leaf.holding.generation,
            lease_s=self._config.lease_s,
            entries_max=entries_max,
            alternatives=self._alternatives(),
            credit=self._credit.value,
        )
        return [*effects, Send(peer, welcome)]

    def on_publish(self, peer: NodeId, message: Publish, now: float) -> list[Effect]:
        """Stage changes; a generation is answered when all of it can be found, or refused."""
        leaf = self._leaves.get(peer)
        if leaf is None or peer not in self.members:
            self.dropped["publish_of_stranger"] += 1
            return []
        self._proven.forget(peer)
        try:
            changes = leaf.holding.publish(message)
        except PublishError as refusal:
            return self._refuse(peer, str(refusal), now)
        if changes is None:
            return []
        leaf.unindexed |= changes
        leaf.unacknowledged.append(message.generation)
        return self._index_some(peer, now)

    # --- links and time ---------------------------------------------------------------------

    def leaf_lost(self, peer: NodeId, now: float, *, on_purpose: bool) -> None:
        """The link is gone: what the leaf shares lives on for a lease, unless it said goodbye."""
        if peer not in self.members:
            return
        del self.members[peer]
        if on_purpose:
            self._drop_leaf(peer, now)
        else:
            self._deadlines.set(("lease", peer), now + self._config.lease_s)

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
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._on_due(key, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- questions --------------------------------------------------------------------------

    def evaluate(self, body: QueryBody) -> Iterator[Hit | Gap]:
        """What our leaves have for a query, at most `wanted`; of a file's sources a random part.

        Each hit is found and proven when it is asked for, by what is shared then.
        """
        if body.terms is not None:
            return self._matching(body.terms, body.wanted)
        found = iter(()) if body.root is None else iter(self._some_sources(body.root, body.size))
        return islice(filter(None, map(self._hit, found)), body.wanted)

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
                heir=None,
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
            self._drop_leaf(peer, now)
        return []

    def _index_some(self, peer: NodeId, now: float) -> list[Effect]:
        """Make a slice of what is signed findable; acknowledge when all of it is."""
        leaf = self._leaves[peer]
        budget = INDEX_SLICE
        effects: list[Effect] = []
        for slot, entry in list(leaf.unindexed.items()):
            del leaf.unindexed[slot]
            index = self._index
            if entry is not None and not index.has_room(self._config.docs_max):
                why = "this super-peer holds as many files as it can"
                return effects + self._refuse(peer, why, now)
            keys = index.remove(peer, slot) if entry is None else index.add(peer, slot, entry)
            budget -= max(keys, 1)
            if entry is not None:
                told, checks = self._wished(leaf, slot, entry, now)
                effects += told
                budget -= checks * CHECK_KEYS
            if self._index.keys(peer) > self._config.keys_max:
                why = "the names have more words than we hold of a leaf"
                return effects + self._refuse(peer, why, now)
            if budget <= 0:
                break
        self._sweep_later(now)
        if leaf.unindexed:
            self._deadlines.set(("index", peer), now)
            return effects
        spread_s = self._spread_s()
        if not spread_s:
            return effects + self._acknowledge(peer)
        self._deadlines.set(("acknowledge", peer), now + spread_s)
        return effects

    def _wished(self, leaf: _Leaf, slot: int, entry: Entry, now: float) -> tuple[list[Effect], int]:
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
        self._proven.forget(peer)
        leaf.holding.forget()
        leaf.unindexed.clear()
        leaf.unacknowledged.clear()
        self._index.drop_leaf(peer)
        self._sweep_later(now)
        return [Send(peer, Published(0, refused=why))]

    def _matching(self, terms: Terms, wanted: int) -> Iterator[Hit | Gap]:
        """The first that match and are there when they are taken. A page with less than it could
        have has cost as much as one that is full: the others come first then."""
        place: int | None = 0
        short_pages, whole = 0, True
        while place is not None and wanted > 0:
            most = min(SEARCH_SLICE, wanted)
            page, seen = self._index.search(terms, most, place), self._index.changes
            for doc in page.docs:
                if seen == self._index.changes or matches(terms, self._index.entry(doc)):
                    hit = self._hit(doc)
                    if hit is not None:
                        wanted -= 1
                        yield hit
            place, whole = page.then, whole and page.whole
            if place is not None and len(page.docs) < most:
                short_pages += 1
                if short_pages == SHORT_PAGES_MAX:
                    break
                yield Gap.LATER
        if wanted > 0 and (place is not None or not whole):
            yield Gap.LEFT_OUT

    def _some_sources(self, root: bytes, size: int) -> list[int]:
        """As many as anybody may want of those that have a file, and one for the asker itself."""
        everyone = self._index.sources(root, size, HITS_PER_QUERY_MAX)
        one_each = list({self._index.where(doc)[0]: doc for doc in everyone}.values())
        return self._rng.sample(one_each, min(SOURCES_PER_ANSWER_MAX + 1, len(one_each)))

    def _hit(self, doc: int) -> Hit | None:
        return self._proven.get(doc) or self._prove(doc)

    def _prove(self, doc: int) -> Hit | None:
        node, slot = self._index.where(doc)
        leaf = self._leaves.get(node)
        hit = leaf.holding.hit(slot, self._index.entry(doc), leaf.source) if leaf else None
        if hit is not None:
            self._proven.keep(doc, hit)
        return hit

    def _busy(self, peer: NodeId) -> Effect:
        return Send(peer, Busy(self._config.busy_retry_s, self._alternatives()))

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
        self._drop_leaf(peer, now)
        return [self._busy(peer), Hangup(peer, Door.CONTROL, "it gives way to one that shares")]

    def _drop_leaf(self, peer: NodeId, now: float) -> None:
        """Forget a leaf and all that it shares."""
        if self._leaves.pop(peer, None) is None:
            return
        self._proven.forget(peer)
        self._index.drop_leaf(peer)
        self._deadlines.cancel(("lease", peer))
        self._deadlines.cancel(("index", peer))
        self._deadlines.cancel(("acknowledge", peer))
        self._sweep_later(now)

    def _sweep_later(self, now: float) -> None:
        if self._index.dead and self._deadlines.get(_SWEEP) is None:
            self._deadlines.set(_SWEEP, now + SWEEP_S)


def _source(link: LinkUp, join: Join) -> Contact:
    """Where the leaf's files can be fetched: the observed host, at its bulk door."""
    told = join.advertised
    if told is not None and told.ip == link.address.ip and told.port:
        return Contact(link.peer, told)
    return Contact(link.peer, link.address.at(link.bulk_port))
