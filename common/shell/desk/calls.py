"""A command's end of the carrier: one call at a time to the daemon of a home, blocking.

Nobody there is known at once (the Unix socket refuses), and so is a daemon that dies before it
answered. The invariant: `call` returns the method's result or raises; a timeout is exit 124 and
Ctrl-C tells the daemon that nobody waits any more. Several calls may follow one another.
"""

import math
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
import zmq

from common import wire
from common.errors import Exit, UserError
from common.messages.control import Answered, Call, Failed, Hung, Told
from common.messages.fields import Message
from common.shell.desk.home import Home, holder

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024  # `ls` of 100,000 files takes 50 MB
QUEUE_MESSAGES_MAX: Final = 8_192  # holds all hits of the largest search
POLL_S: Final = 3600.0  # libzmq counts milliseconds in an int
GONE_CHECK_S: Final = 0.02
LINGER_MS: Final = 200  # what a command that leaves has still to say
LATE_HINT: Final = "Give it more time with --timeout."
_EVENT: Final = struct.Struct("=H")  # zmq.utils.monitor would import asyncio: 20 ms
_GONE: Final = zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED

T = TypeVar("T")
E = TypeVar("E")


class Calls:
    """A link to the daemon of `home`; use it as a context manager."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._count = 0
        self._connected = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        # Reconnection stays on, unused: without it libzmq drops what had arrived before the end.
        self._socket.set(zmq.RCVHWM, QUEUE_MESSAGES_MAX)
        self._socket.set(zmq.MAXMSGSIZE, ANSWER_BYTES_MAX)
        self._monitor = self._socket.get_monitor_socket(_GONE | zmq.EVENT_CONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(f"ipc://{home.socket}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; a call that is still open is then left too."""
        self._socket.disable_monitor()
        self._context.destroy(linger=LINGER_MS if self._connected else 0)

    def call(
        self,
        method: str,
        params: msgspec.Struct,
        result: type[T],
        *,
        event: type[E] | None = None,
        on_event: Callable[[E], None] | None = None,
        timeout_s: float | None,
        grace_s: float = 0.0,
        late_hint: str = LATE_HINT,
    ) -> T:
        """Run a method; `on_event` sees each event of its stream. Raises UserError, also after
        `timeout_s` (None waits for ever), and `grace_s` more for a daemon that keeps it itself."""
        self._count += 1
        self._send(Call(self._count, method, _encoded(params)))
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s + grace_s
        try:
            while True:
                message = self._next(deadline)
                if message is None:
                    raise self._timed_out(method, timeout_s, late_hint)
                if isinstance(message, Told) and event is not None and on_event is not None:
                    on_event(msgspec.json.decode(message.event, type=event))
                elif isinstance(message, Answered):
                    return msgspec.json.decode(message.result, type=result)
                elif isinstance(message, Failed):
                    raise UserError(_exit(message.code), message.message, message.hint)
        except KeyboardInterrupt:
            self._send(Hung(self._count))
            raise

    def wait_gone(self, timeout_s: float) -> bool:
        """Whether the daemon's process lets go of its home within this time."""
        deadline = time.monotonic() + timeout_s
        with suppress(UserError):
            while self._next(deadline) is not None:
                pass
        while holder(self._home) is not None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(GONE_CHECK_S)
        return True

    def _send(self, message: Message) -> None:
        self._socket.send(wire.frame([wire.encode(message)]))

    def _next(self, deadline: float) -> Message | None:
        """The next message of the open call; None once the deadline has passed."""
        while True:
            message = self._arrived()
            if message is not None:
                return message
            left_s = max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(math.ceil(min(left_s, POLL_S) * 1000)))
            if self._monitor in ready and self._is_gone():
                message = self._arrived()  # it may have answered first
                if message is None:
                    raise self._nobody()
                return message
            if not ready and left_s <= POLL_S:
                return None

    def _arrived(self) -> Message | None:
        while True:
            try:
                body = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return None
            messages = wire.decode(body, types=wire.COMMAND_TYPES, bytes_max=ANSWER_BYTES_MAX)
            for message in messages:
                if getattr(message, "call", None) == self._count:
                    return message

    def _is_gone(self) -> bool:
        (event,) = _EVENT.unpack_from(self._monitor.recv_multipart()[0])
        if event == zmq.EVENT_CONNECTED:
            self._connected = True
            return False
        return True

    def _nobody(self) -> UserError:
        program, folder = self._home.program, self._home.folder
        if self._connected:
            return UserError(
                Exit.NOT_RUNNING,
                f"The {program} in {folder} ended before it answered.",
                f"Start it again with `{program} run`; its log says why it ended.",
            )
        if self._home.is_closed():
            return UserError(
                Exit.DISK,
                f"This user may not ask the {program} in {folder}: Permission denied.",
                "Ask as the user who started it, or name another home with --home.",
            )
        return UserError(
            Exit.NOT_RUNNING,
            f"No {program} runs in {folder}.",
            f"Start one with `{program} run`, or name its home with --home.",
        )

    def _timed_out(self, method: str, limit_s: float | None, hint: str) -> UserError:
        self._send(Hung(self._count))
        return UserError(
            Exit.TIMED_OUT,
            f"{method.partition('.')[2]} was not done within {limit_s:g} s.",
            hint,
        )


def _exit(code: int) -> Exit:
    """The exit code of a newer daemon may be one that we do not know."""
    return Exit(code) if code in list(Exit) else Exit.UNEXPECTED


def _encoded(params: msgspec.Struct) -> bytes:
    try:
        return msgspec.json.encode(params)
    except UnicodeEncodeError as error:
        text = "A name that was given is not UTF-8, so the daemon cannot be told of it."
        raise UserError(Exit.USAGE, text, "Rename it, or name the folder that it is in.") from error
