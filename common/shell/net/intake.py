"""Reading whole messages off a socket, with a bound on their parts.

A message of ours has one frame, or two where file data travels. libzmq delivers messages of any
number of parts; the surplus is thrown away in bounded steps, so that a million parts cost many
short turns instead of one long one. Whose message it is and what it means is not decided here.
"""

from typing import Final, NamedTuple

import zmq

from common.shell.net.descriptors import plain_host
from common.shell.net.watch import wire_bytes

SKIPPED_PER_STEP: Final = 64
LAST: Final = int(zmq.NOBLOCK)  # of the parts of a message; plain, since an enum's `|` takes 2 us
MORE: Final = int(zmq.SNDMORE | zmq.NOBLOCK)


class Origin(NamedTuple):
    """What libzmq knows of the connection a frame came over."""

    descriptor: int
    key: bytes
    host: str


class Message(NamedTuple):
    """One message; `routing_id` is empty where the socket has one peer only."""

    routing_id: bytes
    body: zmq.Frame
    data: zmq.Frame | None
    overlong: bool

    def wire_bytes(self) -> int:
        """What it was on the wire, as far as it was read."""
        size = wire_bytes(len(self.body))
        return size if self.data is None else size + wire_bytes(len(self.data))

    def origin(self) -> Origin | None:
        """Where it came from; None for what never was on a wire."""
        try:
            descriptor = int(self.body.get(zmq.SRCFD))
            key = bytes.fromhex(str(self.body.get("User-Id")))
            return Origin(descriptor, key, plain_host(str(self.body.get("Peer-Address"))))
        except (zmq.ZMQError, ValueError):
            return None


class Intake:
    """The messages of one socket, one at a time."""

    __slots__ = ("_parts_max", "_routed", "_skipping", "_socket")

    def __init__(self, socket: zmq.Socket[bytes], *, routed: bool, parts_max: int) -> None:
        self._socket = socket
        self._routed = routed
        self._parts_max = parts_max
        self._skipping = False

    def next(self) -> Message | None:
        """The next message; None after a step of throwing away; zmq.Again when all was read."""
        if self._skipping:
            self._skip()
            return None
        receive = self._socket.recv
        routing_id = receive(zmq.NOBLOCK) if self._routed else b""
        body: zmq.Frame = receive(zmq.NOBLOCK, copy=False)
        data: zmq.Frame | None = None
        more = body.more
        if more and self._parts_max > 1:
            data = receive(zmq.NOBLOCK, copy=False)
            more = data.more
        self._skipping = bool(more)
        return Message(routing_id, body, data, bool(more))

    def _skip(self) -> None:
        for _ in range(SKIPPED_PER_STEP):
            if not self._socket.recv(zmq.NOBLOCK, copy=False).more:
                self._skipping = False
                return
