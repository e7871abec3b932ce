"""A better super-peer for a worse one: who is asked, when, and what comes of it."""

import math
from random import Random

import pytest

from common.addresses import Address
from common.config import PromotionConfig
from common.core import Effect, Send
from common.ids import NodeId
from common.messages.fields import Contact
from common.messages.hierarchy import Outdone, Reserve, Reserved, Yielded
from deploy.sim.paths import Access
from leaf.methods import SearchResult
from superpeer.hierarchy.exchange import Exchange
from superpeer.hierarchy.stepdown import Phase
from superpeer.overlay.neighbour import Neighbour
from tests.hierarchy_world import Network, config
from tests.test_stepdown import Peer

CONFIG = PromotionConfig()
ADDRESS = Address.of("10.0.0.1", 1214)
LEAF, BEST, WORST = (bytes([number]) * 32 for number in (1, 2, 3))
FACTOR = math.log(CONFIG.swap_factor)


class Asker:
    """One that looks: beside it one of worth 1.0 and one of worth 0.0."""

    def __init__(self) -> None:
        self.neighbours = {each: Neighbour(ADDRESS, 0.0) for each in (BEST, WORST)}
        self.worth: dict[NodeId, float | None] = {BEST: 1.0, WORST: 0.0}
        self.core = Exchange(
            CONFIG,
            Random(1),
            leaves={LEAF: Contact(LEAF, ADDRESS)},
            neighbours=self.neighbours,
            worth=lambda peer, _now: self.worth[peer],
        )

    def looks(self, worth: float, now: float = 100.0) -> list[Effect]:
        """Often enough for the lot to fall on it."""
        core = self.core
        looks = (core.look(LEAF, worth, now) for _ in range(100) if core.may_look(now))
        return next((effects for effects in looks if effects), [])


def test_the_worst_beside_us_is_asked_if_ours_is_better_by_the_factor() -> None:
    """A little better is not enough: each exchange costs a role change and moves leaves."""
    assert Asker().looks(FACTOR - 0.01) == []
    asked = Asker().looks(FACTOR + 0.01)
    assert asked == [Send(WORST, Outdone(Contact(LEAF, ADDRESS)))]


def test_of_whom_nothing_is_known_and_who_leaves_nobody_asks() -> None:
    """Nobody goes because nobody measured it."""
    asker = Asker()
    asker.worth[WORST] = None
    assert asker.looks(0.9) == []
    asker.worth[WORST] = 0.0
    asker.neighbours[WORST].leaving = True
    assert asker.looks(0.9) == []


def test_one_at_a_time_and_after_a_pause() -> None:
    """While it waits for an answer, and `swap_pause_s` from one question to the next."""
    asker = Asker()
    assert asker.looks(5.0)
    assert asker.looks(5.0, 101.0) == []
    asker.core.on_yielded(WORST, Yielded(LEAF, True), 101.0)
    assert asker.core.gives_way(LEAF, 101.0) == WORST
    asker.core.failed(LEAF)
    assert asker.core.gives_way(LEAF, 101.0) is None
    assert asker.looks(5.0, 100.0 + CONFIG.swap_pause_s - 0.1) == []
    assert asker.looks(5.0, 100.0 + CONFIG.swap_pause_s)


def test_who_does_not_go_is_left_alone_longer_each_time() -> None:
    """The next worst is asked instead, if ours is so much better than that one as well."""
    asker, now, pauses = Asker(), 100.0, []
    for _ in range(3):
        assert asker.looks(0.9, now)
        assert asker.core.on_yielded(WORST, Yielded(LEAF, False), now) is None
        began = now
        while not asker.looks(0.9, now):
            now += 10.0
        asker.core.failed(LEAF)
        pauses.append(now - began)
        now += CONFIG.swap_pause_s
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]


def test_an_answer_of_somebody_else_or_about_another_counts_for_nothing() -> None:
    """Nobody is promoted for a stranger's word."""
    asker = Asker()
    assert asker.core.on_yielded(WORST, Yielded(LEAF, True), 100.0) is None
    assert asker.looks(5.0)
    assert asker.core.on_yielded(BEST, Yielded(LEAF, True), 100.0) is None
    assert asker.core.on_yielded(WORST, Yielded(BEST, True), 100.0) is None
    assert asker.core.on_yielded(WORST, Yielded(LEAF, True), 100.0) == LEAF


# --- the one that goes ----------------------------------------------------------------------


SUCCESSOR = Contact(b"\x09", ADDRESS)
AT = CONFIG.swap_s


