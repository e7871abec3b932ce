"""A place in the network for a node that does harm: links to super-peers, and membership.

A foothold keeps links to as many as it wants of those it was told of, and tries again for ever. A
membership is what a leaf has on one: it joins, publishes what it claims, and begins anew wherever
it is thrown out.
"""

from typing import Final

from common.core import Bound, Dial, Effect, Event, Hangup, LinkDown, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from common.messages.cluster import Busy, Join, Welcome
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Wares

AGAIN_S: Final = (1.0, 3.0)  # after a lost link


class Foothold:
    """Control links to `wanted` of those it was told of with their keys."""

    def __init__(self, nature: Nature, wanted: int) -> None:
        self._rng = nature.rng
        self._told = {seed.node: seed.address for seed in nature.told if seed.node is not None}
        self._wanted = min(wanted, len(self._told))
        self._tried: list[NodeId] = list(self._told)  # whose turn it is, in order
        self.linked: dict[NodeId, None] = {}
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if isinstance(event, Bound):
            return self._reach(now)
        if isinstance(event, LinkUp) and event.door is Door.CONTROL and event.peer in self._told:
            self.linked[event.peer] = None
        elif isinstance(event, LinkDown) and event.door is Door.CONTROL:
            self.linked.pop(event.peer, None)
            if event.peer in self._told:
                self._deadlines.set("again", now + self._rng.uniform(*AGAIN_S))
        elif isinstance(event, Woke) and self._deadlines.pop_due(now):
            return self._reach(now)
        return []

    def wakeup(self) -> float | None:
        """When to try again."""
        return self._deadlines.earliest()

    def _reach(self, _now: float) -> list[Effect]:
        """Dial as many as are wanted, the next in turn first."""
        missing = self._wanted - len(self.linked)
        chosen = [node for node in self._tried if node not in self.linked][: max(missing, 0)]
        for node in chosen:
            self._tried.remove(node)
            self._tried.append(node)
        return [Dial(node, self._told[node], Door.CONTROL) for node in chosen]


class Membership:
    """A leaf's place at one super-peer; `wares` is what it says that it shares."""

    def __init__(self, nature: Nature, wares: Wares) -> None:
        self._nature = nature
        self._wares = wares
        self._foothold = Foothold(nature, 1)
        self.parent: NodeId | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._foothold.handle(event, now)
        if isinstance(event, LinkUp) and event.peer in self._foothold.linked:
            if event.door is Door.CONTROL:
                effects.append(Send(event.peer, self.join()))
        elif isinstance(event, LinkDown) and event.door is Door.CONTROL:
            self.parent = None if event.peer == self.parent else self.parent
        elif isinstance(event, Received):
            effects += self._received(event)
        return effects

    def wakeup(self) -> float | None:
        """When to try again."""
        return self._foothold.wakeup()

    def join(self) -> Join:
        """Be my parent; and let others dial somebody who knows nothing of it."""
        nature = self._nature
        advertised = nature.rng.choice((None, nature.nearby))
        return Join(nature.epoch, self._wares.generation, len(self._wares), advertised)

    def _received(self, event: Received) -> list[Effect]:
        message, peer = event.message, event.peer
        if isinstance(message, Welcome):
            self.parent = peer
            return [Send(peer, publish) for publish in self._wares.publish()]
        if isinstance(message, Busy):
            return [Hangup(peer, Door.CONTROL, "busy")]
        return []
