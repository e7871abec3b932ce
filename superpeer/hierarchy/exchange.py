"""A better super-peer for a worse one: the asking side.

Who was promoted first was promoted before anybody was measured. So where load and target agree, and
a leaf of ours is worth more by `swap_factor` than the worst super-peer beside us, that one is asked
whether it would go if the leaf came; it asks its own neighbours, as ever before stepping down.
Nothing changes until it says yes; the leaf is asked then, and the other goes when it sees the leaf
as a super-peer (`superpeer.hierarchy.stepdown`). Whatever fails on the way leaves all as it was.

Compared is what we measured ourselves, or what most others say that they did: a leaf must have been
measured by us. Who does not go is left alone for a while, which doubles.
"""

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from common.config import PromotionConfig
from common.core import Effect, Notify, Send
from common.ids import NodeId, node_text
from common.messages.fields import Contact
from common.messages.hierarchy import Outdone, Yielded
from superpeer.overlay.neighbour import Neighbour, staying

REFUSED_S: Final = 120.0  # until one that does not go is asked again, doubling; wild guess
REFUSED_MAX_S: Final = 3600.0


class _Asked(NamedTuple):
    peer: NodeId
    leaf: NodeId
    until: float


class Exchange:
    """One exchange at a time. `leaves` and `neighbours` are read as they are at the moment; `worth`
    is how much a neighbour is worth as a super-peer, None where nobody knows."""

    def __init__(
        self,
        config: PromotionConfig,
        rng: Random,
        *,
        leaves: Mapping[NodeId, Contact],
        neighbours: Mapping[NodeId, Neighbour],
        worth: Callable[[NodeId, float], float | None],
    ) -> None:
        self._config, self._rng = config, rng
        self._leaves, self._neighbours, self._worth = leaves, neighbours, worth
        self._asked: _Asked | None = None
        self._rests_until = 0.0
        self._refused: dict[NodeId, tuple[float, float]] = {}  # until when, and for how long
        self.exchanges = 0  # that came about

    def may_look(self, now: float) -> bool:
        """Whether it is time, and the lot falls on us: the others beside the worst one look too."""
        if now < self._rests_until or self.is_under_way(now):
            return False
        return self._rng.random() * len(self._neighbours) <= 1.0

    def look(self, leaf: NodeId, worth: float, now: float) -> list[Effect]:
        """Our best leaf is worth so much: ask the worst beside us whether it would go."""
        worst = self._worst(now)
        if worst is None or worth < worst[0] + math.log(self._config.swap_factor):
            return []
        peer, config = worst[1], self._config
        self._rests_until = now + config.swap_pause_s
        self._asked = _Asked(peer, leaf, now + 2 * config.reserve_s + config.offer_s)
        return [Send(peer, Outdone(self._leaves[leaf]))]

    def _worst(self, now: float) -> tuple[float, NodeId] | None:
        """Of the neighbours that may go, as far as we know."""
        self._refused = {
            peer: one for peer, one in self._refused.items() if peer in self._neighbours
        }
        known = [
            (worth, peer)
            for peer in staying(self._neighbours)
            if now >= self._refused.get(peer, (0.0, 0.0))[0]
            and (worth := self._worth(peer, now)) is not None
        ]
        return min(known, default=None)

    def is_under_way(self, now: float) -> bool:
        """Whether we wait for an answer, or for a leaf that takes a place."""
        return self._asked is not None and now < self._asked.until

    def on_yielded(self, peer: NodeId, message: Yielded, now: float) -> NodeId | None:
        """The leaf that is to be asked now, if the other would go."""
        asked = self._asked
        if asked is None or (asked.peer, asked.leaf) != (peer, message.leaf):
            return None
        if not message.yields:
            self._asked = None
            self._refuse(peer, now)
            return None
        config = self._config
        self._asked = asked._replace(until=now + config.offer_s + config.arrive_s)
        return asked.leaf

    def _refuse(self, peer: NodeId, now: float) -> None:
        pause_s = min(2 * self._refused.get(peer, (0.0, REFUSED_S / 2))[1], REFUSED_MAX_S)
        self._refused[peer] = now + pause_s, pause_s

    def gives_way(self, leaf: NodeId, now: float) -> NodeId | None:
        """Whose place this leaf takes, if it is one that was promoted for that."""
        asked = self._asked
        return asked.peer if asked and asked.leaf == leaf and now < asked.until else None

    def arrived(self, to: Contact, now: float) -> list[Effect]:
        """The leaf is a super-peer now: the other is told where."""
        peer, self._asked = self.gives_way(to.node, now), None
        if peer is None or peer not in self._neighbours:
            return []
        self.exchanges += 1
        fields: dict[str, object] = {"node": node_text(to.node), "for": node_text(peer)}
        return [Send(peer, Outdone(to, is_there=True)), Notify("exchanged", fields)]

    def failed(self, leaf: NodeId) -> None:
        """It said no, or did not come."""
        if self._asked is not None and self._asked.leaf == leaf:
            self._asked = None
