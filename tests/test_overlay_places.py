"""Places: those that a super-peer keeps for the seeds it was told to join, and room beside it."""

from common.config import ClusterConfig, Config, OverlayConfig
from common.messages.cluster import Busy
from common.messages.overlay import Link, Neighbourhood
from tests.overlay_world import World, neighbours


def test_places_are_kept_for_our_own_seeds() -> None:
    """Strangers find no room in them; the seed does when it comes."""
    world = World()
    config = Config(overlay=OverlayConfig(degree_max=2, seed_places=1))
    world.superpeer("sp1", config=config, seeds=(world.seed("sp2"),))
    for name in ("one", "two"):
        world.leaf(name)
        world.connect(name, "sp1")
        world.say(name, "sp1", Link(0))
        world.advance(0.5)
    assert neighbours(world, "sp1") == ["one"]
    world.superpeer("sp2")
    world.advance(61.0)
    assert neighbours(world, "sp1") == ["one", "sp2"]


def test_a_seed_without_a_key_is_tried_though_all_free_places_are_kept() -> None:
    """Those kept for seeds are what it is to have; and a stranger always finds one place."""
    world = World()
    config = Config(overlay=OverlayConfig(degree_max=3, seed_places=4))
    seeds = (world.seed("sp2", keyed=False), world.seed("sp3", keyed=False))
    world.superpeer("sp1", config=config, seeds=seeds)
    world.leaf("one")
    world.connect("one", "sp1")
    world.say("one", "sp1", Link(0))
    world.advance(0.5)
    assert neighbours(world, "sp1") == ["one"]
    world.superpeer("sp2")
    world.superpeer("sp3")
    world.advance(61.0)
    assert neighbours(world, "sp1") == ["one", "sp2", "sp3"]


class Crowded(World):
    """One super-peer that is full, and others beside it."""

    def __init__(self, beside: list[str], leaves_max: int) -> None:
        super().__init__(delay_s=(0.001, 0.001))
        config = Config(cluster=ClusterConfig(leaves_max=leaves_max))
        self.superpeers(["full", *beside], [("full", name) for name in beside], config)
        self.fill("full", leaves_max)

    def fill(self, parent: str, leaves: int) -> None:
        """So many join this one."""
        for number in range(leaves):
            self.leaf(f"{parent}-{number}")
            self.join(f"{parent}-{number}", parent)
        self.advance(10.0)

    def refused(self, number: int) -> str:
        """Whom one more leaf is told of first."""
        name = f"late{number}"
        self.leaf(name)
        self.join(name, "full")
        self.advance(0.1)
        busy = self.puppet(name).heard[-1]
        assert isinstance(busy, Busy)
        return self.names[busy.alternatives[0].node]


def test_refused_leaves_are_sent_where_room_is_and_not_all_to_one() -> None:
    """A full super-peer knows the load of those beside it, and counts whom it has sent there."""
    world = Crowded(["sp1", "sp2"], leaves_max=3)
    world.fill("sp2", 2)
    first = [world.refused(number) for number in range(4)]
    assert first[:2] == ["sp1", "sp1"]
    assert sorted(first) == ["sp1", "sp1", "sp1", "sp2"]


def test_who_always_says_that_it_has_no_leaves_gets_its_share_and_no_more() -> None:
    """Of two by lot the better one is named first: of four that is half of all."""
    world = Crowded(["sp1", "sp2", "sp3", "liar"], leaves_max=1)
    first: list[str] = []
    for number in range(60):
        world.say("liar", "full", Neighbourhood(0))
        world.advance(0.1)
        first.append(world.refused(number))
    assert first.count("liar") <= 40
