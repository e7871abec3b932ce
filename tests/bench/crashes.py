"""Crash states of a download on a simulated disk: each is opened again, and nothing wrong believed.

    python -m tests.bench.crashes [--states 100000] [--seed 1] [--minutes 25]

The program's own disk code fetches a file of six pieces in random order. In the middle of an
operation, or between two, the process is killed or the power goes, which loses what was not synced
in any combination of sectors and names; before it, a sync may have failed. Then the part is opened
again and every piece that it claims is read and compared; that life ends badly too, several times,
until the file is finished, compared, and the power goes once more. States are told apart by names,
by which sectors of the part are true, false or empty, and by what the journal's records say, but
for the time in them. Prints one JSON line.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from errno import EIO
from random import Random

from common.content.merkle import piece_count, piece_span
from common.core import Event
from common.shell.disk.journal import replay
from common.storage import BytesRead, PartOpened, PiecesWritten
from tests.simulated_disk import CONTENT, SYNCED_S, TARGET, Fetcher, World

SECTOR = 512
CRASHES_MAX = 8  # of one download
CUT_MAX = 60  # operations; a whole download has about as many
LIFE_S = 4.0  # a whole download takes about as long
FAILING = 0.15  # downloads in which some syncs fail
FOLDER = TARGET.rpartition("/")[0]
PART = TARGET + ".part"
JOURNAL = PART + ".journal"


class Judge(Fetcher):
    """Fetches in random order, and counts what it is told wrong and what it lost."""

    def __init__(self, world: World, rng: Random, *, failing: bool) -> None:
        super().__init__(world, failures_max=10**6, trusting=True)
        self._draws = rng
        self._failing = failing
        self._written: dict[int, float] = {}  # piece -> when it was told to be, in this life
        self._taken: dict[int, None] = {}  # written, not synced, and the system still has it
        self._safe: dict[int, None] = {}  # claimed, or written so long ago that it was synced
        self._gone: dict[int, None] = {}  # written, not synced, and the power went
        self.wrong = 0
        self.lost_max = 0
        self.synced_lost = 0
        self.killed_lost = 0

    def take(self, event: Event) -> None:
        """Look at what is claimed and at what is read, then go on."""
        if isinstance(event, PartOpened):
            self._compare(event.done)
        elif isinstance(event, PiecesWritten):
            self._written |= dict.fromkeys(event.good, self.world.schedule.now)
        elif isinstance(event, BytesRead):
            offset, length = piece_span(len(CONTENT), event.read)
            self.wrong += bytes(event.data) != CONTENT[offset : offset + length]
        super().take(event)

    def crashed(self, *, power: bool) -> None:
        """This life is over; what must be there in the next."""
        since = self.world.power_went_at - SYNCED_S
        for piece, when in self._written.items():
            (self._safe if when < since else self._taken)[piece] = None
        self._written.clear()
        if power:
            self._gone |= self._taken
            self._taken.clear()

    def _compare(self, done: bytes) -> None:
        """What was written before and is not there after."""
        safe = [piece for piece in self._safe if not done[piece]]
        taken = [piece for piece in self._taken if not done[piece]]
        gone = [piece for piece in self._gone if not done[piece]]
        self.lost_max = max(self.lost_max, len({*safe, *taken, *gone}))
        if not self._failing:
            self.synced_lost += len(safe)
            self.killed_lost += len(taken)
        self._taken.clear()
        self._gone.clear()
        self._safe = {piece: None for piece, is_there in enumerate(done) if is_there}

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        """In an order and with pauses of its own."""
        super()._later(self._draws.uniform(0, LIFE_S / 2), call)


class Bench:
    """States, and what became of them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: set[bytes] = set()
        self.figures = dict.fromkeys(
            (
                *("downloads", "crashes", "kills", "power_cuts", "wrong_believed", "wrong_final"),
                *("never_finished", "pieces_lost_max", "synced_pieces_lost"),
                "pieces_lost_by_kills",
            ),
            0,
        )

    @property
    def states(self) -> int:
        """How many that differ."""
        return len(self._seen)

    def download(self, number: int) -> None:
        """One, over all its crashes."""
        rng, figures = Random(f"{self._seed}/{number}"), self.figures
        world = World(rng.getrandbits(32))
        failing = rng.random() < FAILING
        judge = Judge(world, rng, failing=failing)
        if failing:
            world.files.fail("sync", chance=rng.choice((0.05, 0.3)), number=EIO)
        for _ in range(rng.randint(1, CRASHES_MAX)):
            if judge.finished:
                break
            self._crash(world, judge, rng)
        world.files.fail("sync")
        try:
            judge.run()
        except AssertionError:
            figures["never_finished"] += 1
        else:
            world.disk.die()
            world.files.power_loss()
            figures["wrong_final"] += world.files.read(judge.finished) != CONTENT
        figures["downloads"] += 1
        figures["wrong_believed"] += judge.wrong
        figures["synced_pieces_lost"] += judge.synced_lost
        figures["pieces_lost_by_kills"] += judge.killed_lost
        figures["pieces_lost_max"] = max(figures["pieces_lost_max"], judge.lost_max)

    def _crash(self, world: World, judge: Judge, rng: Random) -> None:
        """A life, and its end."""
        power = rng.random() < 0.7
        before = world.power_cuts
        if power and rng.random() < 0.8:  # in an operation, else between two
            world.files.cut_after(rng.randint(1, CUT_MAX))
        judge.live(rng.uniform(0, LIFE_S))
        if world.power_cuts == before:
            if world.files.faults is not None:
                world.files.cut_after(0)
            world.disk.die()
            world.power_went_at = world.schedule.now
            if power:
                world.files.power_loss()
        judge.crashed(power=power)
        self.figures["crashes"] += 1
        self.figures["power_cuts" if power else "kills"] += 1
        self._seen.add(state(world))
        judge.begin()


def state(world: World) -> bytes:
    """What is on the disk, as far as it matters."""
    files = world.files
    names = files.names(FOLDER) if files.exists(FOLDER) else []
    told: list[object] = [(name, files.names_of(f"{FOLDER}/{name}")) for name in names]
    if files.exists(PART):
        told.append(sectors(files.read(PART)))
    if files.exists(JOURNAL):
        journal = files.read(JOURNAL)
        found = replay(journal)
        if found is not None:
            tail = len(journal[found.end :].rstrip(b"\0"))
            claims = (list(found.pieces), list(found.handed), found.clean is None)
            told.append((bool(found.layer), claims, found.end, tail, len(journal)))
    return hashlib.blake2b(repr(told).encode(), digest_size=12).digest()


def sectors(part: bytes) -> bytes:
    """Each as true, empty or neither."""
    marks = bytearray()
    for at in range(0, len(part), SECTOR):
        held, true = part[at : at + SECTOR], CONTENT[at : at + SECTOR]
        marks.append(1 if held == true else 2 if any(held) else 0)
    return bytes(marks)


def main() -> None:
    """States until there are enough, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=25.0)
    args = parser.parse_args()
    bench, began, number = Bench(args.seed), time.monotonic(), 0
    while bench.states < args.states and time.monotonic() - began < 60 * args.minutes:
        bench.download(number)
        number += 1
    report = {
        "bench": "crashes",
        "seed": args.seed,
        "states": bench.states,
        "pieces": piece_count(len(CONTENT)),
        **bench.figures,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
