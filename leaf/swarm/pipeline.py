"""When the sources of one download are asked for more: as soon as they have room for it.

The piece layer comes first, from one who has something; then pieces, of those first that never let
us wait. In the endgame only such as gave are asked for what another owes. What is late is looked at
again after a while, and everybody when the cap lets more pass. What to ask a source for is decided
in `leaf.swarm.requests`.
"""

from collections.abc import Collection
from random import Random

from common.core import Effect, Send
from common.deadlines import Deadlines, soonest
from common.ids import NodeId
from common.rates import Rate
from leaf.swarm.layer import AGAIN_S, LayerFetch
from leaf.swarm.pieces import State
from leaf.swarm.requests import Requests
from leaf.swarm.source import Source
from leaf.swarm.sources import Sources


class Pipeline:
    """Who is asked now, by one download."""

    def __init__(
        self,
        sources: Sources,
        requests: Requests,
        layer: LayerFetch,
        rate: Rate,
        givers: Collection[NodeId],
        rng: Random,
    ) -> None:
        """`rate` is that of what comes, `givers` those that sent a good piece; both as they are."""
        self._sources = sources
        self._requests = requests
        self._layer = layer
        self._rate = rate
        self._givers = givers
        self._rng = rng
        self._deadlines = Deadlines()

    def wakeup(self) -> float | None:
        """When everybody is looked at again."""
        return soonest([self._deadlines.earliest(), self._requests.gate.opens_at])

    def due(self, now: float) -> list[Effect]:
        """It is time to, perhaps."""
        if not (self._requests.gate.opened(now) or self._deadlines.pop_due(now)):
            return []
        effects = self.fill_all(now)
        if self._requests.pieces.count(State.ASKED):
            self._be_patient(now)
        return effects

    def stream(self, now: float) -> list[Effect]:
        """From now on pieces come in order, for somebody who reads them meanwhile."""
        self._requests.is_streamed = True
        self._be_patient(now)
        return self.fill_all(now)

    def fill_all(self, now: float) -> list[Effect]:
        """Ask all that can be asked, of those that never let us wait first. Of hundreds that are
        known few are ready, and each dial that ends comes here."""
        effects: list[Effect] = []
        ready = [each for each in self._sources if each.ready and each.room]
        self._rng.shuffle(ready)  # or all who begin together ask the same one for hashes
        for source in sorted(ready, key=lambda each: each.snubs):
            effects += self.fill(source, now)
        return effects

    def fill(self, source: Source, now: float) -> list[Effect]:
        """Ask this one, if it can be asked."""
        if source.ready and not self._layer.complete:
            return self._ask_layer(source, now)
        if self._requests.endgame and not self._sources.may_end(source, self._givers):
            return []
        owed_before = bool(source.requests)
        bytes_per_s = self._rate.per_s(now) if self._requests.is_streamed else 0.0
        effects = self._requests.fill(source, self._sources, bytes_per_s, now)
        if effects and not owed_before:
            self._sources.expect(source, now)
        if effects:
            self._be_patient(now)
        return effects

    def refused(self, source: Source, now: float) -> None:
        """It takes no more requests now: others may, and it a little later."""
        source.refused(now + AGAIN_S)
        if not source.requests:
            self._sources.expect_nothing(source)
        self._deadlines.set("refused", source.full_until)

    def layer_refused(self, source: Source, now: float) -> list[Effect]:
        """Too many ask it for hashes: others may have them by now, and soon it has room."""
        self._layer.refused(source.peer, now)
        self._sources.expect_nothing(source)
        self._deadlines.set("refused", now + AGAIN_S)
        return self.fill_all(now)

    def _be_patient(self, now: float) -> None:
        """See later whether what was asked for has come."""
        if (patience_s := self._requests.patience_s) is not None:
            self._deadlines.set("late", now + patience_s)

    def _ask_layer(self, source: Source, now: float) -> list[Effect]:
        if source.has_none or (request := self._layer.ask(source.peer, now)) is None:
            return []
        self._deadlines.set("layer", now + self._requests.lateness_s)
        self._sources.expect(source, now)
        return [Send(source.peer, request)]
