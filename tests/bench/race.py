"""One file from one seed to many downloaders: ours, libtorrent, aria2 and plain HTTP, in one run.

    python -m tests.bench.race [--job loopback star] [--rounds 3] [--downloaders 8] [--mib M]
        [--up 20,10] [--down 100,40] [--delay MS] [--piece KIB] [--clients ours libtorrent]

`loopback`: 256 MiB, each node on a loopback address of its own. `star`: 32 MiB between hosts in
network namespaces, behind links with these rates (Mbit/s, the seed's first; `20,2..50` spreads the
others over a range) and this delay (one way between any two); root only.

In each round every client runs once, one after the other. All are daemons that wait; the clock
starts with the word to go. CPU seconds are those of seed and downloaders between the word and the
last finish; beside them stands what helpers needed (super-peer, tracker, the commands `leaf get`),
and what else the machine did meanwhile: packets, but also whoever else was at work, and where that
is much the times say little.
Afterwards all files are compared with the source. Prints one JSON line for each client and job,
with medians over the rounds, and last one with the ratios of ours to each other, a median as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from deploy.netlab.machine import SkippedError
from deploy.processes import end_on_signals
from tests.bench.course import Course, Job, hosts_of, rates_of
from tests.bench.racers import IS_HERE, RACERS, Racer
from tests.bench.told import Crew, cpu_s, heard, machine_cpu_s

Figures = dict[str, Any]

BLOCK: Final = 2**20
MIB_OF: Final = {"loopback": 256, "star": 32}
PIECE_KIB_OF: Final = {"loopback": 1024, "star": 64}
COMPARED: Final = ("last_s", "median_s", "cpu_s_per_gb", "rss_mib", "seed_rss_mib")


def job_of(name: str, args: argparse.Namespace) -> Job:
    """What the command line asks for."""
    size = round((args.mib or MIB_OF[name]) * BLOCK)
    piece_bytes = (args.piece or PIECE_KIB_OF[name]) * 1024
    if name == "loopback":
        return Job(name, args.downloaders, size, piece_bytes)
    up_rates, down_rates = (rates_of(text, args.downloaders + 1) for text in (args.up, args.down))
    delay_s = args.delay / 1000
    return Job(name, args.downloaders, size, piece_bytes, up_rates, down_rates, delay_s)


# --- one client, once -----------------------------------------------------------------------------


def heat(client: str, job: Job, source: Path, within_s: float) -> Figures:
    """Run one client; its figures, and whether all have what the seed had."""
    with tempfile.TemporaryDirectory(dir=source.parents[1]) as name:
        folder = Path(name)
        with hosts_of(job) as hosts, Crew(folder) as crew:
            course = Course(job, hosts, source, folder, crew)
            racer = RACERS[client](course)
            racer.ready()
            figures = timed(racer, job, within_s)
        targets = [course.target(host) for host in course.downloaders]
        return {**figures, "verified": all(same(source, target) for target in targets)}


def timed(racer: Racer, job: Job, within_s: float) -> Figures:
    """Tell all to go, and wait for the last."""
    before_s, helping_s, machine_s = cpu_s(racer.nodes), cpu_s(racer.helpers), machine_cpu_s()
    began = time.monotonic()
    told = racer.go()
    finishes: list[float] = []
    own: list[float] = []

    def look() -> None:
        for node in racer.nodes:
            node.look()

    for number, at, line in heard(told, within_s, look):
        if line is None:
            print(told[number].last_words(), file=sys.stderr)
            continue
        took_s = racer.took_s(line)
        finishes.append(at - began)
        own += [] if took_s is None else [took_s]
    spent_s = cpu_s(racer.nodes) - before_s
    helping_s = cpu_s(racer.helpers) - helping_s
    elsewhere_s = machine_cpu_s() - machine_s - spent_s - helping_s
    look()
    figures: Figures = {"finished": len(finishes)}
    if len(finishes) == job.downloaders:
        last_s, bound_s = max(finishes), job.bound_s()
        figures |= {"first_s": min(finishes), "median_s": statistics.median(finishes)}
        figures |= {"last_s": last_s}
        figures |= {"daemon_last_s": max(own)} if own else {}
        figures |= {} if bound_s is None else {"bound_s": bound_s, "to_bound": last_s / bound_s}
        figures |= {"cpu_s_per_gb": spent_s / (job.downloaders * job.size / 1e9)}
    seed, *others = (node.peak_bytes / 2**20 for node in racer.nodes)
    figures |= {"cpu_s": spent_s, "helpers_cpu_s": helping_s, "elsewhere_cpu_s": elsewhere_s}
    return {**figures, "seed_rss_mib": seed, "rss_mib": statistics.median(others)}


def same(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes."""
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(BLOCK):
            if block != right.read(BLOCK):
                return False
    return True


