"""Promotion as a whole, in the simulator: offers, second roles, shared clusters, stepping down."""

from common.core import Fail
from common.errors import Exit
from common.messages.cluster import Leave, ReHome
from common.messages.hierarchy import Errand, ErrandDone, Offer, OfferAnswer
from common.messages.overlay import Link, Linked
from common.node import LEAF
from leaf.methods import SearchResult
from superpeer.methods import Explain
from tests.hierarchy_world import Network, config


def crowd(leaves: int, *, leaves_max: int = 8, promotes: bool = True, **settings: float) -> Network:
    """One super-peer, and leaves that know of it alone."""
    network = Network(config(leaves_max, **settings))
    network.superpeer("first")
    for number in range(leaves):
        network.leaf(f"leaf{number}", "first", promotes=promotes)
    return network


def promoted(network: Network) -> list[str]:
    """The leaves that are super-peers now."""
    names = [host.name for host in network.world.hosts if host.name.startswith("leaf")]
    return [name for name in names if "superpeer" in network.roles(name)]


def test_a_crowded_super_peer_makes_another() -> None:
    """It takes its role, they are neighbours, and half of the leaves move there."""
    network = crowd(6)
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    network.run(20.0)
    (second,) = promoted(network)
    there = network.superpeer_status(second)
    here = network.superpeer_status("first")
    assert (here.neighbours, there.neighbours) == (1, 1)
    assert here.leaves + there.leaves == 6
    assert there.leaves >= 2
    parent = network.status(second).parent
    assert parent is not None
    assert parent.node == there.node  # it hangs on itself


def test_who_moves_publishes_nothing_again() -> None:
    """What it shares is copied to the other one before."""
    network = crowd(6)
    network.run(5.0)
    before = network.superpeer_status("first").index_uploads
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    network.run(20.0)
    (second,) = promoted(network)
    there = network.superpeer_status(second)
    assert there.leaves >= 2
    assert network.superpeer_status("first").index_uploads == before
    assert there.index_uploads == 1  # of its own leaf, which travels nowhere


def test_all_is_found_all_the_time() -> None:
    """Each second everybody's file is found by one of them, before, meanwhile and after."""
    network = crowd(6)
    network.run(5.0)
    missing = []
    for second in range(60):
        found = network.search("leaf0", "song")
        assert isinstance(found, SearchResult)
        if len(found.hits) != 6:
            missing.append((second, len(found.hits)))
        network.run(1.0)
    assert not missing
    assert promoted(network)


def test_who_may_not_is_not_promoted() -> None:
    """With `--no-promote` nobody is asked; all stay where they are, and everything goes on."""
    network = crowd(6, promotes=False)
    network.run(120.0)
    assert not promoted(network)
    assert network.noted_by("first", "promotion_offered") == 0
    assert "it is run without --no-promote" in network.explain("first").verdicts[0].would_change
    assert network.superpeer_status("first").leaves == 6


def test_the_conversation_of_a_promotion() -> None:
    """Seen, asked, said yes, become neighbours, moved, left: in this order."""
    network = crowd(4)
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    network.run(20.0)
    (second,) = promoted(network)
    said = network.conversation(Errand, ErrandDone, Offer, OfferAnswer, Link, Linked, ReHome, Leave)
    between = [
        line for line in said if {"first", second} == {*line.partition(":")[0].split(" -> ")}
    ]
    assert between[-6:] == [
        f"first -> {second}: Offer",
        f"{second} -> first: OfferAnswer",
        f"{second} -> first: Link",
        f"first -> {second}: Linked",
        f"first -> {second}: ReHome",
        f"{second} -> first: Leave",
    ]


