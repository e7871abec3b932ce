"""What is asked of a network: searches and downloads, drawn from the scenario's seed.

How they are put to a network is each world's own business; what came of them is told in the same
words by all of them, so that one judge (`deploy.judge`) can hold them against the truth.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from common.limits import HITS_PER_QUERY_MAX
from common.names import words
from deploy.oracle import Held, Oracle
from deploy.scenario import Phase
from leaf.methods import GetResult, SearchResult


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


def questions(phase: Phase, oracle: Oracle, leaves: Sequence[int], rng: Random) -> list[Question]:
    """The searches of a phase, in random order: whole names of files, from random leaves."""
    files = list({(held.id, held.name): held for held in oracle.held_by(leaves)}.values())
    asked = [(held, leaf) for held in files for leaf in rng.sample(leaves, phase.leaves_per_file)]
    asked += [(rng.choice(files), rng.choice(leaves)) for _ in range(phase.searches)]
    rng.shuffle(asked)
    return [
        Question(leaf, tuple(words(held.name)), phase.ttl, phase.limit, phase.strategy)
        for held, leaf in asked
    ]


def wanted_downloads(
    count: int, oracle: Oracle, leaves: Sequence[int], rng: Random
) -> list[tuple[int, Held]]:
    """Random files, each with a leaf that lacks its content."""
    holders: dict[str, dict[int, None]] = {}
    there = oracle.held_by(leaves)
    for held in there:
        holders.setdefault(held.id, {})[held.leaf] = None
    lacking = [held for held in there if len(holders[held.id]) < len(leaves)]
    wanted: list[tuple[int, Held]] = []
    for _ in range(count):
        held = rng.choice(lacking)
        others = [leaf for leaf in leaves if leaf not in holders[held.id]]
        wanted.append((rng.choice(others), held))
    return wanted
