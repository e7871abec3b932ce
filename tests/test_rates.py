"""Bytes per second that forget the past, and how much may happen in a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import FloodConfig, scaled
from common.rates import Bucket, Rate


def test_no_time_is_no_rate() -> None:
    """Before any time has passed nothing is said."""
    rate = Rate(5.0)
    rate.add(1000, 5.0)
    assert rate.per_s(5.0) == 0.0


@given(per_step=st.integers(1, 10**9), steps=st.integers(1, 300))
def test_a_steady_stream_has_its_rate_from_the_start(per_step: int, steps: int) -> None:
    """Equal amounts in equal times give that rate within a few percent, early and late."""
    rate = Rate(0.0)
    for step in range(1, steps + 1):
        rate.add(per_step, step * 0.05)
    assert 0.97 < rate.per_s(steps * 0.05) / (per_step / 0.05) < 1.03


def test_silence_fades() -> None:
    """What is long past no longer counts."""
    rate = Rate(0.0)
    rate.add(10**6, 1.0)
    assert rate.per_s(60.0) < 1.0


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Full at first; later what the rate has filled in, never more than the burst."""
    bucket = Bucket(2.0, 3, 10.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5) for _ in range(2)] == [True, False]
    assert [bucket.take(99.0) for _ in range(4)] == [True, True, True, False]


def test_rates_of_a_scaled_config_go_with_its_times() -> None:
    """Where time runs ten times as fast, ten times as much is allowed in a second."""
    config = scaled(FloodConfig(), 0.1)
    assert config.ring_s == pytest.approx(0.3)
    assert config.queries_per_s == pytest.approx(2_000.0)
