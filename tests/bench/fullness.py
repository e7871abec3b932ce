"""A disk that is full at each write of a download in turn: what is lost, and does it go on?

    python -m tests.bench.fullness [--kib 640] [--folder DIR]

Every create, write, allocation, extension, folder and link of a whole download fails with ENOSPC:
once, and, in a second round, with everything after it until there is room again 12 s later. In the
simulator a whole leaf fetches from another, and nobody helps it; on a real folder the program's
disk code is driven as the leaf drives it, without the pause before it tries again. Each must end
with the right file and nothing beside it. Prints one JSON line.
"""

import argparse
import asyncio
import errno
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from common.content.merkle import piece_count, piece_size_bytes, piece_span
from common.core import Event
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.jobs import Disk
from common.storage import (
    ClosePart,
    FinishPart,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    WritePieces,
)
from deploy.scenario import Attachment, Content, Hosts, Scenario
from deploy.sim.diskfaults import DiskFaults
from deploy.sim.filesystem import FileSystem
from deploy.sim.inside import leaf_of
from deploy.sim.stage import Stage
from leaf.methods import Get
from leaf.swarm.download import Download, State
from tests.simulated_disk import tree_of

KINDS = ("create", "write", "allocate", "extend", "mkdir", "link")
ROOM_S = 12.0  # until there is room again; the leaf looks every 5 s
PATIENCE_S = 200.0
LOOK_S = 0.25
UP_RATE = 100_000.0  # slow enough for many small writes
FOLDER = "/got"
TARGET = FOLDER + "/file.bin"
REAL_TRIES_MAX = 5


@dataclass
class Figures:
    """What a round showed."""

    tried: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    wrong: int = 0
    left_beside: int = 0
    failed: int = 0  # told as failed for good
    told: int = 0  # paused for it
    lost_pieces_max: int = 0  # fetched again, or written and not there after

    def shown(self) -> dict[str, object]:
        """As keys of the report."""
        return {**self.__dict__, "kinds": dict(sorted(self.kinds.items()))}


class Filling(DiskFaults):
    """The n-th operation that takes room finds none, and none does while the disk is full; `then`
    is called when it is met."""

    def __init__(self, nth: int, files: FileSystem, then: Callable[[], None]) -> None:
        super().__init__(Random(0))
        self.left, self.met = nth, ""
        self._files, self._then = files, then

    def begin(self, kind: str) -> bool:
        """An operation begins."""
        if kind in KINDS:
            self.left -= 1
            if not self.left or self._files.full:
                if not self.left:
                    self.met = kind
                    self._then()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().begin(kind)


