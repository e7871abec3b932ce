"""Feelers: names are tried before they are needed; anchors are remembered last."""

from common.config import Config, OverlayConfig
from common.core import LetGo
from common.doors import Door
from common.messages.fields import Contact
from common.messages.overlay import Link, Unlinked
from common.storage import RememberSuperPeer, Restored
from superpeer.overlay.feelers import FELT
from tests.overlay_world import World, neighbours

CONFIG = Config(
    overlay=OverlayConfig(
        degree_wanted=2, degree_min=1, seed_places=0, feeler_s=10.0, turnover_s=1e6, trim_s=1e6
    )
)


def contact(world: World, name: str) -> Contact:
    world.seed(name)
    return Contact(world.identities[name].node, world.addresses[name])


def known(world: World, name: str) -> list[Contact]:
    return world.core(name)._overlay.cache.pick(1_000)


def satisfied(*others: str) -> World:
    """sp0 has as many neighbours as it wants, and has heard of these."""
    world = World()
    for name in ("sp1", "sp2"):
        world.superpeer(name)
    world.superpeer("sp0", config=CONFIG, seeds=(world.seed("sp1"), world.seed("sp2")), mends=True)
    world.advance(1.0)
    assert neighbours(world, "sp0") == ["sp1", "sp2"]
    cache = world.core("sp0")._overlay.cache
    cache.hear([contact(world, name) for name in others], contact(world, "sp1"), world.now)
    return world


def test_one_that_lives_has_worked_then() -> None:
    """A link is made and hung up; nobody becomes a neighbour, and it is remembered."""
    world = satisfied("living")
    world.superpeer("living")
    world.advance(16.0)
    assert world.dialled("sp0", "living") == 1
    assert neighbours(world, "sp0") == ["sp1", "sp2"]
    assert world.core("sp0")._overlay.cache.has_worked(contact(world, "living"))
    assert ("sp0", "living") not in world._links
    remembered = [e.node for who, e in world.effects if isinstance(e, RememberSuperPeer)]
    assert world.identities["living"].node in remembered
    world.advance(200.0)
    assert world.dialled("sp0", "living") == 1


def test_one_that_is_dead_is_forgotten() -> None:
    """Once something else works."""
    world = satisfied("dead", "living")
    world.superpeer("living")
    world.advance(60.0)
    nodes = [each.node for each in known(world, "sp0")]
    assert world.identities["living"].node in nodes
    assert world.identities["dead"].node not in nodes


def test_a_link_that_a_leaf_needs_by_then_is_kept() -> None:
    """A feeler lets go of it in any case; who is our leaf as well is needed all the same."""
    world = satisfied("living")
    world.superpeer("living")
    core, node = world.core("sp0"), world.identities["living"].node
    feelers = core._overlay.keeping.feelers
    feelers._felt = node
    assert feelers.linked(node) == [LetGo(node, Door.CONTROL, FELT)]
    assert not core.needs(node, Door.CONTROL)
    world.leaf("leaf")
    world.join("leaf", "sp0")
    world.advance(1.0)
    assert core.needs(world.identities["leaf"].node, Door.CONTROL)


def test_an_overlay_that_is_not_kept_feels_nobody() -> None:
    """Where a graph was drawn by hand it stays as it is."""
    world = World()
    world.superpeer("sp0")
    world.core("sp0")._overlay.cache.hear([contact(world, "a")], contact(world, "b"), 0.0)
    world.advance(500.0)
    assert world.dials == 0


def test_two_neighbours_of_our_lot_are_remembered_last() -> None:
    """The next run dials them first, before all others that worked."""
    world = satisfied("living")
    world.superpeer("living")
    world.advance(16.0)
    world.ask("sp0", "superpeer.drain")
    kept = [e.node for who, e in world.effects if who == "sp0" and isinstance(e, RememberSuperPeer)]
    sp1, sp2 = world.identities["sp1"].node, world.identities["sp2"].node
    assert set(kept[-2:]) == {sp1, sp2}
    latest = dict.fromkeys(reversed(kept))
    best_first = tuple((node, world.addresses[world.names[node]]) for node in latest)
    world.kill("sp0")
    world.superpeer("again", config=CONFIG, mends=True, starts=False)
    world.feed("again", Restored(known=best_first))
    world.start("again")
    world.advance(5.0)
    assert neighbours(world, "again") == ["sp1", "sp2"]


def test_one_in_doubt_is_tested() -> None:
    """It has to give way to a newcomer unless it still works: linked with it has."""
    world = satisfied()
    cache = world.core("sp0")._overlay.cache
    cache._contest = (world.identities["sp1"].node, contact(world, "new"))
    assert cache.doubtful == contact(world, "sp1")
    world.advance(16.0)
    assert cache.doubtful is None
    assert contact(world, "sp1") in known(world, "sp0")


def test_a_mute_peer_is_given_up_and_hung_up_on() -> None:
    """It takes links and never completes: after a few seconds another one has its place."""
    world = World()
    world.leaf("mute")
    world.superpeer("good")
    world.leaf("namer")
    world.superpeer("sp0", config=CONFIG, mends=True)
    world.connect("namer", "sp0")
    world.say("namer", "sp0", Link(0))
    world.advance(0.2)
    world.say("namer", "sp0", Unlinked((contact(world, "mute"),)))
    world.advance(2.0)
    assert ("sp0", "mute") in world._links
    world.advance(CONFIG.overlay.answer_s + 1.0)
    assert ("sp0", "mute") not in world._links
    assert [type(one) for one in world.puppet("mute").heard] == [Link]
