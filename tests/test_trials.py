"""Transfer tests: several witnesses at once, slow and fast leaves, and witnesses that lie."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common import wire
from common.addresses import Address
from common.config import VitalsConfig
from common.core import Effect, Event, LetGo, LinkUp, Received, Send
from common.doors import Door
from common.ids import Identity
from common.messages.fields import Contact
from common.messages.hierarchy import Errand, ErrandDone, Examine, Trial
from deploy.sim.paths import Access
from leaf.links.caps import Cap
from leaf.ranks.trials import TESTED
from leaf.ranks.trials import Trials as LeafTrials
from leaf.signals import Joined, Orphaned
from superpeer.vitals.books import Book
from superpeer.vitals.examiner import Examiner
from superpeer.vitals.trials import Trials, draw
from tests.hierarchy_world import QUICK, Network, config

FAST = 12_500_000.0
DELAY_S = 0.01


def network_of(rate: float, witnesses: float = FAST, leaves: int = 14) -> Network:
    """Three super-peers, leaves among them, and one leaf `tested` with this uplink."""
    settings = config(100)
    settings = replace(settings, vitals=replace(QUICK, test_pause_s=1e6))
    network = Network(settings)
    network.superpeer("sp0")
    network.superpeer("sp1", "sp0")
    network.superpeer("sp2", "sp0", "sp1")
    for number in range(leaves):
        access = Access(DELAY_S, witnesses, witnesses)
        network.leaf(f"leaf{number}", f"sp{number % 3}", access=access)
    network.leaf("tested", "sp0", access=Access(DELAY_S, rate, 10 * rate))
    network.run(10.0)
    return network


def measured(network: Network) -> float:
    """The believed rate of `tested`, by a test that begins now."""
    trials = network.core("sp0")._hierarchy.trials
    node = network.host("tested").identity.node
    network.order("sp0", lambda now: trials.begin(node, now))
    network.run(40.0)
    tested = network.core("sp0")._hierarchy.vitals.book(node).tested
    assert tested is not None
    return tested.rate


@pytest.mark.parametrize("rate", [125_000.0, 1_250_000.0, 12_500_000.0])
def test_witnesses_that_are_fast_enough_measure_within_a_fifth(rate: float) -> None:
    """1, 10 and 100 Mbit/s."""
    assert 0.8 * rate <= measured(network_of(rate)) <= 1.2 * rate


def test_slow_witnesses_give_a_lower_bound() -> None:
    """Ten of 1 Mbit/s cannot show 100 Mbit/s, and never show too much."""
    assert measured(network_of(FAST, witnesses=125_000.0)) <= 1.33 * 10 * 125_000.0


def test_too_fast_for_the_witnesses_is_a_lower_bound_and_not_nothing() -> None:
    """All that they may take has come before the first second that counts."""
    rate = 500_000_000.0
    assert 10_000_000.0 <= measured(network_of(rate, witnesses=rate)) <= rate


def test_three_liars_in_ten_win_no_more_than_a_third() -> None:
    """They claim a hundred times what is there, and take nothing."""
    rate = 1_250_000.0
    network = network_of(rate, leaves=16)
    spy = Liars(network, ("leaf1", "leaf4", "leaf8"), 100 * int(rate))
    assert measured(network) <= 1.33 * rate
    assert spy.lies


class Liars:
    """Leaves that say they got this much in each second, and take nothing."""

    def __init__(self, network: Network, names: tuple[str, ...], rate: int) -> None:
        self.lies = 0
        for name in names:
            node = network.host(name).node
            assert node is not None
            node._roles["leaf"]._machines["trials"] = self  # type: ignore[attr-defined]
        self._rate = rate

    def handle(self, event: Event, _now: float) -> list[Effect]:
        """Answer an errand at once."""
        if not isinstance(event, Received) or not isinstance(event.message, Errand):
            return []
        errand = event.message
        if not errand.seconds:
            return []
        self.lies += 1
        rates = (self._rate,) * errand.seconds
        return [Send(event.peer, ErrandDone(errand.guid, True, rates))]

    def wakeup(self) -> float | None:
        """Never."""
        return None


def test_only_who_is_short_listed_is_tested() -> None:
    """Where nobody is missing nothing is tested: no byte is spent."""
    network = network_of(1e6, leaves=3)
    network.run(120.0)
    asked = [line for line in network.conversation(Errand) if "Errand" in line]
    tests = [message for _, _, message in network.said if isinstance(message, Examine)]
    assert not [each for each in tests if each.seconds]
    assert asked == [] or all("->" in line for line in asked)


@given(st.integers(1, 100), st.integers(1, 4))
def test_no_neighbour_is_asked_for_more_than_it_may_be(wanted: int, there: int) -> None:
    """However many are wanted, and however few have them: each asking is a message as it must
    be."""
    keys = [Identity(bytes([number]) * 32).node for number in range(1, 7)]
    examiner = Examiner(
        keys[0],
        links={},
        leaves={keys[1]: Contact(keys[1], Address.of("10.0.0.1", 1214))},
        askable=lambda: keys[2 : 2 + there],
        book=lambda _node: Book(),
        changed=lambda _node, _now: None,
    )
    trials = Trials(examiner, VitalsConfig(test_witnesses=wanted), Random(1))
    said = [each.message for each in trials.begin(keys[1], 0.0) if isinstance(each, Send)]
    asked = [each for each in said if isinstance(each, Examine)]
    assert asked
    assert all(wire.decode(wire.frame([wire.encode(each)])) == [each] for each in asked)


def test_the_name_of_a_test_draws_its_witnesses() -> None:
    """Anybody who knows it can tell who they are; another name draws others."""
    leaves = [bytes([number]) * 32 for number in range(30)]
    assert draw(b"g" * 16, leaves, 5) == draw(b"g" * 16, reversed(leaves), 5)
    assert draw(b"g" * 16, leaves, 5) != draw(b"h" * 16, leaves, 5)
    assert len(draw(b"g" * 16, leaves, 50)) == 30


def test_a_witness_whose_parent_is_gone_ends_its_test() -> None:
    """Nobody is told what it saw; whom it tests stops giving, and the link goes."""
    at, parent, tested, guid = Address.of("20.1.0.1", 1214), b"p" * 32, b"t" * 32, b"g" * 16
    trials = LeafTrials(b"m" * 32, VitalsConfig(), Cap(), Random(1))
    trials.handle(Joined(parent, at, 0, 1), 0.0)
    trials.handle(Received(parent, Errand(guid, Contact(tested, at), 5)), 0.0)
    trials.handle(LinkUp(tested, Door.BULK, at, at, inbound=False), 0.1)
    assert trials.handle(Orphaned(), 1.0) == [
        Send(tested, Trial(0, guid)),
        LetGo(tested, Door.BULK, TESTED),
    ]
    assert trials.wakeup() is None
