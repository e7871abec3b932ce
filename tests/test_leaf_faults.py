"""Fetching among faults: whatever happens, in the end the file is there and right.

Each seed draws a network, its settings and a series of faults: sources die, come back, lie or fall
silent, fetchers crash, are paused, or have a full disk. When the faults stop every download ends.
"""

from random import Random

import pytest

from common.config import Config, SwarmConfig
from common.storage import Restored
from leaf.methods import Chosen, Get
from tests.leaf_scene import MIB, content, found, rows
from tests.leaf_world import World

FAULTS = ("die", "return", "lie", "mute", "crash", "pause", "full")
NAME = "music/blue note.mp3"


class Storm:
    """One seed: its world, its sources and its fetchers."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        size = self.rng.choice([1, 40_000, 300_000, 3 * MIB, 5 * MIB + 5])
        self.data = content(size, seed)
        self.world = World(seed)
        self.at = self.world.superpeer("s")
        self.sources = [f"source{number}" for number in range(self.rng.randint(1, 4))]
        self.fetchers = [f"fetcher{number}" for number in range(self.rng.randint(1, 3))]
        for name in self.sources + self.fetchers:
            self.start(name)
        self.world.advance(3.0)
        for name in self.fetchers:
            found(self.world, name)
            self.world.ask(name, "leaf.get", Get("1"))

    def start(self, name: str, restored: Restored | None = None) -> None:
        """Begin a life of this leaf, with settings drawn for it."""
        files = {NAME: self.data} if name not in self.fetchers else None
        swarm = SwarmConfig(
            upload_slots=self.rng.choice([1, 2, 64]),
            window_bytes=self.rng.choice([16384, 2 * MIB]),
            writes_bytes_max=self.rng.choice([1, MIB, 32 * MIB]),
            links_max=self.rng.choice([1, 50]),
            request_s=2.0,
            locate_s=5.0,
            redial_s=1.0,
            link_idle_s=self.rng.choice([3.0, 60.0]),
        )
        epoch, config = int(self.world.now * 1000) + 1, Config(swarm=swarm)
        leaf = self.world.leaf
        leaf(name, self.at, files=files, config=config, restored=restored, epoch=epoch)

    def strike(self) -> None:
        """One fault."""
        world, source, fetcher = self.world, *map(self.rng.choice, (self.sources, self.fetchers))
        fault = self.rng.choice(FAULTS)
        if fault == "die" and source in world.nodes:
            world.kill(source)
        elif fault == "return" and source not in world.nodes:
            self.start(source)
        elif fault in ("lie", "mute"):
            (world.liars if fault == "lie" else world.mute)[source] = None
        elif fault == "crash":
            world.kill(fetcher)
            world.advance(self.rng.random())
            self.start(fetcher, Restored(downloads=tuple(world.disks[fetcher].records.values())))
        elif fault == "pause":
            world.ask(fetcher, "leaf.pause", Chosen())
            world.advance(self.rng.random())
            world.ask(fetcher, "leaf.resume", Chosen())
        elif fault == "full":
            world.disks[fetcher].full = True
            world.advance(3.0 * self.rng.random())
            world.disks[fetcher].full = False

    def calm(self) -> None:
        """The faults stop, and one more honest source appears."""
        self.world.mute.clear()
        self.world.liars.clear()
        self.start("fresh")
        self.world.advance(2.0)
        for name in self.fetchers:
            self.world.ask(name, "leaf.resume", Chosen())
        self.world.advance(240.0)


@pytest.mark.parametrize("seed", range(60))
def test_every_download_ends_well(seed: int) -> None:
    """Once faults have stopped each fetcher has the file, whole and right."""
    storm = Storm(seed)
    for _ in range(storm.rng.randint(0, 12)):
        storm.world.advance(storm.rng.choice([0.001, 0.01, 0.1, 3.0]))
        storm.strike()
    storm.calm()
    for name in storm.fetchers:
        assert [row.state for row in rows(storm.world, name)] == ["done"]
        assert storm.world.disks[name].files["/downloads/blue note.mp3"] == storm.data
