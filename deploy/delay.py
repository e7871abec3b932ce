"""A link that takes its time: a TCP proxy on loopback that passes bytes on later than they came.

Each direction keeps its order and its whole bandwidth; only the way takes `one_way_s` longer. When
one end goes, the other is cut after what was under way, so that a killed process is noticed through
the proxy as without it. All proxies of a run share one thread.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

READ_BYTES = 65536
WAITING_MAX = 1024  # reads under way in one direction; beyond it the sender waits


class Delays:
    """Proxies, each before one address; leaving the `with` block closes all."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._relays: dict[asyncio.Task[None], None] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def before(self, host: str, port: int, one_way_s: float) -> int:
        """The port of a new proxy to `host`:`port`, at the same address of loopback."""
        opening = self._open(host, port, one_way_s)
        return asyncio.run_coroutine_threadsafe(opening, self._loop).result()

    async def _open(self, host: str, port: int, one_way_s: float) -> int:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            relay = asyncio.create_task(_relay(reader, writer, host, port, one_way_s))
            self._relays[relay] = None
            relay.add_done_callback(self._relays.pop)

        server = await asyncio.start_server(accepted, host, 0)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        relays = list(self._relays)
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket one turn later


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    port: int,
    one_way_s: float,
) -> None:
    """Pass on both ways until either end is gone."""
    try:
        with contextlib.suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection(host, port)
            try:
                await _either(
                    _carry(reader, there_writer, one_way_s), _carry(there_reader, writer, one_way_s)
                )
            finally:
                there_writer.transport.abort()
    finally:
        writer.transport.abort()


async def _either(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one_way_s: float
) -> None:
    """One direction: what was read at t is written at t + `one_way_s`, and the end of it too."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_MAX)

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await waiting.put((loop.time() + one_way_s, data))
        await waiting.put((loop.time() + one_way_s, b""))
        await delivering
    finally:
        delivering.cancel()
