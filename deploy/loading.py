"""From a TOML file to a scenario, or to an error that names the line.

Nothing is guessed: an unknown key, a negative number, a count that cannot be or a key that nothing
would heed is a `UserError`.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from common.errors import Exit, UserError
from deploy.lines import line_of
from deploy.scenario import Scenario
from deploy.soundness import ImpossibleError, Place, check, check_heeded

SCENARIOS: Final = Path(__file__).parent / "scenarios"

_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def load(where: str) -> Scenario:
    """The scenario of a path or of a name in `deploy/scenarios/`. Raises UserError."""
    path = Path(where)
    if not path.is_file():
        path = SCENARIOS / f"{where}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(file.stem for file in SCENARIOS.glob("*.toml")))
        raise UserError(
            Exit.USAGE, f"there is no readable scenario {where!r}", f"give a path or one of {known}"
        ) from error
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, path: str = "scenario") -> Scenario:
    """The scenario that `text` describes; `path` is what errors call it. Raises UserError."""
    try:
        written = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise UserError(Exit.USAGE, f"{path} is not TOML: {error}") from error
    try:
        scenario = msgspec.convert(written, Scenario)
    except msgspec.ValidationError as error:
        raise _error(*_read(str(error)), path, text) from error
    try:
        check(scenario)
        check_heeded(written, scenario)
    except ImpossibleError as error:
        raise _error(error.message, error.place, path, text) from None
    return msgspec.structs.replace(scenario, name=name)


def _error(message: str, place: Place, path: str, text: str) -> UserError:
    """What is wrong, with its key and line."""
    key = ".".join(str(step) for step in place)
    said = f"{key}: {message}" if key else message
    return UserError(Exit.USAGE, f"{path}:{line_of(text, place)}: {said}")


def _read(error: str) -> tuple[str, Place]:
    """The sentence and the place of what msgspec said."""
    said, _, where = error.partition(" - at `$")
    place = tuple(int(i) if i else key for key, i in _STEP.findall(where.rstrip("`")))
    if unknown := _UNKNOWN.search(said):
        return "there is no such key", (*place, unknown[1])
    return said[:1].lower() + said[1:], place
