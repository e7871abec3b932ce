"""Probes of downloads and uploads: sources that come, lie, stall and die, and disks that fail."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from common.core import Effect, Event, FrameReceived, LinkClosed, SendFrame, Woke
from common.messages.fields import Message
from common.messages.swarm import (
    Bitfield,
    Cancel,
    Choke,
    Have,
    Interested,
    Piece,
    Reject,
    Request,
    TreeRequest,
    Unchoke,
)
from common.storage import (
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadPart,
    ReadShared,
)
from deploy.sim.host import Host
from deploy.sim.inside import LeafInside, leaf_of
from deploy.sim.probes.families import Hit
from leaf.swarm.download import Download, State

SWARMS: Final = {
    "part-begun": "A download began with nothing.",
    "part-resumed-with-pieces": "A download went on with pieces that were there.",
    "part-resumed-in-another-life": "A download went on after its node had died.",
    "part-resumed-after-power-loss": "A download went on with pieces after a power loss.",
    "part-resumed-with-its-layer": "A download went on with piece hashes that were there.",
    "part-was-complete": "A download was found to be whole when it was opened.",
    "part-opened-in-vain": "A partial file was opened that nobody wanted any more.",
    "same-file-was-there": "What was wanted stood at its place already.",
    "other-file-was-kept": "A file that stood there was not replaced.",
    "disk-full-paused": "A download paused because the disk was full.",
    "disk-full-resumed": "A download went on when the disk had room again.",
    "disk-trouble-retried": "A download was opened again after trouble of the disk.",
    "disk-lost-pieces": "Pieces that were stored had to be fetched again.",
    "disk-refused-for-good": "A download failed because of the disk.",
    "finished": "A download finished.",
    "finished-though-a-source-died": "A download finished though a source of it had died.",
    "finished-though-a-source-lied": "A download finished though a source of it had lied.",
    "finished-from-several": "A download finished with pieces of several leaves.",
    "finished-from-three": "A download finished with pieces of three leaves or more.",
    "finished-from-ourselves": "A download was copied from our own share.",
    "finished-in-another-life": "A download that an earlier life had begun was finished.",
    "piece-hashes-asked": "The piece layer of a file was asked for.",
    "piece-hashes-asked-of-another": "The piece layer was asked of another after one had failed.",
    "endgame-double-request": "Near the end a piece was asked of a second leaf.",
    "double-request-cancelled": "The second of two that were asked was told to forget it.",
    "piece-of-a-late-request": "A piece came for a request that was taken back.",
    "wrong-piece-found": "The disk found a piece wrong.",
    "source-choked-us": "A source took its slot away, or had none.",
    "source-unchoked-us-later": "A source that choked at first gave a slot later.",
    "source-snubbed": "A source let a download wait.",
    "source-snubbed-twice": "A source let a download wait twice.",
    "source-partial": "A source had some of the pieces only.",
    "source-gained-a-piece": "A source told of a piece that it had got.",
    "source-rejected-all": "A source did not have the file after all.",
    "source-waits-for-its-retry": "A source was to be tried again later.",
    "sources-more-than-links": "There were more sources than links for them.",
    "several-downloads-at-once": "Several downloads were under way in one leaf.",
    "download-waits-for-its-turn": "A download waited because others go first.",
    "served-from-a-share": "A piece was read from a shared file.",
    "served-from-a-download": "A piece was read from a download that is done.",
    "served-while-fetching": "A piece was served of a file that is still being fetched.",
    "wish-waits-for-a-slot": "A downloader was told to wait for a slot.",
    "request-waits-for-its-read": "A request waited because enough is on its way.",
    "request-of-a-choked-leaf": "A leaf without a slot asked for pieces.",
    "both-fetch-from-one-another": "Two leaves fetched from one another.",
}

_LATE_MAX: Final = 10_000

Place = tuple[int, int, bytes, int]  # asker, source, root, offset


class SwarmProbes:
    """A room."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self._taken_back: dict[Place, None] = {}
        self._choked: dict[tuple[int, int, bytes], None] = {}
        self._dark: dict[int, int] = {}  # hosts that lost their power, and in which life
        self._lives: dict[tuple[int, int], int] = {}  # download -> the life that began it
        self._full: dict[tuple[int, int], None] = {}
        self._trouble: dict[tuple[int, int], None] = {}
        self._lost_one: dict[tuple[int, int], None] = {}  # downloads that lost a source
        self._trees: dict[tuple[int, bytes], int] = {}  # whom the layer was asked of last

    def darkened(self, host: Host) -> None:
        """A host has lost its power."""
        self._dark[host.number] = host.life

    # --- between two leaves -----------------------------------------------------------------

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        kind = type(message)
        if kind is Cancel:
            self._cancelled(host, there, message)  # type: ignore[arg-type]
        elif kind is Piece:
            place = (there.number, host.number, message.root, message.offset)  # type: ignore[attr-defined]
            if self._taken_back.pop(place, self) is None:
                self._hit("piece-of-a-late-request")
        elif kind is Choke:
            self._choked[host.number, there.number, message.root] = None  # type: ignore[attr-defined]
        elif kind is Unchoke:
            pair = (host.number, there.number, message.root)  # type: ignore[attr-defined]
            if self._choked.pop(pair, self) is None:
                self._hit("source-unchoked-us-later")
        elif kind is TreeRequest:
            self._tree(host, there, message.root)  # type: ignore[attr-defined]

    def _cancelled(self, host: Host, there: Host, message: Cancel) -> None:
        if len(self._taken_back) < _LATE_MAX:
            self._taken_back[host.number, there.number, message.root, message.offset] = None

    def _tree(self, host: Host, there: Host, root: bytes) -> None:
        self._hit("piece-hashes-asked")
        if self._trees.setdefault((host.number, root), there.number) != there.number:
            self._hit("piece-hashes-asked-of-another")
        self._trees[host.number, root] = there.number

    # --- events -----------------------------------------------------------------------------

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        kind = type(event.message) if isinstance(event, FrameReceived) else type(event)
        on_event = self._EVENTS.get(kind)
        if on_event is None and not effects:
            return
        inside = leaf_of(host)
        if inside is None:
            return
        if on_event is not None:
            on_event(self, host, inside, event, effects)
        for effect in effects:
            self._orders(inside, effect)

    def _orders(self, inside: LeafInside, effect: Effect) -> None:
        if isinstance(effect, SendFrame):
            if isinstance(effect.message, Request):
                self._requests(inside, effect.message)
            elif isinstance(effect.message, Cancel) and len(inside.downloads._under_way):
                self._hit("double-request-cancelled")
        elif isinstance(effect, ReadShared):
            self._hit("served-from-a-share")
        elif isinstance(effect, ReadPart):
            download = inside.downloads._downloads.get(effect.download)
            done = download is not None and download.state is State.DONE
            self._hit("served-from-a-download" if done else "served-while-fetching")

    def _requests(self, inside: LeafInside, request: Request) -> None:
        download = inside.downloads._under_way.get(request.root)
        if download is None or download._fetch is None:
            return
        owing = sum(request.offset in each.requests for each in download._fetch.sources)
        if owing > 1:
            self._hit("endgame-double-request")

    # --- the disk ---------------------------------------------------------------------------

    def _opened(
        self, host: Host, inside: LeafInside, event: PartOpened, _effects: list[Effect]
    ) -> None:
        key = (host.number, event.download)
        download = inside.downloads._downloads.get(event.download)
        if download is None or (download._fetch is None and download.state is not State.FINISHING):
            self._hit("part-opened-in-vain")
            return
        there, life = event.done.count(1), self._lives.setdefault(key, host.life)
        dark = self._dark.get(host.number, -1)
        for name, reached in (
            ("part-begun", not there),
            ("part-was-complete", there == len(event.done) > 0),
            ("part-resumed-with-pieces", there),
            ("part-resumed-in-another-life", there and life < host.life),
            ("part-resumed-after-power-loss", there and life <= dark < host.life),
            ("part-resumed-with-its-layer", event.layer and there),
            ("disk-full-resumed", self._full.pop(key, self) is None),
            ("disk-trouble-retried", self._trouble.pop(key, self) is None),
        ):
            if reached:
                self._hit(name)

    def _skipped(
        self, _host: Host, _inside: LeafInside, event: PartSkipped, _effects: list[Effect]
    ) -> None:
        self._hit("same-file-was-there" if event.same else "other-file-was-kept")

    def _failed(
        self, host: Host, inside: LeafInside, event: PartFailed, _effects: list[Effect]
    ) -> None:
        key = (host.number, event.download)
        download = inside.downloads._downloads.get(event.download)
        if event.lost:
            self._hit("disk-lost-pieces")
        if download is None:
            return
        if download.state is State.FAILED:
            self._hit("disk-refused-for-good")
        elif event.kind == "full":
            self._full[key] = None
            self._hit("disk-full-paused")
        elif download.state is State.PAUSED:
            self._trouble[key] = None

    def _written(
        self, _host: Host, _inside: LeafInside, event: PiecesWritten, _effects: list[Effect]
    ) -> None:
        if event.bad:
            self._hit("wrong-piece-found")

    def _finished(
        self, host: Host, inside: LeafInside, event: PartFinished, _effects: list[Effect]
    ) -> None:
        download = inside.downloads._downloads.get(event.download)
        if download is None:
            return
        key = (host.number, event.download)
        for name, reached in (
            ("finished", True),
            ("finished-though-a-source-died", self._lost_one.pop(key, self) is None),
            ("finished-though-a-source-lied", download._past.liars),
            ("finished-from-several", len(download.given_by) > 1),
            ("finished-from-three", len(download.given_by) > 2),
            ("finished-from-ourselves", host.identity.node in download._past.givers),
            ("finished-in-another-life", self._lives.get(key, host.life) < host.life),
        ):
            if reached:
                self._hit(name)

    # --- sources ----------------------------------------------------------------------------

    def _closed(
        self, host: Host, inside: LeafInside, _event: LinkClosed, _effects: list[Effect]
    ) -> None:
        """Whose source went is told by its books: one that was linked is to be tried again."""
        for number, download in _fetching(inside):
            fetch = download._fetch
            if fetch is not None and any(
                fetch.sources.deadlines.get(("retry", each.peer)) is not None
                for each in fetch.sources
            ):
                self._lost_one[host.number, number] = None
                self._hit("source-waits-for-its-retry")

    def _woke(self, _host: Host, inside: LeafInside, _event: Woke, _effects: list[Effect]) -> None:
        fetching = list(_fetching(inside))
        if len(fetching) > 1:
            self._hit("several-downloads-at-once")
        if any(each.state is State.QUEUED for each in inside.downloads._under_way.values()):
            self._hit("download-waits-for-its-turn")
        for _, download in fetching:
            sources = list(download._fetch.sources) if download._fetch else []
            snubs = max((each.snubs for each in sources), default=0)
            if snubs:
                self._hit("source-snubbed")
            if snubs > 1:
                self._hit("source-snubbed-twice")
            if sources and download.linked and download.linked < len(sources):
                self._hit("sources-more-than-links")

    def _bitfield(
        self, _host: Host, _inside: LeafInside, event: FrameReceived, _effects: list[Effect]
    ) -> None:
        if isinstance(event.message, Bitfield) and event.message.bits:
            self._hit("source-partial")

    def _have(
        self, _host: Host, _inside: LeafInside, _event: FrameReceived, _effects: list[Effect]
    ) -> None:
        self._hit("source-gained-a-piece")

    def _choke(
        self, _host: Host, _inside: LeafInside, _event: FrameReceived, _effects: list[Effect]
    ) -> None:
        self._hit("source-choked-us")

    def _reject(
        self, _host: Host, _inside: LeafInside, event: FrameReceived, _effects: list[Effect]
    ) -> None:
        if isinstance(event.message, Reject) and event.message.offset is None:
            self._hit("source-rejected-all")

    # --- serving ----------------------------------------------------------------------------

    def _interested(
        self, host: Host, inside: LeafInside, event: FrameReceived, effects: list[Effect]
    ) -> None:
        if any(isinstance(each, SendFrame) and type(each.message) is Choke for each in effects):
            self._hit("wish-waits-for-a-slot")
        wire = host.wires.get(event.link)
        if wire is None:
            return
        peer = wire.hosts[1 - wire.end_of(host)].identity.node
        if inside.downloads.fetch_from(peer):
            self._hit("both-fetch-from-one-another")

    def _request(
        self, _host: Host, inside: LeafInside, _event: FrameReceived, effects: list[Effect]
    ) -> None:
        if inside.uploads._outlet:
            self._hit("request-waits-for-its-read")
        said = [each.message for each in effects if isinstance(each, SendFrame)]
        if any(isinstance(each, Reject) and each.reason == "choked" for each in said):
            self._hit("request-of-a-choked-leaf")

    _EVENTS: ClassVar[dict[type, Callable[..., Any]]] = {
        PartOpened: _opened,
        PartSkipped: _skipped,
        PartFailed: _failed,
        PiecesWritten: _written,
        PartFinished: _finished,
        LinkClosed: _closed,
        Woke: _woke,
        Bitfield: _bitfield,
        Have: _have,
        Choke: _choke,
        Reject: _reject,
        Interested: _interested,
        Request: _request,
    }


def _fetching(inside: LeafInside) -> list[tuple[int, Download]]:
    return [
        (each.record.number, each)
        for each in inside.downloads._under_way.values()
        if each.state is State.FETCHING
    ]
