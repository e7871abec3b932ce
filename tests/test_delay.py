"""The link that takes its time: whole, in order, late, and cut when an end goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from deploy.delay import Delays

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def through(one_way_s: float) -> AsyncIterator[tuple[Streams, Streams]]:
    """Both ends of a connection that goes through a proxy."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Streams] = loop.create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        with Delays() as delays:
            port = delays.before("127.0.0.1", server.sockets[0].getsockname()[1], one_way_s)
            near = await asyncio.open_connection("127.0.0.1", port)
            far = await accepted
            yield near, far
            for _, writer in (near, far):
                await cut(writer)


async def cut(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, and wait until its socket is closed."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def test_bytes_arrive_whole_and_in_order() -> None:
    """A megabyte comes out as it went in, both ways."""
    data = bytes(range(256)) * 4096
    async with through(0.001) as (near, far):
        for (_, writer), (reader, _) in ((near, far), (far, near)):
            writer.write(data)
            assert await reader.readexactly(len(data)) == data


async def test_bytes_arrive_late() -> None:
    """A round trip takes at least twice the way."""
    async with through(0.05) as (near, far):
        began = time.monotonic()
        near[1].write(b"x")
        far[1].write(await far[0].readexactly(1))
        await near[0].readexactly(1)
        assert time.monotonic() - began >= 0.1


async def test_the_last_bytes_arrive_before_the_cut() -> None:
    """Who writes and goes is heard to the end, and then seen to be gone."""
    async with through(0.01) as (near, far):
        near[1].write(b"last words")
        near[1].close()
        assert await far[0].read() == b"last words"


async def test_nobody_behind_the_proxy_is_a_cut() -> None:
    """Where nothing listens, the one who dials is cut off."""
    with Delays() as delays:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", delays.before("127.0.0.1", 1, 0.0)
        )
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        await cut(writer)
