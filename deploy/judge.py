"""Holds answers against the graph and the files that are known to be there.

What an answer owed is worked out when it is asked (`demand`), and judged when it came: what has
gone in between is not demanded. How strict to be depends on what is done to the network meanwhile.
"""

import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from common.limits import HITS_PER_QUERY_MAX
from deploy import graphs
from deploy.oracle import Oracle
from deploy.report import Tally
from deploy.workload import Outcome, Question


class Standing(Protocol):
    """How a network stands at the moment: who lives, who hangs where."""

    @property
    def alive(self) -> Mapping[int, object]:
        """The super-peers that live."""

    @property
    def alive_leaves(self) -> Mapping[int, object]:
        """The leaves that live."""

    @property
    def parents(self) -> Mapping[int, int]:
        """The super-peer that each leaf hangs on."""

    @property
    def edges(self) -> list[graphs.Edge]:
        """The links among super-peers that are meant to be."""


class Strictness(enum.Enum):
    """What counts as a violation."""

    EXACT = "exact"  # all that lies within reach, nothing else, each super-peer once
    WHOLE = "whole"  # nothing of what lives may be missing, and the answer must know that
    TRUE = "true"  # what is said to be there was there; how much is missing is only counted
    PRESENT = "present"  # the same, but all that is in the network is counted, linked or not
    LEFT = "left"  # what is left: all that living leaves hold is counted, wherever they hang


class Demand(NamedTuple):
    """What a search must bring: the super-peers within reach, and who holds what there."""

    within: dict[int, int]
    sources: dict[str, list[int]]


class _Hanging:
    """The leaves that hang on some super-peers and live, without listing them."""

    def __init__(self, standing: Standing, super_peers: Mapping[int, int]) -> None:
        self._standing, self._super_peers = standing, super_peers

    def __contains__(self, leaf: object) -> bool:
        standing = self._standing
        if not isinstance(leaf, int) or leaf not in standing.alive_leaves:
            return False
        return standing.parents.get(leaf) in self._super_peers


class Judge:
    """Tells what must be there, and counts what was and was not."""

    def __init__(self, standing: Standing, oracle: Oracle, tally: Tally) -> None:
        self._standing = standing
        self._oracle = oracle
        self._tally = tally

    def within(self, question: Question) -> dict[int, int]:
        """The super-peers that are alive and lie within reach of a search, and how far."""
        standing = self._standing
        beside = graphs.neighbours(list(standing.alive), standing.edges)
        parent = standing.parents.get(question.leaf)
        return graphs.ball(beside, parent, question.ttl) if parent in beside else {}

    def demand(self, question: Question, strictness: Strictness = Strictness.EXACT) -> Demand:
        """What a search that is asked now must bring."""
        standing = self._standing
        if strictness is Strictness.LEFT:
            return Demand({}, self._oracle.expected(question.words, standing.alive_leaves))
        if strictness is Strictness.PRESENT:
            alive = dict.fromkeys(standing.alive, 0)
            return Demand(alive, self._oracle.expected(question.words, _Hanging(standing, alive)))
        within = self.within(question)
        hanging = _Hanging(self._standing, within)
        return Demand(within, self._oracle.expected(question.words, hanging))

    def judge(
        self,
        outcome: Outcome,
        demand: Demand,
        strictness: Strictness,
        stayed: Callable[[int], bool] = lambda _leaf: True,
    ) -> None:
        """Count an answer; `stayed` tells of a leaf whether it was there all the time."""
        question, tally = outcome.question, self._tally
        if question.leaf not in self._standing.alive_leaves:
            return
        tally.searches += 1
        if outcome.result is None:
            if strictness in (Strictness.LEFT, Strictness.PRESENT):
                tally.pairs_expected += sum(map(len, demand.sources.values()))
            elif strictness is not Strictness.TRUE:
                self.violated(f"{told(question)} failed: {outcome.error}")
            return
        self._count(outcome, demand, stayed)
        self._hold(outcome, demand, strictness, stayed)

    def _count(self, outcome: Outcome, demand: Demand, stayed: Callable[[int], bool]) -> None:
        result, tally, wanted = outcome.result, self._tally, outcome.question.limit
        if result is None:
            return
        found = {hit.id: hit.sources for hit in result.hits}
        files = [(id_, sum(map(stayed, leaves))) for id_, leaves in demand.sources.items()]
        files = [(id_, count) for id_, count in files if count]
        if wanted < HITS_PER_QUERY_MAX:  # who wants a few files wants none of them from everybody
            tally.pairs_expected += min(len(files), wanted)
            tally.pairs_found += min(len(found), len(files), wanted)
        else:
            tally.pairs_expected += sum(count for _, count in files)
            tally.pairs_found += sum(min(found.get(id_, 0), count) for id_, count in files)
        cover = result.coverage
        tally.reached += min(cover.reached, len(demand.within))
        tally.reachable += len(demand.within)
        tally.messages += cover.messages
        tally.done_s.append(outcome.elapsed_s)
        tally.costs.append((cover.reached, cover.messages))
        if demand.within:
            tally.coverages.append(min(cover.reached / len(demand.within), 1.0))
        if outcome.first_hit_s is not None:
            tally.first_hit_s.append(outcome.first_hit_s)

    def _hold(
        self,
        outcome: Outcome,
        demand: Demand,
        strictness: Strictness,
        stayed: Callable[[int], bool],
    ) -> None:
        question, result = outcome.question, outcome.result
        if result is None or strictness not in (Strictness.EXACT, Strictness.WHOLE):
            return
        expected = {id_: sum(map(stayed, leaves)) for id_, leaves in demand.sources.items()}
        expected = {id_: count for id_, count in expected.items() if count}
        found = {hit.id: hit.sources for hit in result.hits}
        cover, within = result.coverage, len(demand.within)
        if any(found.get(id_, 0) < count for id_, count in expected.items()):
            self.violated(f"{told(question)} found {found} instead of {expected}")
        elif strictness is Strictness.EXACT and found != expected:
            self.violated(f"{told(question)} found too much: {found} instead of {expected}")
        if not cover.complete:
            self.violated(f"{told(question)} is not complete: {cover}")
        if strictness is Strictness.EXACT and cover.reached != within:
            self.violated(f"{told(question)} reached {cover.reached} instead of {within}")

    def violated(self, text: str) -> None:
        """Something was that must never be."""
        self._tally.violations.append(text)


def told(question: Question) -> str:
    """A question, as people are told of it."""
    return f"the search of leaf {question.leaf} for {' '.join(question.words)!r}"
