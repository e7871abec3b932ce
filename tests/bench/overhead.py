"""Bytes on the wire for each byte of a file, between two leaves on a virtual Ethernet.

    python -m tests.bench.overhead [--mib 64] [--runs 3] [--mbit 0]     (Linux, as root)

One leaf shares a file, another fetches it; they and their super-peer are hosts in network
namespaces, and the seed's card makes no packets larger than the wire's, so that what it has sent
counts every header; `--mbit`: that card is so slow. `ratio`: all that it sent from the wish to the
durable file, Ethernet headers included, by the bytes of the file. `headers`: Ethernet, IP and TCP
in it; `words`: what the leaves and the encryption add. Prints one JSON line.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from deploy.netlab.wiring import DEVICE
from tests.bench.course import MBIT, Course, Host, Job, hosts_of
from tests.bench.pair import make
from tests.bench.racers import SEED, Ours
from tests.bench.told import Crew

MIB = 2**20
HEADER_BYTES = 14 + 20 + 32  # of a frame: Ethernet, IP, TCP with its timestamps


def in_host(host: Host, *argv: str) -> str:
    """What a command on a host says."""
    return subprocess.run([*host.prefix, *argv], check=True, capture_output=True, text=True).stdout


def sent(host: Host) -> tuple[int, int]:
    """Bytes and frames that its card has sent."""
    at = f"/sys/class/net/{DEVICE}/statistics"
    size, frames = in_host(host, "cat", f"{at}/tx_bytes", f"{at}/tx_packets").split()
    return int(size), int(frames)


def run(mib: int, mbit: float) -> dict[str, float]:
    """One download."""
    job = Job("overhead", 1, mib * MIB, MIB, (mbit * MBIT, 0.0), (0.0, 0.0))
    with (
        tempfile.TemporaryDirectory(prefix="overhead-", dir="/dev/shm") as name,
        hosts_of(job) as (hosts),
    ):
        folder = Path(name)
        make(folder / "source.bin", mib)
        seed = hosts[SEED]
        in_host(seed, "ip", "link", "set", "dev", DEVICE, "gso_max_segs", "1")
        with Crew(folder) as crew:
            racer = Ours(Course(job, hosts, folder / "source.bin", folder, crew))
            racer.ready()
            before = sent(seed)
            (getter,) = racer.go()
            racer.took_s(getter.line(600.0))
            after = sent(seed)
    wire_bytes, frames = after[0] - before[0], after[1] - before[1]
    headers = frames * HEADER_BYTES
    return {
        "wire_bytes": wire_bytes,
        "frames": frames,
        "ratio": wire_bytes / job.size,
        "headers": headers / job.size,
        "words": (wire_bytes - headers - job.size) / job.size,
    }


def main() -> None:
    """The middle of some runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mbit", type=float, default=0.0)
    args = parser.parse_args()
    runs = [run(args.mib, args.mbit) for _ in range(args.runs)]
    report = {"bench": "overhead", "mib": args.mib, "mbit": args.mbit, "runs": args.runs}
    middle = {key: round(statistics.median(each[key] for each in runs), 5) for key in runs[0]}
    worst = round(max(each["ratio"] for each in runs), 5)
    print(json.dumps({**report, **middle, "ratio_max": worst}))


if __name__ == "__main__":
    main()
