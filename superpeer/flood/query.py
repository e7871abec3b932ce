"""One super-peer's part of the tree that a query draws.

Whoever asked first is above us; the neighbours that we asked and that had not seen the query are
below. The tree grows ring by ring, and of each ring a node reports once: how many evaluated the
query below it and here, how many links it could still grow into, what it cost. `level` is to how
many links from here everybody is asked or ruled out; each ring makes it one more. The invariant: a
neighbour stands in at most one of `untried`, `owing` and `branches`, and leaves `untried` for good,
so nobody is asked the same query twice. Our own hits are taken from an iterator as they are let
out, never before. Nothing is sent from here; `superpeer.flood.flood` does that.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

from common.ids import Guid, NodeId
from common.limits import HOPS_MAX, TTL_MAX
from common.messages.cluster import Hit
from common.messages.overlay import Extent, Query, QueryDone
from superpeer.flood.credence import Credence
from superpeer.flood.tracing import Trail
from superpeer.overlay.reach import Reach

REPORT_MAX: Final = 2**32  # what we believe of a neighbour's sums, so that ours stay within Count


class Gap(Enum):
    """What stands among our own hits where there is none."""

    LATER = 1  # so much was looked at already; there may be more
    LEFT_OUT = 2  # not all was looked at, and no more will be


class Tree:
    """A query at this node, from its first arrival until nothing can come of it any more."""

    def __init__(
        self,
        query: Query,
        asker: NodeId,
        credence: Credence,
        own: Iterator[Hit | Gap],
        neighbours: Iterable[NodeId],
        places: tuple[int, ...],
    ) -> None:
        self.guid: Guid = query.guid
        self.nonce = query.nonce
        self.body = query.body  # as received: relays never repack
        self.guided = query.guided
        self.places = places  # in a digest, that a hit must have
        self.level = query.ttl - 1
        self._level_due = 0  # at least, in the next ring
        self.hops = query.hops
        self.asker = asker
        self.untried: dict[NodeId, None] = {peer: None for peer in neighbours if peer != asker}
        self.owing: dict[NodeId, None] = {}
        self.branches: dict[NodeId, int] = {}  # who evaluated for us -> the frontier below it
        self.outbox: list[Hit] = []  # from below
        self.running = True
        self.rings = 1
        self._own: Iterator[Hit | Gap] | None = own  # None: nothing is left of it
        self.credence = credence  # of hits from others
        self._hits_left = credence.wanted
        self._torn = False  # a branch that could have grown was lost between two rings
        self._lost = False
        self._left_out = False
        self._reached = 1
        self._messages = 0
        self._reports: list[tuple[NodeId, Extent]] = []  # of the branches, in this ring
        self._reach: Extent | None = None  # ... and here, in those before
        self._put_off: list[NodeId] = []  # of the untried: may have something, and can wait
        self.trail: Trail | None = None  # of a traced query

    @property
    def frontier(self) -> int:
        """Links into which the tree could still grow: ours and those below us."""
        return len(self.untried) + sum(self.branches.values())

    @property
    def ruled_out(self) -> list[NodeId]:
        """Whom we spared after a look at the digests."""
        if not self._may_grow:
            return []
        return [peer for peer in self.untried if peer not in self._put_off]

    @property
    def _may_grow(self) -> bool:
        return self.level > 0 and self.hops < HOPS_MAX

    # --- one ring ---------------------------------------------------------------------------

    def begin_ring(self, *, deeper: bool) -> None:
        """Forget the sums of the last ring; what broke since then counts for this one."""
        self.running = True
        self.rings += 1
        self.level = min(max(self.level, self._level_due) + deeper, TTL_MAX)
        self._lost, self._torn = self._torn, False
        self._left_out = False
        self._reached = self._messages = 0

    def grow(
        self,
        may_reach: Callable[[NodeId], bool],
        may_ask: Callable[[NodeId], bool],
        links: int | None = None,
    ) -> list[NodeId]:
        """The neighbours to forward the query to now, at most `links`; they owe an answer from here
        on. Who is ruled out or put off stays untried."""
        if not self._may_grow:
            return []
        peers = [peer for peer in self.untried if may_reach(peer)]
        peers, self._put_off = peers[:links], peers[links:] if links is not None else []
        for peer in peers:
            del self.untried[peer]
        return self._ask(peers, may_ask)

    def extend(self, may_ask: Callable[[NodeId], bool]) -> list[NodeId]:
        """The branches that can still grow; they owe an answer from here on."""
        peers = [peer for peer, frontier in self.branches.items() if frontier]
        for peer in peers:
            del self.branches[peer]
        return self._ask(peers, may_ask)

    def _ask(self, peers: list[NodeId], may_ask: Callable[[NodeId], bool]) -> list[NodeId]:
        asked = [peer for peer in peers if may_ask(peer)]
        if self.trail is not None:
            self.trail.missed([peer for peer in peers if peer not in asked], "left out")
        self._left_out |= len(asked) < len(peers)
        self.owing.update(dict.fromkeys(asked))
        return asked

    def query(self) -> Query:
        """What those below are asked with."""
        traced = self.trail is not None
        return Query(
            self.guid, self.nonce, self.level, self.hops + 1, self.body, self.guided, traced
        )

    def met_again(self, peer: NodeId, query: Query) -> None:
        """`peer` has the query as well: no need to send it there. It came by a longer way first if
        it should have covered more by now, which the next ring makes up for: this one's report
        must not count whom nobody looked at. There is no shorter way to where it comes from."""
        self.untried.pop(peer, None)
        if self.hops:
            self._level_due = max(self._level_due, query.ttl - 1)

    def note_asked(self, peers: Iterable[NodeId], now: float) -> None:
        """For the trace of this query, if there is one."""
        if self.trail is not None:
            self.trail.asked(peers, now)

    def sent(self, messages: int) -> None:
        """Count what this node sent for the query in this ring."""
        self._messages += messages
        if self.trail is not None:
            self.trail.messages += messages

    def answered(self, peer: NodeId, done: QueryDone, now: float) -> None:
        """`peer`, which owed it, has told how its part of the ring went."""
        if self.trail is not None:
            self.trail.answered(peer, done, now)
        del self.owing[peer]
        self._messages += min(done.messages, REPORT_MAX)
        if done.duplicate:
            return
        self._reached += min(done.reached, REPORT_MAX)
        self._lost |= done.lost
        self._left_out |= done.left_out
        if done.reach is not None:
            self._reports.append((peer, done.reach))
        if done.frontier:
            self.branches[peer] = min(done.frontier, REPORT_MAX)

    def lose(self, peer: NodeId) -> None:
        """`peer` will not answer any more."""
        self.untried.pop(peer, None)  # a link that is gone is no way to grow
        if peer in self.owing:
            del self.owing[peer]
            self._lost = True
            if self.trail is not None:
                self.trail.missed([peer], "lost")
        elif self.branches.pop(peer, 0):
            self._torn = True

    def reach(
        self,
        near: Reach,
        covered: Iterable[int],
        believed: Callable[[NodeId, Extent], Extent],
    ) -> Extent:
        """Whom we (`near`) and the branches know, and who is covered, as far as each branch is
        `believed`."""
        reach = near.copy()
        if self._reach is not None:
            reach.merge(self._reach)
        reach.cover(covered)
        for peer, extent in self._reports:
            reach.merge(believed(peer, extent))
        self._reports.clear()
        self._reach = reach.extent()
        return self._reach

    def report(self, reach: Extent | None, hits: Iterable[Hit] = ()) -> QueryDone:
        """End the ring: its sums, and its last hits."""
        self.running = False
        return QueryDone(
            guid=self.guid,
            reached=min(self._reached, REPORT_MAX),
            frontier=min(self.frontier, REPORT_MAX),
            messages=min(self._messages, REPORT_MAX),
            lost=self._lost,
            left_out=self._left_out,
            reach=reach,
            put_off=bool(self._put_off),
            trace=() if self.trail is None else self.trail.hops(self.ruled_out),
            hits=tuple(hits),
        )

    # --- hits on their way up ---------------------------------------------------------------

    def take_in(self, hits: Iterable[Hit]) -> int:
        """Queue hits for the asker, never more than it wanted in all; how many were too many."""
        hits = list(hits)
        taken = hits[: self._hits_left]
        self._hits_left -= len(taken)
        self.outbox += taken
        return len(hits) - len(taken)

    @property
    def has_hits(self) -> bool:
        """Whether hits may still go up in this ring."""
        return bool(self.outbox) or self._own is not None

    @property
    def is_over(self) -> bool:
        """Whether this ring is, and only the report is missing."""
        return self.running and not self.owing and not self.has_hits

    def let_out(self, count: int) -> list[Hit]:
        """At most `count` hits to send up now, our own first: they cost nothing while they wait."""
        hits = self._own_hits(min(count, self._hits_left))
        self._hits_left -= len(hits)
        if self.trail is not None:
            self.trail.hits += len(hits)
        below = self.outbox[: count - len(hits)]
        del self.outbox[: len(below)]
        return hits + below

    def _own_hits(self, count: int) -> list[Hit]:
        hits: list[Hit] = []
        while self._own is not None and len(hits) < count:
            own = next(self._own, None)
            if own is Gap.LATER:
                break
            if isinstance(own, Hit):
                hits.append(own)
            else:
                self._own = None
                self._left_out |= own is Gap.LEFT_OUT
        if not self._hits_left - len(hits):
            self._own = None
        return hits

    def cut(self) -> None:
        """The ring's time is over: what has not gone up is lost."""
        self._lost |= self.has_hits
        self.outbox.clear()
        self._own = None
