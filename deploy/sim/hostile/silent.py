"""A super-peer that takes every query and lets all wait for its report.

It is a good neighbour otherwise: linked, alive by its echoes, open to leaves. Of the queries it
answers most never, some too late. Leaves that join it are never told a thing again.
"""

from collections import Counter
from typing import Final

from common.core import Effect, Event, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import Guid, NodeId
from common.messages.cluster import Join, Locate, Search, Welcome
from common.messages.overlay import Extend, Link, Linked, Query, QueryDone
from deploy.sim.hostile.foothold import Foothold
from deploy.sim.hostile.nature import Nature

LATE: Final = 0.3  # how often it reports after all
MUTE: Final = 0.3  # of those who want to join, how many are not even told that they may
LATE_S: Final = (1.0, 8.0)


class Silent:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._rng = nature.rng
        self._foothold = Foothold(nature, wanted=8)
        self._deadlines = Deadlines()
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._foothold.handle(event, now)
        if isinstance(event, LinkUp) and event.peer in self._foothold.linked:
            if event.door is Door.CONTROL:
                effects.append(Send(event.peer, Link(0)))
        elif isinstance(event, Received):
            effects += self._received(event, now)
        elif isinstance(event, Woke):
            for late in self._deadlines.pop_due(now):
                effects += self._report(*late) if isinstance(late, tuple) else []
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._foothold.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    def _received(self, event: Received, now: float) -> list[Effect]:
        message, peer = event.message, event.peer
        if isinstance(message, Link):
            return [Send(peer, Linked(0))]
        if isinstance(message, Join):
            if self._rng.random() < MUTE:
                return []
            self.done["leaf taken in"] += 1
            return [Send(peer, Welcome(0, 5.0, 20_000))]
        if isinstance(message, Search | Locate):
            self.done["leaf unanswered"] += 1
        elif isinstance(message, Query | Extend):
            self._hear(peer, message.guid, now)
        return []

    def _report(self, peer: NodeId, guid: Guid) -> list[Effect]:
        self.done["late report"] += 1
        return [Send(peer, QueryDone(guid, reached=1, messages=1))]

    def _hear(self, peer: NodeId, guid: Guid, now: float) -> None:
        self.done["query unanswered"] += 1
        if self._rng.random() < LATE:
            self._deadlines.set((peer, guid), now + self._rng.uniform(*LATE_S))
