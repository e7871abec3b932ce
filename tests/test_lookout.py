"""A super-peer looks out for others: the LAN always, lists while it is alone."""

from random import Random

from common.addresses import Address
from common.config import Config
from common.core import (
    Bound,
    DatagramReceived,
    Effect,
    Event,
    LinkUp,
    Notify,
    OpenLink,
    Received,
    SendDatagram,
    Stopped,
    Woke,
)
from common.core import Dial as DialOrder
from common.doors import Door
from common.ids import Identity
from common.ladder import LAN, SITE, SRV, Announce, Found, Seek
from common.meeting import Seed
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.messages.overlay import Link
from common.network import Network
from common.storage import Restored
from superpeer.overlay.joining import STRANGERS_MAX
from superpeer.role import SuperPeer

ME = Identity(bytes(32))
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 40)]
HOME = Address.of("10.0.0.200", 1214)
CONFIG = Config().overlay


def at(number: int) -> Address:
    """Where the super-peer of this number is."""
    return Address.of(f"10.0.0.{number}", 1214)


class Watching:
    """A super-peer with the time, and what it has ordered since last asked."""

    def __init__(self, *steps: str, seeds: tuple[Seed, ...] = (), restored: Restored | None = None):
        self.now = 10.0
        config, network = Config(), Network("test")
        self.core = SuperPeer(
            ME, config=config, network=network, rng=Random(1), seeds=seeds, steps=steps
        )
        self.feed(restored or Restored())
        self.first = self.feed(Bound(HOME, None))

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        return self.core.handle(event, self.now)

    def wait(self, seconds: float) -> list[Effect]:
        """What the time causes."""
        end, effects = self.now + seconds, []
        while (due := self.core.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            effects += self.feed(Woke())
        self.now = end
        return effects

    def link(self, number: int) -> None:
        """This one asks to be our neighbour."""
        self.feed(LinkUp(KEYS[number], Door.CONTROL, at(number), HOME, inbound=True))
        self.feed(Received(KEYS[number], Link(0, ())))


def sought(effects: list[Effect]) -> list[str]:
    """The steps that are to be asked."""
    return [each.step for each in effects if isinstance(each, Seek)]


def dialled(effects: list[Effect]) -> list[bytes]:
    """Whom it dials."""
    return [each.peer for each in effects if isinstance(each, DialOrder)]


def test_the_lan_is_told_and_heard_for_ever() -> None:
    """From open doors to the end, where the announcement is taken back."""
    watching = Watching(LAN)
    assert Announce() in watching.first
    assert Seek(LAN, float("inf")) in watching.first
    assert Announce(on=False) in watching.feed(Stopped(1.0))
    assert sought(Watching().first) == []


def test_who_is_seen_on_the_lan_is_dialled() -> None:
    """And remembered, so that it is tried again while neighbours lack; ourselves never."""
    watching = Watching(LAN)
    seeds = (Seed("", at(1), KEYS[1], LAN), Seed("", HOME, ME.node, LAN))
    assert dialled(watching.feed(Found(LAN, seeds))) == [KEYS[1]]
    assert len(watching.core._overlay.cache) == 1
    assert watching.core.snapshot().sources == {LAN: 2}


def test_lists_are_asked_at_once_by_who_knows_nobody() -> None:
    """Who was told others, or remembers some, gives those a moment."""
    assert sought(Watching(SITE, SRV).wait(0.0)) == [SITE, SRV]
    told = Watching(SITE, seeds=(Seed("10.0.0.9:1214", at(9), KEYS[9]),))
    assert sought(told.wait(CONFIG.alone_s / 2)) == []
    assert sought(told.wait(CONFIG.alone_s)) == [SITE]
    remembering = Watching(SITE, restored=Restored(known=((KEYS[9], at(9)),)))
    assert sought(remembering.wait(CONFIG.alone_s / 2)) == []


def test_lists_are_asked_ever_more_rarely_and_not_with_neighbours() -> None:
    """A list may be somebody's web page: a few times an hour at most."""
    watching = Watching(SITE)
    asked = len(sought(watching.wait(10 * 3600.0)))
    assert 10 < asked < 20
    linked = Watching(SITE)
    linked.link(1)
    assert sought(linked.wait(3600.0)) == []


def test_places_of_a_list_are_pinged_for_their_keys() -> None:
    """A few at a time; what answers is dialled, what does not is given up."""
    watching = Watching(SITE)
    seeds = tuple(Seed(f"sp{number}:1214", at(number)) for number in range(1, 30))
    effects = watching.feed(Found(SITE, seeds))
    pings = {each.address: each.message for each in effects if isinstance(each, SendDatagram)}
    assert len(pings) == STRANGERS_MAX
    address, ping = next(iter(pings.items()))
    assert isinstance(ping, Ping)
    contact = Contact(KEYS[5], address)
    pong = Pong(ping.nonce, "test", KEYS[5], contact, 0, 9, 1, HOME)
    assert dialled(watching.feed(DatagramReceived(address, pong))) == [KEYS[5]]
    watching.wait(2 * CONFIG.ping_s)
    again = watching.feed(Found(SITE, seeds))
    assert len([each for each in again if isinstance(each, SendDatagram)]) == STRANGERS_MAX - 1
    assert not [each for each in again if isinstance(each, OpenLink)]


def test_what_is_wrong_with_a_step_is_told_once() -> None:
    """Until it is something else."""
    watching = Watching(SITE)
    told = [
        [
            each.fields["reason"]
            for each in watching.feed(Found(SITE, (), why))
            if isinstance(each, Notify)
        ]
        for why in ("gone", "gone", "", "gone", "worse")
    ]
    assert told == [["gone"], [], [], ["gone"], ["worse"]]
