"""Holds answers against the graph and the files that are known to be there.

What an answer owed is worked out for a moment (`demand`), and judged when it came: what has gone in
between is not demanded. How strict to be is decided elsewhere (`deploy.strictness`). What nobody
ever held is never to be found, unless nodes lie: then it only is not what was wanted.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from common.limits import HITS_PER_QUERY_MAX, REACH_IDS_MAX
from deploy import graphs
from deploy.oracle import Held, Oracle
from deploy.report import Tally
from deploy.standing import Standing
from deploy.strictness import STEADY, Strictness
from deploy.workload import Download, Outcome, Question
from leaf.methods import SearchResult
from leaf.search.hits import SOURCES_KEPT_MAX
from leaf.search.search import SOURCES_PER_ROW
from superpeer.overlay.reach import FINE_IDS_MAX

Counts = dict[str, int]  # of sources, by the id of a file

ESTIMATE_ERROR_MAX: Final = 4 / math.sqrt(REACH_IDS_MAX)  # four standard errors


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

    def __init__(
        self, standing: Standing, oracle: Oracle, tally: Tally, *, has_liars: bool = False
    ) -> None:
        """`has_liars`: there are nodes that sign what they do not have."""
        self._standing = standing
        self._oracle = oracle
        self._tally = tally
        self._has_liars = has_liars

    def violated(self, text: str) -> None:
        """Something was that must never be."""
        self._tally.violations.append(text)

    # --- searches -----------------------------------------------------------------------------

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
        question, result = outcome.question, outcome.result
        if question.leaf not in self._standing.alive_leaves:
            return
        owed = {id_: sum(map(stayed, leaves)) for id_, leaves in demand.sources.items()}
        owed = {id_: min(count, SOURCES_KEPT_MAX) for id_, count in owed.items() if count}
        found = {hit.id: hit.sources for hit in result.hits} if result else {}
        self._tally.searches += 1
        self._count_pairs(question.limit, demand, owed, found)
        if result is not None:
            self._count_cost(outcome, result, demand)
            self._hold(question, result, found, demand, owed, strictness)
        elif strictness in STEADY:
            self.violated(f"{told(question)} failed: {outcome.error}")

    def _count_pairs(self, wanted: int, demand: Demand, owed: Counts, found: Counts) -> None:
        tally = self._tally
        due = min(sum(owed.values()), wanted * SOURCES_PER_ROW)
        tally.hits_due += due
        tally.hits += min(sum(count for id_, count in found.items() if id_ in demand.sources), due)
        if wanted < HITS_PER_QUERY_MAX:  # who wants a few files wants none of them from everybody
            due = min(len(owed), wanted)
            tally.pairs_expected += due
            tally.pairs_found += min(sum(id_ in demand.sources for id_ in found), due)
        else:
            tally.pairs_expected += sum(owed.values())
            tally.pairs_found += sum(min(found.get(id_, 0), count) for id_, count in owed.items())

    def _count_cost(self, outcome: Outcome, result: SearchResult, demand: Demand) -> None:
        cover, tally = result.coverage, self._tally
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
        question: Question,
        result: SearchResult,
        found: Counts,
        demand: Demand,
        owed: Counts,
        strictness: Strictness,
    ) -> None:
        cover, within = result.coverage, len(demand.within)
        if invented := self._invented(question, demand, found):
            self.violated(f"{told(question)} found what nobody ever held: {invented}")
        if strictness not in STEADY:
            return
        if any(found.get(id_, 0) < count for id_, count in owed.items()):
            self.violated(f"{told(question)} found {found} instead of {owed}")
        elif strictness is Strictness.EXACT and found != owed:
            self.violated(f"{told(question)} found too much: {found} instead of {owed}")
        if not cover.complete and strictness is not Strictness.HONEST:
            self.violated(f"{told(question)} is not complete: {cover}")
        if strictness is Strictness.EXACT and _miscounted(question, cover.reached, within):
            self.violated(f"{told(question)} reached {cover.reached} instead of {within}")

    def _invented(self, question: Question, demand: Demand, found: Counts) -> list[str]:
        """What was found though nobody ever held it under these words."""
        strange = [id_ for id_ in found if id_ not in demand.sources]
        if self._has_liars or not strange:
            return []
        known = self._oracle.ids(question.words)
        return [id_ for id_ in strange if id_ not in known]

    def check_evaluated(
        self, before: Mapping[int, int], now: Mapping[int, int], outcomes: Sequence[Outcome]
    ) -> None:
        """Each super-peer evaluated each flood that it lies within reach of, and once; a search by
        rings at most once, since it may be spared."""
        least, most = dict.fromkeys(before, 0), dict.fromkeys(before, 0)
        for outcome in outcomes:
            for number in self.within(outcome.question):
                least[number] += outcome.question.strategy == "flood"
                most[number] += 1
        for number in before:
            done, due = now.get(number, 0) - before[number], f"{most[number]}"
            if not least[number] <= done <= most[number]:
                due = due if least[number] == most[number] else f"{least[number]} to {due}"
                self.violated(f"super-peer {number} evaluated {done} queries instead of {due}")

    # --- downloads ----------------------------------------------------------------------------

    def judge_downloads(self, fetched: Sequence[Download], *, may_fail: bool) -> None:
        """Count downloads; what is fetched can be found from now on.

        Bytes must be the right ones whatever happens. A download must be whole, unless it may fail
        or its leaf was away or all whom it could have asked.
        """
        for download in fetched:
            self._judge_download(download, may_fail=may_fail)
        for download in fetched:
            if not download.error:
                self._oracle.add(Held(download.leaf, download.wanted.id, download.name, ""))

    def _judge_download(self, download: Download, *, may_fail: bool) -> None:
        tally, result = self._tally, download.result
        tally.downloads += 1
        if result is None or download.error:
            is_wrong = result is not None
            if is_wrong or not (may_fail or self._is_excused(download)):
                wanted = download.wanted.name
                self.violated(f"leaf {download.leaf} wanted {wanted!r}: {download.error}")
            return
        tally.downloads_complete += 1
        tally.fetch_s.append(result.elapsed_s)
        tally.bytes_useful += result.size
        tally.bytes_wasted += max(result.bytes_received - result.size, 0)

    def _is_excused(self, download: Download) -> bool:
        leaves = self._standing.alive_leaves
        holders = self._oracle.holders(download.wanted.id)
        return download.leaf not in leaves or not any(leaf in leaves for leaf in holders)


def told(question: Question) -> str:
    """A question, as people are told of it."""
    return f"the search of leaf {question.leaf} for {' '.join(question.words)!r}"


def _miscounted(question: Question, reached: int, within: int) -> bool:
    """Whether an answer says something else than is so; rings count a large network by how full
    their numbers are."""
    if question.strategy == "flood" or within <= FINE_IDS_MAX:
        return reached != within
    return abs(reached - within) > ESTIMATE_ERROR_MAX * within
