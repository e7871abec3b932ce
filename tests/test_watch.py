"""The watchdog's arithmetic and its silence, over real connections on loopback."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from common.shell.net.descriptors import traffic_of
from common.shell.net.edge import EdgeReader
from common.shell.net.watch import (
    FLOW_BYTES,
    GROWN_BYTES,
    UNGROWN_MAX_S,
    UNGROWN_S,
    Flow,
    Growth,
    Watch,
    wire_bytes,
)
from tests.bench.rawcurve import zmtp_frame

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's counters")


@given(st.integers(0, 70_000))
def test_wire_bytes_are_those_of_the_protocol(size: int) -> None:
    """Command name, nonce and authenticator, and a short or a long header."""
    assert wire_bytes(size) == len(zmtp_frame(b"\x07MESSAGE" + bytes(8 + 16 + 1 + size)))


class Wire:
    """A TCP connection whose receiving end is under watch, as libzmq's would be."""

    def __init__(self, watch: Watch) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._idle = self._context.socket(zmq.PAIR)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.sender = socket.create_connection(server.getsockname())
            self.receiver, _ = server.accept()
        self.over = asyncio.Event()
        self.reader = EdgeReader(asyncio.get_running_loop(), self._idle, lambda: False)
        self.flow = Flow(
            self.receiver.fileno(),
            self.reader,
            settled=1000,
            ceiling=100_000,
            overrun=self.over.set,
        )
        self._watch = watch
        watch.add(self.flow)

    def send(self, size: int) -> None:
        """Bytes arrive and are taken from the kernel, as libzmq's I/O thread does."""
        self.sender.sendall(bytes(size))
        while size:
            size -= len(self.receiver.recv(size))

    def close(self) -> None:
        """End it all."""
        self._watch.remove(self.flow)
        self.reader.close()
        self.sender.close()
        self.receiver.close()
        self._context.destroy(linger=0)


class Memory:
    """What the process is said to hold: more each time it is asked, while it grows."""

    def __init__(self) -> None:
        self.grows = True
        self._held = 0

    def __call__(self) -> int:
        self._held += GROWN_BYTES * self.grows
        return self._held


@pytest.fixture
def memory() -> Memory:
    """Memory that grows."""
    return Memory()


@pytest.fixture
async def watch(memory: Memory) -> AsyncIterator[Watch]:
    """A watchdog without anything to watch."""
    dog = Watch(asyncio.get_running_loop(), memory)
    yield dog
    dog.close()


@pytest.fixture
async def wire(watch: Watch) -> AsyncIterator[Wire]:
    """One connection under watch."""
    connection = Wire(watch)
    yield connection
    connection.close()


async def ticks_until(watch: Watch, ticks: int) -> None:
    """Let the loop go on until the watchdog has looked so many times."""
    await turns_until(lambda: watch.ticks >= ticks)


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until the condition holds."""
    while not condition():
        await asyncio.sleep(0)


@linux
async def test_bytes_that_a_complete_reading_did_not_deliver_are_too_much(wire: Wire) -> None:
    """Above `settled` after the reader ran dry."""
    wire.send(1001)
    await wire.over.wait()


@linux
async def test_bytes_above_the_ceiling_are_too_much_at_once(wire: Wire) -> None:
    """Even where the reader never runs dry."""
    wire.reader.close()
    wire.send(100_001)
    await wire.over.wait()


@linux
async def test_what_hides_in_memory_that_was_there_is_found_a_little_later(
    wire: Wire, watch: Watch, memory: Memory
) -> None:
    """Too little for the process to grow by it, and too much all the same."""
    wire.flow.delivered += 10
    wire.send(10)
    await turns_until(lambda: watch.ticks > 0)
    memory.grows = False
    wire.send(1001)
    await wire.over.wait()


def test_whoever_does_not_grow_looks_now_and_then_and_whoever_grows_at_once() -> None:
    """Grown is what is more than the least since the last look: what was freed fills again."""
    held = 10 * GROWN_BYTES
    growth = Growth(lambda: held)
    assert growth.must_look(1.0, 0)
    assert not growth.must_look(1.0 + UNGROWN_S / 2, 0)
    held += GROWN_BYTES
    assert growth.must_look(1.0 + UNGROWN_S / 2, 0)
    held -= 5 * GROWN_BYTES
    assert not growth.must_look(1.0 + UNGROWN_S, 0)
    held += GROWN_BYTES
    assert growth.must_look(1.0 + UNGROWN_S, 0)
    assert not growth.must_look(1.0 + UNGROWN_S, 0)
    assert growth.must_look(1.0 + 2 * UNGROWN_S, 0)


def test_many_connections_are_looked_at_less_often_and_may_have_more_on_their_way() -> None:
    """What a thousand honest ones hold comes and goes, and is no sign of one that never ends."""
    held, flows = 10 * GROWN_BYTES, 1_000
    growth = Growth(lambda: held)
    assert growth.must_look(1.0 - UNGROWN_MAX_S, flows)
    assert not growth.must_look(1.0 - UNGROWN_MAX_S + UNGROWN_S, flows)
    assert growth.must_look(1.0, flows)
    held += GROWN_BYTES
    assert not growth.must_look(1.0, flows)
    held += flows * FLOW_BYTES
    assert growth.must_look(1.0, flows)


@linux
async def test_delivered_bytes_count_for_nothing(wire: Wire, watch: Watch) -> None:
    """However much comes: what came out of libzmq is off the account."""
    for _ in range(8):
        wire.flow.delivered += 50_000
        wire.send(50_000)
        await ticks_until(watch, watch.ticks + 1)
    assert not wire.over.is_set()


@linux
async def test_bytes_still_in_the_kernel_count_for_nothing(wire: Wire, watch: Watch) -> None:
    """A pipe that libzmq stopped reading is full, not endless."""
    wire.sender.sendall(bytes(200_000))
    await turns_until(lambda: watch.ticks > 2)
    assert not wire.over.is_set()


@linux
async def test_nothing_ticks_while_nothing_arrives(wire: Wire, watch: Watch) -> None:
    """The timer stops by itself; the next byte starts it again."""
    wire.send(10)
    await turns_until(lambda: watch.ticks > 0 and watch._timer is None)
    ticks = watch.ticks
    wire.send(10)
    await turns_until(lambda: watch.ticks > ticks)


def test_a_descriptor_that_is_no_connection_has_no_traffic() -> None:
    """Closed, or a file: nothing, and no error."""
    assert traffic_of(2**20) is None
    with Path("/dev/null").open() as other:
        assert traffic_of(other.fileno()) is None
