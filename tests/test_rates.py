"""Bytes per second that forget the past."""

from hypothesis import given
from hypothesis import strategies as st

from common.rates import Rate


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
