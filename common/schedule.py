"""Caps by the hours of the week: windows in local time as people write them, and what is kept.

A window is `22:00-06:30` every day or `mon-fri 22:00-06:30`; one that passes midnight belongs to
the day on which it begins. All is counted in minutes since Monday 00:00 on the clock on the wall:
what that clock shows is asked of the shell (`AskTime`), so nothing here knows of time zones. Where
summer time begins or ends, a window begins and ends when that clock shows it: an hour that is
left out is missing from the window, one that comes twice counts twice.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from common.core import Effect, Event

RATE_MIN: Final = 1_000  # bytes/s: below this a block takes longer than anybody waits for it
WINDOWS_MAX: Final = 32  # of one leaf; wild guess
DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
NO_CAP: Final = 0  # as a rate that a person sets

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_EXAMPLES: Final = "'22:00-06:30' or 'mon-fri 08:00-18:00'"


class CapWindow(msgspec.Struct, frozen=True):
    """These caps hold in that window; None: as outside of it, NO_CAP: none."""

    at: str  # as `Window` writes it
    up: int | None = None
    down: int | None = None


class LimitsRecord(msgspec.Struct, frozen=True):
    """What was set for a leaf and survives restarts; None: never set."""

    up: int | None = None
    down: int | None = None
    slots: int | None = None
    windows: tuple[CapWindow, ...] = ()


NOTHING_SET: Final = LimitsRecord()


class RememberLimits(Effect, frozen=True):
    """These limits survive restarts."""

    record: LimitsRecord


class AskTime(Effect, frozen=True):
    """What does the clock on the wall show? Answered by `TimeTold`."""


class TimeTold(Event, frozen=True):
    """Local time, in seconds since Monday 00:00."""

    week_s: float


class Window(msgspec.Struct, frozen=True):
    """Some hours of some days; `end` may be on the day after."""

    days: tuple[int, ...]  # 0: Monday; sorted
    begin: int  # minutes since midnight
    end: int

    def __str__(self) -> str:
        """As a person would write it; `parse_window` reads it back."""
        hours = f"{_clock(self.begin)}-{_clock(self.end)}"
        return hours if len(self.days) == len(_DAYS) else f"{_days_text(self.days)} {hours}"

    @property
    def minutes(self) -> int:
        """How long it is."""
        return (self.end - self.begin) % DAY_MINUTES or DAY_MINUTES

    def covers(self, minute: int) -> bool:
        """Whether it is on in this minute of the week."""
        return any(
            (minute - day * DAY_MINUTES - self.begin) % WEEK_MINUTES < self.minutes
            for day in self.days
        )

    @property
    def edges(self) -> list[int]:
        """The minutes of the week at which it begins or ends."""
        begins = [day * DAY_MINUTES + self.begin for day in self.days]
        return begins + [(begin + self.minutes) % WEEK_MINUTES for begin in begins]


def parse_window(text: str) -> Window:
    """A window from `HH:MM-HH:MM`, with days before or after it. ValueError in a sentence."""
    words = text.lower().split()
    hours = [word for word in words if ":" in word]
    days = [word for word in words if ":" not in word]
    match = _HOURS.fullmatch(hours[0]) if len(hours) == 1 else None
    chosen = _days_of(",".join(days)) if days else tuple(range(len(_DAYS)))
    if match is None or not chosen:
        raise ValueError(f"{text!r} is not a time such as {_EXAMPLES}")
    begin, end = _minute(match[1], match[2]), _minute(match[3], match[4])
    if begin is None or end is None or begin in (DAY_MINUTES, end):
        raise ValueError(f"{text!r} has hours that no clock shows, or none: write {_EXAMPLES}")
    return Window(chosen, begin, end)


def check_rate(rate: int) -> int:
    """A cap as a person may set it. ValueError in a sentence."""
    if rate != NO_CAP and not RATE_MIN <= rate < 2**50:
        raise ValueError(f"a cap of {rate} B/s lets nothing through: 1k is the least")
    return rate


def caps_at(minute: int, usual: tuple[int, int], windows: Sequence[CapWindow]) -> tuple[int, int]:
    """The caps up and down in this minute of the week; of several windows the first counts."""
    on = next((each for each in windows if parse_window(each.at).covers(minute)), None)
    if on is None:
        return usual
    return (usual[0] if on.up is None else on.up, usual[1] if on.down is None else on.down)


def next_change(minute: int, usual: tuple[int, int], windows: Sequence[CapWindow]) -> int | None:
    """The minute of the week at which the caps are others than now; None: never."""
    now = caps_at(minute, usual, windows)
    edges = dict.fromkeys(edge for each in windows for edge in parse_window(each.at).edges)
    coming = sorted(edges, key=lambda edge: (edge - minute - 1) % WEEK_MINUTES)
    return next((edge for edge in coming if caps_at(edge, usual, windows) != now), None)


def minute_text(minute: int) -> str:
    """A minute of the week as `mon 22:00`."""
    day, rest = divmod(minute, DAY_MINUTES)
    return f"{_DAYS[day]} {_clock(rest)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(hour: str, minute: str) -> int | None:
    """Of the day; 24:00 is its end."""
    total = int(hour) * 60 + int(minute)
    return total if int(minute) < 60 and total <= DAY_MINUTES else None


def _days_of(text: str) -> tuple[int, ...]:
    """The days of `mon-fri,sun`; none where it is no such text."""
    days: dict[int, None] = {}
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            return ()
        begin = _DAYS.index(first)
        count = (_DAYS.index(last) - begin) % 7 + 1 if dash else 1
        days |= dict.fromkeys((begin + step) % 7 for step in range(count))
    return tuple(sorted(days))


def _days_text(days: tuple[int, ...]) -> str:
    """`mon-fri,sun`: runs of three and more days are joined."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" if len(run) > 2 else ",".join(_DAYS[d] for d in run)
        for run in runs
    )
