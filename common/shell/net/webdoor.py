"""The door for plain HTTP: reads heads of requests, writes what the role gives, keeps the limits.

What is sent is the role's decision (`common.web.web`); this file knows no path and no file.
Invariant: each connection costs at most one head and one span of memory, and none stays for longer
than its limits allow: a head that does not come, a reader that does not read. When all places are
taken a connection that asks for nothing gives way to a new one. Nothing comes in here but requests
to read.
"""

import asyncio
import errno
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from common.addresses import Address, Scope
from common.core import Effect, Event
from common.errors import Exit, UserError
from common.shell.desk.holder import describe_holder, unbound
from common.shell.drive import Performer
from common.web.http import HEAD_BYTES_MAX, BadRequestError, head_of, parse
from common.web.web import WebAsked, WebBody, WebBreak, WebHead, WebLeft, WebTaken

REFUSALS_MAX: Final = 16  # connections that are told why not, beyond the places; more are just cut
LINGER_BYTES_MAX: Final = 64 * 1024  # read and forgotten, so that a refusal is not lost by a reset
_END: Final = b"\r\n\r\n"
_ANSWERED: Final = (ConnectionError, TimeoutError, OSError, asyncio.IncompleteReadError)

Feed = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What readers over HTTP are allowed; counts, bytes and seconds."""

    connections_max: int = 64  # a span of 256 KiB each, and asyncio's copy of it: 32 MiB
    address_max: int = 16  # of one address: what aria2 opens at most to one server
    counted: Scope = Scope.PUBLIC  # addresses of this scope on; a nearer one may be a whole house
    head_bytes_max: int = HEAD_BYTES_MAX
    head_s: float = 15.0  # until a head is whole, the wait for the next request included
    answer_s: float = 60.0  # for the disk; wild guess
    span_s: float = 60.0  # for one span to leave: 4.4 kB/s is the slowest reader
    linger_s: float = 2.0  # for a refusal to arrive


class _Connection:
    """One reader. It `waits` while it has no request that is being answered."""

    __slots__ = ("address", "inbox", "reader", "waits", "writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.address = address
        self.inbox: asyncio.Queue[WebHead | WebBody | WebBreak] = asyncio.Queue()
        self.waits = True

    def cut(self) -> None:
        """End it now; the other end sees that its answer is not whole."""
        self.writer.transport.abort()


class WebDoor:
    """Listens, and holds every connection."""

    def __init__(self, feed: Feed, limits: WebLimits | None = None) -> None:
        self._feed = feed
        self._limits = limits or WebLimits()
        self._connections: dict[asyncio.Task[None], _Connection] = {}  # in the order of waiting
        self._requests: dict[int, _Connection] = {}
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self.dropped: dict[str, int] = {}

    async def open(self, host: str, port: int) -> Address:
        """Listen at an IP literal, at a free port where it is 0; tells where. Raises UserError,
        exit 10 where the port is taken."""
        listening = _listening(host, port)
        self._server = await asyncio.start_server(
            self._met, sock=listening, limit=self._limits.head_bytes_max
        )
        return Address.of(*listening.getsockname()[:2])

    def performers(self) -> dict[type[Effect], Performer]:
        """What this can do, by effect."""
        return dict.fromkeys((WebHead, WebBody, WebBreak), self._give)

    async def close(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections)
        for connection in self._connections.values():
            connection.inbox.put_nowait(WebBreak(0))
            connection.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- connections ------------------------------------------------------------------------

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        peer = writer.get_extra_info("peername")
        if task is None or not peer:  # it is gone already
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=0)  # `drain` ends when all has left
        connection = _Connection(reader, writer, Address.of(*peer[:2]))
        room = self._make_room(connection.address)
        told = len(self._connections) < self._limits.connections_max + REFUSALS_MAX
        self._connections[task] = connection
        try:
            if room:
                await self._serve(task, connection)
            else:
                self._count("web connection refused")
                connection.waits = False
                if told:
                    await self._refuse(connection, 503, "Too many read here now; try again later.")
        except _ANSWERED:
            pass  # it left, or was too slow
        finally:
            del self._connections[task]
            writer.transport.abort()

    def _make_room(self, address: Address) -> bool:
        """Whether a new connection has a place; one that asks for nothing may have to go for it."""
        limits, others = self._limits, list(self._connections.values())
        if address.scope >= limits.counted:
            same = [each for each in others if each.address.ip == address.ip]
            if len(same) >= limits.address_max:
                return self._make_way(same)
        return len(others) < limits.connections_max or self._make_way(others)

    def _make_way(self, among: list[_Connection]) -> bool:
        """End the one that has waited longest for its next request."""
        longest = next((each for each in among if each.waits), None)
        if longest is None:
            return False
        self._count("web connection idle")
        longest.waits = False
        longest.cut()
        return True

    async def _serve(self, task: asyncio.Task[None], connection: _Connection) -> None:
        goes_on = True
        while goes_on:
            connection.waits = True
            self._connections[task] = self._connections.pop(task)  # it waits since now
            try:
                async with asyncio.timeout(self._limits.head_s):
                    head = await connection.reader.readuntil(_END)
                connection.waits = False
                request = parse(head)
            except asyncio.LimitOverrunError:
                text = f"The head of a request has at most {self._limits.head_bytes_max} bytes."
                await self._refuse(connection, 431, text)
                return
            except BadRequestError as error:
                await self._refuse(connection, error.status, error.reason)
                return
            number = next(self._numbers)
            self._requests[number] = connection
            try:
                self._feed(WebAsked(number, request))
                goes_on = await self._answer(connection, request.keep_alive)
            finally:
                del self._requests[number]
                self._feed(WebLeft(number))
        await self._part(connection)

    # --- answers ----------------------------------------------------------------------------

    def _give(self, effect: WebHead | WebBody | WebBreak) -> None:
        connection = self._requests.get(effect.request)
        if connection is not None:
            connection.inbox.put_nowait(effect)

    async def _answer(self, connection: _Connection, keep_alive: bool) -> bool:
        """Write one answer; whether another request may follow it."""
        while True:
            async with asyncio.timeout(self._limits.answer_s):
                effect = await connection.inbox.get()
            if isinstance(effect, WebBreak):
                self._count("web answer broken off")
                connection.cut()
                return False
            if isinstance(effect, WebHead):
                connection.writer.write(_head(effect, keep_alive=keep_alive) + effect.content)
            else:
                connection.writer.write(effect.data)
            try:
                async with asyncio.timeout(self._limits.span_s):
                    await connection.writer.drain()
            except TimeoutError:
                self._count("web reader too slow")
                raise
            if effect.final:
                return keep_alive
            if isinstance(effect, WebBody):
                self._feed(WebTaken(effect.request))

    async def _refuse(self, connection: _Connection, status: int, sentence: str) -> None:
        """An answer of the door's own, and the last one."""
        content = f"{sentence}\n".encode()
        fields = (("Content-Length", str(len(content))), ("Content-Type", "text/plain"))
        answer = WebHead(0, status, fields, content, final=True)
        connection.writer.write(_head(answer, keep_alive=False) + content)
        await self._part(connection)

    async def _part(self, connection: _Connection) -> None:
        """Close so that what was written arrives: what still comes in is read and forgotten."""
        async with asyncio.timeout(self._limits.linger_s):
            await connection.writer.drain()
            connection.writer.write_eof()
            left = LINGER_BYTES_MAX
            while left > 0 and (data := await connection.reader.read(left)):
                left -= len(data)

    def _count(self, what: str) -> None:
        self.dropped[what] = self.dropped.get(what, 0) + 1


def _head(answer: WebHead, *, keep_alive: bool) -> bytes:
    parting = () if keep_alive else (("Connection", "close"),)
    return head_of(answer.status, (("Date", formatdate(usegmt=True)), *answer.fields, *parting))


def _listening(host: str, port: int) -> socket.socket:
    """`::` takes IPv4 too, as the other doors do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, dualstack_ipv6=host == "::", backlog=128
        )
    except OSError as error:
        where = Address.of(host, port)
        if error.errno == errno.EADDRINUSE:
            text = f"{where} is taken by {describe_holder(port, host)}."
            hint = "Stop that program, or serve elsewhere with --http HOST:PORT."
            raise UserError(Exit.BUSY, text, hint) from error
        text = f"Cannot serve HTTP at {where}: {error.strerror or error}."
        raise UserError(Exit.USAGE, text, unbound(error, "--http")) from error
