"""The door for HTTP: real sockets, a role that is a few lines, and every limit."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from common.addresses import Address, Scope
from common.core import Effect, Event
from common.errors import Exit, UserError
from common.shell.net.webdoor import REFUSALS_MAX, WebDoor, WebLimits
from common.web.web import WebAsked, WebBody, WebBreak, WebHead, WebLeft, WebTaken

MIB = 1024 * 1024
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENT = WebLimits(head_s=60.0, answer_s=60.0, span_s=60.0, linger_s=60.0)


class Role:
    """Answers by path: /ok a few bytes, /endless spans for ever, /break a part, /never nothing."""

    def __init__(self, limits: WebLimits) -> None:
        self.door = WebDoor(self.feed, limits)
        self.events: list[Event] = []
        self.endless: dict[int, None] = {}
        self.ended = asyncio.Event()  # a request was over

    def give(self, effect: Effect) -> None:
        """Perform an effect."""
        self.door.performers()[type(effect)](effect)

    def feed(self, event: Event) -> None:
        """What the driver does."""
        self.events.append(event)
        if isinstance(event, WebAsked):
            self.asked(event.request, event.head.path)
        elif isinstance(event, WebTaken) and event.request in self.endless:
            self.give(WebBody(event.request, memoryview(bytes(MIB))))
        elif isinstance(event, WebLeft):
            self.endless.pop(event.request, None)
            self.ended.set()

    def asked(self, number: int, path: str) -> None:
        """Answer."""
        if path == "/ok":
            self.give(WebHead(number, 200, (("Content-Length", "4"),), b"okay", final=True))
        elif path in ("/endless", "/break"):
            self.give(WebHead(number, 200, (("Content-Length", str(2**40)),)))
            self.give(WebBody(number, memoryview(bytes(1000))))
            if path == "/break":
                self.give(WebBreak(number))
            else:
                self.endless[number] = None


@asynccontextmanager
async def served(limits: WebLimits = PATIENT) -> AsyncIterator[tuple[Role, Address]]:
    """A role with its door open on loopback."""
    role = Role(limits)
    address = await role.door.open("127.0.0.1", 0)
    try:
        yield role, address
    finally:
        await role.door.close()


class Reader:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: Address, source: str = "127.0.0.1") -> "Reader":
        """Connect from this address."""
        at = None if source == "127.0.0.1" else (source, 0)
        return cls(*await asyncio.open_connection(address.host, address.port, local_addr=at))

    async def ask(self, data: bytes) -> bytes:
        """Send this; the head of the answer."""
        self.writer.write(data)
        return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """All until the other end closes or cuts the connection."""
        got = b""
        try:
            while data := await self.reader.read(MIB):
                got += data
        except ConnectionError:
            pass
        self.writer.close()
        return got


async def test_one_connection_carries_many_requests() -> None:
    """Also when they are sent before the answers came; `Connection: close` ends it."""
    async with served() as (role, address):
        client = await Reader.to(address)
        head = await client.ask(GET % b"/ok" * 3)
        assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        assert await client.reader.readexactly(4) == b"okay"
        for _ in range(2):
            assert b"200 OK" in await client.ask(b"")
            await client.reader.readexactly(4)
        last = (GET % b"/ok").replace(b"Host: a", b"Host: a\r\nConnection: close")
        assert b"Connection: close" in await client.ask(last)
        assert await client.rest() == b"okay"
        asked = [each.request for each in role.events if isinstance(each, WebAsked)]
        left = [each.request for each in role.events if isinstance(each, WebLeft)]
        assert asked == left == [1, 2, 3, 4]


async def test_an_answer_that_cannot_be_ended_is_cut() -> None:
    """The reader gets less than it was promised, and so knows."""
    async with served() as (role, address):
        client = await Reader.to(address)
        assert b"Content-Length: 1099511627776" in await client.ask(GET % b"/break")
        assert len(await client.rest()) == 1000
        assert role.door.dropped == {"web answer broken off": 1}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/3.0\r\n\r\n", b"505"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, b"431"),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
    ],
)
async def test_what_is_no_request_is_told_so(data: bytes, status: bytes) -> None:
    """With a status and one sentence, which arrive however much was sent; then the end."""
    async with served() as (role, address):
        client = await Reader.to(address)
        client.writer.write(data)
        client.writer.write_eof()
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.endswith(b".\n")
        assert role.events == []


async def test_an_endless_head_is_cut() -> None:
    """Field after field: 8 KiB are read as a head, 64 KiB forgotten, and the connection ends."""
    async with served() as (role, address):
        client = await Reader.to(address)
        client.writer.write(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            while True:
                client.writer.write(b"X-Field: value\r\n" * 64)
                await client.writer.drain()
        client.writer.close()
        assert role.events == []


async def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    """`head_s` from the connection on, however its bytes drip, and again from each answer on."""
    async with served(WebLimits(head_s=0.05)) as (role, address):
        silent, slow = await Reader.to(address), await Reader.to(address)
        slow.writer.write(b"GET / HT")
        assert await silent.rest() == await slow.rest() == b""
        kept = await Reader.to(address)
        assert b"200 OK" in await kept.ask(GET % b"/ok")
        assert await kept.rest() == b"okay"
        assert len(role.events) == 2


async def test_a_reader_that_does_not_read_is_cut() -> None:
    """`span_s` for one span to leave; the role hears that it is over and gives no more."""
    async with served(WebLimits(span_s=0.05)) as (role, address):
        client = await Reader.to(address)
        await client.ask(GET % b"/endless")
        await role.ended.wait()
        assert role.door.dropped == {"web reader too slow": 1}
        spans = sum(isinstance(each, WebTaken) for each in role.events)
        assert len(await client.rest()) <= 1000 + spans * MIB + MIB


async def test_a_role_that_does_not_answer() -> None:
    """`answer_s`, as a disk may hang; then the connection is cut."""
    async with served(WebLimits(answer_s=0.05)) as (role, address):
        client = await Reader.to(address)
        client.writer.write(GET % b"/never")
        assert await client.rest() == b""
        assert [type(each) for each in role.events] == [WebAsked, WebLeft]


async def test_a_reader_that_leaves_is_told_on() -> None:
    """In the middle of an answer."""
    async with served() as (role, address):
        client = await Reader.to(address)
        await client.ask(GET % b"/endless")
        client.writer.transport.abort()
        await role.ended.wait()
        assert isinstance(role.events[-1], WebLeft)


async def test_a_thousand_silent_connections_keep_nobody_out() -> None:
    """Who asks for nothing gives way, the one that has waited longest first."""
    async with served() as (role, address):
        crowd = [await Reader.to(address) for _ in range(1000)]
        client = await Reader.to(address)
        assert b"200 OK" in await client.ask(GET % b"/ok")
        over = 1001 - PATIENT.connections_max
        assert role.door.dropped == {"web connection idle": over}
        ends = await asyncio.gather(*[each.rest() for each in crowd[:over]])
        assert ends == [b""] * over
        assert b"200 OK" in await crowd[over].ask(GET % b"/ok")
        for each in [client, *crowd[over:]]:
            each.writer.close()


async def test_when_everybody_reads_the_next_is_told() -> None:
    """503, and beyond some that are told so just the end; nobody's answer is cut for it."""
    limits = WebLimits(connections_max=3, head_s=60.0, span_s=60.0, linger_s=60.0)
    async with served(limits) as (role, address):
        readers = [await Reader.to(address) for _ in range(3)]
        for each in readers:
            await each.ask(GET % b"/endless")
        refused = [await Reader.to(address) for _ in range(REFUSALS_MAX)]
        for each in refused:
            assert (await each.ask(b"")).startswith(b"HTTP/1.1 503")
        assert await (await Reader.to(address)).rest() == b""
        assert len(role.endless) == 3
        assert role.door.dropped == {"web connection refused": REFUSALS_MAX + 1}
        for each in [*readers, *refused]:
            each.writer.transport.abort()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8")
