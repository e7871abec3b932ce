"""A simulated world: hosts, the network between them, and who watches.

It holds together what the other rooms of the simulator are about and runs the heap. Every violation
that a checker tells of is kept with the moment; in a strict world the first one stops the run.
Nothing here says what happens to the network: scenarios (`deploy.sim.staging`) and chaos
(`deploy.sim.chaos`) do.
"""

import hashlib
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from common.addresses import Address
from common.core import Effect, Event, Notify
from common.ids import Identity, NodeId
from common.messages.fields import Message
from common.node import Node
from deploy.sim.draws import Draws
from deploy.sim.host import Host, Storage
from deploy.sim.paths import Access, Paths
from deploy.sim.people import People
from deploy.sim.schedule import Schedule
from deploy.sim.wires import Wires
from deploy.sim.witness import Witness

STORY_EVENTS: Final = 200  # the last events, told with a violation


class World:
    """Everything that there is; `seed` and the calls made decide all that happens."""

    def __init__(
        self,
        seed: int,
        *,
        by_reference: bool = False,
        strict: bool = True,
        extra_delays: dict[tuple[int, int], float] | None = None,
    ) -> None:
        self.seed = seed
        self.schedule = Schedule()
        self.draws = Draws(seed)
        self.rng = Random(f"{seed}/world")
        self.paths = Paths(Random(f"{seed}/paths"), extra_delays)
        self.wires = Wires(self.schedule, self.paths, by_reference=by_reference)
        self.wires.on_fault = lambda what: self.violate("the wire", what)
        self.people = People(self)
        self.hosts: list[Host] = []
        self.by_node: dict[NodeId, Host] = {}
        self.events = 0
        self.violations: list[str] = []
        self.witness = Witness()
        self._strict = strict
        self.stopped = False

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.schedule.now

    # --- hosts ------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        address: Address,
        *,
        build: Callable[[Host], Node],
        equip: Callable[[Host], Storage],
        access: Access | None = None,
        has_bulk: bool = True,
        identity: Identity | None = None,
    ) -> Host:
        """A new host, not started yet."""
        number = len(self.hosts)
        host = Host(
            number,
            name,
            identity or identity_of(self.seed, number),
            address,
            schedule=self.schedule,
            wires=self.wires,
            draws=self.draws,
            watcher=self,
            people=self.people.perform,
            build=build,
            equip=equip,
            access=access,
            has_bulk=has_bulk,
        )
        self.hosts.append(host)
        self.by_node[host.identity.node] = host
        self.wires.listen(host)
        return host

    def kill(self, host: Host, *, power: bool = False) -> None:
        """A host's process is gone, and whoever waited for it hears nothing more."""
        host.kill(power=power)
        self.people.abandon(host)

    # --- time -------------------------------------------------------------------------------

    def run(self, until: float, *, enough: Callable[[], bool] | None = None) -> None:
        """Let time pass, until it is `enough` or somebody stops the world."""
        step = self.schedule.step
        while not self.stopped and step(until):
            if enough is not None and enough():
                return

    # --- who watches ------------------------------------------------------------------------

    def watch(self, watchers: Iterable[object]) -> None:
        """Show these everything from now on, as far as they care."""
        for each in watchers:
            self.witness.add(each)
        if self.witness.sent:
            self.wires.on_sent = self._sent

    def violate(self, checker: str, what: str) -> None:
        """Something was that must never be."""
        self.violations.append(f"{checker} at {self.now:.3f} s: {what}")
        self.stopped = self.stopped or self._strict

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """See `deploy.sim.host.Watcher`."""
        self.events += 1
        for call in self.witness.fed:
            call(host, event, effects)

    def noted(self, host: Host, note: Notify) -> None:
        """See `deploy.sim.host.Watcher`."""
        for call in self.witness.noted:
            call(host, note)

    def failed(self, host: Host, error: Exception) -> None:
        """See `deploy.sim.host.Watcher`."""
        self.violate("every event is survived", f"{host.name}: {_told(error)}")

    def dying(self, host: Host) -> None:
        """See `deploy.sim.host.Watcher`."""
        self.kill(host)

    def exited(self, host: Host, unheard: list[int]) -> None:
        """See `deploy.sim.host.Watcher`; a node answers all that it was asked before it ends."""
        if self.people.abandon(host) > len(unheard) and not host.fragile:
            self.violate("19: every request ends exactly once", f"{host.name} left one open")

    def _sent(
        self, host: Host, there: Host, message: Message, data: memoryview | bytes | None
    ) -> None:
        for call in self.witness.sent:
            call(host, there, message, data)


def identity_of(seed: int, number: int) -> Identity:
    """The key pair of a host: the same for a seed, another one for each number."""
    return Identity(hashlib.sha256(f"{seed}/host/{number}".encode()).digest())


def _told(error: Exception) -> str:
    """An error with the place that raised it."""
    trace, places = error.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{error!r} in {' > '.join(places[-4:])}"
