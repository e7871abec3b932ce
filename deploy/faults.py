"""What strikes the processes of a phase: nodes killed, stopped, started again, cut off.

Each fault waits for its moment in a thread of its own and sees its consequences through: what was
stopped goes on, what was killed for a while serves again under its old address, orphans have a
parent again. Whoever was away at any time is remembered, because nothing is demanded of it. Where
leaf and super-peer live together they are struck together.
"""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from types import TracebackType
from typing import Final, Self

from common.errors import UserError
from deploy.network import Network, read_error, wait_until
from deploy.scenario import Fault
from deploy.targets import LEAF, SUPER_PEER, Rank, Target, read_aim

ORPHANS_WATCHED: Final = 64  # at once, by a thread each


class Strikes:
    """The faults of one phase; leaving the `with` block ends those still to come."""

    def __init__(
        self,
        network: Network,
        parents: Mapping[int, int],
        away: dict[Target, None],
        violated: Callable[[str], None],
        *,
        may_fail: bool = False,
    ) -> None:
        """`parents` of the leaves when the phase began; who is struck is put into `away`.

        Where the phase `may_fail` no leaf needs to find a parent again.
        """
        self.moments: list[float] = []  # of the monotonic clock, at which faults struck
        self.failover_s: list[float] = []
        self._network = network
        self._parents = parents
        self._away = away
        self._violated = violated
        self._may_fail = may_fail
        self._ending = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._strikes: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        if error is not None and not isinstance(error, Exception):
            self._network.interrupt()
        if self._pool is not None:
            self._pool.shutdown()

    def begin(self, faults: Sequence[Fault]) -> None:
        """The phase begins; each fault strikes at its moment."""
        if faults:
            self._pool = ThreadPoolExecutor(len(faults))
            self._strikes = [self._pool.submit(self._strike, fault) for fault in faults]

    def wait(self) -> None:
        """Until all that strikes has struck and what shall come back is back. Raises UserError."""
        for strike in self._strikes:
            strike.result()

    # --- one fault ----------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        if self._ending.wait(fault.at_s):
            return
        names = fault.cut or (fault.kill or fault.stop or fault.restart,)
        victims = [each for name in names for each in self._victims(name, fault)]
        victims = list(dict.fromkeys(victims))
        self.moments.append(time.monotonic())
        self._away.update(dict.fromkeys(victims))
        for victim in victims:
            self._network.went(victim)
        if fault.cut:
            heal = self._network.ground.cut(victims)
            self._ending.wait(fault.for_s)
            heal()
            self._came(victims)
        elif fault.stop:
            self._stop(victims, fault.for_s)
        else:
            self._end(victims, fault)

    def _victims(self, name: str, fault: Fault) -> list[Target]:
        aim, scenario = read_aim(name), self._network.scenario
        living = list(self._network.living(aim.kind))
        if aim.number is None:
            numbers = aim.hit(living, self._worth, Random(f"{scenario.seed}/{name}"))
        else:  # what is gone already can only be started again
            numbers = [aim.number] if aim.number in living or fault.restart else []
        if scenario.together:
            return [Target(kind, number) for number in numbers for kind in (SUPER_PEER, LEAF)]
        return [Target(aim.kind, number) for number in numbers]

    def _worth(self, rank: Rank, number: int) -> int:
        status = self._network.status_of(number)
        return status.queries_evaluated if rank == "busiest" else status.neighbours

    def _came(self, victims: Sequence[Target]) -> None:
        for victim in victims:
            self._network.came(victim)

    def _stop(self, victims: Sequence[Target], for_s: float) -> None:
        for victim in victims:
            self._network.node(victim).signal(signal.SIGSTOP)
        self._ending.wait(for_s)
        for victim in victims:
            self._network.node(victim).signal(signal.SIGCONT)
        self._came(victims)

    def _end(self, victims: Sequence[Target], fault: Fault) -> None:
        """Kill them, start them again where that is asked for, and watch their leaves move."""
        network, began = self._network, time.monotonic()
        for victim in victims:
            if fault.kill:
                network.kill(*victim)
            else:
                network.processes.kill(network.node(victim))
        orphans = [leaf for leaf in self._orphans(victims) if fault.restart or network.alive]
        with network.at_once(min(len(orphans), ORPHANS_WATCHED)) as pool:
            within_s = fault.for_s + network.scenario.timeouts.settled_s
            moves = [pool.submit(self._move, leaf, began, within_s) for leaf in orphans]
            if fault.restart:
                self._restart(victims, fault.for_s)
            for move in moves:
                move.result()

    def _orphans(self, victims: Sequence[Target]) -> list[int]:
        gone = [victim.number for victim in victims if victim.kind == SUPER_PEER]
        living = self._network.alive_leaves
        return [leaf for leaf, parent in self._parents.items() if parent in gone and leaf in living]

    def _restart(self, victims: Sequence[Target], for_s: float) -> None:
        if self._ending.wait(for_s):
            return
        self._network.restart(victims)
        self._came(victims)

    def _move(self, leaf: int, began: float, within_s: float) -> None:
        """See how long a leaf takes to hang on a super-peer that lives."""
        network = self._network

        def look() -> int | None:
            try:
                return network.parent_of(leaf)
            except UserError as error:
                self._unseen(leaf, error)
                return None

        parent = wait_until(look, lambda p: p in network.alive or self._ending.is_set(), within_s)
        if parent in network.alive:
            self.failover_s.append(time.monotonic() - began)
        elif self._was_there(leaf) and not self._may_fail:
            self._violated(f"leaf {leaf} has no parent {within_s:g} s after its own died")

    def _unseen(self, leaf: int, error: UserError) -> None:
        """A leaf that was struck itself cannot say; any other must."""
        if self._was_there(leaf) and not self._ending.is_set():
            self._violated(f"leaf {leaf} does not answer: {read_error(error)}")

    def _was_there(self, leaf: int) -> bool:
        return leaf in self._network.alive_leaves and Target(LEAF, leaf) not in self._away
