"""UDP beside the control door."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from common.limits import DATAGRAM_BYTES_MAX
from common.shell.net.datagrams import Datagrams, bind_pair
from common.shell.net.descriptors import Address

LOOPBACK = "127.0.0.1"


class Box:
    """One UDP end and what it got."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.datagrams = Datagrams(
            asyncio.get_running_loop(), lambda body, address: self.queue.put_nowait((body, address))
        )


@pytest.fixture
async def boxes() -> AsyncIterator[tuple[Box, Box]]:
    """Two ends."""
    pair = Box(), Box()
    yield pair
    for box in pair:
        box.datagrams.close()


@pytest.mark.parametrize(
    ("host", "target"), [(LOOPBACK, LOOPBACK), ("::1", "::1"), ("::", LOOPBACK), ("::", "::1")]
)
async def test_a_datagram_comes_with_its_address(
    boxes: tuple[Box, Box], host: str, target: str
) -> None:
    """IPv4 and IPv6, and both on one dual-stack socket; the answer goes back the same way."""
    here, there = boxes
    here.datagrams.bind(host, 0)
    _, port = there.datagrams.bind(host, 0)
    here.datagrams.send(b"ping", (target, port))
    body, address = await there.queue.get()
    assert (body, address[0]) == (b"ping", target)
    there.datagrams.send(b"pong", address)
    assert await here.queue.get() == (b"pong", (target, port))


async def test_the_size_limit_holds_in_both_directions(boxes: tuple[Box, Box]) -> None:
    """The longest passes, one byte more does not."""
    here, there = boxes
    here.datagrams.bind(LOOPBACK, 0)
    at = there.datagrams.bind(LOOPBACK, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(bytes(DATAGRAM_BYTES_MAX + 1), at)
        stranger.sendto(bytes(60_000), at)
    here.datagrams.send(bytes(DATAGRAM_BYTES_MAX + 1), at)
    here.datagrams.send(bytes(DATAGRAM_BYTES_MAX), at)
    body, _ = await there.queue.get()
    assert len(body) == DATAGRAM_BYTES_MAX
    assert (here.datagrams.dropped, there.datagrams.dropped) == (1, 2)


async def test_writing_to_nobody_breaks_nothing(boxes: tuple[Box, Box]) -> None:
    """A port that is closed, an address that is none, a socket that is not bound."""
    here, there = boxes
    at = there.datagrams.bind(LOOPBACK, 0)
    here.datagrams.send(b"unbound", at)
    here.datagrams.bind(LOOPBACK, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((LOOPBACK, 0))
        closed = gone.getsockname()
    here.datagrams.send(b"nobody", closed)
    here.datagrams.send(b"nowhere", ("::1", 9))
    here.datagrams.send(b"somebody", at)
    assert (await there.queue.get())[0] == b"somebody"


async def test_a_pair_takes_one_number_for_both(boxes: tuple[Box, Box]) -> None:
    """The number that UDP got is the one the door is asked to take."""
    here, _ = boxes
    asked: list[Address] = []

    def bind_link(host: str, port: int) -> Address:
        asked.append((host, port))
        if len(asked) < 3:
            raise OSError(errno.EADDRINUSE, "taken on TCP")
        return host, port

    address = bind_pair(bind_link, here.datagrams, LOOPBACK, 0)
    assert address == asked[-1]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        pytest.raises(OSError, match="in use"),
    ):
        other.bind(address)


async def test_a_given_port_that_is_taken_is_not_replaced(boxes: tuple[Box, Box]) -> None:
    """Neither when UDP nor when TCP has it; UDP is given back."""
    here, there = boxes
    host, port = there.datagrams.bind(LOOPBACK, 0)
    with pytest.raises(OSError, match="in use"):
        bind_pair(lambda host, port: (host, port), here.datagrams, host, port)
    there.datagrams.close()

    def taken(host: str, port: int) -> Address:
        raise OSError(errno.EADDRINUSE, "in use on TCP")

    with pytest.raises(OSError, match="in use"):
        bind_pair(taken, here.datagrams, host, port)
    there.datagrams.bind(host, port)
