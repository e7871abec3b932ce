"""A leaf that is killed at random instants of its downloads: what is lost, and what is believed.

    python -m tests.bench.kills [--kills 1000] [--minutes 25] [--state FILE] [--mib 128]
                                [--seeds 3] [--rate 20000000] [--folder /dev/shm] [--seed 1]

Real programs on loopback: a super-peer, seeds that read so many bytes a second (0: as fast as it
goes), and one leaf that is ended by SIGKILL while it starts, fetches or finishes, and started
again, some times for each download; then it may come to its end. After every kill each piece that
the journal claims is held against the true one. What came over the network in a run and was not
there in the next is what must be fetched again. With `--state` a run goes on where the last one
ended. Prints one JSON line.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from common.content.merkle import piece_count, piece_size_bytes
from common.errors import UserError
from common.limits import REQUEST_BYTES_MAX
from common.shell.disk.journal import replay
from leaf.client import LeafClient
from leaf.methods import Get
from tests.bench.counted import Counts
from tests.bench.pair import Program, make

INSTANTS = ("start", "fetching", "fetching", "fetching", "finishing")
START_S = 1.5  # a leaf is up and has joined by then
FETCHING_S = 1.0  # of a download that takes two or three
FINISHING_S = 0.05
KILLS_PER_DOWNLOAD = (2, 9)
PATIENCE_S = 120.0  # for any one run to get on
LOOK_S = 0.002


@dataclass
class Totals:
    """What is known after all runs so far."""

    kills: int = 0
    instants: dict[str, int] = field(default_factory=dict)
    downloads: int = 0
    wrong_under_final_name: int = 0
    wrong_believed: int = 0
    never_finished: int = 0
    left_behind: int = 0  # downloads that left more than the file in its folder
    again_pieces: float = 0.0
    again_pieces_max: float = 0.0
    again_per_source_max: float = 0.0
    kills_above_one_per_source: int = 0
    kills_above_a_request_per_source: int = 0  # 1 MiB: what comes as a whole
    received_bytes: int = 0
    wanted_bytes: int = 0
    seconds: float = 0.0


class NeverError(RuntimeError):
    """A run did not get on."""


class Victim:
    """One download and the lives of the leaf that fetches it."""

    def __init__(self, folder: Path, source: bytes, place: str, rng: Random) -> None:
        self.folder, self._source, self._rng = folder, source, rng
        self.size = len(source)
        self.piece = piece_size_bytes(self.size)
        self._counts = folder / "counts"
        self.target = folder / "got" / "file.bin"
        self._argv = [sys.executable, "-m", "tests.bench.counted", str(self._counts), "run"]
        self._argv += ["--home", str(folder / "home"), "--listen", "127.0.0.1:0"]
        self._argv += ["--super", place, "--no-promote", "--no-lan"]
        self._process: subprocess.Popen[str] | None = None
        self._base = 0  # pieces that were there when the part was opened last
        self._unproven = Counts()  # of the life before, until the next tells what was left of it
        self.received = 0

    def begin(self, file: str) -> None:
        """The first life, up to the wish."""
        self.start()
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("no pipe")
        self._process.stdout.readline()
        with LeafClient(self.folder / "home", 30.0) as leaf:
            leaf.get(Get(file, to=str(self.target), detach=True))

    def start(self) -> None:
        """A life."""
        Counts().write(self._counts)
        self._process = subprocess.Popen(
            self._argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    @property
    def counts(self) -> Counts:
        """Of this life, so far."""
        return Counts.read(self._counts)

    def wait(self, instant: str) -> None:
        """Until a random instant of that kind."""
        if instant == "start":
            time.sleep(self._rng.uniform(0, START_S))
        elif instant == "fetching":
            self._until(lambda counts: counts.received > 0)
            time.sleep(self._rng.uniform(0, FETCHING_S))
        else:
            few = self._rng.randrange(8) * self.piece
            self._until(lambda counts: self._missing(counts) <= few)
            time.sleep(self._rng.uniform(0, FINISHING_S))

    def wait_done(self) -> None:
        """Until it says that it is done."""
        self._until(lambda counts: counts.done > 0)
        began = time.monotonic()
        with LeafClient(self.folder / "home", 30.0) as leaf:
            while time.monotonic() - began < PATIENCE_S:
                rows = leaf.downloads()
                if [row.state for row in rows] == ["done"]:
                    return
                time.sleep(0.05)
        raise NeverError(f"the download is {rows}")

    def _missing(self, counts: Counts) -> int:
        if not counts.opened:
            return self.size
        return self.size - (counts.opened - 1) * self.piece - counts.received

    def _until(self, enough: Callable[[Counts], bool]) -> None:
        began = time.monotonic()
        while not (counts := self.counts).done and not enough(counts):
            if time.monotonic() - began > PATIENCE_S:
                raise NeverError(f"{counts} after {PATIENCE_S} s")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """This life ends here."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def lost(self) -> tuple[float, int] | None:
        """Pieces that the life before received and this one did not find, and of how many sources;
        None until this one has looked."""
        counts, before = self.counts, self._unproven
        if not counts.opened and not counts.done:
            return None
        there = counts.opened - 1 if counts.opened else piece_count(self.size)
        again = before.received / self.piece - (there - self._base)
        self._base, self._unproven = there, Counts()
        return again, max(before.active, 1)

    def remember(self) -> None:
        """What this life received, before the next begins."""
        counts = self.counts
        self.received += counts.received
        if counts.opened:
            self._unproven = counts

    def false_claims(self) -> int:
        """How many pieces the journal claims that are not there."""
        part = self.target.with_name("file.bin.part")
        journal = self.target.with_name("file.bin.part.journal")
        if not (part.exists() and journal.exists()):
            return 0
        found = replay(journal.read_bytes())
        wrong = 0
        with part.open("rb") as file:
            for index in found.pieces if found else ():
                file.seek(index * self.piece)
                there = file.read(self.piece)
                wrong += there != self._source[index * self.piece : (index + 1) * self.piece]
        return wrong

    def wrong_final(self) -> int:
        """How many files stand under a final name and are not the content."""
        names = self.target.parent.glob("*") if self.target.parent.exists() else ()
        finals = [path for path in names if ".part" not in path.name]
        return sum(path.read_bytes() != self._source for path in finals)

    def left_behind(self) -> list[str]:
        """What stands beside the file."""
        return [path.name for path in self.target.parent.iterdir() if path != self.target]


