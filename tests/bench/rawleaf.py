"""A leaf that only presses: real key, CURVE, hello, join and publish; frames made beforehand.

It speaks the protocol as far as a super-peer must hear it, decodes nothing that it need not, and
counts the ends of its searches by their bytes; so one process of these keeps a super-peer busy.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Final

import zmq

from common import wire
from common.addresses import Address
from common.content.catalogue import Catalogue, Entry, statement
from common.hello import Greeter
from common.ids import Identity, curve_key
from common.messages.cluster import (
    Coverage,
    Credit,
    Join,
    Publish,
    Put,
    Search,
    SearchDone,
    Welcome,
)
from common.messages.fields import Message
from common.messages.link import Echo
from common.network import Network
from common.terms import Terms

PUTS: Final = 150  # of one Publish: some 20 KiB
ANSWER_S: Final = 60.0
SILENT_S: Final = 0.5  # after which an echo is sent
TTL: Final = 10  # what `leaf search` asks with


class RawLeaf:
    """One leaf of a load."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], node: bytes, place: Address, seed: bytes
    ) -> None:
        self.identity = Identity(seed)
        self.node = node
        self.place = place
        self.credit = 0
        self.open: dict[bytes, float] = {}  # searches by GUID, and when they were due
        self.cut = False
        self._context = context
        self._count = 0
        self._sent_at = 0.0
        self.socket = self._dial()

    def _dial(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.identity.curve_public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.identity.curve_secret)
        socket.setsockopt(zmq.CURVE_SERVERKEY, curve_key(self.node))
        socket.connect(f"tcp://{self.place.host}:{self.place.port}")
        return socket

    def again(self) -> None:
        """A new link after one that was cut."""
        self.close()
        self.socket, self.cut = self._dial(), False
        self.open.clear()

    def close(self) -> None:
        """Be gone."""
        self.socket.close(linger=0)

    def greet(self, entries: int) -> None:
        """Hello and Join; both answers are awaited in `welcomed`."""
        greeter = Greeter(self.identity.node, Network(), "bench")
        greeter.control_port = greeter.bulk_port = 1
        hello = greeter.hello(curve_key(self.node), self.place, by_us=True)
        self.send([hello])
        self.send([Join(1, 0, entries)])

    def welcomed(self) -> None:
        """Wait until we are a leaf of it."""
        while not self.credit:
            if not self.socket.poll(int(ANSWER_S * 1000)):
                raise TimeoutError("the super-peer does not answer")
            self.listen()

    def publish(self, entries: Sequence[Entry]) -> None:
        """Everything at once, signed; `published` waits until it can be found."""
        catalogue = Catalogue()
        for slot, entry in enumerate(entries):
            catalogue.put(slot, entry)
        signed = statement("public", self.identity.node, 1, catalogue.root())
        for at in range(0, len(entries), PUTS):
            puts = tuple(
                Put(at + beside, each) for beside, each in enumerate(entries[at : at + PUTS])
            )
            last = at + PUTS >= len(entries)
            self.send([Publish(1, puts, (), self.identity.sign(signed) if last else None)])

    def send(self, messages: Iterable[Message]) -> None:
        """One frame."""
        self._sent_at = time.perf_counter()
        try:
            frame = wire.frame([wire.encode(message) for message in messages])
            self.socket.send(frame, zmq.NOBLOCK if self.credit else 0)
        except zmq.Again:
            self.cut = True

    def echo(self) -> None:
        """Say that we live, unless we said anything else lately: as every link does."""
        if time.perf_counter() - self._sent_at > SILENT_S:
            self.send([Echo(int(time.monotonic() * 1e6), 0, 0)])

    def listen(self) -> None:
        """Between two loads nothing but credit matters."""
        while self.socket.poll(0):
            for message in wire.decode(self.socket.recv()):
                if isinstance(message, Welcome):
                    self.credit = message.credit
                elif isinstance(message, Credit):
                    self.credit = message.open

    # --- searches ---------------------------------------------------------------------------

    def ask(self, bodies: Sequence[bytes], due: float) -> None:
        """So many searches in one frame, of those that `body` made."""
        parts = [wire.frame([b""] * len(bodies))]  # its head
        self._sent_at = time.perf_counter()
        for body in bodies:
            self._count += 1
            guid = self._count.to_bytes(16, "big")
            self.open[guid] = due
            parts += [_HEAD, guid, body]
        try:
            self.socket.send(b"".join(parts), zmq.NOBLOCK)
        except zmq.Again:
            self.cut = True

    def taken(self, now: float, took: list[float]) -> tuple[int, int, bytes]:
        """What has come: how many searches ended, how many bytes; and the last frame."""
        ended = size = 0
        frame = b""
        while True:
            try:
                frame = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return ended, size, frame
            size += len(frame)
            at = frame.find(_DONE)
            while at >= 0:
                guid = frame[at + len(_DONE) : at + len(_DONE) + 16]
                due = self.open.pop(guid, None)
                if due is not None:
                    took.append(now - due)
                    ended += 1
                at = frame.find(_DONE, at + len(_DONE))


def body(terms: Terms, wanted: int) -> bytes:
    """What follows the GUID of a search."""
    return wire.encode(Search(_NO_GUID, terms, wanted, TTL)).removeprefix(_HEAD)[16:]


_NO_GUID: Final = bytes(16)
_HEAD: Final = wire.encode(Search(_NO_GUID, Terms(("x",)), 1, 0)).partition(_NO_GUID)[0]
_NOTHING: Final = Coverage(0, None, 0, 0.0, complete=False)
_DONE: Final = wire.encode(SearchDone(_NO_GUID, _NOTHING)).partition(_NO_GUID)[0]
