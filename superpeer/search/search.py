"""The origin of queries: what our leaves ask for, until it is answered.

Our own index is asked first. Where that has enough, or nobody else is there to ask, the answer goes
out at once, hits and end together; where it has more than goes out at once, the rest follows in
windows. Else a search or a locate becomes a query under a GUID of our own, asked of ourselves; the
tree below us (`superpeer.flood.flood`) answers with the hits of others and one report per ring.
*flood* is one wave; *ring* adds a ring while the tree can grow, somebody is not covered, depth is
left and hits are wanted. What a lost link may have silenced is asked once more under a fresh GUID;
what had to leave somebody out is merely not complete. Who may ask when is decided before
(`superpeer.search.questions`); each request ends exactly once, and each entry reaches its leaf at
most once. Nothing is promised of a search beyond what its coverage says.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from common import wire
from common.addresses import Scope
from common.config import ClusterConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.ids import GUID_BYTES, Guid, NodeId
from common.limits import DEGREE_MAX, HITS_PER_FRAME_MAX, QUERY_BYTES_MAX, SEARCH_BYTES_MAX
from common.messages import cluster
from common.messages.cluster import (
    Coverage,
    Forget,
    Hit,
    Locate,
    SearchDone,
    SearchHits,
    Sources,
)
from common.messages.fields import Contact, Message
from common.messages.overlay import (
    Extend,
    Prune,
    Query,
    QueryBody,
    QueryDone,
    QueryHits,
    query_guid,
)
from superpeer.flood.hitflow import HitFlow
from superpeer.flood.paces import Paces
from superpeer.flood.query import Gap
from superpeer.overlay.reach import short_id
from superpeer.search.request import Request
from superpeer.search.seekers import Seekers

HITS_AT_ONCE: Final = 200  # of our own index, for one leaf: all that a search for 50 rows wants
AT_ONCE_S: Final = 0.05  # ... and as many again after this: as fast as hits cross other links

QUIET_S: Final = 0.15  # a leaf that has heard nothing for this long hears that we are there

_CREDIT_PAUSE_S: Final = 0.05  # until it is looked at again; wild guess


class Searches:
    """The open requests of our leaves; `leaves` are ours, and who `is_served` may ask.

    `evaluate` asks our own index, `around` are the ids of who is near us; `push` has those of our
    leaves that a question names dial its asker.
    """

    def __init__(
        self,
        me: NodeId,
        *,
        config: ClusterConfig,
        estimate_s: float,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        leaves: Mapping[NodeId, Contact],
        is_served: Callable[[NodeId], bool],
        neighbours: Mapping[NodeId, object],
        evaluate: Callable[[QueryBody], Iterator[Hit | Gap]],
        around: Callable[[], frozenset[int]],
        push: Callable[..., list[Effect]] = lambda *_: [],
    ) -> None:
        self._me = me
        self._push = push
        self._config = config
        self._estimate_s = estimate_s  # how long a complete search tells the network's size
        self._rng = rng
        self._links = links
        self._leaves = leaves
        self._is_served = is_served
        self._seekers = Seekers()
        self._neighbours = neighbours
        self._evaluate = evaluate
        self._around = around
        self._counted: tuple[frozenset[int], int] = (frozenset(), 1)  # around us, and how many
        self._flows: dict[NodeId, HitFlow] = {}  # hits of our own index, by leaf
        self._deadlines = Deadlines()
        self._paces = Paces(self._pace_of)
        self._queries: dict[Guid, Request] = {}
        self._asked: dict[NodeId, dict[Guid, Request]] = {}  # by leaf, by the leaf's own GUID
        self._known: tuple[int, float] | None = None  # super-peers, and until when we believe it
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queries)

    # --- from leaves ------------------------------------------------------------------------

    def open(self, leaf: NodeId) -> int:
        """How many of its requests are not answered yet."""
        return len(self._asked.get(leaf, ()))

    def pause_s(self, leaf: NodeId, now: float) -> float:
        """How long a leaf must pause before it asks once more, 0.0 if not at all: strangers from
        afar may ask less often than those nearby, and nobody before its hits have room again."""
        if self.open(leaf) >= self._config.searches_max:
            return _CREDIT_PAUSE_S
        flow = self._flows.get(leaf)
        if flow is not None and flow.left <= 0 and now < flow.window_end:
            return flow.window_end - now
        return self._paces.pause_s(leaf, now)

    def _pace_of(self, leaf: NodeId) -> tuple[float, int]:
        config, link = self._config, self._links.get(leaf)
        if link is not None and link.address.scope is Scope.PUBLIC and leaf != self._me:
            return config.searches_per_s, config.searches_burst
        return config.near_searches_per_s, config.near_searches_burst

    def answer(self, leaf: NodeId, asked: cluster.Search | Locate, now: float) -> list[Effect]:
        """Begin, or say why not."""
        if asked.guid in self._asked.get(leaf, ()):
            self.dropped["search_twice"] += 1
            return []
        if not self._is_served(leaf):
            return [Send(leaf, _refusal(asked, "this super-peer is not your parent"))]
        return self.begin(leaf, asked, now)

    def begin(self, leaf: NodeId, asked: cluster.Search | Locate, now: float) -> list[Effect]:
        """Ask for whom nothing limits, or nothing any more: our own index first."""
        search = Request(leaf, asked, now)
        flow = self._flows.get(leaf)
        if flow is None:
            flow = self._flows[leaf] = HitFlow(HITS_AT_ONCE, AT_ONCE_S)
        flow.open_window(now)
        effects = self._meet_seekers(search, asked, now) if isinstance(asked, Locate) else []
        search.own = self._evaluate(search.body)
        hits = [] if flow else self._some_own(search, flow, flow.left)
        effects += self._deliver(search, search.fresh_own(hits)) if hits else []
        if self._may_end(search):
            return [*effects, self._end_alone(search, now)]
        self._asked.setdefault(leaf, {})[asked.guid] = search
        self._deadlines.set((leaf, asked.guid), now + QUIET_S)
        return effects + self._go_on(search, now)

    def _here(self, leaf: NodeId) -> Contact | None:
        """Where a leaf reaches us, as it told: so others of its scope do too."""
        link = self._links.get(leaf)
        return None if link is None else Contact(self._me, link.observed)

    def _meet_seekers(self, search: Request, asked: Locate, now: float) -> list[Effect]:
        """Who fetches the same will have pieces of it soon; it counts as a source like others.

        Those of our leaves that it is to come from, and that it names, are told to dial it.
        """
        seeker = search.asker = self._leaves.get(search.leaf)
        search.relay = self._here(search.leaf)
        effects = self._push(search.body, now)
        others = () if seeker is None else self._seekers.meet(asked.root, seeker, now)
        search.delivered += len(others)
        return [*effects, Send(search.leaf, Sources(asked.guid, others))] if others else effects

    def give_up(self, leaf: NodeId, asked: cluster.Search | Locate, _now: float) -> list[Effect]:
        """It waited for its turn longer than its asker waits for an answer."""
        return [Send(leaf, _refusal(asked, "this super-peer has too much to do"))]

    def on_forget(self, leaf: NodeId, message: Forget, _now: float) -> list[Effect]:
        """The leaf has enough."""
        search = self._asked.get(leaf, {}).get(message.guid)
        return [] if search is None else self._end(search)

    def leaf_lost(self, leaf: NodeId) -> list[Effect]:
        """Nobody is left to answer to."""
        self._paces.leave(leaf)
        effects: list[Effect] = []
        for search in list(self._asked.get(leaf, {}).values()):
            effects += self._end(search)
        self._flows.pop(leaf, None)
        self._deadlines.cancel(leaf)
        return effects

    # --- our own index ----------------------------------------------------------------------

    def due(self, now: float) -> list[Effect]:
        """Let more of our own hits out."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if isinstance(key, bytes):
                effects += self._send_more(key, now)
            elif isinstance(key, tuple):
                effects += self._show_life(*key)
        return effects

    def _show_life(self, leaf: NodeId, guid: Guid) -> list[Effect]:
        """A leaf that hears nothing would ask its heir."""
        search = self._asked.get(leaf, {}).get(guid)
        if search is None or search.delivered or leaf not in self._links:
            return []
        return [Send(leaf, _answer(search.asked, ()))]

    def wakeup(self) -> float | None:
        """When more hits may go out."""
        return self._deadlines.earliest()

    def _go_on(self, search: Request, now: float) -> list[Effect]:
        """After hits of our own: more of them later, or the end, or what others have."""
        if search.own is not None and not search.has_enough:
            flow = self._flows[search.leaf]
            flow.queue(search.asked.guid)
            self._deadlines.set(search.leaf, flow.window_end)
            return []
        if self._may_end(search):
            return [self._end_alone(search, now), *self._end(search)]
        return self._ask(search)

    def _may_end(self, search: Request) -> bool:
        """Whether all is said without asking anybody else: our own index has enough, or has told
        all and there is nobody else."""
        if search.traced:
            return False
        if search.has_enough:
            return search.strategy.guided or not self._neighbours
        return search.own is None and not self._neighbours

    def _send_more(self, leaf: NodeId, now: float) -> list[Effect]:
        """A window full of our own hits for one leaf, some of each of its searches in turn."""
        flow = self._flows[leaf]
        flow.open_window(now)
        effects: list[Effect] = []
        while flow and flow.left:
            search = self._asked[leaf][flow.next()]
            hits = self._some_own(search, flow, HITS_PER_FRAME_MAX)
            effects += self._deliver(search, search.more_own(hits)) + self._go_on(search, now)
        if flow:
            self._deadlines.set(leaf, flow.window_end)
        return effects

    def _some_own(self, search: Request, flow: HitFlow, most: int) -> list[Hit]:
        """Some hits of our own index, within the window of the leaf."""
        count = min(most, flow.left)
        hits = search.take_own(count)
        flow.left -= len(hits)
        if search.own is not None and len(hits) < count:  # it has looked at much for little
            flow.left -= min(HITS_PER_FRAME_MAX, flow.left)
        return hits

    def _deliver(self, search: Request, hits: Sequence[Hit]) -> list[Effect]:
        """Hits to the leaf, as many in a message as it may hold."""
        return [
            Send(search.leaf, _answer(search.asked, hits[at : at + HITS_PER_FRAME_MAX]))
            for at in range(0, len(hits), HITS_PER_FRAME_MAX)
        ]

    def _end_alone(self, search: Request, now: float) -> Effect:
        """The last word on what nobody else was asked."""
        whole = not self._neighbours
        if whole:
            self._known = (1, now + self._estimate_s)
        coverage = Coverage(
            reached=1,
            known=1 if whole else self._count_around(),
            messages=0,
            elapsed_s=now - search.started_at,
            complete=(whole or search.asked.ttl == 0) and not search.own_left_out,
        )
        return Send(search.leaf, _end_of(search, coverage))

    def _count_around(self) -> int:
        """How many super-peers we know of, ourselves included."""
        around = self._around()
        if around is not self._counted[0]:
            self._counted = around, len(around | {short_id(self._me)})
        return self._counted[1]

    # --- from the tree ----------------------------------------------------------------------

    def on_query_hits(self, _me: NodeId, message: QueryHits, _now: float) -> list[Effect]:
        """Pass on what the leaf has not seen yet and still wants."""
        search = self._queries.get(message.guid)
        return [] if search is None else self._pass_on(search, message.hits)

    def _pass_on(self, search: Request, hits: Sequence[Hit]) -> list[Effect]:
        fresh = search.fresh(hits)
        return [Send(search.leaf, _answer(search.asked, fresh))] if fresh else []

    def on_query_done(self, _me: NodeId, message: QueryDone, now: float) -> list[Effect]:
        """A ring is over: ask again what was lost, grow by one ring, or end."""
        search = self._queries.get(message.guid)
        if search is None:
            return []
        effects = self._pass_on(search, message.hits)
        search.take(message)
        if search.lost and not search.repeated:
            search.repeated = True
            return [*effects, *self._give_up_query(search), *self._ask(search)]
        step = search.next_step() if message.frontier else None
        if step is not None:
            links = min(step.links or 0, DEGREE_MAX)
            return [*effects, Send(self._me, Extend(search.query, step.deeper, links))]
        return effects + self._finish(search, exhausted=not message.frontier, now=now)

    # --- the steps they share ---------------------------------------------------------------

    def _ask(self, search: Request) -> list[Effect]:
        """Begin an attempt. Our own depth is 0 and counts as one hop to come here."""
        nonce, body = self._rng.randbytes(GUID_BYTES), wire.pack(search.body)
        if len(body) > QUERY_BYTES_MAX:
            why = f"its words have more than {SEARCH_BYTES_MAX} bytes"
            return [Send(search.leaf, _refusal(search.asked, why)), *self._end(search)]
        search.begin(query_guid(nonce, body))
        self._queries[search.query] = search
        guided, ttl = search.strategy.guided, search.depth + 1
        return [Send(self._me, Query(search.query, nonce, ttl, 0, body, guided, search.traced))]

    def _finish(self, search: Request, *, exhausted: bool, now: float) -> list[Effect]:
        reached_now, known = search.counts
        reached = max(reached_now, search.reached_before)
        nobody_missed = not (search.lost or search.left_out or search.own_left_out)
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
        return [Send(search.leaf, _end_of(search, coverage)), *self._end(search)]

    def _estimate(self, reached: int, now: float) -> int | None:
        """How many super-peers there are, by the last search that reached them all."""
        if self._known is None or now > self._known[1] or self._known[0] <= reached:
            return None
        return self._known[0]

    def _end(self, search: Request) -> list[Effect]:
        searches = self._asked[search.leaf]
        del searches[search.asked.guid]
        self._deadlines.cancel((search.leaf, search.asked.guid))
        if not searches:
            del self._asked[search.leaf]
        self._flows[search.leaf].leave(search.asked.guid)
        return self._give_up_query(search)

    def _give_up_query(self, search: Request) -> list[Effect]:
        if self._queries.pop(search.query, None) is None:
            return []
        return [Send(self._me, Prune(search.query))]


def _end_of(search: Request, coverage: Coverage) -> Message:
    guid = search.asked.guid
    if isinstance(search.asked, Locate):
        return Sources(guid, (), done=True)
    return SearchDone(guid, coverage, trace=search.way)


def _answer(asked: cluster.Search | Locate, hits: Sequence[Hit]) -> Message:
    if isinstance(asked, Locate):
        name = hits[0].entry.name if hits else ""
        return Sources(asked.guid, tuple(hit.source for hit in hits), name=name)
    return SearchHits(asked.guid, tuple(hits))


def _refusal(asked: cluster.Search | Locate, why: str) -> Message:
    if isinstance(asked, Locate):
        return Sources(asked.guid, (), done=True)
    nothing = Coverage(reached=0, known=None, messages=0, elapsed_s=0.0, complete=False)
    return SearchDone(asked.guid, nothing, refused=why)
