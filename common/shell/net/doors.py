"""One ROUTER and everybody who came in through it.

A ROUTER knows its peers by routing id only, cannot drop one, and does not say when one left. The
tables kept here make up for it: descriptor to connection (from the socket monitor), routing id to
connection (from a connection's first frame, whose metadata names descriptor and key). Invariant:
a connection has at most one link, a link exactly one connection, and a routing id is believed
only if libzmq itself issued it to a connection that was accepted since (`issued.py`).

A link opens with its first frame. Connections without one are half open: bounded by number, by
address in public scope, and by time (`halfopen.py`). What the frames mean is the core's.
"""

from typing import Final

import zmq

from common.doors import Door
from common.shell.net.admission import Admission
from common.shell.net.descriptors import Address, Traffic, cut, peer_of, traffic_of
from common.shell.net.edge import EdgeReader
from common.shell.net.halfopen import HalfOpen, Newcomer
from common.shell.net.intake import LAST, MORE, Intake, Message
from common.shell.net.issued import Prober, Standing
from common.shell.net.links import Ledger, fault_of
from common.shell.net.ports import PARTS_MAX, Keys, TransportLimits, listening_socket
from common.shell.net.switchboard import Switchboard
from common.shell.net.watch import Flow

EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
LINGER_MS: Final = 100  # a goodbye that was just sent may leave
LEAVER_TURNS_MAX: Final = 32  # full turns in which what a departed link had sent may still come


class Connection:
    """One TCP connection that a ROUTER accepted, and its link once it has spoken."""

    __slots__ = (
        "accepted_at",
        "address",
        "descriptor",
        "door",
        "ended",
        "floor",
        "flow",
        "number",
        "routing_id",
    )

    def __init__(
        self, door: "RouterDoor", descriptor: int, address: Address, floor: int, now: float
    ) -> None:
        self.door = door
        self.descriptor = descriptor
        self.address = address
        self.floor = floor
        self.accepted_at = now
        self.number = 0
        self.routing_id = b""
        self.ended = False
        self.flow: Flow

    def send(self, body: bytes, data: memoryview | bytes | None) -> bool:
        """False if it is gone or its pipe is full."""
        return not self.ended and self.door.send_to(self, body, data)

    def traffic(self) -> Traffic | None:
        """What the kernel counted; None after the end, or on macOS."""
        return None if self.ended else traffic_of(self.descriptor)

    def hangup(self, reason: str) -> None:
        """End the link now; what libzmq has not sent yet is lost."""
        self.door.end(self, reason)

    def close(self) -> None:
        """Deliver no more; its door closes the socket."""
        self.ended = True


