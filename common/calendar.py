"""Wall time as people and scripts read it: RFC 3339 in UTC, without a clock.

The calendar is the proleptic Gregorian one; the arithmetic is Hinnant's `civil_from_days`.
"""

from typing import Final

_DAY_S: Final = 86_400
_ERA_DAYS: Final = 146_097  # of 400 years
_EPOCH: Final = 719_468  # days from 0000-03-01 to 1970-01-01


def utc_text(wall_s: float) -> str:
    """`wall_s` seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`; parts of a second are cut."""
    days, second = divmod(int(wall_s), _DAY_S)
    era, day_of_era = divmod(days + _EPOCH, _ERA_DAYS)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153  # 0 is March
    day = day_of_year - (153 * month + 2) // 5 + 1
    year += 400 * era + (month >= 10)
    hour, minute = second // 3600, second // 60 % 60
    date = f"{year:04}-{(month + 2) % 12 + 1:02}-{day:02}"
    return f"{date}T{hour:02}:{minute:02}:{second % 60:02}Z"
