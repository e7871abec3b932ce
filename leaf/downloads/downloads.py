"""All downloads of a leaf: who wants them, whose turn it is, and what people are told.

Invariant: at most one download of a file is under way, and everybody who wants it waits for that
one. Those under way share the links and the bytes on their way evenly. One without a source takes
no turn from others, so dead wishes do not hold up live ones. A file that we have ourselves is
copied by the same proven way, with ourselves as one more source. What a download does with its turn
stands in `leaf.swarm.download`.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from msgspec.structs import replace

from common.addresses import Address
from common.config import SwarmConfig
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Effect,
    Event,
    LinkDown,
    LinkUp,
    Received,
    Stopped,
    Woke,
)
from common.deadlines import soonest
from common.errors import Exit, UserError
from common.ids import NodeId
from common.messages.fields import Contact
from common.storage import (
    DownloadRecord,
    FilesShared,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    RememberDownload,
    Restored,
)
from leaf.downloads.askers import Askers, check_joins, result_of, rows_of
from leaf.downloads.looks import Looks
from leaf.downloads.offers import Offers
from leaf.downloads.roster import Roster, check_size, goes_on, named, record_of, target_of
from leaf.library.library import Library
from leaf.links.links import BulkLinks
from leaf.methods import Chosen, Remove
from leaf.signals import (
    Adopted,
    Allotted,
    FolderFound,
    Forgotten,
    Halted,
    Listed,
    Moved,
    Resumed,
    SourcesFound,
    Started,
    Streamed,
    Wanted,
)
from leaf.swarm.download import Download, State

DOWNLOADS_MAX: Final = 10_000  # remembered, finished ones included
OPEN_MAX: Final = 64  # with an open part, sources or not: far below any descriptor limit

_OURSELVES: Final = Address.of("127.0.0.1", 1)  # a link to our own key never leaves the node


class Downloads:
    """The downloads of one leaf, by number."""

    def __init__(
        self,
        *,
        me: NodeId,
        folder: str,
        library: Library,
        links: BulkLinks,
        config: SwarmConfig,
        rng: Random,
    ) -> None:
        self._me = me
        self._folder = folder
        self._library = library
        self._links = links
        self._config = config
        self._rng = rng
        self.roster = Roster()
        """For who looks, not for who changes."""
        self._downloads = self.roster.by_number
        self._under_way = self.roster.under_way
        self._last_number = 0
        self._askers = Askers(me)
        self._looks = Looks()
        self.offers = Offers()
        """What of them others can find; for who looks."""
        self._closing = False

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot ask."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = [self._askers.deadlines.earliest()]
        times += [each.wakeup() for each in self._under_way.values()]
        return soonest(times)

    def find(self, root: bytes, size: int | None = None) -> Download | None:
        """A download that serves this file, if it has nothing of it yet; a whole one goes first."""
        return self.roster.find(root, size)

    def fetch_from(self, peer: NodeId) -> bool:
        """Whether one of them is linked with this leaf to fetch from it."""
        return any(each.fetches_from(peer) for each in self._under_way.values())

    @property
    def unfinished(self) -> bool:
        """Whether a file is just being given its final name."""
        return any(each.state is State.FINISHING for each in self._under_way.values())

    # --- wishes -----------------------------------------------------------------------------

    def _restored(self, event: Restored, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for record in event.downloads[:DOWNLOADS_MAX]:
            self._last_number = max(self._last_number, record.number)
            download = self._add(record, (), now)
            if record.is_skipped:
                continue
            if download.state is State.DONE:  # opened again to be served
                effects += download.handle(Started(), now)
            elif goes_on(record):
                effects += download.handle(Resumed(), now)
        return effects + self._settle(now)

    def _wanted(self, event: Wanted, now: float) -> list[Effect]:
        check_size(event, self.roster, self._library)
        download = self._under_way.get(event.root)
        target = target_of(event, self._folder)
        if download is not None:
            check_joins(download, event, target)
        finished = None if download else self.roster.fetched_before(event, target)
        if finished is not None:
            self._looks.add(event, finished, now)
            return finished.handle(Started(), now)
        sources = self._with_us(event.sources, event.root, event.size)
        effects: list[Effect] = []
        if download is None:
            effects, download = self._begin(event, target, sources, now)
        elif download.state is State.PAUSED:
            effects += download.handle(Resumed(), now)
        if event.params.stream:
            effects += download.handle(Streamed(), now)
        effects += download.handle(SourcesFound(event.root, sources), now)
        if event.params.detach:
            effects.append(Answer(event.call, result_of(download, 0.0, self._me)))
        else:
            self._askers.add(event.call, download, event.params.timeout, now)
        return effects + self._settle(now)

    def _begin(
        self, wanted: Wanted, target: str, sources: tuple[Contact, ...], now: float
    ) -> tuple[list[Effect], Download]:
        """A new download; an ended one of the same file at the same place gives way to it."""
        effects: list[Effect] = []
        for each in self.roster.with_root(wanted.root):
            if target in (each.record.target, each.record.path):
                effects += self._remove(each, delete=False, now=now)
        if len(self._downloads) >= DOWNLOADS_MAX:
            hint = "Forget some with `leaf rm`."
            raise UserError(Exit.USAGE, f"{DOWNLOADS_MAX} downloads are remembered.", hint)
        self._last_number += 1
        record = record_of(wanted, self._last_number, target)
        return [*effects, RememberDownload(record)], self._add(record, sources, now)

    def _add(self, record: DownloadRecord, sources: tuple[Contact, ...], now: float) -> Download:
        download = Download(
            record,
            sources=sources,
            links=self._links,
            config=self._config,
            rng=self._rng,
            now=now,
        )
        self.roster.add(download)
        self.offers.note(download)
        return download

    def _with_us(
        self, contacts: tuple[Contact, ...], root: bytes, size: int
    ) -> tuple[Contact, ...]:
        """These, and ourselves where we have the whole file; others' word for that is nothing."""
        others = tuple(each for each in contacts if each.node != self._me)
        finished = self.find(root, size)
        there = self._library.find(root, size) is not None
        there = there or (finished is not None and finished.state is State.DONE)
        return (*others, Contact(self._me, _OURSELVES)) if there else others

    def _adopted(self, event: Adopted, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for each in self.roster.of_folder(event.folder):
            each.record = replace(each.record, folder=event.by)
            effects.append(RememberDownload(each.record))
        return effects

    # --- turns ------------------------------------------------------------------------------

    def _pass(self, download: Download | None, event: Event, now: float) -> list[Effect]:
        """Let one download take in an event, and see whether that concerns others."""
        if download is None:
            return []
        before = download.standing
        effects = download.handle(event, now)
        if download.standing == before:
            return effects
        self.offers.note(download)
        moved = Moved(download.record.number, download.record, download.code)
        return [*effects, *self._settle(now), moved]

    def _settle(self, now: float) -> list[Effect]:
        """A download came, went or changed: share anew, start whose turn it is, tell who waits."""
        self.roster.drop_ended()
        if self._closing:
            return self._askers.answer(now)
        effects = self._start_queued(now)
        offers = self.offers.update()
        return [*effects, *self._allot(now), *offers, *self._askers.answer(now)]

    def _start_queued(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        opened = [each for each in self._under_way.values() if each.state is State.FETCHING]
        busy, count = sum(each.linked > 0 for each in opened), len(opened)
        for each in list(self._under_way.values()):
            if busy >= self._config.downloads_active_max or count >= OPEN_MAX:
                break
            if each.state is State.QUEUED:
                count += 1
                effects += each.handle(Started(), now)
        return effects

    def _allot(self, now: float) -> list[Effect]:
        """Links and bytes on their way, shared evenly by those that have sources."""
        fetching = [each for each in self._under_way.values() if each.state is State.FETCHING]
        sharers = max(sum(each.linked > 0 for each in fetching), 1)
        links = max(self._config.links_max // sharers, 1)
        allotted = Allotted(links, self._config.writes_bytes_max // sharers)
        return [effect for each in fetching for effect in each.handle(allotted, now)]

    # --- people -----------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        effects = self._METHODS[event.method](self, event.params, now) + self._settle(now)
        shown = [each for each in self._downloads.values() if not each.record.folder]
        return [*effects, Listed(event.call, tuple(rows_of(shown, now)))]

    def _asked_downloads(self, _params: object, _now: float) -> list[Effect]:
        return []

    def _asked_pause(self, params: Chosen, now: float) -> list[Effect]:
        waiting = (State.QUEUED, State.FETCHING, State.PAUSED)
        chosen = [each for each in self.roster.chosen(params.id) if each.state in waiting]
        for each in chosen:
            self.offers.note(each)
        return [effect for each in chosen for effect in each.handle(Halted(), now)]

    def _asked_resume(self, params: Chosen, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for each in self.roster.chosen(params.id):
            if each.state is State.FAILED:  # unless the file is being fetched anew already
                if self._under_way.setdefault(each.record.root, each) is each:
                    effects += each.handle(Resumed(), now)
            elif each.state is State.PAUSED:
                effects += each.handle(Resumed(), now)
        return effects

    def _asked_rm(self, params: Remove, now: float) -> list[Effect]:
        if not params.id:  # only what can be undone is meant for all of them
            hint = "`leaf downloads` shows their ids."
            raise UserError(Exit.USAGE, "Say which download to remove.", hint)
        effects: list[Effect] = []
        for each in self.roster.chosen(params.id):
            effects += self._remove(each, delete=params.delete_data, now=now)
        return effects

    def _remove(self, download: Download, *, delete: bool, now: float) -> list[Effect]:
        """Forget it; nothing ever removes a finished file."""
        record = download.record
        effects = download.handle(Halted(delete), now)
        self.roster.remove(download)
        self.offers.note(download, removed=True)
        forget = RememberDownload(record, forget=True)
        dismissed = self._askers.dismiss(download) + self._looks.dismiss(download)
        moved = Moved(record.number, download.record, download.code, removed=True)
        return [*effects, forget, *dismissed, moved]

    def _forgotten(self, event: Forgotten, now: float) -> list[Effect]:
        download = self._downloads.get(event.number)
        removed = [] if download is None else self._remove(download, delete=False, now=now)
        return removed + self._settle(now)

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        self._askers.leave(event.call)
        self._looks.leave(event.call)
        return []

    # --- passing on -------------------------------------------------------------------------

    def _of_disk(
        self,
        event: PartOpened | PartSkipped | PiecesWritten | PartFinished | PartFailed,
        now: float,
    ) -> list[Effect]:
        download = self._downloads.get(event.download)
        if download is not None and isinstance(event, PartFailed) and event.kind == "folder":
            return self._found_folder(download, now)
        effects = self._pass(download, event, now)
        failed = isinstance(event, PartFailed) and event.kind != "changed"  # then it is to look
        if download is not None and (failed or isinstance(event, PartSkipped)):
            effects += self._looks.looked(download, now)
        return effects

    def _found_folder(self, download: Download, now: float) -> list[Effect]:
        """It is a manifest: others fetch the folder, and this file goes before it had a name."""
        calls = self._askers.hand_over(download)
        found = FolderFound(download.record, calls, download.contacts)
        return [*self._remove(download, delete=True, now=now), *self._settle(now), found]

    def _of_link(self, event: LinkUp | LinkDown, now: float) -> list[Effect]:
        under_way = list(self._under_way.values())
        return [effect for each in under_way for effect in self._pass(each, event, now)]

    def _received(self, event: Received, now: float) -> list[Effect]:
        return self._pass(self._under_way.get(getattr(event.message, "root", b"")), event, now)

    def _sources_found(self, event: SourcesFound, now: float) -> list[Effect]:
        download = self._under_way.get(event.root)
        if download is None:
            return []
        download.record = named(download.record, event.name)
        sources = self._with_us(event.contacts, event.root, download.record.size)
        return self._pass(download, replace(event, contacts=sources), now)

    def _files_shared(self, event: FilesShared, now: float) -> list[Effect]:
        """What is wanted and found in a share of ours can be copied."""
        effects: list[Effect] = []
        for root in dict.fromkeys(file.root for file in event.files):
            effects += self._sources_found(SourcesFound(root, ()), now)
        return effects

    def _woke(self, event: Woke, now: float) -> list[Effect]:
        effects = self._askers.woke(now)
        for each in list(self._under_way.values()):
            due = each.wakeup()
            if due is not None and due <= now:
                effects += self._pass(each, event, now)
        return effects

    def _stopped(self, event: Stopped, now: float) -> list[Effect]:
        """Let go of every partial file; what is under way goes on in the next run."""
        self._closing = True
        under_way = list(self._under_way.values())
        effects = [effect for each in under_way for effect in each.handle(event, now)]
        return effects + self._looks.stop() + self._askers.stop()

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        Wanted: _wanted,
        Asked: _asked,
        AskerLeft: _asker_left,
        Forgotten: _forgotten,
        Adopted: _adopted,
        PartOpened: _of_disk,
        PartSkipped: _of_disk,
        PiecesWritten: _of_disk,
        PartFinished: _of_disk,
        PartFailed: _of_disk,
        LinkUp: _of_link,
        LinkDown: _of_link,
        Received: _received,
        SourcesFound: _sources_found,
        FilesShared: _files_shared,
        Stopped: _stopped,
        Woke: _woke,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.downloads": _asked_downloads,
        "leaf.pause": _asked_pause,
        "leaf.resume": _asked_resume,
        "leaf.rm": _asked_rm,
    }
