"""Fetching from web servers: real sockets, servers of every kind, and every limit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from common.addresses import Address
from common.content.merkle import FileHasher, piece_count
from common.content.webseeds import refusal
from common.core import Event
from common.shell.net.webclient import IDLE_MAX, REDIRECTS_MAX, WebClient, WebClientLimits
from common.web.webget import WebFailed, WebFetch, WebFetched, WebFetchLayer, WebStop

DATA = Random(1).randbytes(200_000)  # 13 pieces
SIZE = len(DATA)

Answering = Callable[[str, dict[str, str]], bytes | None]  # path, fields; None: say nothing


def ranged(data: bytes = DATA) -> Answering:
    """As web servers do."""

    def answer(_path: str, fields: dict[str, str]) -> bytes:
        asked = fields.get("range", "")
        if not asked:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        first, last = (int(each) for each in asked.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        head = "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}"
        text = head.format(len(part), first, first + len(part) - 1, len(data))
        return text.encode() + b"\r\n\r\n" + part

    return answer


class Server:
    """Answers requests one after the other; counts connections and keeps the paths."""

    def __init__(self, answering: Answering, *, closes: bool = False) -> None:
        self.answering = answering
        self.closes = closes
        self.connections = 0
        self.paths: list[str] = []
        self.gone = asyncio.Event()
        self.ended: list[asyncio.Event] = []

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.ended.append(done := asyncio.Event())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.decode().split("\r\n")
                path = line.split(" ")[1]
                self.paths.append(path)
                pairs = [each.partition(": ") for each in lines if each]
                answer = self.answering(path, {name.lower(): value for name, _, value in pairs})
                writer.write(answer or b"")
                await writer.drain()
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.gone.set()
        writer.close()
        done.set()

    async def over(self) -> None:
        """Every connection has ended."""
        for each in self.ended:
            await each.wait()


class Fetching:
    """A client and what it says."""

    def __init__(self, limits: WebClientLimits | None) -> None:
        self.client = WebClient(self.heard, limits)
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def heard(self, event: Event) -> None:
        """What the driver would feed."""
        self.events.put_nowait(event)

    async def order(self, effect: WebFetch | WebFetchLayer) -> Event:
        """Do one thing and wait for its answer."""
        self.client.performers()[type(effect)](effect)
        return await self.events.get()


@asynccontextmanager
async def serving(
    answering: Answering, limits: WebClientLimits | None = None, *, closes: bool = False
) -> AsyncIterator[tuple[Server, Fetching, str]]:
    """A server on loopback, a client, and the server's URL."""
    server = Server(answering, closes=closes)
    listening = await asyncio.start_server(server.met, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    fetching = Fetching(limits)
    try:
        yield server, fetching, f"http://127.0.0.1:{port}/"
    finally:
        await fetching.client.close()
        await server.over()
        listening.close()


def part(url: str, offset: int = 0, length: int = 100, number: int = 1) -> WebFetch:
    """An order for a range."""
    return WebFetch(number, url, offset, length, SIZE)


async def test_ranges_come_over_one_connection() -> None:
    """Kept for the next one; another takes its place where the server closes it."""
    async with serving(ranged()) as (server, fetching, url):
        for number, offset in enumerate((0, 100, 199_900)):
            came = await fetching.order(part(url + "a", offset, 100, number))
            assert came == WebFetched(number, memoryview(DATA)[offset : offset + 100])
        assert server.connections == 1
        whole = await fetching.order(part(url + "a?b", 0, SIZE))
        assert isinstance(whole, WebFailed)  # a path only, on this machine
    async with serving(ranged(), closes=True) as (server, fetching, url):
        for _ in range(3):
            assert isinstance(await fetching.order(part(url)), WebFetched)
            await server.gone.wait()
        assert server.connections >= 3


async def test_connections_kept_are_few() -> None:
    """However many ranges come side by side."""
    async with serving(ranged()) as (_, fetching, url):
        for number in range(3 * IDLE_MAX):
            fetching.client.performers()[WebFetch](part(url, number, 10, number))
        for _ in range(3 * IDLE_MAX):
            assert isinstance(await fetching.events.get(), WebFetched)
        assert 0 < fetching.client.kept <= IDLE_MAX


def fixed(head: str, body: bytes = b"") -> Answering:
    """The same to everybody."""
    return lambda _path, _fields: head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answering", "why", "lasting"),
    [
        (fixed("HTTP/1.1 404 Not Found\nContent-Length: 0"), "404", True),
        (fixed("HTTP/1.1 503 Busy\nContent-Length: 0"), "503", False),
        (fixed("HTTP/1.1 200 OK\nContent-Length: 100", bytes(100)), "ranges", True),
        (fixed("HTTP/1.1 200 OK\nContent-Length: 200000", DATA), "ranges", True),
        (fixed("HTTP/1.1 206 P\nContent-Length: 100", bytes(100)), "ranges", True),
        (
            fixed("HTTP/1.1 206 P\nContent-Length: 100\nContent-Range: bytes 0-99/5", bytes(100)),
            "ranges",
            True,
        ),
        (
            fixed("HTTP/1.1 206 P\nTransfer-Encoding: chunked\nContent-Range: bytes 0-99/200000"),
            "ranges",
            True,
        ),
        (fixed("HELLO"), "no answer", True),
        (fixed("HTTP/1.1 200 OK\nno field"), "no field", True),
        (fixed("HTTP/1.1 200 OK\n" + "a: b\n" * 200), "no answer", True),
        (fixed("HTTP/1.1 302 Found\nLocation: /again"), "redirects", True),
        (fixed("HTTP/1.1 302 Found\nLocation: file:///etc/passwd"), "plain HTTP", True),
        (fixed("HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/?a"), "path", True),
        (fixed("HTTP/1.1 302 Found\nLocation: http://[::1/"), "", True),
        (fixed("HTTP/1.1 302 Found\nLocation: http://a/ä b"), "plain HTTP", True),
    ],
)
async def test_answers_that_are_of_no_use(answering: Answering, why: str, lasting: bool) -> None:
    """One sentence, and whether it is worth another try."""
    async with serving(answering) as (server, fetching, url):
        failed = await fetching.order(part(url))
        assert isinstance(failed, WebFailed)
        assert failed.lasting is lasting
        assert why in failed.reason
        assert len(server.paths) <= REDIRECTS_MAX + 1


