"""One search or locate of a leaf, at its parent, from the question to the last word.

It may take several attempts, each a query under a GUID of its own, and each some steps (a ring, or
a portion of one). What was delivered counts for all of them: no entry twice, and no more than were
wanted. What to do with what it says is decided in `superpeer.search.search`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from common.ids import Guid, NodeId
from common.limits import SOURCES_PER_ANSWER_MAX, TRACE_HOPS_MAX
from common.messages.cluster import Hit, Hop, Locate, Search
from common.messages.fields import Contact
from common.messages.overlay import QueryBody, QueryDone
from superpeer.flood.guide import TOLD_LINKS
from superpeer.flood.query import Gap
from superpeer.overlay.reach import Reach
from superpeer.search.strategies import Dynamic, Flood, Progress, Rings, Step, Strategy

STRATEGIES: Final[dict[str, Callable[[], Strategy]]] = {
    "ring": Rings,
    "flood": Flood,
    "dynamic": Dynamic,
}

_Key = tuple[NodeId, bytes, int]


class Request:
    """One request of a leaf; `query` is the GUID it now runs under."""

    query: Guid = b""
    depth = 0
    repeated = False
    lost = False
    left_out = False
    reached = 0  # in this attempt: who was asked
    reach: Reach  # in this attempt, by rings: who was asked or ruled out
    is_stuck = False  # the last depth asked nobody new
    reached_until = 0  # by the end of the last depth
    put_off = False  # the last step left somebody for later
    reached_before = 0  # in the attempt that was given up
    messages = 0
    trace: tuple[Hop, ...] = ()
    trace_before: tuple[Hop, ...] = ()  # of the attempt that was given up
    own: Iterator[Hit | Gap] | None = None  # what our own index still has
    asker: Contact | None = None  # where the leaf is seen
    relay: Contact | None = None  # ... and where we are
    own_left_out = False  # it does not look at all that it has
    delivered = 0
    delivered_before = 0  # the last step
    _delivered_own = 0

    def __init__(self, leaf: NodeId, asked: Search | Locate, now: float) -> None:
        self.leaf = leaf
        self.asked = asked
        self.started_at = now
        self._own_hits: list[Hit] = []  # delivered, and not among the keys yet
        self._keys: dict[_Key, None] = {}  # of what was delivered
        named, self.wanted, self.traced = "ring", SOURCES_PER_ANSWER_MAX, False
        if isinstance(asked, Search):
            named, self.wanted, self.traced = asked.strategy, asked.wanted, asked.traced
        self.strategy: Strategy = STRATEGIES[named]()

    @property
    def has_enough(self) -> bool:
        """Whether all that is wanted was delivered."""
        return self.delivered >= self.wanted

    def take_own(self, count: int) -> list[Hit]:
        """At most `count` hits of our own index, fewer where that has looked at much for now."""
        hits: list[Hit] = []
        while self.own is not None and len(hits) < count:
            own = next(self.own, None)
            if own is Gap.LATER:
                break
            if isinstance(own, Hit):
                hits.append(own)
            else:
                self.own = None
                self.own_left_out = own is Gap.LEFT_OUT
        return hits

    def fresh_own(self, hits: list[Hit]) -> list[Hit]:
        """Of these hits of our own index, which has none twice at a time, those that are delivered
        now."""
        if isinstance(self.asked, Locate):
            hits = [hit for hit in hits if hit.source.node != self.leaf]
        fresh = hits[: self.wanted - self.delivered]
        self._own_hits += fresh
        self.delivered += len(fresh)
        self._delivered_own += len(fresh)
        return fresh

    def more_own(self, hits: list[Hit]) -> list[Hit]:
        """The same of hits that waited: meanwhile what was delivered may have come to stand behind
        them in the index."""
        fresh = self.fresh(hits)
        self._delivered_own += len(fresh)
        return fresh

    def fresh(self, hits: Iterable[Hit]) -> list[Hit]:
        """Of these hits those that are delivered now: none twice, and no more than are wanted."""
        self._keys.update((self._key(hit), None) for hit in self._own_hits)
        self._own_hits = []
        fresh = []
        for hit in hits:
            key = self._key(hit)
            is_own = isinstance(self.asked, Locate) and hit.source.node == self.leaf
            if self.has_enough or is_own or key in self._keys:
                continue
            self._keys[key] = None
            self.delivered += 1
            fresh.append(hit)
        return fresh

    def _key(self, hit: Hit) -> _Key:
        """A source counts once for a locate, however often it has the file."""
        slot = 0 if isinstance(self.asked, Locate) else hit.slot
        return hit.source.node, hit.entry.root, slot

    def begin(self, guid: Guid) -> None:
        """One attempt, from the start."""
        if self.query:
            self.reached_before = max(self.reached_before, self.counts[0])
        self.query = guid
        self.trace_before = self.trace
        self.depth = self.strategy.first_level(self.asked.ttl)
        self.reached = self.reached_until = self.delivered_before = 0
        self.lost = self.left_out = False
        self.reach = Reach()

    @property
    def counts(self) -> tuple[int, int | None]:
        """How many super-peers this attempt has covered, and how many there are, if that is known
        from it."""
        return self.reach.counts() if self.strategy.guided else (self.reached, None)

    @property
    def covers_all(self) -> bool:
        """Whether nobody is known that is not covered, or the last depth asked nobody new though
        digests tell no further: so nobody searches long for super-peers that are gone."""
        if not self.strategy.guided or self.put_off:
            return False
        return self.is_stuck or self.reach.is_whole

    def take(self, report: QueryDone) -> None:
        """A ring is over."""
        self.reached += report.reached
        self.messages += report.messages
        self.trace = report.trace
        self.lost |= report.lost
        self.left_out |= report.left_out
        self.put_off = report.put_off
        self.reach = Reach(report.reach)
        if not self.put_off:
            self.is_stuck = self.depth > TOLD_LINKS and self.reached == self.reached_until
            self.reached_until = self.reached

    @property
    def way(self) -> tuple[Hop, ...]:
        """The trace of all attempts; the first hop is ours, and has what our own index gave."""
        if not self.traced:
            return ()
        hops = (*self.trace_before, *self.trace)[:TRACE_HOPS_MAX]
        return tuple(replace(hop, hits=self._delivered_own) for hop in hops[:1]) + hops[1:]

    def next_step(self) -> Step | None:
        """What to ask now, if more is wanted and can be had."""
        wanted, found = self.wanted - self.delivered, self.delivered - self.delivered_before
        self.delivered_before = self.delivered
        if wanted <= 0 or self.covers_all or (self.is_deep_enough and not self.put_off):
            return None
        step = self.strategy.next(Progress(wanted, found, self.put_off))
        if step is not None:
            self.depth += step.deeper
        return step

    @property
    def is_deep_enough(self) -> bool:
        """Whether the rings have come to the depth that was asked for."""
        return self.strategy.guided and self.depth >= self.asked.ttl

    @property
    def body(self) -> QueryBody:
        """What our own index and others are asked."""
        if isinstance(self.asked, Locate):
            wanted = self.wanted + 1  # the asker may be among them, and is left out
            body = QueryBody(wanted, root=self.asked.root, size=self.asked.size)
            if not self.asked.push:
                return body
            return replace(body, push=self.asked.push, asker=self.asker, relay=self.relay)
        return QueryBody(self.wanted, terms=self.asked.terms)
