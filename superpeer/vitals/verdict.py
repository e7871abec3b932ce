"""Is this leaf fit to be a super-peer? A pure function of what others measured and of settings.

The controller and `superpeer explain` call the same function, so an input that is shown is an input
that counts. Some floors are never lowered: a leaf that others cannot reach is no super-peer, nor
one that just changed roles. The others are left aside in need, when the super-peer is full or knows
of no other: they only rank then. Points are logarithms of value / threshold, so their sum ranks by
the product: rate times the time that a leaf is still likely to stay.
"""

import math
from typing import Final, Literal

import msgspec

from common.config import PromotionConfig, VitalsConfig

_WORTH: Final = ("up_rate", "steadiness")
Outcome = Literal["passes", "fails", "left aside", "ranks"]


class Inputs(msgspec.Struct, frozen=True):
    """All that counts; `*_by` are those who measured it, as people see them."""

    willing: bool = False  # it would; the one thing that it says itself
    bulk_door: bool = False
    reachable: bool | None = None
    reachable_by: tuple[str, ...] = ()
    up_rate: float | None = None  # bytes/s
    up_rate_by: tuple[str, ...] = ()
    groups: int = 0  # of those who measured the rate
    groups_there: int = 0  # that could: all other leaves
    uptime_s: float = 0.0
    session_s: float | None = None  # mean of those that are over
    uptime_by: tuple[str, ...] = ()
    rtt_s: float | None = None
    held_back_s: float = 0.0  # still to wait, having said no or changed roles
    need: bool = False  # the super-peer is full, or knows of no other


class Check(msgspec.Struct, frozen=True):
    """One input against its threshold; `change` is what would make it pass, '' if it does."""

    name: str
    value: float | bool | None
    threshold: float | bool | None
    weight: float
    points: float
    outcome: Outcome
    measured_by: tuple[str, ...] = ()
    change: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """Whether it may be asked to become a super-peer, and its place among those that may."""

    fit: bool
    score: float
    need: bool
    checks: tuple[Check, ...]

    @property
    def worth(self) -> float:
        """The logarithm of rate times remaining time, whoever looks from wherever: what super-peers
        and leaves are compared by."""
        return sum(check.points for check in self.checks if check.name in _WORTH)

    @property
    def would_change(self) -> tuple[str, ...]:
        """What stands against it."""
        return tuple(check.change for check in self.checks if check.outcome == "fails")


def verdict(inputs: Inputs, config: PromotionConfig, vitals: VitalsConfig) -> Verdict:
    """The verdict; same inputs, same verdict."""
    checks = (
        _willing(inputs),
        _bulk_door(inputs),
        _reachable(inputs),
        _held_back(inputs),
        _witnesses(inputs, vitals),
        _up_rate(inputs, config),
        _steadiness(inputs, config),
        _round_trip(inputs, config),
    )
    fit = all(check.outcome != "fails" for check in checks)
    score = math.fsum(check.points for check in checks)
    return Verdict(fit, round(score, 6), inputs.need, checks)


def _willing(inputs: Inputs) -> Check:
    fine = inputs.willing
    change = "" if fine else "it is run without --no-promote"
    return Check("willing", fine, True, 0.0, 0.0, _floor(fine), (), change)


def _bulk_door(inputs: Inputs) -> Check:
    fine = inputs.bulk_door
    change = "" if fine else "it opens a bulk door"
    return Check("bulk_door", fine, True, 0.0, 0.0, _floor(fine), (), change)


def _reachable(inputs: Inputs) -> Check:
    fine, value = inputs.reachable is True, inputs.reachable
    missing = "others dial it back" if value is None else "others can dial it"
    outcome, by = _floor(fine), inputs.reachable_by
    return Check("reachable", value, True, 0.0, 0.0, outcome, by, "" if fine else missing)


def _held_back(inputs: Inputs) -> Check:
    left_s = round(inputs.held_back_s, 3)
    change = f"{math.ceil(left_s)} s pass" if left_s > 0 else ""
    return Check("held_back_s", left_s, 0.0, 0.0, 0.0, _floor(left_s <= 0), (), change)


def _witnesses(inputs: Inputs, vitals: VitalsConfig) -> Check:
    wanted = max(1, min(vitals.groups_min, inputs.groups_there))
    fine = inputs.groups >= wanted
    change = "" if fine else f"{wanted - inputs.groups} more measure its rate"
    outcome = _floor(fine, inputs.need)
    by = inputs.up_rate_by
    return Check("witnesses", inputs.groups, wanted, 0.0, 0.0, outcome, by, change)


def _up_rate(inputs: Inputs, config: PromotionConfig) -> Check:
    value, least = inputs.up_rate, config.up_rate_min
    fine = value is not None and value >= least
    points = _points(value, least, config.rate_weight, config.points_max)
    change = "" if fine else f"it is seen to send {least:.0f} bytes/s"
    outcome = _floor(fine, inputs.need)
    by = inputs.up_rate_by
    return Check("up_rate", value, least, config.rate_weight, points, outcome, by, change)


def _steadiness(inputs: Inputs, config: PromotionConfig) -> Check:
    """Up for long now, or usually: whichever is nearer to its own threshold, or further above."""
    now = _share(inputs.uptime_s, config.age_min_s)
    usual = _share(inputs.session_s or 0.0, config.session_min_s)
    value = max(now, usual)
    fine = value >= 1.0
    remains = _remains(value * config.age_min_s, config) / _remains(config.age_min_s, config)
    missing_s = math.ceil(config.age_min_s - inputs.uptime_s)
    return Check(
        "steadiness",
        round(value, 6),
        1.0,
        config.age_weight,
        _points(remains, 1.0, config.age_weight, config.points_max),
        _floor(fine, inputs.need),
        inputs.uptime_by,
        "" if fine else f"it stays {missing_s} s longer",
    )


def _remains(age_s: float, config: PromotionConfig) -> float:
    """What remains on average of a session of this age, but for a factor: of Weibull's with the
    shape 0.5 it is 2 (scale + sqrt(age x scale))."""
    return config.session_scale_s + math.sqrt(age_s * config.session_scale_s)


def _round_trip(inputs: Inputs, config: PromotionConfig) -> Check:
    value, weight = inputs.rtt_s, config.rtt_weight
    points = 0.0
    if value is not None and value > 0.0:
        points = -_points(value, config.rtt_ref_s, weight, config.points_max)
    return Check("rtt_s", value, config.rtt_ref_s, weight, points, "ranks")


def _floor(fine: bool, need: bool = False) -> Outcome:
    if fine:
        return "passes"
    return "left aside" if need else "fails"


def _share(value: float, threshold: float) -> float:
    """How much of a threshold; one of nothing is just reached by all."""
    return value / threshold if threshold > 0.0 else 1.0


def _points(value: float | None, threshold: float, weight: float, most: float) -> float:
    ratio = 0.0 if value is None or threshold <= 0.0 else value / threshold
    if ratio <= 0.0:
        return -most * weight
    return weight * max(-most, min(most, math.log(ratio)))
