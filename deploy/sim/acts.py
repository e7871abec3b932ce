"""What happens on a stage, from the first start to the last rest: phase after phase.

The same phases that processes go through, in virtual time (`deploy.sim.act`). The next phase begins
when all is answered and the network has settled, and after the last it has to settle too. Nodes
that come and go do so by timelines of their own.
"""

from collections.abc import Callable
from typing import Final

from deploy.churn import timeline
from deploy.report import Tally
from deploy.scenario import Phase
from deploy.sim.act import Act
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.misfortune import Misfortune
from deploy.sim.stage import Stage

LOOK_S: Final = 0.25  # how often it is looked whether the network has settled
START_S: Final = 1.0  # within which super-peers start; then the leaves
LEAVES_PER_S: Final = 100
LEAVES_PER_S_LARGE: Final = 2_000
CHURN_S: Final = 10.0  # after the start, before nodes come and go


class Acts:
    """The run of one scenario on its stage."""

    def __init__(self, stage: Stage, tally: Tally, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._say = say
        self._world = stage.world
        self._total = tally
        self.tallies: list[tuple[Phase, Tally]] = []  # of each phase, those that may fail too
        self._is_broken = False  # by a phase that may fail
        self.before_phase: Callable[[Phase], None] = lambda _phase: None
        self._misfortune = Misfortune(stage)
        stage.on_joined = self._misfortune.rejoined

    # --- from the first start to the last answer ----------------------------------------------

    def run(self) -> None:
        """Bring it up and go through all phases."""
        self._start()
        phases = self._stage.scenario.phases
        for number, phase in enumerate(phases):
            self.before_phase(phase)
            self._play(phase, number)
            self._rest(is_last=number == len(phases) - 1)
        for phase, tally in self.tallies:
            self._total.add(tally.without_figures() if phase.may_fail else tally)

    def _play(self, phase: Phase, number: int) -> None:
        self._is_broken |= phase.may_fail and any(fault.kill for fault in phase.faults)
        tally = Tally()
        self.tallies.append((phase, tally))
        act = Act(self._stage, self._misfortune, phase, tally, is_broken=self._is_broken)
        act.play(self._stage.scenario.random(f"phase {number}"))
        self._say(f"{self._world.now:9.2f} s  {phase.name}: {summary(tally)}")

    def _rest(self, *, is_last: bool) -> None:
        """After a phase; what is broken may take its time, and after the last phase all of it."""
        if not self._churns and not (self._is_broken and is_last):
            self._settle(demanded=not self._is_broken)

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
            self._world.run(self._world.now + CHURN_S)
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
                    said = f"the network does not settle within {limit_s:g} s"
                    self._total.violations.append(said)
                return
            self._world.run(self._world.now + LOOK_S)

    def _is_settled(self) -> bool:
        stage = self._stage
        if not stage.alive:
            return True  # without super-peers there is nothing that could come to rest
        if any(not stage.is_placed(leaf) for leaf in stage.alive_leaves):
            return False
        files, linked = 0, 0
        for number in stage.alive:
            inside = superpeer_of(stage.superpeer(number))
            if inside is None:
                return False
            files += inside.cluster.files
            linked += len(inside.overlay.neighbours)
        drawn = sum(a in stage.alive and b in stage.alive for a, b in stage.edges)
        held = stage.oracle.count(stage.parents)  # what hangs on a liar is in his hands
        at_least = files >= held if stage.hostile else files == held
        return at_least and linked >= 2 * drawn


def _start(host: Host) -> None:
    host.start()


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
