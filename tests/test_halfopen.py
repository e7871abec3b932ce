"""Connections that say nothing: how many, from where, and for how long."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from common.shell.net.descriptors import Address
from common.shell.net.halfopen import HANDSHAKE_SENT_BYTES, HalfOpen, Newcomer

PUBLIC = "8.8.8.8"
PRIVATE = "10.0.0.1"


@dataclass
class Silent:
    """A connection that was accepted; its descriptor may be none at all."""

    descriptor: int
    address: Address
    accepted_at: float


class Waiting:
    """A small table, and whom it let go."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone: list[tuple[int, str]] = []
        self.someone_went = asyncio.Event()
        self.late = False
        self.table = HalfOpen(
            self.loop,
            self._expire,
            behind=lambda: self.late,
            handshake_s=0.12,
            hello_s=0.06,
            max_total=4,
            max_per_address=2,
        )

    def add(self, descriptor: int, host: str = PRIVATE) -> Silent:
        """Somebody came."""
        newcomer = Silent(descriptor, (host, descriptor), self.loop.time())
        self.table.add(newcomer)
        return newcomer

    def _expire(self, newcomer: Newcomer, reason: str) -> None:
        self.gone.append((newcomer.descriptor, reason))
        self.someone_went.set()


@pytest.fixture
async def waiting() -> AsyncIterator[Waiting]:
    """An empty table."""
    empty = Waiting()
    yield empty
    empty.table.close()


async def test_the_oldest_makes_room(waiting: Waiting) -> None:
    """An honest newcomer needs milliseconds, so the newest stay."""
    for descriptor in range(10**6, 10**6 + 6):
        waiting.add(descriptor)
    assert [descriptor for descriptor, _ in waiting.gone] == [10**6, 10**6 + 1]
    assert len(waiting.table) == 4


async def test_one_public_address_has_its_own_limit(waiting: Waiting) -> None:
    """The newcomer goes, not somebody else; private addresses stand for crowds."""
    for descriptor in range(10**6, 10**6 + 3):
        waiting.add(descriptor, PUBLIC)
    assert waiting.gone == [(10**6 + 2, "too many half-open connections from one address")]
    for descriptor in range(10**6 + 10, 10**6 + 12):
        waiting.add(descriptor, PRIVATE)
    assert len(waiting.gone) == 1


async def test_who_spoke_or_left_is_not_counted_any_more(waiting: Waiting) -> None:
    """Its place and its address's place are free again."""
    for descriptor in range(10**6, 10**6 + 20):
        waiting.table.remove(waiting.add(descriptor, PUBLIC))
    assert (len(waiting.table), waiting.gone) == (0, [])


async def test_a_handshake_that_does_not_come_ends_in_time(waiting: Waiting) -> None:
    """No bytes of ours were acknowledged: no handshake."""
    before = waiting.loop.time()
    waiting.add(10**6)
    await waiting.someone_went.wait()
    assert waiting.gone == [(10**6, "no handshake")]
    assert waiting.loop.time() - before >= 0.12


async def test_silence_counts_from_the_end_of_the_handshake(waiting: Waiting) -> None:
    """What we sent last is the end of the handshake, however long that took."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.sendall(bytes(HANDSHAKE_SENT_BYTES + 100))
    far.recv(4096)
    waiting.add(near.fileno())
    await waiting.someone_went.wait()
    assert waiting.gone == [(near.fileno(), "no hello")]
    near.close()
    far.close()


async def test_nobody_is_blamed_while_we_are_late(waiting: Waiting) -> None:
    """Frames that have arrived and are still unread may be the hello; but not for ever."""
    waiting.late = True
    before = waiting.loop.time()
    waiting.add(10**6)
    await waiting.someone_went.wait()
    assert waiting.loop.time() - before >= 0.12 + 0.06
