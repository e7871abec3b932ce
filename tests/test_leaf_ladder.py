"""A leaf that was given nobody: step by step, the least loaded near one, or the network begins."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ParentConfig
from common.core import (
    Bound,
    DatagramReceived,
    Dial,
    Effect,
    Event,
    LinkDown,
    LinkUp,
    Notify,
    Promote,
    Received,
    SendDatagram,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId
from common.ladder import CACHE, LAN, SITE, SRV, Found, Seek
from common.meeting import Meeting, Seed
from common.messages.cluster import Busy, Welcome
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.network import Network
from common.storage import RememberPin, Restored
from leaf.library.publish import Publisher
from leaf.parent.candidates import FAILURES_MAX, PINGED_MAX, near_within_s
from leaf.parent.parent import Parent
from leaf.parent.rounds import Rounds
from leaf.parent.succession import Succession
from leaf.signals import Alone

ME = Identity(bytes(32))
NETWORK = Network("test")
CONFIG = ParentConfig()
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 60)]
HOME = Address.of("10.0.0.200", 1214)


def at(number: int) -> Address:
    """Where the super-peer of this number is."""
    return Address.of(f"10.0.0.{number}", 1214)


def on_lan(*numbers: int) -> Found:
    """What mDNS tells of them: no place that anybody typed, but their keys."""
    return Found(LAN, tuple(Seed("", at(number), KEYS[number]) for number in numbers))


def listed(*numbers: int, step: str = SITE) -> Found:
    """What a list says, without keys."""
    return Found(step, tuple(Seed(f"sp{number}:1214", at(number)) for number in numbers))


class Climbing:
    """A `Parent` that was given nobody and a `Succession` without a line, with the time and all
    that they have ordered."""

    def __init__(
        self, *steps: str, promotes: bool = True, known: tuple[int, ...] = (), bound: bool = True
    ) -> None:
        self.now = 100.0
        rounds = Rounds(
            ME.node,
            meeting=Meeting(NETWORK, Random(1)),
            config=CONFIG,
            seeds=(),
            steps=steps,
            rng=Random(1),
            promotes=promotes,
        )
        self.core = Parent(
            me=ME.node,
            config=CONFIG,
            rounds=rounds,
            published=Publisher(ME, NETWORK.name, CONFIG, epoch=1),
            epoch=1,
        )
        self.after = Succession(ME.node, NETWORK, CONFIG, Random(1), promotes=promotes)
        self.ordered: list[Effect] = []
        self.pings: dict[Address, Ping] = {}
        if bound:
            self.feed(Bound(HOME, HOME.at(1215)))
        self.feed(Restored(known=tuple((KEYS[number], at(number)) for number in known)))

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        effects = self.core.handle(event, self.now)
        alone = [each for each in effects if isinstance(each, Alone)]
        effects = [each for each in effects if not isinstance(each, Alone)]
        for each in alone:
            effects += self.after.handle(each, self.now)
        self.ordered += effects
        for effect in effects:
            if isinstance(effect, SendDatagram) and isinstance(effect.message, Ping):
                self.pings[effect.address] = effect.message
        return effects

    def wait(self, seconds: float) -> list[Effect]:
        """What the time causes."""
        end, effects = self.now + seconds, []
        while (due := self.core.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            effects += self.feed(Woke())
        self.now = end
        return effects

    def pong(
        self, number: int, leaves: int = 0, leaves_max: int = 100, node: NodeId | None = None
    ) -> list[Effect]:
        """The answer of super-peer `number` to the last ping to it."""
        node, nonce = node or KEYS[number], self.pings[at(number)].nonce
        contact = Contact(node, at(number))
        pong = Pong(nonce, NETWORK.name, node, contact, leaves, leaves_max, 1, at(9))
        return self.feed(DatagramReceived(at(number), pong))

    def fails(self, number: int, reason: str = "no answer") -> list[Effect]:
        """The dial to it came to nothing."""
        return self.feed(LinkDown(KEYS[number], Door.CONTROL, reason))

    def join(self, number: int) -> list[Effect]:
        """From its link to its welcome."""
        self.feed(LinkUp(KEYS[number], Door.CONTROL, at(number), at(9), inbound=False))
        return self.feed(Received(KEYS[number], Welcome(0, 5.0, 100)))

    @property
    def dialled(self) -> list[int]:
        """Whom we dialled, in order."""
        return [KEYS.index(each.peer) for each in self.ordered if isinstance(each, Dial)]

    @property
    def sought(self) -> list[str]:
        """The steps that were asked, in order."""
        return [each.step for each in self.ordered if isinstance(each, Seek)]

    @property
    def promotions(self) -> int:
        """How often it wanted to be a super-peer."""
        return sum(isinstance(each, Promote) for each in self.ordered)


def test_the_host_cache_comes_first_and_no_step_is_asked_where_it_serves() -> None:
    """Nothing of mDNS is even loaded by a leaf that finds its super-peers again."""
    leaf = Climbing(LAN, SITE, known=(1,))
    leaf.pong(1)
    leaf.join(1)
    assert (leaf.dialled, leaf.sought, leaf.core.source) == ([1], [], CACHE)


def test_the_steps_are_asked_in_order_until_one_names_somebody() -> None:
    """Each is given its time; a list answers once, the LAN may go on until its time is over."""
    leaf = Climbing(LAN, SITE, SRV)
    assert leaf.sought == [LAN]
    leaf.wait(2 * CONFIG.lan_s)
    assert leaf.sought == [LAN, SITE]
    leaf.feed(Found(SITE, (), "the list cannot be read"))
    assert leaf.sought == [LAN, SITE, SRV]
    leaf.feed(listed(3, step=SRV))
    leaf.pong(3)
    told = [each.fields for each in leaf.join(3) if isinstance(each, Notify)]
    assert told[0]["source"] == leaf.core.source == SRV
    assert leaf.promotions == 0


def test_a_step_that_never_answers_is_passed_over() -> None:
    """The shell has limits of its own; the core relies on none of them."""
    leaf = Climbing(SITE, SRV)
    leaf.wait(CONFIG.list_s)
    leaf.wait(CONFIG.list_s)
    assert (leaf.sought, leaf.promotions) == ([SITE, SRV], 1)


def test_the_least_loaded_near_one_is_joined() -> None:
    """Those near are compared by load; a lower load far away counts for nothing."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1, 2, 3, 4))
    leaf.now += 0.004
    leaf.pong(1, leaves=80)
    leaf.pong(2, leaves=40)
    leaf.now += near_within_s(0.004)
    leaf.pong(3, leaves=0)
    assert leaf.dialled == []
    leaf.wait(CONFIG.gather_s)
    assert leaf.dialled == [2]
    leaf.fails(2)
    leaf.fails(1)
    assert leaf.dialled == [2, 1, 3]
    assert leaf.pong(4) == []  # it is busy with the third
    leaf.fails(3)
    assert leaf.dialled == [2, 1, 3]  # three that nobody typed were in vain


