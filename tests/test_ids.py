"""Keys, their text form, and signatures."""

from random import Random

import pytest

from common.ids import Identity, curve_key, is_signed, node_text, parse_node, twin

SEED = Random(7).randbytes(32)


def test_text_form() -> None:
    """52 characters of lower-case base32, there and back."""
    node = Identity(SEED).node
    text = node_text(node)
    assert (len(text), text.lower()) == (52, text)
    assert parse_node(text) == node


@pytest.mark.parametrize("text", ["", "a" * 51, "a" * 53, "1" * 52, "ä" * 52, "a" * 51 + "="])
def test_what_is_no_key(text: str) -> None:
    """One sentence for anything else."""
    with pytest.raises(ValueError, match="not a node's key"):
        parse_node(text)


def test_the_curve_pair_is_the_same_key() -> None:
    """The X25519 public key follows from the node's key alone."""
    identity = Identity(SEED)
    assert identity.curve_public == curve_key(identity.node)
    assert len(identity.curve_secret) == 32


@pytest.mark.parametrize("node", [b"", bytes(31), b"\xff" * 32])
def test_bytes_that_are_no_key(node: bytes) -> None:
    """Hostile bytes are one ValueError."""
    with pytest.raises(ValueError):
        curve_key(node)


def test_twins_share_a_curve_key() -> None:
    """Two ids have one CURVE form; nothing else tells them apart there."""
    node = Identity(SEED).node
    assert twin(node) != node
    assert twin(twin(node)) == node
    assert curve_key(twin(node)) == curve_key(node)


def test_signatures() -> None:
    """Only the signer's key, the very statement and the very signature go together."""
    identity, other = Identity(SEED), Identity(bytes(32))
    signature = identity.sign(b"statement")
    assert is_signed(identity.node, b"statement", signature)
    assert not is_signed(other.node, b"statement", signature)
    assert not is_signed(identity.node, b"another", signature)
    assert not is_signed(identity.node, b"statement", signature[:-1])
    assert not is_signed(b"no key", b"statement", signature)


def test_a_key_does_not_show() -> None:
    """What is printed of an identity is its public name."""
    assert SEED.hex() not in repr(Identity(SEED))
