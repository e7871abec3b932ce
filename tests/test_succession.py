"""No super-peer is left: the line decides who follows, and only who is vouched for."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ParentConfig
from common.core import (
    DatagramReceived,
    Effect,
    Event,
    Promote,
    Promoted,
    Received,
    SendDatagram,
    Stopped,
    Woke,
)
from common.ids import Identity, NodeId
from common.messages.cluster import Line
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.network import Network
from leaf.parent.succession import ASKERS_MAX, FOLLOWERS, NAMES_MAX, VOUCHERS_MIN, Succession
from leaf.signals import Alone, Joined, Named, Orphaned

NETWORK = Network("test")
CONFIG = ParentConfig()
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 8)]
ME = KEYS[2]
PARENT = KEYS[0]


def at(number: int) -> Address:
    """Where the node of this number is."""
    return Address.of(f"10.0.0.{number}", 1214)


def contact(number: int) -> Contact:
    """It, there."""
    return Contact(KEYS[number], at(number))


class Orphan:
    """A leaf, third of all nodes, whose parent told it a line before it went."""

    def __init__(self, *line: int, promotes: bool = True, may_begin: bool = False) -> None:
        self.now = 100.0
        self.core = Succession(ME, NETWORK, CONFIG, Random(1), promotes=promotes)
        self.ordered: list[Effect] = []
        self.pings: dict[Address, Ping] = {}
        self.alone = Alone("nobody answers", may_begin)
        self.feed(Joined(PARENT, at(0), 0, 100))
        self.feed(Received(PARENT, Line(tuple(contact(number) for number in line))))
        self.feed(self.alone)

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        effects = self.core.handle(event, self.now)
        self.ordered += effects
        for effect in effects:
            if isinstance(effect, SendDatagram) and isinstance(effect.message, Ping):
                self.pings[effect.address] = effect.message
            if isinstance(effect, Promote):
                self.core.handle(Promoted(ME), self.now)
        return effects

    def wait(self, seconds: float, *alive: int) -> None:
        """Let time pass; `alive` are orphans that answer each ping."""
        end = self.now + seconds
        while True:
            for number in alive:
                if at(number) in self.pings:
                    self.pong(number)
            due = self.core.wakeup()
            if due is None or due > end:
                break
            self.now = max(due, self.now)
            self.feed(Woke())
        self.now = end

    def pong(self, number: int, superpeer: Contact | None = None, node: NodeId = b"") -> None:
        """The answer to the last ping to this node."""
        nonce = self.pings.pop(at(number)).nonce
        pong = Pong(nonce, NETWORK.name, node or KEYS[number], superpeer, 0, 0, 1, at(2))
        self.feed(DatagramReceived(at(number), pong))

    def asked_by(self, orphans: int) -> None:
        """So many others ask us."""
        for number in range(orphans):
            asker = Address.of(f"10.1.{number // 250}.{number % 250 + 1}", 1214)
            self.feed(DatagramReceived(asker, Ping(bytes(16), NETWORK.name)))

    @property
    def promotions(self) -> list[Promote]:
        """What it became."""
        return [each for each in self.ordered if isinstance(each, Promote)]

    @property
    def named(self) -> list[tuple[Contact, ...]]:
        """The super-peers that the others have."""
        return [each.superpeers for each in self.ordered if isinstance(each, Named)]


def test_the_first_in_line_follows_once_another_orphan_vouches() -> None:
    """It needs one answer, knows the others as seeds, and begins nothing twice."""
    orphan = Orphan(2, 3, 4)
    assert set(orphan.pings) == {at(3), at(4)}
    orphan.wait(CONFIG.line_s, 4)
    assert orphan.promotions == [Promote(((KEYS[3], at(3)), (KEYS[4], at(4))))]
    orphan.feed(orphan.alone)
    orphan.wait(60.0, 3, 4)
    assert len(orphan.promotions) == 1


def test_who_stands_behind_waits_a_turn_for_each_before() -> None:
    """The first answers and does nothing: the second follows when its turn is over."""
    orphan = Orphan(3, 2, 4)
    orphan.wait(CONFIG.turn_s - CONFIG.line_s, 3)
    assert not orphan.promotions
    orphan.wait(2 * CONFIG.line_max_s, 3)
    assert len(orphan.promotions) == 1


def test_where_many_ask_as_many_follow_at_once() -> None:
    """One super-peer would be full: who stands second goes with the first."""
    orphan = Orphan(3, 2, 4)
    orphan.asked_by(FOLLOWERS)
    orphan.wait(CONFIG.line_s, 3, 4)
    assert len(orphan.promotions) == 1
    orphan.asked_by(2 * ASKERS_MAX)
    assert len(orphan.core._askers) == ASKERS_MAX


def test_who_is_asked_is_in_a_line_even_if_not_in_its_own() -> None:
    """Nobody of our line follows: our turn comes after theirs."""
    orphan = Orphan(3, 4, 5)
    orphan.asked_by(VOUCHERS_MIN)
    orphan.wait(3 * CONFIG.turn_s - 2 * CONFIG.line_s, 3, 4, 5)
    assert not orphan.promotions
    orphan.wait(2 * CONFIG.line_max_s, 3, 4, 5)
    assert len(orphan.promotions) == 1


def test_who_does_not_answer_has_no_turn() -> None:
    """Those before us are gone with the super-peers; one behind vouches."""
    orphan = Orphan(3, 4, 2, 5)
    orphan.wait(CONFIG.line_s, 5)
    assert len(orphan.promotions) == 1


def test_who_is_cut_off_follows_nobody() -> None:
    """Nobody answers: it may be us who are gone."""
    orphan = Orphan(2, 3, 4)
    orphan.wait(600.0)
    assert not orphan.promotions


def test_who_was_told_of_nobody_begins_a_network_when_it_stays_cut_off() -> None:
    """As it does with no line at all, but not before the others had time to answer."""
    orphan = Orphan(2, 3, may_begin=True)
    orphan.wait(CONFIG.line_s)
    assert not orphan.promotions
    orphan.wait(CONFIG.cut_off_s + 2 * CONFIG.line_max_s)
    assert orphan.promotions == [Promote(())]
    lone = Orphan(2, may_begin=True)
    assert lone.promotions == [Promote(())]


def test_what_the_line_names_is_joined() -> None:
    """Each once in a round: what was of no use is not named again before the next one."""
    orphan = Orphan(2, 3, 4)
    orphan.pong(3, superpeer=contact(3))
    orphan.pong(4, superpeer=contact(6))
    orphan.wait(CONFIG.line_s)
    assert orphan.named == [(contact(3), contact(6))]
    orphan.wait(2 * CONFIG.line_s)
    orphan.pong(3, superpeer=contact(6))
    orphan.wait(CONFIG.line_s, 4)
    assert len(orphan.named) == 1
    assert not orphan.promotions or orphan.named  # nobody followed while somebody was named


@pytest.mark.parametrize("promotes", [True, False])
def test_only_who_would_be_one_follows(promotes: bool) -> None:
    """`--no-promote` is respected, and who is not in line has no turn."""
    orphan = Orphan(2, 3, promotes=promotes)
    orphan.wait(60.0, 3)
    assert bool(orphan.promotions) == promotes
    stranger = Orphan(3, 4)
    stranger.wait(60.0, 3, 4)
    assert not stranger.promotions


def test_who_names_somebody_new_each_time_is_soon_silent() -> None:
    """Or one of the line could keep all orphans from following."""
    orphan, invented = Orphan(2, 3, 4), iter(range(100, 256))
    for _ in range(100):
        if at(3) in orphan.pings:
            number = next(invented)
            orphan.pong(3, Contact(Identity(bytes([number]) * 32).node, at(number)))
        orphan.wait(CONFIG.line_s / 2, 4)
    assert len(orphan.named) == NAMES_MAX
    assert len(orphan.promotions) == 1


def test_lies_about_others_are_not_heard() -> None:
    """A pong of another key than the line says is nobody's, and an address outside the scope of
    who names it is not used."""
    orphan = Orphan(2, 3)
    orphan.pong(3, superpeer=contact(6), node=KEYS[6])
    orphan.wait(CONFIG.line_s)
    assert not orphan.named
    assert not orphan.promotions
    orphan = Orphan(2, 3)
    orphan.pong(3, superpeer=Contact(KEYS[6], Address.of("127.0.0.1", 1214)))
    orphan.wait(CONFIG.line_s)
    assert not orphan.named


def test_a_line_outside_the_parents_scope_is_not_kept() -> None:
    """A parent on the LAN says nothing of our own loopback."""
    orphan = Orphan()
    orphan.feed(Received(PARENT, Line((Contact(KEYS[3], Address.of("127.0.0.1", 1214)),))))
    assert orphan.core.line == ()


def test_a_parent_or_the_end_stops_it() -> None:
    """Nothing is left to be woken for."""
    for event in (Joined(PARENT, at(0), 0, 100), Stopped(5.0)):
        orphan = Orphan(2, 3)
        orphan.feed(event)
        assert orphan.core.wakeup() is None


def test_only_the_parent_tells_the_line() -> None:
    """An heir, a dial-back or who visits for a relay has a control link too; and nobody tells an
    orphan, who keeps what it knows."""
    orphan = Orphan(2, 3, 4)
    known = orphan.core.line
    stranger = Line((contact(5),))
    orphan.feed(Received(KEYS[5], stranger))
    assert orphan.core.line == known == (contact(2), contact(3), contact(4))
    orphan.feed(Orphaned())
    orphan.feed(Received(KEYS[5], stranger))
    orphan.feed(Received(PARENT, stranger))
    assert orphan.core.line == known
