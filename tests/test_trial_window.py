"""How much of a transfer test lies in the links."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.ranks.window import BYTES_MAX, BYTES_MIN, WAITS_S, Window

PEERS = tuple(bytes([number]) * 32 for number in range(10))
BLOCK = 4 * 1024
MBIT = 125_000.0


class Uplink:
    """A full uplink: what leaves it arrives, and is heard of, `way_s` later."""

    def __init__(self, rate: float, way_s: float) -> None:
        self.window, self._rate, self._way_s = Window(0.0), rate, way_s
        self._under_way = deque[tuple[float, bytes]]()
        self._free_at = 0.0
        self.waited_s: list[float] = []  # each block, for those before it
        self.arrived: list[float] = []

    def run(self, seconds: float) -> None:
        """Give everybody what may be given, all the time."""
        now, turn = 0.0, 0
        while now < seconds:
            while not self.window.is_full:
                peer = PEERS[turn % len(PEERS)]
                turn += 1
                self.window.give(peer, BLOCK, now)
                self.waited_s.append(max(0.0, self._free_at - now))
                self._free_at = max(self._free_at, now) + BLOCK / self._rate
                self._under_way.append((self._free_at + self._way_s, peer))
            now, peer = self._under_way.popleft()
            self.arrived.append(now)
            self.window.left(peer, BLOCK, now)


@pytest.mark.parametrize("mbit", [1, 3, 10, 30, 100])
@pytest.mark.parametrize("way_s", [0.001, 0.02, 0.1, 0.2])
def test_a_full_uplink_is_filled_and_nothing_waits_long(mbit: int, way_s: float) -> None:
    """In the five seconds that count, from the third one on; a slow one holds a first window. A
    block is on its way while it leaves, too, and the last one that fits may be over."""
    uplink = Uplink(mbit * MBIT, way_s)
    uplink.run(7.0)
    counted = BLOCK * sum(2.0 <= when < 7.0 for when in uplink.arrived)
    assert counted >= 0.9 * 5 * mbit * MBIT
    block_s = BLOCK / (mbit * MBIT)
    longest = max(WAITS_S + way_s + 3 * block_s, BYTES_MIN / (mbit * MBIT))
    assert max(uplink.waited_s) <= longest


@given(st.lists(st.tuples(st.sampled_from(PEERS), st.booleans(), st.integers(1, 9 * BLOCK))))
def test_what_is_given_is_counted_until_it_has_left_or_nobody_wants_it(
    steps: list[tuple[bytes, bool, int]],
) -> None:
    """Whatever leaves in whatever pieces, and more of it than was given."""
    window, held = Window(0.0), dict.fromkeys(PEERS, 0)
    for at, (peer, gives, length) in enumerate(steps):
        if gives:
            window.give(peer, length, float(at))
            held[peer] += length
        else:
            window.left(peer, length, float(at))
            held[peer] = max(0, held[peer] - length)
        assert window.of(peer) == held[peer]
        assert window.bytes_on_way == sum(held.values())
    for peer in PEERS:
        window.forget(peer)
    assert window.bytes_on_way == 0


def test_it_has_a_least_and_a_most() -> None:
    """A slow start, and so much memory."""
    window = Window(0.0)
    window.give(PEERS[0], BYTES_MIN - 1, 0.0)
    assert not window.is_full
    window.give(PEERS[0], 1, 0.0)
    assert window.is_full
    for at in range(1, 1_000):
        window.give(PEERS[1], BYTES_MAX, float(at))
        window.left(PEERS[1], BYTES_MAX, at + 0.1)
    assert window.share(1) <= 2 * BYTES_MAX
    window.give(PEERS[2], BYTES_MAX, 1_000.0)
    assert window.is_full


def test_one_that_stands_still_holds_no_more_than_twice_what_others_do() -> None:
    """So nine others go on."""
    window = Window(0.0)
    assert window.share(len(PEERS)) == BYTES_MIN / 5
