"""How fast a leaf sends, from what those who received say, some of whom lie.

Two rules, and both hold whatever the leaf itself does. Of receipts the median over groups counts,
each group by its own median: every honest receiver had at most what the leaf can send, so while
less than half of the groups lie the median is no higher than the truth. Of a test by witnesses at
once, in each second the highest reports are left out, as many as may lie, and the others are added
up. A lie that stays in is no higher than an honest report that was left out instead, so the sum is
no higher than what was sent. It is scaled up for what was left out, by GAIN_MAX at most: lies can
win no more, and what was under way when a second began stays within a third (FlashFlow, Traudt et
al. 2021, has that bound). The median second counts, or all of
them together, where a slow leaf serves one witness in this second and another in the next.

A witness that could take no more makes a sum too low, never too high: a lower bound.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

GAIN_MAX: Final = 1.3  # believed rate / true rate, while no more lie than are left out
WITNESSES_MIN: Final = 3  # with fewer nobody can be left out, and nobody is


def middle(values: Iterable[float]) -> float:
    """The median, of two the lower one; there must be one."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def received_rate(by_group: Mapping[bytes, Sequence[float]]) -> float | None:
    """Bytes per second from receipts; None without any."""
    medians = [middle(rates) for rates in by_group.values() if rates]
    return middle(medians) if medians else None


def left_out(witnesses: int, liars_share: float) -> int:
    """How many reports are left out of so many."""
    if witnesses < WITNESSES_MIN:
        return 0
    return min(max(1, math.floor(witnesses * liars_share + 1e-9)), witnesses - 1)


def witnessed_rate(reports: Sequence[Sequence[int]], liars_share: float) -> float | None:
    """Bytes per second from the bytes that each witness says came in each second; None where no
    second was seen."""
    seconds = max((len(report) for report in reports), default=0)
    if not seconds:
        return None
    without = left_out(len(reports), liars_share)
    sums = [
        _rest([report[at] if at < len(report) else 0 for report in reports], without)
        for at in range(seconds)
    ]
    whole = _rest([sum(report) for report in reports], without) / seconds
    gain = min(GAIN_MAX, len(reports) / (len(reports) - without))
    return max(float(middle(sums)), whole) * gain


def _rest(seen: Sequence[int], without: int) -> int:
    """The sum, but for so many of the highest."""
    return sum(sorted(seen)[: len(seen) - without])
