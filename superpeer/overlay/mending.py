"""Keeping as many neighbours as we want: whom we try next, and when.

The overlay has no plan that anybody could lose: each super-peer wants `degree_wanted` neighbours,
half of them by its own lot, and while it lacks any it tries others that it knows, few at a time.
The lot falls on groups first, and on those that came to us like on all others: who is a neighbour
already counts as drawn. So whoever crowds in on us fills the other half at most, and who has
crowded out the others there does not cut us off (THREATS T6). Who has enough refuses, but for those
that have next to none, so nobody becomes a hub (THREATS section 1: the best connected 4 % gone, and
Gnutella fell apart). How one is met and asked is `superpeer.overlay.joining`.
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
from superpeer.overlay.neighbour import Neighbour, staying

TRIED_AT_ONCE: Final = 4  # wild guess
DOUBLINGS_MAX: Final = 6  # of the pause while nobody is left to try: a minute
DOUBLINGS_IN_NEED_MAX: Final = 2  # ... with next to no neighbours; wild guess
_MEND: Final = "mend"


class Mending:
    """`neighbours` are read as they are at the moment, and marked when the lot falls on them;
    `want` has one more tried, `trying` tells how many are being tried now, `is_spent` whether no
    more can be just now; whom the lot fell on is to be remembered."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        neighbours: Mapping[NodeId, Neighbour],
        cache: HostCache,
        want: Callable[[Contact, float], list[Effect]],
        trying: Callable[[], int],
        is_spent: Callable[[float], bool],
        remember: Callable[[Contact], list[Effect]],
    ) -> None:
        self._config = config
        self._rng = rng
        self._neighbours = neighbours
        self._cache = cache
        self._want = want
        self._trying = trying
        self._is_spent = is_spent
        self._remember = remember
        self._deadlines = Deadlines()
        self._stopped = False
        self._in_vain = 0  # looks that found nobody to try

    def stop(self) -> None:
        """Look for nobody any more."""
        self._stopped = True
        self._deadlines.cancel(_MEND)

    def look(self, now: float) -> None:
        """Are we short of neighbours? To be asked when they change."""
        self._in_vain = 0
        if self.lacking > 0 and not self._stopped:
            at = now + self._config.mend_s * self._rng.uniform(0.1, 0.5)
            set_to = self._deadlines.get(_MEND)
            if set_to is None or at + self._config.mend_s < set_to:
                self._deadlines.set(_MEND, at)

    def due(self, now: float) -> list[Effect]:
        """Try some more, if it is time."""
        if not self._deadlines.pop_due(now):
            return []
        effects, drawn = self._draw(now)
        self._in_vain = 0 if drawn else self._in_vain + 1
        if self.lacking > 0:
            is_well = len(staying(self._neighbours)) >= self._config.degree_min
            most = DOUBLINGS_MAX if is_well else DOUBLINGS_IN_NEED_MAX
            pause_s = self._config.mend_s * 2 ** min(self._in_vain, most)
            self._deadlines.set(_MEND, now + pause_s * self._rng.uniform(0.5, 1.5))
        return effects

    def _draw(self, now: float) -> tuple[list[Effect], int]:
        """Draw as many as we lack, and say how many that were. One that is our neighbour already
        has to be drawn like all others, and so takes the place of one that might be tried."""
        effects: list[Effect] = []
        before, marked = self._trying(), 0
        lacking, lacking_chosen = self.lacking, self._lacking_chosen
        chosen = self._chosen()
        beside = [Contact(peer, each.address) for peer, each in chosen.items()]
        for contact in self._cache.pick(HOSTS_PER_LIST_MAX, without=chosen, beside=beside):
            under_way = self._trying() + marked
            if under_way >= min(lacking, TRIED_AT_ONCE):
                break
            neighbour = self._neighbours.get(contact.node)
            if neighbour is None:
                effects += self._want(contact, now)
                if self._is_spent(now):
                    break  # later: or only those would be drawn that need no dial, our guests
            elif not neighbour.leaving and under_way < lacking_chosen:
                marked += 1
                neighbour.chosen = True
                self._cache.worked(contact)
                effects += self._remember(contact)
        return effects, self._trying() - before + marked

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    @property
    def lacking(self) -> int:
        """How many neighbours we should like to have more."""
        missing = self._config.degree_wanted - len(staying(self._neighbours))
        return max(missing, self._lacking_chosen)

    @property
    def _lacking_chosen(self) -> int:
        return self._config.degree_wanted // 2 - len(self._chosen())

    def _chosen(self) -> dict[NodeId, Neighbour]:
        return {peer: each for peer, each in staying(self._neighbours).items() if each.chosen}
