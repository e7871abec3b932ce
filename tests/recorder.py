"""A sink that remembers what a transport told it, and lets a test wait for more."""

import asyncio
from collections.abc import Callable

from nacl.public import PrivateKey

from common.doors import Door
from common.shell.net.descriptors import Address
from common.shell.net.sockets import Transport, TransportLimits
from common.shell.net.switchboard import Context

LOOPBACK = "127.0.0.1"


class Recorder:
    """Remembers every call; `until` waits for a condition over what it remembers."""

    def __init__(self) -> None:
        self.opens: list[tuple[int, Door, bytes, Address, bool]] = []
        self.frames: list[tuple[int, bytes, bytes | None]] = []
        self.closes: list[tuple[int, str]] = []
        self._changed = asyncio.Event()

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: Address, inbound: bool
    ) -> None:
        """A link opened."""
        self.opens.append((link, door, curve_key, address, inbound))
        self._changed.set()

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """A message came."""
        self.frames.append((link, bytes(body), None if data is None else bytes(data)))
        self._changed.set()

    def moving(self, link: int) -> None:
        """Nothing hangs on it here."""

    def closed(self, link: int, reason: str) -> None:
        """A link ended."""
        self.closes.append((link, reason))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it is asked again after each call."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def received(self, count: int) -> None:
        """Return once so many messages have come."""
        await self.until(lambda: len(self.frames) >= count)

    async def first_link(self) -> int:
        """Return the number of the first link, once it is open."""
        await self.until(lambda: bool(self.opens))
        return self.opens[0][0]

    @property
    def bodies(self) -> list[bytes]:
        """What the messages said, in order."""
        return [body for _, body, _ in self.frames]

    def reason(self, link: int) -> str | None:
        """Why a link ended; None if it has not."""
        return dict(self.closes).get(link)


class End:
    """One node that is nothing but a transport and its sink."""

    def __init__(
        self,
        limits: TransportLimits | None = None,
        context: Context | None = None,
        sink: Recorder | None = None,
    ) -> None:
        pair = PrivateKey.generate()
        self.key = bytes(pair.public_key)
        self.sink = sink or Recorder()
        self.transport = Transport(
            asyncio.get_running_loop(),
            bytes(pair),
            self.key,
            limits or TransportLimits(),
            self.sink,
            context=context,
        )

    def bind(self, door: Door = Door.CONTROL, host: str = LOOPBACK) -> Address:
        """Open a door at a free port."""
        return self.transport.bind(door, host, 0)

    async def link_to(
        self, other: "End", at: Address, door: Door = Door.CONTROL
    ) -> tuple[int, int]:
        """Dial and say hello; the numbers of the link here and there."""
        link = self.transport.dial(door, at, other.key)
        await self.sink.until(lambda: any(opened[0] == link for opened in self.sink.opens))
        before = len(other.sink.frames)
        self.transport.send(link, b"hello")
        await other.sink.until(lambda: len(other.sink.frames) > before)
        return link, other.sink.opens[-1][0]

    async def failure(self, link: int) -> str:
        """Wait for a link's end; why."""
        await self.sink.until(lambda: self.sink.reason(link) is not None)
        return self.sink.reason(link) or ""
