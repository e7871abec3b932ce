"""Turnover and trimming: one comes, one goes in peace, nobody stays a hub, nobody is cut off."""

from msgspec.structs import replace

from common.config import Config, OverlayConfig
from common.core import SendDatagram
from common.messages.fields import Contact
from common.messages.link import Ping
from common.messages.overlay import Link, Unlinked
from tests.overlay_world import World, neighbours, reached

LEAVE_S = 5.0
QUIET = OverlayConfig(
    degree_wanted=4,
    degree_min=1,
    seed_places=0,
    feeler_s=1e6,
    turnover_s=1e6,
    trim_s=1e6,
    leave_s=LEAVE_S,
)


def contact(world: World, name: str) -> Contact:
    world.seed(name)
    return Contact(world.identities[name].node, world.addresses[name])


def meshed(count: int, config: OverlayConfig, wanting: int = 1) -> World:
    """Super-peers that know one another; the first `wanting` of them go by `config`."""
    world = World()
    for number in range(count):
        name = f"sp{number}"
        own = config if number < wanting else replace(QUIET, degree_wanted=4)
        world.superpeer(name, config=Config(overlay=own), mends=True, starts=False)
        cache = world.core(name)._overlay.cache
        for other in range(count):
            if other != number:
                cache.worked(contact(world, f"sp{other}"))
    for number in range(count):
        world.start(f"sp{number}")
    world.advance(20.0)
    return world


def unlinked(world: World, name: str) -> list[Unlinked]:
    return [m for who, _, m in world.sent if who == name and isinstance(m, Unlinked)]


def test_a_drawn_neighbour_is_exchanged_in_peace() -> None:
    """First the new one comes, then the old one is told that we leave, and seconds later we do."""
    world = meshed(12, replace(QUIET, turnover_s=30.0))
    before = neighbours(world, "sp0")
    assert len(before) >= 4
    told_before = len(world.sent)
    world.advance(200.0)
    said = [
        (world.sent.index(one), one[2])
        for one in world.sent[told_before:]
        if one[0] == "sp0" and isinstance(one[2], Unlinked)
    ]
    assert any(message.leaving for _, message in said)
    assert len(neighbours(world, "sp0")) >= 4
    assert neighbours(world, "sp0") != before


def test_nobody_goes_before_somebody_came() -> None:
    """Where nobody else is known nothing is exchanged."""
    world = meshed(5, replace(QUIET, turnover_s=10.0))
    before = neighbours(world, "sp0")
    world.advance(300.0)
    assert neighbours(world, "sp0") == before
    assert not any(message.leaving for message in unlinked(world, "sp0"))


def leaving(world: World) -> str:
    """sp0 begins to leave one of its neighbours; whom."""
    overlay = world.core("sp0")._overlay
    name = neighbours(world, "sp0")[0]
    for effect in overlay._leave(world.identities[name].node, world.now):
        world._perform("sp0", effect)
    return name


def test_a_query_under_way_is_not_cut_and_a_new_one_goes_elsewhere() -> None:
    """Both ends ask nothing new of one another, and answer what was asked."""
    world = meshed(6, QUIET)
    name = leaving(world)
    world.advance(0.5)
    for one, other in (("sp0", name), (name, "sp0")):
        overlay = world.core(one)._overlay
        node = world.identities[other].node
        assert node in overlay.neighbours
        assert node not in overlay.askable()
        assert all(each.node != node for each in overlay.contacts())
    world.advance(LEAVE_S + 1.0)
    assert name not in neighbours(world, "sp0")
    assert "sp0" not in neighbours(world, name)
    assert ("sp0", name) not in world._links


def test_one_that_says_it_leaves_and_stays_is_left() -> None:
    """Twice the time later we go ourselves."""
    world = World()
    world.superpeer("sp0", config=Config(overlay=QUIET), mends=True)
    world.leaf("liar")
    world.connect("liar", "sp0")
    world.say("liar", "sp0", Link(0))
    world.advance(0.5)
    world.say("liar", "sp0", Unlinked(leaving=True))
    world.advance(LEAVE_S)
    assert neighbours(world, "sp0") == ["liar"]
    world.advance(LEAVE_S + 1.0)
    assert neighbours(world, "sp0") == []


