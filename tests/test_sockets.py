"""The transport between nodes: links open, carry frames both ways, and end on both sides."""

import asyncio
import errno
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from common.doors import Door
from common.shell.net.sockets import TransportLimits
from tests.bench.attack import Victim
from tests.recorder import LOOPBACK, End, Recorder

Pair = tuple[End, End]


@pytest.fixture
async def ends() -> AsyncIterator[Pair]:
    """Two nodes in one process, which share context, ZAP handler and watchdog."""
    pair = End(), End()
    yield pair
    for end in pair:
        end.transport.close()


async def test_a_dial_opens_on_both_sides_with_the_keys_that_were_proven(ends: Pair) -> None:
    """Each side learns the other's CURVE key, and the address as it sees it."""
    here, there = ends
    at = there.bind()
    link, number = await here.link_to(there, at)
    assert here.sink.opens == [(link, Door.CONTROL, there.key, at, False)]
    (seen,) = there.sink.opens
    assert seen[:3] == (number, Door.CONTROL, here.key)
    assert (seen[3][0], seen[4]) == (LOOPBACK, True)
    assert there.sink.frames == [(number, b"hello", None)]


async def test_frames_keep_their_order_in_both_directions(ends: Pair) -> None:
    """Frames arrive once and in order, however often the pipe was full in between."""
    here, there = ends
    link, number = await here.link_to(there, there.bind())
    for end, by, other in ((here, link, there), (there, number, here)):
        other.sink.frames.clear()
        wanted = [b"%d" % n + bytes(8000) for n in range(2000)]
        for body in wanted:
            while not end.transport.send(by, body):
                await asyncio.sleep(0)
        await other.sink.received(2000)
        assert other.sink.bodies == wanted


async def test_a_full_pipe_refuses_at_once(ends: Pair) -> None:
    """Sending never blocks: what neither pipe nor kernel takes is refused."""
    here, there = ends
    link, _ = await here.link_to(there, there.bind())
    body = bytes(60_000)
    taken = 0
    while here.transport.send(link, body):  # no turn of the loop: nobody reads
        taken += 1
    await there.sink.until(lambda: len(there.sink.frames) == 1 + taken)
    assert here.transport.send(link, body)


async def test_data_travels_as_a_second_frame(ends: Pair) -> None:
    """The bulk door carries a header and 1 MiB of data beside it."""
    here, there = ends
    link, number = await here.link_to(there, there.bind(Door.BULK), Door.BULK)
    data = bytes(range(256)) * 4096
    assert here.transport.send(link, b"piece", data)
    await there.sink.until(lambda: len(there.sink.frames) == 2)
    assert there.sink.frames[1] == (number, b"piece", data)
    assert there.transport.send(number, b"piece", memoryview(data))
    await here.sink.until(lambda: bool(here.sink.frames))
    assert here.sink.frames == [(link, b"piece", data)]


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", LOOPBACK])
async def test_every_kind_of_listening_address_can_be_dialled(ends: Pair, host: str) -> None:
    """IPv4 and IPv6 literals and both wildcards; addresses are told without wrapping."""
    here, there = ends
    _, port = there.bind(host=host)
    target = "::1" if host == "::1" else LOOPBACK
    await here.link_to(there, (target, port))
    assert there.sink.opens[0][3][0] == target


async def test_a_dial_leaves_from_the_source_it_was_given(ends: Pair) -> None:
    """A node that lives at one address of many is seen at that one."""
    here, there = ends
    link = here.transport.dial(Door.CONTROL, there.bind(), there.key, "127.0.0.9")
    await here.sink.until(lambda: bool(here.sink.opens))
    here.transport.send(link, b"hello")
    await there.sink.until(lambda: bool(there.sink.opens))
    assert there.sink.opens[0][3][0] == "127.0.0.9"


