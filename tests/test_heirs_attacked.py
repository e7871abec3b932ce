"""What nobody signed takes no copy from an heir, and fills no places."""

import pytest

from common.ids import Identity
from common.messages.cluster import Heir, Leave, Put, SearchHits, Welcome
from common.messages.fields import Contact
from common.messages.overlay import Hold, Release
from superpeer.heirs.heirs import RETURNED_S
from tests.overlay_world import World, entry_of
from tests.test_heirs import BOTH, TRIANGLE, found, status, three


def test_nobody_takes_a_copy_away_by_a_number() -> None:
    """Neither a later life nor a later join, that nobody has signed, displaces what is kept of a
    leaf whose parent lives; nor does another address come into an answer."""
    world = three()
    node = world.identities["leaf1"].node
    far = Contact(node, world.addresses["sp3"])
    for epoch, joins in ((2**53, 2**53), (1, 2**53)):
        world.say("sp3", "sp2", Hold(node, epoch, joins, far, 1))
        world.advance(1.0)
        assert status(world, "sp2").copied_files == 2
    world.kill("sp3")
    world.kill("sp1")
    world.leaf("late")
    world.join("late", "sp2")
    world.search("late", "sp2", "blue")
    world.advance(1.0)
    hits = [m for m in world.puppet("late").heard if isinstance(m, SearchHits)]
    assert [hit.source.address.ip for each in hits for hit in each.hits] == [
        world.addresses["leaf1"].ip
    ] * 2


def test_questions_alone_fill_no_places() -> None:
    """Copies of which nothing signed ever came give way to those that leaves really want."""
    world = three(copies_max=4)
    for number in range(4):
        node = Identity(bytes([200 + number]) * 32).node
        asker = ("sp1", "sp3")[number % 2]
        world.say(asker, "sp2", Hold(node, 1, 1, Contact(node, world.addresses["sp1"]), 1))
    world.advance(1.0)
    world.leaf("leaf2")
    world.join("leaf2", "sp1")
    world.publish("leaf2", "sp1", {"red song.txt": 1})
    world.advance(30.0)
    assert status(world, "sp1").heirs == 2


@pytest.mark.parametrize("how", ["another life", "a later join, and release"])
def test_a_copy_that_has_woken_is_ended_by_nobodys_number(how: str) -> None:
    """Just when its parent is dead a neighbour could hide all of it with one unsigned question."""
    world = three()
    node = world.identities["leaf1"].node
    source = Contact(node, world.addresses["leaf1"])
    world.kill("sp1")
    world.advance(0.01)
    if how == "another life":
        world.say("sp3", "sp2", Hold(node, 2**53, 0, source, 0))
    else:
        world.say("sp3", "sp2", Hold(node, 1, 99, source, 0))
        world.say("sp3", "sp2", Release(node))
    world.advance(0.05)
    assert found(world) == BOTH
    world.join("leaf1", "sp2")
    world.advance(0.5)
    welcome = [each for each in world.puppet("leaf1").heard if isinstance(each, Welcome)][-1]
    assert welcome.generation == world.puppet("leaf1").generation


def test_who_is_no_heir_claims_nothing_beforehand() -> None:
    """A claim of a neighbour that we named to nobody would be heeded when a link breaks: the lease
    would be over, and the copy at the true heir gone."""
    world = three()
    node = world.identities["leaf1"].node
    source = Contact(node, world.addresses["leaf1"])
    world.say("sp3", "sp1", Hold(node, 1, 2**53, source, 0))
    world.advance(1.0)
    assert not world.core("sp1")._handing._claims
    world.hang_up("sp1", "leaf1", "lost")
    world.say("sp3", "sp1", Hold(node, 1, 2**53, source, 0))
    world.say("sp3", "sp1", Release(node))
    world.advance(0.5)
    assert found(world) == BOTH
    assert node in world.core("sp2")._cluster.dormant


@pytest.mark.parametrize("puts", [(), (Put(0, entry_of("made up")),)])
def test_a_question_keeps_no_place_from_a_true_parent(puts: tuple[Put, ...]) -> None:
    """One question to each neighbour would leave a leaf without an heir for ever; so would one with
    something that the leaf has not signed."""
    world = World(delay_s=(0.005, 0.005))
    world.superpeers(["sp1", "sp2", "sp3"], TRIANGLE)
    world.leaf("leaf1")
    node = world.identities["leaf1"].node
    source = Contact(node, world.addresses["leaf1"])
    world.say("sp3", "sp2", Hold(node, 1, 2**53, source, 0))
    world.say("sp3", "sp2", Hold(node, 1, 2**53, source, 1, puts))
    world.core("sp3")._cluster.dormant.close("it would not", world.now)
    world.advance(0.1)
    world.join("leaf1", "sp1")
    world.publish("leaf1", "sp1", {"blue song.txt": 1})
    world.advance(3.0)
    assert status(world, "sp1").heirs == 1


def test_who_made_up_a_copy_is_no_parent_before_us() -> None:
    """Nothing was proven of it: it is not preferred as the heir, and wakes to fill no place."""
    world = three()
    world.leaf("late")
    node = world.identities["late"].node
    world.say("sp3", "sp2", Hold(node, 1, 0, Contact(node, world.addresses["late"]), 0))
    world.advance(0.1)
    world.join("late", "sp2")
    world.advance(0.1)
    assert not [each for each in world.puppet("late").heard if isinstance(each, Heir)]
    ghost = bytes(32)
    world.say("sp3", "sp2", Hold(ghost, 1, 0, Contact(ghost, world.addresses["late"]), 0))
    world.advance(0.1)
    assert ghost in world.core("sp2")._cluster.dormant
    world.hang_up("sp3", "sp2", "lost")
    world.advance(0.1)
    assert ghost not in world.core("sp2")._cluster.dormant


def test_a_leaf_that_goes_to_and_fro_is_not_copied_each_time() -> None:
    """A message of 150 bytes would have its whole catalogue copied to an heir, again and again."""
    world = three()
    before = len(world.sent)
    for joins in range(2, 12):
        world.say("leaf1", "sp1", Leave(2 * joins))
        world.puppet("leaf1").joins = 2 * joins
        world.join("leaf1", "sp1")
        world.advance(1.5)
        assert found(world) == BOTH
    held = [said for _, _, said in world.sent[before:] if isinstance(said, Hold)]
    assert not any(said.puts for said in held)
    world.advance(RETURNED_S + 11.0)
    assert status(world, "sp1").heirs == 1


def test_what_was_ours_counts_when_we_are_to_be_its_heir() -> None:
    """The budget of a neighbour holds for leaves that it claims as well."""
    world = three(copied_entries_max=10)
    names = [f"e{number}" for number in range(4)]
    for name in names:
        world.leaf(name)
        world.join(name, "sp1")
        world.publish(name, "sp1", {f"{name} {number}.txt": 1 for number in range(3)})
    world.advance(3.0)
    for name in names:
        world.say(name, "sp1", Leave(99))
        node = world.identities[name].node
        world.say("sp3", "sp1", Hold(node, 1, 999, Contact(node, world.addresses[name]), 0))
    world.advance(3.0)
    assert status(world, "sp1").copied_files <= 5
