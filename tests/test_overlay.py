"""Neighbours: agreeing, refusing, gossip, the map; finding seeds, pins, and trying again."""

import pytest

from common.addresses import Address
from common.config import Config, OverlayConfig
from common.core import DatagramReceived, Notify
from common.ids import NodeId, node_text
from common.messages.fields import Contact
from common.messages.link import Pong
from common.messages.overlay import Link, Linked, Neighbourhood, Unlinked
from common.storage import RememberPin
from superpeer.methods import Graph
from superpeer.overlay.joining import NEIGHBOUR_TRIES_MAX, STRANGER_TRIES_MAX
from superpeer.overlay.overlay import NOTES_BURST
from tests.overlay_world import World, neighbours

NARROW = Config(overlay=OverlayConfig(degree_max=1))


def notes(world: World, name: str) -> list[dict[str, object]]:
    """What it noted of joins that failed."""
    return [
        effect.fields
        for who, effect in world.effects
        if who == name and isinstance(effect, Notify) and effect.name == "join_failed"
    ]


def pins(world: World) -> list[tuple[str, NodeId | None]]:
    return [(e.place, e.node) for _, e in world.effects if isinstance(e, RememberPin)]


def test_both_ends_become_neighbours() -> None:
    """Who dials asks, who is asked agrees, and both tell each other's address as they see it."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    assert neighbours(world, "sp1") == ["sp2"]
    assert neighbours(world, "sp2") == ["sp1"]


def test_two_that_join_one_another_are_neighbours_once() -> None:
    """Crossing `Link`s agree with each other."""
    world = World(delay_s=(0.01, 0.01))
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2"), ("sp2", "sp1")])
    assert neighbours(world, "sp1") == ["sp2"]
    assert neighbours(world, "sp2") == ["sp1"]


def test_a_seed_without_a_key_is_asked_and_pinned() -> None:
    """The key comes by pong, the link proves it, and then it is remembered for the place."""
    world = World()
    world.superpeer("sp2")
    world.superpeer("sp1", seeds=(world.seed("sp2", keyed=False),))
    world.advance(1.0)
    assert neighbours(world, "sp1") == ["sp2"]
    assert pins(world) == [("sp2", world.identities["sp2"].node)]


def test_a_seed_with_a_key_needs_no_ping_and_no_pin() -> None:
    """What was typed is strict already."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    assert pins(world) == []


def test_another_key_than_the_pinned_one_is_refused() -> None:
    """It is never linked to; the error says how to reset the pin, once."""
    world = World()
    world.superpeer("sp2")
    seed = world.seed("sp2", keyed=False)
    world.superpeer("sp1", seeds=(seed,), pins=(("sp2", b"k" * 32),))
    world.advance(60.0)
    assert neighbours(world, "sp1") == []
    (note,) = notes(world, "sp1")
    assert "superpeer pins reset sp2" in str(note["reason"])
    assert [e.level for _, e in world.effects if isinstance(e, Notify)] == ["error"]


def test_a_silent_place_is_told_once_and_tried_for_ever() -> None:
    """Nobody is there; much later somebody is."""
    world = World()
    world.superpeer("sp1", seeds=(world.seed("sp2", keyed=False),))
    world.advance(600.0)
    (note,) = notes(world, "sp1")
    assert "does not answer pings" in str(note["reason"])
    world.superpeer("sp2")
    world.advance(62.0)
    assert neighbours(world, "sp1") == ["sp2"]


def test_a_leaf_that_answers_refers_to_its_parent() -> None:
    """Its parent is the one to join, at the address it names; nothing is pinned to the place."""
    world = World()
    world.superpeer("sp2")
    world.leaf("leaf1")
    world.superpeer("sp1", seeds=(world.seed("leaf1", keyed=False),))
    (nonce,) = world.pings
    parent = Contact(world.identities["sp2"].node, world.addresses["sp2"])
    leaf, here = world.identities["leaf1"].node, world.addresses["sp1"]
    pong = Pong(nonce, "test", leaf, parent, 0, 0, 0, here)
    world.feed("sp1", DatagramReceived(world.addresses["leaf1"], pong))
    world.advance(1.0)
    assert neighbours(world, "sp1") == ["sp2"]
    assert pins(world) == []


