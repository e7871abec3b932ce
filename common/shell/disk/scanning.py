"""One share as it was reported, and the scan that brings the report up to date.

A scan walks the share, reports what is known and new, withdraws what is gone or changed, hashes the
rest and reports that. A file whose stamp is known is never read again. A share that is not there,
or cannot be read, is told once; what was reported of it is withdrawn. When to scan, in which thread
and who may still hear of it is the business of the caller (`follower.py`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from common.content.merkle import FileTree
from common.core import Event
from common.errors import Exit, UserError
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError
from common.shell.disk.files import FileChangedError, FileStamp
from common.shell.disk.forgetting import forget_gone
from common.shell.disk.remembered import Hashes
from common.shell.disk.scan import (
    FoundFile,
    HashCancelledError,
    Hashing,
    Known,
    compare,
    hash_file,
    share_root,
)
from common.storage import (
    FilesShared,
    FilesUnshared,
    SharedFile,
    ShareFailed,
    ShareProgressed,
    ShareSettled,
)

BATCH: Final = 256  # files of one event
HASH_AHEAD: Final = 64  # files handed to the hash threads at once
PROGRESS_S: Final = 0.2

HashJob = Callable[[], FileTree | None]
HashAll = Callable[[Sequence[HashJob], Callable[[], None]], Sequence[FileTree | None]]
"""Does all these jobs, and calls the second now and then meanwhile."""


def one_by_one(jobs: Sequence[HashJob], show: Callable[[], None]) -> Sequence[FileTree | None]:
    """Hash in this very thread."""
    found = []
    for job in jobs:
        found.append(job())
        show()
    return found


class Scanner:
    """One share. `look` gives its real path or raises why it cannot be followed; `tell` takes each
    event with the number of the scan."""

    def __init__(
        self,
        share: str,
        store: Hashes | None,
        look: Callable[[Path], Path],
        tell: Callable[[Event, int], None],
        *,
        stopped: Callable[[], bool] = lambda: False,
        hash_all: HashAll = one_by_one,
        disk: DiskCalls = REAL,
        hashing: Hashing = hash_file,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = share
        self.path = Path(share)
        """Where it really is, once that was looked at."""
        self.failed = False
        """The last scan could not be made."""
        self.refused = False
        """It may not be shared: the end."""
        self.changing = False
        """A file of the last scan was."""
        self._store = store
        self._look = look
        self._tell_number = tell
        self._stopped = stopped
        self._hash_all = hash_all
        self._disk = disk
        self._hashing = hashing
        self._clock = clock
        self._number = -1  # of the last scan
        self._reported: dict[str, SharedFile] = {}
        self._told = ""  # the failure that was told last
        self._reconciled = False  # with what the store knew from earlier runs
        self._skipped: dict[str, int] = {}  # why, and how many
        self._progressed_at = 0.0

    def turn(self, number: int) -> None:
        """One scan, the `number`th that was asked for, or the same again. Never raises UserError
        or OSError: that is told."""
        if number != self._number:
            self._told = ""  # who asked hears the reason, old or new
        self._number = number
        self._skipped, self.changing, self.failed = {}, False, False
        try:
            self.path = self._look(Path(self.share))
            self._scan()
        except (UserError, OSError) as error:
            self._fail(error)
        else:
            self._told = ""
            skipped = sum(self._skipped.values())
            self._tell(ShareSettled(self.share, skipped, tuple(sorted(self._skipped.items()))))

    def _fail(self, error: UserError | OSError) -> None:
        """Tell why, unless that was told; what was reported is there no more."""
        self.failed = True
        self._withdraw(tuple(self._reported))
        hint = error.hint if isinstance(error, UserError) else "Check the path."
        code = error.code if isinstance(error, UserError) else Exit.DISK
        self.refused = code is Exit.REFUSED
        reason, told = str(error), self._told
        self._told = reason
        if reason != told:
            self._tell(ShareFailed(self.share, reason, hint, code))

    def _tell(self, event: Event) -> None:
        if not self._stopped():
            self._tell_number(event, self._number)

    # --- one scan ---------------------------------------------------------------------------

    def _scan(self) -> None:
        root = share_root(self.path, self._disk)
        present: dict[str, None] = {}
        unknown: list[FoundFile] = []
        batch: list[SharedFile] = []
        for file, known_root in compare(self.path, self._known(root), self._skip, self._disk):
            if self._stopped():
                return
            present[file.relpath] = None
            if known_root is None:
                unknown.append(file)
            elif (shared := self._shared(file, known_root)) != self._reported.get(file.relpath):
                batch.append(shared)
                if len(batch) == BATCH:
                    self._report(batch)
                    batch = []
        self._report(batch)
        gone = tuple(relpath for relpath in self._reported if relpath not in present)
        self._withdraw(gone)
        changed = tuple(file.relpath for file in unknown if file.relpath in self._reported)
        self._withdraw(changed)
        self._hash(root, unknown)
        if gone or changed or not self._reconciled:
            self._forget(root, present)

    def _forget(self, root: Path, present: dict[str, None]) -> None:
        """No scan forgets for an empty share: it may be a disk that is not mounted."""
        whole = not self._stopped() and root == self.path  # and no lone file
        if self._store is not None and present and whole:
            forget_gone(self._store, root, present, self._disk)
            self._reconciled = True

    def _skip(self, _relpath: str, reason: str) -> None:
        self._skipped[reason] = self._skipped.get(reason, 0) + 1

    def _known(self, root: Path) -> Callable[[str], dict[str, Known]]:
        store = self._store
        return (lambda folder: store.hashes(root / folder)) if store else (lambda _folder: {})

    def _shared(self, file: FoundFile, tree_root: bytes) -> SharedFile:
        stamp = file.stamp
        lone = self.path.name == file.relpath and not self._disk.is_folder(self.path)
        return SharedFile(
            self.share, file.relpath, stamp.size, stamp.mtime_ns, stamp.inode, tree_root, lone
        )

    def _report(self, files: list[SharedFile]) -> None:
        if files:
            self._reported.update({file.relpath: file for file in files})
            self._tell(FilesShared(tuple(files)))

    def _withdraw(self, relpaths: tuple[str, ...]) -> None:
        for relpath in relpaths:
            del self._reported[relpath]
        if relpaths:
            self._tell(FilesUnshared(self.share, relpaths))

    # --- hashing ----------------------------------------------------------------------------

    def _hash(self, root: Path, files: list[FoundFile]) -> None:
        files_total, bytes_total = len(files), sum(file.stamp.size for file in files)
        progress = _Progress(self.share, files_total, bytes_total)
        for some in _slices(files, HASH_AHEAD):
            jobs = [self._job(root, file, progress) for file in some]
            self._keep(root, some, self._hash_all(jobs, lambda: self._show(progress)))
            if self._stopped():
                return

    def _job(self, root: Path, file: FoundFile, progress: "_Progress") -> HashJob:
        def job() -> FileTree | None:
            try:
                return self._hashing(root, file, self._stopped, progress.add_bytes, self._disk)
            except FileChangedError:
                self.changing = True
                return None
            except (DiskError, HashCancelledError):
                return None
            finally:
                progress.files_done += 1

        return job

    def _keep(self, root: Path, files: list[FoundFile], trees: Sequence[FileTree | None]) -> None:
        """Remember and report what was found."""
        by_folder: dict[Path, dict[str, tuple[FileStamp, FileTree]]] = {}
        shared: list[SharedFile] = []
        for file, tree in zip(files, trees, strict=True):
            if tree is None:
                self._skip(file.relpath, "it changes, or cannot be read")
                continue
            path = root / file.relpath
            by_folder.setdefault(path.parent, {})[path.name] = (file.stamp, tree)
            shared.append(self._shared(file, tree.root))
        if self._store is not None:
            for folder, found in by_folder.items():
                self._store.remember_hashes(folder, found)
        self._report(shared)

    def _show(self, progress: "_Progress") -> None:
        now = self._clock()
        if now - self._progressed_at >= PROGRESS_S:
            self._progressed_at = now
            self._tell(progress.event())


class _Progress:
    """Counts of one scan; added to by the hash threads (a lost update costs a bar a pixel)."""

    def __init__(self, share: str, files_total: int, bytes_total: int) -> None:
        self.share = share
        self.files_done = 0
        self.files_total = files_total
        self.bytes_done = 0
        self.bytes_total = bytes_total

    def add_bytes(self, count: int) -> None:
        self.bytes_done += count

    def event(self) -> ShareProgressed:
        return ShareProgressed(
            self.share, self.files_done, self.files_total, self.bytes_done, self.bytes_total
        )


def _slices(files: list[FoundFile], length: int) -> Iterator[list[FoundFile]]:
    for start in range(0, len(files), length):
        yield files[start : start + length]
