"""Every super-peer of a large network dies at once, in virtual time: how soon it is whole again.

    python -m tests.bench.successors [--leaves 10000] [--per-super-peer 60] [--seed 1]

Each leaf shares one file, hosts are 5 to 50 ms from the middle, nobody is told anything by hand
but two super-peers that die. Seconds after the death: `first_s`: the first of the line is a
super-peer; `placed_s`: the last leaf has a parent; `one_s`: the super-peers are one network for
good; `found_s`: besides, every file is in an index, so whoever searches finds it; `most_s`: 99 of
100 leaves have a parent. Then `searches` of single files from random leaves say whether that is so.
`joins_max` is the most joins that came to one super-peer, `pings_max` the most pings to one host,
in one second. One JSON line.
"""

import argparse
import json
import time
from collections import Counter
from functools import partial
from random import Random
from typing import Final

from common.config import Config, LinkConfig, ParentConfig, VitalsConfig
from common.core import DatagramReceived, Effect, Event, FrameReceived, Notify
from common.messages.cluster import Join
from common.messages.link import Ping
from common.names import words
from deploy.report import Tally
from deploy.scenario import Attachment, Content, Hosts, Overlay, Scenario, Timeouts
from deploy.sim.acts import Acts
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.stage import Stage
from leaf.methods import Search, SearchResult

SPREAD_S: Final = 30.0  # from the last leaf to the death: the line has gone round
GIVE_UP_S: Final = 120.0
LOOK_S: Final = 0.5
ECHO_S: Final = 20.0  # signs of life are rare, as in every large world; a death is told

SEARCHES: Final = 200
SEARCH_S: Final = 20.0
REASONS_SHOWN: Final = 3
MOST: Final = 0.99


