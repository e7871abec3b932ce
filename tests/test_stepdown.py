"""Stepping down: one at a time in a neighbourhood, whoever refuses, and never without others."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.config import ClusterConfig, PromotionConfig
from common.core import Demote, Effect, LetGo, Send
from common.messages.cluster import ReHome
from common.messages.fields import Contact
from common.messages.hierarchy import Reserve, Reserved
from superpeer.heirs.heirs import Heirs
from superpeer.hierarchy.drift import drift, leave_chance, passed_on, shares, split_chance
from superpeer.hierarchy.moves import Moves
from superpeer.hierarchy.stepdown import Phase, StepDown
from superpeer.overlay.neighbour import Neighbour

CONFIG = PromotionConfig(flip_s=0.0, idle_s=0.0)
ADDRESS = Address.of("10.0.0.1", 1214)
SEEN = drift(1, [1, 1, 1], 60.0)


class Peer:
    """One super-peer with its leaves and neighbours."""

    def __init__(self, name: bytes, beside: list[bytes], leaves: int = 2, seed: int = 0) -> None:
        rng = Random(f"{seed}/{name!r}")
        self.name = name
        self.leaves = {
            name + bytes([at]): Contact((name + bytes([at])).ljust(32, b"."), ADDRESS)
            for at in range(leaves)
        }
        self.neighbours = {each: Neighbour(ADDRESS, 0.0) for each in beside}
        self.left = self.closed = False
        heirs = Heirs(ClusterConfig(), links={}, contacts=lambda: ())
        moves = Moves(1000.0, rng, leaves=self.leaves, rtt_s=lambda _leaf: None, heirs=heirs)
        self.machine = StepDown(
            name,
            CONFIG,
            rng,
            leaves=self.leaves,
            neighbours=self.neighbours,
            moves=moves,
            leaves_max=100,
            close=self._close,
            leave=self._leave,
        )
        self.machine.promoted_at = -1.0

    def _close(self, _now: float) -> list[Effect]:
        self.closed = True
        return []

    def _leave(self, _now: float) -> list[Effect]:
        self.left = True
        return []

    def ask(self, now: float = 1.0) -> list[Effect]:
        """Looks until the lot falls on it."""
        for _ in range(1000):
            effects = self.machine.look(SEEN, 0.0, now)
            if effects:
                return effects
        raise AssertionError("the lot never falls on it")


def settled(peers: dict[bytes, Peer], effects: dict[bytes, list[Effect]]) -> None:
    """Deliver what they say to one another until nobody says anything."""
    waiting = [(name, effect) for name, each in effects.items() for effect in each]
    while waiting:
        sender, effect = waiting.pop(0)
        if not isinstance(effect, Send) or effect.peer not in peers:
            continue
        machine = peers[effect.peer].machine
        if isinstance(effect.message, Reserve):
            more = machine.on_reserve(sender, effect.message, 1.0)
        elif isinstance(effect.message, Reserved):
            more = machine.on_reserved(sender, effect.message, 1.0)
        else:
            continue
        waiting += [(effect.peer, one) for one in more]


def clique(size: int, seed: int) -> dict[bytes, Peer]:
    """All neighbours of all."""
    names = [bytes([at + 1]) for at in range(size)]
    return {
        name: Peer(name, [other for other in names if other != name], seed=seed) for name in names
    }


@given(st.integers(3, 9), st.integers(2, 9), st.integers(0, 10_000))
def test_of_those_that_ask_at_once_one_goes(size: int, askers: int, seed: int) -> None:
    """At most one of a neighbourhood, whatever the lots."""
    peers = clique(size, seed)
    asking = list(peers.values())[:askers]
    settled(peers, {peer.name: peer.ask() for peer in asking})
    going = [peer for peer in peers.values() if peer.machine.phase is Phase.EMPTYING]
    assert len(going) <= 1
    assert all(peer.closed for peer in going)


def test_one_that_asks_alone_empties_parts_and_is_none_any_more() -> None:
    """Leaves first, then neighbours, then the role."""
    peers = clique(4, 0)
    peer = peers[b"\x01"]
    settled(peers, {peer.name: peer.ask()})
    assert peer.machine.phase is Phase.EMPTYING
    assert not peer.left
    peer.leaves.clear()
    assert peer.machine.settle(2.0) == []
    assert peer.left
    peer.neighbours.clear()
    assert Demote() in peer.machine.settle(3.0)


@pytest.mark.parametrize(("refusers", "goes"), [(1, True), (2, False)])
def test_one_in_five_that_refuses_for_ever_holds_nobody(refusers: int, goes: bool) -> None:
    """A quarter may; more are listened to."""
    names = [bytes([at + 2]) for at in range(5)]
    peer = Peer(b"\x01", names)
    effects = peer.ask()
    lot = next(one.message.lot for one in effects if isinstance(one, Send))  # type: ignore[attr-defined]
    for at, name in enumerate(names):
        peer.machine.on_reserved(name, Reserved(lot, at >= refusers), 1.0)
    assert (peer.machine.phase is Phase.EMPTYING) == goes


def test_silence_is_no_refusal_but_somebody_must_agree() -> None:
    """Who hangs is dead soon; where nobody answers we stay."""
    for answers, phase in ((0, Phase.IDLE), (1, Phase.EMPTYING)):
        names = [bytes([at + 2]) for at in range(3)]
        peer = Peer(b"\x01", names)
        effects = peer.ask()
        lot = next(one.message.lot for one in effects if isinstance(one, Send))  # type: ignore[attr-defined]
        for name in names[:answers]:
            peer.machine.on_reserved(name, Reserved(lot, True), 1.0)
        peer.machine.due(1.0 + CONFIG.reserve_s)
        assert peer.machine.phase is phase


def test_an_answer_to_another_lot_or_of_a_stranger_counts_for_nothing() -> None:
    """What was said late, or by nobody near."""
    peer = Peer(b"\x01", [b"\x02"])
    effects = peer.ask()
    lot = next(one.message.lot for one in effects if isinstance(one, Send))  # type: ignore[attr-defined]
    peer.machine.on_reserved(b"\x02", Reserved(lot + 1, True), 1.0)
    peer.machine.on_reserved(b"\x09", Reserved(lot, True), 1.0)
    assert peer.machine.phase is Phase.ASKING
    assert peer.machine.on_reserve(b"\x09", Reserve(1), 1.0) == []


def test_who_was_started_as_a_super_peer_never_asks() -> None:
    """Nor one that was promoted a moment ago."""
    peer = Peer(b"\x01", [b"\x02"])
    peer.machine.promoted_at = None
    assert not any(peer.machine.look(SEEN, 0.0, 1.0) for _ in range(100))


def test_its_own_leaf_goes_too() -> None:
    """To one of the neighbours, over the link that is there."""
    peer = Peer(b"\x01", [b"\x02", b"\x03"])
    peer.leaves[b"\x01"] = Contact(bytes(32), ADDRESS)
    effects = peer.ask()
    lot = next(one.message.lot for one in effects if isinstance(one, Send))  # type: ignore[attr-defined]
    told = list[Effect]()
    for name in (b"\x02", b"\x03"):
        told += peer.machine.on_reserved(name, Reserved(lot, True), 1.0)
    moves = [one for one in told if isinstance(one, Send) and isinstance(one.message, ReHome)]
    assert {one.peer for one in moves} == {*peer.leaves}
    (own,) = [one.message.contact.node for one in moves if one.peer == b"\x01"]  # type: ignore[attr-defined]
    assert own in (b"\x02", b"\x03")


@given(st.integers(0, 500), st.lists(st.floats(0, 1000), max_size=20))
def test_leaves_are_dealt_out_whole(count: int, rooms: list[float]) -> None:
    """None is lost, none is made up; where there is no room nobody goes."""
    dealt = shares(count, rooms)
    assert all(number >= 0 for number in dealt)
    assert sum(dealt) == (count if sum(rooms) > 0 else 0)


@given(st.integers(0, 500), st.lists(st.integers(0, 500), max_size=32), st.floats(1, 200))
def test_nobody_is_made_and_sent_off_at_once(leaves: int, beside: list[int], target: float) -> None:
    """Hysteresis: no load asks for more super-peers and for fewer; a lone one never goes."""
    seen = drift(leaves, beside, target)
    split, leave = split_chance(seen, CONFIG), leave_chance(seen, CONFIG)
    assert 0.0 <= split <= 1.0
    assert 0.0 <= leave <= 1.0
    assert not (split and leave)
    if not beside:
        assert leave == 0.0


def test_a_full_cluster_beside_empty_ones_makes_none() -> None:
    """It gives leaves away instead."""
    assert split_chance(drift(120, [10, 10, 10], 60.0), CONFIG) == 0.0
    assert split_chance(drift(85, [85, 85, 0], 60.0), CONFIG) == 0.0
    assert split_chance(drift(120, [100, 110], 60.0), CONFIG) == 1.0
    assert split_chance(drift(90, [], 60.0), CONFIG) == 1.0


@pytest.mark.parametrize("lie", [0, 20, 2**53])
def test_one_neighbour_that_lies_about_its_load_changes_nothing(lie: int) -> None:
    """No super-peer is made of a leaf, nor does one go, by what one alone says."""
    for own in (4, 8):
        seen = drift(own, [8, 8, 8, lie], 8.0)
        assert split_chance(seen, CONFIG) == leave_chance(seen, CONFIG) == 0.0


def test_who_is_full_itself_does_not_go_and_who_has_few_makes_none() -> None:
    """Whatever all the others say."""
    assert leave_chance(drift(8, [0, 0, 0, 0], 8.0), CONFIG) == 0.0
    assert split_chance(drift(8, [99, 99, 99, 99], 8.0), CONFIG) == 0.0


def test_who_is_unfit_for_long_goes_if_the_others_have_room() -> None:
    """Whatever the load; and not for a moment's weakness."""
    peer = Peer(b"\x01", [b"\x02"], leaves=5)
    peer.neighbours[b"\x02"].leaves = 96
    slow = PromotionConfig(flip_s=0.0, idle_s=60.0)
    peer.machine._config = slow
    assert peer.machine.pressed("slow", 1.0) == []
    assert peer.machine.pressed("slow", 61.0) == []  # room for four
    peer.neighbours[b"\x02"].leaves = 95
    assert peer.machine.pressed("", 62.0) == []
    assert peer.machine.pressed("slow", 63.0) == []
    assert peer.machine.pressed("slow", 122.0) == []
    assert any(isinstance(one, Send) for one in peer.machine.pressed("slow", 123.0))
    assert peer.machine.phase is Phase.ASKING


