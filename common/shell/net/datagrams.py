"""UDP beside the control door: small datagrams, to meet before there is a link.

The same port number as the control door's, so that one number names both. Nothing larger than
`DATAGRAM_BYTES_MAX` goes out or comes in, nothing is kept, and what the bytes mean is the core's.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

from common.limits import DATAGRAM_BYTES_MAX
from common.shell.net.descriptors import Address, plain_host

BIND_TRIES = 20  # a free TCP port is rarely taken on UDP
_PER_TURN = 64

SinkFunction = Callable[[bytes, Address], None]


class Datagrams:
    """One UDP socket; `sink` gets each datagram with the address it came from."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: SinkFunction) -> None:
        self._loop = loop
        self._sink = sink
        self._socket: socket.socket | None = None
        self.dropped = 0
        """Datagrams too long to be ours, or that the kernel did not take."""

    def bind(self, host: str, port: int) -> Address:
        """Listen at an IP literal; "::" hears IPv4 too. Raises OSError if the port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind((host, port))
        except OSError:
            bound.close()
            raise
        self.close()
        self._socket = bound
        self._loop.add_reader(bound.fileno(), self._read)
        return host, int(bound.getsockname()[1])

    def send(self, body: bytes, address: Address) -> None:
        """Send, or drop: nothing that was not received is ever waited for."""
        if self._socket is None or len(body) > DATAGRAM_BYTES_MAX:
            self.dropped += 1
            return
        host, port = address
        if self._socket.family == socket.AF_INET6 and ":" not in host:
            host = f"::ffff:{host}"
        try:
            self._socket.sendto(body, (host, port))
        except OSError:
            self.dropped += 1

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        for _ in range(_PER_TURN):
            if self._socket is None:
                return
            try:
                body, address = self._socket.recvfrom(DATAGRAM_BYTES_MAX + 1)
            except BlockingIOError:
                return
            except OSError:  # somebody we wrote to has no such port
                continue
            if len(body) > DATAGRAM_BYTES_MAX:
                self.dropped += 1
            else:
                self._sink(body, (plain_host(address[0]), address[1]))


def bind_pair(
    bind_link: Callable[[str, int], Address], datagrams: Datagrams, host: str, port: int
) -> Address:
    """Bind the control door and UDP to one number; port 0 finds one that is free on both.

    Raises OSError for a taken port. UDP is bound first: it can be given back, a door cannot.
    """
    for _ in range(BIND_TRIES):
        _, number = datagrams.bind(host, port)
        try:
            return bind_link(host, number)
        except OSError as error:
            datagrams.close()
            if port or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free on both TCP and UDP at {host}")
