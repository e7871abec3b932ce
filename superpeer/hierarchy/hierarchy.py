"""Vitals, dial-backs, promotion and stepping down, put together for the role.

Each of them sees of the others what is given to it here; what happens to leaves and links comes in
by one door and goes on to those that care.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

from common.config import Config
from common.core import Effect, LinkUp, Promoted
from common.doors import Door
from common.ids import Identity, NodeId, parse_node
from common.messages.cluster import Join
from common.messages.fields import Contact
from common.messages.hierarchy import ErrandDone, Examine, Examined
from common.network import Network
from superpeer.cluster.cluster import Cluster
from superpeer.hierarchy.moves import Moves
from superpeer.hierarchy.promotion import Promotion
from superpeer.hierarchy.stepdown import StepDown
from superpeer.methods import LeafRow
from superpeer.overlay.joining import Why
from superpeer.overlay.overlay import Overlay
from superpeer.vitals.dialbacks import Dialbacks
from superpeer.vitals.examiner import Examiner
from superpeer.vitals.trials import Trials
from superpeer.vitals.vitals import Vitals

Links = dict[NodeId, LinkUp]


class Hierarchy:
    """How this super-peer came to be one, whom it makes one, and what it knows of its leaves."""

    def __init__(
        self,
        identity: Identity,
        *,
        config: Config,
        network: Network,
        rng: Random,
        links: Links,
        overlay: Overlay,
        cluster: Cluster,
        waited_s: Callable[[], float],
    ) -> None:
        me, leaves = identity.node, cluster.members
        self._me, self._links, self._overlay, self._cluster = me, links, overlay, cluster
        self.vitals = Vitals(
            identity,
            network.name,
            config.vitals,
            rng,
            links=links,
            leaves=leaves,
            neighbours=overlay.neighbours,
            around=overlay.around,
            rtt_s=cluster.rtt_s,
        )
        examiner = Examiner(
            me,
            links=links,
            leaves=leaves,
            askable=overlay.askable,
            book=self.vitals.book,
            changed=self.vitals.changed,
        )
        budget, known = overlay.joining.budget, lambda: self.vitals.known_share
        self.dialbacks = Dialbacks(examiner, config.vitals, rng, budget=budget)
        self.trials = Trials(examiner, config.vitals, rng, known=known)
        pace, heirs = config.promotion.moves_per_s, cluster.heirs
        moves = Moves(pace, rng, leaves=leaves, rtt_s=cluster.rtt_s, heirs=heirs)
        self.stepdown = self._stepdown_of(config, rng, moves)
        self.promotion = Promotion(
            me,
            config,
            rng,
            links=links,
            leaves=leaves,
            neighbours=overlay.neighbours,
            vitals=self.vitals,
            moves=moves,
            stepdown=self.stepdown,
            trials=self.trials,
            waited_s=waited_s,
        )
        self.all: Final = (self.vitals, self.dialbacks, self.trials, self.promotion)

    def _stepdown_of(self, config: Config, rng: Random, moves: Moves) -> StepDown:
        return StepDown(
            self._me,
            config.promotion,
            rng,
            leaves=self._cluster.members,
            neighbours=self._overlay.neighbours,
            moves=moves,
            leaves_max=config.cluster.leaves_max,
            close=self._close,
            leave=self._overlay.leave_all,
            want=self._overlay.joining.want,
        )

    def _close(self, now: float) -> list[Effect]:
        self._overlay.stop()
        return self._cluster.stop(now)

    def rated(self, rows: list[LeafRow], now: float) -> list[LeafRow]:
        """Our leaves, with what they are seen to send."""
        rates = [self.vitals.up_rate(parse_node(row.node), now) for row in rows]
        replace = msgspec.structs.replace
        return [replace(row, up_rate=rate) for row, rate in zip(rows, rates, strict=True)]

    # --- roles ------------------------------------------------------------------------------

    def promoted(self, event: Promoted, now: float) -> list[Effect]:
        """Our node has taken up this role: begin with whom it is linked to, our leaf's parent. Of
        the others that were named `superpeer.succession.reunion` asks who is a super-peer."""
        self.stepdown.promoted_at = now
        linked = [Contact(*seed) for seed in event.seeds if seed[0] in self._links]
        wanted = [self._overlay.joining.want(each, now, Why.NEAR) for each in linked]
        return [effect for effects in wanted for effect in effects]

    # --- leaves -----------------------------------------------------------------------------

    def on_join(self, peer: NodeId, join: Join, now: float) -> list[Effect]:
        """Somebody asked to be our leaf; it may have become one."""
        if peer in self._cluster.members:
            self.vitals.arrived(peer, now)
            self.vitals.book(peer).willing = join.promotes
            self.dialbacks.arrived(peer, now)
            self.promotion.arrived(now)
        else:
            self.promotion.refused(now)
        return []

    def left(self, peer: NodeId, now: float) -> list[Effect]:
        """A leaf has another parent, unless it was mistaken."""
        return [] if peer in self._cluster.members else self._departed(peer, now)

    def _departed(self, peer: NodeId, now: float) -> list[Effect]:
        self.vitals.departed(peer, now)
        self.dialbacks.departed(peer)
        return self.stepdown.settle(now)

    # --- links ------------------------------------------------------------------------------

    def link_up(self, event: LinkUp, now: float) -> list[Effect] | None:
        """A link that was made only to see whether it can be; None if this is another one."""
        if event.door is Door.CONTROL and self._overlay.joining.why(event.peer) is not None:
            return None
        return self.dialbacks.linked(event, now)

    def link_down(self, peer: NodeId, door: Door, now: float) -> list[Effect]:
        """A link is gone, or could not be made."""
        effects = self.dialbacks.lost(peer, door, now)
        if door is Door.CONTROL:
            effects += [*self.promotion.lost(peer, now), *self._departed(peer, now)]
        return effects

    def linked(self, peer: NodeId, now: float) -> list[Effect]:
        """Somebody may have become our neighbour."""
        return self.promotion.linked(peer, now)

    # --- what others measured ---------------------------------------------------------------

    def on_examine(self, peer: NodeId, message: Examine, now: float) -> list[Effect]:
        """A neighbour wants something seen."""
        if peer not in self._overlay.neighbours:
            return []
        examiner = self.trials if message.seconds else self.dialbacks
        return examiner.on_examine(peer, message, now)

    def on_examined(self, peer: NodeId, message: Examined | ErrandDone, now: float) -> list[Effect]:
        """What a neighbour or a leaf of ours saw."""
        if self.dialbacks.on_examined(peer, message, now):
            return []
        return self.trials.on_report(peer, message, now)
