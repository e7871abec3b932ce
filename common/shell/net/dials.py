"""An outgoing link: one DEALER, one connection, one life.

Reconnection is off, since frames queued for a dead peer must not reach its successor; redialling
is the core's decision. The invariant: every dial ends in `closed`, whatever libzmq keeps silent
about (a source address that cannot be bound raises no event, so the whole attempt has a deadline).
A link opens when its handshake has succeeded, which proves the key that was dialled.
"""

import asyncio
from typing import Final

import zmq

from common.doors import Door
from common.shell.net.descriptors import Address, Traffic, peer_of, traffic_of
from common.shell.net.edge import EdgeReader
from common.shell.net.intake import LAST, MORE, Intake, Message
from common.shell.net.links import Ledger, fault_of
from common.shell.net.ports import PARTS_MAX, Keys, TransportLimits, dialling_socket
from common.shell.net.switchboard import Switchboard
from common.shell.net.watch import Flow

LINGER_MS: Final = 100  # a goodbye that was just sent may leave
_WILDCARDS: Final = ("", "0.0.0.0", "::", "*")
_HANDSHAKE_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
EVENTS: Final = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | _HANDSHAKE_FAILED
)


def endpoint(address: Address, source_host: str | None) -> str:
    """ZeroMQ's name for dialling an address, from one of our own if there are several."""
    host, port = address
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if source_host is None or source_host in _WILDCARDS:
        return f"tcp://{target}"
    source = f"[{source_host}]" if ":" in source_host else source_host
    return f"tcp://{source}:0;{target}"


class Dial:
    """One dialled link, from the attempt to the end."""

    def __init__(
        self,
        door: Door,
        address: Address,
        their_key: bytes,
        source_host: str | None,
        *,
        board: Switchboard,
        keys: Keys,
        limits: TransportLimits,
        ledger: Ledger,
    ) -> None:
        self._door = door
        self._address = address
        self._their_key = their_key
        self._board = board
        self._limits = limits
        self._ledger = ledger
        self._opened = False
        self._ended = False
        self._flow: Flow | None = None
        self._loop = board.loop
        self._began = self._loop.time()
        self._reason = "dial failed"
        self._socket = dialling_socket(board.context, door, keys, their_key, limits)
        self._intake = Intake(self._socket, routed=False, parts_max=PARTS_MAX[door])
        try:
            self._monitor = board.monitors.attach(self._socket, EVENTS, self._on_event)
        except zmq.ZMQError:
            self._socket.close(linger=0)
            raise
        self._reader = EdgeReader(self._loop, self._socket, self._drain)
        self._deadline: asyncio.TimerHandle = self._loop.call_later(
            limits.connect_s + limits.handshake_s, self._end, "unreachable"
        )
        self.number = ledger.enter(self)
        try:
            self._socket.connect(endpoint(address, source_host))
        except zmq.ZMQError as error:
            self._end(f"dial failed: {error.strerror}")

    def send(self, body: bytes, data: memoryview | bytes | None) -> bool:
        """Queue one message; False if the link is not open or its pipe is full."""
        if not self._opened or self._ended:
            return False
        try:
            if data is None:
                self._socket.send(body, LAST)
            else:
                self._socket.send(body, MORE)
                self._socket.send(data, LAST, copy=False)
        except zmq.ZMQError:
            return False
        finally:
            self._reader.sent()
        return True

    def traffic(self) -> Traffic | None:
        """What the kernel counted; None before the link is open, after its end, or on macOS."""
        return None if self._flow is None or self._ended else traffic_of(self._flow.descriptor)

    def hangup(self, reason: str) -> None:
        """End the link or give up the attempt."""
        self._end(reason)

    def close(self) -> None:
        """Let go of the socket, telling nobody."""
        self._ended = True
        self._deadline.cancel()
        self._board.monitors.detach(self._monitor, self._socket)
        if self._flow is not None:
            self._board.watch.remove(self._flow)
        self._reader.close()
        self._socket.close(linger=LINGER_MS)

    def _end(self, reason: str) -> None:
        if not self._ended:
            self.close()
            self._ledger.close_soon(self.number, reason)

    # --- what the monitor tells -------------------------------------------------------------

    def _on_event(self, event: int, value: int) -> None:
        if self._ended:
            return
        if event == zmq.EVENT_CONNECTED:
            self._on_connected(value)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._on_handshake()
        elif event & _HANDSHAKE_FAILED:
            self._reason = "handshake failed"
        elif event == zmq.EVENT_CLOSED:
            waited = self._loop.time() - self._began
            self._end("unreachable" if waited >= self._limits.connect_s else "refused")
        elif self._opened:
            self._drain_all()  # what it sent before comes first
            self._end("lost")
        else:
            self._end(self._reason)

    def _on_connected(self, descriptor: int) -> None:
        self._reason = "handshake failed"
        self._address = peer_of(descriptor) or self._address
        self._flow = Flow(
            descriptor,
            self._reader,
            settled=self._limits.settled_bytes(self._door),
            ceiling=self._limits.ceiling_bytes(self._door),
            overrun=self._on_overrun,
            moving=self._on_moving if self._door is Door.BULK else None,
        )
        self._board.watch.add(self._flow)

    def _on_moving(self) -> None:
        if self._opened:
            self._ledger.sink.moving(self.number)

    def _on_handshake(self) -> None:
        self._opened = True
        self._deadline.cancel()
        self._ledger.tally["dialled"] += 1
        self._ledger.sink.opened(
            self.number, self._door, self._their_key, self._address, inbound=False
        )

    def _on_overrun(self) -> None:
        self._ledger.tally["unterminated"] += 1
        self._end("a message without an end")

    # --- what comes in ----------------------------------------------------------------------

    def _drain(self) -> bool:
        bytes_left = self._limits.drain_bytes
        for _ in range(self._limits.drain_messages):
            if self._ended:
                return False
            try:
                message = self._intake.next()
            except zmq.Again:
                return False
            if message is not None:
                self._on_message(message)
                bytes_left -= len(message.body) + (len(message.data) if message.data else 0)
                if bytes_left <= 0:
                    break
        return not self._ended

    def _drain_all(self) -> None:
        while self._drain():
            pass

    def _on_message(self, message: Message) -> None:
        if not self._opened:
            self._board.monitors.pump()  # the handshake's success was told before
        if self._flow is not None:
            self._flow.delivered += message.wire_bytes()
        fault = fault_of(message, self._door)
        if fault:
            self._ledger.tally["malformed"] += 1
            self._end(fault)
        elif self._opened and not self._ended:
            data = None if message.data is None else message.data.buffer
            self._ledger.sink.frame(self.number, message.body.bytes, data)