async def test_a_hangup_is_told_on_both_sides(ends: Pair) -> None:
    """Whoever hangs up hears its own reason, the other that the link was lost."""
    here, there = ends
    at = there.bind()
    for mine in (True, False):
        link, number = await here.link_to(there, at)
        (here if mine else there).transport.hangup(link if mine else number, "enough")
        assert await here.failure(link) == ("enough" if mine else "lost")
        assert await there.failure(number) == ("lost" if mine else "enough")


async def test_nothing_is_told_from_inside_a_hangup_and_nothing_twice(ends: Pair) -> None:
    """`closed` comes from the loop, once, and a link that was hung up takes nothing more."""
    here, there = ends
    link, number = await here.link_to(there, there.bind())
    here.transport.hangup(link, "enough")
    here.transport.hangup(link, "again")
    assert here.sink.closes == []
    assert not here.transport.send(link, b"late")
    await there.failure(number)
    assert here.sink.closes == [(link, "enough")]
    assert there.sink.closes == [(number, "lost")]


async def test_what_was_sent_before_leaving_arrives_before_the_end(ends: Pair) -> None:
    """A goodbye followed by a hang-up is read before the link is told to be lost."""
    here, there = ends
    link, number = await here.link_to(there, there.bind())
    for n in range(50):
        here.transport.send(link, b"%d" % n)
    here.transport.hangup(link, "done")
    await there.failure(number)
    assert there.sink.bodies[1:] == [b"%d" % n for n in range(50)]


async def test_a_dial_to_a_closed_port_is_refused(ends: Pair) -> None:
    """Nobody listens: told as soon as the kernel says so."""
    here, there = ends
    with socket.create_server((LOOPBACK, 0)) as taken:
        at = taken.getsockname()
    assert await here.failure(here.transport.dial(Door.CONTROL, at, there.key)) == "refused"
    assert here.sink.opens == []


async def test_a_dial_for_another_key_fails(ends: Pair) -> None:
    """Whoever cannot prove the key that was dialled never becomes a link."""
    here, there = ends
    link = here.transport.dial(Door.CONTROL, there.bind(), here.key)
    assert await here.failure(link) == "handshake failed"
    assert (here.sink.opens, there.sink.opens) == ([], [])


async def test_a_dial_that_cannot_even_begin_ends_like_any_other(ends: Pair) -> None:
    """An address that is none, and a source that is not ours."""
    here, there = ends
    at = there.bind()
    link = here.transport.dial(Door.CONTROL, ("no address", 1), there.key)
    assert (await here.failure(link)).startswith("dial failed")
    limits = TransportLimits(connect_s=0.05, handshake_s=0.05)
    hasty = End(limits)
    link = hasty.transport.dial(Door.CONTROL, at, there.key, "192.0.2.1")
    assert await hasty.failure(link) in ("unreachable", "refused")
    hasty.transport.close()


async def test_a_listener_that_says_nothing_ends_the_handshake() -> None:
    """The handshake has a deadline of its own."""
    here = End(TransportLimits(handshake_s=0.05))
    with socket.create_server((LOOPBACK, 0)) as silent:
        link = here.transport.dial(Door.CONTROL, silent.getsockname(), here.key)
        assert await here.failure(link) == "handshake failed"
    here.transport.close()


async def test_a_taken_port_says_so(ends: Pair) -> None:
    """EADDRINUSE, as an OSError."""
    here, there = ends
    host, port = there.bind()
    with pytest.raises(OSError, match=str(port)) as raised:
        here.transport.bind(Door.CONTROL, host, port)
    assert raised.value.errno == errno.EADDRINUSE


async def test_a_banned_key_and_a_banned_address_stay_outside(ends: Pair) -> None:
    """A ban refuses the handshake, or hangs up before it."""
    here, there = ends
    at = there.bind()
    there.transport.ban(here.key, 60)
    assert await here.failure(here.transport.dial(Door.CONTROL, at, there.key)) != ""
    assert there.transport.counters()["handshakes_refused"] == 1
    other = End()
    there.transport.ban(LOOPBACK, 60)
    assert await other.failure(other.transport.dial(Door.CONTROL, at, there.key)) != ""
    assert there.transport.counters()["refused"] == 1
    assert there.sink.opens == []
    other.transport.close()


