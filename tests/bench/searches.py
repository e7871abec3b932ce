"""Searches at one super-peer: how many a CPU second, how long they take, and what overload does.

    python -m tests.bench.searches [--files 1000000] [--leaves 100] [--corpus paths] [--seconds 5]
                                   [--rounds 5]

The super-peer is the real program: ZeroMQ, CURVE, loopback. The leaves (`tests.bench.rawleaf`)
join and publish all files over the wire, signed, like any leaf. Then they search, for two words of
a file that is there: with at most 50 and at most 10 hits wanted, and `rare`, where one of the words
stands nowhere, as in most searches of a large network at most of its super-peers; one search a
frame and 16, a closed loop within each leaf's credit. Then `half` the peak of `rare` in an open
loop, for the time that answers take. Then, in turns, so that all meet the same machine: `rare` as
before, ten times the leaves, each within its credit, and these beside one cheat who ignores it, is
hung up, and joins again; `goodput_ratio` is what the last has of the first, the median round's.

CPU time is the super-peer's: all threads, user and system. Lifted limits: how often a leaf may
search (`near_searches_per_s`), and how many leaves there are (`leaves_max`). Prints one JSON line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import zmq

from common.addresses import Address, split_host_port
from common.ids import parse_node
from common.terms import Terms
from tests.bench import corpora
from tests.bench.pressing import Figures, Order, process
from tests.bench.rawleaf import RawLeaf, body

PROCESSES: Final = 2
TIMES: Final = 10  # the leaves, under overload
OPEN: Final = 16  # searches of a leaf at a time, at most
BATCH: Final = 16
CALM_S: Final = 6.0  # until a super-peer with fewer leaves grants more credit again
LIFTED: Final = """
[cluster]
near_searches_per_s = 1000000.0
near_searches_burst = 1000000
leaves_max = {leaves_max}
"""
MIXES: Final = {"wanted_50": ("words", 50), "wanted_10": ("words", 10), "rare": ("rare", 50)}


class Bench:
    """A super-peer and the processes of its leaves."""

    def __init__(self, folder: Path, args: argparse.Namespace) -> None:
        self.share = args.leaves // PROCESSES
        self._home = folder / "home"
        settings = folder / "lifted.toml"
        settings.write_text(LIFTED.format(leaves_max=(TIMES + 1) * args.leaves))
        run = ["run", "--listen", "127.0.0.1:0", "--config", str(settings)]
        self._superpeer = subprocess.Popen(self._command(*run), stdout=subprocess.PIPE, text=True)
        if self._superpeer.stdout is None:
            raise RuntimeError("no pipe")
        ready = json.loads(self._superpeer.stdout.readline().removeprefix("READY "))
        self.node = parse_node(ready["node"])
        self.place = Address.of(*split_host_port(ready["listen"]))
        names = getattr(corpora, args.corpus)(args.files, args.seed)
        self._pipes = [self._process(folder, number, names) for number in range(PROCESSES)]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "superpeer", *words, "--home", str(self._home)]

    def _process(self, folder: Path, number: int, names: list[corpora.Name]) -> Connection:
        path = folder / f"names.{number}"
        with path.open("w") as file:
            file.writelines(f"{below}/{name}\n" for below, name in names[number::PROCESSES])
        spawn = get_context("spawn")
        ours, theirs = spawn.Pipe()
        told = (theirs, self.node, self.place, self.share, str(path), number)
        spawn.Process(target=process, args=told, daemon=True).start()
        return ours

    def tell(self, *order: object) -> list[Any]:
        """All processes do this at once; what they answer."""
        for pipe in self._pipes:
            pipe.send(order)
        return [pipe.recv() for pipe in self._pipes]

    def status(self) -> dict[str, Any]:
        """What the super-peer shows."""
        done = subprocess.run(self._command("status", "--json"), stdout=subprocess.PIPE, check=True)
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def cpu_s(self) -> tuple[float, float]:
        """CPU time of all its threads, and of the first one, which runs Python."""
        process_id = self._superpeer.pid
        return _cpu_s(f"/proc/{process_id}/stat"), _cpu_s(
            f"/proc/{process_id}/task/{process_id}/stat"
        )

    def rss_mib(self) -> float:
        """Its memory."""
        pages = int(Path(f"/proc/{self._superpeer.pid}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGESIZE") / 2**20, 1)

    def searched(self, order: Order) -> Figures:
        """Let all leaves search; what came of it, and what it cost."""
        before, rss = self.cpu_s(), self.rss_mib()
        parts = self.tell("search", order)
        cpu_s, main_s = (after - old for after, old in zip(self.cpu_s(), before, strict=True))
        took = sorted(each for part in parts for each in part["took"])
        hits = [each for part in parts for each in part["hits"]]
        ended = sum(part["ended"] for part in parts)
        figures = {
            "per_cpu_s": round(len(took) / cpu_s),
            "per_s": round(ended / order.seconds),
            "main_thread_share": round(main_s / cpu_s, 2),
            "hits": round(sum(hits) / max(len(hits), 1), 1),
            "bytes": round(sum(part["bytes"] for part in parts) / max(len(took), 1)),
            "p50_ms": round(took[len(took) // 2] * 1e3, 1),
            "p99_ms": round(took[len(took) * 99 // 100] * 1e3, 1),
            "unanswered": sum(part["unanswered"] for part in parts),
            "grew_mib": round(self.rss_mib() - rss, 1),
        }
        print(order, figures, file=sys.stderr, flush=True)  # it takes minutes
        return figures

    def end(self) -> None:
        """Stop all."""
        for pipe in self._pipes:
            pipe.send(None)
        self._superpeer.terminate()
        self._superpeer.wait(20)


class Cheat:
    """A leaf that sends frames full of searches, answered or not."""

    def __init__(self, bench: Bench) -> None:
        self._leaf = RawLeaf(zmq.Context(), bench.node, bench.place, os.urandom(32))
        self._stopped = threading.Event()
        self.sent = self.cut = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Cheats meanwhile."""
        thread = threading.Thread(target=self._run)
        thread.start()
        yield
        self._stopped.set()
        thread.join()

    def _run(self) -> None:
        leaf, bodies = self._leaf, [body(Terms(("nothing",)), 50)] * 64
        leaf.greet(0)
        while not self._stopped.wait(0.002):
            leaf.ask(bodies, 0.0)
            leaf.taken(0.0, [])
            leaf.open.clear()
            self.sent += len(bodies)
            if leaf.cut:
                self.cut += 1
                leaf.again()
                leaf.greet(0)


