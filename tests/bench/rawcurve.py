"""A ZMTP 3.0 + CURVE peer on a bare socket, for what a well-behaved library cannot be made to send.

Written from the public protocol (RFC 23/ZMTP, RFC 25/ZMTP-CURVE, RFC 26/CurveZMQ). It proves a key
of its own and then sends whatever frames it is told to, ends missing included. It trusts
everything it reads: it is an attacker, and only reads what it needs for the handshake.
"""

import socket
import struct
from typing import Final

from nacl.bindings import crypto_box_afternm, crypto_box_beforenm, crypto_box_open_afternm
from nacl.public import PrivateKey
from nacl.utils import random

GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)

_COMMAND = 0x04
_LARGE = 0x02
_MORE = 0x01
_SHORT = 255


def zmtp_frame(body: bytes, flags: int = 0) -> bytes:
    """One frame of ZMTP 3.0."""
    if len(body) <= _SHORT:
        return bytes((flags, len(body))) + body
    return struct.pack(">BQ", flags | _LARGE, len(body)) + body


def properties(socket_type: bytes = b"DEALER", identity: bytes = b"") -> bytes:
    """The metadata that ends a handshake."""
    return b"".join(
        bytes((len(name),)) + name + struct.pack(">I", len(value)) + value
        for name, value in ((b"Socket-Type", socket_type), (b"Identity", identity))
    )


class RawPeer:
    """A connection that can stop at any step of the handshake."""

    def __init__(
        self,
        address: tuple[str, int],
        server_key: bytes,
        timeout_s: float = 30,
        secret: bytes | None = None,
    ) -> None:
        """`secret`: a lasting key of one's own; else one for this connection."""
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server_key = server_key
        self._lasting = PrivateKey(secret) if secret else PrivateKey.generate()
        self._claimed = bytes(self._lasting.public_key)
        self._transient = PrivateKey.generate()
        self._nonce = 0
        self._session = b""

    def greet(self) -> None:
        """Exchange greetings, which are in the clear."""
        self.socket.sendall(GREETING)
        self._exactly(64)

    def handshake(self, identity: bytes = b"") -> None:
        """Go through to READY."""
        self.greet()
        to_server = crypto_box_beforenm(self._server_key, bytes(self._transient))
        nonce = self._next_nonce()
        proof = crypto_box_afternm(bytes(64), b"CurveZMQHELLO---" + nonce, to_server)
        hello = b"\x05HELLO\x01\x00" + bytes(72) + bytes(self._transient.public_key)
        self.socket.sendall(zmtp_frame(hello + nonce + proof, _COMMAND))
        welcome = self._read_frame()
        opened = crypto_box_open_afternm(welcome[24:], b"WELCOME-" + welcome[8:24], to_server)
        self._initiate(opened[:32], opened[32:], identity)
        ready = self._read_frame()
        if not ready.startswith(b"\x05READY"):
            raise ConnectionError(f"no READY but {ready[:8]!r}")

    def claim(self, public_key: bytes) -> None:
        """Say in the handshake that this key is ours, which we cannot prove."""
        self._claimed = public_key

    def sealed(self, payload: bytes, *, more: bool) -> bytes:
        """The bytes of one message frame; to be sent in the order of the calls (nonces)."""
        nonce = self._next_nonce()
        flags = bytes((_MORE if more else 0,))
        box = crypto_box_afternm(flags + payload, b"CurveZMQMESSAGEC" + nonce, self._session)
        return zmtp_frame(b"\x07MESSAGE" + nonce + box)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _initiate(self, server_transient: bytes, cookie: bytes, identity: bytes) -> None:
        vouch_nonce = random(16)
        vouch = crypto_box_afternm(
            bytes(self._transient.public_key) + self._server_key,
            b"VOUCH---" + vouch_nonce,
            crypto_box_beforenm(server_transient, bytes(self._lasting)),
        )
        self._session = crypto_box_beforenm(server_transient, bytes(self._transient))
        nonce = self._next_nonce()
        box = crypto_box_afternm(
            self._claimed + vouch_nonce + vouch + properties(identity=identity),
            b"CurveZMQINITIATE" + nonce,
            self._session,
        )
        self.socket.sendall(zmtp_frame(b"\x08INITIATE" + cookie + nonce + box, _COMMAND))

    def _next_nonce(self) -> bytes:
        self._nonce += 1
        return struct.pack(">Q", self._nonce)

    def _read_frame(self) -> bytes:
        flags = self._exactly(1)[0]
        size = struct.unpack(">Q", self._exactly(8))[0] if flags & _LARGE else self._exactly(1)[0]
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the other end closed")
            data += more
        return data
