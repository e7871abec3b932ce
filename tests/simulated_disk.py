"""A host with a simulated disk, and one that fetches a file onto it through everything."""

from collections.abc import Callable
from random import Random

from common.content.merkle import FileHasher, FileTree, piece_count, piece_span
from common.core import Effect, Event, Notify
from common.storage import (
    BytesRead,
    ClosePart,
    FinishPart,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadFailed,
    ReadPart,
    WritePieces,
)
from deploy.sim.disk import SimulatedDisk
from deploy.sim.filesystem import FileSystem
from deploy.sim.schedule import Schedule
from deploy.sim.store import MemoryStore, Trees

CONTENT = Random(5).randbytes(90_000)  # six pieces of 16 KiB
TARGET = "/home/new/file.bin"
RETRY_S = 5.0
SYNCED_S = 0.7  # after so long it is: half a second, and some jobs
TREES = Trees()


def tree_of(content: bytes) -> FileTree:
    """The tree of a content."""
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


TREE = tree_of(CONTENT)


class World:
    """Virtual time, one file system and one memory; `start` begins a life of the host."""

    def __init__(self, seed: int = 0, capacity_bytes: int | None = None) -> None:
        self.schedule = Schedule()
        self.rng = Random(seed)
        self.files = FileSystem(self.rng, lambda: self.schedule.now, capacity_bytes)
        self.store = MemoryStore()
        self.events: list[Event] = []
        self.hear: Callable[[Event], None] = self.events.append
        self.notes: list[Notify] = []
        self.power_cuts = 0
        self.power_went_at = 0.0
        self.disk = self.start()

    def start(self, **options: float | None) -> SimulatedDisk:
        """A new process."""
        self.disk = SimulatedDisk(
            self.files,
            self.store,
            schedule=self.schedule.later,
            now=lambda: self.schedule.now,
            feed=self._fed,
            latency=lambda: self.rng.uniform(0.001, 0.02),
            notify=self.notes.append,
            lost_power=self._power_went,
            trees=TREES,
            **options,  # type: ignore[arg-type]
        )
        return self.disk

    def order(self, effect: Effect) -> None:
        """Perform it; what it says comes in its time."""
        self.disk.performers()[type(effect)](effect)

    def do(self, *effects: Effect, seconds: float = 10) -> list[Event]:
        """Perform them; all that was said in the seconds after."""
        self.events.clear()
        for effect in effects:
            self.order(effect)
        self.schedule.run(self.schedule.now + seconds)
        return self.events.copy()

    def _fed(self, event: Event) -> None:
        self.hear(event)

    def _power_went(self) -> None:
        self.power_cuts += 1
        self.power_went_at = self.schedule.now


class Fetcher:
    """Fetches CONTENT onto a world's disk as the core would, over any number of lives.

    What the disk says it has is read back and compared, unless `trusting`, and not sent again.
    With `sound`, nothing that had time to be synced may be missing in a later life.
    """

    def __init__(
        self,
        world: World,
        *,
        failures_max: int = 20,
        trusting: bool = False,
        sound: bool = False,
    ) -> None:
        self.world = world
        self.finished = ""
        self.failures: list[PartFailed] = []
        self.sent = 0
        self._failures_max = failures_max
        self._trusting = trusting
        self._sound = sound
        self._written: dict[int, float] = {}  # piece -> when
        self._missing: dict[int, None] = {}
        world.hear = self.take

    def run(self, lives_max: int = 5) -> str:
        """Where the file is in the end."""
        for _ in range(lives_max):
            self.live()
            if self.finished:
                return self.finished
            self.begin()
        raise AssertionError(f"not finished after {lives_max} lives: {self.failures}")

    def begin(self) -> None:
        """The power went: a new life. What was just written may be lost."""
        since = self.world.power_went_at - SYNCED_S
        self._written = {n: when for n, when in self._written.items() if when < since}
        self.world.start()

    def live(self, seconds: float = 1000) -> None:
        """One life, or a part of it."""
        self._open()
        self.world.schedule.run(self.world.schedule.now + seconds)

    def take(self, event: Event) -> None:
        """One answer of the disk."""
        if isinstance(event, PartOpened):
            self._opened(event)
        elif isinstance(event, PiecesWritten):
            assert not event.bad
            self._written |= dict.fromkeys(event.good, self.world.schedule.now)
            self._has(event.good)
        elif isinstance(event, PartFailed):
            self._failed(event)
        elif isinstance(event, PartFinished | PartSkipped):
            self.finished = event.path
        elif isinstance(event, BytesRead):
            offset, length = piece_span(len(CONTENT), event.read)
            assert self._trusting or bytes(event.data) == CONTENT[offset : offset + length]
        else:
            assert not isinstance(event, ReadFailed) or self.world.files.faults is not None

    def _open(self) -> None:
        self.world.order(OpenPart(1, TREE.root, len(CONTENT), TARGET, "rename"))

    def _opened(self, event: PartOpened) -> None:
        assert len(event.done) == piece_count(len(CONTENT))
        assert not self._sound or all(event.done[n] for n in self._written)
        for index, done in enumerate(event.done):
            if done:
                self.world.order(ReadPart(index, 1, *piece_span(len(CONTENT), index)))
        if event.layer:
            assert event.layer == TREE.layer
        else:
            self.world.order(KeepLayer(1, TREE.layer))
        self._missing = {n: None for n, done in enumerate(event.done) if not done}
        for index in self._missing:
            self._write(index)
        if not self._missing:
            self.world.order(FinishPart(1))

    def _write(self, index: int) -> None:
        offset, length = piece_span(len(CONTENT), index)
        self.sent += 1
        data = memoryview(CONTENT)[offset : offset + length]
        # with pauses, so that syncs fall between the pieces
        self._later(0.3 * (index + 1), lambda: self.world.order(WritePieces(1, offset, data)))

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        """In this life only."""
        disk = self.world.disk
        self.world.schedule.later(delay_s, lambda: call() if self.world.disk is disk else None)

    def _has(self, pieces: tuple[int, ...]) -> None:
        before = len(self._missing)
        for index in pieces:
            self._missing.pop(index, None)
        if before and not self._missing:
            self.world.order(FinishPart(1))

    def _failed(self, event: PartFailed) -> None:
        self.failures.append(event)
        assert event.reason
        self._missing.clear()
        self.world.order(ClosePart(1))
        assert len(self.failures) <= self._failures_max, event
        self._later(RETRY_S, self._open)
