"""Every socket leaves `ports.py` encrypted and bounded, or not at all."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import zmq

from common.doors import Door
from common.limits import BULK_FRAME_BYTES_MAX, CONTROL_FRAME_BYTES_MAX
from common.shell.net.ports import Keys, TransportLimits, dialling_socket, listening_socket
from common.shell.net.switchboard import Context, require_libzmq

LIMITS = TransportLimits()
KEYS = Keys(bytes(32), bytes(range(32)))


@pytest.fixture
def context() -> Iterator[Context]:
    """A context of the test's own."""
    with zmq.Context() as own:
        yield own


def test_this_libzmq_may_meet_strangers() -> None:
    """New enough, and with CURVE; otherwise no transport starts."""
    require_libzmq()


@pytest.mark.parametrize("door", Door)
def test_both_kinds_of_socket_encrypt_and_are_bounded(context: Context, door: Door) -> None:
    """CURVE, size, queue, linger and handshake limits, as libzmq itself reports them."""
    with (
        listening_socket(context, door, KEYS, b"a", LIMITS) as listening,
        dialling_socket(context, door, KEYS, KEYS.public, LIMITS) as dialling,
    ):
        for socket in (listening, dialling):
            assert socket.get(zmq.MECHANISM) == zmq.CURVE
            assert socket.get(zmq.RCVHWM) == LIMITS.hwm(door)
            assert socket.get(zmq.LINGER) == 0
            assert socket.get(zmq.HANDSHAKE_IVL) == 10_000
        assert (listening.get(zmq.CURVE_SERVER), dialling.get(zmq.CURVE_SERVER)) == (1, 0)
        assert dialling.get(zmq.RECONNECT_IVL) == -1


def test_a_key_that_is_none_makes_no_socket(context: Context) -> None:
    """Too short for CURVE: an error, not a socket without it."""
    with pytest.raises(zmq.ZMQError):
        listening_socket(context, Door.CONTROL, Keys(b"", b"short"), b"a", LIMITS)
    with pytest.raises(zmq.ZMQError):
        dialling_socket(context, Door.CONTROL, KEYS, b"short", LIMITS)


def test_a_node_without_a_domain_does_not_start(context: Context) -> None:
    """libzmq asks no ZAP handler then and lets everybody in."""
    with pytest.raises((RuntimeError, zmq.ZMQError)):
        listening_socket(context, Door.CONTROL, KEYS, b"", LIMITS)


@pytest.mark.parametrize("door", Door)
def test_an_honest_full_pipe_stays_below_the_ceiling(door: Door) -> None:
    """As many of the longest messages as libzmq queues, and one more under way."""
    longest = CONTROL_FRAME_BYTES_MAX if door is Door.CONTROL else BULK_FRAME_BYTES_MAX
    assert LIMITS.ceiling_bytes(door) > (LIMITS.hwm(door) + 1) * (longest + 100)
    assert LIMITS.settled_bytes(door) >= 2 * longest
    assert LIMITS.ceiling_bytes(door) < 64 * 2**20


def test_limits_can_be_narrowed_for_one_node() -> None:
    """They are a value."""
    assert replace(LIMITS, hello_s=1.0).hello_s == 1.0


def test_queues_are_small() -> None:
    """High-water marks count messages, not bytes: 64 at most, and fewer of the large ones."""
    assert LIMITS.hwm(Door.BULK) <= LIMITS.hwm(Door.CONTROL) <= 64