def simulated(nth: int, kib: int, *, stays: bool, figures: Figures) -> bool:
    """One download of a whole leaf; False where it has no such operation."""
    size = kib * 1024
    scenario = Scenario(
        super_peers=1,
        leaves=2,
        attachment=Attachment(told=1),
        hosts=Hosts(up_min=UP_RATE, up_max=UP_RATE, down_min=UP_RATE, down_max=UP_RATE),
        content=Content(files=1, size_min=size, size_max=size, sharers=1),
    )
    stage = Stage(scenario)
    world = stage.world
    for host in [*stage.super_peers, *stage.leaves]:
        host.start()
    world.run(10.0)
    files = stage.files[1]

    def fill() -> None:
        files.full = True
        world.schedule.later(ROOM_S, lambda: setattr(files, "full", False))

    faults = files.faults = Filling(nth, files, fill if stays else lambda: None)
    (name,) = stage.data
    get = Get(name, to=TARGET, timeout=PATIENCE_S, detach=True)
    world.people.ask(stage.leaves[1], "leaf.get", get, lambda _outcome: None)
    paused, until = False, world.now + PATIENCE_S
    while (state := download_of(stage).state) is not State.DONE and world.now < until:
        paused |= state is State.PAUSED
        world.run(world.now + LOOK_S)
    if not faults.met:
        return False
    download = download_of(stage)
    figures.tried += 1
    figures.kinds[faults.met] += 1
    figures.told += paused
    figures.failed += state is State.FAILED
    figures.unfinished += state is not State.DONE
    world.run(world.now + 2.0)
    names = files.names(FOLDER)
    figures.wrong += "file.bin" in names and files.read(TARGET) != stage.data[name]
    figures.left_beside += names != ["file.bin"]
    again = -(-(download.received_bytes - size) // piece_size_bytes(size))
    figures.lost_pieces_max = max(figures.lost_pieces_max, again)
    return True


def download_of(stage: Stage) -> Download:
    """The one download of the one that fetches."""
    inside = leaf_of(stage.leaves[1])
    if inside is None:
        raise RuntimeError("no leaf")
    (download,) = inside.downloads._downloads.values()
    return download


# --- a real folder --------------------------------------------------------------------------


class FullDisk(DiskCalls):
    """The n-th call that takes room finds none, a write after half of it; with `stays` none does
    until `full` is taken back."""

    def __init__(self, nth: int, *, stays: bool) -> None:
        self.left, self.met, self.full = nth, "", False
        self._stays = stays

    def _take_room(self, kind: str) -> bool:
        self.left -= 1
        if not self.left:
            self.met, self.full = kind, self._stays
        return not self.left or self.full

    def _refuse(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def create(self, name: str, folder: int) -> int:
        if self._take_room("create"):
            self._refuse()
        return super().create(name, folder)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        if self._take_room("write"):
            super().write(fd, data[: len(data) // 2], offset)
            self._refuse()
        super().write(fd, data, offset)

    def allocate(self, fd: int, start: int, length: int) -> None:
        if self._take_room("allocate"):
            self._refuse()
        super().allocate(fd, start, length)

    def extend(self, fd: int, length: int) -> None:
        if self._take_room("extend"):
            self._refuse()
        super().extend(fd, length)

    def make_folder(self, path: Path) -> None:
        if self._take_room("mkdir"):
            self._refuse()
        super().make_folder(path)

    def link(self, source: str, target: str, folder: int) -> None:
        if self._take_room("link"):
            self._refuse()
        super().link(source, target, folder)


class RealDownload:
    """Fetches onto a real disk as a download of the leaf does."""

    def __init__(self, disk: Disk, target: Path, data: bytes) -> None:
        self._disk, self._target, self._data = disk, target, data
        self._tree = tree_of(data)
        self._missing: dict[int, None] = {}
        self._written: dict[int, None] = {}
        self.lost_max = 0
        self.told = 0
        self.finished = ""

    def begin(self) -> None:
        """Open the part."""
        tree = self._tree
        self._do(OpenPart(1, tree.root, tree.size, str(self._target), "rename"))

    def _do(self, effect: object) -> None:
        self._disk.performers()[type(effect)](effect)  # type: ignore[index]

    def take(self, event: Event) -> bool:
        """What the disk says; whether to begin again."""
        if isinstance(event, PartOpened):
            if not event.layer:
                self._do(KeepLayer(1, self._tree.layer))
            self._missing = {n: None for n, done in enumerate(event.done) if not done}
            lost = [n for n in self._written if n in self._missing]
            self.lost_max = max(self.lost_max, len(lost))
            for index in self._missing:
                offset, length = piece_span(len(self._data), index)
                self._do(WritePieces(1, offset, memoryview(self._data)[offset : offset + length]))
        elif isinstance(event, PiecesWritten):
            for index in event.good:
                self._missing.pop(index, None)
                self._written[index] = None
        elif isinstance(event, PartFailed):
            self.told += 1
            self._do(ClosePart(1))
            return True
        elif isinstance(event, PartFinished | PartSkipped):
            self.finished = event.path
        if not self._missing and isinstance(event, PartOpened | PiecesWritten):
            self._do(FinishPart(1))
        return False


async def real(nth: int, data: bytes, folder: Path, *, stays: bool, figures: Figures) -> bool:
    """One download onto a real folder; False where it has no such operation."""
    calls = FullDisk(nth, stays=stays)
    events: asyncio.Queue[Event] = asyncio.Queue()
    disk = Disk(asyncio.get_running_loop(), events.put_nowait, None, calls=calls)
    download = RealDownload(disk, folder / "got" / "file.bin", data)
    download.begin()
    for _ in range(REAL_TRIES_MAX):
        while not download.finished and not download.take(await events.get()):
            pass
        if download.finished:
            break
        while disk._lanes:  # what was ordered before has its end
            await asyncio.sleep(0.001)
        while not events.empty():
            events.get_nowait()
        calls.full = calls.full and not download.told > 1  # room is made after the second try
        download.begin()
    disk.close()
    if not calls.met:
        return False
    figures.tried += 1
    figures.kinds[calls.met] += 1
    figures.told += download.told > 0
    figures.unfinished += not download.finished
    names = sorted(path.name for path in (folder / "got").iterdir())
    figures.wrong += bool(download.finished) and Path(download.finished).read_bytes() != data
    figures.left_beside += names != ["file.bin"]
    figures.lost_pieces_max = max(figures.lost_pieces_max, download.lost_max)
    return True


def real_round(data: bytes, root: str | None, *, stays: bool) -> Figures:
    """Each write in turn, on a real folder."""
    figures, nth, more = Figures(), 0, True
    while more:
        nth += 1
        folder = Path(tempfile.mkdtemp(prefix="full-", dir=root))
        try:
            more = asyncio.run(real(nth, data, folder, stays=stays, figures=figures))
        finally:
            shutil.rmtree(folder)
    return figures


def simulated_round(kib: int, *, stays: bool) -> Figures:
    """Each write in turn, in the simulator."""
    figures, nth = Figures(), 1
    while simulated(nth, kib, stays=stays, figures=figures):
        nth += 1
    return figures


def main() -> None:
    """Four rounds, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kib", type=int, default=640)
    parser.add_argument("--folder")
    args = parser.parse_args()
    data = Random(7).randbytes(args.kib * 1024)
    report: dict[str, object] = {"bench": "fullness", "kib": args.kib}
    report["pieces"] = piece_count(len(data))
    for stays in (False, True):
        round_name = "until_room" if stays else "once"
        report[f"simulated_{round_name}"] = simulated_round(args.kib, stays=stays).shown()
        report[f"real_{round_name}"] = real_round(data, args.folder, stays=stays).shown()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
