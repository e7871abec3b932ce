"""A leaf's searches: ask the parent, stream what comes, and remember the last result.

Every open search has a deadline and ends exactly once: done, refused, timed out, left by who asked,
or cut short by the end of the leaf. A parent that is lost in between is replaced by the next one,
which is asked under a fresh GUID while time is left; hits merge by content and leaf, so nobody
counts twice. What a hit must prove stands in `leaf.hits`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Final, NamedTuple, get_args

from common.addresses import Address
from common.asking import TermsError
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
from common.limits import HITS_PER_QUERY_MAX, MANIFEST_BYTES_MAX, SEARCH_BYTES_MAX, TTL_MAX
from common.manifest import is_manifest_name
from common.messages import cluster
from common.messages.cluster import Coverage, Forget, Hop, SearchDone, SearchHits, Strategy
from common.messages.fields import Contact, Message
from common.terms import Terms, parse
from common.torrent import LinkError, file_id, parse_file_id, parse_magnet
from leaf.hits import Content, Row, Verifier, best_first
from leaf.methods import (
    CoverageRow,
    Get,
    HopRow,
    Search,
    SearchResult,
    TraceOf,
    TraceResult,
    WishAdd,
)
from leaf.signals import FolderWanted, Joined, Orphaned, Wanted
from leaf.swarm.webpeers import contact_of

TRACES_KEPT: Final = 16  # of 500 hops at most
SOURCES_PER_ROW: Final = 4  # hits wanted for each row asked for, since many leaves have one file
WAIT_S_MAX: Final = 3_600.0

_STRATEGIES: Final[dict[str, Strategy]] = {each: each for each in get_args(Strategy)}


@dataclass(slots=True)
class _Open:
    """One search that is not answered yet."""

    call: int
    params: Search
    terms: Terms
    strategy: Strategy
    began: float
    guid: Guid | None = None  # None: nobody is asked now
    id: str = ""  # the last GUID, for people
    rows: dict[Content, Row] = field(default_factory=dict)
    taken: int = 0  # hits believed
    shown: int = 0  # rows told of as they came, never more than are asked for

    @property
    def wanted(self) -> int:
        return min(self.params.limit * SOURCES_PER_ROW, HITS_PER_QUERY_MAX)


class Target(NamedTuple):
    """A file to fetch, as somebody named it, with the leaves that are known to have it."""

    root: bytes
    size: int
    name: str
    sources: tuple[Contact, ...]
    urls: tuple[str, ...] = ()


class Searches:
    """The open searches of a leaf and the last finished one."""

    __slots__ = (
        *("_calls", "_config", "_deadlines", "_last", "_open", "_orphaned_because", "_parent"),
        *("_parent_address", "_rng", "_traces", "_verifier", "dropped"),
    )

    def __init__(self, network: str, config: SearchConfig, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._verifier = Verifier(network)
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._orphaned_because = "it has not joined yet"
        self._open: dict[int, _Open] = {}  # by call
        self._calls: dict[Guid, int] = {}
        self._last: list[Row] = []
        self._traces: dict[str, TraceResult] = {}  # the last ones
        self._deadlines = Deadlines()
        self.dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot ask."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    # --- what the last result means ---------------------------------------------------------

    def _target(self, what: str) -> Target:
        """The file that `what` names: a number of the last result, an id or a link.

        UserError where it names none.
        """
        if what.isascii() and what.isdigit():
            return self._by_number(int(what))
        try:
            if what.startswith("magnet:"):
                link = parse_magnet(what)
                return self._named(link.root, link.size, link.name)._replace(urls=link.urls)
            return self._named(*parse_file_id(what), "")
        except LinkError as error:
            hint = "Give an id, a link, or the number of a hit of the last search."
            raise UserError(Exit.USAGE, f"{what[:80]!r} names no file: {error}.", hint) from error

    def _by_number(self, number: int) -> Target:
        if not 0 < number <= len(self._last):
            found = f"it found {len(self._last)}" if self._last else "there is none"
            raise UserError(
                Exit.USAGE, f"The last search has no hit number {number}: {found}.", "Search first."
            )
        row = self._last[number - 1]
        return Target(*row.content, row.name, row.contacts)

    def _named(self, root: bytes, size: int, name: str) -> Target:
        """A file by its content, with what the last search knows of it."""
        for row in self._last:
            if row.content == (root, size):
                return Target(root, size, name or row.name, row.contacts)
        return Target(root, size, name or file_id(root, size), ())

    def _asked_get(self, event: Asked, _now: float) -> list[Effect]:
        params = event.params
        if not isinstance(params, Get):
            raise TypeError(event.method)
        root, size, name, sources, urls = self._target(params.what)
        sources += tuple(contact_of(root, url) for url in urls)
        may_be = is_manifest_name(name) and size <= MANIFEST_BYTES_MAX
        kind = FolderWanted if may_be or params.only else Wanted
        return [kind(event.call, params, root, size, name, sources, urls)]

    # --- asking -----------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        return self._METHODS[event.method](self, event, now)

    def _asked_search(self, event: Asked, now: float) -> list[Effect]:
        params = event.params
        if not isinstance(params, Search):
            raise TypeError(event.method)
        terms, strategy = _checked(params)
        if self._parent is None:
            hint = "It keeps trying; `leaf status` shows the reason."
            message = f"This leaf has no super-peer: {self._orphaned_because}."
            raise UserError(Exit.UNREACHABLE, message, hint)
        if len(self._open) >= self._config.searches_max:
            message = f"{len(self._open)} searches are open already."
            raise UserError(Exit.REFUSED, message, "Try again in a moment.")
        search = _Open(event.call, params, terms, strategy, now)
        self._open[event.call] = search
        self._deadlines.set(event.call, now + min(params.wait, WAIT_S_MAX))
        return self._ask(search)

    def _asked_trace(self, event: Asked, _now: float) -> list[Effect]:
        wanted = event.params.id if isinstance(event.params, TraceOf) else ""
        wanted = wanted or next(reversed(self._traces), "")
        if wanted not in self._traces:
            hint = "`leaf search --trace` makes one; with --json it tells its id."
            raise UserError(Exit.NOTHING_FOUND, "There is no trace of that search.", hint)
        return [Answer(event.call, self._traces[wanted])]

    def _ask(self, search: _Open) -> list[Effect]:
        search.guid, search.taken = new_guid(self._rng), 0
        search.id = search.guid.hex()
        self._calls[search.guid] = search.call
        message = cluster.Search(
            search.guid,
            search.terms,
            search.wanted,
            search.params.ttl,
            search.strategy,
            search.params.trace,
        )
        return [Send(self._parent or b"", message)]

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        return [effect for search in self._open.values() for effect in self._ask(search)]

    def _orphaned(self, event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        self._orphaned_because = event.reason
        self._calls.clear()
        for search in self._open.values():
            search.guid = None
        return []

    # --- what comes -------------------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        if event.peer != self._parent:
            return self._drop("not from the parent")
        return self._MESSAGES[type(event.message)](self, event.message, now)

    def _on_hits(self, message: SearchHits, _now: float) -> list[Effect]:
        search = self._of(message.guid)
        if search is None or self._parent_address is None or self._parent is None:
            return self._drop("hits of no search")
        effects: list[Effect] = []
        for told in message.hits:
            hit = hit_as_seen(told, self._parent, self._parent_address)
            if search.taken >= search.wanted:
                return effects + self._drop("more hits than wanted")
            fault = self._verifier.fault(hit, search.terms, self._parent_address)
            if fault:
                self._drop(fault)
                continue
            search.taken += 1
            content = (hit.entry.root, hit.entry.size)
            is_new = content not in search.rows
            row = search.rows.setdefault(content, Row(content))
            row.add(hit, search.terms)
            if is_new and search.shown < search.params.limit:
                search.shown += 1
                effects.append(Tell(search.call, row.shown()))
        return effects

    def _on_done(self, message: SearchDone, now: float) -> list[Effect]:
        search = self._of(message.guid)
        if search is None:
            return self._drop("end of no search")
        if message.refused:
            self._close(search)
            reason = f"The super-peer does not search: {message.refused}."
            return [Fail(search.call, Exit.REFUSED, reason, "Try again in a moment.")]
        return self._finish(search, message.coverage, now, message.trace)

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
        self._last = rows[: self._config.results_kept]
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
        for call in self._deadlines.pop_due(now):
            search = self._open.get(call) if isinstance(call, int) else None
            if search is not None:
                effects += self._time_is_up(search, now)
        return effects

    def _stopped(self, _event: Stopped, now: float) -> list[Effect]:
        searches = list(self._open.values())
        return [effect for search in searches for effect in self._time_is_up(search, now)]

    def _time_is_up(self, search: _Open, now: float) -> list[Effect]:
        """What is there; all that we know of the coverage is that the parent was asked."""
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

    def _forgetting(self, search: _Open) -> list[Effect]:
        if self._parent is None or search.guid is None:
            return []
        return [Send(self._parent, Forget(search.guid))]

    def _close(self, search: _Open) -> None:
        self._open.pop(search.call, None)
        self._deadlines.cancel(search.call)
        if search.guid is not None:
            self._calls.pop(search.guid, None)

    def _of(self, guid: Guid) -> _Open | None:
        call = self._calls.get(guid)
        return None if call is None else self._open.get(call)

    def _drop(self, reason: str) -> list[Effect]:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Asked: _asked,
        AskerLeft: _asker_left,
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

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        SearchHits: _on_hits,
        SearchDone: _on_done,
    }


def terms_of(params: Search | WishAdd) -> Terms:
    """The terms of what was typed; UserError for what cannot be searched for."""
    try:
        return parse(
            params.words,
            kind=params.type,
            extensions=params.ext,
            size_min=params.min_size,
            size_max=params.max_size,
        )
    except TermsError as error:
        text = str(error)
        hint = "`leaf search -h` shows how words, phrases and filters are given."
        raise UserError(Exit.USAGE, f"{text[:1].upper()}{text[1:]}.", hint) from error


def _checked(params: Search) -> tuple[Terms, Strategy]:
    """The terms of what was typed; UserError for what cannot be asked."""
    terms = terms_of(params)
    if terms.bytes > SEARCH_BYTES_MAX:
        raise UserError(Exit.USAGE, f"A search has at most {SEARCH_BYTES_MAX} bytes of words.")
    if not 1 <= params.limit <= HITS_PER_QUERY_MAX:
        raise UserError(Exit.USAGE, f"--limit is not between 1 and {HITS_PER_QUERY_MAX}.")
    if not 0 <= params.ttl <= TTL_MAX:
        raise UserError(Exit.USAGE, f"--ttl is not between 0 and {TTL_MAX}.")
    strategy = _STRATEGIES.get(params.strategy)
    if strategy is None:
        choices = " and ".join(_STRATEGIES)
        raise UserError(Exit.USAGE, f"{params.strategy!r} is no strategy: there are {choices}.")
    return terms, strategy


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
