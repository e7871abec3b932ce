"""What may be done with a descriptor that libzmq owns: look, measure, and shut down.

libzmq cannot be told to drop one peer of a ROUTER, nor does it say how much a peer has sent. The
kernel can do both, if we hold the number of the connection's descriptor. The rule kept here:
nothing in this file ever closes libzmq's descriptor, and nothing acts on a number without first
checking that it still is the connection we mean, since numbers are reused within microseconds.
It keeps no tables: who is behind a descriptor is `doors.py` and `dials.py`.
"""

import fcntl
import os
import resource
import socket
import struct
import sys
import termios
from typing import Final, NamedTuple

Address = tuple[str, int]

HAS_TCP_INFO: Final = sys.platform == "linux"

_TCP_INFO_BYTES: Final = 136  # up to and with tcpi_bytes_received (Linux 4.1)
_LAST_DATA_SENT: Final = struct.Struct("=44xI")
_ACKED_RECEIVED: Final = struct.Struct("=120xQQ")
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_MAPPED: Final = "::ffff:"


class Traffic(NamedTuple):
    """What the kernel counted on one TCP connection."""

    consumed: int
    """Bytes that arrived and were taken out of the kernel by libzmq."""
    acked: int
    """Bytes we sent that the other end has."""
    unacked: int
    """Bytes that libzmq gave the kernel and the other end does not have yet."""
    silent_s: float
    """Seconds since we last sent data."""


def plain_host(host: str) -> str:
    """The address without the IPv4-in-IPv6 wrapping that a dual-stack socket shows."""
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


def peer_of(descriptor: int) -> Address | None:
    """The other end of a TCP connection; None when it is gone or is no such thing."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        return _peer(borrowed)
    finally:
        borrowed.detach()


def _peer(connection: socket.socket) -> Address | None:
    try:
        name = connection.getpeername()
    except OSError:
        return None
    return (plain_host(name[0]), name[1]) if isinstance(name, tuple) else None


def cut(descriptor: int, peer: Address, *, reset: bool = False) -> bool:
    """Shut a connection down both ways, if the descriptor still leads to `peer`.

    The duplicate keeps the connection ours while we look, so the check and the shutdown concern
    the same one. libzmq sees an end of file and closes its descriptor itself. With `reset` nothing
    is left in the kernel either, and a sender that floods us is told at once.
    """
    try:
        duplicate = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return False
    with duplicate:
        if _peer(duplicate) != peer:
            return False
        try:
            if reset:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            duplicate.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
    return True


def traffic_of(descriptor: int) -> Traffic | None:
    """Counters of a connection; None when it is gone or the kernel has no such counters.

    Only reads, so a reused number costs a wrong figure, never a wrong deed.
    """
    if sys.platform != "linux":
        return None
    try:
        borrowed = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return None
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        unread = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
        unacked = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return None
    finally:
        borrowed.detach()
    if len(info) < _TCP_INFO_BYTES:
        return None
    (silent_ms,) = _LAST_DATA_SENT.unpack_from(info)
    acked, received = _ACKED_RECEIVED.unpack_from(info)
    return Traffic(
        received - int.from_bytes(unread, sys.byteorder),
        acked,
        int.from_bytes(unacked, sys.byteorder),
        silent_ms / 1000,
    )


def raise_descriptor_limit() -> int:
    """Lift the soft limit of open files to the hard one; returns the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS says "unlimited" and then refuses it
        return soft
    return hard
