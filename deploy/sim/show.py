"""A scenario in virtual time, from its file to its report: staged, acted, counted."""

import gc
import resource
import sys
import time
from collections.abc import Callable

import msgspec

from common.core import Notify
from deploy.report import Report, Tally, percentile, report_of
from deploy.scenario import Phase, Scenario
from deploy.series import Series
from deploy.sim.acts import Acts
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.load import Load
from deploy.sim.stage import Stage
from deploy.sim.trace import Trace

Say = Callable[[str], None]


class Changes:
    """How often a leaf became a super-peer, and one ceased to be."""

    def __init__(self) -> None:
        self.promotions = self.demotions = 0

    def noted(self, _host: Host, note: Notify) -> None:
        """A node changes its role."""
        self.promotions += note.name in ("promotion_accepted", "succeeded", "network_started")
        self.demotions += note.name == "stepped_down"


class Show:
    """One run; after `run` its report, samples and violations are there."""

    def __init__(
        self,
        scenario: Scenario,
        say: Say = lambda _text: None,
        before: Callable[[Phase], None] = lambda _phase: None,
    ) -> None:
        """`before` is told of each phase when it begins."""
        self._began = time.monotonic()
        self.scenario = scenario
        self.tally = Tally()
        self.stage = Stage(scenario)
        self.load = Load()
        self._trace = None if scenario.large else Trace(self.stage.world.schedule)
        self._changes = Changes()
        self.stage.world.watch([self.load, self._changes, *([self._trace] if self._trace else [])])
        self._say = say
        self._before_phase = before

    def run(self) -> Report:
        """Let it happen, and tell what it showed."""
        world = self.stage.world
        gc.collect()
        gc.freeze()  # what stands on the stage stays: looking it over again and again costs most
        gc.disable()
        self.acts = Acts(self.stage, self.tally, self._say)
        self.acts.before_phase = self._before
        try:
            self.acts.run()
        finally:
            gc.enable()
            gc.unfreeze()
        self.tally.violations += world.violations
        return self._report()

    def _before(self, phase: Phase) -> None:
        """What may fail is not counted as the cost of what succeeds."""
        self.load.paused = phase.may_fail
        self._before_phase(phase)

    def _report(self) -> Report:
        scenario, tally, world = self.scenario, self.tally, self.stage.world
        wall_s = time.monotonic() - self._began
        loads = self._loads()
        finds = tally.searches + tally.downloads
        shown = report_of(scenario, "simulator", tally, virtual_s=world.now, wall_s=wall_s)
        return msgspec.structs.replace(
            shown,
            events=world.events,
            promotions=self._changes.promotions,
            demotions=self._changes.demotions,
            trace_sha256=self._trace.hexdigest() if self._trace else None,
            events_per_s=round(world.events / wall_s, 1),
            rss_bytes=peak_bytes(),
            bytes_sent=None if scenario.large else world.wires.bytes_sent,
            load_p50=percentile(loads, 50),
            load_p95=percentile(loads, 95),
            load_max=max(loads, default=None),
            seed_copies=self._seed_copies(),
            messages_per_find=round(self.load.finding / finds, 3) if finds else None,
        )

    def _seed_copies(self) -> float | None:
        """How often a lone first holder sent what it had, on average over its files."""
        if self.scenario.content.sharers != 1 or self.scenario.large:
            return None
        had = sum(len(data) for data in self.stage.data.values())
        sent = self.load.data_by_host[self.stage.leaves[0].number]
        return round(sent / had, 3) if had else None

    def series(self) -> Series:
        """The samples behind the figures."""
        tally = self.tally
        insides = [superpeer_of(host) for host in self.stage.super_peers]
        return Series(
            search_s=tally.done_s,
            first_hit_s=tally.first_hit_s,
            costs=tally.costs,
            coverage=tally.coverages,
            failover_s=tally.failover_s,
            load=[int(load) for load in self._loads()],
            leaves_per_super_peer=[len(each.cluster.members) for each in insides if each],
        )

    def _loads(self) -> list[float]:
        """What each super-peer handled; where there is a holder of all, that counts too."""
        return [float(self.load.by_host[host.number]) for host in self.stage.super_peers]


def peak_bytes() -> int:
    """The most memory that this process held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
