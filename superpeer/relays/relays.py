"""The way between two leaves that nobody can dial: through us, within bounds.

One of them is a leaf of ours; the other comes because it was pushed and could not dial it, so our
leaf has named it a moment before, and nobody else may speak to a leaf through us. Each part is
passed on at once and nothing is kept here: a sender may have one window of parts of which it was
not told that they were taken, and it is told so no faster than our rate for all relays allows. So a
relay costs a bounded share of our uplink and no memory, whatever its ends do: who sends more than
its window, or takes what did not come, has its relay ended, and what had passed by then counts as
well before there is another. A super-peer may refuse: then the two have no way.
"""

from collections.abc import Mapping
from typing import Final

from common.config import ClusterConfig
from common.core import Effect, Send
from common.deadlines import Deadlines
from common.ids import NodeId
from common.limits import PUSHED_MAX, RELAY_WINDOW_BYTES
from common.messages.fields import Contact
from common.messages.relay import Ferried, Ferry, Relay, Relayed
from common.rates import Bucket

RELAYS_MAX: Final = 64  # at a time; wild guess
NAMED_S: Final = 30.0  # from a locate that asks for a push to who comes of it; wild guess
NAMED_MAX: Final = 8 * PUSHED_MAX  # by one leaf, as many as it may have asked for in that time
IDLE_S: Final = 2.0  # a relay that was not used for so long may give way; wild guess
PAUSE_MIN_S: Final = 0.001  # a shorter one would not be later than now, in floating point
OVERDRAWN_S: Final = 2.0  # who is ahead of its rate by more begins no relay; wild guess
PER_LEAF_MAX: Final = 2  # so that both windows fit into the queue of its link

_Pair = tuple[NodeId, NodeId]
_TOLD: Final = "told"


class Relays:
    """The pairs of leaves that speak through us; `leaves` are ours, read as they are now."""

    def __init__(self, leaves: Mapping[NodeId, Contact], config: ClusterConfig) -> None:
        self._leaves = leaves
        self._rate = config.relay_per_s
        self._credit = Bucket(max(self._rate, 1.0), max(self._rate, 1.0), 0.0)
        self._open: dict[_Pair, int] = {}  # from, to -> bytes not told yet that they were taken
        self._used_at: dict[_Pair, float] = {}
        self._named: dict[NodeId, dict[NodeId, float]] = {}  # who may come, by our leaf; and since
        self._untold: dict[_Pair, int] = {}  # ... of them those that were taken, in turn
        self._deadlines = Deadlines()
        self.bytes = 0
        """How much has passed."""

    def __len__(self) -> int:
        return len(self._open) // 2

    def named(self, leaf: NodeId, sources: tuple[NodeId, ...], now: float) -> None:
        """A leaf of ours has asked that these dial it; where they cannot, they come to us."""
        named = self._named.setdefault(leaf, {})
        for each in sources:
            named.pop(each, None)
            named[each] = now
        for _ in range(len(named) - NAMED_MAX):
            del named[next(iter(named))]

    def on_relay(self, peer: NodeId, message: Relay, now: float) -> list[Effect]:
        """Somebody wants to speak to a leaf of ours, or no more."""
        other = message.peer
        if message.over:
            return self._end(peer, other, "the other end has left")
        if (peer, other) in self._open:
            return [Send(peer, Relayed(other))]
        if reason := self._objection(peer, other, now):
            return [Send(peer, Relayed(other, reason))]
        effects = [*self._make_room(peer, now), *self._make_room(other, now)]
        if self._is_crowded(peer, other, now):
            return [
                *effects,
                Send(peer, Relayed(other, "this super-peer relays as much as it can")),
            ]
        self._open[peer, other] = self._open[other, peer] = 0
        self._used_at[peer, other] = self._used_at[other, peer] = now
        return [*effects, Send(other, Relayed(peer)), Send(peer, Relayed(other))]

    def on_ferry(self, peer: NodeId, message: Ferry, now: float) -> list[Effect]:
        """A part goes to the other end at once; what was taken is told as our rate allows."""
        other = message.peer
        if (peer, other) not in self._open:
            return []
        owed = self._open[peer, other] + len(message.part)
        taken = self._untold.get((other, peer), 0) + message.taken
        if owed > RELAY_WINDOW_BYTES or taken > self._open[other, peer]:
            return self._end(peer, other, "it ignores its window")
        self._open[peer, other] = owed
        self._used_at[peer, other] = self._used_at[other, peer] = now
        self.bytes += len(message.part)
        effects: list[Effect] = []
        if message.part:
            effects.append(Send(other, Ferried(peer, message.part, message.last)))
        if message.taken:
            self._untold[other, peer] = taken
        return effects + self._tell(now)

    def peer_lost(self, peer: NodeId) -> list[Effect]:
        """The link to one end is gone."""
        self._named.pop(peer, None)
        effects: list[Effect] = []
        for one, other in list(self._open):
            if one == peer:
                effects += self._end(peer, other, "the other end has left")
        return effects

    def due(self, now: float) -> list[Effect]:
        """Tell more of what was taken."""
        return self._tell(now) if self._deadlines.pop_due(now) else []

    def wakeup(self) -> float | None:
        """When more may be told."""
        return self._deadlines.earliest()

    def _make_room(self, peer: NodeId, now: float) -> list[Effect]:
        """Where one end has as many relays as it may, one over which nothing goes gives way."""
        pairs = [pair for pair in self._open if pair[0] == peer]
        idle = [pair for pair in pairs if now - self._used_at[pair] >= IDLE_S]
        if len(pairs) < PER_LEAF_MAX or not idle:
            return []
        return self._end(*min(idle, key=lambda pair: self._used_at[pair]), "another needs it more")

    def _objection(self, peer: NodeId, other: NodeId, now: float) -> str:
        if self._rate <= 0:
            return "this super-peer relays nothing"
        if other not in self._leaves or peer == other:
            return "that is no leaf of this super-peer"
        since = self._named.get(other, {}).get(peer)
        if since is None or now - since > NAMED_S:
            return "that leaf has not asked for you"
        return ""

    def _is_crowded(self, peer: NodeId, other: NodeId, now: float) -> bool:
        """Whether there are relays enough; or far more has passed than our rate allows, in some
        that have ended."""
        if len(self) >= RELAYS_MAX:
            return True
        if any(self._count(each) >= PER_LEAF_MAX for each in (peer, other)):
            return True
        return not self._credit.take(now) and self._credit.wait_s > OVERDRAWN_S

    def _count(self, peer: NodeId) -> int:
        return sum(one == peer for one, _ in self._open)

    def _tell(self, now: float) -> list[Effect]:
        """What was taken, in order, while there is credit: it lets as much more be sent."""
        effects: list[Effect] = []
        while self._untold:
            if not self._credit.take(now):
                self._deadlines.set(_TOLD, now + max(self._credit.wait_s, PAUSE_MIN_S))
                break
            to, by = next(iter(self._untold))
            taken = self._untold.pop((to, by))
            self._credit.spend(taken - 1)
            self._open[to, by] -= taken
            effects.append(Send(to, Ferried(by, taken=taken)))
        return effects

    def _end(self, peer: NodeId, other: NodeId, reason: str) -> list[Effect]:
        """Both ends hear it; who is gone is told in vain."""
        if (peer, other) not in self._open:
            return []
        for pair in ((peer, other), (other, peer)):
            self._credit.spend(self._open.pop(pair))  # it has passed, and is told to nobody
            self._used_at.pop(pair, None)
            self._untold.pop(pair, None)
        return [Send(other, Relayed(peer, reason)), Send(peer, Relayed(other, reason))]
