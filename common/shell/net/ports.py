"""The options every socket of a link gets, and the terms on which strangers are met.

Invariant: a socket leaves here encrypted, bounded and read back: libzmq accepts a NULL peer on a
"CURVE" socket if one option is missing or set too late (pyzmq 657), so each is compared after it
was set and a difference ends the start. Nothing here binds or connects.
"""

from dataclasses import dataclass
from typing import Final

import zmq

from common.doors import Door
from common.limits import (
    BULK_FRAME_BYTES_MAX,
    BULK_PARTS_MAX,
    CONTROL_FRAME_BYTES_MAX,
    CONTROL_PARTS,
    HANDSHAKE_S,
    HELLO_S,
    SEND_HWM_MESSAGES,
)
from common.shell.net.switchboard import Context

FRAME_BYTES_MAX: Final = {
    Door.CONTROL: CONTROL_FRAME_BYTES_MAX,
    Door.BULK: BULK_FRAME_BYTES_MAX,
}
PARTS_MAX: Final = {Door.CONTROL: CONTROL_PARTS, Door.BULK: BULK_PARTS_MAX}

_KEYS: Final = (zmq.CURVE_SERVERKEY, zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY)  # write only
_SEAL_BYTES: Final = 64  # CURVE adds 33 to a frame, and MAXMSGSIZE counts the sealed one
_SETTLED_MESSAGES: Final = 4  # an unfinished message is one; the rest is for libzmq's own batch
_CEILING: Final = 1.5  # of a full pipe, for what libzmq decodes beyond it


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What one node allows its links; seconds, bytes and counts."""

    handshake_s: float = HANDSHAKE_S
    hello_s: float = HELLO_S  # from the end of the handshake to the first frame
    connect_s: float = 5.0  # a SYN and its first two repeats
    control_hwm: int = SEND_HWM_MESSAGES
    bulk_hwm: int = 16  # 16 MiB: 100 ms at the rate measured for one link is less
    half_open_max: int = 4096  # a re-homing crowd of 4,000 fits
    half_open_per_address: int = 64  # public scope only, NAT in mind
    handshakes_per_s: float = 250.0  # 2,000 joins in 8 s; half of what CURVE costs at most
    handshakes_burst: int = 500
    address_per_s: float = 5.0  # public scope only
    address_burst: int = 50
    descriptors_share: float = 0.8  # of RLIMIT_NOFILE; at the limit a ROUTER spins
    drain_messages: int = 64
    drain_bytes: int = 4 * 1024 * 1024

    def hwm(self, door: Door) -> int:
        """Messages that libzmq keeps per link and direction."""
        return self.control_hwm if door is Door.CONTROL else self.bulk_hwm

    def settled_bytes(self, door: Door) -> int:
        """More than this undelivered after a complete reading: a message that never ends."""
        return _SETTLED_MESSAGES * FRAME_BYTES_MAX[door]

    def ceiling_bytes(self, door: Door) -> int:
        """More than this undelivered at any time: beyond what an honest pipe can hold."""
        message = FRAME_BYTES_MAX[door] + (PARTS_MAX[door] - 1) * CONTROL_FRAME_BYTES_MAX
        return int(_CEILING * self.hwm(door) * message)


@dataclass(frozen=True, slots=True)
class Keys:
    """Our CURVE pair in raw form, 32 bytes each."""

    public: bytes
    secret: bytes


def listening_socket(
    context: Context, door: Door, keys: Keys, domain: bytes, limits: TransportLimits
) -> zmq.Socket[bytes]:
    """A ROUTER that only meets CURVE keys our ZAP handler let in."""
    options: dict[int, int | bytes] = {
        zmq.CURVE_SERVER: 1,
        zmq.CURVE_SECRETKEY: keys.secret,
        zmq.ZAP_DOMAIN: domain,
        zmq.ZAP_ENFORCE_DOMAIN: 1,  # no handler, no entry
    }
    socket = context.socket(zmq.ROUTER)
    _fit(socket, options | _common(door, limits))
    socket.set(zmq.ROUTER_MANDATORY, 1)  # cannot be read back
    return socket


def dialling_socket(
    context: Context, door: Door, keys: Keys, their_key: bytes, limits: TransportLimits
) -> zmq.Socket[bytes]:
    """A DEALER for one link to the holder of one key; it never reconnects."""
    options: dict[int, int | bytes] = {
        zmq.CURVE_SERVERKEY: their_key,
        zmq.CURVE_PUBLICKEY: keys.public,
        zmq.CURVE_SECRETKEY: keys.secret,
        zmq.RECONNECT_IVL: -1,
        zmq.CONNECT_TIMEOUT: int(limits.connect_s * 1000),
        zmq.IMMEDIATE: 1,
    }
    socket = context.socket(zmq.DEALER)
    _fit(socket, options | _common(door, limits))
    return socket


def _common(door: Door, limits: TransportLimits) -> dict[int, int | bytes]:
    return {
        zmq.IPV6: 1,
        zmq.LINGER: 0,
        zmq.SNDHWM: limits.hwm(door),
        zmq.RCVHWM: limits.hwm(door),
        zmq.MAXMSGSIZE: FRAME_BYTES_MAX[door] + _SEAL_BYTES,
        zmq.HANDSHAKE_IVL: int(limits.handshake_s * 1000),
    }


def _fit(socket: zmq.Socket[bytes], options: dict[int, int | bytes]) -> None:
    try:
        for option, value in options.items():
            socket.set(option, value)
            if option not in _KEYS and socket.get(option) != value:
                raise RuntimeError(f"libzmq did not take socket option {option}")
        if socket.get(zmq.MECHANISM) != zmq.CURVE:
            raise RuntimeError("a socket of ours would not encrypt")
    except BaseException:
        socket.close(linger=0)
        raise
