"""What standing searches cost an overlay and how soon they tell: one JSON line, in virtual time.

    python -m tests.bench.wishnet [--super-peers 100] [--leaves 500] [--minutes 15] [--seed 1]

Every leaf shares ten files and wishes for one that is not there; one in ten is published in the
course of time, at a leaf drawn by lot. Nobody searches, so all queries are of wishes.
`per_far_search` is messages of a search through all of the network, `per_super_peer_s` all that
wishes cost a super-peer a second.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from hashlib import sha256
from random import Random

from common.addresses import Address
from common.config import Config
from common.core import Notify
from common.messages.fields import Message
from common.messages.overlay import Extend, Query, QueryDone, QueryHits
from common.node import LEAF, SUPERPEER
from common.storage import FilesShared, SharedFile
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.nodes import SHARE, Plan, builder, seed_to
from deploy.sim.paths import Access
from deploy.sim.shelf import Shelf
from deploy.sim.world import World
from leaf.methods import WishAdd
from superpeer.search.wishes import Wishes

COUNTED = (Query, QueryDone, QueryHits, Extend)
SHARED = 10
SETTLE_S = 60.0
DELAY_S = 0.03  # of a host, one way
PUBLISHED = 0.1  # of what is wished for


class Net:
    """An overlay with leaves; it counts what queries send and when wishes tell."""

    def __init__(self, super_peers: int, leaves: int, seed: int) -> None:
        self.world = World(seed, by_reference=True)
        self.rng = Random(seed)
        self.messages = 0
        self.published: dict[str, float] = {}
        self.delays_s: list[float] = []
        self.super_peers: list[Host] = []
        for number in range(super_peers):
            told = self.rng.sample(self.super_peers, min(number, 3))
            joins = tuple(seed_to(host) for host in told)
            self.super_peers.append(self._add(Plan((SUPERPEER,), Config(), joins=joins), ()))
        self.leaves = [self._leaf(number) for number in range(leaves)]
        self.world.watch([self])
        for host in self.world.hosts:
            host.start()
        self.run(SETTLE_S)

    def _leaf(self, number: int) -> Host:
        parent = self.super_peers[number % len(self.super_peers)]
        plan = Plan((LEAF,), Config(), supers=(seed_to(parent),), shares=(SHARE,))
        return self._add(plan, [shared(f"old {number} {n}.mp3") for n in range(SHARED)])

    def _add(self, plan: Plan, files: Sequence[SharedFile]) -> Host:
        number = len(self.world.hosts)
        return self.world.add(
            f"host {number}",
            Address(b"\x0a" + (number + 1).to_bytes(3, "big"), 1214),
            build=builder(plan, self.world.draws),
            equip=lambda host: Shelf(files, host.take),
            access=Access(DELAY_S),
            has_bulk=LEAF in plan.roles,
        )

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)
        if self.world.violations:
            raise RuntimeError(self.world.violations[0])

    def sent(self, _host: Host, _there: Host, message: Message, _data: object) -> None:
        """See `deploy.sim.witness`."""
        self.messages += isinstance(message, COUNTED)

    def noted(self, _host: Host, note: Notify) -> None:
        """See `deploy.sim.witness`."""
        if note.name == "wish_found":
            self.delays_s.append(self.world.now - self.published[str(note.fields["name"])])

    def searches(self) -> int:
        """How many searches wishes have begun."""
        wishes = [self._wishes(host) for host in self.super_peers]
        return sum(each.searched for each in wishes)

    def _wishes(self, host: Host) -> Wishes:
        inside = superpeer_of(host)
        if inside is None:
            raise RuntimeError(f"{host.name} does not run")
        return inside.wishes

    def wish(self) -> tuple[int, int]:
        """Every leaf wishes; how many searches and messages it took until all were asked for."""
        before = self.searches(), self.messages
        for number, leaf in enumerate(self.leaves):
            self.world.people.ask(leaf, "leaf.wish_add", WishAdd([f"new{number}"]), _heard)
        self.run(SETTLE_S)
        return self.searches() - before[0], self.messages - before[1]

    def publish(self, minutes: float) -> None:
        """Some of what is wished for comes, all over that time."""
        chosen = self.rng.sample(range(len(self.leaves)), int(PUBLISHED * len(self.leaves)))
        for number in chosen:
            name = f"new{number} song.mp3"
            self.run(60 * minutes / len(chosen))
            self.published[name] = self.world.now
            self.rng.choice(self.leaves).take(FilesShared((shared(name),)))


def shared(name: str) -> SharedFile:
    """A file without bytes."""
    return SharedFile(SHARE, name, 1_000_000, 1, 1, sha256(name.encode()).digest())


def _heard(_outcome: object) -> None:
    """Nothing hangs on it."""


def main() -> None:
    """Print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--super-peers", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    net = Net(asked.super_peers, asked.leaves, asked.seed)
    far_searches, far_messages = net.wish()
    began = net.world.now
    before = net.searches(), net.messages
    net.publish(asked.minutes)
    searches, messages = net.searches() - before[0], net.messages - before[1]
    passed_s = net.world.now - began
    net.run(60 * 13)
    delays_s = sorted(net.delays_s)
    print(
        json.dumps(
            {
                "super_peers": asked.super_peers,
                "wishes": asked.leaves,
                "per_far_search": round(far_messages / far_searches, 1),
                "searches_per_super_peer_minute": round(
                    60 * searches / passed_s / asked.super_peers, 2
                ),
                "per_super_peer_s": round(messages / passed_s / asked.super_peers, 3),
                "published": len(net.published),
                "told": len(delays_s),
                "told_within_5_s": sum(delay < 5.0 for delay in delays_s),
                "delay_p50_s": round(statistics.median(delays_s), 2) if delays_s else None,
                "delay_max_s": round(delays_s[-1], 2) if delays_s else None,
                "events": net.world.events,
            }
        )
    )


if __name__ == "__main__":
    main()
