"""Whom a pong names, and what a forged one does."""

from random import Random

from common.addresses import Address
from common.core import DatagramReceived
from common.meeting import OTHERS_MAX, Facts, Meeting, padded_ping
from common.messages.fields import Contact
from common.messages.link import Pong
from common.network import Network
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.pongs import SEEN_MAX, Pongs
from tests.overlay_world import World, neighbours

ASKER = Address.of("10.9.9.9", 1214)


def contact(number: int, host: str = "10.0.{}.1") -> Contact:
    return Contact(number.to_bytes(32, "big"), Address.of(host.format(number), 1214))


def pongs(count: int) -> tuple[Pongs, dict[bytes, Neighbour]]:
    """Of one with so many neighbours."""
    beside = {contact(n).node: Neighbour(contact(n).address, 0.0) for n in range(count)}
    return Pongs(120.0, Random(1), beside), beside


def test_neighbours_and_those_seen_lately_in_turn() -> None:
    """As many of each as there is room for, with how far they are."""
    cached, beside = pongs(20)
    for number in range(100, 120):
        cached.saw(contact(number), 0.0)
    beside[contact(0).node].contacts = (contact(100),)
    named = cached.others(ASKER, 1.0)
    assert len(named) == OTHERS_MAX
    assert sum(each.node in beside for each in named) == OTHERS_MAX // 2
    assert all(hops == 1 for each, hops in named.items() if each.node in beside)
    assert all(hops in (2, 3) for each, hops in named.items() if each.node not in beside)
    assert named.get(contact(100), 2) == 2


def test_only_who_was_seen_lately_and_what_the_asker_can_use() -> None:
    """Hearsay is never passed on, nor what is old, nor who leaves, nor a narrower scope."""
    cached, beside = pongs(2)
    beside[contact(0).node].contacts = (contact(50),)
    beside[contact(1).node].leaving = True
    cached.saw(contact(60), 0.0)
    assert set(cached.others(ASKER, 119.0)) == {contact(0), contact(60)}
    assert set(cached.others(ASKER, 121.0)) == {contact(0)}
    assert cached.others(Address.of("30.0.0.1", 1), 1.0) == {}


def test_the_cache_is_bounded() -> None:
    """The one seen longest ago gives way."""
    cached, _ = pongs(0)
    for number in range(SEEN_MAX + 10):
        cached.saw(contact(number), 0.0)
    assert len(cached) == SEEN_MAX


def test_hops_are_cut_with_those_they_belong_to() -> None:
    """A pong that has no room for all names fewer, and is never longer than its ping."""
    others = tuple(contact(number) for number in range(OTHERS_MAX))
    me = contact(99)
    facts = Facts(me.node, me, 1, 2, 3.0, others, tuple(range(1, 9)) * 2)
    ping = padded_ping(bytes(16), Network("lab"))
    for length in (300, 700, 1200):
        event = DatagramReceived(ASKER, ping, length)
        (sent,) = Meeting(Network("lab"), Random(1)).answer(event, facts)
        assert isinstance(sent.message, Pong)
        assert len(sent.message.hops) == len(sent.message.others)


def test_a_pong_fills_the_host_cache_and_a_forged_one_nothing() -> None:
    """Only the pong with our nonce counts; whom it names is tried within the budget."""
    world = World()
    for name in ("sp1", "sp2"):
        world.superpeer(name, mends=True, seeds=(world.seed("seed", keyed=False),))
    world.superpeer("seed", mends=True)
    forged = Pong(bytes(16), "test", b"f" * 32, None, 0, 0, 0, ASKER, (contact(7),), "", (1,))
    for _ in range(100):
        world.feed("sp1", DatagramReceived(ASKER, forged))
    assert all(each.node != contact(7).node for each in world.core("sp1")._overlay.cache.pick(99))
    world.advance(70.0)
    assert neighbours(world, "sp1") == ["seed", "sp2"]