async def test_one_address_has_few_places() -> None:
    """In public scope: its own oldest gives way, and other addresses keep theirs."""
    limits = WebLimits(address_max=2, counted=Scope.LOOPBACK, head_s=60.0, linger_s=60.0)
    async with served(limits) as (_, address):
        other = await Reader.to(address, "127.0.0.2")
        first, second = await Reader.to(address), await Reader.to(address)
        await second.ask(GET % b"/endless")
        third = await Reader.to(address)
        assert await first.rest() == b""
        await third.ask(GET % b"/endless")
        refused = await Reader.to(address)
        assert (await refused.ask(b"")).startswith(b"HTTP/1.1 503")
        assert b"200 OK" in await other.ask(GET % b"/ok")
        for each in (other, second, third, refused):
            each.writer.transport.abort()


@pytest.mark.parametrize(("host", "counts"), [("1.1.1.1", True), ("10.0.0.1", False)])
def test_whose_connections_are_counted(host: str, counts: bool) -> None:
    """A private address may be a proxy, or one that many machines share."""
    assert (Address.of(host, 1).scope >= WebLimits().counted) is counts


async def test_a_port_that_is_taken() -> None:
    """Exit 10; an address that is not ours, exit 2."""
    async with served() as (_, address):
        with pytest.raises(UserError) as caught:
            await WebDoor(lambda _event: None).open("127.0.0.1", address.port)
        assert caught.value.code is Exit.BUSY
    with pytest.raises(UserError) as caught:
        await WebDoor(lambda _event: None).open("192.0.2.1", 0)
    assert caught.value.code is Exit.USAGE


async def test_every_address_is_of_both_families() -> None:
    """`::` takes IPv4 too, as the other doors."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    role = Role(PATIENT)
    address = await role.door.open("::", 0)
    client = await Reader.to(Address.of("127.0.0.1", address.port))
    assert b"200 OK" in await client.ask(GET % b"/ok")
    client.writer.close()
    await role.door.close()


async def test_closing_ends_every_connection() -> None:
    """Those that wait, those that read, and those whose answer has not come."""
    role = Role(PATIENT)
    address = await role.door.open("127.0.0.1", 0)
    clients = [await Reader.to(address) for _ in range(3)]
    await clients[0].ask(GET % b"/endless")
    clients[1].writer.write(GET % b"/never")
    ends: list[Callable[[], Awaitable[bytes]]] = [each.rest for each in clients[1:]]
    while sum(isinstance(each, WebAsked) for each in role.events) < 2:
        await asyncio.sleep(0)
    await role.door.close()
    assert [await end() for end in ends] == [b"", b""]
    clients[0].writer.transport.abort()
