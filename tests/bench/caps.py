"""How exact caps are: in virtual time, where nothing else plays a part, and between real programs.

    python -m tests.bench.caps [--rates 50k,1M,50M] [--seconds 12] [--world sim|real|both]

For each cap and way: one source and one download, four downloads from two sources (down), or four
leaves at once (up). `rate`: bytes over the time from the first wish to the last byte, as a part of
the cap; `ten_s`: by how much any ten seconds in between are off at most; `request`: the largest
request as a part of ten seconds at the cap: no bucket is more exact than what it lets pass at once.
The real programs (a super-peer, a leaf that shares, a leaf that fetches, on loopback) are timed
from outside: from the first `get` to the last durable file. Prints one JSON line.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from common.shell.desk.home import home_at
from common.shell.desk.units import parse_rate
from leaf.client import LeafClient
from leaf.methods import Get, Limit
from tests.bench.pair import Program
from tests.capped_world import WINDOW_S, CappedWorld, capped_world

SHAPES = {"down": ((1, 1), (4, 2)), "up": ((1, 1), (4, 1))}  # files, sources
STEP_BYTES = 2**24
LEAF = [sys.executable, "-m", "leaf"]


def contents(rate: int, seconds: float, count: int) -> list[bytes]:
    """So many files that take so long in all."""
    size = int(rate * seconds / count)
    return [_random(Random(seed), size) for seed in range(count)]


def _random(rng: Random, size: int) -> bytes:
    steps = range(0, size, STEP_BYTES)  # no generator makes very much at once
    return b"".join([rng.randbytes(min(STEP_BYTES, size - at)) for at in steps])


def simulated(way: str, rate: int, seconds: float, files: int, sources: int) -> dict[str, Any]:
    """One cap in virtual time."""
    data = contents(rate, seconds, files)
    world: CappedWorld = capped_world(data, sources, files if way == "up" else 1)
    capped = "source0" if way == "up" else "fetcher0"
    world.limit(capped, Limit(up=rate) if way == "up" else Limit(down=rate))
    began = world.now
    if way == "up":
        for number in range(files):
            world.fetch(f"fetcher{number}", data[number : number + 1])
    else:
        world.fetch(capped, data)
    world.advance(seconds * 1.2 + 2)
    came = world.came(capped)
    if sum(came.lengths) != sum(map(len, data)):
        raise RuntimeError(f"{way} {rate}: {sum(came.lengths)} bytes came")
    return {
        "way": way,
        "cap": rate,
        "files": files,
        "sources": sources,
        "rate": round(came.rate(began) / rate, 4),
        "ten_s": round(came.worst(rate, began), 4),
        "request": round(max(came.lengths) / (rate * WINDOW_S), 4),
    }


def real(way: str, rate: int, seconds: float, files: int) -> dict[str, Any]:
    """One cap between programs."""
    with tempfile.TemporaryDirectory(prefix="caps-", dir="/dev/shm") as name:
        folder = Path(name)
        (shared := folder / "shared").mkdir()
        for number, data in enumerate(contents(rate, seconds, files)):
            (shared / f"{number}.bin").write_bytes(data)
        superpeer = Program(folder, "sp", [sys.executable, "-m", "superpeer"])
        place = f"{superpeer.ready['listen']}/{superpeer.ready['node']}"
        flag = (f"--{way}", str(rate))
        to = ("--super", place)
        seed = Program(folder, "seed", LEAF, (*to, *(flag if way == "up" else ())))
        fetcher = Program(folder, "fetcher", LEAF, (*to, *(flag if way == "down" else ())))
        try:
            ids = _share(seed, shared)
            began = time.monotonic()
            with ThreadPoolExecutor(files) as pool:
                sizes = list(pool.map(lambda each: _get(fetcher, each, folder), ids))
            took_s = time.monotonic() - began
        finally:
            for program in (fetcher, seed, superpeer):
                program.end()
    measured = round(sum(sizes) / took_s / rate, 4)
    return {"way": way, "cap": rate, "files": files, "rate": measured}


def _get(program: Program, what: str, folder: Path) -> int:
    """Fetch it to the end; its bytes."""
    with LeafClient(home_at("leaf", program.home), None) as leaf:
        return leaf.get(Get(what, to=str(folder), into=True)).size


def _share(program: Program, folder: Path) -> list[str]:
    """Share it, and wait until the parent knows; the ids of its files."""
    with LeafClient(home_at("leaf", program.home), None) as leaf:
        return [row.id for row in leaf.share([folder], wait=True) if row.id]


def main() -> None:
    """All caps, both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="50k,200k,1M,5M,50M")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--world", choices=("sim", "real", "both"), default="both")
    args = parser.parse_args()
    rates = [parse_rate(text) for text in args.rates.split(",")]
    report: dict[str, Any] = {"bench": "caps", "seconds": args.seconds}
    if args.world != "real":
        report["sim"] = [
            simulated(way, rate, args.seconds, *shape)
            for way, shapes in SHAPES.items()
            for rate in rates
            for shape in shapes
        ]
    if args.world != "sim":
        report["real"] = [
            real(way, rate, args.seconds, files)
            for way in SHAPES
            for rate in rates
            for files in (1, 4)
        ]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
