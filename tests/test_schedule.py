"""Windows of the week: how they are written, when they are on, and when caps change next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.schedule import (
    DAY_MINUTES,
    NO_CAP,
    WEEK_MINUTES,
    CapWindow,
    Window,
    caps_at,
    check_rate,
    minute_text,
    next_change,
    parse_window,
)

USUAL = (1_000_000, NO_CAP)
NIGHT = CapWindow("22:00-06:30", up=NO_CAP, down=NO_CAP)
WORK = CapWindow("mon-fri 08:00-18:00", up=100_000)


def at(day: int, hour: int, minute: int = 0) -> int:
    """A minute of the week; day 0 is Monday."""
    return day * DAY_MINUTES + hour * 60 + minute


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("22:00-06:30", "22:00-06:30"),
        ("MON-FRI 8:00-18:00", "mon-fri 08:00-18:00"),
        ("08:00-18:00 mon-fri", "mon-fri 08:00-18:00"),
        ("sat,sun 00:00-24:00", "sat,sun 00:00-24:00"),
        ("fri-mon 10:00-11:00", "mon,fri-sun 10:00-11:00"),
        ("mon-sun 01:00-02:00", "01:00-02:00"),
        ("sun mon 01:00-02:00", "mon,sun 01:00-02:00"),
    ],
)
def test_how_windows_are_written(text: str, canonical: str) -> None:
    """Days before or after the hours, in any order; said back in one form."""
    assert str(parse_window(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", "mon", "22-06", "25:00-06:00", "22:00-22:00", "24:00-01:00", "10:60-11:00", "22:00"),
        *("moon 10:00-11:00", "mon- 10:00-11:00", "10:00-11:00 12:00-13:00", "1:00-2:00-3:00"),
    ],
)
def test_what_is_no_window(text: str) -> None:
    """A sentence that shows how one is written."""
    with pytest.raises(ValueError, match="mon-fri 08:00-18:00"):
        parse_window(text)


WINDOWS = st.builds(
    Window,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES),
).filter(lambda window: window.begin != window.end)


@given(WINDOWS)
def test_a_window_is_read_back(window: Window) -> None:
    """What is written is what is read."""
    assert parse_window(str(window)) == window


@given(WINDOWS)
def test_a_window_is_as_long_as_it_says(window: Window) -> None:
    """Minute by minute, over the week, each day's hours once; past midnight they are the day's."""
    on = [minute for minute in range(WEEK_MINUTES) if window.covers(minute)]
    begins = [day * DAY_MINUTES + window.begin for day in window.days]
    spans = {(b + step) % WEEK_MINUTES for b in begins for step in range(window.minutes)}
    assert on == sorted(spans)


def test_midnight_belongs_to_the_day_before() -> None:
    """A window of Friday night ends on Saturday morning, and Sunday's on Monday."""
    friday = parse_window("fri 22:00-06:30")
    assert [friday.covers(at(5, 6, 29)), friday.covers(at(5, 6, 30))] == [True, False]
    assert not friday.covers(at(4, 6))
    assert parse_window("sun 22:00-06:30").covers(at(0, 0))


def test_the_first_window_counts() -> None:
    """Where two overlap, the one that stands first; what it leaves open is as outside of all."""
    assert caps_at(at(0, 12), USUAL, (WORK, NIGHT)) == (100_000, NO_CAP)
    assert caps_at(at(0, 23), USUAL, (WORK, NIGHT)) == (NO_CAP, NO_CAP)
    assert caps_at(at(5, 12), USUAL, (WORK, NIGHT)) == USUAL
    all_day = CapWindow("00:00-24:00", up=5_000)
    assert caps_at(at(0, 12), USUAL, (WORK, all_day)) == (100_000, NO_CAP)
    assert caps_at(at(0, 12), USUAL, (all_day, WORK)) == (5_000, NO_CAP)


@pytest.mark.parametrize(
    ("minute", "change"),
    [
        (at(0, 12), "mon 18:00"),
        (at(0, 18), "mon 22:00"),
        (at(4, 23), "sat 06:30"),
        (at(6, 23), "mon 06:30"),
        (at(0, 6, 30), "mon 08:00"),
    ],
)
def test_when_caps_change_next(minute: int, change: str) -> None:
    """The next edge at which something is other than now, over the end of the week too."""
    found = next_change(minute, USUAL, (WORK, NIGHT))
    assert found is not None
    assert minute_text(found) == change


def test_caps_that_never_change() -> None:
    """No window, or windows that change nothing."""
    assert next_change(0, USUAL, ()) is None
    assert next_change(0, USUAL, (CapWindow("10:00-11:00", up=USUAL[0]),)) is None


@given(st.lists(WINDOWS, max_size=4), st.integers(0, WEEK_MINUTES - 1))
def test_nothing_changes_before_the_next_change(windows: list[Window], minute: int) -> None:
    """Until then every minute has the caps of this one."""
    chosen = tuple(CapWindow(str(each), up=n * 1_000) for n, each in enumerate(windows))
    now, change = caps_at(minute, USUAL, chosen), next_change(minute, USUAL, chosen)
    ahead = WEEK_MINUTES if change is None else (change - minute) % WEEK_MINUTES
    step = 7  # minutes: enough to find a mistake, quick enough to look for many
    for passed in range(0, ahead, step):
        assert caps_at((minute + passed) % WEEK_MINUTES, USUAL, chosen) == now
    if change is not None:
        assert caps_at(change, USUAL, chosen) != now


def test_a_cap_is_none_or_large_enough() -> None:
    """0 is no cap; a few bytes a second are refused."""
    assert check_rate(NO_CAP) == 0
    assert check_rate(1_000) == 1_000
    with pytest.raises(ValueError, match="1k is the least"):
        check_rate(999)
