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


def test_refused_leaves_are_sent_where_room_is_and_not_all_to_one() -> None:
    """A full super-peer knows the load of those beside it, and counts whom it has sent there."""
    world = World(delay_s=(0.001, 0.001))
    config = Config(cluster=ClusterConfig(leaves_max=3))
    world.superpeers(["full", "sp1", "sp2"], [("full", "sp1"), ("full", "sp2")], config)
    for parent, leaves in (("full", 3), ("sp2", 2)):
        for number in range(leaves):
            world.leaf(f"{parent}-{number}")
            world.join(f"{parent}-{number}", parent)
    world.advance(10.0)
    first: list[bytes] = []
    for number in range(4):
        world.leaf(f"late{number}")
        world.join(f"late{number}", "full")
        world.advance(0.1)
        busy = world.puppet(f"late{number}").heard[-1]
        assert isinstance(busy, Busy)
        first.append(busy.alternatives[0].node)
    names = {world.identities[name].node: name for name in ("sp1", "sp2")}
    assert [names[node] for node in first] == ["sp1", "sp1", "sp1", "sp2"]


def test_who_always_says_that_it_has_no_leaves_gets_its_share_and_no_more() -> None:
    """Of two by lot the better one is named first, so a liar is named in half of all at most."""
    world = World(delay_s=(0.001, 0.001))
    names = ["full", "sp1", "sp2", "sp3", "liar"]
    pairs = [("full", name) for name in names[1:]]
    world.superpeers(names, pairs, Config(cluster=ClusterConfig(leaves_max=1)))
    world.leaf("leaf")
    world.join("leaf", "full")
    world.advance(1.0)
    first: list[bytes] = []
    for number in range(60):
        world.leaf(f"late{number}")
        world.join(f"late{number}", "full")
        world.advance(0.1)
        busy = world.puppet(f"late{number}").heard[-1]
        assert isinstance(busy, Busy)
        first.append(busy.alternatives[0].node)
        world.say("liar", "full", Neighbourhood(0))
        world.advance(0.1)
    assert first.count(world.identities["liar"].node) <= 40
