"""Sizes, rates and times as people write and read them.

Inside the program sizes are bytes and rates bytes a second; this is the one place that knows the
units. What is written here is for people only: scripts get plain numbers.
"""

import re
from typing import Final

from common.schedule import NO_CAP, check_rate

_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "t": 10**12,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_BIT_UNITS: Final = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([a-zA-Z]*?)(?:/s)?")
_STEPS: Final = ("B", "kB", "MB", "GB", "TB")


def parse_size(text: str, *, rate: bool = True) -> int:
    """Bytes of `1500`, `10k`, `1.5GiB`, or with `rate` bytes a second, of `20mbit` too.

    ValueError in a sentence.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    if match and unit in _UNITS:
        return (
            round(float(match[1]) * _UNITS[unit])
            if "." in match[1]
            else int(match[1]) * _UNITS[unit]
        )
    if rate and match and unit in _BIT_UNITS:
        return int(float(match[1]) * _BIT_UNITS[unit]) // 8
    examples = "1500, 10k, 1.5GiB or 20mbit" if rate else "1500, 10k or 1.5GiB"
    raise ValueError(f"{text!r} is not a size such as {examples}")


def parse_rate(text: str) -> int:
    """Bytes a second of a cap: as `parse_size`, or 0 for `none` alone. ValueError in a sentence."""
    if text.strip().lower() == "none":
        return NO_CAP
    try:
        size = parse_size(text)
        if not size:
            raise ValueError("a cap of 0 lets nothing through: none is no cap, 1k is the least")
        return check_rate(size)
    except ValueError as error:
        raise ValueError(str(error).replace("a size such as", "a rate such as none,")) from None


def counted(number: int, one: str, several: str = "") -> str:
    """`1 file`, `2 files`; `several` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def size_text(size: float) -> str:
    """`1.5 GB`: three digits, powers of ten."""
    for step in _STEPS[:-1]:
        if size < 999.5:
            return f"{size:.0f} {step}" if step == "B" or size >= 99.95 else f"{size:.1f} {step}"
        size /= 1000
    return f"{size:.1f} {_STEPS[-1]}"


def rate_text(rate: int | None) -> str:
    """`2.0 MB/s`, or `none` where there is no cap."""
    return f"{size_text(rate)}/s" if rate else "none"


def time_text(seconds: float) -> str:
    """`0.42 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
