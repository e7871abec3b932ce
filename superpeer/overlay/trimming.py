"""Trimming: who has more neighbours than wanted lets some go, so nobody stays a hub.

Newcomers are taken beyond what is wanted, and two that found one another while both were looking
may both have enough by now. So, slowly and in peace, one of those goes that we asked ourselves and
did not need for our half of the lot; and who has a third too many lets those go that asked it, the
best linked first. None goes that would not have enough others (with fewer than `degree_min` it
would be taken again at once, `superpeer.overlay.places`), nor one without another way to us.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from common.config import OverlayConfig
from common.core import Effect
from common.deadlines import Deadlines
from common.ids import NodeId
from superpeer.overlay.neighbour import Neighbour, has_way, staying

TOO_MANY: Final = 4 / 3  # of those that we want: from here on we are a hub; wild guess
_TRIM: Final = "trim"


class Trimming:
    """`neighbours` are read as they are at the moment; `part` lets one go in peace."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        neighbours: Mapping[NodeId, Neighbour],
        is_seed: Callable[[NodeId], bool],
        part: Callable[[NodeId, float], list[Effect]],
    ) -> None:
        self._config = config
        self._rng = rng
        self._neighbours = neighbours
        self._is_seed = is_seed
        self._part = part
        self._deadlines = Deadlines()
        self._stopped = False

    def stop(self) -> None:
        """No more."""
        self._stopped = True
        self._deadlines.cancel(_TRIM)

    def look(self, now: float) -> None:
        """Have we too many? To be asked when they change."""
        if self._excess > 0 and not self._stopped and self._deadlines.get(_TRIM) is None:
            self._deadlines.set(_TRIM, now + self._config.trim_s * self._rng.uniform(0.5, 1.5))

    def due(self, now: float) -> list[Effect]:
        """Let one go, if it is time and one can."""
        if not self._deadlines.pop_due(now) or self._excess <= 0:
            return []
        kept = staying(self._neighbours)
        spare = sum(each.chosen for each in kept.values()) - self._config.degree_wanted // 2
        is_hub = len(kept) > self._config.degree_wanted * TOO_MANY
        enough = max(self._config.degree_wanted - is_hub, self._config.degree_min)
        can_go = [
            peer
            for peer, each in kept.items()
            if each.degree > enough
            and not self._is_seed(peer)
            and (spare > 0 if each.chosen else each.ours or is_hub)
            and has_way(self._neighbours, each)
        ]
        effects: list[Effect] = []
        if can_go:
            effects = self._part(max(can_go, key=lambda peer: kept[peer].degree), now)
        self.look(now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    @property
    def _excess(self) -> int:
        """How many more we have than we want, where we want any certain number."""
        wanted = self._config.degree_wanted
        return len(staying(self._neighbours)) - wanted if wanted > 0 else 0
