"""19: every request for bytes is answered, by the bytes, a reason or a choke, unless taken back.

A leaf that serves keeps a book of what it owes. What another has asked of it and what it has not
answered must stand there; whatever is in no book any more is never answered.
"""

from collections.abc import Callable

from common.core import CloseLink, Effect, Event, FrameReceived, SendFrame
from common.doors import Door
from common.links import Phase
from common.messages.fields import Message
from common.messages.swarm import Cancel, Choke, NotInterested, Piece, Reject, Request
from common.storage import BytesRead, ReadFailed
from deploy.sim.host import Host
from deploy.sim.inside import LeafInside, leaf_of, links_of

Asker = tuple[int, int, int]  # host, its life, link
Place = tuple[bytes, int]  # root, offset


class RequestsAreAnswered:
    """Keeps the same book from what crosses the links, and compares."""

    def __init__(self, violate: Callable[[str, str], None], hostile: dict[int, str]) -> None:
        self._violate, self._hostile = violate, hostile
        self._owed: dict[Asker, dict[Place, None]] = {}

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        inside = leaf_of(host)
        if inside is None or host.number in self._hostile:
            return
        if isinstance(event, FrameReceived):
            self._heard(host, event)
        for effect in effects:
            if isinstance(effect, SendFrame):
                self._answered((host.number, host.life, effect.link), effect.message)
            elif isinstance(effect, CloseLink):
                self._owed.pop((host.number, host.life, effect.link), None)
        if isinstance(event, BytesRead | ReadFailed | FrameReceived):
            self._compare(host, inside)

    def _heard(self, host: Host, event: FrameReceived) -> None:
        message, asker = event.message, (host.number, host.life, event.link)
        if isinstance(message, Request):
            self._owed.setdefault(asker, {})[message.root, message.offset] = None
        elif isinstance(message, Cancel):
            self._owed.get(asker, {}).pop((message.root, message.offset), None)
        elif isinstance(message, NotInterested):
            self._settle(asker, message.root)

    def _answered(self, asker: Asker, message: Message) -> None:
        if isinstance(message, Choke) or (isinstance(message, Reject) and message.offset is None):
            self._settle(asker, message.root)
        elif isinstance(message, Piece | Reject) and message.offset is not None:
            self._owed.get(asker, {}).pop((message.root, message.offset), None)

    def _settle(self, asker: Asker, root: bytes) -> None:
        owed = self._owed.get(asker, {})
        for place in [place for place in owed if place[0] == root]:
            del owed[place]

    def _compare(self, host: Host, inside: LeafInside) -> None:
        links = links_of(host)
        for asker in [each for each in self._owed if each[0] == host.number]:
            link = links._links.get(asker[2]) if links else None
            is_up = link is not None and link.phase is Phase.UP and link.door is Door.BULK
            if link is None or not is_up or asker[1] != host.life or asker[2] not in host.wires:
                del self._owed[asker]
                continue
            for root, offset in self._owed[asker]:
                wish = inside.uploads._wants.find(link.peer or b"", root)
                if wish is None or offset not in wish.requests:
                    what = f"{host.name} has forgotten a request for bytes at {offset}"
                    self._violate("19: every request is answered", what)
