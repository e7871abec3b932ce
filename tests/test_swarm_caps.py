"""Caps of content: what passes in any time, and that all wait alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.links.caps import BURST_S, GRAIN_S, Cap, Gate

RATES = st.integers(1_000, 100_000_000)


def capped(rate: float, now: float = 0.0) -> Cap:
    """A cap that begins now."""
    cap = Cap()
    cap.change(rate, now)
    return cap


@given(
    rate=RATES,
    lengths=st.lists(st.integers(1, 2**20), min_size=1, max_size=50),
    pauses=st.lists(st.floats(0.0, 3.0), min_size=50, max_size=50),
)
def test_never_more_than_the_rate_and_its_burst(
    rate: int, lengths: list[int], pauses: list[float]
) -> None:
    """Between any two moments no more passes than the rate brings, a burst and one request."""
    cap = capped(rate)
    gate, now, passed = Gate(cap), 0.0, []
    for length, pause in zip(lengths, pauses, strict=False):
        now += pause
        while not gate.may_pass(length, now):
            assert gate.opens_at is not None
            assert gate.opens_at > now
            now = gate.opens_at
        passed.append((now, length))
    for first in range(len(passed)):
        sent = 0
        for at, length in passed[first:]:
            sent += length
            allowed = (at - passed[first][0] + BURST_S) * rate + passed[first][1]
            assert sent <= allowed * (1 + 1e-9) + 1


@given(rate=RATES, lengths=st.lists(st.integers(1, 2**20), min_size=1, max_size=50))
def test_who_always_wants_more_gets_just_the_rate(rate: int, lengths: list[int]) -> None:
    """The last byte comes when the rate would have brought it."""
    gate, now = Gate(capped(rate)), 0.0
    for length in lengths:
        while not gate.may_pass(length, now):
            now = gate.opens_at or now
    assert now == pytest.approx(sum(lengths) / rate)


@given(rate=RATES, late=st.floats(0.0, BURST_S * 0.9), count=st.integers(20, 60))
def test_waking_late_costs_nothing(rate: int, late: float, count: int) -> None:
    """A timer that is late each time, by less than the burst, does not slow what is capped."""
    length = max(int(rate * BURST_S), 1)
    gate, now = Gate(capped(rate)), 0.0
    for _ in range(count):
        while not gate.may_pass(length, now):
            now = (gate.opens_at or now) + late
    assert now <= count * length / rate + late + 1e-6


def test_it_opens_when_it_said_to_the_last_bit() -> None:
    """At the very time that was told something passes: else its owner is woken for ever."""
    for rate in (1_000.0, 3.0e4 / 7, 12_345_678.9):
        gate, now = Gate(capped(rate)), 0.1
        for length in (16_384, 100_003, 7) * 100:
            if not gate.may_pass(length, now):
                now = gate.opens_at or now
                assert gate.opened(now)
                assert not gate.opened(now)
                assert gate.opens_at is None
                assert not gate.is_shut(now)
                assert gate.may_pass(length, now)


def test_all_gates_wait_in_one_line() -> None:
    """A large request is not passed over for ever by small ones that come after it."""
    cap = capped(100_000.0, 0.0)
    small, large = Gate(cap), Gate(cap)
    passed = {"small": 0, "large": 0}
    for step in range(1, 1_001):
        now = step * 0.01
        passed["large"] += 100_000 * large.may_pass(100_000, now)
        passed["small"] += 1_000 * small.may_pass(1_000, now)
    assert passed["large"] >= 800_000
    assert sum(passed.values()) == pytest.approx(1_000_000, rel=0.11)  # one request is 10 %


def test_several_gates_of_one_kind_share_evenly() -> None:
    """Downloads that ask for as much at a time each get as much."""
    cap = capped(1_000_000.0)
    gates = [Gate(cap) for _ in range(5)]
    passed = [0] * 5
    for step in range(1, 10_001):
        for number, gate in enumerate(gates):
            passed[number] += gate.may_pass(50_000, step * 0.001)
    assert max(passed) - min(passed) <= 1
    assert sum(passed) * 50_000 == pytest.approx(10_000_000, rel=0.025)


def test_what_did_not_go_is_given_back() -> None:
    """A request that was taken back is not paid for."""
    gate = Gate(capped(1_000.0))
    assert not gate.may_pass(500, 0.0)
    assert gate.may_pass(500, 0.5)
    gate.give_back(500, 0.5)
    assert gate.may_pass(500, 0.5)


def test_what_was_given_back_expires() -> None:
    """A day later it lets nothing pass that the rate and its burst do not."""
    gate = Gate(capped(1_000.0))
    gate.may_pass(500, 0.0)
    assert gate.may_pass(500, 0.5)
    gate.give_back(500, 0.5)
    assert not gate.may_pass(500, 86_400.0)
    assert gate.opens_at == pytest.approx(86_400.0 + 0.5 - BURST_S)


def test_who_leaves_makes_room_for_those_who_come_after_it() -> None:
    """And no more: a place that was left is worth nothing once its time is over."""
    for when, opens_at in ((0.0, 0.5), (100.0, 100.5 - BURST_S)):
        cap = capped(1_000.0)
        fickle, gate = Gate(cap), Gate(cap)
        assert not fickle.may_pass(10_000, 0.0)
        fickle.leave()
        assert not gate.may_pass(500, when)
        assert gate.opens_at == pytest.approx(opens_at)


@given(
    rate=RATES,
    steps=st.lists(
        st.tuples(
            st.integers(0, 2),  # whose turn
            st.sampled_from(("pass", "pass", "leave", "back")),
            st.integers(1, 2**20),
            st.floats(0.0, 1.0),
        ),
        max_size=60,
    ),
)
def test_no_window_has_more_whatever_is_left_or_given_back(
    rate: int, steps: list[tuple[int, str, int, float]]
) -> None:
    """What passed and was not given back, between any two moments, is what the rate brings, thrice
    the burst and one request of each gate."""
    cap, now, passed = capped(rate), 0.0, list[tuple[float, int, int]]()
    gates = [Gate(cap) for _ in range(3)]
    largest = max((length for _, _, length, _ in steps), default=0)
    for number, what, length, pause in steps:
        now += pause
        gate = gates[number]
        mine = [each for each in passed if each[2] == number]
        if what == "leave":
            gate.leave()
        elif what == "back" and mine:
            passed.remove(mine[-1])
            gate.give_back(mine[-1][1], mine[-1][0])
        elif what == "pass":
            if not gate.may_pass(length, now) and gate.opens_at is not None:
                now = max(now, gate.opens_at)
            if gate.may_pass(length, now):
                passed.append((now, length, number))
    passed.sort()
    for first in range(len(passed)):
        sent = 0
        for at, length, _ in passed[first:]:
            sent += length
            allowed = (at - passed[first][0] + 3 * BURST_S) * rate + len(gates) * largest
            assert sent <= allowed * (1 + 1e-9) + 1


def test_a_booking_serves_another_request() -> None:
    """What was booked for is gone: the next one passes at that time and pays its own price."""
    cap = capped(1_000.0)
    gate = Gate(cap)
    assert not gate.may_pass(1_000, 0.0)
    assert gate.may_pass(300, 1.0)
    assert not gate.may_pass(1_000, 1.0)
    assert gate.opens_at == pytest.approx(1.3)


def test_a_change_wakes_who_waits() -> None:
    """What was booked under another rate is tried again at once, by the new one."""
    cap = capped(1_000.0)
    gate = Gate(cap)
    assert not gate.may_pass(1_000_000, 0.0)
    assert gate.opens_at == pytest.approx(1_000.0)
    cap.change(None, 5.0)
    assert gate.opens_at == 0.0
    assert gate.opened(5.0)
    assert gate.opens_at is None
    assert gate.may_pass(1_000_000, 5.0)
    assert gate.may_pass(10**12, 5.0)
    assert gate.opens_at is None


def test_a_change_to_another_rate_forgets_how_long_it_would_have_taken() -> None:
    """The time booked at a slow rate does not hold at a fast one."""
    cap = capped(1_000.0)
    gate = Gate(cap)
    assert not gate.may_pass(1_000_000, 0.0)
    cap.change(1_000_000.0, 5.0)
    assert not gate.may_pass(500_000, 5.0)
    assert gate.opens_at == pytest.approx(5.5)


def test_who_leaves_keeps_nobody_waiting() -> None:
    """However often somebody takes a place and goes, the others pass when it is their turn."""
    cap = capped(1_000.0)
    for _ in range(1_000):
        fickle = Gate(cap)
        assert not fickle.may_pass(1_000, 0.0)
        fickle.leave()
        assert fickle.opens_at is None
    gate = Gate(cap)
    assert not gate.may_pass(500, 0.0)
    assert gate.opens_at is not None
    assert gate.opens_at <= 1.5


def test_requests_shrink_with_the_cap() -> None:
    """A request takes a tenth of a second, and is one block at least."""
    cap = Cap()
    assert cap.grain_bytes is None
    assert capped(10_000_000.0).grain_bytes == 10_000_000 * GRAIN_S
    assert capped(20_000.0).grain_bytes == 16_384
