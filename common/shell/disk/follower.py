"""One followed share in a thread of its own: scan, hash what is new, report, wait, scan again.

It waits for the file system to report a change, for somebody to ask, or for the rescan that stays
the truth. A share that is not there, or cannot be read, is told once and looked for again; one
that may not be shared is told, and that is the end. A file whose stamp is known is never read
again. What is told carries the number of its scan; who may still hear it is up to `shares.py`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from common.core import Event
from common.errors import Exit, UserError
from common.merkle import FileTree
from common.shell.disk.changes import Changes
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.files import FileChangedError, FileStamp, check_share
from common.shell.disk.forgetting import forget_gone, forget_share
from common.shell.disk.scan import (
    FoundFile,
    HashCancelledError,
    Known,
    compare,
    hash_file,
    share_root,
)
from common.shell.disk.store import Store
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
RESCAN_S: Final = 300  # events can be lost; a changed file is refused at its first read anyway
RETRY_S: Final = 10  # a share that could not be read, a file that was changing


class Follower:
    """One share, in its own thread."""

    def __init__(
        self,
        share: str,
        private: tuple[Path, ...],
        store: Store | None,
        hashers: ThreadPoolExecutor,
        tell: Callable[["Follower", Event, int], None],
        retry_s: float,
        after: tuple[threading.Thread, ...] = (),
    ) -> None:
        self.share = share
        self.path = Path(share)
        """Where it really is, once that was looked at."""
        self.asked = 0
        """How often a scan was asked for; counted in the loop."""
        self.thread = threading.Thread(target=self._run, name="share", daemon=True)
        self._private = private
        self._store = store
        self._hashers = hashers
        self._tell_loop = tell
        self._retry_s = retry_s
        self._after = after
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._forget_beside: tuple[Path, ...] | None = None
        self._changes: Changes | None = None
        self._reported: dict[str, SharedFile] = {}
        self._scan_number = -1  # how many were asked for when it began
        self._told = ""  # the failure that was told last
        self._refused = False  # it may not be shared: the end
        self._reconciled = False  # with what the store knew from earlier runs
        self._skipped = 0
        self._changing = False  # a file of the last scan was
        self._progressed_at = 0.0

    def ask(self) -> None:
        """Scan now, or once more after the scan that is under way."""
        self.asked += 1
        self._woken.set()

    def stop(self, forget_beside: tuple[Path, ...] | None = None) -> None:
        """End soon; with the other shares in `forget_beside`, what only this one needs is
        forgotten."""
        self._forget_beside = forget_beside
        self._stopped.set()
        self._woken.set()

    def _run(self) -> None:
        """Scan, wait, scan again, until stopped or refused."""
        for thread in self._after:
            thread.join()  # it may be forgetting what this one looks up
        while not self._stopped.is_set() and not self._refused:
            self._woken.clear()
            if self._stopped.is_set():
                break  # `stop` came just before the clear
            self._begin()
            try:
                self._watch(check_share(Path(self.share), self._private))
                self._scan()
            except (UserError, OSError) as error:
                self._fail(error)
            except RuntimeError:
                if not self._stopped.is_set():
                    raise
                break  # the hash threads are gone: the program ends
            else:
                self._told = ""
                self._tell(ShareSettled(self.share, self._skipped))
            self._wait()
        self._unwatch()
        if self._store is not None and self._forget_beside is not None:
            forget_share(self._store, self.path, self._forget_beside)

    def _begin(self) -> None:
        asked = self.asked
        if asked != self._scan_number:
            self._told = ""  # who asked hears the reason, old or new
        self._scan_number = asked
        self._skipped, self._changing = 0, False

    def _fail(self, error: UserError | OSError) -> None:
        """Tell why, unless that was told; what was reported is there no more."""
        self._unwatch()
        self._withdraw(tuple(self._reported))
        hint = error.hint if isinstance(error, UserError) else "Check the path."
        code = error.code if isinstance(error, UserError) else Exit.DISK
        self._refused = code is Exit.REFUSED
        reason, told = str(error), self._told
        self._told = reason
        if reason != told:
            self._tell(ShareFailed(self.share, reason, hint, code))

    def _wait(self) -> None:
        if self._refused:
            return
        if self._changes is None:
            self._woken.wait(self._retry_s)
        else:  # a file that was changing is worth a second look soon
            self._changes.wait(self._woken, RETRY_S if self._changing else RESCAN_S)

    def _watch(self, path: Path) -> None:
        """See what changes from now on; a share that came back is another folder."""
        if self._changes is None or path != self.path:
            self._unwatch()
            self.path = path
            self._changes = Changes(path)

    def _unwatch(self) -> None:
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _tell(self, event: Event) -> None:
        if not self._stopped.is_set():
            self._tell_loop(self, event, self._scan_number)

    # --- one scan ---------------------------------------------------------------------------

    def _scan(self) -> None:
        root = share_root(self.path)
        present: dict[str, None] = {}
        unknown: list[FoundFile] = []
        batch: list[SharedFile] = []
        for file, known_root in compare(self.path, self._known(root), self._skip):
            if self._stopped.is_set():
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
        whole = not self._stopped.is_set() and root == self.path  # and no lone file
        if self._store is not None and present and whole:
            forget_gone(self._store, root, present)
            self._reconciled = True

    def _skip(self, _relpath: str, _reason: str) -> None:
        self._skipped += 1

    def _known(self, root: Path) -> Callable[[str], dict[str, Known]]:
        store = self._store
        return (lambda folder: store.hashes(root / folder)) if store else (lambda _folder: {})

    def _shared(self, file: FoundFile, tree_root: bytes) -> SharedFile:
        stamp = file.stamp
        lone = self.path.name == file.relpath and not self.path.is_dir()
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
            jobs = {
                self._hashers.submit(self._hash_one, root, file, progress): file for file in some
            }
            waiting = set(jobs)
            while waiting:
                _done, waiting = wait(waiting, PROGRESS_S)
                self._show(progress)
            self._keep(root, jobs)
            if self._stopped.is_set():
                return

    def _hash_one(self, root: Path, file: FoundFile, progress: "_Progress") -> FileTree | None:
        try:
            return hash_file(root, file, self._stopped.is_set, progress.add_bytes)
        except FileChangedError:
            self._changing = True
            return None
        except (DiskError, HashCancelledError):
            return None
        finally:
            progress.files_done += 1

    def _keep(self, root: Path, jobs: dict[Future[FileTree | None], FoundFile]) -> None:
        """Remember and report what these jobs found."""
        by_folder: dict[Path, dict[str, tuple[FileStamp, FileTree]]] = {}
        shared: list[SharedFile] = []
        for job, file in jobs.items():
            tree = None if job.cancelled() else job.result()
            if tree is None:
                self._skipped += 1
                continue
            path = root / file.relpath
            by_folder.setdefault(path.parent, {})[path.name] = (file.stamp, tree)
            shared.append(self._shared(file, tree.root))
        if self._store is not None:
            for folder, trees in by_folder.items():
                self._store.remember_hashes(folder, trees)
        self._report(shared)

    def _show(self, progress: "_Progress") -> None:
        now = time.monotonic()
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
