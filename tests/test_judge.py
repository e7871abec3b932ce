"""The judge: what counts as found, what must never be, and how much is demanded when."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import pytest

from common.limits import HITS_PER_QUERY_MAX
from deploy import graphs
from deploy.judge import Judge
from deploy.oracle import Held, Oracle
from deploy.report import Tally
from deploy.scenario import Churn, Fault, Hostile, Phase, Scenario
from deploy.strictness import Strictness, of_asker, of_phase
from deploy.workload import Download, Outcome, Question
from leaf.methods import CoverageRow, GetResult, HitRow, SearchResult

COUNTED = (Strictness.TRUE, Strictness.PRESENT, Strictness.LEFT)
FILES = [f"file {number}" for number in range(12)]
QUIET = Scenario(super_peers=2, leaves=4)


class Pair:
    """Two super-peers, linked, with two leaves each."""

    alive: Mapping[int, object] = {0: None, 1: None}
    alive_leaves: Mapping[int, object] = {0: None, 1: None, 2: None, 3: None}
    parents: Mapping[int, int] = {0: 0, 1: 0, 2: 1, 3: 1}
    edges: ClassVar[list[graphs.Edge]] = [(0, 1)]


def judged(
    found: list[str] | None, strictness: Strictness, *, limit: int = 10, has_liars: bool = False
) -> Tally:
    """What is counted of an answer, or of none, where leaf 1 holds twelve files named blue."""
    tally = Tally()
    oracle = Oracle(Held(1, id_, "blue", "") for id_ in FILES)
    judge = Judge(Pair(), oracle, tally, has_liars=has_liars)
    question = Question(0, ("blue",), 3, limit)
    result = None
    if found is not None:
        hits = [HitRow(id_, "blue", ["blue"], 1, 1, 1.0) for id_ in found]
        result = SearchResult("blue", hits, CoverageRow(2, 2, 2, 0.1, complete=True))
    outcome = Outcome(question, 0.0, 0.1, None, result, "" if result else "no parent")
    judge.judge(outcome, judge.demand(question, strictness), strictness)
    return tally


@pytest.mark.parametrize("strictness", COUNTED)
def test_a_few_wanted_hits_count_only_if_they_were_demanded(strictness: Strictness) -> None:
    """Ten were wanted: what nobody holds is not one of them, and too many are no more than ten."""
    assert judged(FILES[:10], strictness).recall == 1.0
    assert judged(FILES, strictness).recall == 1.0
    assert judged([*FILES[:4], "made up"], strictness).recall == 0.4


@pytest.mark.parametrize("strictness", Strictness)
@pytest.mark.parametrize("limit", [10, HITS_PER_QUERY_MAX])
def test_what_nobody_ever_held_is_never_found(strictness: Strictness, limit: int) -> None:
    """However little is demanded: an answer may lack much, and invents nothing."""
    tally = judged([*FILES, "made up"], strictness, limit=limit)
    assert "found what nobody ever held: ['made up']" in tally.violations[0]


def test_what_a_liar_has_signed_is_only_not_what_was_wanted() -> None:
    """A hostile leaf may truly share what it has invented."""
    tally = judged(["made up"], Strictness.TRUE, has_liars=True)
    assert (tally.violations, tally.recall) == ([], 0.0)


@pytest.mark.parametrize("strictness", Strictness)
def test_a_failed_search_has_found_nothing_of_what_it_should(strictness: Strictness) -> None:
    """It counts in recall; where a network is steady it must not fail at all."""
    tally = judged(None, strictness)
    assert (tally.searches, tally.pairs_found, tally.pairs_expected) == (1, 0, 10)
    assert bool(tally.violations) == (strictness not in COUNTED)


def downloaded(error: str, result: GetResult | None, *, holder: int, may_fail: bool) -> list[str]:
    """What is violated by a download of leaf 0."""
    tally, held = Tally(), Held(holder, "id", "blue", "")
    judge = Judge(Pair(), Oracle([held]), tally)
    judge.judge_downloads([Download(0, held, "blue", result, error)], may_fail=may_fail)
    return tally.violations


def test_wrong_bytes_are_never_forgiven() -> None:
    """A download may fail; it may not bring something else."""
    got = GetResult("/x", "id", 1, 0.1, 1, 1, verified=True)
    assert downloaded("wrong bytes", got, holder=1, may_fail=True)
    assert downloaded("wrong bytes", got, holder=9, may_fail=False)
    assert not downloaded("no source", None, holder=1, may_fail=True)


def test_a_download_without_a_living_holder_is_excused() -> None:
    """One that could be done must be done."""
    assert not downloaded("no source", None, holder=9, may_fail=False)
    assert downloaded("no source", None, holder=1, may_fail=False)


KILL, STOP = Fault(1.0, kill="super-peer 0"), Fault(1.0, stop="super-peer 0", for_s=5.0)
CHURN = msgspec.structs.replace(QUIET, churn=Churn("gnutella"))
LIARS = msgspec.structs.replace(QUIET, hostile=(Hostile("forger"),))
LEAF_STOPS = Fault(1.0, stop="leaf 0", for_s=5.0)


@pytest.mark.parametrize(
    ("scenario", "phase", "strictness"),
    [
        (QUIET, Phase("x"), Strictness.EXACT),
        (QUIET, Phase("x", gets=3), Strictness.EXACT),
        (QUIET, Phase("x", for_s=9.0, gets=3), Strictness.WHOLE),
        (QUIET, Phase("x", for_s=9.0, crowd=3), Strictness.WHOLE),
        (QUIET, Phase("x", faults=(KILL,)), Strictness.WHOLE),
        (QUIET, Phase("x", faults=(LEAF_STOPS,)), Strictness.WHOLE),
        (QUIET, Phase("x", faults=(KILL, STOP)), Strictness.HONEST),
        (QUIET, Phase("x", faults=(KILL,), may_fail=True), Strictness.LEFT),
        (CHURN, Phase("x"), Strictness.PRESENT),
        (LIARS, Phase("x", faults=(KILL,)), Strictness.TRUE),
        (LIARS, Phase("x", may_fail=True), Strictness.LEFT),
    ],
)
def test_what_is_demanded_of_a_phase(
    scenario: Scenario, phase: Phase, strictness: Strictness
) -> None:
    """By what is done to the network meanwhile, in whatever world."""
    assert of_phase(scenario, phase) is strictness


class Struck(Pair):
    """The same pair; super-peer 1 was struck, and leaf 0 had no parent from the beginning."""

    alive: Mapping[int, object] = {0: None}
    parents: Mapping[int, int] = {1: 0, 2: 1, 3: 1}


def test_what_is_demanded_for_a_leaf_without_its_parent() -> None:
    """Nothing where it was struck; where there never was one, what is left is counted."""
    assert of_asker(Strictness.WHOLE, Struck(), 1) is Strictness.WHOLE
    assert of_asker(Strictness.WHOLE, Struck(), 2) is Strictness.TRUE
    assert of_asker(Strictness.EXACT, Struck(), 0) is Strictness.LEFT
    assert of_asker(Strictness.PRESENT, Struck(), 2) is Strictness.PRESENT
