"""Churn is what was measured: medians, tails, means, and how old the nodes are that are up."""

from itertools import pairwise
from random import Random

import pytest

from deploy.churn import MINUTE_S, PROFILES, timeline

# profile: median, p90 and mean of a session in minutes; share of online nodes up for over 5 h
PRINTED = {
    "kazaa-hard": (2.4, 28, 11, 0.01),
    "gnutella": (36, 398, 150, 0.41),
    "napster": (60, 663, 250, 0.54),
    "flatout": (23, None, None, 0.12),
    "red-hat": (7, None, None, 0.48),
    "debian": (16, None, None, 0.54),
}


@pytest.mark.parametrize("profile", list(PRINTED))
def test_sessions_fit_the_figures_they_were_fitted_to(profile: str) -> None:
    """Median within 5 %, p90 and mean within 10 %, of a large sample."""
    median, p90, mean, _ = PRINTED[profile]
    rng = Random(profile)
    sample = sorted(PROFILES[profile].draw_s(rng) / MINUTE_S for _ in range(100_000))
    assert sample[50_000] == pytest.approx(median, rel=0.06)
    if p90 is not None and mean is not None:
        assert sample[90_000] == pytest.approx(p90, rel=0.1)
        assert PROFILES[profile].mean_s / MINUTE_S == pytest.approx(mean, rel=0.1)


@pytest.mark.parametrize("profile", list(PRINTED))
def test_who_is_up_has_been_up_for_as_long_as_measured(profile: str) -> None:
    """The share of online nodes that have been up for more than five hours."""
    share = PROFILES[profile].online_longer_than(5 * 3600)
    assert share == pytest.approx(PRINTED[profile][3], abs=0.03)


def test_a_timeline_alternates_from_a_state_at_zero() -> None:
    """It begins with what is at 0, and each change is the opposite of the one before."""
    for seed in range(200):
        changes = timeline("gnutella", Random(seed), 36_000)
        assert changes[0].at_s == 0.0
        assert all(a.comes != b.comes for a, b in pairwise(changes))
        assert all(0 < change.at_s <= 36_000 for change in changes[1:])


def test_about_as_many_are_up_as_sessions_and_pauses_say() -> None:
    """The steady state is there from the first moment on."""
    up = sum(timeline("gnutella", Random(seed), 1.0)[0].comes for seed in range(2000))
    assert 0.1 < up / 2000 < 0.5


def test_the_same_seed_has_the_same_timeline() -> None:
    """A timeline is a function of its generator."""
    assert timeline("napster", Random(3), 1e5) == timeline("napster", Random(3), 1e5)
