"""Heirs: copies that sleep and wake, leaves that move, and neighbours that lie about them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.config import ClusterConfig, Config
from common.content.catalogue import Catalogue, Entry, statement
from common.ids import Identity
from common.messages.cluster import (
    Heir,
    Join,
    Leave,
    Publish,
    Put,
    SearchHits,
    Unreached,
    Welcome,
)
from common.messages.fields import Contact
from common.messages.overlay import Held, Hold, Release, Unlinked
from superpeer.methods import Status
from tests.overlay_world import NETWORK, World, entry_of

TRIANGLE = [("sp1", "sp2"), ("sp1", "sp3"), ("sp2", "sp3")]


def three(**cluster: float) -> World:
    """Three super-peers; `leaf1` of the first shares two files, `asker` is at the third."""
    world = World(delay_s=(0.005, 0.005))
    config = Config(cluster=ClusterConfig(**cluster))  # type: ignore[arg-type]
    world.superpeers(["sp1", "sp2", "sp3"], TRIANGLE, config)
    world.leaf("leaf1")
    world.join("leaf1", "sp1")
    world.leaf("asker")
    world.join("asker", "sp3")
    world.publish("leaf1", "sp1", {"blue song.txt": 1, "blue tune.txt": 1})
    world.advance(2.0)
    return world


def status(world: World, name: str) -> Status:
    """What a super-peer says of itself."""
    (said,) = world.ask(name, "superpeer.status")
    assert isinstance(said, Status)
    return said


def found(world: World, word: str = "blue") -> list[str]:
    """What the asker finds, as often as it is told."""
    before, guid = len(world.puppet("asker").heard), world.rng.randbytes(16)
    world.search("asker", "sp3", word, guid=guid)
    world.advance(1.0)
    told = world.puppet("asker").heard[before:]
    hits = [hit for message in told if isinstance(message, SearchHits) for hit in message.hits]
    return sorted(hit.entry.name for hit in hits)


def contact(world: World, name: str) -> Contact:
    """A super-peer and where it is."""
    return Contact(world.identities[name].node, world.addresses[name])


BOTH = ["blue song.txt", "blue tune.txt"]


def test_a_copy_sleeps_while_its_parent_lives() -> None:
    """The heir has it, in its digest and in no answer; the leaf knows the heir, so do people."""
    world = three()
    assert world.puppet("leaf1").heard[1] == Heir(contact(world, "sp2"))
    heir = status(world, "sp2")
    assert (heir.files, heir.copies, heir.copied_files) == (0, 1, 2)
    assert status(world, "sp1").heirs == 1
    assert found(world) == BOTH
    (row,) = world.ask("sp1", "superpeer.leaves")
    assert row[0].heir is not None  # type: ignore[index]


def test_a_copy_wakes_with_the_end_of_its_parent_and_goes_with_its_lease() -> None:
    """A leaf that never joins is found for a lease, and not for longer."""
    world = three()
    world.kill("sp1")
    world.advance(0.1)
    assert found(world) == BOTH
    assert status(world, "sp2").copies_woken == 1
    world.advance(5.0)
    assert found(world) == []
    heir = status(world, "sp2")
    assert (heir.files, heir.copied_files) == (0, 0)


def test_what_was_found_of_a_copy_is_not_found_in_its_place() -> None:
    """Hits are remembered by document, and the documents of a copy that has gone are given out
    again: those who come after it are found as what they are."""
    world = three()
    world.kill("sp1")
    world.advance(0.1)
    assert found(world) == BOTH
    world.advance(6.0)
    world.leaf("late")
    world.join("late", "sp2")
    world.publish("late", "sp2", {"blue moon.txt": 1, "red sun.txt": 1})
    world.advance(2.0)
    assert found(world) == ["blue moon.txt"]
    assert found(world, "red") == ["red sun.txt"]


def test_a_leaf_that_joins_its_heir_sends_nothing_again() -> None:
    """The welcome names the generation that it has; it is found by all, once."""
    world = three()
    world.kill("sp1")
    world.join("leaf1", "sp2")
    world.advance(1.0)
    welcome = world.puppet("leaf1").heard[-2]
    assert isinstance(welcome, Welcome)
    assert welcome.generation == world.puppet("leaf1").generation
    assert found(world) == BOTH
    heir = status(world, "sp2")
    assert (heir.index_uploads, heir.leaves_inherited, heir.leaves) == (0, 1, 1)
    world.advance(10.0)
    assert found(world) == BOTH


def test_another_life_inherits_nothing() -> None:
    """A leaf that was started anew begins anew, and its old copy goes at once."""
    world = three()
    world.kill("sp1")
    world.advance(0.1)
    world.leaf("leaf1", epoch=2)
    world.join("leaf1", "sp2")
    world.advance(1.0)
    assert found(world) == []


def test_a_flapping_link_doubles_nothing() -> None:
    """Parent and heir that lose and find one another: each file is found once all the while, and
    the copy is not sent again."""
    world = three()
    before = [message for _, _, message in world.sent if isinstance(message, Hold)]
    for _ in range(5):
        world.hang_up("sp1", "sp2", "lost")
        assert found(world) == BOTH
        world.advance(2.0)
    again = [message for _, _, message in world.sent if isinstance(message, Hold)][len(before) :]
    puts = [put for hold in again for put in hold.puts]
    assert len(puts) <= 2  # sp3 may have become the heir meanwhile, once
    assert found(world) == BOTH


def test_two_that_both_think_they_inherit() -> None:
    """The leaf joins its heir while the parent still holds it under a lease: one of the two lets go
    as soon as they meet."""
    world = three()
    world.hang_up("sp1", "leaf1", "lost")
    world.hang_up("sp1", "sp2", "lost")
    world.join("leaf1", "sp2")
    assert found(world) == BOTH
    world.advance(1.0)
    assert found(world) == BOTH
    assert status(world, "sp1").files == 0
    assert status(world, "sp1").leaves_moved == 1


def test_a_leaf_that_is_linked_is_nobody_elses() -> None:
    """What a neighbour says of a leaf of ours that is there takes nothing away."""
    world = three()
    leaf = world.identities["leaf1"].node
    world.say("sp2", "sp1", Held(leaf, 0, 99, "it is a leaf of ours"))
    world.say("sp3", "sp1", Held(leaf, 0, 99, "it is a leaf of ours"))
    world.say("sp3", "sp1", Release(leaf))
    source = Contact(leaf, world.addresses["leaf1"])
    world.say("sp3", "sp1", Hold(leaf, 1, 99, source, 0))
    world.advance(1.0)
    assert found(world) == BOTH
    assert status(world, "sp1").files == 2
    assert status(world, "sp3").copies_woken == 0


def test_a_leaf_leaves_by_a_later_join_only() -> None:
    """An old `Leave` that comes late means nothing."""
    world = three()
    world.say("leaf1", "sp1", Leave(1))
    world.advance(0.1)
    assert status(world, "sp1").leaves == 1
    world.say("leaf1", "sp1", Leave(2))
    world.advance(0.1)
    assert status(world, "sp1").leaves == 0
    assert found(world) == BOTH  # for queries that have passed its new parent by now
    world.advance(1.0)
    assert status(world, "sp1").files == 0


def forged(world: World, parent: str, names: list[str], signer: Identity) -> Hold:
    """What `parent` would say of a leaf that shares these, signed by somebody."""
    leaf = world.identities["ghost"]
    catalogue = Catalogue()
    for slot, name in enumerate(names):
        catalogue.put(slot, entry_of(name))
    signature = signer.sign(statement(NETWORK.name, leaf.node, 1, catalogue.root()))
    puts = tuple(Put(*item) for item in catalogue.items())
    source = Contact(leaf.node, world.addresses[parent])
    return Hold(leaf.node, 1, 1, source, 1, puts, (), signature, afresh=True)


def test_a_lying_parent_forges_nothing() -> None:
    """Entries that the leaf did not sign are kept by nobody, and found by nobody when the liar is
    gone."""
    world = three()
    world.leaf("ghost")
    hold = forged(world, "sp2", ["blue forgery.txt"], world.identities["sp2"])
    asking = replace(hold, puts=(), signature=None, afresh=False)
    for message in (hold, asking, hold):
        world.say("sp2", "sp3", message)
    world.advance(0.5)
    answers = [message for _, to, message in world.sent if to == "sp2" and type(message) is Held]
    assert [bool(each.refused) for each in answers[-3:]] == [True, False, True]
    world.kill("sp2")
    assert found(world) == BOTH
    assert status(world, "sp3").copied_files == len(BOTH)  # of the leaf that lost its heir


def test_only_neighbours_give_copies() -> None:
    """A leaf that plays a super-peer is told no, whatever it offers."""
    world = three()
    world.leaf("ghost")
    world.connect("ghost", "sp3")
    hold = forged(world, "sp2", ["blue forgery.txt"], world.identities["ghost"])
    world.say("ghost", "sp3", replace(hold, puts=(), signature=None, afresh=False))
    world.say("ghost", "sp3", hold)
    world.advance(0.5)
    assert [message.refused for message in world.puppet("ghost").heard] == [  # type: ignore[attr-defined]
        "this super-peer is no neighbour"
    ] * 2
    assert status(world, "sp3").copies == 0


def test_a_full_heir_is_none_and_another_is_asked() -> None:
    """Copies beyond the budget are refused; the parent goes on with the next neighbour, and a leaf
    without any hears so."""
    world = three(copied_entries_max=2)  # one neighbour may have one of them
    world.advance(1.0)
    assert status(world, "sp1").heirs == 0
    told = [message for message in world.puppet("leaf1").heard if isinstance(message, Heir)]
    assert told[-1] == Heir(None)
    assert [status(world, name).copied_files for name in ("sp2", "sp3")] == [0, 0]
    assert found(world) == BOTH


def test_what_we_refuse_of_a_leaf_its_heir_keeps_no_longer() -> None:
    """Nothing of it is found when its parent dies; what it publishes next, its heir has."""
    world = three()
    assert sum(status(world, name).copied_files for name in ("sp2", "sp3")) == len(BOTH)
    world.say("leaf1", "sp1", Publish(9, (Put(0, entry_of("blue lie.txt")),), (), bytes(64)))
    world.advance(1.0)
    assert found(world) == []
    assert sum(status(world, name).copied_files for name in ("sp2", "sp3")) == 0
    world.puppet("leaf1").generation = 9
    world.publish("leaf1", "sp1", {"blue moon.txt": 1}, afresh=True)
    world.advance(1.0)
    assert status(world, "sp1").heirs == 1
    world.kill("sp1")
    world.advance(0.1)
    assert found(world) == ["blue moon.txt", *BOTH]


def test_an_heir_has_a_place_for_whom_it_inherits() -> None:
    """It takes no more copies of one neighbour than leaves could come to it; when that one dies
    nobody who goes to its heir is told busy."""
    world = three(leaves_max=5)
    for number in range(1, 3):  # they leave sp2 three places
        world.leaf(f"there{number}")
        world.join(f"there{number}", "sp2")
    names = ["leaf1", *(f"more{number}" for number in range(4))]
    for name in names[1:]:
        world.leaf(name)
        world.join(name, "sp1")
    world.say("sp3", "sp1", Unlinked(leaving=True))  # so sp2 is the only heir there is
    world.advance(1.0)
    kept = world.core("sp2")._cluster.dormant._copies
    mine = [name for name in names if world.identities[name].node in kept]
    assert len(mine) == 3
    world.kill("sp1")
    for name in mine:
        world.join(name, "sp2")
        world.advance(0.1)
        assert Welcome in [type(each) for each in world.puppet(name).heard[-2:]]
    assert status(world, "sp2").leaves == 5


def test_an_heir_that_its_leaf_does_not_reach_is_another_once() -> None:
    """Where there is nobody else it stays: what it shares is found there all the same."""
    world = three()
    named = [one.contact for one in world.puppet("leaf1").heard if isinstance(one, Heir)]
    assert len(named) == 1
    for times in (2, 2, 2):
        heir = named[-1]
        assert heir is not None
        world.say("leaf1", "sp1", Unreached(heir.node))
        world.advance(1.0)
        named = [one.contact for one in world.puppet("leaf1").heard if isinstance(one, Heir)]
        assert len(named) == times
    assert {one.node for one in named if one} == {contact(world, f"sp{at}").node for at in (2, 3)}
    assert sum(status(world, name).copied_files for name in ("sp2", "sp3")) == 2


def test_heirs_are_spread_over_the_neighbours() -> None:
    """Who keeps fewest is next."""
    world = three()
    for number in range(2, 8):
        world.leaf(f"leaf{number}")
        world.join(f"leaf{number}", "sp1")
    world.advance(1.0)
    kept = [status(world, name).copies for name in ("sp2", "sp3")]
    assert max(kept) - min(kept) <= 2  # the asker's heir is one of the three as well
    assert sum(kept) + status(world, "sp1").copies == 8


def test_what_is_half_indexed_when_it_falls_asleep_is_indexed() -> None:
    """A leaf is lost while its library is on its way into the index, and another's whose heir we
    are: when that one dies, all of it is found."""
    world = three()
    cluster, leaf = world.core("sp1")._cluster, world.identities["leaf1"].node
    kept = cluster.get(leaf)
    assert kept is not None
    for slot in list(kept.holding.slots()):  # as if it were of a later slice
        kept.unindexed[slot] = kept.holding.get(slot)
    cluster._index.drop_leaf(leaf)
    world.join("leaf1", "sp2")
    world.hang_up("leaf1", "sp1", "lost")
    asking = Hold(leaf, kept.epoch, kept.joins + 1, kept.source, kept.holding.generation)
    assert not cluster.dormant.fault(world.identities["sp2"].node, asking)
    world.say("sp2", "sp1", asking)
    world.advance(1.0)
    assert leaf in cluster.dormant
    world.kill("sp2")
    world.advance(0.1)
    assert found(world) == BOTH


entries = st.builds(
    lambda number, size: Entry(bytes([number]) * 32, size + 1, f"blue {number}.txt"),
    st.integers(1, 9),
    st.integers(0, 5),
)
steps = st.lists(
    st.tuples(st.integers(0, 6), st.none() | entries), min_size=1, max_size=4
)  # slots of one generation


@given(st.lists(steps, min_size=1, max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_the_heir_has_what_the_leaf_has_signed(
    generations: list[list[tuple[int, Entry | None]]], pauses: list[int]
) -> None:
    """Whatever is published, however quickly, the copy is the catalogue in the end."""
    world = three()
    leaf = world.puppet("leaf1")
    for at, changes in enumerate(generations):
        last = dict(changes)
        for slot, entry in last.items():
            if entry is None:
                leaf.catalogue.drop(slot)
            else:
                leaf.catalogue.put(slot, entry)
        leaf.generation += 1
        said = statement(NETWORK.name, leaf.identity.node, leaf.generation, leaf.catalogue.root())
        puts = tuple(Put(slot, entry) for slot, entry in last.items() if entry is not None)
        drops = tuple(slot for slot, entry in last.items() if entry is None)
        publish = Publish(leaf.generation, puts, drops, leaf.identity.sign(said))
        world.say("leaf1", "sp1", publish)
        world.advance(0.004 * (pauses[at] if at < len(pauses) else 0))
    world.advance(1.0)
    world.kill("sp1")
    world.advance(0.1)
    shared = [entry.name for _, entry in leaf.catalogue.items()]
    assert found(world) == sorted(shared)


@pytest.mark.parametrize("joins", [0, 1])
def test_a_leaf_of_an_older_release_has_an_heir_too(joins: int) -> None:
    """It counts no joins and ignores what it does not know; its copy wakes and ends as others."""
    world = three()
    world.leaf("old")
    world.connect("old", "sp1")
    world.say("old", "sp1", Join(1, 0, 0, joins=joins))
    world.advance(0.5)
    assert status(world, "sp1").leaves == 2
    assert sum(status(world, name).copies for name in ("sp2", "sp3")) >= 2
