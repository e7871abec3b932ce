"""A raw client against the real daemons: every listener of a super-peer and of a leaf.

    python -m tests.bench.siege [--frames 100000] [--parts 10000000] [--mib 2048]

For each listener in turn: hostile frames (reconnecting when cut), one message of so many parts,
and parts that never end; an honest leaf searches through the super-peer all the while. Prints one
JSON line: how much memory each attack cost at most over idle, whether the attacker was cut, and how
the honest searches went.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common import wire
from common.addresses import Address, split_host_port
from common.doors import Door
from common.errors import UserError
from common.hello import Greeter
from common.ids import Identity, curve_key, parse_node
from common.network import Network
from common.shell.desk.home import home_at
from leaf.client import LeafClient
from leaf.methods import Search
from tests.bench.attack import PARTS_AHEAD_BYTES, SEALED_AHEAD_BYTES, Figures, flood, noise
from tests.bench.idle import rss_bytes
from tests.bench.pair import Program
from tests.bench.rawcurve import RawPeer

PAUSE_S = 0.02


class Listener:
    """One daemon as an attacker knows it."""

    def __init__(self, program: Program, bulk: str = "") -> None:
        self.program = program
        self.key = curve_key(parse_node(program.ready["node"]))
        self.places = {Door.CONTROL: program.ready["listen"], Door.BULK: bulk}

    def at(self, door: Door) -> tuple[str, int]:
        """Where a door is."""
        return split_host_port(self.places[door])

    def met(self, door: Door) -> RawPeer:
        """A connection of a node of its own that has said hello as it should."""
        identity = Identity(os.urandom(32))
        peer = RawPeer(self.at(door), self.key, secret=identity.curve_secret)
        peer.handshake()
        seen_at = Address.of(*self.at(door))
        hello = Greeter(identity.node, Network(), "siege").hello(self.key, seen_at, by_us=True)
        peer.socket.sendall(peer.sealed(wire.frame([wire.encode(hello)]), more=False))
        return peer


class Honest:
    """A leaf that searches all the time, and its tally."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.done = 0
        self.failed = 0
        self.worst_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._search)

    def __enter__(self) -> "Honest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _search(self) -> None:
        with LeafClient(home_at("leaf", self.home), 30) as client:
            while not self._stop.wait(PAUSE_S):
                began = time.monotonic()
                try:
                    found = client.search(Search(["forelle"]))
                    good = len(found.hits) == 1 and found.coverage.complete
                except UserError:
                    good = False
                self.worst_s = max(self.worst_s, time.monotonic() - began)
                self.done += good
                self.failed += not good


def besieged(listener: Listener, attack: Callable[[], Figures], home: Path) -> Figures:
    """Run an attack; memory is looked at every 10 ms."""
    pid = listener.program.process.pid
    idle = rss_bytes(pid)
    over, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            over.append(rss_bytes(pid) - idle)

    looker = threading.Thread(target=look)
    looker.start()
    with Honest(home) as honest:
        result = attack()
    stop.set()
    looker.join()
    return {
        **result,
        "over_idle_mib": round(max(over) / 2**20, 1),
        "alive": listener.program.process.poll() is None,
        "searches": honest.done,
        "searches_failed": honest.failed,
        "search_worst_ms": round(honest.worst_s * 1000),
    }


def bulk_door_of(superpeer: Program, node: str) -> str:
    """Where the super-peer tells others to fetch from this leaf."""
    argv = [sys.executable, "-m", "superpeer", "leaves", "--home", str(superpeer.home), "--json"]
    rows = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
    return next(str(row["address"]) for row in rows if row["node"] == node)


def hostile_frames(listener: Listener, door: Door, count: int) -> Figures:
    """Noise until cut, again and again."""
    dice, sent, cut = random.Random(1), 0, 0
    while sent < count:
        sent += noise(listener, door, dice, count - sent)
        cut += 1
    return {"frames": sent, "cut": cut}


def main() -> None:
    """One siege."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=10_000_000)
    parser.add_argument("--mib", type=int, default=2048)
    args = parser.parse_args()
    report: Figures = {"bench": "siege"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "share").mkdir()
        (folder / "share" / "Die Forelle.txt").write_text("In einem Baechlein helle")
        superpeer = Program(folder, "sp", [sys.executable, "-m", "superpeer"])
        place = f"{superpeer.ready['listen']}/{superpeer.ready['node']}"
        tail = ["--super", place, "--no-promote"]
        sharing = Program(
            folder, "one", [sys.executable, "-m", "leaf"], [*tail, "--share", f"{folder}/share"]
        )
        asking = Program(folder, "two", [sys.executable, "-m", "leaf"], tail)
        with LeafClient(home_at("leaf", sharing.home), 60) as client:
            client.share([], wait=True)
        bulk = bulk_door_of(superpeer, sharing.ready["node"])
        targets = [("superpeer", superpeer, Door.CONTROL)]
        targets += [("leaf", sharing, door) for door in Door]
        for role, program, door in targets:
            at, endless = Listener(program, bulk), args.mib * 16
            attacks: dict[str, Callable[[], Figures]] = {
                "frames": partial(hostile_frames, at, door, args.frames),
                "parts": partial(flood, at, door, 1, args.parts, PARTS_AHEAD_BYTES),
                "endless": partial(flood, at, door, 65_000, endless, SEALED_AHEAD_BYTES),
            }
            for attack, run in attacks.items():
                report[f"{role} {door.value} {attack}"] = besieged(at, run, asking.home)
        for program in (asking, sharing, superpeer):
            program.end()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
