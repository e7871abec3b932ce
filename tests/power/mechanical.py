"""Which mechanical mutants there are, and which of them are tried.

The cores alone are changed: what travels, the contract, settings and what people call are tables,
and what meets the outside is tested in processes. A sample is spread over the files by their
statements and depends on nothing but the seed and the source; an id names its place.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from tests.power.mutants import Edit, Mutant
from tests.power.operators import sites, statements

FOLDERS: Final = (
    *("common", "common/content", "common/web"),
    *("superpeer", "superpeer/*", "leaf", "leaf/*"),
)
TABLES: Final = (
    *("config.py", "core.py", "doors.py", "errors.py", "limits.py", "signals.py", "storage.py"),
)
OUTSIDE: Final = ("assembly.py", "cli.py", "client.py", "methods.py", "settings.py")


def cores(root: Path) -> list[str]:
    """The files that are changed, sorted."""
    found = [path for folder in FOLDERS for path in root.glob(f"{folder}/*.py")]
    names = [
        path.relative_to(root).as_posix()
        for path in found
        if path.name not in (*TABLES, *OUTSIDE)
        and path.parent.name != "commands"
        and not path.name.startswith("__")
    ]
    return sorted(names)


def mutants_of(root: Path, file: str) -> list[Mutant]:
    """Every mutant of one file, by place; `/2` and so on tell those of one line apart."""
    source = (root / file).read_bytes()
    mutants: list[Mutant] = []
    counts: dict[str, int] = {}
    for line, operator, edits in sites(source):
        name = f"{file}:{line}:{operator}"
        counts[name] = counts.get(name, 0) + 1
        number = f"/{counts[name]}" if counts[name] > 1 else ""
        mutants.append(Mutant(name + number, file, edits, _told(source, edits)))
    return mutants


@cache
def all_mutants(root: Path) -> Mapping[str, list[Mutant]]:
    """Every mutant, by file, as of the first call."""
    return {file: mutants_of(root, file) for file in cores(root)}


def sample(root: Path, count: int, seed: int) -> list[Mutant]:
    """`count` of them (or all, where there are fewer), in the order of files and places."""
    mutants = all_mutants(root)
    weights = _weights(root)
    shares = _shares(count, weights, {file: len(each) for file, each in mutants.items()})
    chosen: list[Mutant] = []
    for file, each in mutants.items():
        places = Random(f"{seed}/{file}").sample(range(len(each)), shares[file])
        chosen += [each[place] for place in sorted(places)]
    return chosen


def _told(source: bytes, edits: tuple[Edit, ...]) -> str:
    """The lines that change, before and after."""
    begin = source.rfind(b"\n", 0, edits[0].begin) + 1
    end = source.find(b"\n", edits[-1].end)
    here = tuple(Edit(at - begin, to - begin, text) for at, to, text in edits)
    before = source[begin : end if end >= 0 else len(source)]
    after = Mutant("", "", here, "").mutated(before)
    return " => ".join(" ".join(text.decode().split()) for text in (before, after))


@cache
def _weights(root: Path) -> Mapping[str, int]:
    return {file: statements((root / file).read_bytes()) for file in cores(root)}


def _shares(count: int, weights: Mapping[str, int], limits: dict[str, int]) -> dict[str, int]:
    """How many of `count` each file gets: in proportion to its weight, never above its limit.

    One by one to whoever is furthest behind (Sainte-Laguë), so every file has its turn.
    """
    shares = dict.fromkeys(weights, 0)
    for _ in range(min(count, sum(limits.values()))):
        open_files = [file for file in weights if shares[file] < limits[file]]
        behind = max(open_files, key=lambda file: weights[file] / (2 * shares[file] + 1))
        shares[behind] += 1
    return shares
