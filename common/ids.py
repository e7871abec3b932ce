"""Who a node is: its Ed25519 key pair, the CURVE pair that is the same key, and signatures.

A `NodeId` is the 32-byte Ed25519 public key. Its X25519 form is what CURVE and ZAP see, so a
link's other end is proven by the handshake and named by the `hello` that must convert to it.
What travels further than one link is signed. Keys never appear in logs or `repr`.
"""

import base64
import binascii
from functools import lru_cache
from random import Random
from typing import Final

from nacl import bindings, exceptions, signing

NodeId = bytes
Guid = bytes

NODE_ID_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
GUID_BYTES: Final = 16
CURVE_KEYS_KEPT: Final = 4096  # converting one costs 60 µs, and each link asks several times
NODE_TEXT_CHARS: Final = 52  # 32 bytes in base32 without padding


class Identity:
    """A node's own key pair, made from a 32-byte seed that only its key file holds."""

    __slots__ = ("_signing", "curve_public", "curve_secret", "node")

    def __init__(self, seed: bytes) -> None:
        self._signing = signing.SigningKey(seed)
        self.node: NodeId = bytes(self._signing.verify_key)
        self.curve_public = curve_key(self.node)
        secret = bytes(self._signing) + self.node
        self.curve_secret = bindings.crypto_sign_ed25519_sk_to_curve25519(secret)

    def sign(self, statement: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `statement`."""
        return self._signing.sign(statement).signature

    def __repr__(self) -> str:
        return f"Identity({node_text(self.node)})"


@lru_cache(CURVE_KEYS_KEPT)
def curve_key(node: NodeId) -> bytes:
    """The X25519 form of a node's key; raises ValueError for bytes that are no Ed25519 key."""
    try:
        return bindings.crypto_sign_ed25519_pk_to_curve25519(node)
    except (exceptions.CryptoError, exceptions.TypeError, exceptions.ValueError) as error:
        raise ValueError("not an Ed25519 public key") from error


def is_key(node: NodeId) -> bool:
    """Whether a node could have it; one that was copied wrong is none, half of the time."""
    try:
        return bool(curve_key(node))
    except ValueError:
        return False


def twin(node: NodeId) -> NodeId:
    """The other id with the same CURVE form: X25519 forgets the sign of x (RFC 7748).

    Whoever holds one holds both, so only an impostor names the twin of somebody known.
    """
    return node[:-1] + bytes((node[-1] ^ 0x80,))


def is_signed(node: NodeId, statement: bytes, signature: bytes) -> bool:
    """Whether `signature` is `node`'s over `statement`; False for anything malformed."""
    try:
        signing.VerifyKey(node).verify(statement, signature)
    except (exceptions.CryptoError, exceptions.TypeError, exceptions.ValueError):
        return False
    return True


@lru_cache(maxsize=4096)  # explained and told again and again: of a verdict each look
def node_text(node: NodeId) -> str:
    """52 characters of lower-case base32, as users and scripts see a node."""
    return base64.b32encode(node).decode("ascii").rstrip("=").lower()


def parse_node(text: str) -> NodeId:
    """The inverse of `node_text`; raises ValueError with one sentence."""
    try:
        node = base64.b32decode(text.upper() + "====")
    except (binascii.Error, ValueError):
        node = b""
    if len(text) != NODE_TEXT_CHARS or len(node) != NODE_ID_BYTES:
        raise ValueError(f"{text!r} is not a node's key of {NODE_TEXT_CHARS} base32 characters")
    return node


def new_guid(rng: Random) -> Guid:
    """A fresh name for one query."""
    return rng.randbytes(GUID_BYTES)
