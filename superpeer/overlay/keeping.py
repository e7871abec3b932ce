"""Keeping our neighbours: what mends, trims, feels ahead and turns over, under one clock.

The four have nothing to say to one another: they read the same neighbours and the same host cache,
and whom they want is wanted through the same `superpeer.overlay.joining`.
"""

from collections.abc import Callable, Container, Mapping
from random import Random

from common.config import OverlayConfig
from common.core import Effect
from common.deadlines import soonest
from common.hostcache import HostCache
from common.ids import NodeId
from common.meeting import Meeting
from superpeer.overlay.feelers import Feelers
from superpeer.overlay.joining import Joining
from superpeer.overlay.mending import Mending
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.places import Places
from superpeer.overlay.trimming import Trimming
from superpeer.overlay.turnover import Turnover


class Keeping:
    """All that is done without being asked so that we have good neighbours."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        links: Container[NodeId],
        neighbours: Mapping[NodeId, Neighbour],
        cache: HostCache,
        joining: Joining,
        places: Places,
        meeting: Meeting,
        part: Callable[[NodeId, float], list[Effect]],
    ) -> None:
        self.feelers = Feelers(
            config,
            rng,
            links=links,
            neighbours=neighbours,
            cache=cache,
            budget=joining.budget,
        )
        self._mending = Mending(
            config,
            rng,
            neighbours=neighbours,
            cache=cache,
            want=joining.want,
            trying=lambda: joining.trying,
            is_spent=joining.budget.is_spent,
            remember=self.feelers.remember,
        )
        self.turnover = Turnover(
            config,
            rng,
            neighbours=neighbours,
            cache=cache,
            joining=joining,
            places=places,
            meeting=meeting,
            part=part,
        )
        self._trimming = Trimming(
            config, rng, neighbours=neighbours, is_seed=joining.is_seed, part=part
        )
        self._machines = (self._mending, self._trimming, self.feelers, self.turnover)

    def start(self, now: float) -> None:
        """Our doors are open."""
        self._mending.look(now)
        self.feelers.start(now)
        self.turnover.start(now)

    def stop(self) -> list[Effect]:
        """No more; what the next run should try first."""
        for machine in self._machines:
            machine.stop()
        return self.feelers.remember()

    def changed(self, now: float) -> None:
        """Somebody became our neighbour, or is it no longer."""
        self._mending.look(now)
        self._trimming.look(now)

    def due(self, now: float) -> list[Effect]:
        """Whatever is due."""
        return [effect for machine in self._machines for effect in machine.due(now)]

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        times = [machine.wakeup() for machine in self._machines]
        return soonest(times)
