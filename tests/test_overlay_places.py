"""Places for neighbours: those that a super-peer keeps for the seeds it was told to join."""

from common.config import Config, OverlayConfig
from common.messages.overlay import Link
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
