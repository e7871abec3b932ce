"""One phase of a scenario put to processes: its searches, faults and downloads.

In a steady network an answer must be exactly right: all that lies within reach, nothing else, each
super-peer once. While faults strike, nothing of what was there all the time may be missing, and
nothing is demanded for a leaf whose parent was struck. Of a phase that may fail nothing is asked:
what it brought is held against all that is left. Downloads follow searches and faults, or go beside
them where the phase has a time of its own.
"""

from collections.abc import Iterator, Mapping, Sequence

from deploy import graphs
from deploy.asking import ask_all, fetch_all
from deploy.faults import Strikes
from deploy.judge import Judge, Strictness
from deploy.network import Network
from deploy.oracle import Held, Oracle
from deploy.report import Tally
from deploy.scenario import Phase
from deploy.targets import LEAF, SUPER_PEER, Target
from deploy.workload import Download, Outcome, questions, wanted_downloads


class _Stayed(Mapping[int, object]):
    """The living nodes of a kind without those that were away."""

    def __init__(self, kind: str, living: Mapping[int, object], away: Mapping[Target, object]):
        self._kind, self._living, self._away = kind, living, away

    def __getitem__(self, number: int) -> object:
        if Target(self._kind, number) in self._away:
            raise KeyError(number)
        return self._living[number]

    def __iter__(self) -> Iterator[int]:
        return (each for each in self._living if Target(self._kind, each) not in self._away)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Standing:
    """What stands all through a phase: parents as the leaves told them when it began."""

    def __init__(
        self, network: Network, parents: Mapping[int, int], away: Mapping[Target, object]
    ) -> None:
        self.alive: Mapping[int, object] = _Stayed(SUPER_PEER, network.alive, away)
        self.alive_leaves: Mapping[int, object] = _Stayed(LEAF, network.alive_leaves, away)
        self.parents = parents
        self.edges: list[graphs.Edge] = network.edges


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
        self._standing = _Standing(network, self._parents, self._away)
        self._judge = Judge(self._standing, oracle, tally)

    def run(self, phase: Phase, number: int) -> None:
        """Run a phase from a settled network to its last answer."""
        network, rng = self._network, self._network.scenario.random(f"phase {number}")
        leaves, zipf = sorted(network.alive_leaves), network.scenario.content.zipf
        asked = questions(phase, self._oracle, leaves, rng, zipf)
        wanted = wanted_downloads(phase, self._oracle, leaves, rng, zipf)
        at_once = len(wanted) if phase.crowd else phase.at_once
        with Strikes(network, self._parents, self._away, self._judge.violated) as strikes:
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
        self._count_fetched(fetched)

    # --- searches -----------------------------------------------------------------------------

    def _judge_all(
        self, phase: Phase, outcomes: Sequence[Outcome], moments: Sequence[float]
    ) -> None:
        standing = self._standing
        if phase.may_fail:
            self._away.clear()  # who is back by now is left
        for outcome in outcomes:
            question, end = outcome.question, outcome.began + outcome.elapsed_s
            if question.leaf in standing.alive_leaves:
                struck = any(outcome.began < moment < end for moment in moments)
                self._tally.searches_struck += struck
            strictness = _strictness(phase)
            if strictness is Strictness.WHOLE and self._is_orphan(question.leaf):
                strictness = Strictness.TRUE
            # what may be gone is not demanded: the leaves of a super-peer that was away
            demand = self._judge.demand(question, strictness)
            self._judge.judge(outcome, demand, strictness)

    def _is_orphan(self, leaf: int) -> bool:
        parent = self._parents.get(leaf)
        return parent is not None and parent not in self._standing.alive

    def _evaluated(self) -> dict[int, int]:
        """How many queries each living super-peer has evaluated so far."""
        status = self._network.status_of
        return {number: status(number).queries_evaluated for number in self._network.alive}

    def _check_evaluated(
        self, phase: Phase, before: dict[int, int], outcomes: Sequence[Outcome]
    ) -> None:
        """Each super-peer evaluated each search that it lies within reach of, and once."""
        if _strictness(phase) is not Strictness.EXACT:
            return
        expected = dict.fromkeys(before, 0)
        for outcome in outcomes:
            for number in self._judge.within(outcome.question):
                expected[number] += 1
        for number, count in self._evaluated().items():
            if count - before[number] != expected[number]:
                done, due = count - before[number], expected[number]
                self._judge.violated(
                    f"super-peer {number} evaluated {done} queries instead of {due}"
                )

    # --- downloads ----------------------------------------------------------------------------

    def _count_fetched(self, fetched: Sequence[Download]) -> None:
        """A download must be whole, unless its leaf was away or all whom it could have asked."""
        tally = self._tally
        for download in fetched:
            tally.downloads += 1
            if download.error or download.result is None:
                if self._could_be_done(download):
                    name = download.wanted.name
                    self._judge.violated(f"leaf {download.leaf} wanted {name!r}: {download.error}")
                continue
            tally.downloads_complete += 1
            tally.fetch_s.append(download.result.elapsed_s)
            tally.bytes_useful += download.result.size
            tally.bytes_wasted += max(download.result.bytes_received - download.result.size, 0)
            self._oracle.add(Held(download.leaf, download.wanted.id, download.name, ""))

    def _could_be_done(self, download: Download) -> bool:
        if self._is_broken:
            return False
        leaves = self._standing.alive_leaves
        holders = self._oracle.holders(download.wanted.id)
        return download.leaf in leaves and any(leaf in leaves for leaf in holders)


def _strictness(phase: Phase) -> Strictness:
    if phase.may_fail:
        return Strictness.LEFT
    grows = phase.for_s and (phase.gets or phase.crowd)  # what there is to find, meanwhile
    return Strictness.WHOLE if phase.faults or grows else Strictness.EXACT
