"""One phase of a scenario put to processes: its searches, faults and downloads.

In a steady network an answer must be exactly right: all that lies within reach, nothing else, each
super-peer once. While faults strike nothing of what lives may be missing.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy import graphs
from deploy.asking import ask_all, fetch_all
from deploy.judge import Judge, Strictness
from deploy.network import Network, wait_until
from deploy.oracle import Held, Oracle
from deploy.report import Tally
from deploy.scenario import Fault, Phase
from deploy.targets import SUPER_PEER, read_target
from deploy.workload import Outcome, questions, wanted_downloads


class _Standing:
    """How the processes stand: parents as the leaves told them when the phase began."""

    def __init__(self, network: Network, parents: Mapping[int, int]) -> None:
        self._network = network
        self.parents = parents

    @property
    def alive(self) -> Mapping[int, object]:
        return self._network.alive

    @property
    def alive_leaves(self) -> Mapping[int, object]:
        return self._network.alive_leaves

    @property
    def edges(self) -> list[graphs.Edge]:
        return self._network.edges


class PhaseRun:
    """One phase: who hangs where now, and what that demands."""

    def __init__(self, network: Network, oracle: Oracle, tally: Tally) -> None:
        self._network = network
        self._oracle = oracle
        self._tally = tally
        parents = network.on_leaves(network.parent_of).items()
        self._parents = {leaf: parent for leaf, parent in parents if parent is not None}
        self._judge = Judge(_Standing(network, self._parents), oracle, tally)
        self._struck: list[float] = []  # when faults struck

    def run(self, phase: Phase, number: int) -> None:
        """Run a phase from a settled network to its last answer."""
        network, rng = self._network, self._network.scenario.random(f"phase {number}")
        leaves = list(self._parents)
        zipf = network.scenario.content.zipf
        asked = questions(phase, self._oracle, leaves, rng, zipf)
        evaluated = self._evaluated()
        striking = [threading.Timer(fault.at_s, self._strike, [fault]) for fault in phase.faults]
        for timer in striking:
            timer.start()
        outcomes = ask_all(network, asked, phase.at_once)
        for timer in striking:
            timer.join()
        strictness = Strictness.WHOLE if phase.faults else Strictness.EXACT
        for outcome in outcomes:
            self._count_struck(outcome)
            # what may be gone is not demanded: the leaves of a dead super-peer
            self._judge.judge(outcome, self._judge.demand(outcome.question), strictness)
        if not phase.faults:
            self._check_evaluated(evaluated, outcomes)
        self._fetch(wanted_downloads(phase, self._oracle, leaves, rng, zipf), phase.at_once)

    def _count_struck(self, outcome: Outcome) -> None:
        end = outcome.began + outcome.elapsed_s
        if outcome.question.leaf in self._network.alive_leaves:
            struck = any(outcome.began < moment < end for moment in self._struck)
            self._tally.searches_struck += struck

    def _evaluated(self) -> dict[int, int]:
        """How many queries each living super-peer has evaluated so far."""
        status = self._network.status_of
        return {number: status(number).queries_evaluated for number in self._network.alive}

    def _check_evaluated(self, before: dict[int, int], outcomes: Sequence[Outcome]) -> None:
        """Each super-peer evaluated each search that it lies within reach of, and once."""
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

    # --- downloads and faults -----------------------------------------------------------------

    def _fetch(self, wanted: Sequence[tuple[int, Held]], at_once: int) -> None:
        tally = self._tally
        for download in fetch_all(self._network, wanted, at_once):
            tally.downloads += 1
            if download.error or download.result is None:
                name = download.wanted.name
                self._judge.violated(f"leaf {download.leaf} wanted {name!r}: {download.error}")
                continue
            tally.downloads_complete += 1
            self._oracle.add(Held(download.leaf, download.wanted.id, download.name, ""))
            tally.bytes_useful += download.result.size
            tally.bytes_wasted += max(download.result.bytes_received - download.result.size, 0)

    def _strike(self, fault: Fault) -> None:
        """Kill a node, and see how long its leaves take to hang on another."""
        kind, number = read_target(fault.kill)
        self._network.kill(kind, number)
        self._struck.append(time.monotonic())
        if kind != SUPER_PEER:
            return
        began = time.monotonic()
        orphans = [leaf for leaf, parent in self._parents.items() if parent == number]
        within_s = self._network.scenario.timeouts.settled_s

        def wait(leaf: int) -> float | None:
            parent = self._network.parent_of
            now = wait_until(lambda: parent(leaf), lambda p: p not in (None, number), within_s)
            return None if now in (None, number) else time.monotonic() - began

        with ThreadPoolExecutor(max(len(orphans), 1)) as pool:
            for leaf, took_s in zip(orphans, pool.map(wait, orphans), strict=True):
                if took_s is None:
                    self._judge.violated(
                        f"leaf {leaf} has no parent {within_s:g} s after its own died"
                    )
                else:
                    self._tally.failover_s.append(took_s)
