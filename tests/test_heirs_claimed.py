"""A leaf that moves has an heir at once: the parent that it leaves."""

from common.messages.cluster import Heir, Leave
from common.messages.fields import Contact
from common.messages.overlay import Hold, Release
from tests.overlay_world import World
from tests.test_heirs import BOTH, contact, found, status, three


def moving(world: World) -> None:
    """`leaf1` joins its heir while it is linked to its parent."""
    world.connect("leaf1", "sp2")
    world.join("leaf1", "sp2")


def test_the_parent_that_a_leaf_leaves_is_its_heir_at_once() -> None:
    """It has all of it already: nothing is copied, and the leaf is told within three messages."""
    world = three()
    moving(world)
    leaf = world.identities["leaf1"].node
    world.say("leaf1", "sp1", Leave(world.puppet("leaf1").joins))
    world.advance(0.05)
    assert world.puppet("leaf1").heard[-1] == Heir(contact(world, "sp1"))
    assert found(world) == BOTH
    assert leaf in world.core("sp1")._cluster.dormant
    assert (status(world, "sp1").files, status(world, "sp1").copied_files) == (0, 2)
    world.kill("sp2")
    world.advance(0.1)
    assert found(world) == BOTH
    assert status(world, "sp1").copies_woken == 1


def test_who_dies_before_the_leaf_has_left_for_it_leaves_it_where_it_was() -> None:
    """A claim ends with who makes it."""
    world = three()
    moving(world)
    world.kill("sp2")
    world.advance(1.0)
    assert found(world) == BOTH
    assert status(world, "sp1").leaves == 1
    assert not world.core("sp1")._handing._claims


def test_a_claim_on_a_leaf_whose_link_breaks_is_answered() -> None:
    """The leaf has joined the other by then, so it has left us whatever it could not say."""
    world = three()
    moving(world)
    world.advance(0.05)
    world.hang_up("sp1", "leaf1", "lost")
    world.advance(0.05)
    assert world.puppet("leaf1").heard[-1] == Heir(contact(world, "sp1"))
    world.advance(1.0)
    assert (status(world, "sp1").leaves, status(world, "sp1").copied_files) == (0, 2)
    assert found(world) == BOTH


def test_a_claim_that_is_a_lie_costs_nothing() -> None:
    """The leaf stays, and is found; its heir, who claims it, may take that back."""
    world = three()
    leaf = world.identities["leaf1"].node
    source = Contact(leaf, world.addresses["leaf1"])
    world.say("sp2", "sp1", Hold(leaf, 1, 99, source, 0))
    world.advance(0.1)
    assert world.core("sp1")._handing._claims
    assert found(world) == BOTH
    world.say("sp2", "sp1", Release(leaf))
    world.advance(0.1)
    assert not world.core("sp1")._handing._claims
    assert found(world) == BOTH
