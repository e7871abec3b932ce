"""Data has left when the other host has it: by the kernel's count, whatever libzmq took."""

import asyncio

import pytest

from common.shell import departures
from common.shell.departures import Departures
from common.shell.net.descriptors import Traffic
from common.shell.net.watch import wire_bytes

BODY = 60
FRAME = wire_bytes(BODY) + wire_bytes(1000)


class Kernel:
    """What a kernel says of one link, and what is told to have left."""

    def __init__(self) -> None:
        self.traffic: Traffic | None = Traffic(0, 5000, 0, 0.0)
        self.left: list[int] = []
        self.asked = asyncio.Event()
        self.departures = Departures(
            asyncio.get_running_loop(), lambda _link: self._asked(), self._left
        )

    def _asked(self) -> Traffic | None:
        self.asked.set()
        return self.traffic

    def _left(self, _link: int, length: int) -> None:
        self.left.append(length)

    def send(self, data: int | None = 1000) -> None:
        """A frame that libzmq takes."""
        if data is not None:
            self.departures.expect(1)
        self.departures.sent(1, BODY, data)

    async def polled(self, times: int = 1) -> None:
        """It was asked so many times more."""
        for _ in range(times):
            self.asked.clear()
            await self.asked.wait()

    def acknowledge(self, count: int, unacked: int = 9999) -> None:
        """So many bytes more have arrived."""
        assert self.traffic is not None
        self.traffic = Traffic(0, self.traffic.acked + count, unacked, 0.0)


async def test_data_has_left_when_its_last_byte_is_acknowledged() -> None:
    """Not a byte earlier; and all that has left is told of at once."""
    kernel = Kernel()
    for _ in range(3):
        kernel.send()
    kernel.acknowledge(FRAME - 1)
    await kernel.polled(2)
    assert kernel.left == []
    kernel.acknowledge(1 + FRAME)
    await kernel.polled(2)
    assert kernel.left == [2000]
    kernel.acknowledge(FRAME)
    await kernel.polled()
    await asyncio.sleep(0)
    assert kernel.left == [2000, 1000]


async def test_messages_between_data_count_as_bytes() -> None:
    """What is sent before the data is acknowledged before it."""
    kernel = Kernel()
    kernel.send()
    kernel.send(None)
    kernel.send()
    kernel.acknowledge(2 * FRAME)
    await kernel.polled(2)
    assert kernel.left == [1000]
    kernel.acknowledge(wire_bytes(BODY))
    await kernel.polled()
    await asyncio.sleep(0)
    assert kernel.left == [1000, 1000]


async def test_a_miscount_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel holds nothing for long, all that libzmq was given has left."""
    monkeypatch.setattr(departures, "EMPTY_S", 2 * departures.POLL_MAX_S)
    kernel = Kernel()
    kernel.send()
    kernel.acknowledge(FRAME - 10, unacked=0)
    await kernel.polled(2)
    assert kernel.left == []
    await kernel.polled(2)
    await asyncio.sleep(0)
    assert kernel.left == [1000]


async def test_without_a_count_libzmq_is_believed() -> None:
    """Where the kernel does not count, data has left when it was taken."""
    kernel = Kernel()
    kernel.traffic = None
    kernel.send()
    await asyncio.sleep(0)
    assert kernel.left == [1000]


async def test_a_link_that_is_gone_tells_nothing() -> None:
    """What was on its way over it has not left."""
    kernel = Kernel()
    kernel.send()
    kernel.departures.forget(1)
    kernel.acknowledge(FRAME)
    kernel.send(None)
    await asyncio.sleep(2 * departures.POLL_S)
    assert kernel.left == []
