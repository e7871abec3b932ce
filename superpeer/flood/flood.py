"""Queries among super-peers: everyone's part of the tree that a query draws.

A query is evaluated and forwarded by a node at most once, whatever arrives how often: its GUID,
which is the hash of what it asks, is remembered longer than its tree. Hits and reports go up to the
one it first came from, who is told `done` when all that we asked have reported (echo termination),
were lost, or took too long; so a ring always ends. Who took too long is left out for a while
(`superpeer.flood.silence`). Depth grows by `Extend` alone, which walks the tree to its frontier.

The origin is a super-peer that was asked by itself (`superpeer.search.search` asks, once its own
index has not enough, and the role loops what we send to ourselves). Nothing here knows leaves.

For one GUID each neighbour sends another at most one `Query`, answered by one `QueryDone`; a ring
beyond the first adds one `Extend` and one `QueryDone` per link of the tree (n - 1 of them). With e
links that is at most 2 (2e - n + 1) + 2 (n - 1) (rings - 1) messages, and the hits.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Final

from common import wire
from common.config import FloodConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.errors import RemoteProtocolError
from common.hearsay import hits_as_seen
from common.ids import Guid, NodeId
from common.limits import DEGREE_MAX, HITS_PER_FRAME_MAX, HOPS_MAX
from common.messages.cluster import Hit
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
from superpeer.flood.credence import Credence
from superpeer.flood.guide import Guide, places
from superpeer.flood.hitflow import HitFlow, WaitingHits
from superpeer.flood.lanes import Lanes
from superpeer.flood.paces import Paces
from superpeer.flood.query import Gap, Tree
from superpeer.flood.seen import Seen
from superpeer.flood.silence import Silence
from superpeer.flood.tracing import Allowance, Trail

Evaluate = Callable[[QueryBody], Iterator[Hit | Gap]]

STEPS_MAX: Final = HOPS_MAX + DEGREE_MAX  # of one query: a link deeper, or one more asked
_PATIENCE_PER_HOP: Final = 0.75 / HOPS_MAX  # the deepest give up after a quarter of the time


class Flood:
    """The queries that this node has seen, and the trees of those that are still open.

    `links` and `neighbours` are read as they are at the moment; `evaluate` asks our own index,
    `guide` the digests of others; `askable` are the neighbours of whom anything new may be asked.
    """

    def __init__(
        self,
        me: NodeId,
        *,
        config: FloodConfig,
        links: Mapping[NodeId, LinkUp],
        neighbours: Mapping[NodeId, object],
        evaluate: Evaluate,
        guide: Guide,
        askable: Callable[[], list[NodeId]],
        is_proven: Callable[[Hit], bool],
        push: Callable[..., list[Effect]] = lambda *_: [],
    ) -> None:
        self._me = me
        self._push = push
        self._config = config
        self._links = links
        self._neighbours = neighbours
        self._evaluate = evaluate
        self._guide = guide
        self._askable = askable
        self._is_proven = is_proven
        self._deadlines = Deadlines()
        self.seen = Seen(config)
        self._trees: dict[Guid, Tree] = {}  # oldest first
        self._flows: dict[NodeId, HitFlow] = {}  # by asker
        self._waiting = WaitingHits(me, config.waiting_link_max, config.waiting_max)
        self.paces = Paces(lambda _peer: (config.queries_per_s, config.queries_burst))
        self.lanes = Lanes()
        self._silence = Silence(config)
        self._traces = Allowance()
        self.evaluated = 0
        self.forwarded = 0
        self.duplicates = 0
        self.dropped: Counter[str] = Counter()

    def evaluate(self, body: QueryBody) -> Iterator[Hit | Gap]:
        """What our own index has, for others or for ourselves; each query once."""
        self.evaluated += 1
        return self._evaluate(body)

    @property
    def open(self) -> int:
        """How many trees we are part of."""
        return len(self._trees)

    def has_met(self, query: Query) -> bool:
        """Whether it will be answered `duplicate`, which costs nothing."""
        return query.guid in self.seen or query.guid in self._trees

    # --- messages ---------------------------------------------------------------------------

    def on_query(self, peer: NodeId, query: Query, now: float) -> list[Effect]:
        """Evaluate and forward what is new; say `duplicate` to what is not."""
        if self._is_stranger(peer):
            return self._drop("query_of_stranger")
        if self.has_met(query):
            self.duplicates += 1
            tree = self._trees.get(query.guid)
            if tree is not None:
                tree.met_again(peer, query)
            return [Send(peer, QueryDone(query.guid, duplicate=True, messages=1))]
        if query.guid != query_guid(query.nonce, query.body):
            self._drop("query_forged")
            return [Send(peer, QueryDone(query.guid, messages=1, lost=True))]
        body = self._decoded(query)
        if body is None:
            return [Send(peer, QueryDone(query.guid, messages=1))]
        self.seen.add(query.guid, now)
        credence = Credence(body, self._is_proven)
        own = iter(()) if peer == self._me else self.evaluate(body)
        tree = Tree(query, peer, credence, own, self._askable(), places(body))
        if query.traced and self._traces.take(now):
            tree.trail = Trail(self._me, query.hops, now)
        pushed = [] if peer == self._me else self._push(body, now, self._links[peer].address)
        effects = [*self._make_room(), *pushed]
        self._trees[tree.guid] = tree
        self.lanes.owe(peer)
        self._deadlines.set(("open", tree.guid), now + self._config.open_s)
        self._start_clock(tree, now)
        effects += self._forward(tree, now)
        return effects + self._advance(tree, now)

    def give_up(self, peer: NodeId, query: Query, _now: float) -> list[Effect]:
        """It waited too long for its turn here; asking again helps nothing."""
        self._drop("query_too_late")
        return [Send(peer, QueryDone(query.guid, messages=1, left_out=True))]

    def on_extend(self, peer: NodeId, extend: Extend, now: float) -> list[Effect]:
        """Grow the tree by one ring; who does not know it any more says that it is lost."""
        if self._is_stranger(peer):
            return self._drop("query_of_stranger")
        tree = self._trees.get(extend.guid)
        if tree is None:
            return [Send(peer, QueryDone(extend.guid, messages=1, lost=True))]
        if peer != tree.asker or tree.running or tree.rings > STEPS_MAX:
            return self._drop("extend_unasked")
        tree.begin_ring(deeper=extend.deeper)
        self.lanes.owe(peer)
        self._start_clock(tree, now)
        effects: list[Effect] = []
        if extend.deeper:
            branches = tree.extend(lambda below: self._silence.may_ask(below, now))
            tree.note_asked(branches, now)
            effects += self._ask(tree, branches, Extend(tree.guid))
        effects += self._forward(tree, now, extend.links or None)
        return effects + self._advance(tree, now)

    def on_query_hits(self, peer: NodeId, message: QueryHits, now: float) -> list[Effect]:
        """Pass hits on towards the origin, if we wait for them and may believe their addresses."""
        tree = self._trees.get(message.guid)
        if tree is None or peer not in tree.owing:
            return self._drop("hits_unasked", len(message.hits))
        self._take_in(tree, peer, message.hits)
        return self._advance(tree, now) + self._shed_waiting(tree.asker)

    def on_query_done(self, peer: NodeId, message: QueryDone, now: float) -> list[Effect]:
        """One of those we asked has nothing more to say in this ring."""
        tree = self._trees.get(message.guid)
        if tree is None or peer not in tree.owing:
            return self._drop("done_unasked")
        self._silence.answered(peer)
        self._take_in(tree, peer, message.hits)
        tree.answered(peer, message, now)
        effects = self._ask_next(peer, tree.guid) + self._advance(tree, now)
        return effects + self._shed_waiting(tree.asker)

    def on_prune(self, peer: NodeId, message: Prune, _now: float) -> list[Effect]:
        """The origin has enough: forget the tree, not the GUID."""
        tree = self._trees.get(message.guid)
        if tree is None:
            return []  # it ended by itself, as trees do that cannot grow
        return self._fell(tree) if peer == tree.asker else self._drop("prune_unasked")

    # --- links and time ---------------------------------------------------------------------

    def neighbour_lost(self, peer: NodeId, now: float) -> list[Effect]:
        """Whatever `peer` still owed is lost; what it asked nobody wants any more."""
        self.paces.leave(peer)
        self.lanes.leave(peer)
        effects: list[Effect] = []
        for tree in list(self._trees.values()):
            if peer == tree.asker:
                effects += self._fell(tree)
            else:
                tree.lose(peer)
                effects += self._advance(tree, now)
        self._flows.pop(peer, None)
        self._waiting.leave(peer)
        self._deadlines.cancel(("hits", peer))
        return effects

    def due(self, now: float) -> list[Effect]:
        """Send the hits that waited, give up on who is late, and forget trees that are too old."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._on_due(key, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    def _on_due(self, key: Hashable, now: float) -> list[Effect]:
        if not isinstance(key, tuple):
            return []
        what, whose = key
        if what == "hits":
            return self._send_hits(whose, now)
        tree = self._trees.get(whose)
        if tree is None:
            return []
        return self._abandon(tree) if what == "open" else self._end_ring(tree, now)

    def _end_ring(self, tree: Tree, now: float) -> list[Effect]:
        """A ring took too long: report without those that still owe an answer, who may stop."""
        late = list(tree.owing)
        for peer in late:
            self._silence.missed(peer, now)
            tree.lose(peer)
        self._waiting.add(tree.asker, -len(tree.outbox))
        tree.cut()
        return [*self._prune(tree, late), *self._advance(tree, now)]

    # --- the steps they share ---------------------------------------------------------------

    def _take_in(self, tree: Tree, peer: NodeId, hits: tuple[Hit, ...]) -> None:
        """Hits of `peer` may go up, if we may believe their addresses and they are not too many."""
        in_scope = hits_as_seen(hits, peer, self._links[peer].address) if hits else []
        credible = tree.credence.picked(in_scope)
        too_many = tree.take_in(credible)
        self._waiting.add(tree.asker, len(credible) - too_many)
        self._drop("hits_out_of_scope", len(hits) - len(in_scope))
        self._drop("hits_not_proven", len(in_scope) - len(credible))
        self._drop("hits_too_many", too_many)

    def _is_stranger(self, peer: NodeId) -> bool:
        return peer != self._me and peer not in self._neighbours

    def _decoded(self, query: Query) -> QueryBody | None:
        """What is asked; None, and counted, where it is not our protocol."""
        try:
            return wire.unpack(query.body, QueryBody)
        except RemoteProtocolError:
            self._drop("query_undecodable")
            return None

    def _make_room(self) -> list[Effect]:
        """Shed the oldest tree where there would be too many (THREATS T8)."""
        if len(self._trees) < self._config.open_max:
            return []
        self._drop("query_shed")
        return self._abandon(self._trees[next(iter(self._trees))])

    def _shed_waiting(self, asker: NodeId) -> list[Effect]:
        """Shed the oldest trees while too many hits wait for `asker`, or for anybody."""
        effects: list[Effect] = []
        while (longest := self._waiting.overfull(asker)) is not None:
            effects += self._shed_oldest_of(longest)
        return effects

    def _shed_oldest_of(self, asker: NodeId) -> list[Effect]:
        trees = (tree for tree in self._trees.values() if tree.asker == asker and tree.outbox)
        self._drop("query_shed")
        return self._abandon(next(trees))

    def _start_clock(self, tree: Tree, now: float) -> None:
        """A ring has a time limit: the shorter the deeper, so that reports from below arrive
        before the one above gives up on us."""
        patience_s = self._config.ring_s * (1 - _PATIENCE_PER_HOP * tree.hops)
        self._deadlines.set(("ring", tree.guid), now + patience_s)

    def _forward(self, tree: Tree, now: float, links: int | None = None) -> list[Effect]:
        """Ask the neighbours that were not asked and did not ask us, at most `links`, but for those
        that can be spared."""
        peers = tree.grow(
            lambda below: self._guide.may_reach(tree, below, now),
            lambda below: self._silence.may_ask(below, now),
            links,
        )
        self.forwarded += len(peers)
        tree.note_asked(peers, now)
        return self._ask(tree, peers, tree.query()) if peers else []

    def _advance(self, tree: Tree, now: float) -> list[Effect]:
        """Send the hits that may go; report when all of them are sent and nobody owes anything."""
        if not tree.has_hits:
            return self._report(tree) if tree.is_over else []
        self._flows.setdefault(tree.asker, HitFlow()).queue(tree.guid)
        return self._send_hits(tree.asker, now)

    def _send_hits(self, asker: NodeId, now: float) -> list[Effect]:
        """Let as many hits go up to `asker` as its window takes, some of each query in turn."""
        flow = self._flows[asker]
        flow.open_window(now)
        effects: list[Effect] = []
        while flow and flow.left:
            tree = self._trees[flow.next()]
            before = len(tree.outbox)
            hits = tuple(tree.let_out(min(flow.left, HITS_PER_FRAME_MAX)))
            self._waiting.add(asker, len(tree.outbox) - before)
            flow.left -= len(hits)
            effects += self._pass_up(tree, hits)
            if tree.has_hits:
                if not hits:  # looking at fifty in vain costs as much as ten hits
                    flow.left -= min(HITS_PER_FRAME_MAX, flow.left)
                flow.queue(tree.guid)
        if flow:
            self._deadlines.set(("hits", asker), flow.window_end)
        return effects

    def _pass_up(self, tree: Tree, hits: tuple[Hit, ...]) -> list[Effect]:
        """Hits, the last with the report; but not where a trace needs all the room of a frame."""
        if tree.is_over and tree.trail is None:
            return self._report(tree, hits)
        sent = self._to_all(tree, [tree.asker], QueryHits(tree.guid, hits)) if hits else []
        return sent + self._report(tree) if tree.is_over else sent

    def _report(self, tree: Tree, hits: tuple[Hit, ...] = ()) -> list[Effect]:
        """Tell the asker that the ring is over here, and its last hits; a tree that cannot grow
        ends with it."""
        self._deadlines.cancel(("ring", tree.guid))
        tree.sent(int(tree.asker != self._me))
        report = tree.report(self._guide.reach(tree), hits)
        self.lanes.paid(tree.asker)
        if not tree.frontier:
            self._forget(tree)
        return [Send(tree.asker, report)]

    def _abandon(self, tree: Tree) -> list[Effect]:
        """Give up a tree ourselves: who waits for our report is told that it is lost."""
        lost = QueryDone(tree.guid, messages=1, lost=True)
        told: list[Effect] = [Send(tree.asker, lost)] if tree.running else []
        return told + self._fell(tree)

    def _fell(self, tree: Tree) -> list[Effect]:
        """Forget a tree and tell those below that might still work for it."""
        self._forget(tree)
        return self._prune(tree, [*tree.owing, *tree.branches])

    def _prune(self, tree: Tree, peers: list[NodeId]) -> list[Effect]:
        """These need not answer any more: what was not sent to them yet never is."""
        effects: list[Effect] = []
        for peer in peers:
            if not self.lanes.take_back(peer, tree.guid):
                effects += [Send(peer, Prune(tree.guid)), *self._ask_next(peer, tree.guid)]
        return effects

    def _forget(self, tree: Tree) -> None:
        del self._trees[tree.guid]
        if tree.running:
            self.lanes.paid(tree.asker)
        self._waiting.add(tree.asker, -len(tree.outbox))
        if tree.asker in self._flows:
            self._flows[tree.asker].leave(tree.guid)
        for what in ("open", "ring"):
            self._deadlines.cancel((what, tree.guid))

    def _ask(self, tree: Tree, peers: list[NodeId], question: Query | Extend) -> list[Effect]:
        """Ask these within their credit, now or when it allows."""
        return self._to_all(
            tree, [peer for peer in peers if self.lanes.may_ask(peer, question)], question
        )

    def _ask_next(self, peer: NodeId, answered: Guid) -> list[Effect]:
        """A neighbour owes one answer less: ask it what waited."""
        question = self.lanes.answered(peer, answered)
        return self._to_all(self._trees[question.guid], [peer], question) if question else []

    def _to_all(self, tree: Tree, peers: list[NodeId], message: Message) -> list[Effect]:
        """Send, and count it as the query's cost unless it is to ourselves."""
        tree.sent(sum(peer != self._me for peer in peers))
        return [Send(peer, message) for peer in peers]

    def _drop(self, why: str, count: int = 1) -> list[Effect]:
        if count:
            self.dropped[why] += count
        return []