def yielding() -> Peer:
    """One that has said that it goes."""
    peer = Peer(b"\x01", [b"\x02", b"\x03"])
    peer.machine.promoted_at = 0.0
    asked = peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR), AT)
    reserve = next(one.message for one in asked if isinstance(one, Send))
    assert isinstance(reserve, Reserve)
    peer.machine.on_reserved(b"\x02", Reserved(reserve.lot, True), AT)
    said = peer.machine.on_reserved(b"\x03", Reserved(reserve.lot, True), AT)
    assert said == [Send(b"\x02", Yielded(b"\x09", True))]
    return peer


def test_it_goes_when_the_other_is_its_neighbour_and_not_before() -> None:
    """Whatever is said: make before break."""
    peer = yielding()
    peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR, is_there=True), AT + 1.0)
    assert not peer.closed
    peer.neighbours[b"\x09"] = Neighbour(ADDRESS, AT + 2.0)
    assert peer.machine.settle(AT + 2.0)
    assert peer.machine.phase is Phase.EMPTYING


def test_it_stays_if_the_other_does_not_come() -> None:
    """And can be asked again."""
    peer = yielding()
    peer.machine.due(AT + CONFIG.reserved_s)
    assert peer.machine.phase is Phase.IDLE
    assert not peer.closed
    asked = peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR), AT + 40.0)
    assert isinstance(asked[0], Send)
    assert isinstance(asked[0].message, Reserve)


@pytest.mark.parametrize("promoted_at", [None, 1.0])
def test_who_was_started_as_one_or_just_promoted_does_not_yield(promoted_at: float | None) -> None:
    """It says so, so that another one is asked."""
    peer = Peer(b"\x01", [b"\x02"])
    peer.machine.promoted_at = promoted_at
    answer = peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR), AT)
    assert answer == [Send(b"\x02", Yielded(b"\x09", False))]
    assert peer.machine.phase is Phase.IDLE


def test_a_stranger_and_a_super_peer_that_is_there_already_move_nobody() -> None:
    """Nor one that names itself: it would only win our leaves."""
    peer = Peer(b"\x01", [b"\x02", b"\x03"])
    peer.machine.promoted_at = 0.0
    assert peer.machine.on_outdone(b"\x08", Outdone(SUCCESSOR), AT) == []
    for other in (b"\x01", b"\x02", b"\x03"):
        answer = peer.machine.on_outdone(b"\x02", Outdone(Contact(other, ADDRESS)), AT)
        assert answer == [Send(b"\x02", Yielded(other, False))]
    assert peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR, is_there=True), AT) == []
    assert peer.machine.phase is Phase.IDLE


def test_where_its_neighbours_refuse_it_does_not_yield() -> None:
    """One may go at a time, for whatever reason."""
    peer = Peer(b"\x01", [b"\x02"])
    peer.machine.promoted_at = 0.0
    (asked,) = peer.machine.on_outdone(b"\x02", Outdone(SUCCESSOR), AT)
    assert isinstance(asked, Send)
    assert isinstance(asked.message, Reserve)
    said = peer.machine.on_reserved(b"\x02", Reserved(asked.message.lot, False), AT)
    assert said == [Send(b"\x02", Yielded(b"\x09", False))]


# --- in a network ---------------------------------------------------------------------------


def test_a_fast_leaf_takes_the_place_of_a_slow_super_peer_and_all_is_found_meanwhile() -> None:
    """Those that were promoted first go; each second every file is found."""
    network = Network(config(10, swap_s=20.0, up_rate_min=1e5))
    network.superpeer("first")
    network.superpeer("second", "first")
    slow = [f"slow{number}" for number in range(9)]
    for number, name in enumerate(slow):
        network.leaf(name, ("first", "second")[number % 2], access=Access(0.01, 2e5, 2e6))
    assert network.until(lambda: any("superpeer" in network.roles(one) for one in slow), 120.0)
    before = next(one for one in slow if "superpeer" in network.roles(one))
    network.leaf("fast", "first", access=Access(0.01, 2e6, 2e7))
    network.run(10.0)
    missing = []
    asker = next(one for one in slow if one != before)
    for second in range(400):
        found = network.search(asker, "song")
        if not isinstance(found, SearchResult) or len(found.hits) != 10:
            missing.append((second, found))
        network.run(1.0)
        if network.noted_by(before, "stepped_down"):
            break
    assert not missing
    assert "superpeer" in network.roles("fast")
    assert network.roles(before) == ["leaf"]
    notes = [(name, note.name) for name, note in network.notes]
    assert notes.index(("fast", "promotion_accepted")) < notes.index((before, "stepping_down"))
