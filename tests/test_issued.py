"""Which routing ids are believed."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from common.shell.net.intake import Intake
from common.shell.net.issued import IssuedIds, Prober, Standing
from common.shell.net.switchboard import Context

FIRST = 2**32 - 5  # so that the numbers wrap


def id_of(offset: int) -> bytes:
    """libzmq's form of the id that many after the first."""
    return b"\0" + ((FIRST + offset) % 2**32).to_bytes(4, "big")


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(-5, 2000))
def test_only_ids_between_acceptance_and_the_last_probe_are_issued(
    floor: int, highest: int, offset: int
) -> None:
    """Older ones belong to others, newer ones need a probe."""
    ids = IssuedIds(id_of(0))
    ids.proved(id_of(highest))
    expected = Standing.ISSUED if offset <= highest else Standing.BEYOND
    if 0 <= offset <= floor:
        expected = Standing.FOREIGN
    if offset < 0:
        expected = Standing.BEYOND  # indistinguishable from four thousand million later
    assert ids.standing(id_of(offset), floor) is expected


@pytest.mark.parametrize("routing_id", [b"", b"\0", b"mine!", bytes(4), bytes(6), b"\1\0\0\0\0"])
def test_what_libzmq_would_not_issue_is_foreign(routing_id: bytes) -> None:
    """Five bytes, the first a zero."""
    assert IssuedIds(id_of(0)).standing(routing_id, 0) is Standing.FOREIGN


@pytest.fixture
def router() -> Iterator[tuple[Context, zmq.Socket[bytes]]]:
    """A ROUTER that is bound to nothing yet."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        yield context, socket


def test_a_probe_tells_what_was_issued(router: tuple[Context, zmq.Socket[bytes]]) -> None:
    """A peer that came before the probe is believed after it; an invented number is not."""
    context, socket = router
    prober = Prober(context, socket)
    intake = Intake(socket, routed=True, parts_max=1)
    socket.bind("inproc://door")
    with context.socket(zmq.DEALER) as peer, context.socket(zmq.DEALER) as liar:
        peer.connect("inproc://door")
        peer.send(b"hello")
        first = intake.next()
        assert first is not None
        ahead = int.from_bytes(first.routing_id, "big") + 100
        liar.set(zmq.ROUTING_ID, ahead.to_bytes(5, "big"))
        liar.connect("inproc://door")
        liar.send(b"hello")
        lie = intake.next()
        assert lie is not None
        assert prober.judge(first, 0, probed=False) is Standing.BEYOND
        assert prober.judge(lie, 0, probed=False) is Standing.BEYOND
        probe = intake.next()
        assert probe is not None
        assert prober.on_probe(probe.routing_id) == ([first], [lie])
        assert prober.judge(first, 0, probed=True) is Standing.ISSUED
        assert prober.judge(lie, 0, probed=True) is Standing.FOREIGN
    prober.close()


def test_without_a_seed_the_first_id_is_known_to_everybody() -> None:
    """What `seed_routing_ids` is for; in a process of its own, where nothing was seeded."""
    program = (
        "import zmq; {}c = zmq.Context(); r = c.socket(zmq.ROUTER); r.bind('inproc://x');"
        "d = c.socket(zmq.DEALER); d.connect('inproc://x'); d.send(b''); print(r.recv().hex())"
    )
    seed = "from common.shell.net.switchboard import seed_routing_ids; seed_routing_ids(); "
    seen = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program.format(start)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for start in ("", "", seed, seed)
    ]
    assert seen[0] == seen[1]
    assert len(set(seen[1:])) == 3
