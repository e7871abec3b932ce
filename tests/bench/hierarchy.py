"""Does the hierarchy make itself? Whole nodes in virtual time, under churn, and after shocks.

    python -m tests.bench.hierarchy [--nodes 200] [--seed 1] [--rules ours|limewire|gtk-gnutella]

One super-peer begins; leaves come, stay for Weibull sessions (Gnutella as measured: shape 0.5, 75
minutes) and are replaced when they go. Uplinks are log-normal over three decades. After a time of
growth half of the leaves go at once, and later as many come as there are. Printed, as one JSON
line: how soon after each shock the mean of leaves per super-peer is within 15 % of the target again
and stays there for 30 s, how evenly the super-peers are used, how often nodes change roles, and
which part of the best capacity x remaining uptime (an oracle that knows the future picks as many
nodes) those that were promoted hold.

The other rules are those of programs that were in use (`tests.bench.fixedrules`).
`tests.bench.rules` draws and tells of several runs beside one another; `--save` is for it.
"""

import argparse
import gc
import json
import math
import sys
import time
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from msgspec.structs import replace

from common.addresses import Address
from common.config import (
    Config,
    LinkConfig,
    OverlayConfig,
    ParentConfig,
    PromotionConfig,
    VitalsConfig,
)
from common.core import Notify
from common.node import LEAF, SUPERPEER
from deploy.churn import PROFILES
from deploy.sim.host import Host
from deploy.sim.nodes import Plan, builder
from deploy.sim.paths import Access
from deploy.sim.shelf import Shelf
from deploy.sim.world import World
from superpeer.role import SuperPeer
from tests.bench.fixedrules import FIXED

MEDIAN_RATE: Final = 2e5  # bytes/s: a tenth of real ones, as each block of a test costs time here
RATE_MIN: Final = MEDIAN_RATE / 2
TEST_BYTES: Final = int(8 * MEDIAN_RATE)  # as the setting is to real rates
DECADES: Final = 3.0  # between the slowest and the fastest of 1,000
DELAY_S: Final = 0.02
SAMPLE_S: Final = 5.0
STAYS_S: Final = 30.0
BAND: Final = 0.15
HELD_S: Final = 1800.0  # after which it is asked first what the promoted hold
HELD: Final = ("future", "attainable", "expected", "rate")
ARRIVALS_S: Final = 300.0  # within which the first come
KNOWN: Final = 20  # super-peers that a node that comes knows of
RULE_S: Final = 30.0  # how often a fixed rule is looked at
COURSE_S: Final = 60.0  # between two looks at what the promoted hold


class Course(NamedTuple):
    """How long which part of a run lasts, and how rare signs of life are: a death is told."""

    growth_s: float = 2400.0  # until the first shock: longer than a flip guard
    down_s: float = 600.0
    up_s: float = 300.0
    echo_s: float = 5.0


class Person:
    """One node: what only the oracle knows of it."""

    def __init__(self, host: Host, up_rate: float, until: float) -> None:
        self.host, self.up_rate, self.until = host, up_rate, until
        self.began = 0.0
        self.changes: list[float] = []  # of its role

    @property
    def core(self) -> SuperPeer | None:
        """Its second role, if it has one."""
        node = self.host.node
        found = None if node is None else node._roles.get(SUPERPEER)
        return found if isinstance(found, SuperPeer) else None