def test_nobody_waits_for_those_that_have_all_answered() -> None:
    """The choice is made with the last pong; a full one comes last, even if it is near."""
    leaf = Climbing(SITE)
    leaf.feed(listed(1, 2))
    leaf.pong(1, leaves=100)
    leaf.now += CONFIG.gather_s / 2
    leaf.pong(2, leaves=99)
    assert leaf.dialled == [2]


def test_the_first_on_the_lan_is_not_taken_at_once() -> None:
    """mDNS names one after the other, within the time that it gives them: the best is joined."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1, leaves=80)
    leaf.wait(CONFIG.gather_s / 2)
    leaf.feed(on_lan(2))
    leaf.pong(2, leaves=10)
    assert leaf.dialled == []
    leaf.wait(CONFIG.gather_s)
    assert leaf.dialled == [2]


def test_who_shows_up_later_on_the_lan_is_asked_too() -> None:
    """The first that mDNS named is gone; the second is found while the step lasts."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1)
    leaf.wait(CONFIG.gather_s)
    leaf.fails(1)
    leaf.feed(on_lan(2))
    leaf.pong(2)
    leaf.join(2)
    assert (leaf.dialled, leaf.core.source, leaf.promotions) == ([1, 2], LAN, 0)


def test_who_is_named_while_another_is_dialled_has_his_turn() -> None:
    """mDNS tells each name once, whatever we are doing then."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1)
    leaf.wait(CONFIG.gather_s)
    leaf.feed(on_lan(2))
    leaf.pong(2)
    assert leaf.dialled == [1]
    leaf.fails(1)
    assert leaf.dialled == [1, 2]


def test_a_step_names_more_than_are_asked() -> None:
    """The pings of a round are bounded, and drawn: not everybody asks the first of a long list."""
    leaf = Climbing(SITE)
    leaf.feed(listed(*range(1, 50)))
    assert len(leaf.pings) == PINGED_MAX
    assert list(leaf.pings) != [at(number) for number in range(1, PINGED_MAX + 1)]


def test_a_listed_place_is_pinned_as_one_that_was_typed() -> None:
    """And another key than the pinned one is no reason to begin a network in silence."""
    leaf = Climbing(SITE)
    leaf.feed(listed(1))
    leaf.pong(1)
    assert RememberPin("sp1:1214", KEYS[1]) in leaf.join(1)
    leaf.fails(1, "silent for 2.5 s")
    leaf.wait(1.0)
    leaf.pong(1, leaves=0)  # from the host cache
    leaf.fails(1)
    leaf.feed(listed(1))
    leaf.pong(1, node=KEYS[2])
    assert "another key than before" in leaf.core.reason
    assert (leaf.core.refused, leaf.promotions) == (True, 0)


def test_who_refuses_is_not_asked_again_at_its_other_address() -> None:
    """Where the first one fails, the other has its turn."""
    both = Found(LAN, tuple(Seed("", at(number), KEYS[1]) for number in (1, 2)))
    for reason, dials in (("no answer", [1, 1]), ("refused: another network", [1])):
        leaf = Climbing(LAN)
        leaf.feed(both)
        leaf.pong(1)
        leaf.pong(2, node=KEYS[1])
        leaf.wait(CONFIG.gather_s)
        leaf.fails(1, reason)
        assert leaf.dialled == dials


def test_another_key_than_mdns_told_is_not_joined() -> None:
    """A name on the LAN proves nothing, but it must be consistent."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1, node=KEYS[2])
    leaf.wait(CONFIG.gather_s)
    assert leaf.dialled == []


