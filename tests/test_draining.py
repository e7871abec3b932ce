"""A super-peer that leaves in peace: where its leaves go, who may come still, and when it ends."""

from common.core import Asked, Exited, Stopped
from common.messages.cluster import Busy, Join, Leave, ReHome, Welcome
from superpeer.methods import Drain
from tests.test_heirs import BOTH, contact, found, status, three


def test_a_drain_hands_every_leaf_over() -> None:
    """Each is told its heir; those that go there are found and counted, and nobody is asked to be
    an heir of one that leaves."""
    world = three()
    world.feed("sp1", Asked(7, "superpeer.drain", Drain(5.0)))
    world.advance(0.1)
    assert world.puppet("leaf1").heard[-1] == ReHome(contact(world, "sp2"))
    world.join("leaf1", "sp2")
    world.advance(0.1)
    world.say("leaf1", "sp1", Leave(2))
    assert found(world) == BOTH
    assert ("sp1", Exited()) in world.effects
    assert found(world) == BOTH
    assert status(world, "sp2").index_uploads == 0


def test_who_is_here_may_say_so_while_we_leave() -> None:
    """A leaf that gave up its move joins its old parent again: it is told no busy, or it would go
    before its heir has all; who is new is sent away."""
    world = three()
    world.core("sp1")._cluster.stop(world.now)
    told = len(world.puppet("leaf1").heard)
    world.say("leaf1", "sp1", Join(1, 1, 2, joins=2))
    world.leaf("late")
    world.connect("late", "sp1")
    world.say("late", "sp1", Join(1, 0, 0))
    world.advance(0.1)
    assert [type(each) for each in world.puppet("leaf1").heard[told:]][:1] == [Welcome]
    assert [type(each) for each in world.puppet("late").heard] == [Busy]
    assert status(world, "sp1").leaves == 1


def test_an_end_that_comes_sooner_is_heeded() -> None:
    """A drain of a minute, then the word to stop within two seconds, while a leaf does not go; a
    longer one changes nothing."""
    world = three()
    world.feed("sp1", Asked(7, "superpeer.drain", Drain(60.0)))
    world.advance(1.0)
    world.feed("sp1", Stopped(2.0))
    world.feed("sp1", Stopped(30.0))
    world.advance(1.1)
    assert Exited() not in [effect for name, effect in world.effects if name == "sp1"]
    world.advance(0.9)
    assert ("sp1", Exited()) in world.effects
