"""Probes: which interesting situations a run came through, and how often.

Checkers say that nothing bad happened; a probe says that something worth checking did ("sometimes",
as in FoundationDB's tests). A run in which none of them fired proves little. Each probe has a
kebab-case name and a sentence; `REQUIRED` are those that a million events of chaos must reach.
Rooms of probes are watchers, by what they are about; they read nodes and change nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from common.core import Effect, Event, Notify
from common.messages.fields import Message
from deploy.sim.host import Host
from deploy.sim.probes.families import FAMILIES, Families
from deploy.sim.probes.leaves import LEAVES, LeafProbes
from deploy.sim.probes.links import LINKS, LinkProbes
from deploy.sim.probes.queries import QUERIES, QueryProbes
from deploy.sim.probes.required import REQUIRED
from deploy.sim.probes.superpeers import SUPERPEERS, SuperPeerProbes
from deploy.sim.probes.swarms import SWARMS, SwarmProbes
from deploy.sim.schedule import Schedule
from deploy.sim.witness import Witness

__all__ = ["REQUIRED", "SENTENCES", "Probes", "missed", "sentence"]

SENTENCES = {**LINKS, **SUPERPEERS, **QUERIES, **LEAVES, **SWARMS}


class Probes:
    """A watcher that counts; of hosts in `hostile` it sees only what they send."""

    def __init__(self, schedule: Schedule, hostile: Mapping[int, str]) -> None:
        self.counts: Counter[str] = Counter()
        self._hostile = hostile
        self._families = Families(self._hit)
        self._rooms = Witness()
        for room in (
            self._families,
            LinkProbes(self._hit, schedule),
            SuperPeerProbes(self._hit),
            QueryProbes(self._hit),
            LeafProbes(self._hit),
            SwarmProbes(self._hit),
        ):
            self._rooms.add(room)

    def _hit(self, name: str) -> None:
        self.counts[name] += 1

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if host.number not in self._hostile:
            for call in self._rooms.fed:
                call(host, event, effects)

    def sent(
        self, host: Host, there: Host, message: Message, data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        for call in self._rooms.sent:
            call(host, there, message, data)

    def noted(self, host: Host, note: Notify) -> None:
        """A line for the log."""
        for call in self._rooms.noted:
            call(host, note)

    def asked(self, host: Host, call: int, method: str, params: msgspec.Struct) -> None:
        """Somebody asks."""
        for show in self._rooms.asked:
            show(host, call, method, params)

    def ended(self, host: Host, call: int, outcome: object) -> None:
        """A call has ended."""
        for show in self._rooms.ended:
            show(host, call, outcome)

    def darkened(self, host: Host) -> None:
        """A host has lost its power."""
        for call in self._rooms.darkened:
            call(host)

    def finish(self, hosts: Iterable[Host]) -> dict[str, int]:
        """The run is over: what its nodes still show, and all counts by name."""
        for host in hosts:
            if host.number not in self._hostile:
                self._families.look(host)
        return dict(sorted(self.counts.items()))


def sentence(name: str) -> str:
    """What a probe is about."""
    if name in SENTENCES:
        return SENTENCES[name]
    family = next((each for each in FAMILIES if name.startswith(f"{each}-")), "")
    return FAMILIES.get(family, "{}").format(name.removeprefix(f"{family}-").replace("-", " "))


def missed(counts: Mapping[str, int]) -> list[str]:
    """The required probes that were never reached."""
    return [name for name in REQUIRED if not counts.get(name)]
