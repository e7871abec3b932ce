"""One ear for the monitors of all ZeroMQ sockets of a process.

A monitor is a PAIR that libzmq binds in-process; listening with another PAIR costs a socket, a
descriptor and a reader per link. The in-process transport lets any socket type connect, so one
ROUTER listens to all of them and knows each by the connect routing id given to it here (measured:
47 KiB and three descriptors for an outgoing link instead of four). Events of one socket keep
their order. What an event means is the listener's business.
"""

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Final

import zmq

from common.shell.net.edge import EdgeReader

Listener = Callable[[int, int], None]
"""Called with an event (`zmq.EVENT_...`) and its value, mostly a descriptor."""

_EVENT: Final = struct.Struct("=Hi")
_EVENTS_PER_TURN: Final = 256
_numbers = itertools.count(1)  # of the process: a closed monitor gives its name back only later


class Monitors:
    """Hands each monitor event to the listener of its socket."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.set(zmq.RCVHWM, 0)  # a full queue would block libzmq's I/O thread
        self._socket.set(zmq.LINGER, 0)
        self._listeners: dict[bytes, Listener] = {}
        self._reader = EdgeReader(loop, self._socket, self._drain)

    def attach(self, socket: zmq.Socket[bytes], events: int, listener: Listener) -> bytes:
        """Listen to a socket from now on; to be called before it binds or connects."""
        number = next(_numbers)
        name = b"m%d" % number
        endpoint = f"inproc://monitor-{number}"
        socket.monitor(endpoint, events)
        self._listeners[name] = listener
        self._socket.set(zmq.CONNECT_ROUTING_ID, name)
        self._socket.connect(endpoint)
        self._reader.wake()
        return name

    def detach(self, name: bytes, socket: zmq.Socket[bytes]) -> None:
        """Stop listening; to be called before the socket is closed.

        The monitor has to end first: an event that finds nobody listening would block libzmq's
        I/O thread, and all links of the process with it.
        """
        if self._listeners.pop(name, None) is not None:
            socket.disable_monitor()

    def pump(self) -> None:
        """Deliver every event that has been sent until now, before somebody reads a frame."""
        while self._drain():
            pass

    def close(self) -> None:
        """Close the ear, when every socket has been detached."""
        self._reader.close()
        self._socket.close(linger=0)

    def _drain(self) -> bool:
        for _ in range(_EVENTS_PER_TURN):
            try:
                name = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return False
            event = self._socket.recv(zmq.NOBLOCK)
            self._socket.recv(zmq.NOBLOCK)  # the endpoint: our own, and known
            listener = self._listeners.get(name)
            if listener is not None:
                listener(*_EVENT.unpack(event))
        return True
