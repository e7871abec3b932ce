"""Probes of a leaf: its parent, its catalogue, and what its searches come to."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from common.core import Asked, AskerLeft, Effect, Event, FrameReceived, Notify, SendFrame
from common.ids import node_text
from common.messages.cluster import Busy, Publish, Published, Welcome
from common.messages.fields import Message
from common.messages.swarm import Reject
from common.storage import FilesShared, FilesUnshared, ShareSettled
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of
from deploy.sim.probes.families import Hit
from leaf.methods import SearchResult

LEAVES: Final = {
    "parent-found-first": "A leaf found its first parent.",
    "parent-found-again": "A leaf came back to the parent that it had lost.",
    "parent-replaced": "A leaf that had lost its parent found another.",
    "parent-named-by-a-full-one": "A leaf joined whom a full super-peer had named.",
    "parent-sent-us-away": "A parent sent its leaf elsewhere.",
    "parent-lost-with-searches-open": "A parent was lost while searches were open.",
    "search-answered-by-the-next-parent": "A search that outlived its parent was answered.",
    "search-cut-short-by-time": "A search ended by its own time.",
    "search-found-nothing": "A search found nothing.",
    "search-found-many": "A search found many files.",
    "search-found-one-file-at-several": "A search found a file at several leaves.",
    "search-found-all-it-wanted": "A search found as much as was asked for.",
    "search-while-others-run": "A leaf had several searches open.",
    "asker-left": "Somebody did not wait for the answer.",
    "asked-while-hashing": "Somebody asked while files were still being hashed.",
    "catalogue-sent-afresh": "A catalogue was sent as a whole.",
    "catalogue-sent-as-a-change": "Of a catalogue only what had changed was sent.",
    "catalogue-sent-in-parts": "A catalogue was sent in several messages.",
    "catalogue-loses-an-entry": "An entry was taken out of a catalogue.",
    "catalogue-was-held": "A parent held the catalogue that a leaf came back with.",
    "publish-refused-to-us": "A leaf's catalogue was refused.",
    "publish-repeated-after-a-refusal": "A catalogue that had been refused was taken.",
    "files-come": "Files became shared.",
    "files-go": "Files were shared no longer.",
    "file-withdrawn-from-who-wants-it": "A file went away while somebody fetched it.",
    "share-scanned-again": "A share was looked through another time.",
    "share-with-unreadable-files": "A share had files that could not be read.",
}
MANY: Final = 5


class LeafProbes:
    """A room."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self._parents: dict[int, tuple[int, str]] = {}  # by host: its life, its last parent
        self._named: dict[int, dict[str, None]] = {}  # by host: whom full super-peers named
        self._outlived: dict[int, None] = {}  # calls of searches whose parent was lost
        self._refused: dict[tuple[int, int], None] = {}
        self._settled: dict[tuple[int, int], None] = {}
        self._limits: dict[int, int] = {}  # of searches, by call

    # --- people -----------------------------------------------------------------------------

    def asked(self, host: Host, call: int, method: str, params: msgspec.Struct) -> None:
        """Somebody asks."""
        if method == "leaf.search":
            self._limits[call] = getattr(params, "limit", 0)
        inside = leaf_of(host)
        if inside is not None and inside.library.pending:
            self._hit("asked-while-hashing")

    def ended(self, _host: Host, call: int, outcome: object) -> None:
        """A call has ended."""
        limit = self._limits.pop(call, None)
        outlived = self._outlived.pop(call, self) is None
        if not isinstance(outcome, SearchResult):
            return
        if outlived:
            self._hit("search-answered-by-the-next-parent")
        for name, there in (
            ("search-found-nothing", not outcome.hits),
            ("search-found-many", len(outcome.hits) >= MANY),
            ("search-found-one-file-at-several", any(hit.sources > 1 for hit in outcome.hits)),
            ("search-found-all-it-wanted", len(outcome.hits) == limit),
            ("search-cut-short-by-time", not outcome.coverage.messages),
        ):
            if there:
                self._hit(name)

    # --- the parent -------------------------------------------------------------------------

    def noted(self, host: Host, note: Notify) -> None:
        """A line for the log."""
        if note.name == "parent_joined":
            self._joined(host, str(note.fields["node"]))
        elif note.name == "parent_lost":
            inside = leaf_of(host)
            calls = list(inside.searches._open) if inside else []
            self._outlived.update(dict.fromkeys(calls))
            if calls:
                self._hit("parent-lost-with-searches-open")
        elif note.name == "publish_refused":
            self._refused[host.number, host.life] = None
            self._hit("publish-refused-to-us")

    def _joined(self, host: Host, node: str) -> None:
        life, before = self._parents.get(host.number, (0, ""))
        self._parents[host.number] = (host.life, node)
        if life != host.life:
            self._hit("parent-found-first")
        else:
            self._hit("parent-found-again" if node == before else "parent-replaced")
        if node in self._named.pop(host.number, {}):
            self._hit("parent-named-by-a-full-one")

    # --- events -----------------------------------------------------------------------------

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        kind = type(event.message) if isinstance(event, FrameReceived) else type(event)
        on_event = self._EVENTS.get(kind)
        if on_event is not None:
            on_event(self, host, event, effects)
        for message in _said(effects):
            if isinstance(message, Publish):
                self._publishes(message)

    def _publishes(self, message: Publish) -> None:
        if message.afresh:
            self._hit("catalogue-sent-afresh")
        elif message.signature is not None and (message.puts or message.drops):
            self._hit("catalogue-sent-as-a-change")
        if message.signature is None:
            self._hit("catalogue-sent-in-parts")
        if message.drops:
            self._hit("catalogue-loses-an-entry")

    def _welcome(self, _host: Host, event: FrameReceived, effects: list[Effect]) -> None:
        held = isinstance(event.message, Welcome) and event.message.generation > 0
        if held and not any(isinstance(each, Publish) for each in _said(effects)):
            self._hit("catalogue-was-held")

    def _busy(self, host: Host, event: FrameReceived, _effects: list[Effect]) -> None:
        if isinstance(event.message, Busy):
            nodes = [node_text(each.node) for each in event.message.alternatives]
            self._named[host.number] = dict.fromkeys(nodes)
            inside = leaf_of(host)
            if inside is not None and inside.parent.reason.startswith("lost"):
                self._hit("parent-sent-us-away")

    def _published(self, host: Host, event: FrameReceived, _effects: list[Effect]) -> None:
        taken = isinstance(event.message, Published) and not event.message.refused
        if taken and self._refused.pop((host.number, host.life), self) is None:
            self._hit("publish-repeated-after-a-refusal")

    def _shared(self, _host: Host, event: FilesShared, _effects: list[Effect]) -> None:
        if event.files:
            self._hit("files-come")

    def _unshared(self, _host: Host, event: FilesUnshared, effects: list[Effect]) -> None:
        if event.relpaths:
            self._hit("files-go")
        if any(isinstance(each, Reject) for each in _said(effects)):
            self._hit("file-withdrawn-from-who-wants-it")

    def _scanned(self, host: Host, event: ShareSettled, _effects: list[Effect]) -> None:
        key = (host.number, host.life)
        if key in self._settled:
            self._hit("share-scanned-again")
        self._settled[key] = None
        if event.skipped:
            self._hit("share-with-unreadable-files")

    def _asks(self, host: Host, event: Asked, _effects: list[Effect]) -> None:
        inside = leaf_of(host)
        if event.method == "leaf.search" and inside and len(inside.searches._open) > 1:
            self._hit("search-while-others-run")

    def _left(self, _host: Host, _event: AskerLeft, _effects: list[Effect]) -> None:
        self._hit("asker-left")

    _EVENTS: ClassVar[dict[type, Callable[..., Any]]] = {
        Welcome: _welcome,
        Busy: _busy,
        Published: _published,
        FilesShared: _shared,
        FilesUnshared: _unshared,
        ShareSettled: _scanned,
        Asked: _asks,
        AskerLeft: _left,
    }


def _said(effects: list[Effect]) -> list[Message]:
    return [each.message for each in effects if isinstance(each, SendFrame)]
