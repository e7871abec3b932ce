"""One phase played on a stage: searches, downloads and faults in virtual time.

Questions follow one another or are spread over the phase's time, and faults strike at their moment.
An answer of a network that is steady is judged when the phase is over, against what stood all
through it; any other is held against what was there when it was asked and still is. All that was
begun must come to an end.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final, TypeVar

import msgspec

from common.core import Fail
from deploy.judge import Judge, told
from deploy.oracle import Held
from deploy.report import Tally
from deploy.scenario import Phase
from deploy.sim.inside import superpeer_of
from deploy.sim.misfortune import Misfortune
from deploy.sim.people import Gone, Late
from deploy.sim.stage import Stage
from deploy.standing import Steady
from deploy.strictness import STEADY, Strictness, of_asker, of_phase
from deploy.targets import Target
from deploy.workload import Download, Outcome, Question, questions, wanted_downloads
from leaf.methods import Get, GetResult, Search, SearchResult

FETCHED: Final = "/fetched"
SLACK_S: Final = 5.0  # how much later than its own limit an answer may come

T = TypeVar("T")
Then = Callable[[], object]


class Act:
    """One phase: what is demanded of it, and what came of it."""

    def __init__(
        self,
        stage: Stage,
        misfortune: Misfortune,
        phase: Phase,
        tally: Tally,
        *,
        is_broken: bool = False,
    ) -> None:
        """`is_broken`: a phase that may fail took something away, so downloads may fail too."""
        self._stage = stage
        self._world = stage.world
        self._misfortune = misfortune
        self._phase = phase
        self._tally = tally
        self._churns = stage.scenario.churn.profile != "none"
        self._downloads_may_fail = is_broken or phase.may_fail or self._churns
        self._strictness = of_phase(stage.scenario, phase)
        self._away: dict[Target, None] = {}  # at any time of the phase
        self._steady = Steady(stage, dict(stage.parents), self._away)
        has_liars = bool(stage.scenario.hostile)
        self._judge = Judge(stage, stage.oracle, tally, has_liars=has_liars)
        self._steady_judge = Judge(self._steady, stage.oracle, tally, has_liars=has_liars)
        self._outcomes: list[Outcome] = []
        self._fetched: list[Download] = []

    def play(self, rng: Random) -> None:
        """From the first question to the last answer."""
        stage, phase = self._stage, self._phase
        zipf = stage.scenario.content.zipf
        present = list(stage.alive_leaves)
        asked = questions(phase, stage.oracle, present, rng, zipf)
        evaluated = self._evaluated()
        self._misfortune.strike_all(phase.faults, self._away, self._tally)
        struck_until = self._world.now + max([f.at_s + f.for_s for f in phase.faults], default=0.0)

        def ask(question: Question, then: Then) -> None:
            now = self._drawn_anew(rng) if self._churns else question
            self._ask(now or question, then)

        searches = self._begin(asked, ask, phase.at_once)
        if not phase.for_s:
            self._await([searches], struck_until)
            self._check_evaluated(evaluated)
        wanted = wanted_downloads(phase, stage.oracle, present, rng, zipf)
        at_once = len(wanted) if phase.crowd else phase.at_once
        fetches = self._begin(wanted, self._fetch, at_once)
        self._await([searches, fetches], struck_until)
        if phase.for_s:
            self._check_evaluated(evaluated)
        self._judge_steady()
        self._tell_unended(searches, fetches)
        self._steady_judge.judge_downloads(self._fetched, may_fail=self._downloads_may_fail)

    def _evaluated(self) -> dict[int, int]:
        counts = {}
        for number in self._stage.alive:
            inside = superpeer_of(self._stage.superpeer(number))
            counts[number] = inside.flood.evaluated if inside else 0
        return counts

    def _check_evaluated(self, before: dict[int, int]) -> None:
        if self._strictness is Strictness.EXACT:
            self._steady_judge.check_evaluated(before, self._evaluated(), self._outcomes)

    def _judge_steady(self) -> None:
        if self._strictness not in STEADY:
            return  # judged when they came
        for outcome in self._outcomes:
            strictness = of_asker(self._strictness, self._steady, outcome.question.leaf)
            demand = self._steady_judge.demand(outcome.question, strictness)
            self._steady_judge.judge(outcome, demand, strictness)

    # --- many things --------------------------------------------------------------------------

    def _begin(
        self, items: Sequence[T], do: Callable[[T, Then], None], at_once: int
    ) -> dict[int, T]:
        """Do something with all: spread over the phase's time, or `at_once` at any time.

        What is not done yet is in what comes back.
        """
        left = dict(enumerate(items))
        if self._phase.for_s:
            step_s = self._phase.for_s / max(len(items), 1)
            for place, item in enumerate(items):
                then = partial(left.pop, place)
                self._world.schedule.later(place * step_s, partial(do, item, then))
            return left
        waiting = iter(enumerate(items))

        def following() -> None:
            place, item = next(waiting, (None, None))
            if place is not None and item is not None:
                do(item, partial(ended, place))

        def ended(place: int) -> None:
            left.pop(place)
            following()

        for _ in range(min(at_once, len(items))):
            following()
        return left

    def _await(self, begun: Sequence[Mapping[int, object]], struck_until: float) -> None:
        """Let time pass until all of it is done, or should have been, and no fault is on."""
        timeouts, world = self._stage.scenario.timeouts, self._world
        each_s = max(timeouts.search_s, timeouts.get_s) + SLACK_S
        world.run(world.now + self._phase.for_s)
        limit_s = self._phase.for_s + each_s * max(sum(len(left) for left in begun), 1)
        until = max(world.now, struck_until) + limit_s
        world.run(until, enough=lambda: not any(begun))
        world.run(max(world.now, struck_until))

    def _tell_unended(
        self, searches: dict[int, Question], fetches: dict[int, tuple[int, Held]]
    ) -> None:
        """Whatever a phase may lose, nobody waits for ever."""
        for question in searches.values():
            self._judge.violated(f"{told(question)} is never answered")
        for leaf, wanted in fetches.values():
            self._judge.violated(f"leaf {leaf} never hears of {wanted.name!r}, which it wanted")

    # --- searches -----------------------------------------------------------------------------

    def _drawn_anew(self, rng: Random) -> Question | None:
        """Where nodes come and go: a question from and for those that are there just now."""
        stage = self._stage
        one = msgspec.structs.replace(self._phase, searches=1, leaves_per_file=0)
        drawn = questions(one, stage.oracle, list(stage.parents), rng, stage.scenario.content.zipf)
        return drawn[0] if drawn else None

    def _ask(self, question: Question, then: Then) -> None:
        stage, began = self._stage, self._world.now
        judge = self._judged_when_it_comes(question)
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
            judge(found)
            self._outcomes.append(found)
            self._world.schedule.later(0.0, then)

        params = Search(
            list(question.words),
            limit=question.limit,
            wait=stage.scenario.timeouts.search_s,
            ttl=question.ttl,
            strategy=question.strategy,
        )
        self._world.people.ask(stage.leaves[question.leaf], "leaf.search", params, on_end, on_tell)

    def _judged_when_it_comes(self, question: Question) -> Callable[[Outcome], None]:
        """Hold an answer against what is there now, as far as it is there then."""
        strictness, joined = self._strictness, self._stage.joined
        if strictness in STEADY:
            return lambda _found: None
        demand = self._judge.demand(question, strictness)
        since = {leaf: joined.get(leaf) for ids in demand.sources.values() for leaf in ids}

        def stayed(leaf: int) -> bool:
            if strictness is Strictness.LEFT:
                return True
            return since[leaf] is not None and joined.get(leaf) == since[leaf]

        return lambda found: self._judge.judge(found, demand, strictness, stayed)

    # --- downloads ----------------------------------------------------------------------------

    def _fetch(self, item: tuple[int, Held], then: Then) -> None:
        """Fetch one file and hold it against what its holder shares."""
        leaf, wanted = item
        people, get_s = self._world.people, self._stage.scenario.timeouts.get_s
        target = f"{FETCHED}/{self._stage.next_fetch()}-{wanted.name}"

        def on_end(outcome: object) -> None:
            self._fetched.append(self._download(leaf, wanted, outcome))
            self._world.schedule.later(0.0, then)

        get = Get(wanted.id, to=target, timeout=get_s)
        call = people.ask(self._stage.leaves[leaf], "leaf.get", get, on_end)
        self._world.schedule.later(get_s, partial(people.give_up, call))

    def _download(self, leaf: int, wanted: Held, outcome: object) -> Download:
        if not isinstance(outcome, GetResult):
            return Download(leaf, wanted, wanted.name, None, _error(outcome))
        name = outcome.path.rpartition("/")[2]
        same = self._stage.files[leaf].read(outcome.path) == self._stage.data[wanted.id]
        error = "" if same else "its bytes are not those of the source"
        return Download(leaf, wanted, name, outcome, error)


def _error(outcome: object) -> str:
    if isinstance(outcome, Gone):
        return "the node died before it answered"
    if isinstance(outcome, Late):
        return "there was no answer in time"
    return outcome.message if isinstance(outcome, Fail) else type(outcome).__name__
