"""The downloads that a leaf remembers, by number, by content, and those under way.

Invariant: at most one download of a content is under way. Finished ones stay until they are
removed, since they are served.
"""

from typing import Final

from msgspec.structs import replace

from common.content.torrent import file_id
from common.errors import Exit, UserError
from common.names import safe_name
from common.storage import DownloadRecord
from leaf.downloads.askers import id_of
from leaf.library.library import Library
from leaf.signals import Wanted
from leaf.swarm.download import Download, State

ENDED: Final = (State.DONE, State.FAILED)


class Roster:
    """A place for each download."""

    __slots__ = ("_by_root", "by_number", "under_way")

    def __init__(self) -> None:
        self.by_number: dict[int, Download] = {}
        self.under_way: dict[bytes, Download] = {}  # by root; neither done nor failed
        self._by_root: dict[bytes, dict[int, Download]] = {}

    def __len__(self) -> int:
        return len(self.by_number)

    def add(self, download: Download) -> None:
        """One more."""
        record = download.record
        self.by_number[record.number] = download
        self._by_root.setdefault(record.root, {})[record.number] = download
        if download.state not in ENDED:
            self.under_way.setdefault(record.root, download)

    def remove(self, download: Download) -> None:
        """One less."""
        record = download.record
        del self.by_number[record.number]
        self._by_root[record.root].pop(record.number)
        if not self._by_root[record.root]:
            del self._by_root[record.root]
        if self.under_way.get(record.root) is download:
            del self.under_way[record.root]

    def of_folder(self, folder: str) -> list[Download]:
        """The files of a folder, by its id, and its manifest."""
        return [each for each in self.by_number.values() if each.record.folder == folder]

    def drop_ended(self) -> None:
        """What has ended is under way no more."""
        for root, each in list(self.under_way.items()):
            if each.state in ENDED:
                del self.under_way[root]

    def with_root(self, root: bytes) -> list[Download]:
        """All downloads of this content."""
        return list(self._by_root.get(root, {}).values())

    def find(self, root: bytes, size: int | None = None) -> Download | None:
        """A download that serves this file, if it has nothing of it yet; a whole one goes first."""
        there = [
            each
            for each in self.with_root(root)
            if size in (None, each.record.size) and each.can_be_served
        ]
        return min(there, key=lambda each: each.state is not State.DONE, default=None)

    def chosen(self, text: str) -> list[Download]:
        """Those with this id, a folder's or their own, or all; UserError for one that none has."""
        chosen = [
            each
            for each in self.by_number.values()
            if text in ("", each.record.folder) or text == id_of(each)
        ]
        if text and not chosen:
            hint = "`leaf downloads` shows their ids."
            raise UserError(Exit.NOTHING_FOUND, f"There is no download {text[:80]!r}.", hint)
        return chosen

    def fetched_before(self, wanted: Wanted, target: str) -> Download | None:
        """A finished download that is just what is wanted, as far as the disk agrees."""
        for each in self.with_root(wanted.root):
            record = each.record
            here = record.path == target or wanted.params.exists == "rename"
            same = (record.size, record.target) == (wanted.size, target)
            if each.state is State.DONE and same and here and not record.reason:
                return each
        return None


def target_of(wanted: Wanted, folder: str) -> str:
    """Where the file is to go, `folder` if nothing else is said; its name came from outside."""
    name = safe_name(wanted.name)
    if not wanted.params.to:
        return f"{folder.rstrip('/')}/{name}"
    to = wanted.params.to
    return f"{to.rstrip('/')}/{name}" if wanted.params.into else to


def named(record: DownloadRecord, name: str) -> DownloadRecord:
    """A download of which only the content was named is called as the first of its sources does."""
    there = record.target.rpartition("/")[2]
    is_open = record.is_unnamed and there == safe_name(file_id(record.root, record.size))
    if not name or record.called or not is_open:
        return record
    return replace(record, called=safe_name(name))


def check_size(wanted: Wanted, roster: Roster, library: Library) -> None:
    """Raise UserError for a content that is here, and has another size than the one asked for."""
    here = roster.find(wanted.root)
    whole = here.record if here is not None and here.state is State.DONE else None
    known = whole or library.find(wanted.root)
    if known is not None and known.size != wanted.size:
        message = f"The file with this root has {known.size} bytes, not {wanted.size}."
        hint = f"Its id is {file_id(wanted.root, known.size)}."
        raise UserError(Exit.USAGE, message, hint)


def record_of(wanted: Wanted, number: int, target: str) -> DownloadRecord:
    """A download that nothing is done for yet."""
    params = wanted.params
    return DownloadRecord(
        number,
        wanted.root,
        wanted.size,
        target,
        params.exists,
        State.QUEUED.value,
        folder=wanted.folder,
        is_unnamed=not wanted.folder and wanted.name == file_id(wanted.root, wanted.size),
        is_streamed=params.stream,
    )


def goes_on(record: DownloadRecord) -> bool:
    """Whether the next run takes it up: not what failed, nor what a person paused (no reason)."""
    rests = record.state == State.PAUSED.value and not record.reason
    return record.state != State.FAILED.value and not rests
