"""Where in a TOML file a value stands, so that an error can name its line.

Python's own reader keeps no positions. This one only notes where tables and keys begin; what they
mean is the reader's business. A value inside an array or an inline table is placed at the line of
the key that holds it.
"""

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[{1,2})\s*([A-Za-z0-9_\-.\"' ]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the value at `path`, or of the nearest thing around it."""
    places = _places(text)
    wanted = tuple(path)
    while wanted and wanted not in places:
        wanted = wanted[:-1]
    return places.get(wanted, 1)


def _places(text: str) -> dict[Path, int]:
    """The line of each table and key, by its path; tables of an array are numbered from 0."""
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _inside(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                places.setdefault(table, number)
                table = (*table, counts[table])
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault((*table, *_parts(key[1])), number)
    return places


def _inside(parts: Sequence[str], counts: dict[Path, int]) -> Path:
    """The path of a header: a table under `[[phases]]` lies in the phase that came last."""
    path: Path = ()
    for part in parts:
        if path in counts:
            path = (*path, counts[path])
        path = (*path, part)
    return path


def _parts(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in text.split(".")]
