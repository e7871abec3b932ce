"""A super-peer dies under its leaves: how long until each searches, and is found, again.

    python -m tests.bench.failover [--kills 20] [--supers 8] [--leaves 25] [--probes 5] [--stop]

Real super-peers, each a process, and so many leaves for each of them; the leaves are many in this
process, with real doors and links (`tests.bench.manyleaves`). A super-peer with about so many is
killed by SIGKILL (with --stop: stands still by SIGSTOP), and from that moment some of its leaves
search for a file of a leaf elsewhere until they find it, and a leaf elsewhere searches for a file
of each of them until that is found: --probes of them, since all at once would measure how many
searches two cores can do. Then the dead one is started again where it was, and its leaves too, to
join it as before: each kill orphans so many. Prints one JSON line: milliseconds of both, of the
later of them by leaf, and of the same searches before the kill; how many searches failed, and how
many whole catalogues were sent to super-peers that lived.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from common.addresses import Address, split_host_port
from common.core import Fail
from common.ids import parse_node
from common.meeting import Seed
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.processes import Node, Processes, end_on_signals
from leaf.methods import HitRow
from superpeer.methods import Nothing, Status
from tests.bench.manyleaves import LightLeaf

SETTLE_S = 60.0  # for all to have a parent and an heir that is up to date
TRY_S = 0.01  # between two tries of one search
WAIT_S = 0.25  # ... each of which waits so long for its first hit, where others look for a leaf
LOST_S = 30.0  # after which a leaf counts as lost
FILES = 20  # of each leaf


@dataclass
class Figures:
    """Of all kills; times in seconds."""

    searched: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)
    joined: list[float] = field(default_factory=list)
    failed: int = 0
    tries: int = 0
    lost: int = 0
    uploads: int = 0
    orphans: list[int] = field(default_factory=list)


class Net:
    """The super-peers and the leaves."""

    def __init__(self, processes: Processes, supers: int, leaves: int, seed: int) -> None:
        self._processes, self._each = processes, leaves
        self.nodes: list[Node] = []
        self.rng = Random(seed)
        for number in range(supers):
            joins = [flag for node in self.nodes for flag in ("--join", node.ready.place)]
            flags = ["--listen", "127.0.0.1:0", "--network", "bench", "--no-lan", *joins]
            node = processes.start(f"sp{number}", "superpeer", flags)
            processes.await_ready([node], 20.0)
            self.nodes.append(node)
        self.leaves = [self._leaf(number) for number in range(supers * leaves)]

    def _leaf(self, number: int) -> LightLeaf:
        """A new one, that has the files of its number."""
        loop, seed = asyncio.get_running_loop(), self.rng.getrandbits(32)
        return LightLeaf(loop, number, self._seeds(number), names_of(number), seed=seed)

    def _seeds(self, number: int) -> tuple[Seed, ...]:
        """All super-peers, the one it is meant to hang on first."""
        count = len(self.nodes)
        order = [self.nodes[(number + step) % count] for step in range(count)]
        return tuple(
            Seed(
                node.ready.listen,
                Address.of(*split_host_port(node.ready.listen)),
                parse_node(node.ready.node),
            )
            for node in order
        )

    async def start(self) -> None:
        """All leaves."""
        await self._start(self.leaves)
        await self.settle()

    async def _start(self, leaves: Iterable[LightLeaf]) -> None:
        """A few at a time."""
        for leaf in leaves:
            leaf.start()
            await asyncio.sleep(0.01)

    async def _come_back(self, leaves: Iterable[LightLeaf]) -> None:
        """To their first parent, whose index is empty, and which nobody else goes to."""
        for leaf in leaves:
            leaf.close()
            self.leaves[leaf.number] = self._leaf(leaf.number)
        await self._start(self.leaves[leaf.number] for leaf in leaves)

    async def status(self, node: Node) -> Status:
        """Of one super-peer."""
        return await asyncio.to_thread(status_of, node)

    async def settle(self) -> None:
        """Until every leaf has a parent, and an heir that has all that it shares."""
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            each = [await self.status(node) for node in self.nodes]
            warm = sum(leaf.core._parent.heir.warm is not None for leaf in self.leaves)
            counts = (sum(one.leaves for one in each), sum(one.heirs for one in each), warm)
            linked = all(one.neighbours == len(self.nodes) - 1 for one in each)
            if linked and counts == (len(self.leaves),) * 3:
                await asyncio.sleep(1.0)  # digests too
                return
            await asyncio.sleep(0.2)
        raise RuntimeError(f"not settled: leaves, heirs, warm {counts} of {len(self.leaves)}")

    def parents(self) -> dict[str, list[LightLeaf]]:
        """The leaves by their parents' keys."""
        by_parent: dict[str, list[LightLeaf]] = {node.ready.node: [] for node in self.nodes}
        for leaf in self.leaves:
            by_parent[leaf.joins[-1][1]].append(leaf)
        return by_parent

    async def uploads(self, but: Node) -> int:
        """Whole catalogues that super-peers were sent so far."""
        counts = [await self.status(node) for node in self.nodes if node is not but]
        return sum(each.index_uploads for each in counts)

    async def strike(self, figures: Figures, *, stop: bool, probes: int) -> None:
        """Kill one and watch its leaves; then it comes back."""
        by_parent = self.parents()
        drawn = self.rng.sample(self.nodes, len(self.nodes))
        victim = min(drawn, key=lambda node: abs(len(by_parent[node.ready.node]) - self._each))
        orphans = by_parent[victim.ready.node]
        others = [leaf for leaf in self.leaves if leaf not in orphans]
        observer = self.rng.choice(others)
        before = await self.uploads(victim)
        probed = self.rng.sample(orphans, min(probes, len(orphans)))
        began = time.monotonic()
        calm = await asyncio.gather(*(watch(leaf, observer, began, Figures()) for leaf in probed))
        figures.calm += [max(one or LOST_S, other or LOST_S) for one, other in calm]
        began = time.monotonic()
        victim.signal(signal.SIGSTOP if stop else signal.SIGKILL)
        times = await asyncio.gather(*(watch(leaf, observer, began, figures) for leaf in probed))
        for searched, found in times:
            if searched is None or found is None:
                figures.lost += 1
                continue
            figures.searched.append(searched)
            figures.found.append(found)
            figures.both.append(max(searched, found))
        dead = victim.ready.node  # who was on the move by then had another parent already
        while any(at < began and to == dead for at, to in (leaf.joins[-1] for leaf in orphans)):
            await asyncio.sleep(0.05)
        joins = [leaf.joins[-1][0] - began for leaf in orphans]
        losses = [leaf.losses[-1] - began for leaf in orphans if leaf.losses]
        figures.noticed += [when for when in losses if when > 0]
        figures.joined += [when for when in joins if when > 0]
        figures.orphans.append(len(orphans))
        figures.uploads += await self.uploads(victim) - before
        if stop:
            victim.signal(signal.SIGCONT)
        else:
            await asyncio.to_thread(victim.process.wait)
            self._processes.restart(victim)
            self._processes.await_ready([victim], 20.0)
            await self._come_back(orphans)
        await self.settle()


