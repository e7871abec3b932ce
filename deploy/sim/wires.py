"""Links between simulated hosts, as the shell's sockets make them: opened, in order, and ended.

A wire has two ends. What one end sends arrives at the other in order, or not at all once an end is
closed; an end that is closed, or whose process dies, is known at the other a trip later, unless
the way is cut or the power went (then only silence tells). A message is encoded, measured and
decoded on its way, so that nothing crosses that the real wire would not carry. Datagrams may be
lost, doubled and overtaken. Nothing here knows what messages mean.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from common import wire as codec
from common.addresses import Address
from common.core import (
    DatagramReceived,
    DataSent,
    DialFailed,
    Event,
    FrameReceived,
    FrameRejected,
    LinkClosed,
    LinkHeard,
    LinkOpened,
    OpenLink,
    SendDatagram,
)
from common.doors import Door
from common.errors import RemoteProtocolError
from common.limits import BODY_BYTES_MAX, CONTROL_FRAME_BYTES_MAX, HANDSHAKE_S
from common.messages.fields import Message
from deploy.sim.paths import Paths
from deploy.sim.schedule import Schedule
from deploy.sim.uplink import Uplink

if TYPE_CHECKING:
    from deploy.sim.host import Host

OVERHEAD_BYTES: Final = 60  # of a frame: TCP, IP, ZMTP and the CURVE box
DATAGRAM_OVERHEAD_BYTES: Final = 28
HEARD_S: Final = 0.5  # how often bytes of a frame under way are a sign of life
SETUP_TRIPS: Final = 4  # one-way trips until the acceptor's handshake is over: TCP, then CURVE

Sending = tuple[Message, memoryview | bytes | None]


class Wire:
    """One link; end 0 dialled, end 1 accepted."""

    __slots__ = ("arrives", "dark", "door", "gone_at", "held", "hosts", "number", "up")

    def __init__(self, number: int, door: Door, dialler: "Host", acceptor: "Host") -> None:
        self.number = number
        self.door = door
        self.hosts = (dialler, acceptor)
        self.up = [True, True]
        self.arrives = [0.0, 0.0]  # at each end, when the last that was sent to it does
        self.held: list[Sequence[Event]] = [(), ()]  # what waits for a way to each end
        self.gone_at = math.inf  # when the first of its ends was closed
        self.dark = -1  # the end whose host lost its power

    def end_of(self, host: "Host") -> int:
        """Which end is this host's."""
        return 0 if self.hosts[0] is host else 1


