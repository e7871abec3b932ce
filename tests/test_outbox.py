"""What is sent in one turn of the loop leaves as few frames as fit, in order, and is never lost."""

import asyncio
from collections.abc import Callable

import pytest

from common import wire
from common.limits import CONTROL_FRAME_BYTES_MAX
from common.messages.link import Bye, Echo
from common.messages.swarm import Piece
from common.shell.departures import Departures
from common.shell.outbox import RETRY_S, WAITING_BYTES_MAX, Outbox


class Pipe:
    """A link's pipe that takes frames while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.frames: list[tuple[bytes, bytes | memoryview | None]] = []
        self.changed = asyncio.Event()
        self.data_bytes = 0

    def outbox(self, stuck: Callable[[int], None] = lambda _link: None) -> Outbox:
        """An outbox that sends here."""
        loop = asyncio.get_running_loop()
        return Outbox(loop, self.send, stuck, Departures(loop, lambda _link: None, self.left))

    def left(self, link: int, length: int) -> None:
        """Data has left."""
        self.data_bytes += length
        self.changed.set()

    def send(self, link: int, body: bytes, data: bytes | memoryview | None = None) -> bool:
        """Take it if open."""
        self.changed.set()
        if self.open:
            self.frames.append((body, data))
        return self.open


async def test_one_turn_one_frame() -> None:
    """Messages of one turn share a frame, and keep their order."""
    pipe = Pipe()
    outbox = pipe.outbox()
    sent = [Echo(1), Bye("a"), Echo(2)]
    for message in sent:
        outbox.put(1, wire.encode(message))
    await pipe.changed.wait()
    ((body, data),) = pipe.frames
    assert (wire.decode(body), data) == (sent, None)


async def test_frames_stay_below_their_limit() -> None:
    """Many messages become several frames, none too large."""
    pipe = Pipe()
    outbox = pipe.outbox()
    count = 1000
    for _ in range(count):
        outbox.put(1, wire.encode(Bye("x" * 255)))
    await pipe.changed.wait()
    assert all(len(body) <= CONTROL_FRAME_BYTES_MAX for body, _ in pipe.frames)
    assert sum(len(wire.decode(body)) for body, _ in pipe.frames) == count


async def test_data_travels_with_its_own_message() -> None:
    """A message with data ends the frame before it and stands alone in its own."""
    pipe = Pipe()
    outbox = pipe.outbox()
    outbox.put(1, wire.encode(Echo(1)))
    outbox.put(1, wire.encode(Piece(bytes(32), 0)), b"bytes")
    outbox.put(1, wire.encode(Echo(2)))
    await pipe.changed.wait()
    kinds = [
        ([type(m) for m in wire.decode(body, has_data=data is not None)], data)
        for body, data in pipe.frames
    ]
    assert kinds == [([Echo], None), ([Piece], b"bytes"), ([Echo], None)]
    while pipe.data_bytes < 5:
        pipe.changed.clear()
        await pipe.changed.wait()


async def test_a_full_pipe_loses_nothing() -> None:
    """Frames wait while the pipe is full and leave, in order, once it has room."""
    pipe = Pipe()
    pipe.open = False
    outbox = pipe.outbox()
    outbox.put(1, wire.encode(Echo(1)))
    await pipe.changed.wait()
    outbox.put(1, wire.encode(Echo(2)))
    pipe.open = True
    while len(pipe.frames) < 2:
        pipe.changed.clear()
        await pipe.changed.wait()
    messages = [message for body, _ in pipe.frames for message in wire.decode(body)]
    assert messages == [Echo(1), Echo(2)]


async def test_a_link_that_takes_nothing_is_given_up() -> None:
    """What waits for one link is bounded; beyond that its owner is told, once."""
    pipe = Pipe()
    pipe.open = False
    given_up: list[int] = []
    told = asyncio.Event()

    def overflowed(link: int) -> None:
        given_up.append(link)
        told.set()

    outbox = pipe.outbox(overflowed)
    message = wire.encode(Bye("x" * 255))
    for _ in range(WAITING_BYTES_MAX // len(message) + 300):
        outbox.put(7, message)
    await told.wait()
    assert given_up == [7]
    assert outbox.flush(7) is False


async def test_once_closed_it_tries_nothing_more() -> None:
    """What waits leaves if it can; what cannot would be tried for ever."""
    pipe = Pipe()
    outbox = pipe.outbox()
    outbox.put(1, wire.encode(Echo(1)))
    outbox.close()
    assert len(pipe.frames) == 1
    pipe.open = False
    outbox = pipe.outbox()
    outbox.put(1, wire.encode(Echo(2)))
    await pipe.changed.wait()
    outbox.close()
    outbox.put(1, wire.encode(Echo(3)))
    pipe.changed.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipe.changed.wait(), 10 * RETRY_S)
