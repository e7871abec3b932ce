"""Follows shared files and folders: scans, hashes what is new, and reports the difference.

One thread follows one share: it scans, then waits for the file system to report a change or for
the rescan that stays the truth. A file whose stamp is known is never read again; hashing runs in
two threads, which hashlib lets scale. The cores hear of changes only, in batches.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from common.core import Effect, Event
from common.errors import UserError
from common.merkle import FileTree
from common.shell.disk.changes import Changes
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.files import FileChangedError, FileStamp, check_share
from common.shell.disk.scan import (
    FoundFile,
    HashCancelledError,
    Known,
    compare,
    hash_file,
    share_root,
)
from common.shell.disk.store import Store
from common.shell.drive import Performer
from common.storage import (
    FilesShared,
    FilesUnshared,
    FollowShare,
    SharedFile,
    ShareFailed,
    ShareProgressed,
    ShareSettled,
    UnfollowShare,
)

BATCH: Final = 256  # files of one event
HASH_AHEAD: Final = 64  # files handed to the hash threads at once
HASH_THREADS: Final = 2  # scale to both cores here (measured)
PROGRESS_S: Final = 0.2
RESCAN_S: Final = 300  # events can be lost; a changed file is refused at its first read anyway
RETRY_S: Final = 10  # a share that could not be read

Feed = Callable[[Event], None]


class Shares:
    """The followed shares of one node."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        feed: Feed,
        store: Store | None,
        private: tuple[Path, ...] = (),
    ) -> None:
        self._loop = loop
        self._feed = feed
        self._store = store
        self._private = private
        self._hashers = ThreadPoolExecutor(HASH_THREADS, "hash")
        self._followed: dict[str, Follower] = {}

    def performers(self) -> dict[type[Effect], Performer]:
        """What this can do, by effect."""
        return {FollowShare: self._follow, UnfollowShare: self._unfollow}

    def close(self) -> None:
        """Stop all threads; a file being hashed is given up at its next megabyte."""
        for follower in self._followed.values():
            follower.stopped.set()
        self._hashers.shutdown(wait=False, cancel_futures=True)

    def _follow(self, effect: FollowShare) -> None:
        if effect.share in self._followed:
            return
        try:
            path = check_share(Path(effect.share), self._private)
        except UserError as error:
            self._later(ShareFailed(effect.share, error.message, error.hint, error.code))
            return
        follower = Follower(effect.share, path, self._store, self._hashers, self._later)
        self._followed[effect.share] = follower
        threading.Thread(target=follower.run, name="share", daemon=True).start()

    def _unfollow(self, effect: UnfollowShare) -> None:
        follower = self._followed.pop(effect.share, None)
        if follower is not None:
            follower.stopped.set()

    def _later(self, event: Event) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._feed, event)


class Follower:
    """One share, in its own thread."""

    def __init__(
        self,
        share: str,
        path: Path,
        store: Store | None,
        hashers: ThreadPoolExecutor,
        tell: Feed,
    ) -> None:
        self.stopped = threading.Event()
        self._share = share
        self._path = path
        self._store = store
        self._hashers = hashers
        self._tell_loop = tell
        self._reported: dict[str, SharedFile] = {}
        self._skipped = 0
        self._progressed_at = 0.0

    def run(self) -> None:
        """Scan, wait, scan again, until stopped."""
        changes = Changes(self._path)
        while not self.stopped.is_set():
            try:
                self._scan()
            except (DiskError, OSError) as error:
                hint = error.hint if isinstance(error, DiskError) else "Check the path."
                self._withdraw(tuple(self._reported))
                self._tell(ShareFailed(self._share, str(error), hint))
                self.stopped.wait(RETRY_S)
                continue
            except RuntimeError:
                return  # the hash threads are gone: the program ends
            # a file that was changing is worth a second look soon
            changes.wait(self.stopped, RETRY_S if self._skipped else RESCAN_S)
        changes.close()

    def _tell(self, event: Event) -> None:
        if not self.stopped.is_set():
            self._tell_loop(event)

    # --- one scan ---------------------------------------------------------------------------

    def _scan(self) -> None:
        self._skipped = 0
        root = share_root(self._path)
        present: dict[str, None] = {}
        unknown: list[FoundFile] = []
        batch: list[SharedFile] = []
        for file, known_root in compare(self._path, self._known(root)):
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
        self._tell(ShareSettled(self._share, self._skipped))

    def _known(self, root: Path) -> Callable[[str], dict[str, Known]]:
        store = self._store
        return (lambda folder: store.hashes(root / folder)) if store else (lambda _folder: {})

    def _shared(self, file: FoundFile, tree_root: bytes) -> SharedFile:
        stamp = file.stamp
        lone = self._path.name == file.relpath and not self._path.is_dir()
        return SharedFile(
            self._share, file.relpath, stamp.size, stamp.mtime_ns, stamp.inode, tree_root, lone
        )

    def _report(self, files: list[SharedFile]) -> None:
        if files:
            self._reported.update({file.relpath: file for file in files})
            self._tell(FilesShared(tuple(files)))

    def _withdraw(self, relpaths: tuple[str, ...]) -> None:
        for relpath in relpaths:
            del self._reported[relpath]
        if relpaths:
            self._tell(FilesUnshared(self._share, relpaths))

    # --- hashing ----------------------------------------------------------------------------

    def _hash(self, root: Path, files: list[FoundFile]) -> None:
        files_total, bytes_total = len(files), sum(file.stamp.size for file in files)
        progress = _Progress(self._share, files_total, bytes_total)
        for some in _slices(files, HASH_AHEAD):
            jobs = {
                self._hashers.submit(self._hash_one, root, file, progress): file for file in some
            }
            waiting = set(jobs)
            while waiting:
                _done, waiting = wait(waiting, PROGRESS_S)
                self._show(progress)
            self._keep(root, jobs)
            if self.stopped.is_set():
                return

    def _hash_one(self, root: Path, file: FoundFile, progress: "_Progress") -> FileTree | None:
        try:
            return hash_file(root, file, self.stopped.is_set, progress.add_bytes)
        except (FileChangedError, DiskError, HashCancelledError):
            return None
        finally:
            progress.files_done += 1

    def _keep(self, root: Path, jobs: dict[Future[FileTree | None], FoundFile]) -> None:
        """Remember and report what these jobs found."""
        by_folder: dict[Path, dict[str, tuple[FileStamp, FileTree]]] = {}
        shared: list[SharedFile] = []
        for job, file in jobs.items():
            tree = job.result()
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