def test_a_hub_lets_those_go_that_have_enough_others() -> None:
    """Who was told to everybody ends with no more than a third too many."""
    config = Config(overlay=replace(QUIET, trim_s=2.0, degree_min=2))
    world = World()
    world.superpeer("sp0", config=config, mends=True)
    for number in range(1, 20):
        seeds = (world.seed("sp0"),)
        world.superpeer(f"sp{number}", config=config, seeds=seeds, mends=True)
        world.advance(0.5)
    world.advance(90.0)
    degrees = {name: len(neighbours(world, name)) for name in world.nodes}
    assert max(degrees.values()) <= 4 * 4 / 3 + 2
    assert min(degrees.values()) >= 3
    assert reached(world, "sp0") == sorted(world.nodes)


def test_nobody_is_let_go_who_would_be_taken_again_at_once() -> None:
    """Where few are wanted, a hub keeps those that were told to join it and have next to none
    beside it: they would go and come again, and be cut off each time."""
    config = Config(overlay=replace(QUIET, degree_wanted=2, degree_min=6, trim_s=2.0))
    world = World()
    world.superpeer("sp0", config=config, mends=True)
    for number in range(1, 5):
        seeds = (world.seed("sp0"),)
        world.superpeer(f"sp{number}", config=config, seeds=seeds, mends=True)
    world.advance(20.0)
    told_before = len(world.sent)
    world.advance(120.0)
    assert neighbours(world, "sp0") == ["sp1", "sp2", "sp3", "sp4"]
    assert not any(isinstance(message, Unlinked) for _, _, message in world.sent[told_before:])


def test_the_nearest_of_some_is_taken_for_a_far_one() -> None:
    """Only those that worked are pinged, four at a time, and only much less is worth it."""
    world = meshed(12, QUIET)
    overlay = world.core("sp0")._overlay
    turnover = overlay.keeping.turnover
    for each in overlay.neighbours.values():
        each.rtt_s = 0.4
    far = overlay.cache.pick(100, without=overlay.neighbours)
    pings = turnover._ping(far, world.now)
    assert len(pings) == 4
    assert all(isinstance(e, SendDatagram) and isinstance(e.message, Ping) for e in pings)
    for effect in pings:
        world._perform("sp0", effect)
    world.advance(3.0)
    near = [peer for peer, each in overlay.neighbours.items() if each.near]
    assert len(near) == 1
    assert near[0] in turnover._answered
    world.advance(LEAVE_S + 1.0)
    assert near[0] in overlay.neighbours
    other = world.core(world.names[near[0]])._overlay
    assert other.neighbours[world.identities["sp0"].node].near


def test_a_ping_is_no_better_than_a_dial() -> None:
    """One that only others named is not pinged, however near it would be."""
    world = meshed(6, QUIET)
    overlay = world.core("sp0")._overlay
    named = contact(world, "named")
    overlay.cache.hear([named], contact(world, "sp1"), world.now)
    assert overlay.keeping.turnover._ping([named], world.now) == []


def test_guests_leave_room_for_those_that_we_draw() -> None:
    """Forty that all have nobody crowd in first; half of what we want is still of our choice."""
    config = Config(overlay=replace(QUIET, degree_max=8))
    world = World()
    for number in range(6):
        world.superpeer(f"good{number}", config=Config(overlay=QUIET), mends=True)
    world.superpeer("sp0", config=config, mends=True, starts=False)
    cache = world.core("sp0")._overlay.cache
    for number in range(6):
        cache.worked(contact(world, f"good{number}"))
    for number in range(40):
        world.leaf(f"evil{number}")
        world.connect(f"evil{number}", "sp0")
        world.say(f"evil{number}", "sp0", Link(0, (), b"", 0))
    world.advance(0.2)
    guests = neighbours(world, "sp0")
    assert len(guests) == 8 - 3
    world.start("sp0")
    world.advance(30.0)
    assert len([name for name in neighbours(world, "sp0") if name.startswith("good")]) >= 1
    chosen = [each for each in world.core("sp0")._overlay.neighbours.values() if each.chosen]
    assert len(chosen) == 2


def test_alternatives_name_the_least_linked_first() -> None:
    """So those that look find the ones with room, and nobody becomes a hub."""
    world = World()
    config = Config(overlay=OverlayConfig(degree_max=2, seed_places=0))
    world.superpeer("sp0", config=config)
    for name, theirs in (("rich", 3), ("poor", 0), ("late", 0)):
        world.leaf(name)
        world.connect(name, "sp0")
        some = tuple(contact(world, f"other{number}") for number in range(theirs))
        world.say(name, "sp0", Link(0, some))
        world.advance(0.5)
    (answer,) = [m for m in world.puppet("late").heard if isinstance(m, Unlinked)]
    assert answer.alternatives == (contact(world, "poor"), contact(world, "rich"))
