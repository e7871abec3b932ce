"""Nodes that come and go as measured in real networks: Weibull sessions, Weibull pauses.

Sessions are heavy-tailed with a shape below one: who has been up longer stays longer (Stutzbach and
Rejaie 2006). `tests/test_churn.py` holds the generator against the medians, tails and means that
the profiles were fitted to. A timeline begins in the steady state, not with everybody at once.
"""

import math
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

MINUTE_S: Final = 60.0


class Sessions(NamedTuple):
    """Weibull(`shape`, `scale_min` minutes), how long a node stays."""

    shape: float
    scale_min: float

    def draw_s(self, rng: Random) -> float:
        """One session in seconds."""
        return MINUTE_S * rng.weibullvariate(self.scale_min, self.shape)

    @property
    def mean_s(self) -> float:
        """The mean in seconds."""
        return MINUTE_S * self.scale_min * math.gamma(1 + 1 / self.shape)

    def online_longer_than(self, age_s: float) -> float:
        """Of the nodes that are up at a moment, the share that has been for longer than this."""
        # the integral of the survival function beyond `age_s`, over the mean (renewal theory)
        steps, limit_s = 20_000, 40 * self.mean_s + age_s
        width_s = (limit_s - age_s) / steps
        middles = (age_s + (step + 0.5) * width_s for step in range(steps))
        scale_s = MINUTE_S * self.scale_min
        beyond = sum(math.exp(-((at / scale_s) ** self.shape)) for at in middles) * width_s
        return beyond / self.mean_s


PROFILES: Final[dict[str, Sessions]] = {
    "kazaa-hard": Sessions(0.487, 5.1),  # fits the median and tail measured in KaZaA
    "gnutella": Sessions(0.5, 75.0),
    "napster": Sessions(0.5, 125.0),
    "flatout": Sessions(0.59, 41.9),
    "red-hat": Sessions(0.34, 21.3),
    "debian": Sessions(0.38, 42.4),
}
PAUSES: Final = Sessions(0.5, 240.0)  # half of the peers are seen once a day
FACTOR_SIGMA: Final = 1.0  # of a node's own factor: consecutive sessions of one node correlate


class Change(NamedTuple):
    """A node comes or goes."""

    at_s: float
    comes: bool


def timeline(profile: str, rng: Random, until_s: float, time_scale: float = 1.0) -> list[Change]:
    """When one node comes and goes up to `until_s`; the first change says how it begins, at 0.

    The node has a past: it began long before, so it is up or down, young or old, as nodes in the
    steady state are.
    """
    sessions = PROFILES[profile]
    factor = math.exp(rng.gauss(0.0, FACTOR_SIGMA) - FACTOR_SIGMA**2 / 2)
    begin_s = -5 * (sessions.mean_s * factor + PAUSES.mean_s)
    changes: list[Change] = []
    for at_s, comes in _alternate(sessions, factor, rng, begin_s):
        if at_s * time_scale > until_s:
            return changes
        if at_s <= 0:
            changes = [Change(0.0, comes)]
        else:
            changes.append(Change(at_s * time_scale, comes))
    return changes


def _alternate(
    sessions: Sessions, factor: float, rng: Random, begin_s: float
) -> Iterator[tuple[float, bool]]:
    at_s, comes = begin_s, rng.random() < 0.5
    while True:
        yield at_s, comes
        at_s += (sessions.draw_s(rng) * factor) if comes else PAUSES.draw_s(rng)
        comes = not comes
