"""Which network a node belongs to, and the proof that it does.

A network is a name; one with a key admits only those who have the key. `hello` proves it with an
HMAC over both CURVE keys in the order dialler, acceptor, so that a proof cannot be replayed on
another link nor reflected: each end's own role is part of what it signs.
"""

import hashlib
import hmac

import msgspec

DEFAULT_NETWORK = "public"

_DOMAIN = b"superpeer-hello-1"


class Network(msgspec.Struct, frozen=True):
    """A network's name and, where it is closed, its key; the key never shows."""

    name: str = DEFAULT_NETWORK
    key: bytes = b""

    def proof(self, dialler: bytes, acceptor: bytes, *, by_dialler: bool) -> bytes:
        """What one end of a link shows the other; empty for an open network."""
        if not self.key:
            return b""
        side = b"dialler" if by_dialler else b"acceptor"
        parts = (_DOMAIN, side, self.name.encode(), dialler, acceptor)
        statement = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        return hmac.digest(self.key, statement, hashlib.sha256)

    def admits(
        self, name: str, proof: bytes, dialler: bytes, acceptor: bytes, *, by_dialler: bool
    ) -> bool:
        """Whether the other end named this network and proved it."""
        expected = self.proof(dialler, acceptor, by_dialler=by_dialler)
        return name == self.name and hmac.compare_digest(proof, expected)

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {'with a key' if self.key else 'open'})"
