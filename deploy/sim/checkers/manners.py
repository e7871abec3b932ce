"""19, 21: what was refused is not asked for, and an honest catalogue is not refused.

A leaf asks no pieces of one that choked it, and hands its disk nothing that was not proven. A
super-peer that does no harm holds every catalogue that an honest leaf signs, unless it is above a
limit.
"""

from collections.abc import Callable

from common.content.merkle import BLOCK_BYTES
from common.core import Effect, Event, FrameReceived
from common.messages.cluster import Published
from common.messages.fields import Message
from common.messages.swarm import Choke, Request, Unchoke
from common.storage import PartFailed, PartOpened, PiecesWritten, WritePieces
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of

Place = tuple[int, int, int, bytes]  # asker, its life, link, root
SENSELESS = ("These hashes do not lead", "Something unexpected")
LIMITS = ("at most", "more words", "too long", "too deep")


class Manners:
    """Follows chokes as they are heard, and refusals as they are sent."""

    def __init__(self, violate: Callable[[str, str], None], hostile: dict[int, str]) -> None:
        self._violate, self._hostile = violate, hostile
        self._choked: dict[Place, bool] = {}
        self._got: dict[tuple[int, int, int], dict[int, None]] = {}  # host, life, download: blocks

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in: a choke counts for what is sent from here on."""
        if host.number in self._hostile:
            return
        self._wasted(host, event, effects)
        if isinstance(event, PartFailed) and event.reason.startswith(SENSELESS):
            self._violate("21: a disk is asked for what can be", f"{host.name}: {event.reason}")
        if not isinstance(event, FrameReceived):
            return
        message = event.message
        if isinstance(message, Choke | Unchoke):
            place = (host.number, host.life, event.link, message.root)
            self._choked[place] = isinstance(message, Choke)
        for effect in effects:
            asked = getattr(effect, "message", None)
            if isinstance(asked, Request):
                place = (host.number, host.life, getattr(effect, "link", 0), asked.root)
                if self._choked.get(place, False):
                    what = f"{host.name} asks for pieces of one that choked it"
                    self._violate("19: a choke is kept to", what)

    def _wasted(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """Nothing is asked for that has come and was not lost since."""
        lost = isinstance(event, PartOpened | PartFailed)
        if lost or (isinstance(event, PiecesWritten) and event.bad):
            self._got.pop((host.number, host.life, event.download), None)  # type: ignore[attr-defined]
        for effect in effects:
            asked = getattr(effect, "message", None)
            if isinstance(effect, WritePieces):
                got = self._got.setdefault((host.number, host.life, effect.download), {})
                got.update(dict.fromkeys(_blocks(effect.offset, len(effect.data))))
            elif isinstance(asked, Request):
                self._asks(host, asked)

    def _asks(self, host: Host, asked: Request) -> None:
        inside = leaf_of(host)
        download = inside.downloads._under_way.get(asked.root) if inside else None
        number = download.record.number if download else -1
        got = self._got.get((host.number, host.life, number), {})
        if any(block in got for block in _blocks(asked.offset, asked.length)):
            self._violate("24: what has come is not asked for", f"{host.name} asks for it again")

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        if not isinstance(message, Published) or not message.refused:
            return
        if host.number in self._hostile or there.number in self._hostile:
            return
        if not any(limit in message.refused for limit in LIMITS):
            what = f"{host.name} refuses what {there.name} published: {message.refused}"
            self._violate("21: an honest catalogue is held", what)


def _blocks(offset: int, length: int) -> range:
    """The blocks that lie in a span of bytes."""
    return range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES))
