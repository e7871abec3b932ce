"""What happens on a stage: phase after phase of searches, downloads and faults, judged as it goes.

The same phases that processes go through, in virtual time: questions follow one another or are
spread over a time, faults strike at their moment, and the next phase begins when all is answered
and the network has settled. Nodes that come and go do so by timelines of their own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final, TypeVar

import msgspec

from common.core import Fail
from deploy.churn import timeline
from deploy.judge import Judge, Strictness
from deploy.oracle import Held
from deploy.report import Tally
from deploy.scenario import Phase
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.misfortune import Misfortune
from deploy.sim.people import Gone
from deploy.sim.stage import Stage
from deploy.workload import Outcome, Question, questions, wanted_downloads
from leaf.methods import Get, GetResult, Search, SearchResult

LOOK_S: Final = 0.25  # how often it is looked whether the network has settled
START_S: Final = 1.0  # within which super-peers start; then the leaves
LEAVES_PER_S: Final = 100
LEAVES_PER_S_LARGE: Final = 2_000
FETCHED: Final = "/fetched"
SLACK_S: Final = 5.0  # how much later than its own limit an answer may come

T = TypeVar("T")
Then = Callable[[], object]


class Acts:
    """The run of one scenario on its stage."""

    def __init__(self, stage: Stage, tally: Tally, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._say = say
        self._world = stage.world
        self._total = self._tally = tally
        self.judge = Judge(stage, stage.oracle, tally)
        self.tallies: list[tuple[Phase, Tally]] = []  # of each phase, those that may fail too
        self._is_broken = False  # by a phase that may fail
        self.before_phase: Callable[[Phase], None] = lambda _phase: None
        self._misfortune = Misfortune(stage, tally)
        self._left_at: dict[int, float] = {}  # leaves, when they last lost their parent
        self._fetches = 0
        stage.on_joined = self._misfortune.rejoined

    # --- from the first start to the last answer ----------------------------------------------

    def run(self) -> None:
        """Bring it up and go through all phases."""
        self._start()
        for number, phase in enumerate(self._stage.scenario.phases):
            self._tally = Tally()
            self.judge = Judge(self._stage, self._stage.oracle, self._tally)
            if not self._churns:
                self._settle(demanded=not self._is_broken)
            self.before_phase(phase)
            self._is_broken |= phase.may_fail and any(fault.kill for fault in phase.faults)
            self._phase(phase, self._stage.scenario.random(f"phase {number}"))
            self.tallies.append((phase, self._tally))
            if not phase.may_fail:
                self._total.add(self._tally)
            self._say(f"{self._world.now:9.2f} s  {phase.name}: {summary(self._tally)}")

    @property
    def _churns(self) -> bool:
        return self._stage.scenario.churn.profile != "none"

    def _start(self) -> None:
        stage, rng = self._stage, self._stage.scenario.random("starts")
        per_s = LEAVES_PER_S_LARGE if stage.scenario.large else LEAVES_PER_S
        spread_s = max(len(stage.leaves) / per_s, START_S)
        for host in stage.super_peers:
            self._world.schedule.at(rng.uniform(0, START_S), _start, host)
        for host in stage.hostile:
            self._world.schedule.at(START_S + rng.uniform(0, spread_s), _start, host)
        if not stage.scenario.together:
            for host in stage.leaves:
                self._world.schedule.at(START_S + rng.uniform(0, spread_s), _start, host)
        self._world.run(START_S + spread_s)
        if self._churns:
            self._world.run(self._world.now + 2 * SLACK_S)
            self._come_and_go()
        else:
            self._settle(stage.scenario.timeouts.published_s)

    def _come_and_go(self) -> None:
        """Give every node its past and its future."""
        stage, churn = self._stage, self._stage.scenario.churn
        until_s = sum(max(phase.for_s, 60.0) for phase in stage.scenario.phases) + 60.0
        groups = [("leaf", stage.leaves)]
        if churn.super_peers:
            groups.append(("super-peer", stage.super_peers))
        for kind, hosts in groups:
            for number, host in enumerate(hosts):
                rng = stage.scenario.random(f"churn of {kind} {number}")
                scale = stage.scenario.time_scale
                changes = timeline(churn.profile, rng, until_s, scale)
                for change in changes:
                    crashes = rng.random() < churn.crashes
                    when = self._world.now + change.at_s
                    what = (kind, number, host, change.comes, crashes)
                    self._world.schedule.at(when, self._misfortune.change, what)

    def _settle(self, within_s: float | None = None, *, demanded: bool = True) -> None:
        """Wait until the overlay is as drawn and all that is shared can be found."""
        stage = self._stage
        limit_s = within_s or stage.scenario.timeouts.settled_s
        deadline = self._world.now + limit_s
        while not self._is_settled():
            if self._world.now >= deadline:
                if demanded:
                    self.judge.violated(f"the network does not settle within {limit_s:g} s")
                return
            self._world.run(self._world.now + LOOK_S)

    def _is_settled(self) -> bool:
        stage = self._stage
        if any(leaf not in stage.parents for leaf in stage.alive_leaves):
            return False
        files, linked = 0, 0
        for number in stage.alive:
            inside = superpeer_of(stage.super_peers[number])
            if inside is None:
                return False
            files += inside.cluster.files
            linked += len(inside.overlay.neighbours)
        drawn = sum(a in stage.alive and b in stage.alive for a, b in stage.edges)
        held = stage.oracle.count(stage.alive_leaves)
        at_least = files >= held if stage.hostile else files == held
        return at_least and linked >= 2 * drawn

    # --- one phase ----------------------------------------------------------------------------

    def _phase(self, phase: Phase, rng: Random) -> None:
        stage = self._stage
        zipf = stage.scenario.content.zipf
        present = list(stage.alive_leaves)
        asked = questions(phase, stage.oracle, present, rng, zipf)
        evaluated = self._evaluated()
        outcomes: list[Outcome] = []
        self._misfortune.strike_all(phase.faults)
        struck_until = self._world.now + max([f.at_s + f.for_s for f in phase.faults], default=0.0)
        strictness = self._strictness(phase)

        def ask(question: Question, then: Then) -> None:
            now = self._drawn_anew(phase, rng) if self._churns else question
            self._ask(now or question, strictness, outcomes, then)

        searches = self._begin(asked, ask, phase, phase.at_once)
        if not phase.for_s:
            self._await([searches], phase)
            self._world.run(max(self._world.now, struck_until))
        if strictness is Strictness.EXACT:
            self._check_evaluated(evaluated, outcomes)
        wanted = wanted_downloads(phase, stage.oracle, present, rng, zipf)
        at_once = len(wanted) if phase.crowd else phase.at_once
        fetches = self._begin(wanted, self._fetch, phase, at_once)
        self._await([searches, fetches], phase)
        self._world.run(max(self._world.now, struck_until))

    def _drawn_anew(self, phase: Phase, rng: Random) -> Question | None:
        """Where nodes come and go: a question from and for those that are there just now."""
        stage = self._stage
        one = msgspec.structs.replace(phase, searches=1, leaves_per_file=0)
        drawn = questions(one, stage.oracle, list(stage.parents), rng, stage.scenario.content.zipf)
        return drawn[0] if drawn else None

    def _strictness(self, phase: Phase) -> Strictness:
        scenario = self._stage.scenario
        if phase.may_fail:
            return Strictness.LEFT
        if self._churns:
            return Strictness.PRESENT
        if scenario.hostile or scenario.large:
            return Strictness.TRUE
        return Strictness.WHOLE if phase.faults else Strictness.EXACT

    def _evaluated(self) -> dict[int, int]:
        counts = {}
        for number in self._stage.alive:
            inside = superpeer_of(self._stage.super_peers[number])
            counts[number] = inside.flood.evaluated if inside else 0
        return counts

    def _check_evaluated(self, before: dict[int, int], outcomes: Sequence[Outcome]) -> None:
        """Each super-peer evaluated each search that it lies within reach of, and once."""
        expected = dict.fromkeys(before, 0)
        for outcome in outcomes:
            for number in self.judge.within(outcome.question):
                expected[number] += 1
        for number, count in self._evaluated().items():
            done = count - before.get(number, 0)
            if done != expected.get(number, 0):
                self.judge.violated(
                    f"super-peer {number} evaluated {done} queries instead of {expected[number]}"
                )

    # --- many things --------------------------------------------------------------------------

    def _begin(
        self, items: Sequence[T], do: Callable[[T, Then], None], phase: Phase, at_once: int
    ) -> list[T]:
        """Do something with all: spread over the phase's time, or `at_once` at any time.

        What is not done yet is in the list that comes back.
        """
        left = list(items)
        if phase.for_s:
            step_s = phase.for_s / max(len(items), 1)
            for place, item in enumerate(items):
                self._world.schedule.later(place * step_s, partial(do, item, left.pop))
            return left
        waiting = iter(items)

        def following() -> None:
            item = next(waiting, None)
            if item is not None:
                do(item, ended)

        def ended() -> None:
            left.pop()
            following()

        for _ in range(min(at_once, len(items))):
            following()
        return left

    def _await(self, begun: Sequence[Sequence[object]], phase: Phase) -> None:
        """Let time pass until all of it is done, or should have been."""
        timeouts = self._stage.scenario.timeouts
        each_s = max(timeouts.search_s, timeouts.get_s) + SLACK_S
        limit_s = phase.for_s + each_s * max(sum(map(len, begun)), 1)
        self._world.run(self._world.now + phase.for_s)
        self._world.run(self._world.now + limit_s, enough=lambda: not any(begun))

    # --- searches -----------------------------------------------------------------------------

    def _ask(
        self, question: Question, strictness: Strictness, outcomes: list[Outcome], then: Then
    ) -> None:
        stage, began = self._stage, self._world.now
        demand = self.judge.demand(question, strictness)
        since = {leaf: stage.joined.get(leaf) for ids in demand.sources.values() for leaf in ids}
        first: list[float] = []

        def on_tell(_event: object) -> None:
            if not first:
                first.append(self._world.now - began)

        def on_end(outcome: object) -> None:
            elapsed_s = self._world.now - began
            result = outcome if isinstance(outcome, SearchResult) else None
            error = "" if result else _error(outcome)
            found = Outcome(question, began, elapsed_s, first[0] if first else None, result, error)
            self._tally.searches_struck += self._misfortune.struck_between(began, self._world.now)
            self.judge.judge(
                found,
                demand,
                strictness,
                lambda leaf: strictness is Strictness.LEFT or self._stayed(leaf, since.get(leaf)),
            )
            outcomes.append(found)
            self._world.schedule.later(0.0, then)

        params = Search(
            list(question.words),
            limit=question.limit,
            wait=stage.scenario.timeouts.search_s,
            ttl=question.ttl,
            strategy=question.strategy,
        )
        self._world.people.ask(stage.leaves[question.leaf], "leaf.search", params, on_end, on_tell)

    def _stayed(self, leaf: int, since: object) -> bool:
        """Whether a leaf hangs where it hung, on a super-peer that lives."""
        stage = self._stage
        return since is not None and stage.joined.get(leaf) == since

    # --- downloads ----------------------------------------------------------------------------

    def _fetch(self, item: tuple[int, Held], then: Then) -> None:
        """Fetch one file and hold it against what its holder shares."""
        leaf, wanted = item
        stage, tally = self._stage, self._tally
        self._fetches += 1
        target = f"{FETCHED}/{self._fetches}-{wanted.name}"
        tally.downloads += 1
        began = self._world.now

        def on_end(outcome: object) -> None:
            result = outcome if isinstance(outcome, GetResult) else None
            if result is None:
                if not (self._churns or self._is_broken or isinstance(outcome, Gone)):
                    self.judge.violated(f"leaf {leaf} wanted {wanted.name!r}: {_error(outcome)}")
            elif stage.files[leaf].read(result.path) != stage.data[wanted.id]:
                self.judge.violated(f"leaf {leaf} fetched other bytes than {wanted.name!r}")
            else:
                tally.downloads_complete += 1
                tally.fetch_s.append(self._world.now - began)
                tally.bytes_useful += result.size
                tally.bytes_wasted += max(result.bytes_received - result.size, 0)
                name = result.path.rpartition("/")[2]
                stage.oracle.add(Held(leaf, wanted.id, name, ""))
            self._world.schedule.later(0.0, then)

        get = Get(wanted.id, to=target, timeout=stage.scenario.timeouts.get_s)
        host = stage.leaves[leaf]
        call = self._world.people.ask(host, "leaf.get", get, on_end)
        self._world.schedule.later(
            stage.scenario.timeouts.get_s, lambda: self._world.people.give_up(call)
        )


def _start(host: Host) -> None:
    host.start()


def _error(outcome: object) -> str:
    return outcome.message if isinstance(outcome, Fail) else type(outcome).__name__


def summary(tally: Tally) -> str:
    """What a phase showed, in a line."""
    parts: list[str] = []
    if tally.searches:
        parts.append(
            f"{tally.searches} searches found {tally.pairs_found} of {tally.pairs_expected}"
        )
    if tally.downloads:
        parts.append(f"{tally.downloads_complete} of {tally.downloads} downloads are whole")
    if tally.violations:
        parts.append(f"{len(tally.violations)} violations")
    return "; ".join(parts) or "as it should be"