class Toll:
    """What comes to whom, by second, after the death."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.began = float("inf")
        self.joins: Counter[tuple[int, int]] = Counter()
        self.pings: Counter[tuple[int, int]] = Counter()
        self.promoted: list[float] = []
        self.ways: Counter[str] = Counter()

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """A node took in an event."""
        since = self._stage.world.now - self.began
        if since < 0:
            return
        if type(event) is DatagramReceived and type(event.message) is Ping:
            self.pings[host.number, int(since)] += 1
        elif type(event) is FrameReceived and type(event.message) is Join:
            self.joins[host.number, int(since)] += 1

    def noted(self, _host: Host, note: Notify) -> None:
        """A node tells something."""
        if self._stage.world.now < self.began:
            return
        if note.name == "promoted":
            self.promoted.append(round(self._stage.world.now - self.began, 2))
        if note.name in ("succeeded", "network_started", "promotion_accepted", "stepped_down"):
            self.ways[note.name] += 1


def scenario(leaves: int, per_super_peer: int, seed: int) -> Scenario:
    """The network that all this happens to."""
    return Scenario(
        super_peers=max(2, -(-leaves // per_super_peer)),
        leaves=leaves,
        seed=seed,
        promotes=True,
        large=True,
        overlay=Overlay(graph="random", degree=6, mends=True),
        attachment=Attachment(told=2),
        hosts=Hosts(delay_min_s=0.005, delay_max_s=0.05),
        content=Content(files=leaves, copies=1),
        config=Config(
            link=LinkConfig(echo_s=ECHO_S, dead_s=2.5 * ECHO_S),
            parent=ParentConfig(silent_s=1.75 * ECHO_S),
            vitals=VitalsConfig(test_s=0.0),
        ),
        timeouts=Timeouts(published_s=300.0),
    )


class Death:
    """One run."""

    def __init__(self, asked: Scenario, *, talks: bool) -> None:
        self._asked, self._talks = asked, talks
        self._wall = time.monotonic()
        self._stage = Stage(asked)
        self._toll = Toll(self._stage)
        self._stage.world.watch([self._toll])

    def run(self) -> dict[str, object]:
        """Bring it up, end the super-peers, watch, search."""
        stage, world, tally = self._stage, self._stage.world, Tally()
        Acts(stage, tally, self._say).run()
        self._say(f"up, {tally.violations}")
        world.run(world.now + SPREAD_S)
        self._toll.began = began = world.now
        self._say("all super-peers die")
        for number in list(stage.alive):
            host = stage.superpeer(number)
            stage.alive.pop(number)
            world.kill(host)
        gone = len(stage.super_peers)
        placed_s = one_s = found_s = most_s = 0.0
        while world.now < began + GIVE_UP_S and not (found_s and world.now > found_s + began + 10):
            world.run(world.now + LOOK_S)
            since = round(world.now - began, 2)
            placed, parts, indexed = self._placed(gone), self._parts(), self._indexed()
            placed_s = 0.0 if placed < self._asked.leaves else placed_s or since
            if placed >= MOST * self._asked.leaves:
                most_s = most_s or since
            one_s = 0.0 if parts != 1 else one_s or since
            whole = bool(placed_s and one_s) and indexed == self._asked.leaves
            found_s = 0.0 if not whole else found_s or since
            self._say(
                f"{len(stage.alive)} super-peers in {parts} parts; {placed} placed, {indexed}"
            )
        found = self._searched()
        toll = self._toll
        return {
            "leaves": self._asked.leaves,
            "super_peers": gone,
            "first_s": min(toll.promoted, default=None),
            "placed_s": placed_s or None,
            "most_s": most_s or None,
            "one_s": one_s or None,
            "found_s": found_s or None,
            "searches": SEARCHES,
            "found": found,
            "super_peers_after": len(stage.alive),
            "ways": dict(toll.ways),
            "joins_max": max(toll.joins.values(), default=0),
            "pings_max": max(toll.pings.values(), default=0),
            "violations": tally.violations[:REASONS_SHOWN],
            "wall_s": round(time.monotonic() - self._wall, 1),
        }

    def _placed(self, gone: int) -> int:
        """Leaves with a parent that lives."""
        alive = self._stage.alive
        return sum(parent >= gone and parent in alive for parent, _ in self._stage.joined.values())

    def _indexed(self) -> int:
        """Leaves whose file is found somewhere; one that moves is for a moment in two indexes."""
        insides = [superpeer_of(self._stage.superpeer(each)) for each in self._stage.alive]
        shelves = [each.cluster._index._shelves for each in insides if each is not None]
        return len(
            {
                leaf
                for some in shelves
                for leaf, each in some.items()
                if each.files and not each.hidden
            }
        )

    def _parts(self) -> int:
        """How many networks the super-peers are."""
        hosts = {host.identity.node: host for host in map(self._stage.superpeer, self._stage.alive)}
        left, parts = dict.fromkeys(hosts), 0
        while left:
            reached = [next(iter(left))]
            del left[reached[0]]
            parts += 1
            for node in reached:
                inside = superpeer_of(hosts[node])
                near = [] if inside is None else list(inside.overlay.neighbours)
                new = [each for each in near if each in left]
                for each in new:
                    del left[each]
                reached += new
        return parts

    def _searched(self) -> int:
        """How many of so many files are found by random leaves."""
        stage, rng = self._stage, Random(f"{self._asked.seed}/searched")
        files = stage.oracle.there(range(self._asked.leaves))
        wanted = rng.sample(files, min(SEARCHES, len(files)))
        found: list[bool] = []

        def ended(name: str, outcome: object) -> None:
            hits = outcome.hits if isinstance(outcome, SearchResult) else []
            found.append(any(hit.id == name for hit in hits))

        for each in wanted:
            host = stage.leaves[rng.randrange(len(stage.leaves))]
            search = Search(list(words(each.name)), limit=50, wait=SEARCH_S)
            stage.world.people.ask(host, "leaf.search", search, partial(ended, each.id))
        until = stage.world.now + SEARCH_S + 5.0
        stage.world.run(until, enough=lambda: len(found) == len(wanted))
        return sum(found)

    def _say(self, text: str) -> None:
        if self._talks:
            now = self._stage.world.now - min(self._toll.began, self._stage.world.now)
            print(f"{now:8.2f} s  {text}", flush=True)


def main() -> None:
    """Print how soon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=10_000)
    parser.add_argument("--per-super-peer", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="how it stands each half second")
    asked = parser.parse_args()
    death = Death(scenario(asked.leaves, asked.per_super_peer, asked.seed), talks=asked.verbose)
    print(json.dumps(death.run()))


if __name__ == "__main__":
    main()
