"""One super-peer's part of the tree that a query draws.

Whoever asked first is above us; the neighbours that we asked and that had not seen the query are
below. The tree grows ring by ring, and of each ring a node reports once: how many evaluated the
query below it and here, how many links it could still grow into, what it cost. The invariant: a
neighbour stands in at most one of `untried`, `owing` and `branches`, and leaves `untried` for good,
so nobody is asked the same query twice. Nothing is sent from here; `superpeer.flood` does that.
"""

from collections.abc import Iterable
from typing import Final

from common.ids import Guid, NodeId
from common.limits import HOPS_MAX
from common.messages.cluster import Hit
from common.messages.overlay import Query, QueryDone

HITS_PER_WINDOW: Final = 40  # of at most 2.3 KB: one query never fills a link's 96 KiB queue
WINDOW_S: Final = 0.01  # so at most 4,000 hits/s of one query cross a link; wild guess
REPORT_MAX: Final = 2**32  # what we believe of a neighbour's sums, so that ours stay within Count


class Tree:
    """A query at this node, from its first arrival until nothing can come of it any more."""

    def __init__(
        self, query: Query, asker: NodeId, wanted: int, neighbours: Iterable[NodeId]
    ) -> None:
        self.guid: Guid = query.guid
        self.body = query.body  # as received: relays never repack
        self.hops = query.hops
        self.asker = asker
        self.untried: dict[NodeId, None] = {peer: None for peer in neighbours if peer != asker}
        self.owing: dict[NodeId, None] = {}
        self.branches: dict[NodeId, int] = {}  # who evaluated for us -> the frontier below it
        self.outbox: list[Hit] = []
        self.running = True
        self.window_end = 0.0
        self._window_left = 0
        self._hits_left = wanted
        self._torn = False  # a branch that could have grown was lost between two rings
        self._lost = False
        self._reached = 1
        self._messages = 0

    @property
    def frontier(self) -> int:
        """Links into which the tree could still grow: ours and those below us."""
        return len(self.untried) + sum(self.branches.values())

    # --- one ring ---------------------------------------------------------------------------

    def begin_ring(self) -> None:
        """Forget the sums of the last ring; what broke since then counts for this one."""
        self.running = True
        self._lost, self._torn = self._torn, False
        self._reached = self._messages = 0

    def grow(self) -> list[NodeId]:
        """The neighbours to forward the query to now; they owe an answer from here on."""
        if self.hops >= HOPS_MAX:
            return []
        asked = list(self.untried)
        self.untried.clear()
        self.owing.update(dict.fromkeys(asked))
        return asked

    def extend(self) -> list[NodeId]:
        """The branches that can still grow; they owe an answer from here on."""
        asked = [peer for peer, frontier in self.branches.items() if frontier]
        for peer in asked:
            del self.branches[peer]
        self.owing.update(dict.fromkeys(asked))
        return asked

    def sent(self, messages: int) -> None:
        """Count what this node sent for the query in this ring."""
        self._messages += messages

    def answered(self, peer: NodeId, done: QueryDone) -> None:
        """`peer`, which owed it, has told how its part of the ring went."""
        del self.owing[peer]
        self._messages += min(done.messages, REPORT_MAX)
        if done.duplicate:
            return
        self._reached += min(done.reached, REPORT_MAX)
        self._lost |= done.lost
        if done.frontier:
            self.branches[peer] = min(done.frontier, REPORT_MAX)

    def lose(self, peer: NodeId) -> None:
        """`peer` will not answer any more."""
        self.untried.pop(peer, None)  # a link that is gone is no way to grow
        if peer in self.owing:
            del self.owing[peer]
            self._lost = True
        elif self.branches.pop(peer, 0):
            self._torn = True

    def report(self) -> QueryDone:
        """End the ring: its sums."""
        self.running = False
        return QueryDone(
            guid=self.guid,
            reached=min(self._reached, REPORT_MAX),
            frontier=min(self.frontier, REPORT_MAX),
            messages=min(self._messages, REPORT_MAX),
            lost=self._lost,
        )

    # --- hits on their way up ---------------------------------------------------------------

    def take_in(self, hits: Iterable[Hit]) -> int:
        """Queue hits for the asker, never more than it wanted in all; how many were too many."""
        hits = list(hits)
        taken = hits[: self._hits_left]
        self._hits_left -= len(taken)
        self.outbox += taken
        return len(hits) - len(taken)

    def let_out(self, now: float) -> list[Hit]:
        """The hits that may go up now; the others wait for `window_end`."""
        if now >= self.window_end:
            self._window_left = HITS_PER_WINDOW
            self.window_end = now + WINDOW_S
        hits = self.outbox[: self._window_left]
        self._window_left -= len(hits)
        del self.outbox[: len(hits)]
        return hits
