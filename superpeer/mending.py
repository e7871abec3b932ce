"""Keeping as many neighbours as we want: whom we try next, and when.

The overlay has no plan that anybody could lose: each super-peer wants `degree_wanted` neighbours,
and while it has fewer it tries others that it knows, in random order and few at a time. Who has
enough refuses, but for those that have next to none, so nobody becomes a hub (THREATS §1: the best
connected 4 % gone, and Gnutella fell apart). How one is met and asked is `superpeer.joining`.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from common.config import OverlayConfig
from common.core import Effect
from common.deadlines import Deadlines
from common.hostcache import HostCache
from common.ids import NodeId
from common.limits import HOSTS_PER_LIST_MAX
from common.messages.fields import Contact

TRIED_AT_ONCE: Final = 4  # wild guess
_MEND: Final = "mend"


class Mending:
    """`neighbours` are read as they are at the moment; `want` has one more tried, `trying` tells
    how many are being tried now."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        neighbours: Mapping[NodeId, object],
        cache: HostCache,
        want: Callable[[Contact, float], list[Effect]],
        trying: Callable[[], int],
    ) -> None:
        self._config = config
        self._rng = rng
        self._neighbours = neighbours
        self._cache = cache
        self._want = want
        self._trying = trying
        self._deadlines = Deadlines()
        self._stopped = False

    def stop(self) -> None:
        """Look for nobody any more."""
        self._stopped = True
        self._deadlines.cancel(_MEND)

    def look(self, now: float) -> None:
        """Are we short of neighbours? To be asked when they change."""
        if self._lacking > 0 and not self._stopped and self._deadlines.get(_MEND) is None:
            self._deadlines.set(_MEND, now + self._config.mend_s * self._rng.uniform(0.1, 0.5))

    def due(self, now: float) -> list[Effect]:
        """Try some more, if it is time."""
        if not self._deadlines.pop_due(now):
            return []
        effects: list[Effect] = []
        for contact in self._cache.pick(HOSTS_PER_LIST_MAX, without=self._neighbours):
            if self._trying() >= min(self._lacking, TRIED_AT_ONCE):
                break
            effects += self._want(contact, now)
        if self._lacking > 0:
            self._deadlines.set(_MEND, now + self._config.mend_s * self._rng.uniform(0.5, 1.5))
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    @property
    def _lacking(self) -> int:
        return self._config.degree_wanted - len(self._neighbours)
