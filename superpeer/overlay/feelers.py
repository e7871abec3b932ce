"""Feelers: now and then one super-peer that we know only by name is tried, and let go again.

While all is well, names would grow old, and on the day that we need them be those that somebody
planted. So every few minutes a link is made to one that was never tried, or to one that has to give
way to a newcomer unless it still works, and hung up as soon as it is there (Heilman et al. 2015).
What comes of it stands in the host cache. And two of our neighbours are remembered last of all, so
that the next run dials those first: anchors.
"""

from collections.abc import Container, Mapping
from random import Random
from typing import Final

from common.config import OverlayConfig
from common.core import Dial, Effect, LetGo
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.hostcache import ANCHORS, HostCache
from common.ids import NodeId
from common.messages.fields import Contact
from common.storage import RememberSuperPeer
from superpeer.overlay.neighbour import Neighbour

FELT: Final = "only looking"  # why the link of a feeler ends
_FEEL: Final = "feel"


class Feelers:
    """One at a time; `links` and `neighbours` are read as they are at the moment."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        links: Container[NodeId],
        neighbours: Mapping[NodeId, Neighbour],
        cache: HostCache,
        budget: DialBudget,
    ) -> None:
        self._config = config
        self._rng = rng
        self._links = links
        self._neighbours = neighbours
        self._cache = cache
        self._budget = budget
        self._deadlines = Deadlines()
        self._felt: NodeId | None = None

    def start(self, now: float) -> None:
        """From now on, where the overlay is kept at all."""
        if self._config.degree_wanted > 0:
            self._deadlines.set(_FEEL, now + self._config.feeler_s * self._rng.uniform(0.5, 1.5))

    def stop(self) -> None:
        """No more."""
        self._deadlines.cancel(_FEEL)

    def due(self, now: float) -> list[Effect]:
        """Try one, if it is time."""
        if not self._deadlines.pop_due(now):
            return []
        self.start(now)
        self._felt = None
        doubtful = self._cache.doubtful
        if doubtful is not None and doubtful.node in self._links:
            self._cache.worked(doubtful)
            doubtful = None
        contact = doubtful or self._cache.untried(without=self._links)
        if contact is None:
            return []
        proven = self._cache.has_worked(contact)
        if not self._budget.take(contact.address, now, proven=proven):
            return []
        self._felt = contact.node
        return [Dial(contact.node, contact.address, Door.CONTROL)]

    def linked(self, peer: NodeId) -> list[Effect]:
        """A link that we made is up: if it was a feeler's it has served."""
        if peer != self._felt:
            return []
        self._felt = None
        return [LetGo(peer, Door.CONTROL, FELT)]

    def remember(self, contact: Contact | None = None) -> list[Effect]:
        """Keep one that worked over restarts, and after it the anchors: two neighbours by our own
        lot; not the oldest, since who wants to surround us never leaves."""
        chosen = [
            Contact(peer, neighbour.address)
            for peer, neighbour in self._neighbours.items()
            if neighbour.chosen and not neighbour.leaving and neighbour.address.is_a_place
        ]
        anchors = self._rng.sample(chosen, min(ANCHORS, len(chosen)))
        kept = [*([contact] if contact is not None else []), *anchors]
        return [RememberSuperPeer(each.node, each.address) for each in kept]

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()
