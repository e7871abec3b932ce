"""Performs the effects of `common.storage` that touch downloads and reads, in worker threads.

Each effect is one job; its event comes back through the loop. What was reported as written is in
the partial file, and entered in its journal by the next sync: a sync follows half a second or
64 MiB after the first unsynced write, so that one costs many pieces. Nothing here decides what to
fetch, and nothing blocks the loop. The disk, the loop, the pool and the clock are handed over, so
that all of this runs on a simulated disk in virtual time as well.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from common.content.merkle import FileTree, piece_count, piece_size_bytes
from common.core import Effect, Event
from common.errors import UserError
from common.folders import DropManifest, MakeManifest, ReadManifest
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError, naming
from common.shell.disk.failures import failed, unread
from common.shell.disk.files import FileChangedError, FileStamp, OpenFiles
from common.shell.disk.lanes import Lane, Loop, Pool, Timer
from common.shell.disk.manifests import Manifests
from common.shell.disk.pairs import remove_pair
from common.shell.disk.partfaults import NotProvenError, PartClosedError, SyncFailedError
from common.shell.disk.parts import PartFile
from common.shell.disk.placing import Exists, make_folders
from common.shell.disk.remembered import Hashes
from common.shell.disk.scan import FoundFile, Hashing, hash_file
from common.shell.disk.workers import Workers
from common.shell.drive import Performer
from common.storage import (
    BytesRead,
    ClosePart,
    DeletePart,
    FinishPart,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadFailed,
    ReadLayer,
    ReadPart,
    ReadShared,
    WritePieces,
)

THREADS: Final = 4  # two hash, and a slow disk stops only those who wait for it
SYNC_S: Final = 0.5
SYNC_BYTES: Final = 64 * 1024 * 1024

Feed = Callable[[Event], None]


class Finished(NamedTuple):
    """A file that a download became, to be served from."""

    path: Path
    stamp: FileStamp
    root: bytes
    layer: bytes  # empty where the store has it


class Disk:
    """The open downloads and files of one node."""

    def __init__(
        self,
        loop: Loop,
        feed: Feed,
        store: Hashes | None,
        *,
        calls: DiskCalls = REAL,
        pool: Pool | None = None,
        wall: Callable[[], float] = time.time,
        hashing: Hashing = hash_file,
    ) -> None:
        self._loop = loop
        self._feed = feed
        self._store = store
        self._calls = calls
        self._pool = pool or Workers(THREADS, "disk")  # threads start with the first jobs
        self._wall = wall
        self._hashing = hashing
        self._files = OpenFiles(disk=calls)
        self._manifests = Manifests(calls, store)
        self._parts: dict[int, PartFile] = {}
        self._lanes: dict[int, Lane] = {}
        self._exists: dict[int, Exists] = {}
        self._finished: dict[int, Finished] = {}
        self._unsynced: dict[int, int] = {}  # download -> bytes written since the last sync
        self._sync_timers: dict[int, Timer] = {}

    def performers(self) -> dict[type[Effect], Performer]:
        """What this can do, by effect."""
        return {
            OpenPart: self._open_part,
            KeepLayer: self._keep_layer,
            WritePieces: self._write_pieces,
            FinishPart: self._finish_part,
            ClosePart: self._close_part,
            DeletePart: self._delete_part,
            ReadShared: self._read_shared,
            ReadPart: self._read_part,
            ReadLayer: self._read_layer,
            MakeManifest: lambda each: self._run_once(lambda: self._manifests.made(each)),
            ReadManifest: lambda each: self._run_once(lambda: self._manifests.read(each)),
            DropManifest: lambda each: self._run_once(lambda: self._manifests.dropped(each)),
        }

    def close(self) -> None:
        """Let every download end cleanly; called once nothing is fed any more."""
        for timer in self._sync_timers.values():
            timer.cancel()
        self._pool.shutdown()
        for part in list(self._parts.values()):
            part.close()
        self._files.close()

    # --- downloads --------------------------------------------------------------------------

    def _open_part(self, effect: OpenPart) -> None:
        self._exists[effect.download] = Exists(effect.exists)
        self._run_part(effect.download, lambda: self._opened(effect), exclusive=True)

    def _opened(self, effect: OpenPart) -> Event:
        target = Path(effect.target)
        with naming("open", target):
            status = self._calls.look(target)
        there = status is not None
        same = status is not None and self._is_same(target, status, effect)
        if same and effect.create:
            with suppress(UserError):  # what an end that was cut short left beside it
                remove_pair(target, effect.root, effect.size, self._calls)
        if same or (there and effect.create and effect.exists == Exists.SKIP):
            return PartSkipped(effect.download, str(target), same)
        if not effect.create:
            reason, hint = f"{target} is not there any more.", "Fetch it again."
            return PartFailed(effect.download, "gone", reason, hint)
        if there and effect.exists == Exists.FAIL:
            raise DiskError("create", target, errno.EEXIST)
        with naming("make", target.parent):
            make_folders(self._calls, target.parent)
        part = PartFile.open(target, effect.root, effect.size, disk=self._calls, wall=self._wall)
        self._parts[effect.download] = part
        return PartOpened(effect.download, part.done, part.layer, str(part.path))

    def _is_same(self, target: Path, status: os.stat_result, effect: OpenPart) -> bool:
        """Whether the very content stands at the target already; remembers it for serving."""
        stamp = FileStamp.of(status)
        if not stat.S_ISREG(status.st_mode) or stamp.size != effect.size:
            return False
        known = self._store.hashes(target.parent).get(target.name) if self._store else None
        if known is not None and known.stamp == stamp:
            found = Finished(target, stamp, known.root, b"")
        else:
            tree = self._hashing(target.parent, FoundFile(target.name, stamp), disk=self._calls)
            found = self._remembered(target, stamp, tree)
        if found.root == effect.root:
            self._finished[effect.download] = found
        return found.root == effect.root

    def _keep_layer(self, effect: KeepLayer) -> None:
        def work() -> Event | None:
            part = self._parts.get(effect.download)
            if part is None or part.verify(effect.layer):
                return None
            return PartFailed(
                effect.download, "broken", "These hashes do not lead to the root.", ""
            )

        self._run_part(effect.download, work, exclusive=True)

    def _write_pieces(self, effect: WritePieces) -> None:
        part = self._parts.get(effect.download)
        if part is None:
            return
        self._run_part(effect.download, lambda: _written(part, effect))
        self._unsynced[effect.download] = self._unsynced.get(effect.download, 0) + len(effect.data)
        if self._unsynced[effect.download] >= SYNC_BYTES:
            self._sync(effect.download)
        else:
            self._sync_soon(effect.download)

    def _sync_soon(self, download: int) -> None:
        if download not in self._sync_timers:
            self._sync_timers[download] = self._loop.call_later(SYNC_S, self._sync, download)

    def _sync(self, download: int) -> None:
        timer = self._sync_timers.pop(download, None)
        if timer is not None:
            timer.cancel()
        self._unsynced.pop(download, None)
        part = self._parts.get(download)
        if part is not None:
            self._run_part(download, lambda: _nothing(part.sync()))

    def _idle(self, download: int) -> None:
        """Nothing is under way for it; once it is closed, nothing of it is kept but its file."""
        part = self._parts.get(download)
        if part is None:
            self._lanes.pop(download, None)
            self._exists.pop(download, None)
        elif part.unsynced:  # a sync may have begun before the last writes ended
            self._sync_soon(download)

    def _finish_part(self, effect: FinishPart) -> None:
        part = self._parts.get(effect.download)
        if part is not None:
            self._run_part(effect.download, lambda: self._finish(effect, part), exclusive=True)

    def _finish(self, effect: FinishPart, part: PartFile) -> Event:
        download, layer, unless = effect.download, part.layer, effect.unless
        if unless and len(unless) <= part.size and part.read(0, len(unless)) == unless:
            return PartFailed(download, "folder", "It is the manifest of a folder.", "")
        # what came while a file of that name appeared is kept beside it, unless told to fail
        part.target = part.target.with_name(effect.name or part.target.name)
        failing = self._exists.get(download) is Exists.FAIL
        path = part.finish(Exists.FAIL if failing else Exists.RENAME)
        self._parts.pop(download, None)
        with naming("read", path):
            stamp = FileStamp.of(self._calls.lstat(path))
        self._finished[download] = Finished(path, stamp, part.root, layer)  # served from now on
        tree = FileTree(part.root, part.size, layer)
        self._finished[download] = self._remembered(path, stamp, tree)
        return PartFinished(download, str(path))

    def _close_part(self, effect: ClosePart) -> None:
        def work() -> None:
            part = self._parts.pop(effect.download, None)
            if part is not None:
                part.close()

        self._let_go(effect.download, work)

    def _delete_part(self, effect: DeletePart) -> None:
        def work() -> None:
            part = self._parts.pop(effect.download, None)
            if part is None:
                remove_pair(Path(effect.target), effect.root, effect.size, self._calls)
                return
            try:
                part.abandon(delete_data=True)
            finally:
                part.close()  # where it could not be removed; else twice is fine

        self._let_go(effect.download, work)

    def _let_go(self, download: int, work: Callable[[], None]) -> None:
        def job() -> None:
            self._finished.pop(download, None)
            work()

        self._run_part(download, job, exclusive=True)

    def _remembered(self, path: Path, stamp: FileStamp, tree: FileTree) -> Finished:
        """What to serve it by; the layer is in the store where there is one with room for it."""
        try:
            if self._store is not None:
                self._store.remember_hashes(path.parent, {path.name: (stamp, tree)})
                return Finished(path, stamp, tree.root, b"")
        except DiskError:
            pass  # the file is whole all the same
        return Finished(path, stamp, tree.root, tree.layer)

    # --- reads ------------------------------------------------------------------------------

    def _read_shared(self, effect: ReadShared) -> None:
        file = effect.file
        share = Path(file.share)
        folder = share.parent if file.lone else share
        stamp = FileStamp(file.size, file.mtime_ns, file.inode)
        self._run_read(
            effect.read,
            lambda: self._files.read_span(
                folder, file.relpath, stamp, effect.offset, effect.length
            ),
        )

    def _read_part(self, effect: ReadPart) -> None:
        self._run_read(effect.read, lambda: self._part_bytes(effect))

    def _part_bytes(self, effect: ReadPart) -> memoryview:
        part = self._parts.get(effect.download)
        if part is not None:
            try:
                return part.read(effect.offset, effect.length)
            except PartClosedError:
                pass  # it was finished since: read what it became
        found = self._finished[effect.download]
        place, offset, length = found.path, effect.offset, effect.length
        try:
            return self._files.read_span(place.parent, place.name, found.stamp, offset, length)
        except UserError as error:
            if unread(error) != "disk" and self._finished.get(effect.download) is found:
                del self._finished[effect.download]  # said once, and not served by then
                event = PartFailed(effect.download, "changed", error.message, error.hint)
                self._loop.call_soon_threadsafe(self._feed, event)
            raise

    def _read_layer(self, effect: ReadLayer) -> None:
        self._run_read(effect.read, lambda: self._layer(effect))

    def _layer(self, effect: ReadLayer) -> memoryview:
        if piece_count(effect.size) <= 1:
            return memoryview(effect.root)
        here: list[PartFile | Finished] = [*self._parts.copy().values()]
        here += self._finished.copy().values()
        layer = next((each.layer for each in here if each.root == effect.root and each.layer), None)
        if layer is None and self._store is not None:
            layer = self._store.layer(effect.root)
        if layer is None:
            raise KeyError(effect.root)
        return memoryview(layer)

    # --- threads ----------------------------------------------------------------------------

    def _run_part(
        self, download: int, work: Callable[[], Event | None], *, exclusive: bool = False
    ) -> None:
        def job() -> Event | None:
            try:
                return work()
            except PartClosedError:
                return None
            except (UserError, NotProvenError) as error:
                return failed(download, error)
            except Exception as error:  # a mistake of ours: loud, and answered all the same
                self._shout(error)
                return PartFailed(download, "broken", "Something unexpected went wrong.", "")

        lane = self._lanes.get(download)
        if lane is None:
            lane = Lane(self._loop, self._pool, lambda: self._idle(download), self._feed)
            self._lanes[download] = lane
        lane.put(job, exclusive=exclusive)

    def _run_read(self, read: int, work: Callable[[], memoryview]) -> None:
        def job() -> None:
            event: Event
            try:
                event = BytesRead(read, work())
            except (FileChangedError, DiskError) as error:
                event = ReadFailed(read, unread(error))
            except (KeyError, NotProvenError, PartClosedError):
                event = ReadFailed(read, "gone")
            except Exception as error:
                self._shout(error)
                event = ReadFailed(read, "disk")
            self._loop.call_soon_threadsafe(self._feed, event)

        self._pool.submit(job)

    def _run_once(self, work: Callable[[], Event | None]) -> None:
        """What is told of comes back; a mistake of ours is loud."""

        def job() -> None:
            try:
                event = work()
            except Exception as error:
                self._shout(error)
                return
            if event is not None:
                self._loop.call_soon_threadsafe(self._feed, event)

        self._pool.submit(job)

    def _shout(self, error: Exception) -> None:
        context = {"message": "a disk job failed", "exception": error}
        self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)


def _nothing(_result: object) -> None:
    """For jobs whose success is no event."""


def _written(part: PartFile, effect: WritePieces) -> Event:
    try:
        verdicts = part.write(effect.offset, effect.data)
    except SyncFailedError:
        raise
    except DiskError as error:
        event = failed(effect.download, error)
        size = piece_size_bytes(part.size)
        first = effect.offset // size
        lost = tuple(range(first, first + -(-len(effect.data) // size)))
        return structs.replace(event, lost=lost)
    good = tuple(index for index, held in verdicts if held)
    bad = tuple(index for index, held in verdicts if not held)
    return PiecesWritten(effect.download, good, bad)
