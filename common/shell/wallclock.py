"""What the clock on the wall shows, for cores that ask."""

import time
from collections.abc import Callable

from common.core import Effect, Event
from common.schedule import AskTime, TimeTold
from common.shell.drive import Performer


def week_s(local: time.struct_time) -> float:
    """Seconds since Monday 00:00 on that clock."""
    hours = local.tm_wday * 24 + local.tm_hour
    return hours * 3600.0 + local.tm_min * 60 + min(local.tm_sec, 59)  # 60: a leap second


def performers(
    feed: Callable[[Event], None], wall: Callable[[], float] = time.time
) -> dict[type[Effect], Performer]:
    """The effect that asks for it."""

    def tell(_effect: Effect) -> None:
        now = wall()
        feed(TimeTold(week_s(time.localtime(now)) + now % 1.0))

    return {AskTime: tell}
