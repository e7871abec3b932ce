"""The carrier between a command and the daemon of its home: messages over a Unix socket.

The daemon's end is a ROUTER bound to `ipc://`, mode 0600; a command's is a DEALER. The invariant
of the daemon's end: each call gets one last word, and an asker that dies is noticed (the socket
monitor's DISCONNECTED on the descriptor that its frames came by) and told on as left. Parameters,
events and results are JSON of the types in the method table. What a method does is not known here.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import zmq

from common import wire
from common.errors import Exit, RemoteProtocolError
from common.limits import STRING_BYTES_MAX
from common.messages.control import Answered, Call, Failed, Hung, Told
from common.messages.fields import Message
from common.methods import Methods
from common.shell.desk.calls import QUEUE_MESSAGES_MAX
from common.shell.net.edge import EdgeReader
from common.shell.net.monitors import Monitors

ASK_BYTES_MAX: Final = 1024 * 1024  # a call; wild guess: 10,000 paths to share
CALLS_MAX: Final = 256  # open calls; wild guess
RETRY_S: Final = 0.05  # a last word waits for an asker that does not read
_CALLS_PER_TURN: Final = 64

OnCall = Callable[[int, str, msgspec.Struct], None]
OnLeft = Callable[[int], None]


class _Asker(NamedTuple):
    """Whose call it is: the routing id of its link, and its own number."""

    link: bytes
    call: int


class ControlServer:
    """Takes calls and hands them on under numbers of its own, from 1."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: zmq.Context[zmq.Socket[bytes]],
        monitors: Monitors,
        path: Path,
        methods: Methods,
        on_call: OnCall,
        on_left: OnLeft,
    ) -> None:
        self._loop = loop
        self._monitors = monitors
        self._methods = methods
        self._on_call = on_call
        self._on_left = on_left
        self._count = 0
        self._askers: dict[int, _Asker] = {}
        self._links: dict[int, bytes] = {}  # descriptor -> routing id, b"" until its first frame
        self._socket = context.socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 1000)  # the answer to `stop` leaves after us
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._socket.set(zmq.MAXMSGSIZE, ASK_BYTES_MAX)
        self._socket.set(zmq.SNDHWM, QUEUE_MESSAGES_MAX)
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
        self._monitor = monitors.attach(self._socket, events, self._link_changed)
        before = os.umask(0o177)  # libzmq makes the file inside `bind`, in this thread
        try:
            self._socket.bind(f"ipc://{path}")
        finally:
            os.umask(before)
        self._reader = EdgeReader(loop, self._socket, self._drain)

    def tell(self, call: int, event: object) -> None:
        """One event of a stream; dropped where the asker does not keep up."""
        asker = self._askers.get(call)
        if asker is not None:
            self._send(asker.link, Told(asker.call, msgspec.json.encode(event)))

    def answer(self, call: int, result: object) -> None:
        """The last word: a result."""
        asker = self._askers.pop(call, None)
        if asker is not None:
            self._send_surely(asker.link, Answered(asker.call, msgspec.json.encode(result)))

    def fail(self, call: int, code: Exit, message: str, hint: str = "") -> None:
        """The last word: why not."""
        asker = self._askers.pop(call, None)
        if asker is not None:
            self._send_surely(asker.link, _failed(asker.call, code, message, hint))

    def close(self) -> None:
        """Take no more calls; answers that were given still leave."""
        self._reader.close()
        self._monitors.detach(self._monitor, self._socket)
        self._socket.close()

    def _drain(self) -> bool:
        for _ in range(_CALLS_PER_TURN):
            try:
                link, *rest = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            name = bytes(link.buffer)
            if len(rest) == 1 and self._knows(name, int(rest[0].get(zmq.SRCFD))):
                self._take(name, bytes(rest[0].buffer))
        return True

    def _knows(self, link: bytes, descriptor: int) -> bool:
        """Whether this link is still open; its descriptor is known from its first frame on."""
        if self._links.get(descriptor) == link:
            return True
        # A descriptor number is used again: see its last owner off before it names this link.
        self._monitors.pump()
        if self._links.get(descriptor) != b"":
            return False
        self._links[descriptor] = link
        return True

    def _take(self, link: bytes, body: bytes) -> None:
        try:
            messages = wire.decode(body, types=wire.COMMAND_TYPES, bytes_max=ASK_BYTES_MAX)
        except RemoteProtocolError:
            return  # a program of this user that speaks something else
        for message in messages:
            if isinstance(message, Call):
                self._begin(link, message)
            elif isinstance(message, Hung):
                self._leave(_Asker(link, message.call))

    def _missing(self, method: str) -> tuple[str, str]:
        """Why there is no such method, and what to do: a method begins with its program's name."""
        programs = list(dict.fromkeys(name.partition(".")[0] for name in self._methods))
        if method.partition(".")[0] in programs:
            return f"This daemon has no method {method!r}.", "Use the version of the daemon."
        runs = " and a ".join(programs)
        return (
            f"What runs in this home is a {runs}.",
            "Ask with that program, or give another --home.",
        )

    def _begin(self, link: bytes, call: Call) -> None:
        method = self._methods.get(call.method)
        if method is None:
            text, hint = self._missing(call.method)
            self._refuse(link, call, Exit.USAGE, text, hint)
            return
        if len(self._askers) >= CALLS_MAX:
            text = f"The daemon is answering {CALLS_MAX} calls already."
            self._refuse(link, call, Exit.REFUSED, text, "Try again in a moment.")
            return
        try:
            params = msgspec.json.decode(call.params, type=method.params)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            text = f"These are no parameters of {call.method}: {str(error)[:200]}."
            self._refuse(link, call, Exit.USAGE, text, "Use the version of the daemon.")
            return
        self._count += 1
        self._askers[self._count] = _Asker(link, call.call)
        self._on_call(self._count, call.method, params)

    def _refuse(self, link: bytes, call: Call, code: Exit, message: str, hint: str) -> None:
        self._send_surely(link, _failed(call.call, code, message, hint))

    def _link_changed(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._links[descriptor] = b""
            return
        link = self._links.pop(descriptor, b"")
        for asker in [each for each in self._askers.values() if each.link == link]:
            self._leave(asker)

    def _leave(self, asker: _Asker) -> None:
        for number in [number for number, each in self._askers.items() if each == asker]:
            del self._askers[number]
            self._on_left(number)

    def _send(self, link: bytes, message: Message) -> bool:
        """False where the asker's queue is full; True also where nobody is there any more."""
        try:
            body = wire.frame([wire.encode(message)])
            self._socket.send_multipart((link, body), zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
        finally:
            self._reader.wake()
        return True

    def _send_surely(self, link: bytes, message: Message) -> None:
        if not self._socket.closed and not self._send(link, message):
            self._loop.call_later(RETRY_S, self._send_surely, link, message)


def _failed(call: int, code: Exit, message: str, hint: str) -> Failed:
    return Failed(call, int(code), _cut(message), _cut(hint))


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:STRING_BYTES_MAX].decode(errors="ignore")
