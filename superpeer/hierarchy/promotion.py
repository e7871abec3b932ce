"""Making a super-peer of a leaf: look, choose, offer, and share the cluster with it.

Every few seconds load is held against target (`superpeer.hierarchy.drift`). Where super-peers are
missing for long enough, the leaf with the best verdict is asked; when it is there as a neighbour,
the leaf in it is told to hang on itself and half of ours are told to move to it. Until then nothing
of ours changes, so a leaf that says yes and does nothing, or comes up and hangs, costs no search:
it is passed over for a time that doubles. One at a time.

A cluster that is fuller than those beside it gives leaves to them instead; so does one that is too
full and has nobody fit, until one of them is too full that has somebody. Where nothing is missing
a better leaf may take the place of a worse super-peer (`superpeer.hierarchy.exchange`). Stepping
down is `superpeer.hierarchy.stepdown`, which this looks for too.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from common.config import Config
from common.core import Effect, LinkUp, Notify, Send
from common.deadlines import Deadlines, soonest
from common.ids import NodeId, node_text
from common.messages.fields import Contact
from common.messages.hierarchy import Offer, OfferAnswer, Yielded
from superpeer.hierarchy.capacity import Capacity
from superpeer.hierarchy.drift import (
    Drift,
    drift,
    leave_chance,
    passed_on,
    shares,
    split_chance,
)
from superpeer.hierarchy.exchange import Exchange
from superpeer.hierarchy.moves import Moves
from superpeer.hierarchy.stepdown import StepDown
from superpeer.overlay.neighbour import Neighbour, staying
from superpeer.vitals.trials import Trials
from superpeer.vitals.verdict import Verdict, verdict
from superpeer.vitals.vitals import Vitals

FULLER: Final = 1.25  # than the mean: then leaves are given away; wild guess
FALLEN: Final = 0.5  # of the least rate: who is seen to send less goes; wild guess
TESTED_FROM: Final = 0.5  # of the target: where leaves are fewer, nobody is missed soon; guess
SEEDS_TOLD: Final = 8  # neighbours named with an offer: what one wants at a time
PASS_ON_S: Final = 30.0  # full and nobody fit for so long: others get leaves; doubles; wild guess
PASS_ON_MAX_S: Final = 3600.0
_LOOK: Final = "look"
_OFFER: Final = "offer"


class _Offered(NamedTuple):
    leaf: NodeId
    accepted: bool = False


class Promotion:
    """The controller of one super-peer. `links`, `leaves` and `neighbours` are read as they are at
    the moment; `waited_s` is how long questions waited since it was asked last."""

    def __init__(
        self,
        me: NodeId,
        config: Config,
        rng: Random,
        *,
        links: Mapping[NodeId, LinkUp],
        leaves: Mapping[NodeId, Contact],
        neighbours: Mapping[NodeId, Neighbour],
        vitals: Vitals,
        moves: Moves,
        stepdown: StepDown,
        trials: Trials,
        waited_s: Callable[[], float],
    ) -> None:
        self.me, self.config, self._rng = me, config.promotion, rng
        self._vitals_config, self.leaves_max = config.vitals, config.cluster.leaves_max
        self._links, self._leaves, self._neighbours = links, leaves, neighbours
        self._vitals, self._moves, self.stepdown = vitals, moves, stepdown
        self._trials = trials
        self._waited_s = waited_s
        self.capacity = Capacity(config.promotion, self.leaves_max)
        self._over_since: float | None = None  # super-peers are missing
        self._pass_on_s, self._passed_on_at = PASS_ON_S, -math.inf
        self._sought_until = -math.inf  # leaves for which there was no place come again till then
        self._retry_s = config.cluster.busy_retry_s
        self._offered: _Offered | None = None
        self.exchange = Exchange(
            self.config, rng, leaves=leaves, neighbours=neighbours, worth=self._worth_beside
        )
        self.promotions = 0
        self._deadlines = Deadlines()
        self.dropped: Counter[str] = Counter()

    # --- what is so -------------------------------------------------------------------------

    @property
    def drift(self) -> Drift:
        """Load against target, now."""
        beside = [each.leaves for each in staying(self._neighbours).values()]
        return drift(len(self._leaves), beside, self.capacity.target)

    @property
    def offered(self) -> NodeId | None:
        """The leaf that we ask now."""
        return None if self._offered is None else self._offered.leaf

    @property
    def need(self) -> bool:
        """Whether floors only rank: we are full, or there is no other super-peer."""
        return len(self._leaves) >= self.leaves_max or not self._neighbours

    def verdict(self, leaf: NodeId, now: float) -> Verdict:
        """What we think of a leaf."""
        inputs = self._vitals.inputs(leaf, now, need=self.need)
        return verdict(inputs, self.config, self._vitals_config)

    def ranked(self, now: float) -> list[tuple[NodeId, Verdict]]:
        """Our leaves that are no super-peers themselves, the best first."""
        return self._rank(self._candidates(), now)

    def _rank(self, leaves: list[NodeId], now: float) -> list[tuple[NodeId, Verdict]]:
        found = [(leaf, self.verdict(leaf, now)) for leaf in leaves]
        return sorted(found, key=lambda one: (not one[1].fit, -one[1].score, one[0]))

    def _worth_beside(self, peer: NodeId, now: float) -> float | None:
        inputs = self._vitals.beside(peer, now)
        return None if inputs is None else verdict(inputs, self.config, self._vitals_config).worth

    def better_than(self, now: float) -> float:
        """Of which share of the neighbours that somebody measured we are the better super-peer, by
        what they say of us; 0.0 where they say nothing."""
        inputs = self._vitals.ourselves(now)
        if inputs is None:
            return 0.0
        worth = verdict(inputs, self.config, self._vitals_config).worth
        others = [self._worth_beside(peer, now) for peer in staying(self._neighbours)]
        known = [each for each in others if each is not None]
        return sum(each < worth for each in known) / len(known) if known else 0.0

    def _candidates(self) -> list[NodeId]:
        return [leaf for leaf in self._leaves if leaf != self.me and leaf not in self._neighbours]

    # --- leaves that come -------------------------------------------------------------------

    def arrived(self, now: float) -> None:
        """We have a leaf: from now on we look."""
        if self._deadlines.get(_LOOK) is None and self.config.look_s > 0:
            self._look_again(now)

    def refused(self, now: float) -> None:
        """Somebody would be our leaf and we are full: look soon, for all that come after it."""
        self._sought_until = now + self._retry_s
        looks_at = self._deadlines.get(_LOOK)
        if looks_at is not None and len(self._leaves) >= self.leaves_max:
            self._deadlines.set(_LOOK, min(looks_at, now + self.config.refused_s))

    def _look_again(self, now: float) -> None:
        self._deadlines.set(_LOOK, now + self.config.look_s * self._rng.uniform(0.8, 1.2))

    # --- looking ----------------------------------------------------------------------------

    def _look(self, now: float) -> list[Effect]:
        self._look_again(now)
        self.capacity.look(len(self._leaves), self._waited_s(), now)
        if self.stepdown.is_under_way:
            return []
        seen = self.drift
        return [*self._shortlist(seen, now), *self._steer(seen, now)]

    def _shortlist(self, seen: Drift, now: float) -> list[Effect]:
        """Where a super-peer may be missing before long, test one beside us that nobody measured,
        or the best leaf whose rate too few saw: who is said to be fast by others first."""
        if max(seen.own_mu, seen.near_mu) < math.log(TESTED_FROM) or not self._trials.rested(now):
            return []
        beside = [peer for peer in staying(self._neighbours) if self._trials.may_begin(peer, now)]
        unknown = [peer for peer in beside if self._vitals.beside(peer, now) is None]
        unknown = [peer for peer in unknown if self._links[peer].bulk_port]
        if unknown and self._rng.random() * seen.near < 1.0:  # others beside it look too
            return self._trials.begin(self._rng.choice(unknown), now)
        may = [leaf for leaf in self._candidates() if self._trials.may_begin(leaf, now)]
        untested = [leaf for leaf, found in self._rank(may, now) if _lacks_witnesses(found)]
        told = {
            leaf: self._vitals.book(leaf).told_rate(self._vitals_config, now) for leaf in untested
        }
        least = self.config.up_rate_min
        untested = [leaf for leaf in untested if (told[leaf] or least) >= least]
        untested.sort(key=lambda leaf: -(told[leaf] or 0.0))  # stable: else by rank
        return self._trials.begin(untested[0], now) if untested else []

    def _steer(self, seen: Drift, now: float) -> list[Effect]:
        effects = self.stepdown.pressed(self._unfit(seen, now), now)
        if effects:
            return effects
        chance = split_chance(seen, self.config)
        if not chance:
            self._over_since = None
            effects = self._level(seen, now) or self._step_down(seen, now)
            return effects or self._improve(now)
        if self._over_since is None:
            self._over_since = now
        is_full = len(self._leaves) >= self.leaves_max
        if self._offered is not None or self._moves.pending:
            return []
        if now - self._over_since < self.config.sustain_s and not is_full:
            return []
        if self._rng.random() >= chance:  # before all are ranked: that is most of a look
            return []
        best = next((leaf for leaf, found in self.ranked(now) if found.fit), None)
        if best is None:
            return self._pass_on(seen, now, now - self._over_since)
        return self._offer(best, now)

    def _unfit(self, seen: Drift, now: float) -> str:
        """Why we should be no super-peer, whatever the load of others; '' if we may stay."""
        reachable, rate = self._vitals.seen(self.me, now)
        if rate is not None and rate < FALLEN * self.config.up_rate_min:
            return "it is seen to send too little"
        if reachable is False:
            return "others cannot dial it"
        return "few leaves are too many for it" if self.capacity.is_overloaded(seen.leaves) else ""

    def _step_down(self, seen: Drift, now: float) -> list[Effect]:
        """Step down, if we are one too many, the worst one first."""
        is_one = leave_chance(seen, self.config) > 0
        return self.stepdown.look(seen, self.better_than(now) if is_one else 0.0, now)

    def _improve(self, now: float) -> list[Effect]:
        """Ask the worst beside us whether it goes for the best of ours."""
        if self._offered is not None or self._moves.pending or self.stepdown.is_under_way:
            return []
        if not self.exchange.may_look(now):
            return []
        fit = [(found.worth, leaf) for leaf, found in self.ranked(now) if found.fit]
        if not fit:
            return []
        worth, best = max(fit)
        if self.verdict(best, now).need:
            return []
        return self.exchange.look(best, worth, now)

    def _level(self, seen: Drift, now: float) -> list[Effect]:
        """Give leaves to neighbours that have fewer, where we have more than we should."""
        if seen.near < 2 or seen.leaves <= FULLER * seen.mean or seen.leaves <= seen.target:
            return []
        if self._moves.pending:
            return []
        return self._give(int(seen.leaves - seen.mean), seen.mean, now)

    def _pass_on(self, seen: Drift, now: float, since_s: float) -> list[Effect]:
        """Nobody of ours is fit: neighbours that have fewer get leaves, for they may have somebody,
        and know no need as long as they are not too full. Ever more seldom, as long as it happens
        again and again: where nobody anywhere is fit, leaves would go to and fro."""
        if now > self._passed_on_at + 2 * PASS_ON_MAX_S:
            self._pass_on_s = PASS_ON_S
        if since_s < self._pass_on_s:
            return []
        effects = self._give(*passed_on(seen), now)
        if effects:
            self._passed_on_at = now
            self._pass_on_s = min(2 * self._pass_on_s, PASS_ON_MAX_S)
        return effects

    def _give(self, count: int, most: float, now: float) -> list[Effect]:
        """So many leaves to the neighbours that have less than `most`, in proportion."""
        beside = list(staying(self._neighbours).items())
        rooms = [max(0.0, most - each.leaves) for _, each in beside]
        free = self._moves.free(now, but=self.me)
        count = min(count, int(sum(rooms)), len(free))
        effects: list[Effect] = []
        for (peer, each), number in zip(beside, shares(count, rooms), strict=True):
            given, free = free[:number], free[number:]
            each.leaves += len(given)  # until it tells us itself
            effects += self._moves.send(given, Contact(peer, each.address), now)
        return effects

    # --- offers -----------------------------------------------------------------------------

    def on_yielded(self, peer: NodeId, message: Yielded, now: float) -> list[Effect]:
        """A neighbour says whether it goes for a leaf of ours."""
        leaf = self.exchange.on_yielded(peer, message, now)
        if leaf is None or leaf not in self._leaves or self._offered is not None:
            return []
        return self._offer(leaf, now)

    def _offer(self, best: NodeId, now: float) -> list[Effect]:
        self._offered = _Offered(best)
        self._deadlines.set(_OFFER, now + self.config.offer_s)
        beside = [Contact(peer, each.address) for peer, each in staying(self._neighbours).items()]
        chosen = self._rng.sample(beside, min(SEEDS_TOLD, len(beside)))
        return [
            Send(best, Offer(tuple(chosen))),
            Notify("promotion_offered", {"node": node_text(best)}),
        ]

    def on_answer(self, peer: NodeId, message: OfferAnswer, now: float) -> list[Effect]:
        """The leaf that we asked says yes or no."""
        offered = self._offered
        if offered is None or offered.leaf != peer or offered.accepted:
            self.dropped["answer_to_no_offer"] += 1
            return []
        if not message.accepted:
            return self._passed_over(message.reason or "it declined", now)
        self._offered = _Offered(peer, accepted=True)
        self._deadlines.set(_OFFER, now + self.config.arrive_s)
        return []

    def _passed_over(self, reason: str, now: float) -> list[Effect]:
        offered, self._offered = self._offered, None
        self._deadlines.cancel(_OFFER)
        if offered is None:
            return []
        self.exchange.failed(offered.leaf)
        config = self.config
        self._vitals.book(offered.leaf).hold_back(config.passed_over_s, config.flip_max_s, now)
        fields: dict[str, object] = {"node": node_text(offered.leaf), "reason": reason}
        return [Notify("promotion_failed", fields)]

    def linked(self, peer: NodeId, now: float) -> list[Effect]:
        """Somebody is our neighbour now: if it is whom we asked, share with it. Where leaves find
        no place it is theirs, and ours stay for now: the next one can be asked at once."""
        offered, link = self._offered, self._links.get(peer)
        if offered is None or offered.leaf != peer or link is None or peer not in self._neighbours:
            return []
        self._offered, self._over_since = None, None
        self._deadlines.cancel(_OFFER)
        self.promotions += 1
        to = Contact(peer, link.address)
        itself = self._moves.tell(peer, to, now) if peer in self._leaves else []
        free = self._moves.free(now, but=peer)
        free = [leaf for leaf in free if leaf != self.me and leaf not in self._neighbours]
        takes_place = self.exchange.gives_way(peer, now) is not None  # of the other's leaves, then
        stay = takes_place or now < self._sought_until
        half = [] if stay else free[: max(0, (len(self._leaves) - 1) // 2)]
        self._neighbours[peer].leaves += len(half)
        promoted = Notify("leaf_promoted", {"node": node_text(peer), "leaves": len(half)})
        others = self.exchange.arrived(to, now) if takes_place else []
        return [promoted, *itself, *others, *self._moves.send(half, to, now)]

    def lost(self, peer: NodeId, now: float) -> list[Effect]:
        """The link to a peer is gone."""
        if self._offered is None or self._offered.leaf != peer:
            return []
        return self._passed_over("its link is gone", now)

    # --- time -------------------------------------------------------------------------------

    def due(self, now: float) -> list[Effect]:
        """Look, give up waiting, and send those on that are to move."""
        effects = [*self._moves.due(now), *self.stepdown.due(now)]
        for key in self._deadlines.pop_due(now):
            if key == _LOOK:
                effects += self._look(now)
            else:
                asked = self._offered is not None and self._offered.accepted
                said = "it accepted and did not come" if asked else "it did not answer"
                effects += self._passed_over(said, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        times = [self._deadlines.earliest(), self._moves.wakeup(), self.stepdown.wakeup()]
        return soonest(times)


def _lacks_witnesses(found: Verdict) -> bool:
    """Whether a test is what stands against it."""
    open_ = {check.name for check in found.checks if check.outcome != "passes"}
    return open_ - {"rtt_s", "up_rate", "steadiness"} == {"witnesses"}
