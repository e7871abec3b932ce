"""Fetches ranges from web servers for the role, bounded in time, size, redirects and connections.

Plain HTTP/1.1 only. The name of a host is resolved here and the address that was judged is the one
that is dialled. Invariant: an order is answered once, with exactly the bytes that were asked for or
with the reason why not; nothing else of what a server sends is kept. What the bytes are worth is
not known here.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from common.addresses import Address
from common.content.merkle import HASH_BYTES, FileHasher, piece_count
from common.content.webseeds import HTTP_PORT, URL_CHARS_MAX, refusal
from common.core import Effect, Event
from common.shell.drive import Performer
from common.web.http import Answer, BadRequestError, parse_answer
from common.web.webget import WebFailed, WebFetch, WebFetched, WebFetchLayer, WebStop

REDIRECTS_MAX: Final = 3  # wild guess: a mirror's choice is one or two
IDLE_MAX: Final = 16  # connections kept for the next range, of all servers
_READ_BYTES: Final = 64 * 1024  # at once; no head is longer either
_END: Final = b"\r\n\r\n"
_MOVED: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)  # it may be better later

Feed = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class WebClientLimits:
    """What a web server is allowed; seconds."""

    range_s: float = 60.0  # for one range of at most 1 MiB: 17 kB/s is the slowest
    head_s: float = 20.0  # to connect, and until the head of an answer is there
    block_s: float = 20.0  # for the next bytes, while a whole file is read


class _UselessError(Exception):
    """Trying again would not help."""


class _Line(NamedTuple):
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Opened(NamedTuple):
    """An answer whose head has come, and where its bytes will."""

    answer: Answer
    line: _Line
    place: Address


class WebClient:
    """All that one node fetches from web servers."""

    def __init__(self, feed: Feed, limits: WebClientLimits | None = None) -> None:
        self._feed = feed
        self._limits = limits or WebClientLimits()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._idle: list[tuple[Address, _Line]] = []

    @property
    def kept(self) -> int:
        """How many connections wait for the next range."""
        return len(self._idle)

    def performers(self) -> dict[type[Effect], Performer]:
        """What this can do, by effect."""
        return {WebFetch: self._begin, WebFetchLayer: self._begin, WebStop: self._stop}

    async def close(self) -> None:
        """Drop everything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, line in self._idle:
            line.writer.transport.abort()
        self._idle.clear()

    def _begin(self, effect: WebFetch | WebFetchLayer) -> None:
        task = asyncio.get_running_loop().create_task(self._do(effect))
        self._tasks[effect.fetch] = task

    def _stop(self, effect: WebStop) -> None:
        task = self._tasks.pop(effect.fetch, None)
        if task is not None:
            task.cancel()

    async def _do(self, effect: WebFetch | WebFetchLayer) -> None:
        event: Event
        try:
            if isinstance(effect, WebFetch):
                async with asyncio.timeout(self._limits.range_s):
                    data = await self._range(effect)
            else:
                data = await self._layer(effect)
            event = WebFetched(effect.fetch, memoryview(data))
        except (_UselessError, BadRequestError, ValueError) as error:
            event = WebFailed(effect.fetch, str(error), lasting=True)
        except TimeoutError:
            event = WebFailed(effect.fetch, "it did not answer in time", lasting=False)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            event = WebFailed(effect.fetch, reason, lasting=False)
        if self._tasks.pop(effect.fetch, None) is not None:  # else it was stopped
            self._feed(event)

    # --- what is asked ----------------------------------------------------------------------

    async def _range(self, effect: WebFetch) -> bytes:
        last = effect.offset + effect.length - 1
        opened = await self._open(effect.url, f"Range: bytes={effect.offset}-{last}\r\n")
        with _cut_on_error(opened.line):
            if not opened.answer.is_range(effect.offset, effect.length, effect.size):
                raise _useless(opened.answer)
            data = await opened.line.reader.readexactly(effect.length)
        self._keep(opened)
        return data

    async def _layer(self, effect: WebFetchLayer) -> bytes:
        length = piece_count(effect.size) * HASH_BYTES
        if effect.layer_url:
            opened = await self._open(effect.layer_url)
            with _cut_on_error(opened.line):
                if (opened.answer.status, opened.answer.length) == (200, length):
                    async with asyncio.timeout(self._limits.range_s):
                        data = await opened.line.reader.readexactly(length)
                    self._keep(opened)
                    return data
                opened.line.writer.transport.abort()
        return await self._hashed(effect)

    async def _hashed(self, effect: WebFetchLayer) -> bytes:
        """The layer of what is there now, made by reading all of it once."""
        opened = await self._open(effect.url)
        hasher, left = FileHasher(effect.size), effect.size
        with _cut_on_error(opened.line):
            if not opened.answer.is_range(0, effect.size, effect.size):
                raise _useless(opened.answer)
            while left:
                async with asyncio.timeout(self._limits.block_s):
                    block = await opened.line.reader.read(min(_READ_BYTES, left))
                if not block:
                    raise ConnectionResetError("it broke off")
                hasher.update(block)
                left -= len(block)
        self._keep(opened)
        tree = hasher.finish()
        return tree.layer or tree.root

    # --- connections ------------------------------------------------------------------------

    async def _open(self, url: str, more: str = "") -> _Opened:
        """Ask, and follow redirects; the head of the last answer."""
        came_from: Address | None = None
        for _ in range(REDIRECTS_MAX + 1):
            async with asyncio.timeout(self._limits.head_s):
                opened = await self._ask(url, came_from, more)
            if opened.answer.status not in _MOVED:
                return opened
            opened.line.writer.transport.abort()  # what it says besides is not read
            url = urljoin(url, opened.answer.fields.get("location", ""))
            came_from = opened.place
        raise _UselessError(f"it redirects more than {REDIRECTS_MAX} times")

    async def _ask(self, url: str, came_from: Address | None, more: str) -> _Opened:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme != "http" or not parts.hostname or len(url) > URL_CHARS_MAX or not plain:
            raise _UselessError("it leads to what is no file over plain HTTP")
        place = await _resolved(parts.hostname, parts.port or HTTP_PORT)
        if reason := refusal(url, place, came_from):
            raise _UselessError(reason)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n{more}"
            "User-Agent: superpeer\r\nAccept-Encoding: identity\r\n\r\n"
        ).encode("ascii")
        while (line := self._idle_line(place)) is not None:
            with suppress(OSError, asyncio.IncompleteReadError):  # it was closed meanwhile
                return _Opened(await _head_of(line, request), line, place)
        reader, writer = await asyncio.open_connection(place.host, place.port, limit=_READ_BYTES)
        line = _Line(reader, writer)
        return _Opened(await _head_of(line, request), line, place)

    def _idle_line(self, place: Address) -> _Line | None:
        for at, (where, line) in enumerate(self._idle):
            if where == place:
                del self._idle[at]
                return line
        return None

    def _keep(self, opened: _Opened) -> None:
        """Everything was read, so the next request may follow."""
        if opened.answer.keep_alive:
            self._idle.append((opened.place, opened.line))
        else:
            opened.line.writer.close()
        for _, line in self._idle[:-IDLE_MAX]:
            line.writer.transport.abort()
        del self._idle[:-IDLE_MAX]


@contextmanager
def _cut_on_error(line: _Line) -> Iterator[None]:
    """End the connection with the block: what is left of an answer would be taken for the next."""
    try:
        yield
    except BaseException:
        line.writer.transport.abort()
        raise


async def _head_of(line: _Line, request: bytes) -> Answer:
    with _cut_on_error(line):
        line.writer.write(request)
        await line.writer.drain()
        return parse_answer(await line.reader.readuntil(_END))


async def _resolved(host: str, port: int) -> Address:
    """The address that the system prefers."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OSError(
            f"its host is unknown: {getattr(error, 'strerror', None) or error}"
        ) from error
    return Address.of(str(found[0][4][0]), port)


def _useless(answer: Answer) -> Exception:
    """Why this answer is of no use: an OSError where that may pass."""
    if answer.status in _PASSING:
        return OSError(f"it answers {answer.status}")
    if answer.status in (200, 206):
        return _UselessError("it does not send the ranges of a file of that size")
    return _UselessError(f"it answers {answer.status}")