class Bench:
    """Downloads and kills until there were enough."""

    def __init__(self, totals: Totals, rng: Random) -> None:
        self.totals = totals
        self._rng = rng

    def download(self, victim: Victim, file: str) -> None:
        """One download with its kills; the leaf lives at the end of it no more."""
        totals = self.totals
        try:
            victim.begin(file)
            for _ in range(self._rng.randint(*KILLS_PER_DOWNLOAD)):
                instant = self._rng.choice(INSTANTS)
                victim.wait(instant)
                done = bool(victim.counts.done)
                self._kill(victim, instant)
                if done:
                    break
            victim.wait_done()
            self._count_lost(victim)
        except (NeverError, UserError) as error:
            print(f"{victim.folder}: {error}", file=sys.stderr)
            totals.never_finished += 1
        finally:
            victim.remember()
            victim.kill()
        totals.downloads += victim.target.exists()
        totals.wrong_under_final_name += victim.wrong_final()
        totals.left_behind += bool(victim.left_behind())
        totals.received_bytes += victim.received
        totals.wanted_bytes += victim.size

    def _kill(self, victim: Victim, instant: str) -> None:
        totals = self.totals
        victim.kill()
        self._count_lost(victim)
        victim.remember()
        totals.kills += 1
        totals.instants[instant] = totals.instants.get(instant, 0) + 1
        totals.wrong_believed += victim.false_claims()
        totals.wrong_under_final_name += victim.wrong_final()
        victim.start()

    def _count_lost(self, victim: Victim) -> None:
        """What the kill before this life cost, now that this life has looked."""
        lost = victim.lost()
        if lost is None:
            return
        again, active = lost
        totals = self.totals
        totals.again_pieces = round(totals.again_pieces + again, 3)
        totals.again_pieces_max = max(totals.again_pieces_max, again)
        totals.again_per_source_max = max(totals.again_per_source_max, round(again / active, 2))
        totals.kills_above_one_per_source += again > active
        requests = again * victim.piece / REQUEST_BYTES_MAX
        totals.kills_above_a_request_per_source += requests > active


def seeds(folder: Path, source: Path, count: int, rate: float, place: str) -> list[Program]:
    """Leaves that have the file."""
    slow = [sys.executable, "-m", "tests.bench.slowdisk", str(rate)]
    flags = ["--super", place, "--share", str(source), "--no-promote", "--no-lan"]
    return [Program(folder, f"seed{number}", slow, flags) for number in range(count)]


def shared_id(program: Program) -> str:
    """The id of the one file that a seed shares, once others can find it."""
    with LeafClient(program.home, 60.0) as leaf:
        (row,) = leaf.share([], wait=True) or leaf.ls()
    if row.id is None:
        raise RuntimeError("not hashed")
    return row.id


def run(args: argparse.Namespace, totals: Totals, save: Callable[[], None]) -> None:
    """So many kills more, or so many minutes."""
    rng = Random(f"{args.seed}/{totals.kills}")
    root = Path(tempfile.mkdtemp(prefix="kills-", dir=args.folder))
    programs: list[Program] = []
    began, enough = time.monotonic(), totals.kills + args.kills
    before_s = totals.seconds
    try:
        source = root / "share" / "file.bin"
        source.parent.mkdir()
        make(source, args.mib)
        content = source.read_bytes()
        superpeer = Program(root, "sp", [sys.executable, "-m", "superpeer"], ["--no-lan"])
        programs.append(superpeer)
        place = f"{superpeer.ready['listen']}/{superpeer.ready['node']}"
        programs += seeds(root, source, args.seeds, args.rate, place)
        ids = [shared_id(program) for program in programs[1:]]  # of all, so that all are found
        bench, number = Bench(totals, rng), 0
        while totals.kills < enough and time.monotonic() - began < 60 * args.minutes:
            folder = root / f"download{number}"
            folder.mkdir()
            number += 1
            bench.download(Victim(folder, content, place, rng), ids[0])
            totals.seconds = round(before_s + time.monotonic() - began, 1)
            save()
            shutil.rmtree(folder)
    finally:
        for program in reversed(programs):
            program.end()
        shutil.rmtree(root, ignore_errors=True)


def main() -> None:
    """Go on, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20e6)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    totals = Totals()
    if args.state and args.state.exists():
        totals = Totals(**json.loads(args.state.read_text()))

    def save() -> None:
        if args.state:
            fresh = args.state.with_name(args.state.name + ".new")
            fresh.write_text(json.dumps(asdict(totals)))
            fresh.replace(args.state)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it has started
    run(args, totals, save)
    size = args.mib * 2**20
    setting = {"mib": args.mib, "seeds": args.seeds, "rate": args.rate, "folder": args.folder}
    per_kill = round(totals.again_pieces / totals.kills, 3) if totals.kills else None
    report = {"bench": "kills", **setting, "piece_bytes": piece_size_bytes(size), **asdict(totals)}
    print(json.dumps({**report, "again_pieces_per_kill": per_kill}))


if __name__ == "__main__":
    main()
