"""A super-peer that answers everything, and lies in all of it.

It becomes a neighbour as others do, and never lets anybody wait. Its hits are forged, its sums are
absurd, and it reports what it was not asked. It meddles with the trees of others, sends queries
under names that are not theirs, at the limits of depth, tells of neighbours that are not there, and
of digests whatever is not so: that it has nothing, what others had long ago, and forged ones.
Leaves that come to it are welcomed and told lies too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from msgspec.structs import replace
from pyroaring import BitMap

from common import wire
from common.core import Bound, Effect, Event, LinkDown, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.digest import statement
from common.doors import Door
from common.ids import Guid, NodeId, new_guid
from common.limits import HITS_PER_FRAME_MAX, HOPS_MAX
from common.messages.cluster import (
    Busy,
    Coverage,
    Hit,
    Hop,
    Join,
    Locate,
    Publish,
    Published,
    Search,
    SearchDone,
    SearchHits,
    Sources,
    Welcome,
    Wish,
    Wished,
    WishHits,
)
from common.messages.fields import Message
from common.messages.overlay import (
    Extend,
    Extent,
    Link,
    Linked,
    Neighbourhood,
    Patch,
    Patches,
    Prune,
    Query,
    QueryBody,
    QueryDone,
    QueryHits,
    Unlinked,
    query_guid,
)
from common.terms import Terms
from deploy.sim.hostile.foothold import Foothold
from deploy.sim.hostile.forgeries import Forgeries
from deploy.sim.hostile.nature import Nature

TURN_S: Final = (0.3, 1.2)
PARTS: Final = 0.08  # of the turns, after how many it is no neighbour for a while
BURST: Final = 230
BURST_S: Final = 15.0  # once in a life
QUERIES_KEPT: Final = 30
DIGESTS_KEPT: Final = 30
FORGES_DIGESTS: Final = 0.1  # each costs it the link
ABSURD: Final = (0, 1, 7, 2**32, 2**53)
HITS: Final = (0, 1, 5, 12, 30, 60)
WORDS: Final = ("blue", "night", "train", "river", "stone", "new", "song")


class Forger:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._nature = nature
        self._rng = nature.rng
        self.done: Counter[str] = Counter()
        self._foothold = Foothold(nature, wanted=8)
        self._forgeries = Forgeries(nature, self.done)
        self._linked: dict[NodeId, None] = {}  # neighbours, as far as we know
        self._queries: dict[Guid, Query] = {}  # seen, oldest first
        self._digests: list[Patch] = []  # of others
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._foothold.handle(event, now)
        if isinstance(event, Bound):
            self._deadlines.set("turn", now + 1.0)
            self._deadlines.set("burst", now + BURST_S)
        elif isinstance(event, LinkUp) and event.peer in self._foothold.linked:
            effects.append(Send(event.peer, Link(self._rng.choice(ABSURD), self._contacts())))
        elif isinstance(event, LinkDown) and event.door is Door.CONTROL:
            self._linked.pop(event.peer, None)
        elif isinstance(event, Received):
            on_message = self._MESSAGES.get(type(event.message))
            said = on_message(self, event.peer, event.message) if on_message else []
            effects += [Send(event.peer, message) for message in said]
        elif isinstance(event, Woke):
            for what in self._deadlines.pop_due(now):
                effects += self._burst() if what == "burst" else self._turn(now)
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._foothold.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    def _contacts(self) -> Any:
        return self._forgeries.strangers(self._rng.choice((0, 2, 40)))

    # --- answers ----------------------------------------------------------------------------

    def _on_link(self, peer: NodeId, _message: Link) -> list[Message]:
        self._linked[peer] = None
        return [Linked(self._rng.choice(ABSURD), self._contacts())]

    def _on_linked(self, peer: NodeId, _message: Linked) -> list[Message]:
        self._linked[peer] = None
        return []

    def _on_query(self, _peer: NodeId, query: Query) -> list[Message]:
        self._queries[query.guid] = query
        while len(self._queries) > QUERIES_KEPT:
            del self._queries[next(iter(self._queries))]
        return self._answer(query)

    def _answer(self, query: Query) -> list[Message]:
        """Hits of all kinds, some for another query, and a report; now and then a second one."""
        rng, guid = self._rng, query.guid
        count = rng.choice(HITS)
        hits = self._forgeries.some(query.body, count)
        if rng.random() < 0.3:
            hits += hits[:3]
        said: list[Message] = []
        for at in range(0, len(hits), HITS_PER_FRAME_MAX):
            other = rng.choice(list(self._queries)) if rng.random() < 0.2 else guid
            said.append(QueryHits(other, tuple(hits[at : at + HITS_PER_FRAME_MAX])))
        said.append(self._done(guid, hits[: rng.choice((0, 3))]))
        if rng.random() < 0.2:
            said += [self._done(guid), QueryHits(guid, tuple(hits[:2]))]
        return said

    def _done(self, guid: Guid, hits: Sequence[Hit] = ()) -> QueryDone:
        rng = self._rng
        return QueryDone(
            guid,
            duplicate=rng.random() < 0.1,
            reached=rng.choice(ABSURD),
            frontier=rng.choice(ABSURD),
            messages=rng.choice(ABSURD),
            lost=rng.random() < 0.2,
            left_out=rng.random() < 0.2,
            reach=Extent(self._ids(), self._ids(), rng.choice((2, 4))),
            put_off=rng.random() < 0.1,
            trace=(Hop(self._rng.randbytes(32), rng.randrange(HOPS_MAX), "lost"),) * 9,
            hits=tuple(hits),
        )

    def _ids(self) -> bytes:
        """Super-peers that are not there, and some bytes more."""
        return self._rng.randbytes(self._rng.choice((0, 0, 8, 21, 1_024)))

    def _on_patches(self, _peer: NodeId, message: Patches) -> list[Message]:
        self._digests = [*self._digests, *message.patches][-DIGESTS_KEPT:]
        return []

    def _on_extend(self, _peer: NodeId, extend: Extend) -> list[Message]:
        return [self._done(extend.guid)]

    def _on_query_hits(self, _peer: NodeId, message: QueryHits) -> list[Message]:
        self._forgeries.collect(message.hits)
        return []

    # --- to leaves --------------------------------------------------------------------------

    def _on_join(self, _peer: NodeId, join: Join) -> list[Message]:
        rng = self._rng
        if rng.random() < 0.3:
            return [Busy(rng.choice((-1.0, 0.0, 1e300, float("inf"))), self._contacts())]
        generation = rng.choice((0, 1, join.generation, 2**53))
        return [Welcome(generation, rng.choice((-1.0, 5.0)), rng.choice((0, 3, 20_000)))]

    def _on_publish(self, _peer: NodeId, publish: Publish) -> list[Message]:
        if publish.signature is None:
            return []
        told = self._rng.choice((0, publish.generation, publish.generation + 1, 2**53))
        return [Published(told, self._rng.choice(("", "", "I do not like it")))]

    def _on_search(self, _peer: NodeId, search: Search) -> list[Message]:
        body = wire.pack(QueryBody(search.wanted, search.terms))
        hits = tuple(self._forgeries.some(body, self._rng.choice((0, 3, 10))))
        coverage = Coverage(2**53, None, 2**53, -1.0, complete=True)
        done = SearchDone(search.guid, coverage)
        return [SearchHits(search.guid, hits), SearchHits(search.guid, hits), done, done]

    def _on_wish(self, _peer: NodeId, wish: Wish) -> list[Message]:
        body = wire.pack(QueryBody(1, wish.terms))
        hits = WishHits(wish.wish, tuple(self._forgeries.some(body, self._rng.choice((0, 3, 10)))))
        refused = self._rng.choice(("", "", "I do not like it"))
        return [hits, Wished(wish.wish, refused), replace(hits, wish=new_guid(self._rng)), hits]

    def _on_locate(self, _peer: NodeId, locate: Locate) -> list[Message]:
        sources = self._forgeries.sources(self._rng.choice((0, 3, 50)))
        return [Sources(locate.guid, sources, done=True), Sources(locate.guid, sources)]

    # --- unasked ----------------------------------------------------------------------------

    def _turn(self, now: float) -> list[Effect]:
        """Something that nobody asked for, to each neighbour."""
        self._deadlines.set("turn", now + self._rng.uniform(*TURN_S))
        effects: list[Effect] = [
            Send(peer, Link(0, self._contacts()))
            for peer in self._foothold.linked
            if peer not in self._linked
        ]
        for peer in list(self._linked):
            effects += [Send(peer, message) for message in self._unasked(peer)]
        return effects

    def _unasked(self, peer: NodeId) -> list[Message]:
        if self._rng.random() < PARTS:
            self._linked.pop(peer, None)
            return self._leaves()
        name = self._rng.choice(list(self._SAYINGS))
        self.done[name] += 1
        return self._SAYINGS[name](self)

    def _burst(self) -> list[Effect]:
        """More queries at once than any neighbour is granted, to one of them."""
        asked = [self._asks(ttl=0)[0] for _ in range(BURST)]
        return [Send(peer, query) for peer in list(self._linked)[:1] for query in asked]

    def _gossips(self) -> list[Message]:
        return [Neighbourhood(self._rng.choice(ABSURD), self._contacts(), self._ids())]

    def _tells_digests(self) -> list[Message]:
        """That we have nothing, what others had, and what nobody signed."""
        rng, me = self._rng, self._nature.identity
        signed = me.sign(statement(self._nature.network.name, 14, BitMap()))
        said = [Patch(me.node, 14, afresh=True, signature=signed)]
        for digest in rng.sample(self._digests, min(3, len(self._digests))):
            said.append(digest)
            if rng.random() < FORGES_DIGESTS:
                said.append(replace(digest, added=rng.randbytes(9)))
                said.append(replace(digest, signature=bytes(64), afresh=True))
        return [Patches(tuple(rng.sample(said, rng.randint(1, len(said)))))]

    def _leaves(self) -> list[Message]:
        """No neighbour any more, and one again at once, which is too soon."""
        self.done["unlinked"] += 1
        return [Unlinked(self._contacts()), Link(0, self._contacts()), Linked(0)]

    def _asks(self, ttl: int | None = None) -> list[Message]:
        """A query of our own, at the limits; what comes is material."""
        rng = self._rng
        body = wire.pack(QueryBody(5_000, Terms((rng.choice(WORDS),))))
        nonce = rng.randbytes(16)
        hops = rng.choice((0, 1, 9, 10))
        depth = rng.choice((0, 1, 10)) if ttl is None else ttl
        return [Query(query_guid(nonce, body), nonce, depth, hops, body, rng.random() < 0.5)]

    def _junk(self) -> list[Message]:
        """Queries that are none: of another name, of no body, of nothing."""
        rng, nonce = self._rng, self._rng.randbytes(16)
        bodies = (b"", b"\xc1", wire.pack(QueryBody(1)), rng.randbytes(50))
        body = rng.choice(bodies)
        named = Query(query_guid(nonce, body), nonce, 10, 0, body)
        return [named, Query(new_guid(rng), nonce, 10, 1, body)]

    def _replays(self) -> list[Message]:
        """Queries of others: once more, with another body, extended, pruned, answered."""
        if not self._queries:
            return []
        query = self._rng.choice(list(self._queries.values()))
        other = Query(query.guid, query.nonce, 10, 1, b"\xc1")
        meddling: list[Message] = [Extend(query.guid), Prune(query.guid), self._done(query.guid)]
        hits = QueryHits(query.guid, tuple(self._forgeries.some(query.body, 2)))
        portion = Extend(query.guid, deeper=False, links=1)
        return [query, other, *meddling, portion, hits, Extend(new_guid(self._rng))]

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Message]]]] = {
        Link: _on_link,
        Linked: _on_linked,
        Patches: _on_patches,
        Query: _on_query,
        Extend: _on_extend,
        QueryHits: _on_query_hits,
        Join: _on_join,
        Publish: _on_publish,
        Search: _on_search,
        Locate: _on_locate,
        Wish: _on_wish,
    }

    _SAYINGS: ClassVar[dict[str, Callable[["Forger"], list[Message]]]] = {
        "digest": _tells_digests,
        "gossip": _gossips,
        "query": _asks,
        "junk query": _junk,
        "replay": _replays,
    }