class Bench:
    """One run."""

    def __init__(self, nodes: int, seed: int, rules: str, target: int, course: Course) -> None:
        self.rng, self.rules, self.nodes = Random(f"hierarchy/{seed}"), rules, nodes
        self.world = World(seed, by_reference=True, strict=False)
        self.config = settings(rules, target, course.echo_s)
        self.target = target
        self.people: dict[int, Person] = {}
        self.exchanges = 0
        self.wanted = 0  # leaves that there should be
        self.samples: list[tuple[float, int, int]] = []  # when, super-peers, leaves
        self.course: list[tuple[float, float | None, float | None]] = []  # when, even, held
        self.fixed = None if rules == "ours" else FIXED[rules]()
        self.role_changes: list[float] = []
        self.lived: list[Person] = []
        self.world.watch([self])
        plan = Plan((SUPERPEER, LEAF), self.config)
        first = self._host(plan, math.inf, 1e9)
        self.first = first.host
        self.first.start()

    def noted(self, host: Host, note: Notify) -> None:
        """A node changes its role."""
        self.exchanges += note.name == "exchanged"
        if note.name in ("promotion_accepted", "stepped_down"):
            self.role_changes.append(self.world.now)
            person = self.people.get(host.number)
            if person is not None:
                person.changes.append(self.world.now)

    # --- people -----------------------------------------------------------------------------

    def _host(self, plan: Plan, until: float, up_rate: float) -> Person:
        number = len(self.world.hosts)
        known = {each.host.identity.node: each.host.control for each in self._some_super_peers()}
        host = self.world.add(
            f"node {number}",
            Address(b"\x0a" + number.to_bytes(3, "big"), 1214),
            build=builder(plan, self.world.draws),
            equip=lambda one: Shelf((), one.take, known),
            access=Access(DELAY_S * self.rng.random(), up_rate, 10 * up_rate),
        )
        person = self.people[number] = Person(host, up_rate, until)
        person.began = self.world.now
        self.lived.append(person)
        return person

    def _some_super_peers(self) -> list[Person]:
        now = [each for each in self.people.values() if each.core is not None]
        return self.rng.sample(now, min(KNOWN, len(now)))

    def arrive(self, _argument: object = None) -> None:
        """One comes, for a session."""
        if len(self.people) - 1 >= self.wanted:
            return
        session_s = max(PROFILES["gnutella"].draw_s(self.rng), 30.0)
        rate = MEDIAN_RATE * 10 ** self.rng.gauss(0.0, DECADES / 6)
        plan = Plan((LEAF,), self.config, promotes=True)
        person = self._host(plan, self.world.now + session_s, rate)
        person.host.start()
        self.world.schedule.at(person.until, self.depart, person)

    def depart(self, person: Person) -> None:
        """Its session is over: gone without a word, and another one comes."""
        if self.people.pop(person.host.number, None) is not None:
            self.world.kill(person.host)
            self.world.schedule.after(self.rng.expovariate(1 / 5.0), self.arrive, None)

    def crowd(self, count: int, within_s: float) -> None:
        """So many more there should be."""
        self.wanted += count
        for _ in range(count):
            self.world.schedule.after(self.rng.random() * within_s, self.arrive, None)

    def halve(self) -> None:
        """Half of those that are no super-peers go."""
        leaves = [each for each in self.people.values() if each.core is None]
        gone = self.rng.sample(leaves, len(leaves) // 2)
        self.wanted -= len(gone)
        for person in gone:
            self.people.pop(person.host.number)
            self.world.kill(person.host)

    # --- looking ----------------------------------------------------------------------------

    @property
    def cores(self) -> list[SuperPeer]:
        """The super-peers."""
        return [core for each in self.people.values() if (core := each.core) is not None]

    def run(self, seconds: float) -> None:
        """Let time pass, and look now and then."""
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.run(min(self.world.now + SAMPLE_S, end))
            cores = self.cores
            self.samples.append(
                (self.world.now, len(cores), sum(len(core._cluster.members) for core in cores))
            )
            if self.world.now % COURSE_S < SAMPLE_S:
                self.course.append((self.world.now, self.evenness(), self.held("expected")))
                print(*self.samples[-1], *self.course[-1][1:], file=sys.stderr, flush=True)
            if self.fixed is not None and self.world.now % RULE_S < SAMPLE_S:
                self.fixed.look(self.world, list(self.people.values()), self.cores)

    def back_within(
        self, since: float, until: float = math.inf, *, whole: bool = False
    ) -> float | None:
        """How long after this moment the mean is in its band again and stays there. `until`: the
        next shock, which is no merit of ours if it brings the mean back. `whole`: or
        super-peers are as many as the whole number that is nearest to the target; where they are
        few no other may be in the band."""
        began: float | None = None
        for at, supers, leaves in self.samples:
            if not since < at <= until:
                continue
            is_in = supers > 0 and abs(leaves / supers / self.target - 1.0) <= BAND
            is_in = is_in or (whole and supers == nearest(leaves, self.target))
            began = (began if began is not None else at) if is_in else None
            if began is not None and at - began >= STAYS_S:
                return began - since
        return None

    def evenness(self) -> float | None:
        """Utilisation of the super-peers, p95 / p50."""
        loads = sorted(
            len(core._cluster.members) / core._hierarchy.promotion.capacity.target
            for core in self.cores
        )
        middle = loads[len(loads) // 2] if loads else 0.0
        return round(loads[int(0.95 * (len(loads) - 1))] / middle, 3) if middle else None

    def held(self, of: str) -> float | None:
        """What the promoted hold of what the best as many nodes hold: of capacity x remaining
        uptime as it will be, as an oracle knows it; of capacity x what remains of it on average at
        their age, as anybody could know who had measured everybody; or of capacity. `attainable`:
        which part of the future the choice of such a one would hold, who does not know it."""
        now = self.world.now
        there = [each for each in self.people.values() if each.host is not self.first]
        chosen = [each for each in there if each.core is not None]

        def worth(each: Person) -> float:
            if of == "rate":
                return each.up_rate
            is_future = of in ("future", "attainable")
            remains_s = each.until - now if is_future else remaining_s(now - each.began)
            return each.up_rate * remains_s

        best = sorted((worth(each) for each in there), reverse=True)[: len(chosen)]
        if of == "attainable":
            there.sort(key=lambda each: -each.up_rate * remaining_s(now - each.began))
            chosen = there[: len(chosen)]
        return round(sum(map(worth, chosen)) / sum(best), 3) if best else None

    def flips(self) -> dict[str, float]:
        """Role changes for each node in 30 minutes: the mean of all, and the most of one."""
        most = 0
        for person in self.lived:
            for at in person.changes:
                most = max(most, sum(at <= other < at + 1800 for other in person.changes))
        hours = sum(min(p.until, self.world.now) - p.began for p in self.lived[1:]) / 1800
        return {"mean": round(len(self.role_changes) / hours, 4), "most": most}


def remaining_s(age_s: float) -> float:
    """How much longer a session of this age lasts on average: for the shape 0.5 it is
    2 (sqrt(age x scale) + scale)."""
    scale_s = 60.0 * PROFILES["gnutella"].scale_min
    return 2 * (math.sqrt(age_s * scale_s) + scale_s)


def nearest(leaves: int, target: int) -> int:
    """The number of super-peers whose mean is nearest to the target, as a ratio."""
    least = max(1, leaves // target)
    return min((least, least + 1), key=lambda each: abs(math.log(max(1, leaves) / each / target)))


def settings(rules: str, target: int, echo_s: float) -> Config:
    """Echoes are rarer, so that more nodes fit into an hour, and a parent is silent for as many of
    them before its heir is joined; fixed rules have no controller."""
    promotion = PromotionConfig(leaves_target=target, up_rate_min=RATE_MIN)
    if rules != "ours":
        promotion = replace(promotion, look_s=0.0)
    config = Config(
        link=LinkConfig(echo_s=echo_s, dead_s=3 * echo_s),
        parent=ParentConfig(silent_s=1.75 * echo_s),
        overlay=OverlayConfig(),
        promotion=promotion,
        vitals=VitalsConfig(test_bytes=TEST_BYTES),
    )
    return replace(config, cluster=replace(config.cluster, leaves_max=int(target / 0.4)))


def measure(
    nodes: int,
    seed: int,
    rules: str,
    target: int,
    course: Course,
    save: Path | None = None,
) -> dict[str, object]:
    """One run, and what it says."""
    began = time.perf_counter()
    gc.disable()  # a world is looked over again and again else, and has little garbage in rings
    bench = Bench(nodes, seed, rules, target, course)
    bench.crowd(nodes, ARRIVALS_S)
    bench.run(min(HELD_S, course.growth_s))
    held = {of: bench.held(of) for of in HELD}
    bench.run(max(0.0, course.growth_s - HELD_S))
    grown, even = bench.samples[-1], bench.evenness()
    before = {of: bench.held(of) for of in HELD}
    halved_at = bench.world.now
    bench.halve()
    bench.run(course.down_s)
    down, even_down = bench.samples[-1], bench.evenness()
    doubled_at = bench.world.now
    bench.crowd(bench.wanted, 1.0)
    bench.run(course.up_s)
    up = bench.samples[-1]
    found = {
        "bench": "hierarchy",
        "rules": rules,
        "nodes": nodes,
        "seed": seed,
        "target": target,
        "grown": grown[1:],
        "halved": down[1:],
        "doubled": up[1:],
        "grown_within_s": bench.back_within(0.0, halved_at),
        "down_within_s": bench.back_within(halved_at, doubled_at),
        "up_within_s": bench.back_within(doubled_at),
        "down_within_s_or_nearest": bench.back_within(halved_at, doubled_at, whole=True),
        "up_within_s_or_nearest": bench.back_within(doubled_at, whole=True),
        "p95_by_p50": even,
        "p95_by_p50_halved": even_down,
        "p95_by_p50_doubled": bench.evenness(),
        "held_by_promoted_30min": held,
        "held_by_promoted_before_shocks": before,
        "held_by_promoted_at_the_end": {of: bench.held(of) for of in HELD},
        "role_changes_per_node_30min": bench.flips(),
        "exchanges": bench.exchanges,
        "violations": len(bench.world.violations),
        "events": bench.world.events,
        "virtual_s": round(bench.world.now),
        "wall_s": round(time.perf_counter() - began, 1),
    }
    if save is not None:
        save.write_text(json.dumps(found | {"samples": bench.samples, "course": bench.course}))
    return found


def main() -> None:
    """See the top."""
    parser = argparse.ArgumentParser(description="How the hierarchy makes itself.")
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", type=int, default=20, help="leaves per super-peer")
    parser.add_argument("--rules", default="ours", choices=["ours", *FIXED])
    parser.add_argument("--save", type=Path, help="a file for all samples, as JSON")
    for name, length_s in Course()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=length_s)
    asked = parser.parse_args()
    course = Course(**{name: getattr(asked, name) for name in Course._fields})
    found = measure(asked.nodes, asked.seed, asked.rules, asked.target, course, asked.save)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