def names_of(number: int) -> list[str]:
    """The files of a leaf; the first is found by `only<number>`."""
    return [f"only{number} file{each} of the bench.txt" for each in range(FILES)]


def status_of(node: Node) -> Status:
    """What a super-peer says of itself."""
    with Calls(home_at("superpeer", node.home)) as calls:
        return calls.call("superpeer.status", Nothing(), Status, timeout_s=10.0)


async def watch(
    leaf: LightLeaf, observer: LightLeaf, began: float, figures: Figures
) -> tuple[float | None, float | None]:
    """When a leaf searched with success, and was found, after `began`."""
    searched, found = await asyncio.gather(
        until_found(leaf, f"only{observer.number}", LOST_S, began, figures),
        until_found(observer, f"only{leaf.number}", WAIT_S, began, figures),
    )
    return searched, found


async def until_found(
    asker: LightLeaf, word: str, wait_s: float, began: float, figures: Figures
) -> float | None:
    """Search again and again, each time for so long; None where it is never found."""
    while time.monotonic() < began + LOST_S:
        result = await asker.search(word, wait_s)
        figures.tries += 1
        if isinstance(result, HitRow):
            return time.monotonic() - began
        figures.failed += isinstance(result, Fail)
        await asyncio.sleep(TRY_S)
    return None


def quantiles(times_s: Iterable[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(times_s)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 1)
        for name, share in shares.items()
    }


async def run(asked: argparse.Namespace, processes: Processes) -> dict[str, object]:
    """All kills, and what they cost."""
    net = Net(processes, asked.supers, asked.leaves, asked.seed)
    figures = Figures()
    try:
        await net.start()
        for number in range(asked.kills):
            await net.strike(figures, stop=asked.stop, probes=asked.probes)
            print(number, quantiles(figures.both), file=sys.stderr)
    finally:
        for leaf in net.leaves:
            leaf.close()
    return {
        "bench": "failover",
        "how": "SIGSTOP" if asked.stop else "SIGKILL",
        "kills": asked.kills,
        "super_peers": asked.supers,
        "leaves": len(net.leaves),
        "orphans": sum(figures.orphans),
        "probed": len(figures.both),
        "searches_again_ms": quantiles(figures.searched),
        "is_found_again_ms": quantiles(figures.found),
        "both_ms": quantiles(figures.both),
        "both_before_ms": quantiles(figures.calm),
        "noticed_ms": quantiles(figures.noticed),
        "joined_ms": quantiles(figures.joined),
        "lost": figures.lost,
        "searches": figures.tries,
        "searches_failed": figures.failed,
        "index_uploads": figures.uploads,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--supers", type=int, default=8)
    parser.add_argument("--leaves", type=int, default=25)
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    end_on_signals()
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        print(json.dumps(asyncio.run(run(asked, processes))))


if __name__ == "__main__":
    main()
