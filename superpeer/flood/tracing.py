"""The way that one query went, for those that asked to see it: a hop for each super-peer.

Of a traced query every report carries the tree behind it: who was asked, who had seen it, who was
ruled out by a digest, who was left out or lost, and how long each took. It tells nothing but keys
of super-peers, which whoever asks may learn anyway. Each node vouches for the times and outcomes of
those it asked itself; what they say of others is theirs. A trace is cut at TRACE_HOPS_MAX hops,
least telling first. Nothing is kept for a query that nobody traces, and so many are traced at most.
"""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from common.ids import NodeId
from common.limits import HOPS_MAX, TRACE_HOPS_MAX
from common.messages.cluster import Hop, Outcome
from common.messages.overlay import QueryDone
from common.rates import Bucket

TRACES_PER_S: Final = 2.0  # of all queries here, whoever they are of; the others are not traced
TRACES_BURST: Final = 20


class Allowance:
    """Whether one more query may be traced here."""

    def __init__(self) -> None:
        self._bucket: Bucket | None = None

    def take(self, now: float) -> bool:
        """Take one."""
        self._bucket = self._bucket or Bucket(TRACES_PER_S, TRACES_BURST, now)
        return self._bucket.take(now)


class Trail:
    """One node's part of a trace, in all rings; `messages` and `hits` are its own."""

    __slots__ = (
        *("_asked_at", "_began", "_below", "_depth", "_last", "_me", "_outcomes", "_waited_s"),
        *("hits", "messages"),
    )

    def __init__(self, me: NodeId, depth: int, now: float) -> None:
        self._me = me
        self._depth = depth
        self._began = self._last = now
        self._asked_at: dict[NodeId, float] = {}
        self._waited_s: dict[NodeId, float] = {}
        self._below: dict[NodeId, tuple[Hop, ...]] = {}
        self._outcomes: dict[NodeId, Outcome] = {}
        self.messages = 0
        self.hits = 0

    def asked(self, peers: Iterable[NodeId], now: float) -> None:
        """These are asked now."""
        for peer in peers:
            self._asked_at[peer] = now

    def answered(self, peer: NodeId, done: QueryDone, now: float) -> None:
        """One that was asked has reported."""
        self._last = now
        waited_s = now - self._asked_at.pop(peer, now)
        self._waited_s[peer] = self._waited_s.get(peer, 0.0) + waited_s
        self._outcomes[peer] = "duplicate" if done.duplicate else "answered"
        if done.trace:
            self._below[peer] = done.trace

    def missed(self, peers: Iterable[NodeId], outcome: Outcome) -> None:
        """These were not asked, or did not answer."""
        for peer in peers:
            self._outcomes[peer] = outcome

    def hops(self, ruled_out: Iterable[NodeId]) -> tuple[Hop, ...]:
        """The tree as far as it is known here."""
        elapsed_us = round(1e6 * (self._last - self._began))
        me = Hop(self._me, self._depth, "answered", self.messages, self.hits, elapsed_us)
        outcomes: dict[NodeId, Outcome] = dict.fromkeys(ruled_out, "ruled out")
        outcomes.update(self._outcomes)
        telling: list[Hop] = []
        others: list[Hop] = []
        for peer, outcome in outcomes.items():
            subtree = self._subtree(peer, outcome)
            (others if outcome in ("duplicate", "ruled out") else telling).extend(subtree)
        below = [*telling, *others]
        cut = len(below) - (TRACE_HOPS_MAX - 1)
        return (replace(me, cut=max(cut, 0)), *below[: TRACE_HOPS_MAX - 1])

    def _subtree(self, peer: NodeId, outcome: Outcome) -> list[Hop]:
        """What one that we asked says of itself and of those below, as far as it can be."""
        depth = min(self._depth + 1, HOPS_MAX)
        told = self._below.get(peer, ())
        first = told[0] if told else Hop(peer, depth)
        waited_us = round(1e6 * self._waited_s.get(peer, 0.0))
        first = replace(first, node=peer, depth=depth, outcome=outcome, elapsed_us=waited_us)
        return [first, *[hop for hop in told[1:] if hop.depth > depth]]
