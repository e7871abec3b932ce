"""How much of a community's uplinks goes to those who give nothing.

    python -m tests.bench.freeride [--contributors 9] [--riders 3] [--mib 16] [--seed 1]
    python -m tests.bench.freeride --world real --contributors 4 --riders 2 --mib 8

In the simulator: contributors share a file each and want those of all others, 10 Mbit/s up and 40
down; free riders want the same and serve nobody. They are under contention until the first
contributor has everything; how many times as long a rider takes for the same is then told by what
each has got. Without contention one leaf alone wants all files, a rider and then a contributor.
With `--world real` the same as programs on loopback with `--up 500k` (`tests.bench.riding`).
Prints one JSON line. A rider is to take at least 3 times as long under contention, and at most 1.1
times without (THREATS T11 allows it a quarter of a contributor's rate).
"""

import argparse
import json
import statistics
from collections.abc import Sequence

import msgspec

from common.config import Config
from deploy.scenario import Scenario
from deploy.sim.inside import leaf_of
from deploy.sim.paths import Access
from deploy.sim.stage import Stage
from leaf.methods import Get
from tests.bench import riding

MBIT = 1e6 / 8
UP, DOWN = 10 * MBIT, 40 * MBIT
GIVE_UP_S = 3600.0
REAL_UP = 500_000


class Community(Stage):
    """A super-peer, contributors with a file each, and then the riders."""

    def __init__(self, contributors: int, riders: int, mib: float, seed: int) -> None:
        self._sharers = contributors
        size = int(mib * 2**20)
        content = {"files": contributors, "sharers": contributors, "size_min": size}
        asked: dict[str, object] = {
            "name": "free-riding",
            "super_peers": 1,
            "leaves": contributors + riders,
            "seed": seed,
            "attachment": {"told": 1},
            "content": {**content, "size_max": size},
        }
        super().__init__(msgspec.convert(asked, Scenario))
        for host in self.super_peers:
            host.access = Access(0.001, 0.0, 0.0)
        for host in self.leaves:
            host.access = Access(0.001, UP, DOWN)

    def _config_of(self, leaf: int) -> Config:
        config = super()._config_of(leaf)
        if leaf < self._sharers:
            return config
        swarm = msgspec.structs.replace(config.swarm, upload_slots=0)
        return msgspec.structs.replace(config, swarm=swarm)

    def begin(self) -> None:
        """Everybody is there, and all files are in the index."""
        for host in (*self.super_peers, *self.leaves):
            host.start()
        self.world.run(60.0, enough=lambda: len(self.parents) == len(self.leaves))

    def want_all(self, leaf: int) -> None:
        """It wants every file that it does not have."""
        for number, wanted in enumerate(self.data):
            if number != leaf:
                get = Get(wanted, to=f"/home/new/{leaf}-{number}.bin", timeout=GIVE_UP_S)
                self.world.people.ask(self.leaves[leaf], "leaf.get", get, lambda _ended: None)

    def got(self, leaf: int) -> int:
        """How many bytes it has fetched."""
        inside = leaf_of(self.leaves[leaf])
        if inside is None:
            raise RuntimeError(f"leaf {leaf} does not run")
        return sum(each.done_bytes for each in inside.downloads.roster.by_number.values())

    def run_until_full(self, leaves: range) -> float:
        """Until one of these has all that it wants; how long that took."""
        began = self.world.now
        most = sum(map(len, self.data.values()))
        least = most - max(map(len, self.data.values()))
        wanted = {leaf: least if leaf < self._sharers else most for leaf in leaves}
        self.world.run(
            GIVE_UP_S, enough=lambda: any(self.got(leaf) >= wanted[leaf] for leaf in leaves)
        )
        return self.world.now - began


def alone(contributors: int, mib: float, seed: int, *, rides: bool) -> float:
    """How long one leaf took that nobody stood beside, per byte."""
    swarm = Community(contributors, 1, mib, seed)
    swarm.begin()
    leaf = contributors if rides else 0
    swarm.want_all(leaf)
    took_s = swarm.run_until_full(range(leaf, leaf + 1))
    return took_s / swarm.got(leaf)


def contended(contributors: int, riders: int, mib: float, seed: int) -> tuple[float, Sequence[int]]:
    """How long the contention lasted, and what each leaf got; the contributors come first."""
    swarm = Community(contributors, riders, mib, seed)
    swarm.begin()
    for leaf in range(contributors + riders):
        swarm.want_all(leaf)
    took_s = swarm.run_until_full(range(contributors))
    return took_s, [swarm.got(leaf) for leaf in range(contributors + riders)]


def main() -> None:
    """Run it as asked for and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", choices=("sim", "real"), default="sim")
    parser.add_argument("--contributors", type=int, default=9)
    parser.add_argument("--riders", type=int, default=3)
    parser.add_argument("--mib", type=float, default=16.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    size = (asked.contributors, asked.riders, asked.mib)
    if asked.world == "real":
        contended_s, got = riding.community(*size, REAL_UP)
        rider, contributor = (
            riding.alone(asked.mib, REAL_UP, rides=each) for each in (True, False)
        )
    else:
        contended_s, got = contended(*size, asked.seed)
        rider, contributor = (
            alone(asked.contributors, asked.mib, asked.seed, rides=each) for each in (True, False)
        )
    given = statistics.median(got[: asked.contributors])
    ridden = sorted(got[asked.contributors :])
    told = {
        "bench": "freeride",
        **vars(asked),
        "contended_s": round(contended_s, 3),
        "contributor_mb": round(given / 1e6, 3),
        "rider_mb": [round(each / 1e6, 3) for each in ridden],
        "times_as_long": round(given / statistics.median(ridden), 2),
        "times_as_long_min": round(given / max(ridden), 2),
        "times_as_long_alone": round(rider / contributor, 3),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
