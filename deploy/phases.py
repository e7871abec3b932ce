"""One phase of a scenario put to processes: its searches, faults and downloads.

What is demanded of the answers is decided by `deploy.strictness` and held against what stood all
through the phase. Of a phase that may fail nothing is asked: what it brought is held against all
that is left. Downloads follow searches and faults, or go beside them where the phase has a time of
its own.
"""

from collections.abc import Sequence

from deploy.asking import ask_all, fetch_all
from deploy.faults import Strikes
from deploy.judge import Judge
from deploy.network import Network
from deploy.oracle import Oracle
from deploy.report import Tally
from deploy.scenario import Phase
from deploy.standing import Steady
from deploy.strictness import Strictness, of_asker, of_phase
from deploy.targets import Target
from deploy.workload import Outcome, questions, wanted_downloads


class PhaseRun:
    """One phase: who hangs where now, and what that demands."""

    def __init__(
        self, network: Network, oracle: Oracle, tally: Tally, *, is_broken: bool = False
    ) -> None:
        """`is_broken`: a phase that may fail took something away, so downloads may fail too."""
        self._network = network
        self._oracle = oracle
        self._tally = tally
        self._is_broken = is_broken
        parents = network.on_leaves(network.parent_of).items()
        self._parents = {leaf: parent for leaf, parent in parents if parent is not None}
        self._away: dict[Target, None] = {}  # at any time of the phase
        self._standing = Steady(network, self._parents, self._away)
        has_liars = bool(network.scenario.hostile)
        self._judge = Judge(self._standing, oracle, tally, has_liars=has_liars)

    def run(self, phase: Phase, number: int) -> None:
        """Run a phase from a settled network to its last answer."""
        network, rng = self._network, self._network.scenario.random(f"phase {number}")
        leaves, zipf = sorted(network.alive_leaves), network.scenario.content.zipf
        asked = questions(phase, self._oracle, leaves, rng, zipf)
        wanted = wanted_downloads(phase, self._oracle, leaves, rng, zipf)
        at_once = len(wanted) if phase.crowd else phase.at_once
        violated = self._judge.violated
        strikes = Strikes(network, self._parents, self._away, violated, may_fail=phase.may_fail)
        with strikes:
            before = self._evaluated()
            strikes.begin(phase.faults)
            with network.at_once(2) as pool:
                asking = pool.submit(ask_all, network, asked, phase.at_once, phase.for_s)
                if not phase.for_s:
                    outcomes = asking.result()
                    strikes.wait()
                    self._check_evaluated(phase, before, outcomes)
                fetching = pool.submit(fetch_all, network, wanted, at_once, phase.for_s)
                outcomes, fetched = asking.result(), fetching.result()
            strikes.wait()
        if phase.for_s:
            self._check_evaluated(phase, before, outcomes)
        self._tally.failover_s += strikes.failover_s
        self._judge_all(phase, outcomes, strikes.moments)
        self._judge.judge_downloads(fetched, may_fail=self._is_broken or phase.may_fail)

    def _judge_all(
        self, phase: Phase, outcomes: Sequence[Outcome], moments: Sequence[float]
    ) -> None:
        standing, demanded = self._standing, of_phase(self._network.scenario, phase)
        if phase.may_fail:
            self._away.clear()  # who is back by now is left
        for outcome in outcomes:
            question, end = outcome.question, outcome.began + outcome.elapsed_s
            if question.leaf in standing.alive_leaves:
                struck = any(outcome.began < moment < end for moment in moments)
                self._tally.searches_struck += struck
            # what may be gone is not demanded: the leaves of a super-peer that was away
            strictness = of_asker(demanded, standing, question.leaf)
            demand = self._judge.demand(question, strictness)
            self._judge.judge(outcome, demand, strictness)

    def _evaluated(self) -> dict[int, int]:
        """How many queries each living super-peer has evaluated so far."""
        status = self._network.status_of
        return {number: status(number).queries_evaluated for number in self._network.alive}

    def _check_evaluated(
        self, phase: Phase, before: dict[int, int], outcomes: Sequence[Outcome]
    ) -> None:
        if of_phase(self._network.scenario, phase) is Strictness.EXACT:
            self._judge.check_evaluated(before, self._evaluated(), outcomes)