def test_the_younger_waits_longer_before_it_goes() -> None:
    """So older ones go first; but half of the load may be gone where all are young."""
    peer = Peer(b"\x01", [b"\x02", b"\x03", b"\x04"])
    peer.machine._config = PromotionConfig(flip_s=1000.0, idle_s=60.0, young_share=0.1)
    peer.machine.promoted_at = 0.0
    assert peer.machine.patience_s(0.0, 0.0) == 160.0
    assert peer.machine.patience_s(0.0, 500.0) == 110.0
    assert peer.machine.patience_s(0.0, 2000.0) == 60.0
    assert peer.machine.look(SEEN, 0.0, 500.0) == []
    assert peer.machine.look(SEEN, 0.0, 598.0) == []  # 60 + 0.1 x 402 s are not over
    assert peer.ask(601.0)
    peer.machine.promoted_at = None
    assert peer.machine.patience_s(0.0, 2000.0) is None


def test_the_best_of_those_near_waits_longest() -> None:
    """So the worst goes first, and those that stay hold more."""
    peer = Peer(b"\x01", [b"\x02", b"\x03", b"\x04"])
    peer.machine._config = PromotionConfig(flip_s=0.0, idle_s=60.0)
    assert peer.machine.patience_s(0.0, 1.0) == 60.0
    assert peer.machine.patience_s(0.5, 1.0) == 120.0
    assert peer.machine.patience_s(1.0, 1.0) == 180.0


