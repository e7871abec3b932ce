"""A door and strangers: raw peers that send what no library would, on loopback."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest
import zmq
from nacl.public import PrivateKey
from zmq.utils import z85

from common.doors import Door
from common.limits import BULK_FRAME_BYTES_MAX, CONTROL_FRAME_BYTES_MAX
from common.shell.net.sockets import TransportLimits
from tests.bench.attack import flood, kill_bare_router, met
from tests.bench.rawcurve import GREETING, RawPeer
from tests.recorder import End

DOORS = pytest.mark.parametrize("door", Door)


@pytest.fixture
async def there() -> AsyncIterator[End]:
    """The node whose doors are tried."""
    end = End()
    yield end
    end.transport.close()


@pytest.fixture
async def hasty() -> AsyncIterator[End]:
    """A node that waits for a hello only briefly."""
    end = End(TransportLimits(hello_s=0.5))
    yield end
    end.transport.close()


async def stranger(there: End, door: Door = Door.CONTROL, identity: bytes = b"") -> RawPeer:
    """A raw peer behind its handshake; the loop runs meanwhile."""
    at = there.bind(door)
    return await asyncio.to_thread(_shake, at, there.key, identity)


def _shake(at: tuple[str, int], key: bytes, identity: bytes) -> RawPeer:
    peer = RawPeer(at, key)
    peer.handshake(identity)
    return peer


async def cut(peer: RawPeer) -> bool:
    """Wait until the other end has hung up."""

    def read() -> bool:
        try:
            while peer.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        finally:
            peer.close()
        return True

    return await asyncio.to_thread(read)


@DOORS
async def test_a_raw_peer_is_a_link_like_any_other(there: End, door: Door) -> None:
    """Our own writing of the protocol is understood: the attacks below are not just noise."""
    peer = await stranger(there, door)
    peer.socket.sendall(peer.sealed(b"hello", more=False))
    await there.sink.until(lambda: there.sink.bodies == [b"hello"])
    peer.close()
    assert await there.failure(there.sink.opens[0][0]) == "lost"


@pytest.mark.parametrize(("door", "parts"), [(Door.CONTROL, 2), (Door.BULK, 3), (Door.BULK, 500)])
async def test_too_many_frames_in_a_message_end_the_link(
    there: End, door: Door, parts: int
) -> None:
    """The surplus is never delivered, and the sender is cut."""
    peer = await stranger(there, door)
    peer.socket.sendall(peer.sealed(b"hello", more=False))
    peer.socket.sendall(b"".join(peer.sealed(b"part", more=n < parts - 1) for n in range(parts)))
    assert await cut(peer)
    assert there.sink.bodies == [b"hello"]
    assert await there.failure(there.sink.opens[0][0]) == "too many frames in one message"


@pytest.mark.parametrize(
    ("door", "limit"),
    [(Door.CONTROL, CONTROL_FRAME_BYTES_MAX), (Door.BULK, BULK_FRAME_BYTES_MAX)],
)
async def test_the_longest_frame_passes_and_one_byte_more_ends_the_link(
    there: End, door: Door, limit: int
) -> None:
    """The frame limit of each door, exactly."""
    peer = await stranger(there, door)
    sending = asyncio.to_thread(
        peer.socket.sendall,
        peer.sealed(bytes(limit), more=False) + peer.sealed(bytes(limit + 1), more=False),
    )
    await asyncio.gather(sending, there.sink.until(lambda: bool(there.sink.closes)))
    assert [len(body) for body in there.sink.bodies] == [limit]
    assert await cut(peer)


@DOORS
async def test_a_frame_far_too_long_is_not_even_read(there: End, door: Door) -> None:
    """MAXMSGSIZE: libzmq hangs up at the announced length, before it takes memory."""
    peer = await stranger(there, door)
    peer.socket.sendall(peer.sealed(b"hello", more=False))
    await there.sink.until(lambda: bool(there.sink.opens))
    peer.socket.sendall(b"\x02" + (2**40).to_bytes(8, "big"))
    assert await cut(peer)
    assert await there.failure(there.sink.opens[0][0]) == "lost"


@DOORS
async def test_a_message_without_an_end_is_cut(there: End, door: Door) -> None:
    """Parts that never end are seen in the kernel's count, though libzmq shows no frame."""
    at = there.bind(door)
    victim = _At(there, at)
    result = await asyncio.to_thread(flood, victim, door, 60_000, 2**30, 96 * 2**20)
    assert result["cut"]
    assert there.sink.bodies == [b"hello"]
    assert await there.failure(there.sink.opens[0][0]) == "a message without an end"
    assert there.transport.counters()["unterminated"] == 1


class _At:
    """What `flood` needs to know of a victim in this process."""

    def __init__(self, end: End, at: tuple[str, int]) -> None:
        self.key = end.key
        self._at = at

    def at(self, door: Door) -> tuple[str, int]:
        """The only door there is."""
        return self._at

    def met(self, door: Door) -> RawPeer:
        """A connection that has said something."""
        return met(self, door)