# --- rounds ---------------------------------------------------------------------------------------


def rounds_of(job: Job, args: argparse.Namespace, root: Path) -> dict[str, list[Figures]]:
    """All rounds of all clients that are here, in turn."""
    folder = root / job.name
    folder.mkdir()
    source = folder / "source" / "payload.bin"
    source.parent.mkdir()
    with source.open("wb") as file:
        for begin in range(0, job.size, BLOCK):
            file.write(os.urandom(min(BLOCK, job.size - begin)))
    runs: dict[str, list[Figures]] = {each: [] for each in args.clients if IS_HERE[each]()}
    for _ in range(args.rounds):
        for client, figures in runs.items():
            try:
                figures.append(heat(client, job, source, args.timeout))
            except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
                figures.append({"finished": 0, "verified": False, "error": str(error)})
    source.unlink()
    return runs


def medians(runs: Sequence[Figures]) -> Figures:
    """Over the rounds: the worst of what must be, the median of what takes its time."""
    result: Figures = {
        "finished": min(run["finished"] for run in runs),
        "verified": all(run["verified"] for run in runs),
    }
    if errors := [run.pop("error") for run in runs if "error" in run]:
        result["errors"] = errors
    for key in dict.fromkeys(key for run in runs for key in run):
        if key not in result:
            result[key] = round(statistics.median(run[key] for run in runs if key in run), 3)
    if len(runs) > 1:
        result["last_s_of_rounds"] = [round(run["last_s"], 2) for run in runs if "last_s" in run]
    return result


def ratios(runs: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    """Ours to each other client, round by round, where both have finished."""
    result: dict[str, Figures] = {}
    for client, theirs in runs.items():
        if client == "ours" or "ours" not in runs:
            continue
        pairs = list(zip(runs["ours"], theirs, strict=True))
        row: Figures = {}
        for key in COMPARED:
            each = [our[key] / their[key] for our, their in pairs if _both(key, our, their)]
            row |= {key: round(statistics.median(each), 3)} if each else {}
        result[client] = row
    return result


def _both(key: str, our: Figures, their: Figures) -> bool:
    return key in our and bool(their.get(key))


def run_job(job: Job, args: argparse.Namespace, root: Path) -> tuple[bool, Figures]:
    """One job by all clients, printed; whether all went well, and the ratios."""
    about: Figures = {"bench": "race", "job": job.name, "downloaders": job.downloaders}
    about |= {"mib": round(job.size / BLOCK, 3), "piece_kib": job.piece_bytes // 1024}
    if job.shaped:
        about |= {"up": args.up, "down": args.down, "delay_ms": args.delay}
    try:
        runs = rounds_of(job, args, root)
    except SkippedError as skipped:
        print(json.dumps({**about, "skipped": str(skipped)}), flush=True)
        return True, {}
    went_well = True
    for client in args.clients:
        told: Figures = {**about, "client": client, "missing": client not in runs}
        if client in runs:
            told |= {"rounds": args.rounds, **medians(runs[client])}
            went_well &= told["verified"] and told["finished"] == job.downloaders
        print(json.dumps(told), flush=True)
    return went_well, ratios(runs)


def main() -> int:
    """All jobs, then the ratios; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", nargs="+", choices=[*MIB_OF], default=["loopback"])
    parser.add_argument("--clients", nargs="+", choices=[*RACERS], default=[*RACERS])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--downloaders", type=int, default=8)
    parser.add_argument("--mib", type=float, help="256 on loopback, 32 on the star")
    parser.add_argument("--piece", type=int, help="KiB, of torrents: 1024 on loopback, 64 else")
    parser.add_argument("--up", default="20,10", help="Mbit/s, the seed's first")
    parser.add_argument("--down", default="100,40")
    parser.add_argument("--delay", type=float, default=0.0, help="ms, one way")
    parser.add_argument("--timeout", type=float, default=600.0, help="s, of one client once")
    parser.add_argument("--folder", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    args = parser.parse_args()
    end_on_signals()
    went_well, all_ratios = True, {}
    with tempfile.TemporaryDirectory(prefix="race-", dir=args.folder) as root:
        # as an installation has them: compiled once, not at every start of a program
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{root}/compiled"
        try:
            for name in args.job:
                well, all_ratios[name] = run_job(job_of(name, args), args, Path(root))
                went_well &= well
        except (UserError, ValueError) as error:
            print(f"race: {error}", file=sys.stderr)
            return 1
    print(json.dumps({"bench": "race", "ratios": all_ratios}))
    return 0 if went_well else 1


if __name__ == "__main__":
    sys.exit(main())
