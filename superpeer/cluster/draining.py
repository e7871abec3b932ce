"""Leaving in peace: every leaf has another parent before its links here end, and nothing is lost.

    HANDING --no leaf left, or too late--> LINGERING --nothing owed, or too late--> gone

First nobody is taken in any more and we are nobody's heir. Each leaf whose heir has all that it
shares is told to go there, the others as soon as theirs has; who has no heir is told of others. A
leaf leaves us when its new parent has said welcome, so it can be found and can search all the
while. Then our neighbours hear that we go: they ask nothing new, and get what they still wait for.
What is not done when the grace is over ends with it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from common.core import Answer, Effect, Exited, Hangup, Notify, Send
from common.doors import Door
from common.ids import NodeId
from common.messages.cluster import Busy, ReHome
from common.messages.fields import Contact
from common.messages.link import Bye
from common.messages.overlay import Unlinked
from superpeer.cluster.cluster import Cluster
from superpeer.methods import Drained

BYE: Final = "bye"  # a link that ends so ended on purpose
HANDING: Final = 0.6  # of the grace, for leaves to go
HURRY: Final = 0.5  # ... of that, after which a leaf goes to an heir that has not all of it
LINGER_S: Final = 0.25  # at least, so that neighbours have heard before they are left
LOOK_S: Final = 0.05  # at what neighbours still wait for


class Draining:
    """The end of a super-peer; nothing until `begin`. `neighbours` are to hear of it, `refer`
    tells where a leaf without an heir is sent, `owed` how many answers a neighbour waits for."""

    def __init__(
        self,
        me: NodeId,
        cluster: Cluster,
        *,
        neighbours: Mapping[NodeId, object],
        refer: Callable[[], tuple[Contact, ...]],
        owed: Callable[[NodeId], int],
        retry_s: float,
    ) -> None:
        self._me = me
        self._cluster = cluster
        self._neighbours = neighbours
        self._refer = refer
        self._owed = owed
        self._retry_s = retry_s
        self._last: Effect | None = None  # what is ordered at the very end
        self._calls: list[int] = []
        self._moved_before = 0
        self._told: dict[NodeId, bool] = {}  # leaves that know where to go; whether to an heir
        self._began = self._hands_until = self._ends_at = 0.0
        self._woken_at = 0.0
        self._lingers_since: float | None = None
        self._parted = False

    @property
    def is_on(self) -> bool:
        """Whether we are leaving."""
        return self._last is not None

    def begin(
        self, grace_s: float, now: float, *, last: Effect, call: int | None = None
    ) -> list[Effect]:
        """Leave within `grace_s`; `last` is ordered then, and `call` is told how many leaves have
        gone to others. Our own leaf goes too, unless its node ends with us."""
        if call is not None:
            self._calls.append(call)
        if self.is_on:
            self._hurry(grace_s, now)
            return []
        self._last, self._began, self._ends_at = last, now, now + grace_s
        self._hands_until = now + HANDING * grace_s
        self._moved_before = self._cluster.moved
        return [*self._cluster.stop(now), *self.look(now)]

    def _hurry(self, grace_s: float, now: float) -> None:
        """An end that comes sooner is heeded as if it had been the first, as is its share for
        leaves; a later one changes nothing."""
        if now + grace_s < self._ends_at:
            self._ends_at = now + grace_s
            self._hands_until = min(self._hands_until, now + HANDING * grace_s)

    def look(self, now: float) -> list[Effect]:
        """Go on; to be asked after each event."""
        if not self.is_on:
            return []
        effects: list[Effect] = []
        if self._lingers_since is None:
            effects += self._hand_over(now)
            if now < self._hands_until and any(map(self._is_awaited, self._cluster.members)):
                return effects
            effects += self._linger(now)
        if not self._parted and self._may_part(now):
            effects += self._part()
        return effects + self._exit(now)

    def wakeup(self) -> float | None:
        """When to look again at the latest."""
        if not self.is_on:
            return None
        if self._lingers_since is None:
            hurry_at = self._began + HURRY * (self._hands_until - self._began)
            return hurry_at if self._woken_at < hurry_at else self._hands_until
        return self._ends_at if self._parted else min(self._woken_at + LOOK_S, self._ends_at)

    def due(self, now: float) -> list[Effect]:
        """It is time to look; which is done after each event."""
        self._woken_at = now
        return []

    # --- the leaves -------------------------------------------------------------------------

    def _is_awaited(self, leaf: NodeId) -> bool:
        """Whether it is to leave by itself: who has no heir does so when our link ends."""
        return self._goes(leaf) and self._told.get(leaf, True)

    def _goes(self, leaf: NodeId) -> bool:
        return leaf != self._me or not isinstance(self._last, Exited)

    def _hand_over(self, now: float) -> list[Effect]:
        """Tell each leaf where to go that has not been told."""
        effects: list[Effect] = []
        is_late = now >= self._began + HURRY * (self._hands_until - self._began)
        for leaf in self._cluster.members:
            if leaf in self._told or not self._goes(leaf):
                continue
            heir = self._cluster.heirs.heir_of(leaf)
            self._told[leaf] = heir is not None
            if heir is not None and (is_late or self._cluster.heirs.is_ready(leaf)):
                effects.append(Send(leaf, ReHome(heir)))
            elif heir is None and (is_late or not self._cluster.heirs.is_sought(leaf)):
                effects.append(Send(leaf, Busy(self._retry_s, self._refer())))
            else:
                del self._told[leaf]
        return effects

    # --- the neighbours ---------------------------------------------------------------------

    def _linger(self, now: float) -> list[Effect]:
        """The leaves have gone: the neighbours are to ask nothing new."""
        self._lingers_since = self._woken_at = now
        moved = self._cluster.moved - self._moved_before
        fields: dict[str, object] = {"moved": moved, "left_behind": len(self._cluster.members)}
        return [
            Notify("leaves_handed_over", fields),
            *self._answers(),
            *[Send(peer, Unlinked(leaving=True)) for peer in self._neighbours],
        ]

    def _may_part(self, now: float) -> bool:
        """Whether nobody waits for anything of ours."""
        if now >= self._ends_at or not self._neighbours:
            return True
        since = self._lingers_since if self._lingers_since is not None else now
        return now - since >= LINGER_S and not any(self._owed(peer) for peer in self._neighbours)

    def _part(self) -> list[Effect]:
        """Say goodbye to all that are still there."""
        self._parted = True
        effects: list[Effect] = []
        for peer in {**self._cluster.members, **self._neighbours}:
            effects += [Send(peer, Bye("stopping")), Hangup(peer, Door.CONTROL, BYE)]
        return effects

    def _exit(self, now: float) -> list[Effect]:
        last = self._last
        is_alone = self._parted and not self._cluster.members and not self._neighbours
        if last is None or (not is_alone and now < self._ends_at):
            return []
        self._last = None
        return [*self._answers(), last]

    def _answers(self) -> list[Effect]:
        moved = self._cluster.moved - self._moved_before
        calls, self._calls = self._calls, []
        return [Answer(call, Drained(moved)) for call in calls]
