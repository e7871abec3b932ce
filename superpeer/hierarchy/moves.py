"""Sending leaves to another super-peer, a few at a time.

First that one becomes its heir: what the leaf shares is copied there, between the two of us, and no
leaf uploads its catalogue because others are better placed. Then it is told to move, joins there,
and leaves here when it is found there: nothing is lost on the way. Who is far from us goes first. A
leaf that does not go is told again, and stays ours as long as it will.
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
from superpeer.heirs.heirs import Heirs

AGAIN_S: Final = 30.0  # until a leaf that was told to move is told again; wild guess
COPY_S: Final = 5.0  # until a leaf moves though the copy is not whole; wild guess
LOOK_S: Final = 0.1  # ... and how often that is looked at

_Move = tuple[NodeId, Contact]


class Moves:
    """The leaves that are to go, and where to; `leaves` is read as it is at the moment."""

    def __init__(
        self,
        per_s: float,
        rng: Random,
        *,
        leaves: Mapping[NodeId, Contact],
        rtt_s: Callable[[NodeId], float | None],
        heirs: Heirs,
    ) -> None:
        self._rng, self._leaves, self._rtt_s, self._heirs = rng, leaves, rtt_s, heirs
        self._waiting: deque[_Move] = deque()
        self._copying: dict[NodeId, tuple[Contact, float]] = {}  # where to, and until when
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
            and leaf not in self._copying
            and now >= self._told.get(leaf, float("-inf")) + AGAIN_S
        ]
        self._rng.shuffle(free)
        free.sort(key=lambda leaf: -(self._rtt_s(leaf) or 0.0))
        return free

    @property
    def pending(self) -> int:
        """How many are on their way and still ours."""
        on_their_way = sum(leaf in self._leaves for leaf in (*self._copying, *self._told))
        return len(self._waiting) + on_their_way

    def send(self, leaves: list[NodeId], to: Contact, now: float) -> list[Effect]:
        """These are to go there."""
        self._waiting.extend((leaf, to) for leaf in leaves if leaf != to.node)
        return self.due(now)

    def tell(self, leaf: NodeId, to: Contact, now: float) -> list[Effect]:
        """This one is to go there at once."""
        self._copying.pop(leaf, None)
        self._told[leaf] = now
        return [Send(leaf, ReHome(to))]

    def cancel(self) -> None:
        """Who has not been told stays."""
        self._waiting.clear()
        self._copying.clear()
        self._due_at = None

    def due(self, now: float) -> list[Effect]:
        """Have copies made for as many as may go now, and tell those whose copy is there."""
        effects: list[Effect] = []
        pause_s = None
        while self._waiting and pause_s is None:
            if not self._pace.take(now):
                pause_s = max(self._pace.wait_s, 0.001)
                continue
            leaf, to = self._waiting.popleft()
            if leaf in self._leaves:
                effects += self._heirs.prefer(leaf, to, now)
                self._copying[leaf] = to, now + COPY_S
        effects += self._tell_ready(now)
        pauses = [pause_s] if pause_s is not None else []
        self._due_at = now + min([*pauses, LOOK_S]) if pauses or self._copying else None
        self._forget(now)
        return effects

    def _tell_ready(self, now: float) -> list[Effect]:
        """Those whose copy is whole, or takes too long, or is not made."""
        effects: list[Effect] = []
        for leaf, (to, until) in list(self._copying.items()):
            if leaf not in self._leaves:
                del self._copying[leaf]
            elif now >= until or self._heirs.is_ready(leaf) or not self._heirs.is_asked(leaf, to):
                effects += self.tell(leaf, to, now)
        return effects

    def _forget(self, now: float) -> None:
        """The oldest first: what was told too long ago to matter."""
        for leaf in list(islice(self._told, 16)):
            if now >= self._told[leaf] + AGAIN_S:
                del self._told[leaf]

    def wakeup(self) -> float | None:
        """When to look again."""
        return self._due_at