def test_who_lost_the_lot_asks_again_while_the_words_of_others_hold() -> None:
    """Else those that agreed would give it no word again for long."""
    peer = Peer(b"\x01", [b"\x02", b"\x03", b"\x04"])
    peer.machine._config = PromotionConfig(flip_s=0.0, idle_s=60.0)
    assert peer.machine.look(SEEN, 0.0, 0.0) == []
    (first, *_) = [one.message for one in peer.ask(60.0) if isinstance(one, Send)]
    assert isinstance(first, Reserve)
    for name, agrees in ((b"\x02", True), (b"\x03", False), (b"\x04", False)):
        peer.machine.on_reserved(name, Reserved(first.lot, agrees), 60.0)
    assert peer.machine.phase is Phase.IDLE
    assert peer.ask(65.0)


def test_who_does_not_go_gives_the_words_back() -> None:
    """So another may go at once, but not the same once more; a refusal is no such thing."""
    peers = clique(4, 0)
    asker, other = peers[b"\x01"], peers[b"\x02"].machine
    asked = [one.message for one in asker.ask() if isinstance(one, Send)]
    (lot, *_) = [message.lot for message in asked if isinstance(message, Reserve)]
    assert other.on_reserve(b"\x01", Reserve(lot), 1.0) == [Send(b"\x01", Reserved(lot, True))]
    assert asker.machine.on_reserved(b"\x02", Reserved(lot, True), 1.0) == []
    other.on_reserved(b"\x01", Reserved(lot + 1, False), 1.0)  # of a question of its own
    assert other.on_reserve(b"\x03", Reserve(1), 1.0) == [Send(b"\x03", Reserved(1, False))]
    asker.machine.on_reserved(b"\x03", Reserved(lot, False), 1.0)
    (back,) = asker.machine.on_reserved(b"\x04", Reserved(lot, False), 1.0)
    assert back == Send(b"\x02", Reserved(lot, False))
    late = asker.machine.on_reserved(b"\x04", Reserved(lot, True), 1.5)
    assert late == [Send(b"\x04", Reserved(lot, False))]
    other.on_reserved(b"\x01", Reserved(lot, False), 2.0)
    assert other.on_reserve(b"\x01", Reserve(7), 2.0) == [Send(b"\x01", Reserved(7, False))]
    assert other.on_reserve(b"\x03", Reserve(1), 2.0) == [Send(b"\x03", Reserved(1, True))]


