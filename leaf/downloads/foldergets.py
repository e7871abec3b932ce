"""Folders that are fetched as one, above the downloads of their files.

    FETCHING --the last file has ended--> DONE, or FAILED where one is missing
       ^  '--pause--> PAUSED --resume--.
       '-------------------------------'   also from FAILED, with every file looked at anew

A folder wants its manifest and then its files as a person would (`Wanted`), in calls of the leaf's
own, and hears how each download moves. What is there already is looked at by the disk and costs no
byte, so a new version brings only what changed, and a restart begins from the beginning. What is
asked of downloads is asked of a folder and of its files: the downloads do their part, and the
answer with both is given here. The safety of each file is the business of its download.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.core import Answer, Asked, AskerLeft, Effect, Event, Fail, Notify, Stopped, Woke
from common.errors import Exit, UserError
from common.folders import DropManifest, ManifestRead, ManifestUnread, ReadManifest, RememberFolder
from common.ids import NodeId
from common.storage import Restored
from leaf.downloads.fetchedfolder import MANIFEST, FetchedFolder
from leaf.downloads.folderwaits import FolderWaits, result_of, row_of
from leaf.downloads.folderwishes import (
    IS_FILE,
    IS_FOLDER,
    as_file,
    check_joins,
    check_patterns,
    meant,
    nobodys_wish,
    order,
    record_of,
    target_of,
    wishes_of,
)
from leaf.downloads.roster import Roster
from leaf.methods import Chosen, Remove
from leaf.signals import (
    OURS,
    Adopted,
    FolderFound,
    FolderWanted,
    Forgotten,
    Heard,
    Listed,
    Moved,
    Wanted,
)
from leaf.swarm.download import Download, State

FOLDERS_MAX: Final = 1_000  # remembered, finished ones included
KEPT_MAX: Final = 5_000  # finished downloads; beyond it a folder's next file is served no longer
FAILURES_MAX: Final = 100  # files of one folder; then no more are tried
RETRY_S: Final = 5.0  # a file that somebody fetches to another place


class FolderGets:
    """The fetched folders of one leaf, by number."""

    def __init__(self, me: NodeId, roster: Roster, folder: str, manifests: str) -> None:
        """Folders go to `folder` if nothing else is said, their manifests to `manifests`."""
        self._me = me
        self._roster = roster
        self._folder = folder
        self._manifests = manifests
        self._folders: dict[int, FetchedFolder] = {}
        self._last_number = 0
        self._calls: dict[int, tuple[FetchedFolder, bytes]] = {}  # ours -> the file wanted
        self._last_call = OURS
        self._waits = FolderWaits(me)
        self._closing = False

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot ask."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._waits.deadlines.earliest()

    # --- wishes -----------------------------------------------------------------------------

    def _restored(self, event: Restored, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for record in event.folders[:FOLDERS_MAX]:
            self._last_number = max(self._last_number, record.number)
            folder = self._folders[record.number] = FetchedFolder(record, ())
            if folder.state is State.FETCHING:
                effects += self._fill(folder)
        return effects

    def _wanted(self, event: FolderWanted, now: float) -> list[Effect]:
        params = event.params
        check_patterns(event)
        target = target_of(event, self._folder, self._folders.values())
        folder = meant(event, target, self._folders.values())
        effects: list[Effect] = []
        if folder is not None and folder.state is State.FETCHING:
            check_joins(folder, target, params)
            folder.is_for_streams = folder.is_for_streams and params.stream
        else:
            number = self._new_number() if folder is None else folder.record.number
            record = record_of(event, number, target)
            if folder is None:
                folder = self._folders[number] = FetchedFolder(record, event.sources)
                effects = [RememberFolder(record)]
            else:  # remembered once its files are known
                folder.start_over(record)
            folder.is_for_streams = params.stream and not params.detach
            effects += self._fill(folder)
        if params.detach:
            return [*effects, Answer(event.call, result_of(folder, 0.0, 0))]
        self._waits.add(event, folder, now)
        return effects

    def _new_number(self) -> int:
        if len(self._folders) >= FOLDERS_MAX:
            hint = "Forget some with `leaf rm`."
            raise UserError(Exit.USAGE, f"{FOLDERS_MAX} folders are remembered.", hint)
        self._last_number += 1
        return self._last_number

    def _found(self, event: FolderFound, now: float) -> list[Effect]:
        """A file that was asked for by its content alone is a folder."""
        effects: list[Effect] = []
        for wish in wishes_of(event):
            try:
                effects += self._wanted(wish, now)
            except UserError as error:
                effects.append(Fail(wish.call, error.code, error.message, error.hint))
        return effects

    # --- files ------------------------------------------------------------------------------

    def _fill(self, folder: FetchedFolder) -> list[Effect]:
        """Want as many files as may be under way."""
        effects: list[Effect] = []
        record = folder.record
        while folder.state is State.FETCHING and not self._closing:
            place = folder.take()
            if place is None:
                break
            path, root, size = folder.file(place, self._manifests)
            exists = "rename" if place == MANIFEST else record.exists
            get, name = order(root, size, path, exists), path.rpartition("/")[2]
            self._last_call -= 1
            self._calls[self._last_call] = folder, root
            sources = tuple(folder.sources.values())
            effects.append(
                Wanted(self._last_call, get, root, size, name, sources, folder=folder.id)
            )
        return effects

    def _heard(self, event: Heard, now: float) -> list[Effect]:
        """A file was begun, was there, or cannot be; at the end nothing is said to be missing."""
        folder, root = self._calls.pop(event.call)
        is_known = self._folders.get(folder.record.number) is folder
        if self._closing or not is_known or root not in folder.active:
            return []
        outcome = event.outcome
        if isinstance(outcome, Answer):
            if getattr(outcome.result, "verified", False):
                return self._there(folder, root, None, getattr(outcome.result, "path", ""), now)
            return []
        if outcome.code is Exit.REFUSED and folder.active[root] != MANIFEST:
            folder.put_off(root)
            self._waits.deadlines.set(("retry", folder.record.number), now + RETRY_S)
            return self._fill(folder)
        return self._missing(folder, root, outcome.code, outcome.message, now)

    def _moved(self, event: Moved, now: float) -> list[Effect]:
        """A download is in another state: is it one of ours?"""
        record = event.record
        effects: list[Effect] = []
        for folder in list(self._folders.values()):
            if record.root not in folder.active or not self._is_ours(folder, event):
                continue
            download = self._roster.by_number.get(event.number)
            if event.removed:
                if self._roster.under_way.get(record.root) is None:
                    reason = "it was removed from the downloads"
                    effects += self._missing(folder, record.root, Exit.UNFINISHED, reason, now)
            elif record.state == State.DONE.value:
                effects += self._there(folder, record.root, download, record.path, now)
            elif record.state == State.FAILED.value:
                effects += self._missing(folder, record.root, event.code, record.reason, now)
            elif download is not None and download.is_short_of_space:
                effects += self._waits.fail(folder, Exit.DISK, record.reason)
        return effects

    def _is_ours(self, folder: FetchedFolder, event: Moved) -> bool:
        path, _, _ = folder.file(folder.active[event.record.root], self._manifests)
        return event.record.target == path

    def _there(
        self,
        folder: FetchedFolder,
        root: bytes,
        download: Download | None,
        path: str,
        now: float,
    ) -> list[Effect]:
        place = folder.active[root]
        wanted, _, _ = folder.file(place, self._manifests)
        folder.ended(root, download, self._me)
        if place == MANIFEST:
            return [ReadManifest(folder.record.number, path, folder.record.only)]
        folder.placed(wanted, path)
        effects: list[Effect] = []
        if download is not None and len(self._roster) > KEPT_MAX:
            effects.append(Forgotten(download.record.number))
        return effects + self._go_on(folder, now)

    def _missing(
        self, folder: FetchedFolder, root: bytes, code: Exit, reason: str, now: float
    ) -> list[Effect]:
        place = folder.active[root]
        folder.failed(root, code, reason)
        if place == MANIFEST:
            return self._fail(folder, code, reason)
        if folder.missing == FAILURES_MAX:  # a disk that takes nothing takes none of the others
            return self._fail(folder, folder.code, folder.verdict)
        return self._go_on(folder, now)

    def _go_on(self, folder: FetchedFolder, now: float) -> list[Effect]:
        """The next files, or the end."""
        if not folder.is_over:
            return self._fill(folder)
        if folder.missing:
            return self._fail(folder, folder.code, folder.verdict)
        folder.enter(State.DONE)
        done = [RememberFolder(folder.record), *self._waits.done(folder, now)]
        return [*done, *self._adopt(folder)]

    def _adopt(self, folder: FetchedFolder) -> list[Effect]:
        """Older versions that were fetched to the same place are part of this one now."""
        effects: list[Effect] = []
        for old in list(self._folders.values()):
            same = old.record.target == folder.record.target
            if old is not folder and same and old.state is State.DONE:
                effects += [*self._dropped(old), Adopted(old.id, folder.id)]
        return effects

    def _fail(self, folder: FetchedFolder, code: Exit, reason: str) -> list[Effect]:
        folder.enter(State.FAILED, reason)
        failed = self._waits.fail(folder, code, reason, "`leaf resume` tries again.")
        return [RememberFolder(folder.record), *failed]

    # --- the manifest -----------------------------------------------------------------------

    def _read(self, event: ManifestRead, now: float) -> list[Effect]:
        folder = self._folders.get(event.folder)
        if folder is None or folder.is_loaded or folder.active:
            return []
        if not event.files:
            reason = f"None of its {event.left} files is one of those that --only names."
            return self._chose_nothing(folder, reason)
        told = self._waits.fail(folder, Exit.USAGE, *IS_FOLDER, streams=True)
        if folder.is_for_streams:
            return [*told, *self._dropped(folder)]
        folder.load(event.files, event.moved)
        effects: list[Effect] = [*told, RememberFolder(folder.record)]
        if event.moved:
            fields: dict[str, object] = {"id": folder.id, "files": event.moved}
            effects.append(Notify("names_kept_apart", fields))
        return effects + self._go_on(folder, now)

    def _chose_nothing(self, folder: FetchedFolder, reason: str) -> list[Effect]:
        """Who waits hears so. What was there before stays that; a new one stays if nobody waits."""
        told = self._waits.fail(folder, Exit.NOTHING_FOUND, reason)
        if folder.before is not None:
            folder.start(folder.before)
            return [*told, RememberFolder(folder.record)]
        if not told:
            return self._fail(folder, Exit.NOTHING_FOUND, reason)
        return [*told, *self._dropped(folder)]

    def _unread(self, event: ManifestUnread, _now: float) -> list[Effect]:
        """What is no manifest though it is called like one is an ordinary file, and fetched as
        that."""
        folder = self._folders.get(event.folder)
        if folder is None or folder.is_loaded:
            return []
        if event.kind != "ordinary":
            code = Exit.DISK if event.kind == "disk" else Exit.CORRUPT
            return self._fail(folder, code, f"{event.reason}.")
        if folder.record.only:
            told = self._waits.fail(folder, Exit.USAGE, *IS_FILE)
            return [*told, *self._dropped(folder)]
        wishes = self._waits.release(folder) or [nobodys_wish(folder)]
        return [*self._dropped(folder), *map(as_file, wishes)]

    def _dropped(self, folder: FetchedFolder) -> list[Effect]:
        """Forget a folder; its manifest and that download of it, unless it stands elsewhere too."""
        path, _, _ = folder.file(MANIFEST, self._manifests)
        del self._folders[folder.record.number]
        forget = RememberFolder(folder.record, forget=True)
        if self.chosen(folder.id):
            return [forget]
        files = self._roster.of_folder(folder.id)
        forgotten = [Forgotten(each.record.number) for each in files if each.record.target == path]
        return [*forgotten, DropManifest(path), forget]

    # --- people -----------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        """Our part; the downloads have theirs, and say it with `Listed`."""
        method = self._METHODS.get(event.method)
        return method(self, event.params, now) if method else []

    def chosen(self, text: str) -> list[FetchedFolder]:
        """The folder with this id, or all where it is empty."""
        return [each for each in self._folders.values() if text in ("", each.id)]

    def _asked_pause(self, params: Chosen, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for folder in self.chosen(params.id):
            if folder.state is State.FETCHING:
                folder.enter(State.PAUSED)
                effects.append(RememberFolder(folder.record))
        return effects

    def _asked_resume(self, params: Chosen, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for folder in self.chosen(params.id):
            if folder.state not in (State.PAUSED, State.FAILED):
                continue
            if folder.state is State.FAILED or not folder.is_loaded:
                folder.start(folder.record)
            folder.enter(State.FETCHING)
            effects.append(RememberFolder(folder.record))
            effects += self._go_on(folder, now)
        return effects

    def _asked_rm(self, params: Remove, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for folder in self.chosen(params.id) if params.id else []:
            effects += self._waits.fail(folder, Exit.UNFINISHED, "The download was removed.")
            effects += self._dropped(folder)
        return effects

    def _listed(self, event: Listed, now: float) -> list[Effect]:
        """Everything that is fetched: folders, then files that are none of a folder's."""
        rows = []
        for folder in self._folders.values():
            files = self.under_way(folder)
            rows.append(row_of(folder, files, now))
        return [Answer(event.call, [*rows, *event.rows])]

    def under_way(self, folder: FetchedFolder) -> list[Download]:
        """The downloads of its files, and of its manifest, that have not ended."""
        if folder.state in (State.PAUSED, State.FAILED) and not folder.is_loaded:
            # as the last run left it
            return self._roster.of_folder(folder.id)
        found = [self._roster.under_way.get(root) for root in folder.active]
        return [each for each in found if each is not None]

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        self._waits.leave(event.call)
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._waits.deadlines.pop_due(now):
            if key == "progress":
                files = {each.id: self.under_way(each) for each in self._waits.folders}
                effects += self._waits.tell(files, now)
            elif isinstance(key, tuple) and key[1] in self._folders:
                folder = self._folders[key[1]]
                folder.release()
                effects += self._fill(folder)
        return effects

    def _stopped(self, _event: Stopped, _now: float) -> list[Effect]:
        """What is under way goes on in the next run."""
        self._closing = True
        return self._waits.stop()

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        FolderWanted: _wanted,
        FolderFound: _found,
        Heard: _heard,
        Moved: _moved,
        ManifestRead: _read,
        ManifestUnread: _unread,
        Asked: _asked,
        Listed: _listed,
        AskerLeft: _asker_left,
        Stopped: _stopped,
        Woke: _woke,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.pause": _asked_pause,
        "leaf.resume": _asked_resume,
        "leaf.rm": _asked_rm,
    }
