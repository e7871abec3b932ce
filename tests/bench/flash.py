"""Many leaves fetch one new file of one leaf at once, in virtual time: a star, or a flash crowd.

    python -m tests.bench.flash [--leaves 8] [--super-peers 1] [--mib 32] [--seeds 3]
        [--seed-up 20] [--up 10] [--down 40] [--delay 0.5]

Rates are Mbit/s, the delay ms between two hosts. Prints one JSON line: how long the last took, as a
multiple of the Kumar-Ross bound max(F/u_s, F/d, N F/(u_s + sum u_i)) too, and how many copies the
seed sent; the median of the seeds, and each. `--leaves 200 --super-peers 4 --mib 64 --seed-up 10`
is the flash crowd.
"""

import argparse
import json
import statistics
import time
from typing import Any

from deploy.scenario import Attachment, Content, Expect, Hosts, Phase, Scenario, Timeouts
from deploy.sim.show import Show

BYTES_OF_MBIT = 125_000
GET_S = 3600.0


def scenario(args: argparse.Namespace, seed: int) -> Scenario:
    """One file, one holder, many who want it."""
    size, up, down = int(args.mib * 2**20), args.up * BYTES_OF_MBIT, args.down * BYTES_OF_MBIT
    each_s = args.delay / 2000
    return Scenario(
        name="flash",
        super_peers=args.super_peers,
        leaves=args.leaves + 1,
        seed=seed,
        attachment=Attachment(told=min(2, args.super_peers)),
        hosts=Hosts(each_s, each_s, up, up, down, down),
        content=Content(files=1, size_min=size, size_max=size, sharers=1),
        phases=(Phase("all want it", crowd=args.leaves),),
        timeouts=Timeouts(get_s=GET_S),
        expect=Expect(),
    )


def bound_s(args: argparse.Namespace) -> float:
    """No way of sharing is faster."""
    bits, ups = args.mib * 2**20 * 8 / 1e6, args.seed_up + args.leaves * args.up
    return float(max(bits / args.seed_up, bits / args.down, args.leaves * bits / ups))


def run(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One seed of randomness."""
    began, show = time.process_time(), Show(scenario(args, seed))
    show.stage.leaves[0].access.up_rate = args.seed_up * BYTES_OF_MBIT
    report, times = show.run(), sorted(show.tally.fetch_s)
    return {
        "seed": seed,
        "whole": report.downloads_complete,
        "median_s": round(statistics.median(times), 2),
        "last_s": round(times[-1], 2),
        "to_bound": round(times[-1] / bound_s(args), 3),
        "copies": report.seed_copies,
        "wasted": round(report.bytes_wasted / max(report.bytes_useful, 1), 4),
        "violations": len(show.tally.violations),
        "cpu_s": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Some seeds, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=8)
    parser.add_argument("--super-peers", type=int, default=1)
    parser.add_argument("--mib", type=float, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed-up", type=float, default=20)
    parser.add_argument("--up", type=float, default=10)
    parser.add_argument("--down", type=float, default=40)
    parser.add_argument("--delay", type=float, default=0.5)
    args = parser.parse_args()
    runs = [run(args, seed) for seed in range(args.first, args.first + args.seeds)]
    middle = {
        key: statistics.median(each[key] for each in runs)
        for key in ("last_s", "to_bound", "copies")
    }
    report = {"bench": "flash", **vars(args), "bound_s": round(bound_s(args), 2), **middle}
    print(json.dumps({**report, "runs": runs}))


if __name__ == "__main__":
    main()