@pytest.mark.parametrize(
    ("superpeer", "reason"),
    [(None, "another network"), (Address.of("127.0.0.1", 22), "cannot use")],
    ids=["refused", "out of scope"],
)
def test_a_useless_pong_is_told(superpeer: Address | None, reason: str) -> None:
    """A refusal, or a parent at an address that the scope rule forbids, ends this try."""
    world = World()
    world.superpeer("sp1", seeds=(world.seed("leaf1", keyed=False),))
    (nonce,) = world.pings
    contact = Contact(b"p" * 32, superpeer) if superpeer else None
    refusal = "" if superpeer else "this node belongs to another network"
    here = world.addresses["sp1"]
    pong = Pong(nonce, "test", b"l" * 32, contact, 0, 0, 0, here, refusal=refusal)
    world.feed("sp1", DatagramReceived(world.addresses["leaf1"], pong))
    (note,) = notes(world, "sp1")
    assert reason in str(note["reason"])


def test_to_join_oneself_is_told() -> None:
    """A node that is given its own place says so and stays alone."""
    world = World()
    world.superpeer("sp1", seeds=(world.seed("sp1"),))
    world.advance(1.0)
    assert neighbours(world, "sp1") == []
    assert "is this node itself" in str(notes(world, "sp1")[0]["reason"])


def test_a_lost_seed_is_dialled_again() -> None:
    """It dies, comes back, and is a neighbour again; the pauses grow in between."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    world.kill("sp2")
    before = world.dials
    world.advance(600.0)
    assert 10 < world.dials - before < 30
    world.superpeer("sp2")
    world.advance(61.0)
    assert neighbours(world, "sp1") == ["sp2"]


def test_a_full_superpeer_names_others() -> None:
    """Who finds no room takes one of the alternatives, and keeps trying its seed."""
    world = World()
    for name, seed in (("hub", None), ("sp1", "hub")):
        seeds = (world.seed(seed),) if seed else ()
        world.superpeer(name, seeds=seeds, config=NARROW if name == "hub" else None)
        world.advance(1.0)
    world.superpeer("sp2", seeds=(world.seed("hub"),))
    world.advance(2.0)
    assert neighbours(world, "sp2") == ["sp1"]
    assert neighbours(world, "hub") == ["sp1"]
    world.kill("sp1")
    world.advance(61.0)
    assert neighbours(world, "hub") == ["sp2"]


def test_who_was_named_by_others_is_forgotten_after_some_tries() -> None:
    """A stranger that cannot be linked to costs three dials, one that was a neighbour ten (T3)."""
    world = World()
    world.superpeer("sp1", seeds=(world.seed("hub"),))
    world.superpeer("hub", config=NARROW)
    world.superpeer("sp2", seeds=(world.seed("hub"),))
    world.advance(5.0)
    assert sorted([*neighbours(world, "sp1"), *neighbours(world, "sp2")]).count("hub") == 1
    dialled_other = "sp1" if "hub" not in neighbours(world, "sp1") else "sp2"
    other = "sp2" if dialled_other == "sp1" else "sp1"
    world.kill(other)
    before = world.dialled(dialled_other, other)
    world.advance(1000.0)
    again = world.dialled(dialled_other, other) - before
    assert STRANGER_TRIES_MAX < again < NEIGHBOUR_TRIES_MAX


def test_gossip_is_on_change_and_not_too_often() -> None:
    """Ten leaves that join within a second make one message for each neighbour, and silence
    follows."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    world.advance(10.0)
    for number in range(10):
        world.leaf(f"leaf{number}")
        world.join(f"leaf{number}", "sp1")
        world.advance(0.1)
    before = len(world.sent)
    world.advance(60.0)
    sent = [message for _, to, message in world.sent[before:] if to == "sp2"]
    (told,) = [message for message in sent if isinstance(message, Neighbourhood)]
    assert (told.leaves, told.neighbours) == (10, ())