def test_an_heir_that_becomes_a_neighbour_keeps_its_link() -> None:
    """Who is promoted is linked with it as a leaf; none of the neighbours is lost by the move."""
    network = Network(config(6))
    network.superpeer("first")
    network.superpeer("second", "first")
    network.superpeer("third", "first", "second")
    for number in range(10):
        network.leaf(f"leaf{number}", ("first", "second", "third")[max(0, number // 2 - 2)])
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 200.0)
    network.run(10.0)
    (fourth,) = promoted(network)
    assert network.superpeer_status(fourth).neighbours == 3
    assert not [note for _, note in network.notes if note.name == "neighbour_lost"]


def test_who_cannot_be_dialled_is_not_promoted() -> None:
    """Behind a wall: it hears so itself, and another one is taken although it is no better."""
    network = crowd(2)
    network.run(1.0)
    network.leaf("leaf2", "first")
    network.wall("leaf2")
    for number in range(3, 6):
        network.leaf(f"leaf{number}", "first")
        network.wall(f"leaf{number}")
    network.run(120.0)
    assert network.status("leaf2").reachable is False
    assert network.status("leaf0").reachable is True
    assert set(promoted(network)) <= {"leaf0", "leaf1"}
    assert promoted(network)


def test_who_says_yes_and_does_nothing_is_passed_over() -> None:
    """Its second role never comes: after a while another one is asked."""
    network = crowd(5)
    for number in range(5):
        node = network.host(f"leaf{number}").node
        assert node is not None
        if number < 2:
            node._factories = {LEAF: node._factories[LEAF]}
    network.run(200.0)
    assert promoted(network)
    assert not {"leaf0", "leaf1"} & set(promoted(network))


def test_one_that_hangs_once_promoted_is_a_dead_super_peer() -> None:
    """Its leaves lose it and look again; everything is found after that."""
    network = crowd(6)
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    network.run(15.0)
    (second,) = promoted(network)
    network.host(second).freeze()
    network.run(30.0)
    asker = next(f"leaf{n}" for n in range(6) if f"leaf{n}" != second)
    found = network.search(asker, "song")
    assert isinstance(found, SearchResult)
    assert len(found.hits) == 5


def test_one_more_than_is_needed_steps_down() -> None:
    """When most leaves have gone a promoted one goes, its leaves are found all the time, and it
    stays a leaf."""
    network = crowd(8, leaves_max=10, flip_s=10.0, idle_s=5.0)
    assert network.until(lambda: len(promoted(network)) > 0, 120.0)
    network.run(30.0)
    before = promoted(network)
    gone = [f"leaf{n}" for n in range(8) if f"leaf{n}" not in before][:6]
    for name in gone:
        network.world.kill(network.host(name))
    left = [f"leaf{n}" for n in range(8) if f"leaf{n}" not in gone]
    network.run(10.0)
    for _ in range(120):
        found = network.search(left[0], "song")
        assert isinstance(found, SearchResult)
        assert len(found.hits) == len(left)
        network.run(1.0)
    after = [name for name in left if "superpeer" in network.roles(name)]
    assert len(after) < len(before) or not after
    assert all(network.status(name).parent is not None for name in left)


def test_a_super_peer_that_was_started_as_one_stays_one() -> None:
    """Even where it is one too many."""
    network = Network(config(10, flip_s=1.0, idle_s=1.0))
    network.superpeer("first")
    network.superpeer("other", "first")
    network.leaf("leaf0", "first")
    network.run(120.0)
    assert network.superpeer_status("other").neighbours == 1


def test_explain_tells_what_counts() -> None:
    """Every input with who measured it; in need the floors are left aside."""
    network = crowd(3)
    network.run(20.0)
    found = network.explain("first")
    assert found.drift.need
    assert len(found.verdicts) == 3
    best = network.explain("first", "leaf1").verdicts[0]
    checks = {check.name: check for check in best.checks}
    assert checks["reachable"].value is True
    assert len(checks["reachable"].measured_by) >= 2
    assert best.fit == (not best.would_change)


def test_explain_of_a_stranger_finds_nothing() -> None:
    """A key that is none of our leaves: 3; what is no key: 2."""
    network = crowd(1)
    network.run(5.0)
    for text, code in (("a" * 52, Exit.NOTHING_FOUND), ("leaf0", Exit.USAGE)):
        found = network.ask("first", "superpeer.explain", Explain(text))
        assert isinstance(found, Fail)
        assert found.code is code
        assert found.hint


def test_leaves_go_where_there_are_fewer() -> None:
    """A cluster that is full beside an empty one shares with it, and makes no third."""
    network = Network(config(20))
    network.superpeer("first")
    for number in range(12):
        network.leaf(f"leaf{number}", "first")
    network.superpeer("other", "first")
    network.run(30.0)
    assert network.superpeer_status("other").leaves >= 3
    assert network.superpeer_status("first").promotions == 0


def test_an_able_leaf_is_found_at_a_neighbour_that_needs_nobody() -> None:
    """Who is too full and has nobody fit passes leaves on, until who has somebody is too full."""
    network = Network(config(20, leaves_target=1))
    network.superpeer("first")
    network.superpeer("other", "first")
    for number in range(2):
        network.leaf(f"leaf{number}", "first", promotes=False)
    network.leaf("leaf2", "other")
    assert network.until(lambda: promoted(network) == ["leaf2"], 120.0)


def test_where_nobody_is_fit_leaves_do_not_go_to_and_fro() -> None:
    """Each of the two has leaves too many in turn, and they move ever more seldom."""
    network = Network(config(20, leaves_target=1))
    network.superpeer("first")
    network.superpeer("other", "first")
    for number in range(3):
        network.leaf(f"leaf{number}", ("first", "other")[number % 2], promotes=False)
    network.run(1800.0)
    assert promoted(network) == []
    moves = [message for _, _, message in network.said if isinstance(message, ReHome)]
    assert 1 <= len(moves) <= 12  # one each half minute would be sixty


def test_one_that_is_seen_to_send_too_little_steps_down() -> None:
    """Its vitals have fallen: others have room, so it goes, whatever the load."""
    network = crowd(8, leaves_max=10, flip_s=10.0, idle_s=5.0, up_rate_min=1e5)
    assert network.until(lambda: len(promoted(network)) > 0, 120.0)
    network.run(30.0)
    name = promoted(network)[0]
    core = network.core(name)
    books = core._hierarchy.vitals
    reports: dict[bytes, tuple[int, ...]] = {bytes([n]) * 32: (1000,) * 5 for n in range(5)}
    now = network.host(name).clock
    settings = network.config.vitals
    books.book(core._me).tested = None
    books.book(core._me).received.clear()
    books.book(core._me).enter_test(reports, settings, groups=5, is_lower_bound=False, now=now)
    assert network.until(lambda: network.noted_by(name, "stepped_down") > 0, 120.0)
    unfit = [note for who, note in network.notes if who == name and note.name == "unfit"]
    assert unfit[0].fields["reason"] == "it is seen to send too little"


def test_one_for_which_few_leaves_are_too_many_steps_down() -> None:
    """It is overloaded as long as its learned capacity stands at the least."""
    network = crowd(8, leaves_max=10, flip_s=10.0, idle_s=5.0)
    assert network.until(lambda: len(promoted(network)) > 0, 120.0)
    network.run(30.0)
    name = promoted(network)[0]
    promotion = network.core(name)._hierarchy.promotion
    promotion._waited_s = lambda: 10.0  # questions wait and wait
    assert network.until(lambda: network.noted_by(name, "stepped_down") > 0, 300.0)
    unfit = [note for who, note in network.notes if who == name and note.name == "unfit"]
    assert unfit[0].fields["reason"] == "few leaves are too many for it"


def test_where_leaves_find_no_place_the_new_super_peer_is_theirs() -> None:
    """Nobody is moved for it: who was refused goes there, and the next can be asked at once."""
    network = crowd(14, leaves_max=6, refused_s=0.2)
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    (shared,) = [note.fields for who, note in network.notes if note.name == "leaf_promoted"]
    assert shared["leaves"] == 0
    assert network.until(lambda: all(network.status(f"leaf{n}").parent for n in range(14)), 60.0)
    assert len(promoted(network)) >= 2
