"""The clock on the wall, as cores hear of it."""

import time
from datetime import datetime

import pytest

from common.core import Event
from common.schedule import AskTime, TimeTold
from common.shell.wallclock import performers, week_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-02 00:00:00", 0.0),  # a Monday
        ("2026-03-02 22:30:05", 22.5 * 3600 + 5),
        ("2026-03-08 23:59:59", 7 * 86_400 - 1),
    ],
)
def test_seconds_of_the_week(text: str, seconds: float) -> None:
    """From Monday 00:00 to Sunday's end."""
    assert week_s(datetime.fromisoformat(text).timetuple()) == seconds


def test_who_asks_is_told_local_time() -> None:
    """Parts of a second too, so that nobody looks a second early."""
    heard: list[Event] = []
    performers(heard.append, lambda: 1_772_409_600.25)[AskTime](AskTime())
    assert heard == [TimeTold(week_s(time.localtime(1_772_409_600)) + 0.25)]