def test_the_map_shows_neighbours_and_theirs() -> None:
    """What lies two links away is known by hearsay, without its load."""
    world = World()
    world.superpeers(["sp1", "sp2", "sp3", "sp4"], [("sp1", "sp2"), ("sp2", "sp3"), ("sp3", "sp4")])
    world.leaf("leaf1")
    world.join("leaf1", "sp2")
    world.advance(20.0)
    (graph,) = world.ask("sp1", "superpeer.graph")
    assert isinstance(graph, Graph)
    loads = {world.texts[node.node]: node.leaves for node in graph.nodes}
    assert loads == {"sp1": 0, "sp2": 1, "sp3": None}
    edges = [sorted((world.texts[edge.a], world.texts[edge.b])) for edge in graph.edges]
    assert sorted(edges) == [["sp1", "sp2"], ["sp2", "sp3"]]
    assert all(edge.a < edge.b for edge in graph.edges)


def test_addresses_out_of_scope_are_not_believed() -> None:
    """A private neighbour's loopback neighbours are no alternatives for our leaves (T3)."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    bad, good = Address.of("127.0.0.1", 1), Address.of("10.9.9.9", 1)
    known = (Contact(b"b" * 32, bad), Contact(b"g" * 32, good))
    world.deafen("sp2")
    world.say("sp2", "sp1", Neighbourhood(0, known))
    world.advance(1.0)
    (graph,) = world.ask("sp1", "superpeer.graph")
    assert isinstance(graph, Graph)
    nodes = [node.node for node in graph.nodes]
    assert node_text(b"g" * 32) in nodes
    assert node_text(b"b" * 32) not in nodes


def test_what_nobody_asked_for_is_dropped_and_counted() -> None:
    """`Linked`, `Unlinked` and news of strangers change nothing."""
    world = World()
    world.superpeer("sp1")
    world.leaf("stranger")
    world.join("stranger", "sp1")
    for message in (Linked(0), Unlinked(), Neighbourhood(0)):
        world.say("stranger", "sp1", message)
    world.advance(1.0)
    assert neighbours(world, "sp1") == []
    assert world.core("sp1").snapshot().dropped == {
        "linked_unasked": 1,
        "unlinked_unasked": 1,
        "neighbourhood_of_stranger": 1,
    }


def test_the_degree_is_bounded() -> None:
    """Above `degree_max` a `Link` is answered `Unlinked`, with our neighbours to try."""
    world = World()
    world.superpeer("hub", config=NARROW)
    for name in ("one", "two"):
        world.leaf(name)
        world.connect(name, "hub")
        world.say(name, "hub", Link(0))
        world.advance(0.5)
    assert world.puppet("one").heard[0] == Linked(0)
    one = Contact(world.identities["one"].node, world.addresses["one"])
    assert world.puppet("two").heard == [Unlinked((one,))]


def test_who_asks_keeps_to_its_degree_too() -> None:
    """Two seeds agree, there is room for one: the other is sent to it, and left in peace."""
    world = World()
    for name in ("sp2", "sp3"):
        world.superpeer(name)
    world.superpeer("sp1", seeds=(world.seed("sp2"), world.seed("sp3")), config=NARROW)
    world.advance(300.0)
    (one,) = neighbours(world, "sp1")
    other = "sp3" if one == "sp2" else "sp2"
    assert neighbours(world, other) == [one]
    unlinked = [to for _, to, message in world.sent if isinstance(message, Unlinked)]
    assert unlinked == [other]


def test_a_peer_that_says_nothing_is_asked_again() -> None:
    """After the longest pause, over the link that is there."""
    world = World()
    world.leaf("mute")
    world.superpeer("sp1", seeds=(world.seed("mute"),))
    world.advance(130.0)
    assert world.puppet("mute").heard == [Link(0)] * 3


def test_two_keyless_places_of_one_node_make_one_neighbour() -> None:
    """The second place finds that its node is a neighbour already."""
    world = World()
    world.superpeer("sp2")
    first = world.seed("sp2", keyed=False)
    second = type(first)("other name", first.address)
    world.superpeer("sp1", seeds=(first, second))
    world.advance(5.0)
    assert neighbours(world, "sp1") == ["sp2"]
    assert sorted(place for place, _ in pins(world)) == ["other name", "sp2"]


def test_asked_rows_are_sorted_and_cut() -> None:
    """`sort` is a key of the rows; the answer keeps to `limit`."""
    world = World()
    world.superpeers(["sp1", "sp2", "sp3"], [("sp1", "sp2"), ("sp1", "sp3")])
    (rows,) = world.ask("sp1", "superpeer.neighbours", sort="address", limit=1)
    assert isinstance(rows, list)
    assert [row.address for row in rows] == [str(world.addresses["sp2"])]


def hostile(world: World) -> None:
    """A neighbour of sp1 that does what the test says; `victim` is an address, no node."""
    world.superpeer("sp1")
    world.leaf("hostile")
    world.connect("hostile", "sp1")


def at_victim(world: World, number: int, port: int = 1) -> Contact:
    """A key that nobody has, at the victim's address."""
    node = world._place(f"nobody{number}").node
    return Contact(node, Address.of("10.9.9.9", port))


