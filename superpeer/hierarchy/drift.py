"""Too many super-peers or too few? A pure function of loads and targets.

Dynamic Layer Management (Zhuang, Liu, Xiao 2004): each node compares its load with what it aims at,
mu = log(load / target). We look at two loads. Our own says that this cluster is too large for us;
the mean of us and our neighbours says that there are too few of us or too many. So a cluster that
is full beside empty ones gives leaves away and makes no super-peer, and where all are a little too
full only as many new ones come as are missing: each draws a lot.
"""

import math
from collections.abc import Sequence

import msgspec

from common.config import PromotionConfig


class Drift(msgspec.Struct, frozen=True):
    """The state of a neighbourhood as one super-peer sees it."""

    leaves: int
    target: float
    near: int  # super-peers, we among them
    mean: float  # leaves of each
    own_mu: float
    near_mu: float

    @property
    def missing(self) -> float:
        """How many super-peers are missing for each that there is; below 0: how many too many."""
        return self.mean / self.target - 1.0


def drift(leaves: int, beside: Sequence[int], target: float) -> Drift:
    """From our leaves and those of each neighbour. One may lie: of more than two, what one alone
    says makes nobody too many or too few."""
    near, told = 1 + len(beside), sorted(beside)
    mean = (leaves + sum(told)) / near
    if len(told) > 2:
        is_full = mean > target
        told = told[:-1] if is_full else told[1:]
        rest = (leaves + sum(told)) / (1 + len(told))
        mean = max(rest, target) if is_full else min(rest, target)
    return Drift(leaves, target, near, mean, _mu(leaves, target), _mu(mean, target))


def split_chance(now: Drift, config: PromotionConfig) -> float:
    """How likely we are to make a super-peer of a leaf at this look: 0.0 where none is missing."""
    if now.leaves < 2 or now.own_mu <= 0.0:
        return 0.0  # there is nobody to share with, or only others say that they are too full
    is_near = now.near_mu > config.drift_near
    if now.own_mu > config.drift_own and (is_near or now.near == 1):
        return 1.0
    return min(1.0, max(0.0, now.missing)) if is_near else 0.0


def leave_chance(now: Drift, config: PromotionConfig) -> float:
    """How likely we are to ask whether we may step down: 0.0 where nobody is too many, or we are
    the only one. As only one goes at a time near, about one asks, not all that are too many."""
    if now.near < 2 or max(now.near_mu, now.own_mu) >= -config.drift_near:
        return 0.0
    spare = now.near * -now.missing  # super-peers too many near us
    if now.near - 1 < now.mean * now.near / now.target:
        return 0.0  # the others would be too full
    return min(1.0, spare) / now.near


def passed_on(now: Drift) -> tuple[int, int]:
    """How many leaves we pass on where nobody of ours is fit, and how many a neighbour that gets
    some has at most then: no more than we have now."""
    return max(1, int(now.leaves - now.mean)), min(math.ceil(now.mean), now.leaves)


def shares(count: int, rooms: Sequence[float]) -> list[int]:
    """`count` leaves dealt out in proportion to room; the rest goes to the roomiest."""
    total = math.fsum(rooms)
    if total <= 0.0 or count <= 0:
        return [0] * len(rooms)
    dealt = [math.floor(count * room / total) for room in rooms]
    order = sorted(range(len(rooms)), key=lambda at: (-rooms[at], at))
    for at in order[: count - sum(dealt)]:
        dealt[at] += 1
    return dealt


def _mu(load: float, target: float) -> float:
    return math.log(max(load, 0.5) / target)
