"""Many leaves join one super-peer at once: how long until all have, and was any cut?

    python -m tests.bench.crowd [--leaves 2000] [--processes 4] [--files 3]

The super-peer is the real program; each process holds its share of the leaves, which are real
nodes with their own key, doors and links, only without a home. All dial when all are ready.
Prints one JSON line.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random

from common.addresses import Address, split_host_port
from common.config import Config
from common.core import Bound, Effect, Notify, Role
from common.ids import Identity, parse_node
from common.meeting import Seed
from common.network import Network
from common.node import Node
from common.shell.drive import Driver, Performer
from common.shell.hosting import open_doors
from common.storage import RememberPin, RememberSuperPeer, Restored
from leaf.role import Leaf

GIVE_UP_S = 60.0


class Member:
    """One leaf of the crowd."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: Seed, number: int) -> None:
        self.identity = Identity(os.urandom(32))
        self.joined: list[float] = []
        self.lost: list[str] = []
        network, config = Network(), Config()

        def leaf(rng: Random) -> Role:
            return Leaf(
                identity=self.identity,
                config=config,
                network=network,
                rng=rng,
                supers=(seed,),
                epoch=number,
                shares=(),
                downloads_dir="/nonexistent",
                version="crowd",
            )

        node = Node(
            self.identity.node,
            network,
            config.link,
            factories={"leaf": leaf},
            start=("leaf",),
            rng=Random(number),
        )
        performers: dict[type[Effect], Performer] = {
            Notify: self.heard,
            RememberSuperPeer: self.forget,
            RememberPin: self.forget,
        }
        self.driver = Driver(loop, node, performers, "127.0.0.1")
        self.doors = open_doors(
            loop, self.identity, self.driver, ("127.0.0.1", 0), port_asked=False, bulk=True
        )

    def begin(self) -> None:
        """Everything that a daemon tells its node at the start."""
        self.driver.feed(Restored())
        self.driver.feed(Bound(self.doors.control, self.doors.bulk))

    def forget(self, _effect: Effect) -> None:
        """Nobody comes back here."""

    def heard(self, notify: Notify) -> None:
        """Count joins and losses."""
        if notify.name == "parent_joined":
            self.joined.append(time.monotonic())
        elif notify.name == "parent_lost":
            self.lost.append(str(notify.fields))


async def crowd(pipe: Connection, count: int, seed: Seed) -> None:
    """Make the leaves, wait for the word, join, report."""
    loop = asyncio.get_running_loop()
    members = [Member(loop, seed, number) for number in range(count)]
    pipe.send("ready")
    pipe.recv()
    began = time.monotonic()
    for member in members:
        member.begin()
    while time.monotonic() - began < GIVE_UP_S and not all(member.joined for member in members):
        await asyncio.sleep(0.05)
    await asyncio.sleep(3.0)  # whoever is cut is cut by now
    times = [member.joined[0] - began for member in members if member.joined]
    lost = [reason for member in members for reason in member.lost]
    pipe.send((times, len(lost), lost[:3]))
    await loop.run_in_executor(None, pipe.recv)  # the leaves live on until the last has told


def process(pipe: Connection, count: int, seed: Seed) -> None:
    """One process of the crowd."""
    asyncio.run(crowd(pipe, count, seed))


def main() -> None:
    """One crowd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=4)
    args = parser.parse_args()
    spawn = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "superpeer", "run", "--listen", "127.0.0.1:0"]
        argv += ["--home", folder, "--max-leaves", str(args.leaves + 10)]
        superpeer = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        if superpeer.stdout is None:
            raise RuntimeError("no pipe")
        ready = json.loads(superpeer.stdout.readline().removeprefix("READY "))
        host, port = split_host_port(ready["listen"])
        seed = Seed(ready["listen"], Address.of(host, port), parse_node(ready["node"]))
        pipes = []
        for _ in range(args.processes):
            ours, theirs = spawn.Pipe()
            share = args.leaves // args.processes
            spawn.Process(target=process, args=(theirs, share, seed), daemon=True).start()
            pipes.append(ours)
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("go")
        results = [pipe.recv() for pipe in pipes]
        status = subprocess.run(
            [sys.executable, "-m", "superpeer", "status", "--home", folder, "--json"],
            stdout=subprocess.PIPE,
            check=True,
        )
        for pipe in pipes:
            pipe.send("end")
        superpeer.terminate()
        superpeer.wait(20)
    times = sorted(moment for result in results for moment in result[0])
    after = json.loads(status.stdout)
    report = {
        "bench": "crowd",
        "leaves": args.leaves,
        "joined": len(times),
        "first_s": round(times[0], 2),
        "median_s": round(times[len(times) // 2], 2),
        "all_s": round(times[-1], 2),
        "lost": sum(result[1] for result in results),
        "leaves_at_the_end": after["leaves"],
        "dropped": after["dropped"],
        "rss_mib": round(after["rss_bytes"] / 2**20, 1),
        "why": [reason for result in results for reason in result[2]][:3],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