def test_nobody_can_aim_our_dials() -> None:
    """However often an address is named under whatever keys, it is dialled once a minute."""
    world = World()
    hostile(world)
    for number in range(200):
        world.say("hostile", "sp1", Link(0))
        world.say("hostile", "sp1", Unlinked((at_victim(world, number),)))
        world.advance(0.5)
    assert 1 <= world.dials <= 3


def test_addresses_that_others_name_are_dialled_a_few_a_second() -> None:
    """Many addresses share one credit."""
    world = World()
    config = OverlayConfig(relink_s=0.0, hearsay_dials_per_s=0.1, hearsay_dials_burst=2)
    world.superpeer("sp1", config=Config(overlay=config))
    world.leaf("hostile")
    world.connect("hostile", "sp1")
    for number in range(50):
        world.say("hostile", "sp1", Link(0))
        world.say("hostile", "sp1", Unlinked((at_victim(world, number, number + 1),)))
        world.advance(0.2)
    assert world.dials <= 3


def test_who_was_parted_from_is_not_taken_again_at_once() -> None:
    """A storm of `Link` and `Unlinked` makes one neighbour and two lines, not thousands."""
    world = World()
    hostile(world)
    for _ in range(1_000):
        world.say("hostile", "sp1", Link(0))
        world.say("hostile", "sp1", Unlinked())
    world.advance(4.0)
    assert len([effect for _, effect in world.effects if isinstance(effect, Notify)]) == 2
    assert world.core("sp1").snapshot().dropped["link_too_soon"] == 999
    world.advance(2.0)
    world.say("hostile", "sp1", Link(0))
    world.advance(0.5)
    assert neighbours(world, "sp1") == ["hostile"]


def test_lines_about_neighbours_are_limited_in_all() -> None:
    """Strangers under ever new keys cannot fill the log."""
    world = World()
    world.superpeer("sp1")
    for number in range(200):
        world.leaf(f"one{number}")
        world.connect(f"one{number}", "sp1")
        world.say(f"one{number}", "sp1", Link(0))
        world.advance(0.1)
        world.hang_up(f"one{number}", "sp1", "lost")
    lines = [effect for _, effect in world.effects if isinstance(effect, Notify)]
    assert NOTES_BURST <= len(lines) <= NOTES_BURST + 21
