"""What strikes a stage: the faults that a scenario names, and nodes that come and go."""

from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import Final

from deploy.report import Tally
from deploy.scenario import Fault
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.stage import Stage
from deploy.targets import LEAF, SUPER_PEER, Rank, Target, read_aim

GRACE_S: Final = 5.0  # a node that leaves in order gets this long


class Misfortune:
    """Strikes nodes, and measures how long leaves are without a parent because of it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world
        self._tally = Tally()
        self._away: dict[Target, None] = {}
        self._struck: list[float] = []
        # leaf -> when its parent was struck, and what counts how long it takes
        self._orphaned: dict[int, tuple[float, Tally]] = {}

    def struck_between(self, begin: float, end: float) -> bool:
        """Whether a fault struck in between."""
        return any(begin < moment < end for moment in self._struck)

    def rejoined(self, leaf: int) -> None:
        """A leaf has a parent again."""
        if leaf in self._orphaned:
            since, tally = self._orphaned.pop(leaf)
            tally.failover_s.append(self._world.now - since)

    # --- faults of a phase --------------------------------------------------------------------

    def strike_all(self, faults: Sequence[Fault], away: dict[Target, None], tally: Tally) -> None:
        """A phase begins: let each strike at its moment from now.

        Who is struck is put into `away`; leaves that lose their parent count in `tally`.
        """
        self._away, self._tally = away, tally
        for fault in faults:
            self._world.schedule.after(fault.at_s, self._strike, fault)

    def _strike(self, fault: Fault) -> None:
        self._struck.append(self._world.now)
        names = fault.cut or (fault.kill or fault.stop or fault.restart,)
        victims = [each for name in names for each in self._victims(name, fault)]
        for victim in victims:
            self._away.update(dict.fromkeys(self._with_company(victim)))
        if fault.cut:
            self._cut([self._host(*victim) for victim in victims], fault.for_s)
            return
        for kind, number in victims:
            self._strike_one(kind, number, fault)

    def _strike_one(self, kind: str, number: int, fault: Fault) -> None:
        host = self._host(kind, number)
        if fault.stop:
            host.freeze()
            self._world.schedule.later(fault.for_s, host.thaw)
        else:
            self._lose(kind, number, host)
        if fault.restart:
            self._world.schedule.later(fault.for_s, partial(self._gain, kind, number, host))

    def _victims(self, text: str, fault: Fault) -> list[Target]:
        """Whom a name means; what is gone already can only be started again."""
        aim, stage = read_aim(text), self._stage
        alive = stage.alive if aim.kind == SUPER_PEER else stage.alive_leaves
        if aim.number is None:
            rng = Random(f"{stage.scenario.seed}/{text}")
            return [Target(aim.kind, each) for each in aim.hit(list(alive), self._worth, rng)]
        return [Target(aim.kind, aim.number)] if aim.number in alive or fault.restart else []

    def _with_company(self, victim: Target) -> list[Target]:
        """All that is struck with a node."""
        if self._stage.scenario.together:
            return [Target(kind, victim.number) for kind in (SUPER_PEER, LEAF)]
        return [victim]

    def _worth(self, rank: Rank, number: int) -> int:
        inside = superpeer_of(self._stage.superpeer(number))
        if inside is None:
            return 0
        return inside.flood.evaluated if rank == "busiest" else len(inside.overlay.neighbours)

    def _host(self, kind: str, number: int) -> Host:
        stage = self._stage
        return stage.superpeer(number) if kind == SUPER_PEER else stage.leaves[number]

    def _cut(self, inside: Sequence[Host], for_s: float) -> None:
        outside = [host for host in self._world.hosts if host not in inside]
        pairs = [(a.number, b.number) for a in inside for b in outside]
        cut = self._world.paths.cut([*pairs, *[(b, a) for a, b in pairs]])
        self._world.schedule.later(for_s, lambda: self._world.paths.heal(cut))

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
                self._orphaned.setdefault(leaf, (self._world.now, self._tally))
        if kind != SUPER_PEER or together:
            stage.alive_leaves.pop(number, None)
            stage.alive.pop(stage.scenario.super_peers + number, None)
            self._orphaned.pop(number, None)
            stage.left(number)

    def _leaves_of(self, number: int) -> Iterable[int]:
        return [leaf for leaf, (parent, _) in self._stage.joined.items() if parent == number]
