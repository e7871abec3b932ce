"""One folder that is fetched as one: its record, its files, and which of them are under way.

First its manifest is fetched, then the files that it lists, FILES_ACTIVE_MAX at a time, each as a
download of its own. Invariant: of files with one content only one is under way; the others follow
and are copied. Nothing is ordered here: who asks is told which file is next.
"""

from collections import deque
from typing import Final

import msgspec

from common.content.manifest import FolderFile
from common.content.torrent import file_id
from common.errors import Exit
from common.ids import NodeId
from common.messages.fields import Contact
from common.storage import FolderRecord
from leaf.swarm.download import Download, State

FILES_ACTIVE_MAX: Final = 24  # of one folder: three times those that fetch at once; wild guess
MANIFEST: Final = -1  # its place among the files
SOURCES_KEPT: Final = 16  # told to each file: who has the manifest mostly has the files


class FetchedFolder:
    """One wanted folder."""

    def __init__(self, record: FolderRecord, sources: tuple[Contact, ...]) -> None:
        self.sources = {contact.node: contact for contact in sources}
        self.id = file_id(record.root, record.size)
        self.received_bytes = 0
        self.givers: dict[NodeId, None] = {}
        self.code = Exit.DONE
        """Why it failed, if it did."""
        self.renamed = 0
        self.is_for_streams = False  # whether nobody wants it who could have a folder
        self.before: FolderRecord | None = None
        """What it was, while it is not known yet whether another wish for it means any file."""
        self.start(record)

    def start(self, record: FolderRecord) -> None:
        """From the beginning: the manifest is next, then every file is looked at."""
        self.record = record
        self.files: tuple[FolderFile, ...] = ()
        self.is_loaded = False
        self.verified = True
        self.done_bytes = self.done_files = 0
        self.missing = 0
        self.first_reason = ""
        self.beside = self.copied = 0
        self.first_beside = ""
        self.code = Exit.DONE
        self.active: dict[bytes, int] = {}  # root -> place among the files
        self._next = MANIFEST
        self._ready: deque[int] = deque()
        self._behind: dict[bytes, deque[int]] = {}  # each waits for one with the same content
        self._later: list[int] = []

    def start_over(self, record: FolderRecord) -> None:
        """Another wish for it: from the beginning, if that means any of its files."""
        self.before = self.record
        self.start(record)

    @property
    def state(self) -> State:
        """What it does, in the words of a download; never queued or finishing."""
        return State(self.record.state)

    @property
    def is_over(self) -> bool:
        """Whether every file has ended."""
        waits = self.active or self._ready or self._later
        return self.is_loaded and not waits and self._all_begun

    @property
    def verdict(self) -> str:
        """What is missing, and why the first of it."""
        of = f"{self.missing} of {self.record.files} files are missing"
        return f"{of}. {self.first_reason}"

    @property
    def _all_begun(self) -> bool:
        return self._next >= len(self.files)

    def enter(self, state: State, reason: str = "") -> None:
        """Another state, or another reason."""
        self.record = msgspec.structs.replace(self.record, state=state.value, reason=reason)

    def load(self, files: tuple[FolderFile, ...], renamed: int) -> None:
        """The manifest is read."""
        self.files, self.renamed, self.is_loaded = files, renamed, True
        self._next, self.before = 0, None
        total = sum(file.size for file in files)
        self.record = msgspec.structs.replace(self.record, files=len(files), bytes=total)

    def take(self) -> int | None:
        """The next file to begin, which is under way from now on; None if none may begin now."""
        while len(self.active) < FILES_ACTIVE_MAX:
            if self._ready:
                place = self._ready.popleft()
            elif self._next == MANIFEST and not self.active:
                place, self._next = MANIFEST, 0
            elif self.is_loaded and not self._all_begun:
                place, self._next = self._next, self._next + 1
            else:
                return None
            root = self.root_of(place)
            if root in self.active:
                self._behind.setdefault(root, deque()).append(place)
            else:
                self.active[root] = place
                return place
        return None

    def root_of(self, place: int) -> bytes:
        """The content of a file."""
        return self.record.root if place == MANIFEST else self.files[place].root

    def file(self, place: int, manifests: str) -> tuple[str, bytes, int]:
        """Where a file goes, and what it is; the manifest goes to the leaf's own `manifests`."""
        record = self.record
        if place == MANIFEST:
            path = f"{manifests}/fetched-{record.root.hex()}/{record.name}"
            return path, record.root, record.size
        file = self.files[place]
        return f"{record.target.rstrip('/')}/{file.path}", file.root, file.size

    def placed(self, wanted: str, path: str) -> None:
        """A file stands where it was wanted, or beside another."""
        if path != wanted:
            self.beside += 1
            self.first_beside = self.first_beside or path

    def ended(self, root: bytes, download: Download | None, me: NodeId = b"") -> None:
        """The file under way with this content is there; `download` brought it just now, from
        others or, as a copy of what we had, from `me`."""
        place = self._leave(root)
        if place != MANIFEST:
            self.done_bytes += self.files[place].size
            self.done_files += 1
        if download is not None:
            others = {node: None for node in download.given_by if node != me}
            self.received_bytes += download.received_bytes if others else 0
            self.copied += place != MANIFEST and not others and bool(download.given_by)
            self.givers.update(others)
            for contact in download.contacts:
                if len(self.sources) < SOURCES_KEPT:
                    self.sources.setdefault(contact.node, contact)
            self.verified = self.verified and download.can_be_served

    def failed(self, root: bytes, code: Exit, reason: str) -> None:
        """It does not come."""
        place = self._leave(root)
        if not self.missing:
            path = "" if place == MANIFEST else f"{self.files[place].path}: "
            self.code, self.first_reason = code, path + reason
        self.missing += 1

    def _leave(self, root: bytes) -> int:
        """The next with this content may begin, and only that: of as many as there are, each is
        looked at twice at most."""
        behind = self._behind.get(root)
        if behind:
            self._ready.append(behind.popleft())
            if not behind:
                del self._behind[root]
        return self.active.pop(root)

    def put_off(self, root: bytes) -> None:
        """It cannot begin now: once more after `release`."""
        self._later.append(self.active.pop(root))

    def release(self) -> None:
        """What was put off may begin."""
        self._ready.extend(self._later)
        self._later.clear()