def test_a_leaf_that_finds_nobody_begins_the_network_and_says_so_once() -> None:
    """One line, one `Promote`; in the time that the steps have."""
    leaf = Climbing(LAN)
    leaf.wait(2 * CONFIG.lan_s)
    assert leaf.promotions == 1
    lines = [each for each in leaf.ordered if isinstance(each, Notify)]
    assert [(each.name, each.fields) for each in lines] == [
        ("network_started", {"reason": "mDNS names nobody"})
    ]


def test_who_may_not_be_promoted_goes_on_looking() -> None:
    """`--no-promote`: rounds with longer pauses, and whoever shows up on the LAN ends a pause."""
    leaf = Climbing(LAN, promotes=False)
    leaf.wait(300.0)
    assert leaf.promotions == 0
    assert leaf.core.reason == "mDNS names nobody"
    sought = len(leaf.sought)
    leaf.feed(on_lan(1))
    leaf.wait(2 * CONFIG.lan_s)
    assert len(leaf.sought) == sought + 1
    lasting = [each.for_s for each in leaf.ordered if isinstance(each, Seek)]
    assert min(lasting) > CONFIG.redial_max_s  # so the LAN is heard in the pauses too


def test_without_doors_no_network_begins() -> None:
    """The super-peer would listen nowhere."""
    leaf = Climbing(bound=False)
    assert leaf.promotions == 0
    leaf.feed(Bound(HOME, None))
    leaf.wait(1.0)
    assert leaf.promotions >= 1


def test_a_full_network_is_no_reason_to_begin_another() -> None:
    """Who would take us later is somebody."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1)
    leaf.wait(CONFIG.gather_s)
    leaf.feed(LinkUp(KEYS[1], Door.CONTROL, at(1), at(9), inbound=False))
    leaf.feed(Received(KEYS[1], Busy(2.0, ())))
    leaf.wait(2 * CONFIG.lan_s)
    assert leaf.promotions == 0


def test_many_other_networks_on_the_lan_do_not_hide_ours() -> None:
    """Who refuses us is no made-up super-peer: all that answer are asked."""
    leaf = Climbing(LAN)
    others = list(range(1, 2 * FAILURES_MAX + 1))
    leaf.feed(on_lan(*others))
    for number in others:
        leaf.pong(number)
    leaf.wait(CONFIG.gather_s)
    for _ in others:
        leaf.fails(leaf.dialled[-1], "refused: this is another network, or its key is not yours")
    assert sorted(leaf.dialled) == others


@pytest.mark.parametrize("reason", ["refused: this node belongs to another network", "no answer"])
def test_another_network_on_the_lan_is_nobody(reason: str) -> None:
    """Its name is ours, its key is not: it refuses us, and we begin our own."""
    leaf = Climbing(LAN)
    leaf.feed(on_lan(1))
    leaf.pong(1)
    leaf.wait(CONFIG.gather_s)
    leaf.fails(1, reason)
    leaf.wait(2 * CONFIG.lan_s)
    assert (leaf.dialled, leaf.promotions) == ([1], 1)
