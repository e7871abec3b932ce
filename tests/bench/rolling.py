"""All super-peers are drained and started again, one after the other, under a steady search.

    python -m tests.bench.rolling [--supers 6] [--leaves 10] [--rate 50] [--rounds 1] [--seed 1]

The network of `tests.bench.failover`. All the while leaves drawn by lot search for a file of
another one, so many a second; each search is to find it. `superpeer drain` ends one super-peer,
which is then started again where it was, and once every leaf has an heir again the next one's turn
comes.
Prints one JSON line: searches that failed or found nothing, how long they took, whole catalogues
that were sent to super-peers, and how long a drain took.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from common.core import Fail
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.processes import Node, Processes, end_on_signals
from leaf.methods import HitRow
from superpeer.methods import Drain, Drained
from tests.bench.failover import Net, quantiles
from tests.bench.manyleaves import LightLeaf

GRACE_S = 5.0
WAIT_S = 10.0  # for the first hit of a search


@dataclass
class Tally:
    """What became of the searches and the drains."""

    times: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    empty: int = 0
    drains: list[float] = field(default_factory=list)
    handed: int = 0
    searching: bool = True


def drain(node: Node) -> Drained:
    """End one super-peer in peace."""
    with Calls(home_at("superpeer", node.home)) as calls:
        done = calls.call("superpeer.drain", Drain(GRACE_S), Drained, timeout_s=GRACE_S + 10)
        calls.wait_gone(GRACE_S + 10)
    node.process.wait(10.0)
    return done


async def search(asker: LightLeaf, wanted: LightLeaf, tally: Tally) -> None:
    """One search."""
    began = time.monotonic()
    result = await asker.search(f"only{wanted.number}", WAIT_S)
    if isinstance(result, HitRow):
        tally.times.append(time.monotonic() - began)
    elif isinstance(result, Fail):
        tally.failed.append(result.message)
    else:
        tally.empty += 1


async def load(net: Net, rate: float, tally: Tally) -> None:
    """Searches at a steady pace until it is enough."""
    tasks: list[asyncio.Task[None]] = []
    began, count = time.monotonic(), 0
    while tally.searching:
        asker, wanted = net.rng.sample(net.leaves, 2)
        tasks.append(asyncio.create_task(search(asker, wanted, tally)))
        count += 1
        await asyncio.sleep(max(began + count / rate - time.monotonic(), 0))
    await asyncio.gather(*tasks)


async def restart_all(net: Net, processes: Processes, tally: Tally) -> int:
    """Each in its turn; whole catalogues that were sent meanwhile."""
    uploads = 0
    for node in net.nodes:
        before = await net.uploads(node)
        began = time.monotonic()
        done = await asyncio.to_thread(drain, node)
        tally.drains.append(time.monotonic() - began)
        tally.handed += done.leaves
        uploads += await net.uploads(node) - before
        await asyncio.to_thread(processes.restart, node)
        await asyncio.to_thread(processes.await_ready, [node], 20.0)
        await net.settle()
        print(node.name, done.leaves, len(tally.times), tally.failed[-1:], file=sys.stderr)
    return uploads


async def run(asked: argparse.Namespace, processes: Processes) -> dict[str, object]:
    """The whole course."""
    net = Net(processes, asked.supers, asked.leaves, asked.seed)
    tally, uploads = Tally(), 0
    try:
        await net.start()
        loading = asyncio.create_task(load(net, asked.rate, tally))
        for _ in range(asked.rounds):
            uploads += await restart_all(net, processes, tally)
        tally.searching = False
        await loading
    finally:
        for leaf in net.leaves:
            leaf.close()
    return {
        "bench": "rolling",
        "super_peers": asked.supers,
        "leaves": len(net.leaves),
        "drains": len(tally.drains),
        "leaves_handed_over": tally.handed,
        "searches": len(tally.times) + len(tally.failed) + tally.empty,
        "searches_failed": len(tally.failed),
        "searches_empty": tally.empty,
        "first_hit_ms": quantiles(tally.times),
        "index_uploads": uploads,
        "drain_ms": quantiles(tally.drains),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--supers", type=int, default=6)
    parser.add_argument("--leaves", type=int, default=10)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    end_on_signals()
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        print(json.dumps(asyncio.run(run(asked, processes))))


if __name__ == "__main__":
    main()
