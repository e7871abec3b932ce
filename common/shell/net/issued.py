"""Which routing ids a ROUTER has issued, so that an invented one is never believed.

libzmq numbers the peers of a ROUTER from a random start, but a peer may bring an id of its own,
and one that is about to be issued ends the process. A connection's id is believed only if it was
issued after the connection was accepted and before its first frame was read. The upper end comes
from a probe of our own: an in-process peer that gets the next number. Nobody ever sees an id, and
a peer with a false one is treated exactly as one that says nothing, so that neither refusal nor
delay tells which numbers are in use.
"""

import enum
import itertools
from typing import Final

import zmq

from common.shell.net.intake import Message
from common.shell.net.switchboard import Context

ID_BYTES: Final = 5  # a zero and 32 bits, libzmq's own form
_MODULUS: Final = 2**32
_numbers = itertools.count(1)


class Standing(enum.Enum):
    """What can be said of an id that a connection came with."""

    ISSUED = "issued"
    FOREIGN = "foreign"
    BEYOND = "beyond"  # newer than the last probe: probe again


class IssuedIds:
    """The numbers issued by one ROUTER, as offsets from the first."""

    __slots__ = ("_first", "highest")

    def __init__(self, first: bytes) -> None:
        self._first = int.from_bytes(first[1:], "big")
        self.highest = 0
        """The newest number known to be issued."""

    def proved(self, probe: bytes) -> None:
        """Our own probe was given this id: all before it are issued, none after it was then."""
        self.highest = max(self.highest, self._offset(probe))

    def standing(self, routing_id: bytes, floor: int) -> Standing:
        """Judge the id of a connection at whose acceptance `highest` was `floor`."""
        if len(routing_id) != ID_BYTES or routing_id[0] != 0:
            return Standing.FOREIGN
        offset = self._offset(routing_id)
        if offset <= floor:
            return Standing.FOREIGN
        return Standing.ISSUED if offset <= self.highest else Standing.BEYOND

    def _offset(self, routing_id: bytes) -> int:
        return (int.from_bytes(routing_id[1:], "big") - self._first) % _MODULUS


class Prober:
    """Judges the first messages of connections; those newer than the last probe wait for one."""

    def __init__(self, context: Context, router: zmq.Socket[bytes]) -> None:
        self._context = context
        self._endpoint = f"inproc://issued-{next(_numbers)}"
        router.bind(self._endpoint)
        self._probe: zmq.Socket[bytes] | None = None
        self._start()
        first = router.recv()  # nothing else can be there: the router is not bound to the world
        router.recv()
        self._stop()
        self.issued = IssuedIds(first)
        self._waiting: list[Message] = []
        self._later: list[Message] = []

    def judge(self, message: Message, floor: int, *, probed: bool) -> Standing:
        """The standing of a first message's id; one that is BEYOND is kept for `on_probe`."""
        standing = self.issued.standing(message.routing_id, floor)
        if standing is not Standing.BEYOND:
            return standing
        if probed:
            return Standing.FOREIGN
        if self._probe is not None:
            self._later.append(message)
        else:
            self._waiting.append(message)
            self._start()
        return standing

    def on_probe(self, routing_id: bytes) -> tuple[list[Message], list[Message]]:
        """The probe was read: messages that can be judged now, and those that came after it."""
        self.issued.proved(routing_id)
        self._stop()
        waiting, later = self._waiting, self._later
        self._waiting, self._later = [], []
        return waiting, later

    def close(self) -> None:
        """Drop what still waits."""
        self._stop()

    def _start(self) -> None:
        self._probe = self._context.socket(zmq.DEALER)
        self._probe.set(zmq.LINGER, 0)
        self._probe.connect(self._endpoint)
        self._probe.send(b"", zmq.NOBLOCK)

    def _stop(self) -> None:
        if self._probe is not None:
            self._probe.close(linger=0)
            self._probe = None
