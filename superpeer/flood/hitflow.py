"""The queries whose hits wait for one asker, and how many hits may go up to it now.

Hits cross a link in windows, whatever the number of queries they answer, so that a link's queue is
never filled at once and nobody makes us find and prove more than a link's worth in time. Within a
window the queries take turns. Which hits these are is the tree's business.
"""

from collections import Counter
from typing import Final

from common.ids import Guid, NodeId

HITS_PER_WINDOW: Final = 40  # of at most 2.3 KB: a window never fills a link's 96 KiB queue
WINDOW_S: Final = 0.01  # so at most 4,000 hits/s go up to one asker; wild guess


class HitFlow:
    """What goes up to one asker; `window_end` is when more may."""

    def __init__(self, hits: int = HITS_PER_WINDOW, window_s: float = WINDOW_S) -> None:
        self.hits = hits
        self._window_s = window_s
        self.window_end = 0.0
        self.left = 0
        self._waiting: dict[Guid, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def open_window(self, now: float) -> None:
        """Let more through, if the last window is over."""
        if now >= self.window_end:
            self.left = self.hits
            self.window_end = now + self._window_s

    def queue(self, guid: Guid) -> None:
        """This query may have hits for the asker; where it waits already it keeps its turn."""
        self._waiting.setdefault(guid)

    def next(self) -> Guid:
        """Whose turn it is; it must queue again for another."""
        guid = next(iter(self._waiting))
        del self._waiting[guid]
        return guid

    def leave(self, guid: Guid) -> None:
        """This query has no hits any more."""
        self._waiting.pop(guid, None)


class WaitingHits:
    """How many hits from below wait for each asker, and for whom too many do: more than `link_max`
    for a neighbour, or more than `total_max` for all."""

    def __init__(self, me: NodeId, link_max: int, total_max: int) -> None:
        self._me = me
        self._link_max = link_max
        self._total_max = total_max
        self.hits: Counter[NodeId] = Counter()
        """By asker; to be read only."""

    def add(self, asker: NodeId, hits: int) -> None:
        """So many more wait, or fewer."""
        self.hits[asker] += hits

    def leave(self, asker: NodeId) -> None:
        """It is gone."""
        self.hits.pop(asker, None)

    def overfull(self, asker: NodeId) -> NodeId | None:
        """Whose oldest query must give way now that more wait for `asker`, if any must."""
        if asker != self._me and self.hits[asker] > self._link_max:
            return asker
        if sum(self.hits.values()) > self._total_max:
            return max(self.hits, key=lambda each: self.hits[each])
        return None