class Wires:
    """All links of a world."""

    def __init__(self, schedule: Schedule, paths: Paths, *, by_reference: bool = False) -> None:
        self._schedule = schedule
        self._paths = paths
        self._by_reference = by_reference
        self._hosts: dict[bytes, Host] = {}  # by IP address
        self._count = 0
        self.datagram_loss = 0.0
        self.datagram_doubling = 0.0
        self.bytes_sent = 0
        self.on_sent: Callable[[Host, Host, Message, memoryview | bytes | None], None] | None = None
        self.on_fault: Callable[[str], None] = lambda _what: None
        paths.on_heal = self._release

    def listen(self, host: "Host") -> None:
        """A host has its doors at its address from now on, open whenever its process runs."""
        self._hosts[host.control.ip] = host

    # --- dialling ---------------------------------------------------------------------------

    def dial(self, host: "Host", order: OpenLink) -> None:
        """Make a link, or tell that none came of it."""
        self._trip(host, self._target(order.address), self._knock, (host, host.life, order))

    def _target(self, address: Address) -> "Host | None":
        host = self._hosts.get(address.ip)
        return host if host is not None and _door(host, address) is not None else None

    def _trip(self, a: "Host", b: "Host | None", call: Callable[..., None], what: object) -> None:
        delay_s = self._delay(a, b) if b is not None else self._delay(a, a)
        self._schedule.after(delay_s, call, what)

    def _delay(self, a: "Host", b: "Host") -> float:
        return self._paths.delay(a.number, b.number, a.access, b.access)

    def _knock(self, what: "tuple[Host, int, OpenLink]") -> None:
        """A dial has reached the address: refused at once, silence, or a handshake."""
        host, life, order = what
        target = self._target(order.address)
        door = _door(target, order.address) if target else None
        if target is None or target is host or self._is_shut(host, target):
            wait_s = HANDSHAKE_S if target is not host else 0.0
            self._schedule.after(wait_s, self._failed, (host, life, order, "no answer"))
        elif not target.is_running:
            self._trip(target, host, self._failed, (host, life, order, "connection refused"))
        elif target.is_frozen:
            self._schedule.after(HANDSHAKE_S, self._failed, (host, life, order, "no handshake"))
        elif order.door is not door or order.curve_key != target.curve_key:
            self._trip(target, host, self._failed, (host, life, order, "the handshake failed"))
        else:
            trip_s = self._delay(host, target)
            self._schedule.after(SETUP_TRIPS * trip_s, self._open, (host, life, order, target))

    def _is_shut(self, host: "Host", target: "Host") -> bool:
        """Whether nothing that dials it ever comes to an answer."""
        return target.is_firewalled or target.has_no_power or self._is_cut(host, target)

    def _is_cut(self, a: "Host", b: "Host") -> bool:
        paths = self._paths
        return paths.is_cut(a.number, b.number) or paths.is_cut(b.number, a.number)

    def _open(self, what: "tuple[Host, int, OpenLink, Host]") -> None:
        host, life, order, target = what
        if not (host.is_running and host.life == life):
            return
        if not target.is_running or self._is_cut(host, target):
            self._failed((host, life, order, "the handshake broke off"))
            return
        self._count += 1
        wire = Wire(self._count, order.door, host, target)
        host.wires[wire.number] = target.wires[wire.number] = wire
        seen = host.control.at(40_000 + wire.number % 20_000)
        opened = LinkOpened(wire.number, order.door, host.curve_key, seen)
        target.take(opened)
        there = LinkOpened(wire.number, order.door, target.curve_key, order.address, order.dial)
        self._pass(wire, 0, [there], self._delay(target, host))

    def _failed(self, what: "tuple[Host, int, OpenLink, str]") -> None:
        host, life, order, why = what
        if host.is_running and host.life == life:
            host.take(DialFailed(order.dial, why))

    # --- sending ----------------------------------------------------------------------------

    def send(self, host: "Host", link: int, sendings: Sequence[Sending]) -> None:
        """Send what one turn of a host has for one link, in order."""
        wire = host.wires.get(link)
        if wire is None:
            return
        end = 1 - wire.end_of(host)
        there = wire.hosts[end]
        if self.on_sent is not None and wire.up[end]:  # else nobody is there to hear it
            for message, data in sendings:
                self.on_sent(host, there, message, data)
        if self._by_reference and all(data is None for _, data in sendings):
            events: list[Event] = [FrameReceived(link, message) for message, _ in sendings]
            self._pass(wire, end, events, self._delay(host, there))
            return
        for message, data in sendings:
            self._send_one(host, wire, end, message, data)

    def _send_one(
        self, host: "Host", wire: Wire, end: int, message: Message, data: memoryview | bytes | None
    ) -> None:
        bodies = host.dialect.bodies(codec.encode(message), alone=data is not None)
        size = sum(map(len, bodies)) + (len(data) if data is not None else 0) + OVERHEAD_BYTES
        self.bytes_sent += size
        events = [event for body in bodies for event in self._read(wire, body, message, data)]
        access, length = host.access, 0 if data is None else len(data)
        waits = access.uplink is not None and access.uplink.has(wire, 1 - end)
        if waits or (data is not None and access.up_rate):
            self._queue(host, wire, end, size, length, events)
        elif data is None:
            up_s = size / access.up_rate if access.up_rate else 0.0
            down = wire.hosts[end].access.down_rate
            down_s = size / down if down else 0.0
            self._pass(wire, end, events, self._delay(host, wire.hosts[end]) + up_s + down_s)
        else:
            self._leave(wire, end, self._schedule.now, size, length, events)

    def _queue(
        self, host: "Host", wire: Wire, end: int, size: int, length: int, events: list[Event]
    ) -> None:
        """Bulk data waits for its turn at the uplink, and what comes behind it on the same link."""
        access, begins = host.access, self._schedule.now
        if access.uplink is None:
            access.uplink = Uplink(self._schedule)
        heard: list[Event] = [LinkHeard(wire.number)]
        access.uplink.put(
            wire,
            1 - end,
            size,
            lambda: access.up_rate,
            lambda: self._pass(wire, end, heard, self._delay(host, wire.hosts[end])),
            lambda: self._leave(wire, end, begins, size, length, events),
        )

    def _leave(
        self, wire: Wire, end: int, begins: float, size: int, length: int, events: list[Event]
    ) -> None:
        """All of it has left: it is there after the way, and what the other end's link takes."""
        now, here, there = self._schedule.now, wire.hosts[1 - end], wire.hosts[end]
        if length:
            self._schedule.at(now, self._here, (wire, 1 - end, DataSent(wire.number, length)))
        delay_s = self._delay(here, there)
        down_s = there.access.down_s(now, begins, size)
        heard = now + delay_s + HEARD_S
        while heard < now + delay_s + down_s:
            self._schedule.at(heard, self._here, (wire, end, LinkHeard(wire.number)))
            heard += HEARD_S
        self._pass(wire, end, events, delay_s + down_s)

    def _read(
        self, wire: Wire, body: bytes, message: Message, data: memoryview | bytes | None
    ) -> list[Event]:
        """What the other end makes of a frame; the same message, or the wire is at fault."""
        copied = None if data is None else memoryview(bytes(data))
        limit = BODY_BYTES_MAX if wire.door is Door.BULK else CONTROL_FRAME_BYTES_MAX
        try:
            read = codec.decode(codec.frame([body]), has_data=copied is not None, bytes_max=limit)
        except RemoteProtocolError as error:
            return [FrameRejected(wire.number, str(error))]
        if read[0] != message and read[0] is not codec.UNKNOWN:
            self.on_fault(f"{message!r} became {read[0]!r} on the wire")
        return [FrameReceived(wire.number, each, copied) for each in read]

    def _pass(self, wire: Wire, end: int, events: list[Event], delay_s: float) -> None:
        """Deliver to an end after `delay_s`, and after all that was sent to it before."""
        when = wire.arrives[end] = max(wire.arrives[end], self._schedule.now + delay_s)
        self._schedule.at(when, self._arrive, (wire, end, events))

    def _arrive(self, what: tuple[Wire, int, Sequence[Event]]) -> None:
        wire, end, events = what
        here, there = wire.hosts[end], wire.hosts[1 - end]
        if wire.held[end] or self._paths.is_cut(there.number, here.number):
            wire.held[end] = [*wire.held[end], *events]
            return
        for event in events:
            if not wire.up[end]:
                self._reset(wire, end)
                return
            if isinstance(event, LinkClosed):
                self._end(wire, end)
            here.take(event)

    def _here(self, what: tuple[Wire, int, Event]) -> None:
        """An event of a link at one end, if that is still up and nothing holds it back."""
        wire, end, event = what
        if wire.up[end] and not wire.held[end]:
            wire.hosts[end].take(event)

    def _reset(self, wire: Wire, end: int) -> None:
        """Something came for a link whose host lost its power: once it is back it says so."""
        if wire.dark == end and wire.hosts[end].is_running and wire.up[1 - end]:
            gone: list[Event] = [LinkClosed(wire.number, "reset")]
            self._pass(wire, 1 - end, gone, self._delay(wire.hosts[end], wire.hosts[1 - end]))

    def _release(self, a: int, b: int) -> None:
        """The way from `a` to `b` is free again: what waited comes, in order."""
        self._schedule.at(self._schedule.now, self._resume, (a, b))

    def _resume(self, pair: tuple[int, int]) -> None:
        for wire in self._between(*pair):
            end = 0 if wire.hosts[0].number == pair[1] else 1
            waiting, wire.held[end] = wire.held[end], ()
            if waiting:
                self._arrive((wire, end, waiting))

    def _between(self, a: int, b: int) -> list[Wire]:
        return [wire for wire in self._held() if {a, b} == {each.number for each in wire.hosts}]

    def _held(self) -> list[Wire]:
        wires = {w.number: w for host in self._hosts.values() for w in host.wires.values()}
        return [wire for wire in wires.values() if wire.held[0] or wire.held[1]]

    # --- endings ----------------------------------------------------------------------------

    def close(self, host: "Host", link: int, reason: str) -> None:
        """Hang up: what was sent before still arrives."""
        wire = host.wires.get(link)
        if wire is None:
            return
        end = wire.end_of(host)
        self._end(wire, end)
        self._tell_other(wire, end, "closed by the other end")
        host.take(LinkClosed(link, reason))

    def lose(self, host: "Host", *, power: bool) -> None:
        """The process is gone, and with it all its links; without power nobody is told."""
        for wire in list(host.wires.values()):
            end = wire.end_of(host)
            self._end(wire, end)
            wire.dark = end if power else wire.dark
            if not power:
                self._tell_other(wire, end, "connection reset")

    def cut_off(self, wire: Wire, reason: str) -> None:
        """Something between the two ends drops the link, and both are told."""
        for end in (0, 1):
            if wire.up[end]:
                self._end(wire, end)
                wire.hosts[end].take(LinkClosed(wire.number, reason))

    def _end(self, wire: Wire, end: int) -> None:
        wire.up[end] = False
        wire.gone_at = min(wire.gone_at, self._schedule.now)
        wire.hosts[end].wires.pop(wire.number, None)

    def _tell_other(self, wire: Wire, end: int, reason: str) -> None:
        if wire.up[1 - end]:
            here, there = wire.hosts[end], wire.hosts[1 - end]
            gone: list[Event] = [LinkClosed(wire.number, reason)]
            self._pass(wire, 1 - end, gone, self._delay(here, there))

    # --- datagrams --------------------------------------------------------------------------

    def datagram(self, host: "Host", order: SendDatagram) -> None:
        """Send a ping or a pong to a control door; it may come twice, late or never."""
        target = self._target(order.address)
        if target is None or _door(target, order.address) is not Door.CONTROL:
            return
        body = codec.frame([codec.encode(order.message)])
        self.bytes_sent += len(body) + DATAGRAM_OVERHEAD_BYTES
        if self.on_sent is not None:
            self.on_sent(host, target, order.message, None)
        (message,) = codec.decode(body, types=codec.DATAGRAM_TYPES)
        event = DatagramReceived(host.control, message, len(body))
        rng = self._paths.rng
        if self.datagram_loss and rng.random() < self.datagram_loss:
            return
        doubled = self.datagram_doubling and rng.random() < self.datagram_doubling
        for _ in range(2 if doubled else 1):
            self._trip(host, target, self._drop_in, (host, target, event))

    def _drop_in(self, what: "tuple[Host, Host, DatagramReceived]") -> None:
        host, target, event = what
        if target.is_running and not self._paths.is_cut(host.number, target.number):
            target.take(event)


def _door(host: "Host", address: Address) -> Door | None:
    """Which of a host's doors is at this address."""
    if address.port == host.control.port:
        return Door.CONTROL
    return Door.BULK if host.bulk is not None and address.port == host.bulk.port else None
