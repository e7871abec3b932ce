"""What is asked of a network: searches and downloads, drawn from the scenario's seed.

How they are put to a network is each world's own business; what came of them is told in the same
words by all of them, so that one judge (`deploy.judge`) can hold them against the truth.
"""

from collections.abc import Container, Sequence
from random import Random
from typing import Final, NamedTuple

from common.limits import HITS_PER_QUERY_MAX
from common.names import words
from deploy.oracle import File, Held, Oracle
from deploy.scenario import Asked, Phase
from leaf.methods import GetResult, SearchResult

POPULAR: Final = 100  # copies
ABSENT_WORDS: Final = 3
TRIES: Final = 8  # to draw a leaf that lacks a file, before all of them are listed


class Question(NamedTuple):
    """A search: from which leaf, for which words, how far."""

    leaf: int
    words: tuple[str, ...]
    ttl: int
    limit: int = HITS_PER_QUERY_MAX
    strategy: str = "ring"


class Outcome(NamedTuple):
    """What came of a question; `error` is empty where there is a result."""

    question: Question
    began: float  # on the monotonic clock
    elapsed_s: float
    first_hit_s: float | None
    result: SearchResult | None
    error: str = ""


class Download(NamedTuple):
    """What came of a download; `error` is empty where the file is whole and the right one."""

    leaf: int
    wanted: Held
    name: str  # under which the leaf has it now
    result: GetResult | None
    error: str = ""


def questions(
    phase: Phase, oracle: Oracle, leaves: Sequence[int], rng: Random, zipf: float = 0.0
) -> list[Question]:
    """The searches of a phase, in random order: whole names of files, from random leaves.

    With `zipf` the first files of the oracle are asked for most, unless the phase names a kind.
    """
    files = _asked_for(phase.files, oracle, dict.fromkeys(leaves))
    if not files:
        return []
    if phase.files == "absent":
        return [_absent(phase, oracle, files, leaves, rng) for _ in range(phase.searches)]
    asked = [(file, leaf) for file in files for leaf in rng.sample(leaves, phase.leaves_per_file)]
    popularity = zipf if phase.files == "any" else 0.0
    chosen = rng.choices(files, _weights(files, popularity), k=phase.searches)
    asked += [(file, rng.choice(leaves)) for file in chosen]
    rng.shuffle(asked)
    return [
        Question(leaf, tuple(words(file.name)), phase.ttl, phase.limit, phase.strategy)
        for file, leaf in asked
    ]


def _asked_for(which: Asked, oracle: Oracle, leaves: Container[int]) -> list[File]:
    """The files that a phase searches for, or (absent) is about."""
    there = oracle.there(leaves)
    if which in ("any", "absent"):
        return there
    copies = {file: sum(leaf in leaves for leaf in file.leaves) for file in there}
    if which == "single":
        return [file for file in there if copies[file] == 1]
    return [file for file in there if copies[file] >= POPULAR]


def _absent(
    phase: Phase, oracle: Oracle, files: Sequence[File], leaves: Sequence[int], rng: Random
) -> Question:
    """Words that are there, and that no file has together: each of another file's name."""
    while True:
        mixed = tuple(words(file.name)[0] for file in rng.choices(files, k=ABSENT_WORDS))
        if not oracle.ids(mixed):
            return Question(rng.choice(leaves), mixed, phase.ttl, phase.limit, phase.strategy)


def wanted_downloads(
    phase: Phase, oracle: Oracle, leaves: Sequence[int], rng: Random, zipf: float = 0.0
) -> list[tuple[int, Held]]:
    """Random files, each with a leaf that lacks its content; for a crowd one file, and many."""
    if not (phase.gets or phase.crowd):
        return []
    present = dict.fromkeys(leaves)
    holders: dict[str, dict[int, None]] = {}
    for file in oracle.there(present):
        there = holders.setdefault(file.id, {})
        there.update((leaf, None) for leaf in file.leaves if leaf in present)
    lacking = [file for file in oracle.there(present) if len(holders[file.id]) < len(leaves)]
    wanted: list[tuple[int, Held]] = []
    if not lacking:
        return wanted
    weights = _weights(lacking, zipf)
    while lacking and len(wanted) < phase.gets:
        (file,) = rng.choices(lacking, weights)
        there = holders[file.id]
        leaf = _lacking_leaf(there, leaves, rng)
        there[leaf] = None  # nobody fetches the same twice
        wanted.append((leaf, _held(file, present)))
        if len(there) == len(leaves):
            lacking = [each for each in lacking if each.id != file.id]
            weights = _weights(lacking, zipf)
    if phase.crowd and lacking:
        file = min(lacking, key=lambda one: len(holders[one.id]))
        others = [leaf for leaf in leaves if leaf not in holders[file.id]]
        crowd = rng.sample(others, min(phase.crowd, len(others)))
        wanted += [(leaf, _held(file, present)) for leaf in crowd]
    return wanted


def _lacking_leaf(holders: Container[int], leaves: Sequence[int], rng: Random) -> int:
    """A random leaf that holds it not; few hold it, so a few tries mostly find one."""
    for _ in range(TRIES):
        leaf = rng.choice(leaves)
        if leaf not in holders:
            return leaf
    return rng.choice([leaf for leaf in leaves if leaf not in holders])


def _held(file: File, present: Container[int]) -> Held:
    """One of those that are there and hold it."""
    leaf = next(leaf for leaf in file.leaves if leaf in present)
    return Held(leaf, file.id, file.name, file.folder)


def _weights(files: Sequence[File], zipf: float) -> list[float]:
    return [1 / (file.rank + 1) ** zipf for file in files]
