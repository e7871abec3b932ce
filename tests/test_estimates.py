"""How fast a leaf sends: what liars can win, and what honest reports say."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpeer.vitals.estimates import GAIN_MAX, left_out, middle, received_rate, witnessed_rate

LIARS = 0.3
SECONDS = 5


def shared(rng: Random, capacity: int, witnesses: int) -> list[int]:
    """What each honest witness got in one second, however the leaf deals it out."""
    weights = [rng.random() ** rng.choice((0, 1, 8)) for _ in range(witnesses)]
    return [int(capacity * weight / max(sum(weights), 1e-9)) for weight in weights]


@given(
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.integers(3, 30),
    st.sampled_from([0, 1, 2, 100, 10**6]),
)
def test_liars_win_no_more_than_a_third(
    seed: int, capacity: int, witnesses: int, factor: int
) -> None:
    """As many liars as are left out, saying anything, and a leaf that serves only whom it likes:
    the believed rate is at most GAIN_MAX times the true one."""
    rng = Random(seed)
    liars = rng.randint(0, left_out(witnesses, LIARS))
    seconds = [shared(rng, capacity, witnesses - liars) for _ in range(SECONDS)]
    reports = [list(report) for report in zip(*seconds, strict=True)]
    lies = [[rng.randint(0, capacity * factor) for _ in range(SECONDS)] for _ in range(liars)]
    believed = witnessed_rate([*reports, *lies], LIARS)
    assert believed is not None
    assert believed <= GAIN_MAX * capacity + 1e-6


@pytest.mark.parametrize("witnesses", [1, 2, 3, 5, 9, 10, 20])
def test_honest_witnesses_measure_within_a_fifth(witnesses: int) -> None:
    """All alike fast: the rate is the true one, or less by what was left out."""
    reports = [[1_000_000 // witnesses] * SECONDS] * witnesses
    believed = witnessed_rate(reports, LIARS)
    assert believed is not None
    assert 0.8e6 <= believed <= 1.2e6


def test_a_slow_leaf_that_serves_in_turn_is_not_taken_for_silent() -> None:
    """One witness in each second: the median second says nothing, the whole does."""
    reports = [[500 if at == second % 5 else 0 for second in range(SECONDS)] for at in range(5)]
    believed = witnessed_rate(reports, LIARS)
    assert believed is not None
    assert 400 <= believed <= GAIN_MAX * 500


def test_no_reports_are_no_rate() -> None:
    """Nothing is made up."""
    assert witnessed_rate([], LIARS) is None
    assert witnessed_rate([()], LIARS) is None
    assert received_rate({}) is None
    assert received_rate({b"a": []}) is None


@given(st.lists(st.floats(1, 1e9), min_size=3, max_size=20), st.integers(0, 10), st.floats(1, 1e12))
def test_receipts_of_less_than_half_of_the_groups_lie_in_vain(
    honest: list[float], liars: int, lie: float
) -> None:
    """Each honest receiver had at most what the leaf sends: the median is no more."""
    liars = min(liars, len(honest) - 1)
    groups = {bytes([at]): [rate] for at, rate in enumerate(honest)}
    groups |= {bytes([100 + at]): [lie, lie] for at in range(liars)}
    believed = received_rate(groups)
    assert believed is not None
    assert believed <= max(honest)


def test_many_keys_of_one_group_count_once() -> None:
    """A pair that deals with itself under many keys of one network has one voice."""
    groups = {b"a": [10.0], b"b": [20.0], b"sybil": [1e9] * 60}
    assert received_rate(groups) == 20.0


def test_the_lower_of_two_middles() -> None:
    """Doubt lowers."""
    assert middle([1.0, 2.0]) == 1.0
