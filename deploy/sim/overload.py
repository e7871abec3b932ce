"""More is asked of one super-peer than it can answer, by many who keep to their credit and one who
does not: what is answered in time?

    python -m deploy.sim.overload [--leaves 10] [--times 10] [--seconds 4] [--seed 1]

Its processor takes time for each event and more for each frame that it sends. Leaves search as fast
as they are answered, `OPEN` at a time each; the cheat sends searches without end and joins again
whenever it is hung up. One JSON line for few and for many leaves, each without and with the cheat:
searches answered a second, the 50th and 99th percentile of the time they took, how many were
refused, and how often the cheat was hung up.
"""

import argparse
import json
from collections import Counter
from random import Random
from typing import Final, cast

from common.addresses import Address
from common.config import ClusterConfig, Config
from common.core import Effect, Event, Fail, LinkDown, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import new_guid
from common.messages.cluster import Search
from common.node import LEAF, SUPERPEER, Node
from common.terms import Terms
from deploy.sim.host import Host
from deploy.sim.hostile.foothold import Membership
from deploy.sim.hostile.mask import Mask
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Wares
from deploy.sim.nodes import NETWORK, Plan, builder, seed_to
from deploy.sim.paths import Access
from deploy.sim.shelf import Shelf
from deploy.sim.world import World
from leaf.methods import Search as Asked
from leaf.methods import SearchResult

EVENT_S: Final = 0.000_1  # to take in a message: a fifth of what a search costs (tests.bench)
FRAME_S: Final = 0.000_4  # to make and send an answer
OPEN: Final = 8  # searches of one leaf at a time
WARM_S: Final = 2.0  # for all to join, and the queue to fill
DELAY_S: Final = 0.005
CHEAT_S: Final = 0.02  # between two bursts of the cheat
BURST: Final = 50
AGAIN_S: Final = 0.1  # after a search that was not answered

Row = dict[str, float]


class _Frank(Random):
    """Chances that never come true: what the mask now and then says instead of a hello."""

    def random(self) -> float:
        """Above every chance."""
        return 0.999


class Cheat:
    """Asks whatever its credit."""

    def __init__(self, nature: Nature) -> None:
        self._rng = nature.rng
        self._membership = Membership(nature, Wares(nature))
        self._deadlines = Deadlines()
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._membership.handle(event, now)
        if isinstance(event, LinkDown):
            self.done["hung up"] += 1
        if self._deadlines.earliest() is None:
            self._deadlines.set("burst", now + CHEAT_S)
        parent = self._membership.parent
        if isinstance(event, Woke) and self._deadlines.pop_due(now) and parent is not None:
            for _ in range(BURST):
                guid = new_guid(self._rng)
                effects.append(Send(parent, Search(guid, Terms(("nothing",)), 50, 0)))
        return effects

    def wakeup(self) -> float | None:
        """The next burst."""
        times = (self._membership.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)


class Overload:
    """One run: a super-peer, its leaves, and perhaps the cheat."""

    def __init__(self, leaves: int, seconds: float, seed: int, *, cheats: bool) -> None:
        self.world = World(seed, by_reference=True)
        self._seconds = seconds
        self._took: list[float] = []
        self._refused = 0
        cluster = ClusterConfig(leaves_max=leaves + 1, near_searches_per_s=1e6)
        config = Config(cluster=cluster)
        self.parent = self._add("parent", Plan((SUPERPEER,), config), has_bulk=False)
        self.parent.cost_s, self.parent.frame_cost_s = EVENT_S, FRAME_S
        plan = Plan((LEAF,), config, supers=(seed_to(self.parent),))
        self.leaves = [self._add(f"leaf {n}", plan, has_bulk=True) for n in range(leaves)]
        self._cheat: Cheat | None = None
        if cheats:
            self._add("cheat", None, has_bulk=True)

    def _add(self, name: str, plan: Plan | None, *, has_bulk: bool) -> Host:
        world = self.world
        build = self._masked if plan is None else builder(plan, world.draws)
        ip = b"\x0a" + (len(world.hosts) + 1).to_bytes(3, "big")
        host = world.add(
            name,
            Address(ip, 1214),
            build=build,
            equip=lambda host: Shelf((), host.take),
            access=Access(DELAY_S),
            has_bulk=has_bulk,
        )
        host.start()
        return host

    def _masked(self, host: Host) -> Node:
        nature = Nature(
            identity=host.identity,
            network=NETWORK,
            address=host.doors[Door.CONTROL],
            told=(seed_to(self.parent),),
            contents={},
            epoch=1,
            rng=_Frank(self.world.seed),
        )
        self._cheat = Cheat(nature)
        return cast("Node", Mask("cheat", nature, self._cheat))

    def run(self) -> Row:
        """What came of it."""
        world, rng = self.world, Random(self.world.seed)
        world.run(WARM_S)
        for leaf in self.leaves:
            for _ in range(OPEN):
                world.schedule.after(rng.random() * 0.1, self._search, leaf)
        world.run(2 * WARM_S)
        self._took.clear()
        self._refused = 0
        world.run(2 * WARM_S + self._seconds)
        took = sorted(self._took)
        return {
            "leaves": len(self.leaves),
            "answered_per_s": round(len(took) / self._seconds),
            "p50_s": round(took[len(took) // 2], 3),
            "p99_s": round(took[len(took) * 99 // 100], 3),
            "refused": self._refused,
            "cheat_hung_up": self._cheat.done["hung up"] if self._cheat else 0,
        }

    def _search(self, leaf: Host) -> None:
        began = self.world.now

        def ended(outcome: object) -> None:
            if isinstance(outcome, SearchResult):
                self._took.append(self.world.now - began)
            elif isinstance(outcome, Fail):
                self._refused += 1
            pause_s = 0.0 if isinstance(outcome, SearchResult) else AGAIN_S
            self.world.schedule.after(pause_s, self._search, leaf)

        self.world.people.ask(leaf, "leaf.search", Asked(["nothing"]), ended)


def compared(leaves: int, times: int, seconds: float, seed: int) -> dict[str, Row]:
    """Few and many, without and with the cheat."""
    rows = {}
    for name, count in (("few", leaves), ("many", leaves * times)):
        for cheats in (False, True):
            shown = f"{name} and a cheat" if cheats else name
            rows[shown] = Overload(count, seconds, seed, cheats=cheats).run()
    return rows


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=10)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for name, row in compared(args.leaves, args.times, args.seconds, args.seed).items():
        print(json.dumps({"overload": name, **row}), flush=True)


if __name__ == "__main__":
    main()
