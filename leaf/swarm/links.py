"""Which bulk links are up, and the end of those that nobody uses.

Uploads and downloads share the one link between two leaves. A link over which no message of the
swarm has come for `link_idle_s` is hung up; who still wants something dials again. There are never
more than a named number of them, so strangers cannot use up our descriptors. What is said over
a link is not looked at.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.config import SwarmConfig
from common.core import Effect, Event, Hangup, LinkDown, LinkUp, Received, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId

STRANGERS_PER_SLOT: Final = 2  # links of others, for each upload slot: one served, one waiting


class BulkLinks:
    """The bulk links of one leaf."""

    def __init__(self, config: SwarmConfig) -> None:
        self._config = config
        self._heard_at: dict[NodeId, float] = {}
        self._links_max = config.links_max + STRANGERS_PER_SLOT * config.upload_slots
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next sweep, while there is a link."""
        return self._deadlines.earliest()

    def is_up(self, peer: NodeId) -> bool:
        """Whether there is a bulk link to `peer`."""
        return peer in self._heard_at

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._heard_at[event.peer] = now
        if len(self._heard_at) > self._links_max:
            return [Hangup(event.peer, Door.BULK, "too many links")]
        if self._deadlines.get("sweep") is None:
            self._deadlines.set("sweep", now + self._config.link_idle_s / 2)
        return []

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is Door.BULK:
            self._heard_at.pop(event.peer, None)
        return []

    def _received(self, event: Received, now: float) -> list[Effect]:
        if event.peer in self._heard_at:
            self._heard_at[event.peer] = now
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        if not self._deadlines.pop_due(now):
            return []
        if self._heard_at:
            self._deadlines.set("sweep", now + self._config.link_idle_s / 2)
        return [
            Hangup(peer, Door.BULK, "idle")
            for peer, heard_at in self._heard_at.items()
            if now - heard_at >= self._config.link_idle_s
        ]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        Woke: _woke,
    }
