"""Probes of queries: how their trees grow, break, are asked again, and what their askers hear."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from common.core import Effect, Event, FrameReceived, LinkClosed, SendFrame, Woke
from common.limits import HOPS_MAX
from common.messages.cluster import Locate, Search, SearchDone, SearchHits, Sources
from common.messages.fields import Message
from common.messages.overlay import Extend, Prune, Query, QueryDone, QueryHits
from deploy.sim.host import Host
from deploy.sim.inside import SuperPeerInside, superpeer_of
from deploy.sim.probes.families import Hit

_REFUSALS: Final = {
    "this super-peer": "search-refused-by-no-parent",
}

QUERIES: Final = {
    "query-evaluated": "A query of another was evaluated.",
    "query-from-three-hops": "A query came over three links or more.",
    "query-at-its-last-hop": "A query came that must go no further.",
    "query-forwarded": "A query was passed on.",
    "query-known-already": "A query came that was known: duplicate.",
    "query-forged": "A query's name was not the hash of what it asks.",
    "query-without-a-body": "A query's body was none.",
    "ring-extended": "A tree grew by a ring.",
    "ring-extended-twice": "A tree grew by two rings.",
    "ring-extended-thrice": "A tree grew by three rings.",
    "extend-of-a-forgotten-tree": "A tree was to grow that was not known any more.",
    "tree-pruned": "A tree was cut because its origin has enough.",
    "report-of-several": "A report counted several super-peers.",
    "report-with-a-frontier": "A report said that the tree can grow.",
    "report-of-a-loss": "A report said that something was lost.",
    "report-of-somebody-left-out": "A report said that somebody was not asked.",
    "report-after-a-dead-link": "A link died with a report owing, and that was told on.",
    "ring-ran-out-of-time": "A ring ended because somebody did not answer in time.",
    "neighbour-left-out-for-silence": "A neighbour that had been silent is left out.",
    "silent-neighbour-tried-again": "A neighbour that had been left out was tried by one query.",
    "silent-neighbour-cleared": "A neighbour that had been left out answered again.",
    "silence-doubled": "A neighbour that was tried again stayed silent.",
    "hits-passed-on": "Hits of others were passed on.",
    "hits-wait-for-the-window": "Hits waited because the window of their link was full.",
    "hits-of-another-query-meanwhile": "Hits of two queries waited for one link.",
    "search-repeated-after-a-loss": "A search was asked once more under a fresh name.",
    "repeated-search-became-complete": "What was lost was found when it was asked once more.",
    "repeated-search-stayed-incomplete": "What was lost was lost again.",
    "search-complete": "A search reached all.",
    "search-incomplete": "A search said that it missed somebody.",
    "search-refused-by-no-parent": "Somebody searched who is no leaf there.",
    "search-refused-for-its-wait": "A search waited too long for its turn.",
    "search-under-one-name-twice": "A leaf used the name of an open search again.",
    "search-of-depth-zero": "A search was for the parent alone.",
    "search-as-a-flood": "A search went as one wave.",
    "locate-found-somebody": "Sources of a file were named.",
    "locate-found-nobody": "No source of a file was found.",
    "asker-gone-its-query-went-on": "A leaf went with a search open.",
    "known-size-of-the-network": "A search told how many super-peers there are.",
}


class QueryProbes:
    """A room."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self._rings: dict[tuple[int, int, bytes], int] = {}
        self._repeated: dict[tuple[int, bytes], None] = {}  # parent, the leaf's own name
        self._silent: dict[tuple[int, int], dict[bytes, float]] = {}

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if isinstance(event, FrameReceived):
            on_message = self._MESSAGES.get(type(event.message))
            inside = superpeer_of(host) if on_message is not None else None
            if on_message is not None and inside is not None:
                on_message(self, host, inside, event.message, _said(effects))
                self._look(host, inside)
        elif isinstance(event, Woke | LinkClosed):
            inside = superpeer_of(host)
            if inside is not None:
                self._passed(inside, event, _said(effects))
                self._look(host, inside)
        if effects:
            for message in _said(effects):
                if isinstance(message, SearchDone):
                    self._ended(host, message)

    # --- the tree ---------------------------------------------------------------------------

    def _query(
        self, _host: Host, _inside: SuperPeerInside, query: Query, said: list[Message]
    ) -> None:
        if query.hops >= 3:
            self._hit("query-from-three-hops")
        if query.hops >= HOPS_MAX:
            self._hit("query-at-its-last-hop")
        report = next((each for each in said if _reports(each, query.guid)), None)
        forwarded = any(isinstance(each, Query) for each in said)
        if isinstance(report, QueryDone) and report.duplicate:
            self._hit("query-known-already")
        elif isinstance(report, QueryDone) and report.lost and not report.reached:
            self._hit("query-forged")
        elif isinstance(report, QueryDone) and not report.reached:
            self._hit("query-without-a-body")
        else:
            self._hit("query-forwarded" if forwarded else "query-evaluated")

    def _extend(
        self, host: Host, inside: SuperPeerInside, extend: Extend, said: list[Message]
    ) -> None:
        key = (host.number, host.life, extend.guid)
        rings = self._rings[key] = self._rings.get(key, 0) + 1
        name = {1: "ring-extended", 2: "ring-extended-twice", 3: "ring-extended-thrice"}.get(rings)
        if name:
            self._hit(name)
        lost = any(_reports(each, extend.guid) and getattr(each, "lost", 0) for each in said)
        if lost and extend.guid not in inside.flood._trees:
            self._hit("extend-of-a-forgotten-tree")

    def _prune(
        self, _host: Host, _inside: SuperPeerInside, _prune: Prune, said: list[Message]
    ) -> None:
        if any(isinstance(each, Prune) for each in said):
            self._hit("tree-pruned")

    def _done(
        self, host: Host, inside: SuperPeerInside, done: QueryDone, said: list[Message]
    ) -> None:
        if done.hits and any(_has_hits(each) for each in said):
            self._hit("hits-passed-on")
        for name, there in (
            ("report-of-several", done.reached > 1),
            ("report-with-a-frontier", done.frontier > 0),
            ("report-of-a-loss", done.lost),
            ("report-of-somebody-left-out", done.left_out),
        ):
            if there:
                self._hit(name)
        self._repeats(host, inside)

    def _hits(
        self, _host: Host, _inside: SuperPeerInside, _hits: QueryHits, said: list[Message]
    ) -> None:
        if any(_has_hits(each) for each in said):
            self._hit("hits-passed-on")

    def _passed(self, inside: SuperPeerInside, event: Event, said: list[Message]) -> None:
        """Time went by, or a link ended."""
        lost = any(isinstance(each, QueryDone) and each.lost for each in said)
        again = any(isinstance(each, Query) for each in said)
        if isinstance(event, LinkClosed) and (lost or again):
            self._hit("report-after-a-dead-link")
        elif isinstance(event, Woke) and (lost or (again and inside.searches._queries)):
            self._hit("ring-ran-out-of-time")
        if isinstance(event, LinkClosed) and any(isinstance(each, Prune) for each in said):
            self._hit("asker-gone-its-query-went-on")

    def _look(self, host: Host, inside: SuperPeerInside) -> None:
        """What waits, and who is left out."""
        waiting = [len(flow._waiting) for flow in inside.flood._flows.values() if flow]
        if waiting:
            self._hit("hits-wait-for-the-window")
            if max(waiting) > 1:
                self._hit("hits-of-another-query-meanwhile")
        pauses = inside.flood._silence._pauses
        place = (host.number, host.life)
        before = self._silent.get(place)
        if not pauses and not before:
            return
        now = {peer: pause.pause_s + pause.tried / 1_000 for peer, pause in pauses.items()}
        self._silent[place] = now
        for peer, pause_s in now.items():
            was = (before or {}).get(peer)
            if was is None:
                self._hit("neighbour-left-out-for-silence")
            elif pause_s > was + 0.5:
                self._hit("silence-doubled")
            elif pause_s > was:
                self._hit("silent-neighbour-tried-again")
        for peer in before or {}:
            if peer not in now:
                self._hit("silent-neighbour-cleared")

    # --- the origin -------------------------------------------------------------------------

    def _repeats(self, host: Host, inside: SuperPeerInside) -> None:
        for search in inside.searches._queries.values():
            key = (host.number, search.asked.guid)
            if search.repeated and key not in self._repeated:
                self._repeated[key] = None
                self._hit("search-repeated-after-a-loss")

    def _search(
        self, _host: Host, _inside: SuperPeerInside, search: Search, said: list[Message]
    ) -> None:
        if search.ttl == 0:
            self._hit("search-of-depth-zero")
        if search.strategy == "flood":
            self._hit("search-as-a-flood")
        if not said:
            self._hit("search-under-one-name-twice")

    def _ended(self, host: Host, done: SearchDone) -> None:
        if done.refused:
            names = [name for text, name in _REFUSALS.items() if done.refused.startswith(text)]
            self._hit(names[0] if names else "search-refused-for-its-wait")
            return
        whole = done.coverage.complete
        self._hit("search-complete" if whole else "search-incomplete")
        if done.coverage.known is not None:
            self._hit("known-size-of-the-network")
        if (host.number, done.guid) in self._repeated:
            self._hit(f"repeated-search-{'became-complete' if whole else 'stayed-incomplete'}")

    def _locate(
        self, _host: Host, _inside: SuperPeerInside, _locate: Locate, said: list[Message]
    ) -> None:
        answers = [each for each in said if isinstance(each, Sources)]
        if any(each.sources for each in answers):
            self._hit("locate-found-somebody")
        elif any(each.done for each in answers):
            self._hit("locate-found-nobody")

    _MESSAGES: ClassVar[dict[type, Callable[..., Any]]] = {
        Query: _query,
        Extend: _extend,
        Prune: _prune,
        QueryDone: _done,
        QueryHits: _hits,
        Search: _search,
        Locate: _locate,
    }


def _said(effects: list[Effect]) -> list[Message]:
    return [each.message for each in effects if isinstance(each, SendFrame)]


def _has_hits(message: Message) -> bool:
    return isinstance(message, QueryHits | SearchHits | QueryDone) and bool(message.hits)


def _reports(message: Message, guid: bytes) -> bool:
    return isinstance(message, QueryDone) and message.guid == guid
