"""Nobody can aim our dials: what a budget allows, and what becomes of lists of a victim."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.config import OverlayConfig
from common.core import Dial, Effect, LinkUp, SendDatagram
from common.dialbudget import TARGETS_MAX, DialBudget
from common.doors import Door
from common.limits import HOSTS_PER_LIST_MAX
from common.meeting import Meeting
from common.messages.fields import Contact
from common.messages.overlay import Link, Linked, Neighbourhood, Unlinked
from common.network import Network
from superpeer.overlay.overlay import Overlay

HOUR_S = 3600.0
PUBLIC = Address.of("30.0.0.1", 4000)
PRIVATE = Address.of("10.0.0.1", 4000)


def budget(per_s: float = 1000.0, burst: int = 100_000) -> DialBudget:
    return DialBudget(per_s=per_s, burst=burst, target_s=HOUR_S, again_s=60.0)


def test_an_address_once_an_hour() -> None:
    """Not again a second before the hour is over."""
    dials = budget()
    assert dials.take(PUBLIC, 0.0)
    assert not dials.take(PUBLIC, HOUR_S - 1)
    assert dials.take(PUBLIC, HOUR_S)


def test_in_public_scope_all_ports_are_one_host() -> None:
    """Elsewhere one host is many nodes."""
    dials = budget()
    assert dials.take(PUBLIC, 0.0)
    assert not dials.take(PUBLIC.at(5000), 1.0)
    assert dials.take(PRIVATE, 2.0)
    assert dials.take(PRIVATE.at(5000), 3.0)


def test_who_proved_to_be_of_us_waits_a_minute() -> None:
    """That it was dialled as hearsay before does not hold it back."""
    dials = budget()
    assert dials.take(PUBLIC, 0.0)
    assert not dials.take(PUBLIC, 59.0, proven=True)
    assert dials.take(PUBLIC, 61.0, proven=True)


def test_all_share_one_credit() -> None:
    """A few at once, then so many a second."""
    dials = budget(per_s=2.0, burst=8)
    taken = [dials.take(PRIVATE.at(port), 0.0) for port in range(1, 100)]
    assert sum(taken) == 8
    assert sum(dials.take(PRIVATE.at(port), 1.0) for port in range(100, 200)) == 2


def test_memory_is_bounded() -> None:
    """When it is full nobody is dialled, rather than somebody twice."""
    dials = budget()
    for number in range(TARGETS_MAX + 10):
        ip = bytes((20 + number // 65_536, number // 256 % 256, number % 256, 1))
        assert dials.take(Address(ip, 4000), 0.0) == (number < TARGETS_MAX)
    assert len(dials) == TARGETS_MAX
    assert dials.take(PUBLIC, HOUR_S)
    assert len(dials) == 1


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 3), st.booleans()), max_size=60))
def test_no_target_is_met_twice_within_its_pause(steps: list[tuple[float, int, bool]]) -> None:
    """Whatever is asked, in whatever order."""
    dials, now = budget(), 0.0
    last: dict[int, float] = {}
    for pause_s, number, proven in steps:
        now += pause_s
        if dials.take(Address.of(f"30.0.0.{number}", 4000), now, proven=proven):
            assert now >= last.get(number, -HOUR_S) + (60.0 if proven else HOUR_S)
            last[number] = now


class Peer:
    """One super-peer among thousands, with a liar for a neighbour."""

    def __init__(self, seed: int) -> None:
        self.links: dict[bytes, LinkUp] = {}
        self.looks: list[float] = []  # at the victim: dials and pings
        self.now = 0.0
        rng = Random(seed)
        self.overlay = Overlay(
            b"\xff" * 32,
            config=OverlayConfig(),
            rng=rng,
            links=self.links,
            meeting=Meeting(Network("public"), rng),
            seeds=(),
            on_linked=lambda _peer, _now: [],
            on_parted=lambda _peer, _now: [],
        )
        self.do(self.overlay.start(0.0))

    def link(self, contact: Contact, *, inbound: bool) -> None:
        """A link to it is up."""
        here = Address.of("31.0.0.1", 1214)
        link = LinkUp(contact.node, Door.CONTROL, contact.address, here, inbound, 0)
        self.links[contact.node] = link
        self.do(self.overlay.linked(link, self.now))

    def do(self, effects: list[Effect]) -> None:
        """Count looks at the victim, where nobody answers."""
        for effect in effects:
            if isinstance(effect, SendDatagram) and effect.address.ip == PUBLIC.ip:
                self.looks.append(self.now)
            if isinstance(effect, Dial) and effect.address.ip == PUBLIC.ip:
                self.looks.append(self.now)
                self.do(self.overlay.link_lost(effect.peer, self.now, was_up=False))

    def run(self, until: float) -> None:
        """Let time pass."""
        while (when := self.overlay.wakeup()) is not None and when <= until:
            self.now = max(self.now, when)
            self.do(self.overlay.due(self.now))
        self.now = until


@pytest.mark.parametrize("seed", range(10))
def test_a_victim_in_ten_thousand_entries_is_met_once_an_hour(seed: int) -> None:
    """Ever new keys at ever new ports of one host, in every message that can name somebody; each
    peer decides for itself, so of 1,000 each meets it once an hour as well (THREATS T3)."""
    peer, rng = Peer(seed), Random(seed)
    liar = Contact(b"l" * 32, Address.of("32.0.0.1", 1214))
    peer.link(liar, inbound=False)
    peer.do(peer.overlay.on_link(liar.node, Link(0), peer.now))
    for _ in range(50):
        listed = tuple(
            Contact(rng.randbytes(32), PUBLIC.at(rng.randrange(1024, 65_536)))
            for _ in range(HOSTS_PER_LIST_MAX)
        )
        peer.do(peer.overlay.on_neighbourhood(liar.node, Neighbourhood(0, listed), peer.now))
        peer.do(peer.overlay.on_link(liar.node, Link(0, listed), peer.now))
        peer.do(peer.overlay.on_linked(liar.node, Linked(0, listed), peer.now))
        if rng.random() < 0.3:
            peer.do(peer.overlay.on_unlinked(liar.node, Unlinked(listed), peer.now))
            peer.run(peer.now + 6.0)
            if liar.node not in peer.links:
                peer.link(liar, inbound=False)
            peer.do(peer.overlay.on_link(liar.node, Link(0), peer.now))
        peer.run(peer.now + 72.0)
    hours = [sum(begin <= at < begin + HOUR_S for at in peer.looks) for begin in peer.looks]
    assert peer.looks
    assert max(hours) == 1


def test_nobody_is_believed_about_well_known_ports_of_the_internet() -> None:
    """A web server is no super-peer; in private scope it may be."""
    peer = Peer(0)
    liar = Contact(b"l" * 32, Address.of("32.0.0.1", 1214))
    peer.link(liar, inbound=False)
    listed = (Contact(b"w" * 32, PUBLIC.at(443)),)
    peer.do(peer.overlay.on_link(liar.node, Link(0, listed), 0.0))
    peer.run(HOUR_S)
    assert peer.looks == []