def _cpu_s(stat: str) -> float:
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(bench: Bench, args: argparse.Namespace) -> Figures:
    """All figures, one after the other."""
    files, began = args.files // args.leaves, time.monotonic()
    bench.tell("join", files)
    bench.tell("publish", files)
    while bench.status()["files"] < files * args.leaves:
        time.sleep(0.5)
    shown: Figures = {"published_s": round(time.monotonic() - began, 1), "rss_mib": bench.rss_mib()}
    for name, (kind, wanted) in MIXES.items():
        for per_frame in (1, BATCH):
            order = Order(bench.share, args.seconds, per_frame, wanted, OPEN, 0.0, kind)
            shown[f"{name}_{per_frame}_a_frame"] = bench.searched(order)
    peak = shown["rare_1_a_frame"]
    half = Order(bench.share, args.seconds, 1, 50, OPEN, peak["per_s"] / 2 / PROCESSES, "rare")
    shown["half"] = bench.searched(half)
    shown["rounds"] = [overloaded(bench, args, shown) for _ in range(args.rounds)]
    status = bench.status()
    return shown | {
        "goodput_ratio": statistics.median(each["ratio"] for each in shown["rounds"]),
        "leaves_at_the_end": status["leaves"],
        "dropped": status["dropped"],
    }


def overloaded(bench: Bench, args: argparse.Namespace, shown: Figures) -> Figures:
    """One round: searches a CPU second at the peak, with ten times the leaves, and with a cheat;
    what else the last round told stays in `shown`."""
    few = Order(bench.share, args.seconds, 1, 50, OPEN, 0.0, "rare")
    peak = bench.searched(few)["per_cpu_s"]
    more = (TIMES - 1) * bench.share
    bench.tell("more", more)
    many = few._replace(leaves=bench.share + more)
    shown["many"] = bench.searched(many)
    cheat = Cheat(bench)
    with cheat.at_work():
        shown["many_and_a_cheat"] = bench.searched(many)
    bench.tell("less", more)
    time.sleep(CALM_S)
    cheated = shown["many_and_a_cheat"]["per_cpu_s"]
    return {
        "peak": peak,
        "many": shown["many"]["per_cpu_s"],
        "many_and_a_cheat": cheated,
        "ratio": round(cheated / peak, 3),
        "cheat_sent": cheat.sent,
        "cheat_hung_up": cheat.cut,
    }


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--leaves", type=int, default=100)
    parser.add_argument("--corpus", choices=("paths", "titles"), default="paths")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args)
        figures = measured(bench, args)
        bench.end()
    told = {"bench": "searches", "files": args.files, "corpus": args.corpus, "leaves": args.leaves}
    print(json.dumps(told | figures))


if __name__ == "__main__":
    main()
