"""What this leaf shares: folders and files that are followed, and every file found in them.

The shell scans and hashes; this machine keeps what it reported, offers it for publishing, finds
files by their root for serving, and answers `share`, `unshare` and `ls`. Invariant: a path that
lies in two overlapping shares is offered once, by the share that reported it first, and stays
offered until the last of them gives it up. Files are not opened here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

import msgspec

from common.addresses import Address
from common.catalogue import Entry
from common.core import Answer, Asked, AskerLeft, Effect, Event, Fail, Notify, Tell
from common.errors import Exit, UserError
from common.ids import NodeId, node_text
from common.names import safe_folder, safe_name
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
from common.torrent import file_id, magnet
from leaf.methods import HashProgress, SharedRow, Unshare
from leaf.methods import Share as ShareParams
from leaf.signals import Acknowledged, Joined, Offered, Orphaned, Withdrawn

SHARES_MAX: Final = 1_000  # each is a thread that watches; wild guess


@dataclass(slots=True)
class _Share:
    """One followed file or folder."""

    files: dict[str, SharedFile] = field(default_factory=dict)  # by relpath
    keep: bool = False
    heard: bool = False  # the shell said something of it
    settled: bool = False  # a scan is over, and it did not fail since
    ordered: bool = False  # a scan was ordered and is not over
    scans: int = 0  # ordered ones that are over
    progress: HashProgress = field(default_factory=lambda: HashProgress(0, 0, 0, 0))


class _Waiting(msgspec.Struct):
    """A `share` that is not answered yet."""

    shares: list[str]
    new: list[str]  # those that it brought: taken back if they cannot be shared
    wait: bool
    due: dict[str, int] = {}  # with `wait`: how many scans of a share must be over; till they are
    revision: int = -1  # what those scans brought


class Library:
    """The shares of a leaf."""

    __slots__ = (
        *("_acknowledged", "_by_path", "_by_root", "_bytes", "_for_this_run", "_revision"),
        *("_shares", "_supers", "_waiting"),
    )

    def __init__(self, shares: tuple[str, ...]) -> None:
        self._for_this_run = shares
        self._shares: dict[str, _Share] = {}
        self._by_path: dict[str, dict[str, SharedFile]] = {}  # path -> share -> the file there
        self._by_root: dict[bytes, dict[str, SharedFile]] = {}  # root -> path -> one of them
        self._bytes = 0
        self._revision = 0
        self._acknowledged = -1  # the revision that the parent holds
        self._supers: tuple[str, ...] = ()  # for links: our parent
        self._waiting: dict[int, _Waiting] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """Nothing here is due by itself."""
        return None

    # --- what others may see ----------------------------------------------------------------

    @property
    def files(self) -> int:
        """How many distinct files are shared."""
        return len(self._by_path)

    @property
    def size_bytes(self) -> int:
        """How many bytes they have."""
        return self._bytes

    @property
    def pending(self) -> int:
        """How many are found and not yet hashed."""
        shown = [share.progress for share in self._shares.values()]
        return sum(max(each.files_total - each.files_done, 0) for each in shown)

    def find(self, root: bytes, size: int | None = None) -> SharedFile | None:
        """A shared file with this content; of any size where none is given."""
        for file in self._by_root.get(root, {}).values():
            if size in (None, file.size):
                return file
        return None

    # --- files come and go ------------------------------------------------------------------

    def _restored(self, event: Restored, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for path in (*event.shares, *self._for_this_run):
            if path not in self._shares and len(self._shares) < SHARES_MAX:
                self._shares[path] = _Share(keep=path in event.shares)
                effects += self._order(path)
        self._for_this_run = ()
        return effects

    def _files_shared(self, event: FilesShared, _now: float) -> list[Effect]:
        puts = []
        for file in event.files:
            share = self._shares.get(file.share)
            if share is None:
                continue
            share.heard = True
            path = path_of(file)
            before = share.files.get(file.relpath)
            if before is not None:
                self._remove(path, before)
            share.files[file.relpath] = file
            if self._add(path, file):
                puts.append((path, entry_of(file)))
        return self._offer(puts, []) + self._answer_ready()

    def _files_unshared(self, event: FilesUnshared, _now: float) -> list[Effect]:
        share = self._shares.get(event.share)
        if share is None:
            return []
        found = [share.files.pop(relpath, None) for relpath in event.relpaths]
        return self._take_back([file for file in found if file is not None])

    def _take_back(self, files: list[SharedFile]) -> list[Effect]:
        """No longer offer these, unless another share has them too."""
        puts: list[tuple[str, Entry]] = []
        drops: list[str] = []
        withdrawn: list[Effect] = []
        for file in files:
            path = path_of(file)
            self._remove(path, file)
            heirs = self._by_path.get(path)
            if heirs:
                puts.append((path, entry_of(next(iter(heirs.values())))))
            else:
                drops.append(path)
            if self.find(file.root, file.size) is None:
                withdrawn.append(Withdrawn(file.root))
        return self._offer(puts, drops) + withdrawn

    def _add(self, path: str, file: SharedFile) -> bool:
        """Whether this share is the first, so that its entry is the one to offer."""
        owners = self._by_path.setdefault(path, {})
        if not owners:
            self._bytes += file.size
        owners[file.share] = file
        first = next(iter(owners.values()))
        self._by_root.setdefault(first.root, {})[path] = first
        return first is file

    def _remove(self, path: str, file: SharedFile) -> None:
        owners = self._by_path.get(path, {})
        owners.pop(file.share, None)
        paths = self._by_root.get(file.root, {})
        paths.pop(path, None)
        if not paths:
            self._by_root.pop(file.root, None)
        if owners:
            first = next(iter(owners.values()))
            self._by_root.setdefault(first.root, {})[path] = first
        elif self._by_path.pop(path, None) is not None:
            self._bytes -= file.size

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
        share.heard = True
        share.progress = HashProgress(
            event.files_done, event.files_total, event.bytes_done, event.bytes_total
        )
        tellings: list[Effect] = [
            Tell(call, self._progress_of(waiting))
            for call, waiting in self._waiting.items()
            if event.share in waiting.shares
        ]
        return tellings + self._answer_ready()

    def _settled(self, event: ShareSettled, _now: float) -> list[Effect]:
        share = self._shares.get(event.share)
        if share is None:
            return []
        share.heard = share.settled = True
        share.progress = HashProgress(0, 0, 0, 0)
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
            share.progress = HashProgress(0, 0, 0, 0)
        for call, waiting in list(self._waiting.items()):
            if event.share in waiting.shares:
                del self._waiting[call]
                effects.append(Fail(call, event.code, event.reason, event.hint))
                if event.share in waiting.new and event.share in self._shares:
                    effects += self._forget(event.share)
        return effects + self._answer_ready()

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._supers = (_super_text(event.address, event.parent),)
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
        waiting = _Waiting(shares, new, params.wait)
        for path in shares:
            share = self._shares.setdefault(path, _Share())
            if params.wait:  # what is there now may be missed by a scan that is under way
                waiting.due[path] = share.scans + 1 + share.ordered
            if params.wait or params.paths:
                effects += self._order(path)
            if params.paths:
                share.heard = share.settled  # one that failed is heard of anew
                if params.keep and not share.keep:
                    share.keep = True
                    effects.append(RememberShare(path))
        self._waiting[event.call] = waiting
        return effects + self._answer_ready()

    def _asked_unshare(self, event: Asked) -> list[Effect]:
        params = event.params
        path = params.path if isinstance(params, Unshare) else ""
        if path not in self._shares:
            raise UserError(Exit.USAGE, f"{path} is not shared.", "`leaf ls` shows what is.")
        rows = self._rows([path])
        return [*self._forget(path), Answer(event.call, rows)]

    def _asked_ls(self, event: Asked) -> list[Effect]:
        return [Answer(event.call, self._rows(list(self._shares)))]

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        self._waiting.pop(event.call, None)
        return []

    def _forget(self, path: str) -> list[Effect]:
        share = self._shares.pop(path)
        effects: list[Effect] = [UnfollowShare(path)]
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

    def _is_ready(self, waiting: _Waiting) -> bool:
        followed = [path for path in waiting.shares if path in self._shares]
        if not waiting.wait:
            return all(self._shares[path].heard for path in followed)
        scanned = not any(path in waiting.due for path in followed)
        return scanned and waiting.revision <= self._acknowledged

    def _progress_of(self, waiting: _Waiting) -> HashProgress:
        shares = [self._shares.get(path) for path in waiting.shares]
        shown = [share.progress for share in shares if share is not None]
        return HashProgress(
            sum(each.files_done for each in shown),
            sum(each.files_total for each in shown),
            sum(each.bytes_done for each in shown),
            sum(each.bytes_total for each in shown),
        )

    def _rows(self, shares: list[str]) -> list[SharedRow]:
        """The files of these shares, each path once; a share with none yet stands for itself."""
        rows: dict[str, SharedRow] = {}
        for path in shares:
            share = self._shares.get(path)
            if share is None:
                continue
            if not share.files and not share.settled:
                rows.setdefault(path, SharedRow(path, path.rpartition("/")[2], 0, None, None))
            for file in share.files.values():
                rows.setdefault(path_of(file), self._row(file))
        return list(rows.values())

    def _row(self, file: SharedFile) -> SharedRow:
        name = entry_of(file).name
        link = magnet(name, file.root, file.size, self._supers)
        return SharedRow(path_of(file), name, file.size, file_id(file.root, file.size), link)

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        FilesShared: _files_shared,
        FilesUnshared: _files_unshared,
        ShareProgressed: _progressed,
        ShareSettled: _settled,
        ShareFailed: _failed,
        Joined: _joined,
        Orphaned: _orphaned,
        Acknowledged: _acknowledged_by_parent,
        Asked: _asked,
        AskerLeft: _asker_left,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.share": _asked_share,
        "leaf.unshare": _asked_unshare,
        "leaf.ls": _asked_ls,
    }


def path_of(file: SharedFile) -> str:
    """The absolute path of a shared file; a share that is a file is that path itself."""
    return file.share if file.lone else f"{file.share.rstrip('/')}/{file.relpath}"


def entry_of(file: SharedFile) -> Entry:
    """How a shared file is published: sanitised, with its folder inside the share."""
    folder, _, name = file.relpath.rpartition("/")
    modified_s = max(file.mtime_ns // 10**9, 0)
    return Entry(file.root, file.size, safe_name(name), safe_folder(folder), modified_s)


def _super_text(address: Address, node: NodeId) -> str:
    return f"{address}/{node_text(node)}"