@DOORS
async def test_an_honest_link_that_we_read_late_is_not_cut(there: End, door: Door) -> None:
    """The loop stands still until nothing moves any more: then all of it is delivered."""
    host, port = there.bind(door)
    count, size = (400, CONTROL_FRAME_BYTES_MAX) if door is Door.CONTROL else (80, 2**20)
    full, finished = threading.Event(), threading.Event()

    def send() -> None:
        public, secret = zmq.curve_keypair()
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.curve_publickey, dealer.curve_secretkey = public, secret
            dealer.curve_serverkey = z85.encode(there.key)
            dealer.sndhwm = 4
            dealer.connect(f"tcp://{host}:{port}")
            dealer.send(b"hello")
            for _ in range(count):
                if not dealer.poll(100, zmq.POLLOUT):
                    full.set()
                dealer.send(bytes(size))
            finished.wait()

    sending = asyncio.get_running_loop().run_in_executor(None, send)
    await there.sink.until(lambda: bool(there.sink.opens))
    full.wait()
    await there.sink.until(lambda: len(there.sink.frames) == count + 1)
    assert there.sink.closes == []
    finished.set()
    await sending


async def test_a_stranger_who_never_says_hello_is_cut(hasty: End) -> None:
    """A handshake alone opens no link and does not last."""
    peer = await stranger(hasty)
    assert await cut(peer)
    assert hasty.sink.opens == []
    assert hasty.transport.counters()["hello_late"] == 1


@pytest.mark.parametrize("first", [b"", GREETING, b"GET / HTTP/1.1\r\n\r\n", bytes(64)])
async def test_half_a_handshake_is_cut(first: bytes) -> None:
    """Silence, a greeting and nothing more, another protocol."""
    there = End(TransportLimits(handshake_s=0.1))
    with socket.create_connection(there.bind()) as half:
        half.sendall(first)
        half.setblocking(False)
        loop = asyncio.get_running_loop()
        while await _received(loop, half):
            pass
    assert there.sink.opens == []
    there.transport.close()


async def _received(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    try:
        return await loop.sock_recv(connection, 4096)
    except ConnectionError:
        return b""


async def test_beyond_the_half_open_limit_the_oldest_goes() -> None:
    """Silent connections do not keep an honest newcomer out."""
    there, here = End(TransportLimits(half_open_max=8)), End()
    at = there.bind()
    silent = [socket.create_connection(at) for _ in range(40)]
    await here.link_to(there, at)
    counters = there.transport.counters()
    assert counters["half_open"] >= 40 - 8
    assert counters["opened"] == 1
    for connection in silent:
        connection.close()
    for end in (there, here):
        end.transport.close()


async def test_connections_above_the_descriptor_share_are_refused() -> None:
    """Well below the limit of open files, where a ROUTER would spin."""
    there, here = End(TransportLimits(descriptors_share=0.0)), End()
    assert await here.failure(here.transport.dial(Door.CONTROL, there.bind(), there.key)) != ""
    assert there.transport.counters()["refused"] == 1
    for end in (there, here):
        end.transport.close()


@pytest.mark.parametrize("identity", [b"mine", b"\0\1\2\3\4", b"\0", bytes(5), b"x" * 255])
async def test_a_peer_with_an_id_of_its_own_is_treated_like_a_silent_one(
    hasty: End, identity: bytes
) -> None:
    """It is not heard, and it is cut when its time for a hello is over, no sooner."""
    peer = await stranger(hasty, identity=identity)
    peer.socket.sendall(peer.sealed(b"hello", more=False))
    assert await cut(peer)
    assert hasty.sink.opens == []
    counters = hasty.transport.counters()
    assert (counters["foreign_id"], counters["hello_late"]) == (1, 1)


async def test_an_id_that_was_issued_to_another_is_not_believed(hasty: End) -> None:
    """The id of a link that has gone cannot be taken over, though libzmq would allow it."""
    at = hasty.bind()
    first = await asyncio.to_thread(_shake, at, hasty.key, b"")
    first.socket.sendall(first.sealed(b"hello", more=False))
    await hasty.sink.until(lambda: bool(hasty.sink.frames))
    (stolen,) = hasty.transport._doors[Door.CONTROL]._by_id
    first.close()
    await hasty.failure(hasty.sink.opens[0][0])
    thief = await asyncio.to_thread(_shake, at, hasty.key, stolen)
    thief.socket.sendall(thief.sealed(b"hello", more=False))
    assert await cut(thief)
    assert len(hasty.sink.opens) == 1
    assert hasty.transport.counters()["foreign_id"] == 1


def test_without_our_measures_a_claimed_id_ends_the_process() -> None:
    """The routing-id abort of libzmq 4.3.5 is real: an unseeded ROUTER dies by an assertion."""
    assert kill_bare_router() == -6


async def test_a_null_peer_is_refused(there: End) -> None:
    """Fail closed: a peer without CURVE gets no link, whatever it sends."""
    host, port = there.bind()

    def speak() -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
            plain.linger = 0
            plain.reconnect_ivl = -1
            with plain.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
                plain.connect(f"tcp://{host}:{port}")
                plain.send(b"hello")
                monitor.recv_multipart()
                plain.disable_monitor()

    await asyncio.to_thread(speak)
    assert there.sink.opens == []


async def test_a_key_without_its_secret_is_refused(there: End) -> None:
    """The key that a link opens with was proven: it cannot be borrowed."""
    at = there.bind()
    honest = bytes(PrivateKey.generate().public_key)
    peer = RawPeer(at, there.key)
    peer.claim(honest)
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(peer.handshake)
    peer.close()
    assert there.sink.opens == []
