"""One file between two leaves on loopback, beside the bare pump in the same run.

    python -m tests.bench.pair [--mib 1024] [--runs 5] [--tebibyte FILES]

Alternates pump and pair. The pair is the real programs: a super-peer, a leaf that shares, a leaf
that runs `get`; CURVE on, every piece proven, the file durable under its name. Prints one JSON
line: GB/s of both and their ratio, CPU seconds, how late the two event loops were at worst, the
page faults of both, and the most memory of either. With --tebibyte the leaf that shares has 1 TiB
in so many files besides.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.shell.desk.home import home_at
from tests.bench.idle import cpu_s
from tests.bench.tebibyte import share_tebibyte

BLOCK = 2**20


class Program:
    """A daemon of ours and its home."""

    def __init__(self, folder: Path, name: str, argv: list[str], flags: Sequence[str] = ()) -> None:
        self.home = folder / name
        run = [*argv, "run", "--home", str(self.home), "--listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
        if self.process.stdout is None:
            raise RuntimeError("no pipe")
        self.ready = json.loads(self.process.stdout.readline().removeprefix("READY "))

    def end(self) -> None:
        """Stop it as a service manager would."""
        self.process.terminate()
        self.process.communicate(timeout=20)  # closes the pipe too


class TickingLeaf(Program):
    """A leaf whose loop is watched."""

    def __init__(self, folder: Path, name: str, place: str) -> None:
        self.report = folder / f"{name}.stall"
        self.report.write_text("0.0")
        ticking = [sys.executable, "-m", "tests.bench.ticking", str(self.report)]
        os.environ["LEAF_SUPER"] = place
        super().__init__(folder, name, ticking)

    def command(self, *words: str) -> Any:
        """A command asked of this leaf, as JSON."""
        argv = [sys.executable, "-m", "leaf", *words, "--home", str(self.home), "--json"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def forget_stalls(self) -> None:
        """Count from here."""
        self.process.send_signal(signal.SIGUSR1)

    def worst_stall_s(self) -> float:
        """How late its loop was since."""
        return float(self.report.read_text())


def peak_bytes(pid: int) -> int:
    """The most memory that a process had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def page_faults(pid: int) -> int:
    """How often a process had to be given a page of memory."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def pair_run(source: Path, folder: Path, files: int = 0) -> dict[str, float]:
    """Share, search nothing, fetch by id."""
    if files:
        (home := home_at("leaf", folder / "seed")).prepare()
        share_tebibyte(folder / "tebibyte", home.state_file, files)
    superpeer = Program(folder, "sp", [sys.executable, "-m", "superpeer"])
    place = f"{superpeer.ready['listen']}/{superpeer.ready['node']}"
    seed, fetcher = TickingLeaf(folder, "seed", place), TickingLeaf(folder, "fetcher", place)
    try:
        seed.command("share", str(source), "--wait")
        row = next(each for each in seed.command("ls") if each["path"] == str(source))
        pids = seed.process.pid, fetcher.process.pid
        before, faults_before = sum(map(cpu_s, pids)), sum(map(page_faults, pids))
        for leaf in (seed, fetcher):
            leaf.forget_stalls()
        got = fetcher.command("get", row["id"], "-o", str(folder / "got.bin"))
        cpu, faults = sum(map(cpu_s, pids)) - before, sum(map(page_faults, pids)) - faults_before
        stall = max(seed.worst_stall_s(), fetcher.worst_stall_s())
        peak = max(map(peak_bytes, pids))
        shared = seed.command("status")["shared_bytes"]
    finally:
        for program in (fetcher, seed, superpeer):
            program.end()
    if not got["verified"] or Path(got["path"]).stat().st_size != source.stat().st_size:
        raise RuntimeError(f"not what was shared: {got}")
    return {
        "seconds": got["elapsed_s"],
        "cpu_s": cpu,
        "stall_s": stall,
        "rss": peak,
        "faults": faults,
        "shared": shared,
    }


def pump_run(source: Path, folder: Path) -> dict[str, float]:
    """The bare pump in fresh processes."""
    argv = [sys.executable, "-m", "tests.bench.pump", str(source), str(folder / "pumped.bin")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def make(path: Path, mib: int) -> None:
    """A file that nothing compresses."""
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(BLOCK))


def main() -> None:
    """Alternate, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tebibyte", type=int, default=0, metavar="FILES")
    parser.add_argument("--folder", default="/dev/shm")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pair-", dir=args.folder))
    pumps, pairs = [], []
    try:
        source = root / "source.bin"
        make(source, args.mib)
        for run in range(args.runs):
            folder = root / str(run)
            folder.mkdir()
            pumps.append(pump_run(source, folder))
            pairs.append(pair_run(source, folder, args.tebibyte))
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    gigabytes = args.mib * BLOCK / 1e9
    ratios = [pump["seconds"] / pair["seconds"] for pump, pair in zip(pumps, pairs, strict=True)]
    report = {
        "bench": "pair",
        "mib": args.mib,
        "runs": args.runs,
        "pump_gb_s": round(gigabytes / statistics.median(run["seconds"] for run in pumps), 3),
        "pair_gb_s": round(gigabytes / statistics.median(run["seconds"] for run in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "pump_cpu_s": round(statistics.median(run["cpu_s"] for run in pumps), 2),
        "pair_cpu_s": round(statistics.median(run["cpu_s"] for run in pairs), 2),
        "stall_ms": round(1000 * statistics.median(run["stall_s"] for run in pairs), 1),
        "stall_ms_max": round(1000 * max(run["stall_s"] for run in pairs), 1),
        "page_faults": round(statistics.median(run["faults"] for run in pairs)),
        "rss_mib": round(max(run["rss"] for run in pairs) / 2**20, 1),
        "shared_bytes": max(run["shared"] for run in pairs),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
