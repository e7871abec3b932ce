"""Whom a leaf serves: who gives most, each for a while, one by lot; and the line of the others."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.config import SwarmConfig
from leaf.uploads.slots import Slots

CONFIG = SwarmConfig(upload_slots=3)
LEAVES = [bytes([number]) * 32 for number in range(1, 9)]


class Serving:
    """Slots under leaves that always ask for more, unless they are `idle`."""

    def __init__(self, config: SwarmConfig = CONFIG, seed: int = 1) -> None:
        self.slots = Slots(config, Random(seed))
        self.weights: dict[bytes, float] = {}
        self.idle: dict[bytes, None] = {}
        self.served: dict[bytes, None] = {}
        self.served_s: dict[bytes, float] = {}
        self.now = 0.0

    def weight(self, peer: bytes) -> float:
        """How much right it has."""
        return self.weights.get(peer, 1.0)

    def waits(self, peer: bytes) -> bool:
        """Whether it waits for bytes."""
        return peer in self.served and peer not in self.idle

    def settle(self) -> None:
        """Take over the decision."""
        change = self.slots.settle(self.waits, self.weight, self.now)
        for peer in change.choked:
            del self.served[peer]
        self.served.update(dict.fromkeys(change.served))

    def join(self, *peers: bytes) -> None:
        """These want something."""
        for peer in peers:
            self.slots.join(peer, self.now)
            self.settle()
            self.now += 0.001

    def run(self, until: float) -> None:
        """Let time pass."""
        while (due := self.slots.deadlines.earliest()) is not None and due <= until:
            for peer in self.served:
                self.served_s[peer] = self.served_s.get(peer, 0.0) + due - self.now
            self.now = due
            self.settle()
        self.now = until


def test_all_are_served_while_there_are_slots() -> None:
    """And nothing is decided anew as long as nobody waits."""
    serving = Serving()
    serving.join(*LEAVES[:3])
    assert list(serving.served) == LEAVES[:3]
    assert serving.slots.deadlines.earliest() is None


def test_givers_are_served_and_others_by_lot() -> None:
    """Who gives has a slot nearly always; who gives nothing has one in turn, and is not starved."""
    serving = Serving()
    for peer in LEAVES[:2]:
        serving.weights[peer] = 9.0
    serving.join(*LEAVES)
    serving.run(3600.0)
    for peer in LEAVES[:2]:
        assert serving.served_s[peer] > 0.9 * 3600
    others = [serving.served_s.get(peer, 0.0) for peer in LEAVES[2:]]
    assert min(others) > 120.0
    assert max(others) < 3600 / 3


def test_among_equals_all_have_their_turn() -> None:
    """A seed, to whom nobody gives, serves all for about the same time."""
    serving = Serving()
    serving.join(*LEAVES)
    serving.run(4 * 3600.0)
    times = [serving.served_s[peer] for peer in LEAVES]
    assert max(times) < 1.5 * min(times)


def test_a_slot_that_nobody_uses_goes_on() -> None:
    """Who asks for nothing loses the slot to one that would."""
    serving = Serving()
    serving.idle[LEAVES[0]] = None
    serving.join(*LEAVES[:4])
    serving.run(CONFIG.slot_idle_s + 0.1)
    assert LEAVES[0] not in serving.served
    assert len(serving.served) == 3


def test_the_line_is_in_order_and_tells_when() -> None:
    """Who gives most comes first, then who has waited longest; further back takes longer."""
    serving = Serving()
    serving.weights[LEAVES[6]] = 9.0
    serving.join(*LEAVES)
    line = serving.slots.line(serving.weight)
    waiting = [peer for peer in LEAVES if peer not in serving.served]
    expected = [LEAVES[6], *(peer for peer in waiting if peer != LEAVES[6])]
    if LEAVES[6] not in waiting:
        expected = waiting
    assert list(line) == expected
    assert [place.place for place in line.values()] == list(range(1, len(expected) + 1))
    waits = [place.wait_s for place in line.values()]
    assert waits == sorted(waits)


def test_a_place_is_kept_for_a_while() -> None:
    """Who drops out of the line comes back to it; after `place_s` it is a newcomer."""
    serving = Serving(SwarmConfig(upload_slots=3, place_s=5.0))
    serving.join(*LEAVES[:5])
    first, second = serving.slots.line(serving.weight)
    serving.slots.drop(first, serving.now)
    serving.join(first)
    assert list(serving.slots.line(serving.weight)) == [first, second]
    serving.slots.drop(first, serving.now)
    serving.now += 6.0
    serving.join(first)
    assert list(serving.slots.line(serving.weight)) == [second, first]


def test_with_no_slots_nobody_is_served() -> None:
    """Not even by lot."""
    serving = Serving(SwarmConfig(upload_slots=0))
    serving.join(*LEAVES)
    serving.run(100.0)
    assert serving.served == {}


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(LEAVES), st.sampled_from("jldw")), max_size=60),
)
def test_slots_are_full_and_never_more_than_full(slots: int, acts: list[tuple[bytes, str]]) -> None:
    """Whatever happens: as many are served as there are slots, or all who want something."""
    serving = Serving(SwarmConfig(upload_slots=slots))
    wanting: dict[bytes, None] = {}
    for peer, act in acts:
        if act == "j":
            wanting[peer] = None
            serving.join(peer)
        elif act == "w":
            serving.run(serving.now + 7.0)
        else:
            wanting.pop(peer, None)
            serving.served.pop(peer, None)
            if act == "l":
                serving.slots.leave(peer)
            else:
                serving.slots.drop(peer, serving.now)
            serving.settle()
        assert len(serving.served) == min(slots, len(wanting))
        assert all(peer in wanting for peer in serving.served)
        assert [serving.slots.serve(peer) for peer in wanting] == [
            peer in serving.served for peer in wanting
        ]
