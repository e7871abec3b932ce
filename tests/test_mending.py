"""An overlay that makes itself: enough neighbours, nobody a hub, and whole again after losses."""

import pytest

from common.config import Config, OverlayConfig
from common.messages.fields import Contact
from common.messages.overlay import Link, Linked, Unlinked
from common.storage import Restored
from tests.overlay_world import World, neighbours, reached

WANTED, LEAST, MOST = 6, 3, 12
CONFIG = Config(
    overlay=OverlayConfig(degree_wanted=WANTED, degree_min=LEAST, degree_max=MOST, seed_places=0)
)


def grown(count: int, seed: int = 0) -> World:
    """Super-peers that know the first one only, some time later."""
    world = World(seed)
    world.superpeer("sp0", config=CONFIG, mends=True)
    for number in range(1, count):
        world.superpeer(f"sp{number}", config=CONFIG, seeds=(world.seed("sp0"),), mends=True)
        world.advance(0.2)
    world.advance(120.0)
    return world


@pytest.mark.parametrize("seed", range(3))
def test_all_get_enough_neighbours_and_nobody_becomes_a_hub(seed: int) -> None:
    """Also the one that all were told of: it has hardly more than the others."""
    world = grown(24, seed)
    degrees = {name: len(neighbours(world, name)) for name in world.nodes}
    assert min(degrees.values()) >= LEAST
    assert sum(degrees.values()) / len(degrees) >= WANTED - 1
    assert max(degrees.values()) <= MOST


def test_few_are_all_neighbours() -> None:
    """Where there are not as many as are wanted everybody has all."""
    world = grown(5)
    for name in world.nodes:
        assert len(neighbours(world, name)) == 4


@pytest.mark.parametrize("seed", range(3))
def test_what_loses_a_third_mends(seed: int) -> None:
    """Ten seconds later everybody has enough again, and all are one network."""
    world = grown(24, seed)
    for number in range(8):
        world.kill(f"sp{number}")
    world.advance(10.0)
    assert len(world.nodes) == 16
    assert min(len(neighbours(world, name)) for name in world.nodes) >= LEAST
    assert reached(world, "sp8") == sorted(world.nodes)


def test_a_newcomer_finds_its_way_though_all_seeds_are_dead() -> None:
    """It knows super-peers of an earlier run, and gets from there to all others."""
    world = grown(12)
    known = [(world.identities[name].node, world.addresses[name]) for name in ("sp3", "sp4")]
    for name in ("sp0", "sp3"):
        world.kill(name)
    world.superpeer("new", config=CONFIG, seeds=(world.seed("sp0"),), mends=True, starts=False)
    world.feed("new", Restored(known=tuple(known)))
    world.start("new")
    world.advance(10.0)
    assert len(neighbours(world, "new")) >= LEAST


def test_who_has_enough_takes_those_that_have_next_to_none() -> None:
    """Others are refused, and told of somebody else."""
    config = Config(overlay=OverlayConfig(degree_wanted=2, degree_min=2, seed_places=0))
    world = World()
    world.superpeer("sp0", config=config, mends=True)
    for name in ("one", "two", "rich", "poor"):
        world.leaf(name)
        world.connect(name, "sp0")
    contact = Contact(world.identities["one"].node, world.addresses["one"])
    for name, theirs in (("one", 0), ("two", 0), ("rich", 2), ("poor", 1)):
        world.say(name, "sp0", Link(0, (contact,) * theirs))
        world.advance(0.2)
    assert neighbours(world, "sp0") == ["one", "poor", "two"]
    (answer,) = [m for m in world.puppet("rich").heard if isinstance(m, Linked | Unlinked)]
    assert isinstance(answer, Unlinked)
    assert answer.alternatives


@pytest.mark.parametrize(("degree_min", "networks"), [(1, 2), (3, 1)])
def test_few_that_are_content_with_one_that_does_harm_are_a_network_of_their_own(
    degree_min: int, networks: int
) -> None:
    """Two pairs have it for a neighbour, and so as many as they want. Who has `degree_min` and its
    own lot is refused by those that have enough, though it was told to join them; who has fewer is
    taken, and all are one network. Once the one that does harm is gone they are in any case."""
    overlay = OverlayConfig(
        degree_wanted=2, degree_min=degree_min, seed_places=0, turnover_s=1e6, redial_max_s=20.0
    )
    world = World()
    world.leaf("harm")
    harm = Contact(world.identities["harm"].node, world.addresses["harm"])
    for name, told in (("sp2", "sp1"), ("sp3", "sp2"), ("sp0", ""), ("sp1", "sp0")):
        seeds = (world.seed(told),) if told else ()
        world.superpeer(name, config=Config(overlay=overlay), seeds=seeds, mends=True, starts=False)
        world.core(name)._overlay.cache.worked(harm)
        world.start(name)
        for _ in range(100 if name in ("sp3", "sp1") else 1):  # each pair finds itself and it
            world.advance(0.1)
            for each in world.nodes:
                world.say("harm", each, Linked(0))
    world.advance(120.0)
    assert any(who == "sp2" and to == "sp1" for who, to, _ in world.sent)
    world.kill("harm")
    world.advance(0.05)
    assert len({tuple(reached(world, name)) for name in world.nodes}) == networks
    world.advance(30.0)
    assert len(reached(world, "sp0")) == 4
