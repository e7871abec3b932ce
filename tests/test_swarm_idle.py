"""Links that nobody uses, and those that only wait."""

from common.config import Config, SwarmConfig
from common.doors import Door
from common.messages.swarm import Interested
from leaf.methods import Get, GetResult
from tests.leaf_scene import MIB, content, found, network
from tests.leaf_world import World

IDLE_S = 5.0


def linked(world: World, one: str, other: str) -> bool:
    """Whether there is a bulk link between two leaves."""
    return (one, other, Door.BULK) in world.links


def contended() -> World:
    """A source with one slot, a leaf that has it and falls silent, and one that waits."""
    world = World()
    at = world.superpeer("s")
    swarm = SwarmConfig(upload_slots=1, link_idle_s=IDLE_S, request_s=1000.0)
    config = Config(swarm=swarm)
    world.leaf("source", at, files={"music/blue note.mp3": content(20 * MIB)}, config=config)
    for name in ("silent", "patient"):
        world.leaf(name, at, config=config)
    world.advance(3.0)
    found(world, "silent")
    world.ask("silent", "leaf.get", Get("1"))
    while not world.disks["silent"].written_bytes:
        world.advance(0.001)
    world.mute["silent"] = None
    return world


def test_a_link_that_nobody_uses_ends() -> None:
    """After a download nothing is wanted of the source, and the link goes."""
    world = network(content(MIB), sources=1)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(50.0)
    assert isinstance(world.outcome(call), GetResult)
    assert linked(world, "asker", "source0")
    world.advance(60.0)
    assert not linked(world, "asker", "source0")


def test_a_slot_is_kept_while_nobody_waits_for_it() -> None:
    """A leaf that asks for nothing may stay as long as it takes nothing from others."""
    world = contended()
    world.advance(10 * IDLE_S)
    assert linked(world, "silent", "source")


def test_who_waits_keeps_its_place() -> None:
    """The silent one loses the slot to the one that waits, which was never hung up on."""
    world = contended()
    found(world, "patient")
    call = world.ask("patient", "leaf.get", Get("1"))
    world.advance(4 * IDLE_S)
    assert isinstance(world.outcome(call), GetResult)
    wishes = [(who, to) for who, to, message in world.sent if isinstance(message, Interested)]
    assert wishes.count(("patient", "source")) == 1
