"""What this leaf shares: folders and files that are followed, and every file found in them.

The shell scans and hashes; this machine keeps what it reported, offers it for publishing, finds
files by their root for serving, and answers `share`, `unshare` and `ls`. Invariant: a path that
lies in two overlapping shares is offered once, by the share that reported it first, and stays
offered until the last of them gives it up. The manifest of a share that is a folder is one more of
its files. Files are not opened here.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.content.catalogue import Entry
from common.core import Answer, Asked, AskerLeft, Effect, Event, Fail, Notify, Tell, Woke
from common.errors import Exit, UserError
from common.folders import DropManifest, ManifestFailed, ManifestMade
from common.storage import (
    FilesShared,
    FilesUnshared,
    FollowShare,
    RememberShare,
    Restored,
    SharedFile,
    ShareFailed,
    ShareProgressed,
    ShareSettled,
    UnfollowShare,
)
from leaf.library.foldershares import MANIFEST, FolderShares
from leaf.library.following import Followed, Waiting, left_out_of, summed
from leaf.library.holdings import Holdings
from leaf.library.shared import entry_of, path_of, row_of, super_text
from leaf.methods import HashProgress, SharedRow, Unshare
from leaf.methods import Share as ShareParams
from leaf.signals import Acknowledged, Joined, Offered, Orphaned, Withdrawn

SHARES_MAX: Final = 1_000  # each is a thread that watches; wild guess


class Library:
    """The shares of a leaf."""

    __slots__ = (
        *("_acknowledged", "_folders", "_for_this_run", "_holdings", "_revision"),
        *("_shares", "_supers", "_waiting"),
    )

    def __init__(self, shares: tuple[str, ...], manifests: str = "/manifests") -> None:
        """`shares` are for this run only; those that are folders have their `manifests` there."""
        self._folders = FolderShares(manifests)
        self._for_this_run = shares
        self._shares: dict[str, Followed] = {}
        self._holdings = Holdings()
        self._revision = 0
        self._acknowledged = -1  # the revision that the parent holds
        self._supers: tuple[str, ...] = ()  # for links: our parent
        self._waiting: dict[int, Waiting] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When the next manifest is to be made."""
        return self._folders.wakeup()

    # --- what others may see ----------------------------------------------------------------

    @property
    def files(self) -> int:
        """How many distinct files are shared."""
        return len(self._holdings)

    @property
    def size_bytes(self) -> int:
        """How many bytes they have."""
        return self._holdings.bytes

    @property
    def pending(self) -> int:
        """How many are found and not yet hashed."""
        return sum(share.pending for share in self._shares.values())

    @property
    def left_out(self) -> dict[str, int]:
        """What lies in shares and is not shared: why, and how many."""
        return left_out_of(self._shares.values())

    def find(self, root: bytes, size: int | None = None) -> SharedFile | None:
        """A shared file with this content; of any size where none is given."""
        return self._holdings.find(root, size)

    # --- files come and go ------------------------------------------------------------------

    def _restored(self, event: Restored, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for path in (*event.shares, *self._for_this_run):
            if path not in self._shares and len(self._shares) < SHARES_MAX:
                self._shares[path] = Followed(keep=path in event.shares)
                effects += self._order(path)
        self._for_this_run = ()
        for path in event.folder_shares:
            self._folders.add(path)
        return effects

    def _files_shared(self, event: FilesShared, _now: float) -> list[Effect]:
        puts = []
        for file in event.files:
            share = self._shares.get(file.share)
            if share is None:
                continue
            share.heard = True
            self._folders.changed(file.share)
            path = path_of(file)
            before = share.files.get(file.relpath)
            if before is not None:
                self._holdings.remove(before)
            share.files[file.relpath] = file
            if self._holdings.add(file):
                puts.append((path, entry_of(file)))
        return self._offer(puts, []) + self._answer_ready()

    def _files_unshared(self, event: FilesUnshared, _now: float) -> list[Effect]:
        share = self._shares.get(event.share)
        if share is None:
            return []
        self._folders.changed(event.share)
        found = [share.files.pop(relpath, None) for relpath in event.relpaths]
        return self._take_back([file for file in found if file is not None])

    def _take_back(self, files: list[SharedFile]) -> list[Effect]:
        """No longer offer these, unless another share has them too."""
        puts: list[tuple[str, Entry]] = []
        drops: list[str] = []
        withdrawn: list[Effect] = []
        for file in files:
            path = path_of(file)
            self._holdings.remove(file)
            heir = self._holdings.at(path)
            if heir is not None:
                puts.append((path, entry_of(heir)))
            else:
                drops.append(path)
            if self.find(file.root, file.size) is None:
                withdrawn.append(Withdrawn(file.root))
        return self._offer(puts, drops) + withdrawn

    def _offer(self, puts: list[tuple[str, Entry]], drops: list[str]) -> list[Effect]:
        if not puts and not drops:
            return []
        self._revision += 1
        return [Offered(tuple(puts), tuple(drops), self._revision)]

    # --- what the shell says of a share -----------------------------------------------------

    def _progressed(self, event: ShareProgressed, _now: float) -> list[Effect]:
        share = self._shares.get(event.share)
        if share is None:
            return []
        share.heard, share.trouble = True, ""
        share.progress = HashProgress(
            event.files_done, event.files_total, event.bytes_done, event.bytes_total
        )
        tellings: list[Effect] = [
            Tell(call, self._progress_of(waiting))
            for call, waiting in self._waiting.items()
            if event.share in waiting.shares
        ]
        return tellings + self._answer_ready()

    def _settled(self, event: ShareSettled, now: float) -> list[Effect]:
        share = self._shares.get(event.share)
        if share is None:
            return []
        share.heard = share.settled = True
        share.progress, share.trouble = HashProgress(0, 0, 0, 0), ""
        share.scans += share.ordered
        share.ordered = False
        again = False
        for waiting in self._waiting.values():
            due = waiting.due.get(event.share, 0)
            again = again or due > share.scans
            if 0 < due <= share.scans:
                del waiting.due[event.share]
                waiting.revision = max(waiting.revision, self._revision)
        effects = self._order(event.share) if again else []
        if share.left_out != event.left_out:  # said once
            share.left_out = event.left_out
            said: dict[str, object] = {"share": event.share, "left_out": dict(event.left_out)}
            effects += [Notify("left_out_of_share", said)] if event.left_out else []
        effects += self._folders.settled(event.share, share.files, now)
        return effects + self._answer_ready()

    def _order(self, path: str) -> list[Effect]:
        """One scan at a time: to ask again would start it over, and many who ask would starve."""
        share = self._shares[path]
        if share.ordered:
            return []
        share.ordered = True
        return [FollowShare(path)]

    def _failed(self, event: ShareFailed, _now: float) -> list[Effect]:
        """Who waits for it hears why; a share that was there before is tried again."""
        fields: dict[str, object] = {"share": event.share, "reason": event.reason}
        effects: list[Effect] = [Notify("share_failed", fields, "warning")]
        share = self._shares.get(event.share)
        if share is not None:
            share.heard, share.settled, share.ordered = True, False, False
            share.progress, share.trouble = HashProgress(0, 0, 0, 0), event.reason.rstrip(".")
        return effects + self._fail_waiting(event) + self._answer_ready()

    def _fail_waiting(
        self, event: ShareFailed | ManifestFailed, *, only_folders: bool = False
    ) -> list[Effect]:
        effects: list[Effect] = []
        for call, waiting in list(self._waiting.items()):
            if event.share in waiting.shares and (waiting.as_folder or not only_folders):
                del self._waiting[call]
                effects.append(Fail(call, event.code, event.reason, event.hint))
                if event.share in waiting.new and event.share in self._shares:
                    effects += self._forget(event.share)
        return effects

    # --- manifests --------------------------------------------------------------------------

    def _manifest_made(self, event: ManifestMade, now: float) -> list[Effect]:
        """It takes the place of the last one, among the files of its share."""
        share = self._shares.get(event.share)
        if share is None or not self._folders.ended(event.share, now):
            return [DropManifest(event.file.share)]
        effects: list[Effect] = []
        if share.files.get(MANIFEST) != event.file:
            effects = self._replace_manifest(share, event.file)
        return effects + self._after_manifest(event.share)

    def _manifest_failed(self, event: ManifestFailed, now: float) -> list[Effect]:
        """What a share holds is no folder any more; its files stay shared."""
        share = self._shares.get(event.share)
        if share is None or not self._folders.ended(event.share, now):
            return []
        fields: dict[str, object] = {"share": event.share, "reason": event.reason}
        effects = self._replace_manifest(share, None)
        effects.append(Notify("folder_failed", fields, "warning"))
        effects += self._fail_waiting(event, only_folders=True)
        return effects + self._after_manifest(event.share)

    def _replace_manifest(self, share: Followed, new: SharedFile | None) -> list[Effect]:
        old = share.files.pop(MANIFEST, None)
        effects = [] if old is None else self._take_back([old])
        if old is not None and new is None:
            effects.append(DropManifest(old.share))
        if new is not None:
            share.files[MANIFEST] = new
            if self._holdings.add(new):
                effects += self._offer([(path_of(new), entry_of(new))], [])
        return effects

    def _after_manifest(self, path: str) -> list[Effect]:
        for waiting in self._waiting.values():
            if path in waiting.shares:
                waiting.revision = max(waiting.revision, self._revision)
        return self._answer_ready()

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        files = {path: share.files for path, share in self._shares.items()}
        return self._folders.woke(files, now)

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._supers = (super_text(event.address, event.parent),)
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._acknowledged = -1
        return []

    def _acknowledged_by_parent(self, event: Acknowledged, _now: float) -> list[Effect]:
        self._acknowledged = event.revision
        return self._answer_ready()

    # --- share, unshare, ls -----------------------------------------------------------------

    def _asked(self, event: Asked, _now: float) -> list[Effect]:
        return self._METHODS[event.method](self, event)

    def _asked_share(self, event: Asked) -> list[Effect]:
        params = event.params
        if not isinstance(params, ShareParams):
            raise TypeError(event.method)
        new = [path for path in dict.fromkeys(params.paths) if path not in self._shares]
        if len(self._shares) + len(new) > SHARES_MAX:
            raise UserError(Exit.USAGE, f"More than {SHARES_MAX} shares are not followed.")
        effects: list[Effect] = []
        shares = list(dict.fromkeys(params.paths)) or list(self._shares)
        waiting = Waiting(shares, new, params.wait, params.as_folder)
        for path in shares:
            share = self._shares.setdefault(path, Followed())
            if params.wait:  # what is there now may be missed by a scan that is under way
                waiting.due[path] = share.scans + 1 + share.ordered
            if params.wait or params.paths:
                effects += self._order(path)
            if params.paths:
                share.heard = share.settled  # one that failed is heard of anew
                effects += self._kept(path, share, params)
        self._waiting[event.call] = waiting
        return effects + self._answer_ready()

    def _kept(self, path: str, share: Followed, params: ShareParams) -> list[Effect]:
        """Remember a share, and that it is a folder, if that is news."""
        news = params.keep and not (share.keep and (path in self._folders or not params.as_folder))
        share.keep = share.keep or params.keep
        if params.as_folder:
            self._folders.add(path)
        return [RememberShare(path, as_folder=params.as_folder)] if news else []

    def _asked_unshare(self, event: Asked) -> list[Effect]:
        params = event.params
        path = params.path if isinstance(params, Unshare) else ""
        if path not in self._shares:
            raise UserError(
                Exit.NOTHING_FOUND, f"{path} is not shared.", "`leaf ls` shows what is."
            )
        rows = self._rows([path])
        forgotten = self._forget(path)
        return [*forgotten, Answer(event.call, rows), *self._answer_ready()]

    def _asked_ls(self, event: Asked) -> list[Effect]:
        return [Answer(event.call, self._rows(list(self._shares)))]

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        self._waiting.pop(event.call, None)
        return []

    def _forget(self, path: str) -> list[Effect]:
        share = self._shares.pop(path)
        self._folders.remove(path)
        effects: list[Effect] = [UnfollowShare(path)]
        if MANIFEST in share.files:
            effects.append(DropManifest(share.files[MANIFEST].share))
        if share.keep:
            effects.append(RememberShare(path, forget=True))
        return effects + self._take_back(list(share.files.values()))

    def _answer_ready(self) -> list[Effect]:
        effects: list[Effect] = []
        for call, waiting in list(self._waiting.items()):
            if self._is_ready(waiting):
                del self._waiting[call]
                effects.append(Answer(call, self._rows(waiting.shares)))
        return effects

    def _is_ready(self, waiting: Waiting) -> bool:
        followed = [path for path in waiting.shares if path in self._shares]
        if not waiting.wait:  # a list of nothing, before it is known what there is, helps nobody
            return all(self._shares[path].is_found for path in followed)
        scanned = not any(path in waiting.due or self._folders.is_behind(path) for path in followed)
        return scanned and waiting.revision <= self._acknowledged

    def _progress_of(self, waiting: Waiting) -> HashProgress:
        return summed(self._shares[path] for path in waiting.shares if path in self._shares)

    def _rows(self, shares: list[str]) -> list[SharedRow]:
        """The files of these shares, each path once; a share with none yet stands for itself."""
        rows: dict[str, SharedRow] = {}
        for path in shares:
            share = self._shares.get(path)
            if share is None:
                continue
            if not share.files and not share.settled:
                name = path.rpartition("/")[2]
                rows.setdefault(path, SharedRow(path, name, 0, None, None, share.trouble))
            for place, file in share.files.items():
                row = row_of(file, self._supers)
                if place == MANIFEST:  # people know it by the folder that it stands for
                    row.path = path
                rows.setdefault(path_of(file), row)
        return list(rows.values())

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        FilesShared: _files_shared,
        FilesUnshared: _files_unshared,
        ShareProgressed: _progressed,
        ShareSettled: _settled,
        ShareFailed: _failed,
        ManifestMade: _manifest_made,
        ManifestFailed: _manifest_failed,
        Joined: _joined,
        Orphaned: _orphaned,
        Acknowledged: _acknowledged_by_parent,
        Asked: _asked,
        AskerLeft: _asker_left,
        Woke: _woke,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.share": _asked_share,
        "leaf.unshare": _asked_unshare,
        "leaf.ls": _asked_ls,
    }