async def test_a_redirect_is_followed() -> None:
    """To where the file is."""

    def answer(path: str, fields: dict[str, str]) -> bytes | None:
        if path == "/a":
            return b"HTTP/1.1 302 Found\r\nLocation: b%20c\r\nContent-Length: 5\r\n\r\nthere"
        return ranged()(path, fields)

    async with serving(answer) as (server, fetching, url):
        came = await fetching.order(part(url + "a", 7, 100))
        assert came == WebFetched(1, memoryview(DATA)[7:107])
        assert server.paths == ["/a", "/b%20c"]


@pytest.mark.parametrize(
    ("url", "address", "came_from", "refused"),
    [
        ("http://a/b", ("1.1.1.1", 80), None, False),
        ("http://a/b?c", ("1.1.1.1", 8080), None, False),
        ("http://a/b", ("1.1.1.1", 25), None, True),
        ("http://a/b", ("1.1.1.1", 443), None, True),
        ("http://a/b", ("10.0.0.1", 25), None, False),
        ("http://a/b?c", ("10.0.0.1", 80), None, True),
        ("http://a/b?c", ("127.0.0.1", 80), None, True),
        ("http://a/b", ("10.0.0.1", 80), ("1.1.1.1", 80), True),
        ("http://a/b", ("127.0.0.1", 80), ("10.0.0.1", 80), True),
        ("http://a/b", ("1.1.1.1", 80), ("127.0.0.1", 80), False),
        ("http://a/b", ("0.0.0.0", 80), None, True),
        ("http://a/b", ("224.0.0.1", 80), None, True),
    ],
)
def test_where_a_link_may_lead(
    url: str, address: tuple[str, int], came_from: tuple[str, int] | None, refused: bool
) -> None:
    """THREATS T3: to web servers of the internet, to paths near us, and never from far to near."""
    origin = Address.of(*came_from) if came_from else None
    assert bool(refusal(url, Address.of(*address), origin)) is refused


