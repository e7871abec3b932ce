"""Neighbours that let a ring run out, and for how long they are left out of queries.

One that answers nothing would cost every search the whole time of a ring. So after the first it is
left out for a pause, then one query tries it: an answer in time clears it, none doubles the pause.
The verdict outlives the link, or a new link would be a new chance to make everybody wait.
"""

from typing import Final

from common.config import FloodConfig
from common.ids import NodeId

NEIGHBOURS_MAX: Final = 256  # remembered, the oldest give way: eight times our degree


class _Pause:
    """How long one neighbour is left out; `tried` while a query finds out whether it answers."""

    def __init__(self, until: float, pause_s: float) -> None:
        self.until = until
        self.pause_s = pause_s
        self.tried = False


class Silence:
    """The pauses by neighbour: `silent_s`, doubling to `silent_max_s`; a try lasts `ring_s`."""

    def __init__(self, config: FloodConfig) -> None:
        self._silent_s = config.silent_s
        self._silent_max_s = config.silent_max_s
        self._ring_s = config.ring_s
        self._pauses: dict[NodeId, _Pause] = {}

    def missed(self, peer: NodeId, now: float) -> None:
        """It owed an answer for a whole ring; what was asked before its pause counts no more."""
        pause = self._pauses.pop(peer, None)
        if pause is None:
            pause = _Pause(now + self._silent_s, self._silent_s)
        elif pause.tried:
            doubled_s = min(2 * pause.pause_s, self._silent_max_s)
            pause = _Pause(now + doubled_s, doubled_s)
        while len(self._pauses) >= NEIGHBOURS_MAX:
            del self._pauses[next(iter(self._pauses))]
        self._pauses[peer] = pause

    def answered(self, peer: NodeId) -> None:
        """It answered in time; that clears it if its pause was over."""
        pause = self._pauses.get(peer)
        if pause is not None and pause.tried:
            del self._pauses[peer]

    def may_ask(self, peer: NodeId, now: float) -> bool:
        """Whether to send it a query now; after a pause this is true of one query a ring."""
        pause = self._pauses.get(peer)
        if pause is None:
            return True
        if now < pause.until:
            return False
        pause.tried, pause.until = True, now + self._ring_s
        return True
