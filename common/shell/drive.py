"""The loop around one node: feed events, perform effects, arm one timer.

Nothing here decides anything of the protocol. What one turn of the loop sends over one link
leaves as one frame: a message costs Python 8 to 20 µs, a message inside a frame 0.3 µs
(measured). A link whose pipe is full keeps its frames here within a budget and tries again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from common import wire
from common.addresses import Address
from common.core import (
    CloseLink,
    DatagramReceived,
    DataSent,
    DialFailed,
    Effect,
    Event,
    Exited,
    FrameReceived,
    FrameRejected,
    LinkClosed,
    LinkHeard,
    LinkOpened,
    LinkStuck,
    OpenLink,
    SendDatagram,
    SendFrame,
    Woke,
)
from common.doors import Door
from common.errors import RemoteProtocolError
from common.limits import BODY_BYTES_MAX, CONTROL_FRAME_BYTES_MAX, DATAGRAM_BYTES_MAX
from common.node import Node
from common.shell.departures import Departures
from common.shell.net.descriptors import Traffic
from common.shell.outbox import Outbox

LINGER_S = 0.2  # what was sent just before a hang-up gets this long to leave
TURN_S = 0.01  # of what came in, before the loop sees to timers and other links
ARM_S = 0.01  # while much happens, a deadline that came nearer is seen so late at most
BACKLOG_MAX = 20_000  # events kept for later turns; beyond it they are worked off in one go


class Wires(Protocol):
    """What the driver needs of the sockets: `common.shell.net.sockets.Transport` is it."""

    def dial(
        self, door: Door, address: tuple[str, int], curve_key: bytes, source_host: str | None
    ) -> int: ...

    def send(self, link: int, body: bytes, data: memoryview | bytes | None = None) -> bool: ...

    def traffic(self, link: int) -> Traffic | None: ...

    def hangup(self, link: int, reason: str) -> None: ...


Performer = Callable[[Any], None]  # takes the one effect it stands under


class Driver:
    """Drives one node; also the sink of its sockets and datagrams."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        node: Node,
        performers: Mapping[type[Effect], Performer],
        source_host: str | None = None,
    ) -> None:
        self._loop = loop
        self._node = node
        self._source_host = source_host
        self._wires: Wires | None = None
        self._send_datagram: Callable[[bytes, tuple[str, int]], None] | None = None
        self._inbox: deque[Event] = deque()
        self._backlog: deque[Event] = deque()  # of the links, in the order it came
        self._draining = False
        self._busy = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._arming: asyncio.Handle | None = None
        self._arms_at = 0.0
        self._dials: dict[int, int] = {}  # link -> dial, until it opens
        self._doors: dict[int, Door] = {}
        self._outbox: Outbox | None = None
        self.exited = asyncio.Event()
        self.dropped: dict[str, int] = {}
        self._performers: dict[type[Effect], Performer] = {
            OpenLink: self._open_link,
            SendFrame: self._send_frame,
            CloseLink: self._close_link,
            SendDatagram: self._send_ping,
            Exited: self._exit,
            **performers,
        }

    def attach(
        self, wires: Wires, send_datagram: Callable[[bytes, tuple[str, int]], None] | None
    ) -> None:
        """Give the driver its sockets; before the first event."""
        self._wires = wires
        self._send_datagram = send_datagram
        departures = Departures(self._loop, wires.traffic, self._data_sent)
        self._outbox = Outbox(self._loop, wires.send, self._stuck, departures)

    def feed(self, event: Event) -> None:
        """One event into the node, and all its effects out, in order."""
        if self._closed:
            return
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        inbox, performers = self._inbox, self._performers
        try:
            while inbox:
                for effect in self._node.handle(inbox.popleft(), self._loop.time()):
                    try:
                        performers[type(effect)](effect)
                    except Exception as error:
                        self._failed(effect, error)
        finally:
            self._busy = False
            self._arm_soon()

    def _failed(self, effect: Effect, error: Exception) -> None:
        """A performer that fails is a mistake of ours: loud, and no reason to lose the others."""
        what = f"{type(effect).__name__} could not be performed"
        self._loop.call_exception_handler({"message": what, "exception": error})

    def counts(self) -> dict[str, int]:
        """What was dropped here and in the node, by reason."""
        return {**self._node.snapshot().dropped, **self.dropped}

    def close(self) -> None:
        """Drive it no more; the sockets are their owner's to close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._outbox is not None:
            self._outbox.close()

    # --- what the sockets tell --------------------------------------------------------------

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: tuple[str, int], inbound: bool
    ) -> None:
        """A link's handshake is over."""
        self._doors[link] = door
        dial = None if inbound else self._dials.pop(link)
        self._take(LinkOpened(link, door, curve_key, Address.of(*address), dial))

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """One frame of messages, with the data of the one that carries some."""
        door = self._doors.get(link)
        if door is None:
            self._count("frame of a closed link")  # we hung up: not worth reading
            return
        bulk = door is Door.BULK
        limit = BODY_BYTES_MAX if bulk else CONTROL_FRAME_BYTES_MAX
        try:
            messages = wire.decode(body, has_data=data is not None, bytes_max=limit)
        except RemoteProtocolError as error:
            self._take(FrameRejected(link, str(error)))
            return
        self._take(*[FrameReceived(link, message, data) for message in messages])

    def moving(self, link: int) -> None:
        """Part of a frame has come."""
        self.feed(LinkHeard(link))

    def closed(self, link: int, reason: str) -> None:
        """A link is gone, or a dial came to nothing."""
        self._doors.pop(link, None)
        if self._outbox is not None:
            self._outbox.forget(link)
        dial = self._dials.pop(link, None)
        self._take(LinkClosed(link, reason) if dial is None else DialFailed(dial, reason))

    def datagram(self, body: bytes, address: tuple[str, int]) -> None:
        """A ping or a pong; anything else is dropped and counted."""
        try:
            messages = wire.decode(body, types=wire.DATAGRAM_TYPES, bytes_max=DATAGRAM_BYTES_MAX)
        except RemoteProtocolError:
            self._count("malformed datagram")
            return
        if len(messages) != 1 or messages[0] is wire.UNKNOWN:
            self._count("malformed datagram")
            return
        self.feed(DatagramReceived(Address.of(*address), messages[0], len(body)))

    def _take(self, *events: Event) -> None:
        """Feed what the links brought, in order, a slice of time per turn of the loop."""
        if len(events) == 1 and not self._draining:
            self.feed(events[0])  # most frames hold one message, and their reader has its own bound
            return
        self._backlog.extend(events)
        if not self._draining:
            self._drain()

    def _drain(self) -> None:
        until = self._loop.time() + TURN_S
        self._draining = True
        while self._backlog:
            self.feed(self._backlog.popleft())
            late = self._loop.time() > until
            if late and self._backlog and len(self._backlog) < BACKLOG_MAX:
                self._loop.call_soon(self._drain)
                return
        self._draining = False

    # --- effects ----------------------------------------------------------------------------

    def _open_link(self, effect: OpenLink) -> None:
        if self._wires is None:
            return
        address = (effect.address.host, effect.address.port)
        try:
            link = self._wires.dial(effect.door, address, effect.curve_key, self._source_host)
        except OSError as error:
            self.feed(DialFailed(effect.dial, str(error)))
            return
        self._dials[link] = effect.dial

    def _send_frame(self, effect: SendFrame) -> None:
        if self._outbox is not None:
            self._outbox.put(effect.link, wire.encode(effect.message), effect.data)

    def _close_link(self, effect: CloseLink) -> None:
        if self._wires is None or self._outbox is None:
            return
        self._doors.pop(effect.link, None)
        if self._outbox.flush(effect.link):
            self._loop.call_later(LINGER_S, self._wires.hangup, effect.link, effect.reason)
        else:
            self._wires.hangup(effect.link, effect.reason)

    def _stuck(self, link: int) -> None:
        self.feed(LinkStuck(link))

    def _data_sent(self, link: int, length: int) -> None:
        self.feed(DataSent(link, length))

    def _send_ping(self, effect: SendDatagram) -> None:
        if self._send_datagram is not None:
            body = wire.frame([wire.encode(effect.message)])
            self._send_datagram(body, (effect.address.host, effect.address.port))

    def _exit(self, _effect: Exited) -> None:
        self.exited.set()

    def _count(self, what: str) -> None:
        self.dropped[what] = self.dropped.get(what, 0) + 1

    # --- the one timer ----------------------------------------------------------------------

    def _arm_soon(self) -> None:
        """Once in `ARM_S`: asking all machines when they are due was a tenth of the loop's work."""
        if self._arming is not None:
            return
        if self._loop.time() >= self._arms_at:
            self._arming = self._loop.call_soon(self._arm)
        else:
            self._arming = self._loop.call_at(self._arms_at, self._arm)

    def _arm(self) -> None:
        if self._arming is not None:
            self._arming.cancel()
            self._arming = None
        if self._closed:
            return
        self._arms_at = self._loop.time() + ARM_S
        when = self._node.wakeup()
        if when == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = when
        if when is not None:
            self._timer = self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        # one turn later, so that frames which arrived while we slept are fed first
        self._timer = None
        self._loop.call_soon(self._woke)

    def _woke(self) -> None:
        self._armed_for = None
        self.feed(Woke())
        self._arm()  # at once: who did only a turn's work has more to do now
