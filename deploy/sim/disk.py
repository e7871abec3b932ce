"""One life of a host's disk: the program's own disk code, in virtual time, on a simulated one.

What performs is `common.shell.disk.jobs.Disk` and the scans of `common.shell.disk.scanning`, over
the calls of one process of a `FileSystem`. A job waits for one of a few workers, takes as long as
`latency` says and then happens as a whole. A host that shares and fetches nothing has none of it:
everything is made when it is first needed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from common.core import Effect, Event, Notify
from common.folders import DropManifest, MakeManifest, ReadManifest, RememberFolder
from common.schedule import AskTime, RememberLimits, TimeTold
from common.shell import memory
from common.shell.disk.jobs import THREADS, Disk
from common.shell.disk.shares import HASH_THREADS
from common.storage import (
    ClosePart,
    DeletePart,
    FinishPart,
    FollowShare,
    KeepLayer,
    OpenPart,
    PartFinished,
    ReadLayer,
    ReadPart,
    ReadShared,
    RememberDownload,
    RememberGiving,
    RememberLine,
    RememberPin,
    RememberShare,
    RememberSuperPeer,
    RememberWish,
    Restored,
    UnfollowShare,
    WritePieces,
)
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.diskwork import Handle, Schedule, VirtualLoop, Workers
from deploy.sim.filesystem import FileSystem
from deploy.sim.shares import SimulatedShares
from deploy.sim.store import MemoryStore, Trees

__all__ = ("Handle", "Schedule", "SimulatedDisk")

Performer = Callable[[Any], None]

WEEK_S = 7 * 86_400.0
RESCAN_S = 300.0  # as the real follower
NOTICE_S = 0.5  # until a change of a shared folder is noticed, about as on a real system

_WORK: tuple[type[Effect], ...] = (
    *(OpenPart, KeepLayer, WritePieces, FinishPart, ClosePart, DeletePart),
    *(ReadShared, ReadPart, ReadLayer, FollowShare, UnfollowShare),
    *(MakeManifest, ReadManifest, DropManifest),
)
_MEMORIES: tuple[type[Effect], ...] = (
    RememberShare,
    RememberDownload,
    RememberPin,
    RememberSuperPeer,
    RememberWish,
    RememberFolder,
    RememberLimits,
    RememberGiving,
    RememberLine,
)


def _raise(error: Exception) -> None:
    raise error


class SimulatedDisk:
    """The disk of one life of a host; `files`, `store` and `trees` outlive it.

    `now` is what files are stamped by and `wall` (default: the same) what is written into journals
    and memory. `notify` hears what the store could not keep, `failed` what a job should never have
    raised. `lost_power` is called when the power goes in the middle of a job
    (`FileSystem.cut_after`): the disk has lost what it loses and this life is over by then.
    """

    def __init__(
        self,
        files: FileSystem,
        store: MemoryStore,
        *,
        schedule: Schedule,
        now: Callable[[], float],
        feed: Callable[[Event], None],
        wall: Callable[[], float] | None = None,
        latency: Callable[[], float] = lambda: 0.001,
        notify: Callable[[Notify], None] = lambda _notify: None,
        failed: Callable[[Exception], None] = _raise,
        lost_power: Callable[[], None] = lambda: None,
        trees: Trees | None = None,
        rescan_s: float = RESCAN_S,
        notice_s: float | None = NOTICE_S,
    ) -> None:
        self._files = files
        self._store = store
        self._feed = feed
        self._wall = wall or now
        self._notify = notify
        self._lost_power = lost_power
        self._trees = trees or Trees()
        self._begin: Callable[[], _Working] = lambda: _Working(
            files,
            store,
            schedule=schedule,
            now=now,
            wall=self._wall,
            latency=latency,
            failed=failed,
            feed=self._told,
            power_went=self._power_went,
            trees=self._trees,
            rescan_s=rescan_s,
            notice_s=notice_s,
        )
        self._working: _Working | None = None
        self._remembering: Mapping[type[Effect], Performer] = {}
        self._is_over = False

    def performers(self) -> Mapping[type[Effect], Performer]:
        """What this can do: all effects of `common.storage`, and telling the time."""
        return {
            **dict.fromkeys(_WORK, self._work),
            **dict.fromkeys(_MEMORIES, self._remember),
            AskTime: lambda _: self._feed(TimeTold(self._wall() % WEEK_S)),
        }

    def restored(self) -> Restored:
        """What earlier lives left: the first event of a node."""
        return memory.restored(self._store)

    def close(self) -> None:
        """The process ends in order: downloads are closed cleanly, nothing more is fed."""
        working = self._working
        if working is not None and not self._is_over:
            try:
                working.close()
            except PowerCutError:
                self._power_went()
                return
        self.die()

    def die(self) -> None:
        """The process is killed: nothing more happens or is fed, descriptors and locks are gone.

        Power that goes is this and then `FileSystem.power_loss`.
        """
        self._is_over = True
        working, self._working = self._working, None
        if working is not None:
            working.die()

    def _work(self, effect: Effect) -> None:
        if self._is_over:
            return
        if self._working is None:
            self._working = self._begin()
        self._working.performers[type(effect)](effect)

    def _remember(self, effect: Effect) -> None:
        if self._is_over:
            return
        if not self._remembering:
            self._remembering = memory.performers(self._store, self._notify, self._wall)
        self._remembering[type(effect)](effect)

    def _told(self, event: Event) -> None:
        if isinstance(event, PartFinished):  # from now on it is what other hosts hold too
            self._files.fold(event.path, self._trees.known)
        self._feed(event)

    def _power_went(self) -> None:
        if not self._is_over:
            self.die()
            self._files.power_loss()
            self._lost_power()


class _Working:
    """What a host has that does use its disk."""

    def __init__(
        self,
        files: FileSystem,
        store: MemoryStore,
        *,
        schedule: Schedule,
        now: Callable[[], float],
        wall: Callable[[], float],
        latency: Callable[[], float],
        failed: Callable[[Exception], None],
        feed: Callable[[Event], None],
        power_went: Callable[[], None],
        trees: Trees,
        rescan_s: float,
        notice_s: float | None,
    ) -> None:
        self._files = files
        self._calls = files.process()
        self._loop = VirtualLoop(schedule, failed)
        self._workers, self._hashers = [
            Workers(count, self._loop, schedule, latency, power_went)
            for count in (THREADS, HASH_THREADS)
        ]
        self._disk = Disk(
            self._loop,
            feed,
            store,
            calls=self._calls,
            pool=self._workers,
            wall=wall,
            hashing=trees.hash_file,
        )
        self._shares = SimulatedShares(
            self._calls,
            store,
            self._loop,
            self._hashers,
            feed,
            hashing=trees.hash_file,
            now=now,
            rescan_s=rescan_s,
            notice_s=notice_s,
        )
        files.watchers.append(self._shares.changed)
        self.performers: dict[type[Effect], Performer] = {
            **self._disk.performers(),
            FollowShare: self._shares.follow,
            UnfollowShare: self._shares.unfollow,
        }

    def close(self) -> None:
        """Let every download end cleanly."""
        self._loop.close()
        self._hashers.stop()
        self._disk.close()

    def die(self) -> None:
        """Nothing more happens."""
        self._loop.close()
        self._workers.stop()
        self._hashers.stop()
        self._calls.die()
        if self._shares.changed in self._files.watchers:
            self._files.watchers.remove(self._shares.changed)
