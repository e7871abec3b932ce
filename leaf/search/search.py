"""A leaf's searches: ask the parent, stream what comes, and remember the last result.

Every open search has a deadline and ends exactly once: done, refused, timed out, left by who asked,
or cut short by the end of the leaf. A parent that is lost in between is replaced by the next one,
which is asked under a fresh GUID while time is left; while an heir is being joined, or a parent was
lost a moment ago, searches wait for the next. Where the parent is silent for a moment the heir is
asked as well, not too often, and whoever is done first answers. Hits merge by content and leaf, so
nobody counts twice. What a hit must prove stands in `leaf.search.hits`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Final

from common.addresses import Address
from common.config import SearchConfig
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Effect,
    Event,
    Fail,
    Received,
    Send,
    Stopped,
    Tell,
    Woke,
)
from common.deadlines import Deadlines
from common.errors import Exit, UserError
from common.hearsay import hit_as_seen
from common.ids import Guid, NodeId, new_guid, node_text
from common.limits import HITS_PER_QUERY_MAX
from common.messages import cluster
from common.messages.cluster import Coverage, Forget, Hop, SearchDone, SearchHits, Strategy
from common.messages.fields import Contact
from common.rates import Bucket
from common.terms import Terms
from leaf.methods import (
    CoverageRow,
    HopRow,
    Search,
    SearchResult,
    TraceOf,
    TraceResult,
)
from leaf.search.hits import Content, Row, Verifier, best_first
from leaf.search.lastresult import LastResult
from leaf.search.wording import checked
from leaf.signals import Inherits, Joined, Orphaned

TRACES_KEPT: Final = 16  # of 500 hops at most
SOURCES_PER_ROW: Final = 4  # hits wanted for each row asked for, since many leaves have one file
WAIT_S_MAX: Final = 3_600.0
LOST_S: Final = 10.0  # so long after its end the next parent is waited for; wild guess
_KEEPS_TRYING: Final = "It keeps trying; `leaf doctor --super HOST` tests the way to one."

_HEDGE: Final = "hedge"


@dataclass(slots=True)
class _Open:
    """One search that is not answered yet."""

    call: int
    params: Search
    terms: Terms
    strategy: Strategy
    began: float
    guid: Guid | None = None  # None: nobody is asked now
    hedge: Guid | None = None  # under which the heir is asked
    asked_at: float = 0.0
    id: str = ""  # the last GUID, for people
    rows: dict[Content, Row] = field(default_factory=dict)
    taken: dict[Guid, int] = field(default_factory=dict)  # hits believed, of each that is asked
    shown: int = 0  # rows told of as they came, never more than are asked for

    @property
    def wanted(self) -> int:
        return min(self.params.limit * SOURCES_PER_ROW, HITS_PER_QUERY_MAX)


class Searches:
    """The open searches of a leaf and the last finished one."""

    __slots__ = (
        *("_calls", "_config", "_deadlines", "_heard_at", "_hedges", "_heir", "_last", "_open"),
        *(
            "_lost_at",
            "_parent",
            "_parent_address",
            "_rng",
            "_rtt_s",
            "_traces",
        ),
        "_verifier",
        *("_waits", "_why_none", "dropped", "hedged"),
    )

    def __init__(
        self,
        network: str,
        config: SearchConfig,
        rng: Random,
        heard_at: Callable[[NodeId], float] = lambda _peer: float("inf"),
        rtt_s: Callable[[NodeId], float] = lambda _peer: 0.0,
        why_none: Callable[[], str] = lambda: "not asked yet",
    ) -> None:
        """`heard_at`: when we last heard of our parent; `rtt_s`: how far away it is; `why_none`:
        why there is none now, which may be another reason than that of its loss."""
        self._config = config
        self._heard_at = heard_at
        self._rtt_s = rtt_s
        self._why_none = why_none
        self._heir: Contact | None = None
        self._waits = False  # for an heir that is being joined
        self._hedges: Bucket | None = None
        self.hedged = 0
        """How many searches the heir was asked for as well."""
        self._rng = rng
        self._verifier = Verifier(network)
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._lost_at = float("-inf")  # when we last had one
        self._open: dict[int, _Open] = {}  # by call
        self._calls: dict[Guid, int] = {}
        self._last = LastResult()
        self._traces: dict[str, TraceResult] = {}  # the last ones
        self._deadlines = Deadlines()
        self.dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot ask."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    # --- asking -----------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        return self._METHODS[event.method](self, event, now)

    def _asked_search(self, event: Asked, now: float) -> list[Effect]:
        params = event.params
        if not isinstance(params, Search):
            raise TypeError(event.method)
        terms, strategy = checked(params)
        if self._parent is None and not self._waits and now - self._lost_at > LOST_S:
            raise UserError(Exit.UNREACHABLE, self._no_parent, _KEEPS_TRYING)
        if len(self._open) >= self._config.searches_max:
            message = f"{len(self._open)} searches are open already."
            raise UserError(Exit.REFUSED, message, "Try again in a moment.")
        search = _Open(event.call, params, terms, strategy, now)
        self._open[event.call] = search
        self._deadlines.set(event.call, now + min(params.wait, WAIT_S_MAX))
        return self._ask(search, now)

    def _asked_get(self, event: Asked, _now: float) -> list[Effect]:
        return self._last.get(event)

    def _asked_trace(self, event: Asked, _now: float) -> list[Effect]:
        wanted = event.params.id if isinstance(event.params, TraceOf) else ""
        wanted = wanted or next(reversed(self._traces), "")
        if wanted not in self._traces:
            hint = "`leaf search --trace` makes one; with --json it tells its id."
            raise UserError(Exit.NOTHING_FOUND, "There is no trace of that search.", hint)
        return [Answer(event.call, self._traces[wanted])]

    @property
    def _no_parent(self) -> str:
        return f"This leaf has no super-peer: {self._why_none()}."

    def _ask(self, search: _Open, now: float) -> list[Effect]:
        if self._parent is None:
            return []
        search.guid, search.asked_at = new_guid(self._rng), now
        search.taken.clear()
        search.id = search.guid.hex()
        if self._heir is not None:
            wait_s = self._config.hedge_s + 2 * self._rtt_s(self._parent)
            self._deadlines.set((_HEDGE, search.call), now + wait_s)
        return [self._question(search, self._parent, search.guid)]

    def _question(self, search: _Open, peer: NodeId, guid: Guid) -> Send:
        self._calls[guid] = search.call
        params = search.params
        message = cluster.Search(
            guid, search.terms, search.wanted, params.ttl, search.strategy, params.trace
        )
        return Send(peer, message)

    def _hedge(self, search: _Open, now: float) -> list[Effect]:
        """Ask the heir too, if the parent has not been heard of since it was asked."""
        self._hedges = self._hedges or Bucket(
            self._config.hedges_per_s, self._config.hedges_burst, now
        )
        if self._parent is None or self._heir is None or search.hedge is not None:
            return []
        if self._heard_at(self._parent) > search.asked_at or not self._hedges.take(now):
            return []
        self.hedged += 1
        search.hedge = new_guid(self._rng)
        return [self._question(search, self._heir.node, search.hedge)]

    def _joined(self, event: Joined, now: float) -> list[Effect]:
        self._parent, self._parent_address, self._waits = event.parent, event.address, False
        return [effect for search in self._open.values() for effect in self._ask(search, now)]

    def _orphaned(self, event: Orphaned, now: float) -> list[Effect]:
        self._lost_at = now if self._parent is not None else self._lost_at
        self._parent, self._heir, self._waits = None, None, event.soon
        self._calls.clear()
        for search in self._open.values():
            search.guid = search.hedge = None
        return []

    def _inherits(self, event: Inherits, _now: float) -> list[Effect]:
        self._heir = event.heir
        return []

    # --- what comes -------------------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        message = event.message
        if not isinstance(message, SearchHits | SearchDone):
            return []
        search, address = self._of(message.guid), self._parent_address
        if event.peer != self._parent:
            heir = self._heir
            if heir is None or event.peer != heir.node:
                return self._drop("not from the parent")
            if search is None or search.hedge != message.guid:
                return self._drop("not asked of the heir")
            address = heir.address
        if isinstance(message, SearchDone):
            return self._on_done(search, message, now)
        if search is None or address is None:
            return self._drop("hits of no search")
        return self._on_hits(search, message, event.peer, address)

    def _on_hits(
        self, search: _Open, message: SearchHits, teller: NodeId, address: Address
    ) -> list[Effect]:
        effects: list[Effect] = []
        taken = search.taken
        for told in message.hits:
            hit = hit_as_seen(told, teller, address)
            if taken.setdefault(message.guid, 0) >= search.wanted:
                return effects + self._drop("more hits than wanted")
            fault = self._verifier.fault(hit, search.terms, address)
            if fault:
                self._drop(fault)
                continue
            taken[message.guid] += 1
            content = (hit.entry.root, hit.entry.size)
            is_new = content not in search.rows
            row = search.rows.setdefault(content, Row(content))
            row.add(hit, search.terms)
            if is_new and search.shown < search.params.limit:
                search.shown += 1
                effects.append(Tell(search.call, row.shown()))
        return effects

    def _on_done(self, search: _Open | None, message: SearchDone, now: float) -> list[Effect]:
        if search is None:
            return self._drop("end of no search")
        if message.refused and message.guid == search.hedge:
            del self._calls[message.guid]  # the parent is asked all the same
            return []
        if message.refused:
            self._close(search)
            reason = f"The super-peer does not search: {message.refused}."
            return [Fail(search.call, Exit.REFUSED, reason, "Try again in a moment.")]
        rest = self._forgetting(search, but=message.guid)
        return rest + self._finish(search, message.coverage, now, message.trace)

    def _finish(
        self, search: _Open, coverage: Coverage, now: float, trace: tuple[Hop, ...] = ()
    ) -> list[Effect]:
        self._close(search)
        words = " ".join(search.params.words)
        hops = [_hop_row(hop) for hop in trace] if search.params.trace else []
        if search.params.trace:
            self._traces[search.id] = TraceResult(search.id, words, hops)
            while len(self._traces) > TRACES_KEPT:
                del self._traces[next(iter(self._traces))]
        rows = best_first(list(search.rows.values()))[: search.params.limit]
        self._last.rows = rows[: self._config.results_kept]
        result = SearchResult(
            words,
            [row.shown() for row in rows],
            CoverageRow(
                coverage.reached,
                coverage.known,
                coverage.messages,
                round(now - search.began, 6),
                coverage.complete,
            ),
            search.id,
            hops,
        )
        return [Answer(search.call, result)]

    # --- the end ----------------------------------------------------------------------------

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            is_hedge = isinstance(key, tuple)
            call = key[1] if isinstance(key, tuple) else key
            search = self._open.get(call) if isinstance(call, int) else None
            if search is not None:
                effects += self._hedge(search, now) if is_hedge else self._time_is_up(search, now)
        return effects

    def _stopped(self, _event: Stopped, now: float) -> list[Effect]:
        searches = list(self._open.values())
        return [effect for search in searches for effect in self._time_is_up(search, now)]

    def _time_is_up(self, search: _Open, now: float) -> list[Effect]:
        """What is there; all that we know of the coverage is that the parent was asked, if it was:
        who found none to ask in all that time has searched nothing."""
        if not search.id:
            self._close(search)
            return [Fail(search.call, Exit.UNREACHABLE, self._no_parent, _KEEPS_TRYING)]
        forget = self._forgetting(search)
        reached = 1 if search.rows else 0
        return forget + self._finish(search, Coverage(reached, None, 0, 0.0, False), now)

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        search = self._open.get(event.call)
        if search is None:
            return []
        forget = self._forgetting(search)
        self._close(search)
        return forget

    def _forgetting(self, search: _Open, but: Guid | None = None) -> list[Effect]:
        """Whoever is asked need not answer any more, `but` who has."""
        heir = None if self._heir is None else self._heir.node
        asked = ((self._parent, search.guid), (heir, search.hedge))
        return [
            Send(peer, Forget(guid))
            for peer, guid in asked
            if peer is not None and guid is not None and guid != but
        ]

    def _close(self, search: _Open) -> None:
        self._open.pop(search.call, None)
        self._deadlines.cancel(search.call)
        self._deadlines.cancel((_HEDGE, search.call))
        for guid in (search.guid, search.hedge):
            if guid is not None:
                self._calls.pop(guid, None)

    def _of(self, guid: Guid) -> _Open | None:
        call = self._calls.get(guid)
        return None if call is None else self._open.get(call)

    def _drop(self, reason: str) -> list[Effect]:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Asked: _asked,
        AskerLeft: _asker_left,
        Inherits: _inherits,
        Joined: _joined,
        Orphaned: _orphaned,
        Received: _received,
        Stopped: _stopped,
        Woke: _woke,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.search": _asked_search,
        "leaf.get": _asked_get,
        "leaf.trace": _asked_trace,
    }


def _hop_row(hop: Hop) -> HopRow:
    return HopRow(
        node_text(hop.node),
        hop.depth,
        hop.outcome,
        hop.messages,
        hop.hits,
        hop.elapsed_us / 1e6,
        hop.cut,
    )
