"""One phase of a scenario: its searches, faults and downloads, and what they had to bring.

What came back is held against the graph that the scenario drew and the files that the leaves hold.
In a steady network an answer must be exactly right: all that lies within reach, nothing else, each
super-peer once. While faults strike nothing of what lives may be missing.
"""

import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy import graphs
from deploy.network import Network, wait_until
from deploy.oracle import Held, Oracle
from deploy.report import Tally
from deploy.scenario import SUPER_PEER, Fault, Phase, victim_of
from deploy.workload import (
    Outcome,
    Question,
    ask_all,
    fetch_all,
    questions,
    wanted_downloads,
)


class PhaseRun:
    """One phase: who hangs where now, and what that demands."""

    def __init__(self, network: Network, oracle: Oracle, tally: Tally) -> None:
        self._network = network
        self._oracle = oracle
        self._tally = tally
        self._parents: dict[int, int] = {}
        self._struck: list[float] = []  # when faults struck

    def run(self, phase: Phase, number: int) -> None:
        """Run a phase from a settled network to its last answer."""
        network, rng = self._network, self._network.scenario.random(f"phase {number}")
        parents = network.on_leaves(network.parent_of).items()
        self._parents = {leaf: parent for leaf, parent in parents if parent is not None}
        leaves = list(self._parents)
        asked = questions(phase, self._oracle, leaves, rng)
        evaluated = self._evaluated()
        striking = [threading.Timer(fault.at_s, self._strike, [fault]) for fault in phase.faults]
        for timer in striking:
            timer.start()
        outcomes = ask_all(network, asked, phase.at_once)
        for timer in striking:
            timer.join()
        for outcome in outcomes:
            self._judge(outcome, steady=not phase.faults)
        if not phase.faults:
            self._check_evaluated(evaluated, outcomes)
        self._fetch(wanted_downloads(phase.gets, self._oracle, leaves, rng), phase.at_once)

    # --- searches -----------------------------------------------------------------------------

    def _judge(self, outcome: Outcome, *, steady: bool) -> None:
        """Hold an answer against what lies within its reach; exactly so in a `steady` network.

        While faults strike, what may be gone is not demanded: the leaves of a dead super-peer.
        """
        question, tally = outcome.question, self._tally
        if question.leaf not in self._network.alive_leaves:
            return
        tally.searches += 1
        end = outcome.began + outcome.elapsed_s
        tally.searches_struck += any(outcome.began < moment < end for moment in self._struck)
        if outcome.result is None:
            self._violated(f"{_told(question)} failed: {outcome.error}")
            return
        within = self._within(question)
        expected = self._oracle.expected(question.words, self._leaves_of(within))
        found = {hit.id: hit.sources for hit in outcome.result.hits}
        cover = outcome.result.coverage
        tally.pairs_expected += sum(expected.values())
        tally.pairs_found += sum(min(found.get(id_, 0), count) for id_, count in expected.items())
        tally.reached += min(cover.reached, len(within))
        tally.reachable += len(within)
        tally.messages += cover.messages
        tally.done_s.append(outcome.elapsed_s)
        if outcome.first_hit_s is not None:
            tally.first_hit_s.append(outcome.first_hit_s)
        if any(found.get(id_, 0) < count for id_, count in expected.items()):
            self._violated(f"{_told(question)} found {found} instead of {expected}")
        elif steady and found != expected:
            self._violated(f"{_told(question)} found too much: {found} instead of {expected}")
        if not cover.complete:
            self._violated(f"{_told(question)} is not complete: {cover}")
        if steady and cover.reached != len(within):
            self._violated(f"{_told(question)} reached {cover.reached} instead of {len(within)}")

    def _within(self, question: Question) -> dict[int, int]:
        """The super-peers that are alive and lie within reach of a search."""
        alive = list(self._network.alive)
        beside = graphs.neighbours(alive, self._network.edges)
        parent = self._parents[question.leaf]
        return graphs.ball(beside, parent, question.ttl) if parent in beside else {}

    def _leaves_of(self, super_peers: Container[int]) -> dict[int, None]:
        """The leaves that hang on these and are alive."""
        alive = self._network.alive_leaves
        parents = self._parents.items()
        return {leaf: None for leaf, parent in parents if leaf in alive and parent in super_peers}

    def _evaluated(self) -> dict[int, int]:
        """How many queries each living super-peer has evaluated so far."""
        status = self._network.status_of
        return {number: status(number).queries_evaluated for number in self._network.alive}

    def _check_evaluated(self, before: dict[int, int], outcomes: Sequence[Outcome]) -> None:
        """Each super-peer evaluated each search that it lies within reach of, and once."""
        expected = dict.fromkeys(before, 0)
        for outcome in outcomes:
            for number in self._within(outcome.question):
                expected[number] += 1
        for number, count in self._evaluated().items():
            if count - before[number] != expected[number]:
                done, due = count - before[number], expected[number]
                self._violated(f"super-peer {number} evaluated {done} queries instead of {due}")

    # --- downloads and faults -----------------------------------------------------------------

    def _fetch(self, wanted: Sequence[tuple[int, Held]], at_once: int) -> None:
        tally = self._tally
        for download in fetch_all(self._network, wanted, at_once):
            tally.downloads += 1
            if download.error or download.result is None:
                name = download.wanted.name
                self._violated(f"leaf {download.leaf} wanted {name!r}: {download.error}")
                continue
            tally.downloads_complete += 1
            self._oracle.add(Held(download.leaf, download.wanted.id, download.name, ""))
            tally.bytes_useful += download.result.size
            tally.bytes_wasted += max(download.result.bytes_received - download.result.size, 0)

    def _strike(self, fault: Fault) -> None:
        """Kill a node, and see how long its leaves take to hang on another."""
        kind, number = victim_of(fault)
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
                    self._violated(f"leaf {leaf} has no parent {within_s:g} s after its own died")
                else:
                    self._tally.failover_s.append(took_s)

    def _violated(self, what: str) -> None:
        self._tally.violations.append(what)


def _told(question: Question) -> str:
    return f"the search of leaf {question.leaf} for {' '.join(question.words)!r}"
