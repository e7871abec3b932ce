"""The queries whose hits wait for one asker, and how many hits may go up to it now.

Hits cross a link in windows, whatever the number of queries they answer, so that a link's queue is
never filled at once and nobody makes us find and prove more than a link's worth in time. Within a
window the queries take turns. Which hits these are is the tree's business.
"""

from typing import Final

from common.ids import Guid

HITS_PER_WINDOW: Final = 40  # of at most 2.3 KB: a window never fills a link's 96 KiB queue
WINDOW_S: Final = 0.01  # so at most 4,000 hits/s go up to one asker; wild guess


class HitFlow:
    """What goes up to one asker; `window_end` is when more may."""

    def __init__(self, hits: int = HITS_PER_WINDOW, window_s: float = WINDOW_S) -> None:
        self._hits = hits
        self._window_s = window_s
        self.window_end = 0.0
        self.left = 0
        self._waiting: dict[Guid, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def open_window(self, now: float) -> None:
        """Let more through, if the last window is over."""
        if now >= self.window_end:
            self.left = self._hits
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
