"""An idle leaf beside a bare Python with the same imports: memory, time to READY, CPU.

    python -m tests.bench.idle [--runs 10] [--idle 20]

Alternates the two; prints one JSON line with medians and ratios. The bare process imports zmq,
msgpack, msgspec, structlog and asyncio and says READY.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = (
    "import asyncio, msgpack, msgspec, structlog, sys, zmq\n"
    "print('READY', flush=True)\nsys.stdin.read()"
)


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(argv: list[str], idle_s: float) -> dict[str, float]:
    """Start it, wait for READY, let it idle, end it."""
    began = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("no pipes")
    while not process.stdout.readline().startswith(b"READY"):
        if process.poll() is not None:
            raise RuntimeError(f"{argv[:4]} ended early")
    ready_s = time.monotonic() - began
    before = cpu_s(process.pid)
    time.sleep(idle_s)
    result = {
        "ready_s": ready_s,
        "rss_mib": rss_bytes(process.pid) / 2**20,
        "cpu_share": (cpu_s(process.pid) - before) / idle_s,
    }
    process.stdin.close()
    process.terminate()
    process.wait(20)
    return result


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}


def main() -> None:
    """Alternate, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--idle", type=float, default=2.0)
    args = parser.parse_args()
    bare, leaf = [], []
    with tempfile.TemporaryDirectory() as folder:
        sp_argv = [sys.executable, "-m", "superpeer", "run", "--listen", "127.0.0.1:0"]
        superpeer = subprocess.Popen(
            [*sp_argv, "--home", f"{folder}/sp"], stdout=subprocess.PIPE, text=True
        )
        if superpeer.stdout is None:
            raise RuntimeError("no pipe")
        ready = json.loads(superpeer.stdout.readline().removeprefix("READY "))
        place = f"{ready['listen']}/{ready['node']}"
        leaf_argv = [sys.executable, "-m", "leaf", "run", "--listen", "127.0.0.1:0"]
        for run in range(args.runs):
            bare.append(measured([sys.executable, "-c", BARE], 0.2))
            argv = [*leaf_argv, "--home", f"{folder}/leaf{run}", "--super", place, "--no-promote"]
            leaf.append(measured(argv, args.idle))
        superpeer.terminate()
        superpeer.wait(20)
    bare_medians, leaf_medians = medians(bare), medians(leaf)
    report = {
        "bench": "idle",
        "runs": args.runs,
        "bare": bare_medians,
        "leaf": leaf_medians,
        "rss_ratio": round(leaf_medians["rss_mib"] / bare_medians["rss_mib"], 2),
        "ready_ratio": round(leaf_medians["ready_s"] / bare_medians["ready_s"], 2),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