class RouterDoor:
    """A listening door of a node."""

    def __init__(
        self,
        door: Door,
        *,
        board: Switchboard,
        admission: Admission,
        domain: bytes,
        keys: Keys,
        limits: TransportLimits,
        ledger: Ledger,
    ) -> None:
        self.door = door
        self._board = board
        self._loop = board.loop
        self._admission = admission
        self._limits = limits
        self._ledger = ledger
        self._by_descriptor: dict[int, Connection] = {}
        self._by_id: dict[bytes, Connection] = {}
        self._leavers: list[Connection] = []
        self._full_turns = 0
        self._half_open = HalfOpen(
            self._loop,
            self._expire,
            behind=lambda: self._reader.due,
            handshake_s=limits.handshake_s,
            hello_s=limits.hello_s,
            max_total=limits.half_open_max,
            max_per_address=limits.half_open_per_address,
        )
        self._socket = listening_socket(board.context, door, keys, domain, limits)
        self._intake = Intake(self._socket, routed=True, parts_max=PARTS_MAX[door])
        self._prober = Prober(board.context, self._socket)
        self._monitor = board.monitors.attach(self._socket, EVENTS, self._on_event)
        self._reader = EdgeReader(self._loop, self._socket, self._drain)

    def bind(self, host: str, port: int) -> Address:
        """Listen; port 0 takes a free one. Raises OSError, EADDRINUSE for a taken port."""
        literal = f"[{host}]" if ":" in host else host
        try:
            self._socket.bind(f"tcp://{literal}:{port}")
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"{host}:{port}: {error.strerror}") from error
        return host, _port_of(self._socket)

    def close(self) -> None:
        """Close the socket and all its connections, telling nobody."""
        self._half_open.close()
        for connection in self._by_descriptor.values():
            self._board.watch.remove(connection.flow)
            connection.ended = True
        self._by_descriptor.clear()
        self._by_id.clear()
        self._board.monitors.detach(self._monitor, self._socket)
        self._prober.close()
        self._reader.close()
        self._socket.close(linger=LINGER_MS)

    # --- links ------------------------------------------------------------------------------

    def send_to(self, connection: Connection, body: bytes, data: memoryview | bytes | None) -> bool:
        """Queue one message; False if the connection is gone or its pipe is full."""
        socket = self._socket
        try:
            socket.send(connection.routing_id, MORE)
            if data is None:
                socket.send(body, LAST)
            else:
                socket.send(body, MORE)
                socket.send(data, LAST, copy=False)
        except zmq.ZMQError:
            return False
        finally:
            self._reader.sent()
        return True

    def end(self, connection: Connection, reason: str, *, reset: bool = False) -> None:
        """Hang up: nothing more of it is delivered, `closed` comes in the next turn."""
        if connection.ended:
            return
        connection.ended = True
        if connection.number:
            self._ledger.close_soon(connection.number, reason)
        if self._by_descriptor.get(connection.descriptor) is connection:
            cut(connection.descriptor, connection.address, reset=reset)

    # --- what the monitor tells -------------------------------------------------------------

    def _on_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._on_accepted(value)
        elif event == zmq.EVENT_DISCONNECTED:
            self._on_disconnected(value)
        elif event == zmq.EVENT_ACCEPT_FAILED:
            self._ledger.tally["accept_failed"] += 1
        else:
            self._ledger.tally["handshake_failed"] += 1

    def _on_accepted(self, descriptor: int) -> None:
        address = peer_of(descriptor)
        if address is None:
            return  # gone again
        tally = self._ledger.tally
        tally["accepted"] += 1
        now = self._loop.time()
        full = descriptor >= self._board.descriptors_max * self._limits.descriptors_share
        if full or self._admission.banned(address[0], now):
            tally["refused"] += 1
            cut(descriptor, address)
            return
        connection = Connection(self, descriptor, address, self._prober.issued.highest, now)
        connection.flow = Flow(
            descriptor,
            self._reader,
            settled=self._limits.settled_bytes(self.door),
            ceiling=self._limits.ceiling_bytes(self.door),
            overrun=lambda: self._on_overrun(connection),
            moving=(lambda: self._on_moving(connection)) if self.door is Door.BULK else None,
        )
        self._by_descriptor[descriptor] = connection
        self._board.watch.add(connection.flow)
        self._half_open.add(connection)

    def _on_disconnected(self, descriptor: int) -> None:
        connection = self._by_descriptor.pop(descriptor, None)
        if connection is None:
            return
        self._half_open.remove(connection)
        self._board.watch.remove(connection.flow)
        if connection.number:
            self._leavers.append(connection)  # what it sent before comes first
            self._reader.wake()

    def _on_overrun(self, connection: Connection) -> None:
        self._ledger.tally["unterminated"] += 1
        self.end(connection, "a message without an end", reset=True)

    def _on_moving(self, connection: Connection) -> None:
        if connection.number and not connection.ended:
            self._ledger.sink.moving(connection.number)

    def _expire(self, newcomer: Newcomer, reason: str) -> None:
        self._ledger.tally["hello_late" if reason == "no hello" else "half_open"] += 1
        connection = self._by_descriptor.get(newcomer.descriptor)
        if connection is newcomer and connection is not None:
            self.end(connection, reason)

    # --- what comes in ----------------------------------------------------------------------

    def _drain(self) -> bool:
        bytes_left = self._limits.drain_bytes
        for _ in range(self._limits.drain_messages):
            try:
                message = self._intake.next()
            except zmq.Again:
                self._settle_leavers()
                return False
            if message is None:
                continue
            self._on_message(message)
            bytes_left -= len(message.body) + (len(message.data) if message.data else 0)
            if bytes_left <= 0 or self._reader.closed:
                break
        if self._leavers:
            self._full_turns += 1
            if self._full_turns > LEAVER_TURNS_MAX:
                self._settle_leavers()
        return not self._reader.closed

    def _settle_leavers(self) -> None:
        self._full_turns = 0
        leavers, self._leavers = self._leavers, []
        for connection in leavers:
            self._by_id.pop(connection.routing_id, None)
            if not connection.ended:
                connection.ended = True
                self._ledger.close_soon(connection.number, "lost")

    def _on_message(self, message: Message, *, probed: bool = False) -> None:
        connection = self._by_id.get(message.routing_id)
        if connection is None:
            connection = self._attribute(message, probed=probed)
        if connection is not None:
            self._deliver(connection, message)

    def _attribute(self, message: Message, *, probed: bool) -> Connection | None:
        """Whose first frame this is; None if nobody's, or not known before the next probe."""
        self._board.monitors.pump()
        origin = message.origin()
        if origin is None:
            judged, later = self._prober.on_probe(message.routing_id)
            for waiting in judged:
                self._on_message(waiting, probed=True)
            for waiting in later:
                self._on_message(waiting)
            return None
        connection = self._by_descriptor.get(origin.descriptor)
        if connection is None or connection.address[0] != origin.host:
            self._ledger.tally["stray"] += 1  # its connection is gone already
            return None
        standing = self._prober.judge(message, connection.floor, probed=probed)
        if standing is Standing.BEYOND:
            self._reader.wake()
            return None
        if standing is Standing.FOREIGN:
            self._ledger.tally["foreign_id"] += 1  # ignored until its time is over
            return None
        if connection.number or connection.ended:
            self.end(connection, "confused with another connection")
            return None
        self._open(connection, message.routing_id, origin.key)
        return connection

    def _open(self, connection: Connection, routing_id: bytes, key: bytes) -> None:
        self._half_open.remove(connection)
        connection.routing_id = routing_id
        self._by_id[routing_id] = connection
        connection.number = self._ledger.enter(connection)
        self._ledger.tally["opened"] += 1
        self._ledger.sink.opened(
            connection.number, self.door, key, connection.address, inbound=True
        )

    def _deliver(self, connection: Connection, message: Message) -> None:
        connection.flow.delivered += message.wire_bytes()
        if connection.ended:
            return
        fault = fault_of(message, self.door)
        if fault:
            self._ledger.tally["malformed"] += 1
            self.end(connection, fault, reset=True)
            return
        data = None if message.data is None else message.data.buffer
        self._ledger.sink.frame(connection.number, message.body.bytes, data)


def _port_of(socket: zmq.Socket[bytes]) -> int:
    endpoint = socket.get(zmq.LAST_ENDPOINT)
    if not isinstance(endpoint, bytes):
        raise TypeError("libzmq names no endpoint")
    return int(endpoint.rstrip(b"\0").rpartition(b":")[2])