async def test_a_killed_process_is_noticed_on_both_kinds_of_link(ends: Pair) -> None:
    """kill -9 of the other end: the dialler hears of it at once, without any timer."""
    here, _ = ends
    victim = Victim()
    links = [here.transport.dial(door, victim.at(door), victim.key) for door in Door]
    await here.sink.until(lambda: len(here.sink.opens) == 2)
    victim.kill()
    assert [await here.failure(link) for link in links] == ["lost", "lost"]


async def test_a_killed_dialler_is_noticed_by_the_door(ends: Pair) -> None:
    """kill -9 of a process that had dialled us."""
    _, there = ends
    host, port = there.bind()
    program = (
        "import sys, zmq; from zmq.utils import z85; s = zmq.Context().socket(zmq.DEALER);"
        "s.curve_publickey, s.curve_secretkey = zmq.curve_keypair();"
        f"s.curve_serverkey = z85.encode(bytes.fromhex('{there.key.hex()}'));"
        f"s.connect('tcp://{host}:{port}'); s.send(b'hello'); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as dialler:
        await there.sink.until(lambda: bool(there.sink.opens))
        dialler.send_signal(signal.SIGKILL)
        assert await there.failure(there.sink.opens[0][0]) == "lost"


async def test_a_crowd_joins_at_once() -> None:
    """Two hundred nodes of one process dial one: all get in, none is cut."""
    door, crowd = End(), [End() for _ in range(200)]
    at = door.bind()
    for end in crowd:
        end.transport.dial(Door.CONTROL, at, door.key)
    for end in crowd:
        end.transport.send(await end.sink.first_link(), end.key)
    await door.sink.until(lambda: len(door.sink.frames) == len(crowd))
    keys = {number: key for number, _, key, _, _ in door.sink.opens}
    assert {link: body for link, body, _ in door.sink.frames} == keys
    assert sorted(keys.values()) == sorted(end.key for end in crowd)
    assert (door.sink.closes, [end.sink.closes for end in crowd if end.sink.closes]) == ([], [])
    for end in (door, *crowd):
        end.transport.close()


async def test_handshakes_beyond_the_rate_wait_their_turn() -> None:
    """A pace, not a refusal: everybody gets in a little later."""
    door = End(TransportLimits(handshakes_per_s=200, handshakes_burst=2))
    at = door.bind()
    crowd = [End() for _ in range(20)]
    for end in crowd:
        end.transport.dial(Door.CONTROL, at, door.key)
    for end in crowd:
        await end.sink.first_link()
    assert door.transport.counters()["handshakes_refused"] == 0
    for end in (door, *crowd):
        end.transport.close()


class Faulty(Recorder):
    """Raises at the frame that says so."""

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        super().frame(link, body, data)
        if body == b"fault":
            raise ValueError("a fault of the owner")


async def test_a_sink_that_raises_stops_no_link(ends: Pair) -> None:
    """The fault is reported by the loop; the next frame comes all the same."""
    here, there = ends[0], End(sink=Faulty())
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: faults.append(str(context["exception"]))
    )
    link, _ = await here.link_to(there, there.bind())
    here.transport.send(link, b"fault")
    here.transport.send(link, b"next")
    await there.sink.until(lambda: b"next" in there.sink.bodies)
    assert faults == ["a fault of the owner"]
    there.transport.close()


async def test_a_closed_transport_tells_nothing_and_leaves_nothing(ends: Pair) -> None:
    """Its links are lost for the others; itself it is silent, and closing twice is harmless."""
    here, there = ends
    link, _ = await here.link_to(there, there.bind())
    there.transport.close()
    there.transport.close()
    assert await here.failure(link) == "lost"
    assert there.sink.closes == []
    assert there.transport.counters()["links"] == 0
