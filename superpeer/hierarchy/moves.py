"""Sending leaves to another super-peer, a few at a time.

A leaf that is told to move joins there, publishes, and leaves here when it is found there: nothing
is lost on the way. Who is far from us goes first. A leaf that does not go is told again, and stays
ours as long as it will.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from random import Random
from typing import Final

from common.core import Effect, Send
from common.ids import NodeId
from common.messages.cluster import ReHome
from common.messages.fields import Contact
from common.rates import Bucket

AGAIN_S: Final = 30.0  # until a leaf that was told to move is told again; wild guess


class Moves:
    """The leaves that are to go, and where to; `leaves` is read as it is at the moment."""

    def __init__(
        self,
        per_s: float,
        rng: Random,
        *,
        leaves: Mapping[NodeId, Contact],
        rtt_s: Callable[[NodeId], float | None],
    ) -> None:
        self._rng, self._leaves, self._rtt_s = rng, leaves, rtt_s
        self._waiting: deque[tuple[NodeId, Contact]] = deque()
        self._told: dict[NodeId, float] = {}
        self._pace = Bucket(per_s, 4, 0.0)
        self._due_at: float | None = None

    def free(self, now: float, but: NodeId = b"") -> list[NodeId]:
        """Leaves that are not on their way already, who is far first."""
        waiting = {leaf: None for leaf, _ in self._waiting}
        free = [
            leaf
            for leaf in self._leaves
            if leaf != but
            and leaf not in waiting
            and now >= self._told.get(leaf, float("-inf")) + AGAIN_S
        ]
        self._rng.shuffle(free)
        free.sort(key=lambda leaf: -(self._rtt_s(leaf) or 0.0))
        return free

    @property
    def pending(self) -> int:
        """How many are on their way and still ours."""
        return len(self._waiting) + sum(leaf in self._leaves for leaf in self._told)

    def send(self, leaves: list[NodeId], to: Contact, now: float) -> list[Effect]:
        """These are to go there."""
        self._waiting.extend((leaf, to) for leaf in leaves if leaf != to.node)
        return self.due(now)

    def tell(self, leaf: NodeId, to: Contact, now: float) -> list[Effect]:
        """This one is to go there at once."""
        self._told[leaf] = now
        return [Send(leaf, ReHome(to))]

    def cancel(self) -> None:
        """Who has not been told stays."""
        self._waiting.clear()
        self._due_at = None

    def due(self, now: float) -> list[Effect]:
        """Tell as many as may go now."""
        effects: list[Effect] = []
        while self._waiting:
            if not self._pace.take(now):
                self._due_at = now + max(self._pace.wait_s, 0.001)
                return effects
            leaf, to = self._waiting.popleft()
            if leaf in self._leaves:
                effects += self.tell(leaf, to, now)
        self._due_at = None
        self._forget(now)
        return effects

    def _forget(self, now: float) -> None:
        """The oldest first: what was told too long ago to matter."""
        for leaf in list(islice(self._told, 16)):
            if now >= self._told[leaf] + AGAIN_S:
                del self._told[leaf]

    def wakeup(self) -> float | None:
        """When the next may go."""
        return self._due_at