@pytest.mark.parametrize(
    ("answering", "limits"),
    [
        (lambda _path, _fields: None, WebClientLimits(head_s=0.05)),
        (fixed("HTTP/1.1 206 P\nContent-Length: 100\nContent-Range: bytes 0-99/200000"), None),
    ],
)
async def test_servers_that_are_too_slow(
    answering: Answering, limits: WebClientLimits | None
) -> None:
    """A head that does not come, a body that does not: it may be better later."""
    async with serving(answering, limits or WebClientLimits(range_s=0.05)) as (_, fetching, url):
        failed = await fetching.order(part(url))
        assert failed == WebFailed(1, "it did not answer in time", lasting=False)


async def test_an_endless_head_is_not_read() -> None:
    """64 KiB are the most."""
    endless = fixed("HTTP/1.1 200 OK\nX: " + "x" * 1_000_000)
    async with serving(endless) as (_, fetching, url):
        failed = await fetching.order(part(url))
        assert isinstance(failed, WebFailed)


async def test_nobody_there() -> None:
    """Not lasting: it may come up."""
    async with serving(ranged()) as (_, fetching, _url):
        failed = await fetching.order(part("http://127.0.0.1:1/a"))
        assert isinstance(failed, WebFailed)
        assert not failed.lasting
        unknown = await fetching.order(part("http://nowhere.invalid/a"))
        assert isinstance(unknown, WebFailed)
        assert "unknown" in unknown.reason


async def test_what_is_stopped_is_not_answered() -> None:
    """And its connection ends."""
    async with serving(lambda _path, _fields: None) as (server, fetching, url):
        fetching.client.performers()[WebFetch](part(url))
        while not server.paths:
            await asyncio.sleep(0)
        fetching.client.performers()[WebStop](WebStop(1))
        await server.gone.wait()
        assert fetching.events.empty()


def layer() -> bytes:
    """That of DATA."""
    hasher = FileHasher(SIZE)
    hasher.update(DATA)
    return hasher.finish().layer


async def test_a_layer_is_made_by_reading_the_file() -> None:
    """From any web server; a leaf's own has it ready."""

    def answer(path: str, fields: dict[str, str]) -> bytes | None:
        if path == "/t":
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            return head % len(layer()) + layer()
        return ranged()(path, fields)

    async with serving(answer) as (server, fetching, url):
        for layer_url in ("", url + "other", url + "t"):
            came = await fetching.order(WebFetchLayer(1, url + "a", layer_url, SIZE))
            assert came == WebFetched(1, memoryview(layer()))
        assert server.paths == ["/a", "/other", "/a", "/t"]
        assert piece_count(SIZE) * 32 == len(layer())


@pytest.mark.parametrize(
    ("answering", "lasting"),
    [
        (ranged(DATA + b"x"), True),
        (fixed("HTTP/1.1 404 Not Found\nContent-Length: 0"), True),
        (fixed(f"HTTP/1.1 200 OK\nContent-Length: {SIZE}", DATA[:70_000]), False),
    ],
)
async def test_a_layer_that_cannot_be_made(answering: Answering, lasting: bool) -> None:
    """Another length, nothing there, or it breaks off or stalls in the middle."""
    limits = WebClientLimits(block_s=0.2)
    async with serving(answering, limits) as (_, fetching, url):
        failed = await fetching.order(WebFetchLayer(1, url, "", SIZE))
        assert isinstance(failed, WebFailed)
        assert failed.lasting is lasting


async def test_closing_ends_what_is_under_way() -> None:
    """Without a word."""
    fetching = Fetching(None)
    server = Server(lambda _path, _fields: None)
    listening = await asyncio.start_server(server.met, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    fetching.client.performers()[WebFetch](part(f"http://127.0.0.1:{port}/"))
    while not server.paths:
        await asyncio.sleep(0)
    closing: Awaitable[None] = fetching.client.close()
    await closing
    await server.over()
    listening.close()
    assert fetching.events.empty()