def test_who_could_not_move_is_not_left_hanging_on_nothing() -> None:
    """Its link ends with the role, so it looks for another parent."""
    peer = Peer(b"a", [b"b"], leaves=2)
    effects = peer.ask()
    (reserve,) = [one for one in effects if isinstance(one, Send)]
    assert isinstance(reserve.message, Reserve)
    peer.machine.on_reserved(b"b", Reserved(reserve.message.lot, True), 1.0)
    peer.neighbours.clear()
    ended = [
        *peer.machine.due(1.0 + CONFIG.drain_s),
        *peer.machine.due(2.0 + 2 * CONFIG.drain_s),
    ]
    hung_up = [one.peer for one in ended if isinstance(one, LetGo)]
    assert sorted(hung_up) == sorted(peer.leaves)
    assert Demote() in ended


def test_nobody_reserves_for_ever() -> None:
    """Who asks again and again, and never goes, leaves room for others."""
    peer = Peer(b"a", [b"b", b"m"])
    granted = 0
    for second in range(0, 4000, 20):
        peer.machine.on_reserve(b"m", Reserve(0), float(second))
        (said,) = peer.machine.on_reserve(b"b", Reserve(1), float(second) + 1.0)
        assert isinstance(said, Send)
        granted += isinstance(said.message, Reserved) and said.message.granted
    assert granted >= 50


def test_who_agreed_once_and_dies_later_did_not_step_down() -> None:
    """Only who goes within its time is counted."""
    peer = Peer(b"a", [b"b", b"c"])
    peer.machine.on_reserve(b"b", Reserve(1), 1.0)
    del peer.neighbours[b"b"]
    peer.machine.settle(10_000.0)
    assert peer.machine.demotions == 0
    peer.machine.on_reserve(b"c", Reserve(1), 20_000.0)
    del peer.neighbours[b"c"]
    peer.machine.settle(20_001.0)
    assert peer.machine.demotions == 1


@given(st.integers(1, 200), st.lists(st.integers(0, 200), min_size=1, max_size=12))
def test_nobody_passes_leaves_on_to_who_has_more(own: int, beside: list[int]) -> None:
    """Who has fewer has at most as many in the end as we had; where all have the same, none."""
    count, most = passed_on(drift(own, beside, 1.0))
    assert 1 <= count <= own
    assert most <= own
