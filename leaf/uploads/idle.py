"""The end of bulk links that nobody uses.

A link over which no message of the swarm has come for `link_idle_s` is hung up, whoever made it:
until then it may come in handy once more. But not where one of our downloads wants something of
the other end, or that one waits for us: a leaf that waits for a slot says nothing and must not lose
its place by that. A view on the others; it changes none.
"""

from collections.abc import Callable
from typing import ClassVar

from common.config import SwarmConfig
from common.core import Effect, Event, Hangup, LinkUp, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from leaf.downloads.downloads import Downloads
from leaf.links.links import BulkLinks
from leaf.uploads.upload import Uploads


class IdleLinks:
    """Looks now and then for links that can go."""

    __slots__ = ("_deadlines", "_downloads", "_idle_s", "_links", "_uploads")

    def __init__(
        self, links: BulkLinks, downloads: Downloads, uploads: Uploads, config: SwarmConfig
    ) -> None:
        self._links = links
        self._downloads = downloads
        self._uploads = uploads
        self._idle_s = config.link_idle_s
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next look, while there is a link."""
        return self._deadlines.earliest()

    def needs(self, peer: NodeId) -> bool:
        """Whether an upload or a download wants the bulk link to `peer`."""
        return self._downloads.fetch_from(peer) or self._uploads.are_awaited_by(peer)

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        if event.door is Door.BULK and self._deadlines.get("look") is None:
            self._deadlines.set("look", now + self._idle_s / 2)
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        if not self._deadlines.pop_due(now):
            return []
        if len(self._links):
            self._deadlines.set("look", now + self._idle_s / 2)
        return [
            Hangup(peer, Door.BULK, "idle")
            for peer in self._links.silent_since(now - self._idle_s)
            if not self.needs(peer)
        ]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        LinkUp: _link_up,
        Woke: _woke,
    }
