"""A run kept as one JSON file, and what became better or worse since another run.

A key's name says its unit and which way is better: `_s` is seconds and less is better, `_per_s` is
a rate and more is better, and so on; a key that no rule knows is a bare number without a better
side, so a report may grow without a word here. How figures are laid out on a page is `deploy.page`.
"""

import re
import types
import typing
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from common.errors import Exit, UserError
from deploy.report import Report
from deploy.series import Series

NULL: Final = "\N{EN DASH}"
STEADY_PERCENT: Final = 0.05  # a smaller difference would be shown as 0.0 %

Verdict = Literal["better", "worse", ""]

_NAMES: Final = {"seed"}  # numbers that name something: no separators, nothing to subtract
_SHARE: Final = re.compile(r"recall|coverage|.*_share")
_BYTES: Final = re.compile(r"bytes_.*|.*_bytes")

# The first pattern that fits the whole key decides.
_DIRECTIONS: Final[tuple[tuple[re.Pattern[str], int], ...]] = (
    (re.compile(r"virtual_s|echo_s"), 0),  # what a scenario asks for, not how fast anything was
    (re.compile(r"recall|coverage|.*_complete|.*_useful|.*_per_s"), +1),
    (re.compile(r"violations|.*_wasted|.*_lost|.*_failed|.*_s"), -1),
    (re.compile(r".*_per_(query|find)|bytes_sent|rss_bytes|load_.*"), -1),
)


class Run(msgspec.Struct):
    """What a file holds."""

    report: Report
    series: Series = msgspec.field(default_factory=Series)


class Row(NamedTuple):
    """One figure in words, and the baseline's beside it; without a baseline those are empty."""

    key: str
    now: str
    baseline: str = ""
    change: str = ""
    verdict: Verdict = ""


def save(path: Path, report: Report, series: Series) -> None:
    """Write the run to `path`, over what is there. Raises UserError."""
    try:
        path.write_bytes(msgspec.json.encode(Run(report, series)) + b"\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def load(path: Path) -> tuple[Report, Series]:
    """The run that `save` wrote to `path`. Raises UserError.

    A file from before a key was there is read: the key is null.
    """
    hint = "name a file that --save wrote"
    try:
        held = msgspec.json.decode(path.read_bytes())
        if not isinstance(held, dict) or not isinstance(held.get("report"), dict):
            raise UserError(Exit.USAGE, f"{path} is no saved run: it holds no report", hint)
        run = msgspec.convert({**held, "report": {**_nulls(), **held["report"]}}, Run)
    except OSError as error:
        raise UserError(Exit.USAGE, f"cannot read {path}: {error.strerror}", hint) from error
    except msgspec.ValidationError as error:
        said = str(error)
        raise UserError(
            Exit.USAGE, f"{path} is no saved run: {said[:1].lower()}{said[1:]}", hint
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(Exit.USAGE, f"{path} is not JSON: {error}", hint) from error
    return run.report, run.series


def _nulls() -> dict[str, None]:
    """The keys of a report that may be null."""
    hints = typing.get_type_hints(Report)
    return {key: None for key, kind in hints.items() if types.NoneType in typing.get_args(kind)}


def cannot_write(path: Path, error: OSError) -> UserError:
    """The one sentence for a file that could not be written."""
    hint = "name a file in a folder that is there and can be written to"
    return UserError(Exit.DISK, f"cannot write {path}: {error.strerror}", hint)


def compare(report: Report, baseline: Report) -> str:
    """Two runs side by side as a table for a terminal."""
    head = ("key", "baseline", "now", "change", "")
    told = [
        (row.key, _short(row.baseline), _short(row.now), row.change, row.verdict)
        for row in rows(report, baseline)
    ]
    widths = [max(len(row[column]) for row in (head, *told)) for column in range(4)]
    return "\n".join(
        f"{key:{widths[0]}}  {then:>{widths[1]}}  {now:>{widths[2]}}  {change:>{widths[3]}}"
        f"  {verdict}".rstrip()
        for key, then, now, change, verdict in (head, *told)
    )


def _short(text: str) -> str:
    """One printable line; of a hash or a long name the beginning, enough to tell two apart."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    return line if len(line) <= 24 else f"{line[:16]}…"


def rows(report: Report, baseline: Report | None) -> list[Row]:
    """All figures of a report in its order, each held against the baseline's where there is one."""
    now = msgspec.structs.asdict(report)
    if baseline is None:
        return [Row(key, in_words(key, value)) for key, value in now.items()]
    then = msgspec.structs.asdict(baseline)
    return [
        Row(key, in_words(key, value), in_words(key, then[key]), *_change(key, value, then[key]))
        for key, value in now.items()
    ]


def _change(key: str, now: object, then: object) -> tuple[str, Verdict]:
    """How a figure moved since the baseline, and whether that is good."""
    if now is None or then is None:
        return (NULL if now is then else "differs"), ""
    if now == then:
        return "=", ""
    if not isinstance(now, int | float) or not isinstance(then, int | float) or key in _NAMES:
        return "differs", ""
    way = direction(key) * (now - then)
    verdict: Verdict = "better" if way > 0 else "worse" if way < 0 else ""
    if then == 0:
        return "from 0", verdict
    percent = (now - then) / abs(then) * 100
    if abs(percent) < STEADY_PERCENT:
        return "0.0 %", ""
    return f"{percent:+,.1f} %", verdict


def direction(key: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is."""
    return next((way for pattern, way in _DIRECTIONS if pattern.fullmatch(key)), 0)


def in_words(key: str, value: object) -> str:
    """A figure with the unit that its key names, or a dash for null."""
    if value is None:
        return NULL
    if isinstance(value, bool) or not isinstance(value, int | float) or key in _NAMES:
        return str(value)
    if _SHARE.fullmatch(key):
        return share(value)
    rate = "/s" if key.endswith("_per_s") else ""
    if _BYTES.fullmatch(key):
        return f"{number(value)} B{rate}"
    if rate:
        return f"{number(value)}{rate}"
    return seconds(value) if key.endswith("_s") else number(value)


def number(value: float) -> str:
    """With thousands separators; of a fraction four digits that count."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.3f}".rstrip("0").rstrip(".")


def seconds(value: float) -> str:
    """Three digits that count, in the unit that suits them."""
    for least, scale, unit in ((1.0, 1, "s"), (1e-3, 1e3, "ms"), (1e-9, 1e6, "µs")):
        if abs(value) >= least:
            scaled = value * scale
            return f"{scaled:,.0f} {unit}" if abs(scaled) >= 100 else f"{scaled:.3g} {unit}"
    return "0 s"


def share(value: float) -> str:
    """In percent; what falls short of all is never rounded up to all."""
    percent = round(value * 100, 3)
    told = f"{99.999 if value < 1 and percent >= 100 else percent:,.3f}"
    return f"{told.rstrip('0').rstrip('.')} %"
