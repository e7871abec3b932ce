"""What strikes a stage: the faults that a scenario names, and nodes that come and go."""

from collections.abc import Iterable, Sequence
from typing import Final

from deploy.report import Tally
from deploy.scenario import Fault
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.stage import Stage
from deploy.targets import BUSIEST, EVERY, SUPER_PEER, read_target

GRACE_S: Final = 5.0  # a node that leaves in order gets this long


class Misfortune:
    """Strikes nodes, and measures how long leaves are without a parent because of it."""

    def __init__(self, stage: Stage, tally: Tally) -> None:
        self._stage = stage
        self._world = stage.world
        self._tally = tally
        self._struck: list[float] = []
        self._orphaned: dict[int, float] = {}  # leaf -> when its parent was struck

    def struck_between(self, begin: float, end: float) -> bool:
        """Whether a fault struck in between."""
        return any(begin < moment < end for moment in self._struck)

    def rejoined(self, leaf: int) -> None:
        """A leaf has a parent again."""
        since = self._orphaned.pop(leaf, None)
        if since is not None:
            self._tally.failover_s.append(self._world.now - since)

    # --- faults of a phase --------------------------------------------------------------------

    def strike_all(self, faults: Sequence[Fault]) -> None:
        """Let each strike at its moment from now."""
        for fault in faults:
            self._world.schedule.after(fault.at_s, self._strike, fault)

    def _strike(self, fault: Fault) -> None:
        self._struck.append(self._world.now)
        if fault.cut:
            self._cut(fault)
            return
        for kind, number in self._targets(fault.kill or fault.stop or fault.restart):
            host = self._host(kind, number)
            if fault.stop:
                host.freeze()
                self._world.schedule.later(fault.for_s, host.thaw)
            else:
                self._lose(kind, number, host)
            if fault.restart:
                self._world.schedule.later(
                    fault.for_s,
                    lambda k=kind, n=number, h=host: self._gain(k, n, h),  # type: ignore[misc]
                )

    def _targets(self, text: str) -> list[tuple[str, int]]:
        kind, number = read_target(text)
        alive = self._stage.alive if kind == SUPER_PEER else self._stage.alive_leaves
        if number == EVERY:
            return [(kind, each) for each in alive]
        if number == BUSIEST:
            return [(kind, max(alive, key=self._evaluated, default=0))]
        return [(kind, number)]

    def _evaluated(self, number: int) -> int:
        inside = superpeer_of(self._stage.super_peers[number])
        return inside.flood.evaluated if inside else 0

    def _host(self, kind: str, number: int) -> Host:
        stage = self._stage
        return stage.super_peers[number] if kind == SUPER_PEER else stage.leaves[number]

    def _cut(self, fault: Fault) -> None:
        inside = [self._host(*target) for text in fault.cut for target in self._targets(text)]
        outside = [host for host in self._world.hosts if host not in inside]
        pairs = [(a.number, b.number) for a in inside for b in outside]
        cut = self._world.paths.cut([*pairs, *[(b, a) for a, b in pairs]])
        self._world.schedule.later(fault.for_s, lambda: self._world.paths.heal(cut))

    # --- coming and going ---------------------------------------------------------------------

    def change(self, what: tuple[str, int, Host, bool, bool]) -> None:
        """A node comes or goes by its timeline."""
        kind, number, host, comes, crashes = what
        if comes:
            self._gain(kind, number, host)
        elif host.is_running:
            if crashes:
                self._lose(kind, number, host)
            else:
                self._forget(kind, number)
                host.stop(GRACE_S)

    def _gain(self, kind: str, number: int, host: Host) -> None:
        together = self._stage.scenario.together
        if kind == SUPER_PEER or together:
            self._stage.alive[number] = None
        if kind != SUPER_PEER or together:
            self._stage.alive_leaves[number] = None
        host.start()

    def _lose(self, kind: str, number: int, host: Host) -> None:
        self._forget(kind, number)
        self._world.kill(host)

    def _forget(self, kind: str, number: int) -> None:
        """It is gone; its leaves look for another from now on."""
        stage = self._stage
        together = stage.scenario.together
        if kind == SUPER_PEER or together:
            stage.alive.pop(number, None)
            for leaf in self._leaves_of(number):
                self._orphaned.setdefault(leaf, self._world.now)
        if kind != SUPER_PEER or together:
            stage.alive_leaves.pop(number, None)
            self._orphaned.pop(number, None)
            stage.left(number)

    def _leaves_of(self, number: int) -> Iterable[int]:
        return [leaf for leaf, (parent, _) in self._stage.joined.items() if parent == number]
