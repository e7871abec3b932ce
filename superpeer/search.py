"""The origin of queries: what our leaves ask for, until it is answered.

A search or a locate of a leaf becomes a query under a GUID of our own, asked of ourselves; the tree
below us (`superpeer.flood`) answers with hits and one report per ring. *flood* is one wave; *ring*
adds a ring while the tree can grow, somebody is not covered, depth is left and hits are wanted.
What a lost link may have silenced is asked once more under a fresh GUID; what had to leave somebody
out is merely not complete. A leaf's requests are limited in number and in rate; each ends exactly
once, and each entry reaches it at most once. Nothing is promised of a search beyond what its
coverage says.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from common import wire
from common.addresses import Scope
from common.config import ClusterConfig
from common.core import Effect, LinkUp, Send
from common.ids import GUID_BYTES, Guid, NodeId
from common.limits import DEGREE_MAX, SOURCES_PER_ANSWER_MAX, TRACE_HOPS_MAX
from common.messages import cluster
from common.messages.cluster import (
    Coverage,
    Forget,
    Hit,
    Hop,
    Locate,
    SearchDone,
    SearchHits,
    Sources,
)
from common.messages.fields import Message
from common.messages.overlay import (
    Extend,
    Prune,
    Query,
    QueryBody,
    QueryDone,
    QueryHits,
    query_guid,
)
from common.rates import Bucket
from superpeer.guide import TOLD_LINKS
from superpeer.reach import Reach
from superpeer.strategies import Dynamic, Flood, Progress, Rings, Step, Strategy

STRATEGIES: Final[dict[str, Callable[[], Strategy]]] = {
    "ring": Rings,
    "flood": Flood,
    "dynamic": Dynamic,
}

_Key = tuple[NodeId, bytes, int]


class _Search:
    """One request of a leaf; `query` is the GUID it now runs under."""

    def __init__(self, leaf: NodeId, asked: cluster.Search | Locate, now: float) -> None:
        self.leaf = leaf
        self.asked = asked
        self.started_at = now
        self.query: Guid = b""
        self.depth = 0
        self.repeated = False
        self.lost = False
        self.left_out = False
        self.reached = 0  # in this attempt: who was asked
        self.reach = Reach()  # in this attempt, by rings: who was asked or ruled out
        self.is_stuck = False  # the last depth asked nobody new
        self.reached_until = 0  # by the end of the last depth
        self.put_off = False  # the last step left somebody for later
        self.reached_before = 0  # in the attempt that was given up
        self.messages = 0
        self.trace: tuple[Hop, ...] = ()
        self.trace_before: tuple[Hop, ...] = ()
        self.delivered: dict[_Key, None] = {}
        self.delivered_before = 0  # the last step
        named = "ring" if isinstance(asked, Locate) else asked.strategy
        self.strategy: Strategy = STRATEGIES[named]()

    @property
    def wanted(self) -> int:
        return SOURCES_PER_ANSWER_MAX if isinstance(self.asked, Locate) else self.asked.wanted

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
        return self.is_stuck or not self.reach.missing()

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

    def next_step(self) -> Step | None:
        """What to ask now, if more is wanted and can be had."""
        delivered, self.delivered_before = self.delivered_before, len(self.delivered)
        wanted, found = self.wanted - len(self.delivered), len(self.delivered) - delivered
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
        if isinstance(self.asked, Locate):
            wanted = self.wanted + 1  # the asker may be among them, and is left out
            return QueryBody(wanted, root=self.asked.root, size=self.asked.size)
        return QueryBody(self.wanted, terms=self.asked.terms)


class Searches:
    """The open requests of our leaves; `leaves` are those that may ask."""

    def __init__(
        self,
        me: NodeId,
        *,
        config: ClusterConfig,
        estimate_s: float,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        leaves: Mapping[NodeId, object],
    ) -> None:
        self._me = me
        self._config = config
        self._estimate_s = estimate_s  # how long a complete search tells the network's size
        self._rng = rng
        self._links = links
        self._leaves = leaves
        self._credit: dict[NodeId, Bucket] = {}
        self._queries: dict[Guid, _Search] = {}
        self._asked: dict[NodeId, dict[Guid, _Search]] = {}  # by leaf, by the leaf's own GUID
        self._known: tuple[int, float] | None = None  # super-peers, and until when we believe it
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queries)

    # --- from leaves ------------------------------------------------------------------------

    def on_search(self, leaf: NodeId, asked: cluster.Search | Locate, now: float) -> list[Effect]:
        """Ask ourselves, or say why not."""
        searches = self._asked.get(leaf, {})
        if asked.guid in searches:
            self.dropped["search_twice"] += 1
            return []
        if leaf not in self._leaves:
            return [Send(leaf, _refusal(asked, "this super-peer is not your parent"))]
        if not self._has_credit(leaf, now):
            self.dropped["search_too_often"] += 1
            return [Send(leaf, _refusal(asked, "too many searches, wait a moment"))]
        if len(searches) >= self._config.searches_max:
            why = f"{self._config.searches_max} searches are open already"
            return [Send(leaf, _refusal(asked, why))]
        return self.begin(leaf, asked, now)

    def begin(self, leaf: NodeId, asked: cluster.Search | Locate, now: float) -> list[Effect]:
        """Ask ourselves for whom nothing limits, or nothing any more."""
        search = _Search(leaf, asked, now)
        self._asked.setdefault(leaf, {})[asked.guid] = search
        return self._ask(search)

    def on_forget(self, leaf: NodeId, message: Forget, _now: float) -> list[Effect]:
        """The leaf has enough."""
        search = self._asked.get(leaf, {}).get(message.guid)
        return [] if search is None else self._end(search)

    def leaf_lost(self, leaf: NodeId) -> list[Effect]:
        """Nobody is left to answer to."""
        self._credit.pop(leaf, None)
        effects: list[Effect] = []
        for search in list(self._asked.get(leaf, {}).values()):
            effects += self._end(search)
        return effects

    # --- from the tree ----------------------------------------------------------------------

    def on_query_hits(self, _me: NodeId, message: QueryHits, _now: float) -> list[Effect]:
        """Pass on what the leaf has not seen yet and still wants."""
        search = self._queries.get(message.guid)
        if search is None:
            return []
        fresh = [hit for hit in message.hits if self._is_fresh(search, hit)]
        return [Send(search.leaf, _answer(search.asked, fresh))] if fresh else []

    def on_query_done(self, _me: NodeId, message: QueryDone, now: float) -> list[Effect]:
        """A ring is over: ask again what was lost, grow by one ring, or end."""
        search = self._queries.get(message.guid)
        if search is None:
            return []
        search.take(message)
        if search.lost and not search.repeated:
            search.repeated = True
            return [*self._give_up_query(search), *self._ask(search)]
        step = search.next_step() if message.frontier else None
        if step is not None:
            links = min(step.links or 0, DEGREE_MAX)
            return [Send(self._me, Extend(search.query, step.deeper, links))]
        return self._finish(search, exhausted=not message.frontier, now=now)

    # --- the steps they share ---------------------------------------------------------------

    def _ask(self, search: _Search) -> list[Effect]:
        """Begin an attempt. Our own depth is 0 and counts as one hop to come here."""
        nonce, body = self._rng.randbytes(GUID_BYTES), wire.pack(search.body)
        search.query = query_guid(nonce, body)
        search.reached_before = max(search.reached_before, search.counts[0])
        search.trace_before = search.trace
        search.depth = search.strategy.first_level(search.asked.ttl)
        search.reached = search.reached_until = search.delivered_before = 0
        search.lost = search.left_out = False
        self._queries[search.query] = search
        search.reach = Reach()
        guided, ttl = search.strategy.guided, search.depth + 1
        traced = not isinstance(search.asked, Locate) and search.asked.traced
        return [Send(self._me, Query(search.query, nonce, ttl, 0, body, guided, traced))]

    def _has_credit(self, leaf: NodeId, now: float) -> bool:
        """Whether a leaf may ask once more now: strangers from afar less than those nearby."""
        if leaf not in self._credit:
            config = self._config
            rate_per_s, burst = config.near_searches_per_s, config.near_searches_burst
            if self._links[leaf].address.scope is Scope.PUBLIC and leaf != self._me:
                rate_per_s, burst = config.searches_per_s, config.searches_burst
            self._credit[leaf] = Bucket(rate_per_s, burst, now)
        return self._credit[leaf].take(now)

    def _is_fresh(self, search: _Search, hit: Hit) -> bool:
        """Whether this entry is delivered now; it is noted as delivered."""
        key = (hit.source.node, hit.entry.root, hit.slot)
        if isinstance(search.asked, Locate):
            if hit.source.node == search.leaf:
                return False
            key = (hit.source.node, hit.entry.root, 0)  # one source, however often it has the file
        if key in search.delivered or len(search.delivered) >= search.wanted:
            return False
        search.delivered[key] = None
        return True

    def _finish(self, search: _Search, *, exhausted: bool, now: float) -> list[Effect]:
        reached_now, known = search.counts
        reached = max(reached_now, search.reached_before)
        nobody_missed = not search.lost and not search.left_out
        whole = nobody_missed and (exhausted or search.covers_all)
        if whole:
            self._known = (reached_now, now + self._estimate_s)
        coverage = Coverage(
            reached=reached,
            known=reached if whole else known or self._estimate(reached, now),
            messages=search.messages,
            elapsed_s=now - search.started_at,
            complete=whole or (search.is_deep_enough and nobody_missed and not search.put_off),
        )
        guid = search.asked.guid
        if isinstance(search.asked, Locate):
            done: Message = Sources(guid, (), done=True)
        else:
            trace = (*search.trace_before, *search.trace)[:TRACE_HOPS_MAX]
            done = SearchDone(guid, coverage, trace=trace)
        return [Send(search.leaf, done), *self._end(search)]

    def _estimate(self, reached: int, now: float) -> int | None:
        """How many super-peers there are, by the last search that reached them all."""
        if self._known is None or now > self._known[1] or self._known[0] <= reached:
            return None
        return self._known[0]

    def _end(self, search: _Search) -> list[Effect]:
        searches = self._asked[search.leaf]
        del searches[search.asked.guid]
        if not searches:
            del self._asked[search.leaf]
        return self._give_up_query(search)

    def _give_up_query(self, search: _Search) -> list[Effect]:
        del self._queries[search.query]
        return [Send(self._me, Prune(search.query))]


def _answer(asked: cluster.Search | Locate, hits: list[Hit]) -> Message:
    if isinstance(asked, Locate):
        return Sources(asked.guid, tuple(hit.source for hit in hits))
    return SearchHits(asked.guid, tuple(hits))


def _refusal(asked: cluster.Search | Locate, why: str) -> Message:
    if isinstance(asked, Locate):
        return Sources(asked.guid, (), done=True)
    nothing = Coverage(reached=0, known=None, messages=0, elapsed_s=0.0, complete=False)
    return SearchDone(asked.guid, nothing, refused=why)
