"""What we may do with a descriptor that is not ours."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.shell.net.descriptors import cut, peer_of, plain_host, raise_descriptor_limit

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Both ends of a TCP connection."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        near = socket.create_connection(server.getsockname()[:2])
        far, _ = server.accept()
    yield near, far
    near.close()
    far.close()


def test_the_peer_is_named_by_address_and_port(ends: Ends) -> None:
    """And the descriptor stays open."""
    near, far = ends
    assert peer_of(near.fileno()) == far.getsockname()[:2]
    assert peer_of(near.fileno()) == far.getsockname()[:2]


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_ends_both_ways_and_closes_nothing(ends: Ends, *, reset: bool) -> None:
    """Both see the end of the stream; the owner still has its descriptor to close."""
    near, far = ends
    address = peer_of(near.fileno())
    assert address is not None
    assert cut(near.fileno(), address, reset=reset)
    assert far.recv(1) == b""
    assert near.recv(1) == b""
    assert os.fstat(near.fileno())


def test_a_descriptor_that_leads_elsewhere_is_left_alone(ends: Ends) -> None:
    """The number was reused: nothing happens."""
    near, far = ends
    assert not cut(near.fileno(), ("192.0.2.1", 1))
    near.sendall(b"x")
    assert far.recv(1) == b"x"


def test_a_closed_descriptor_and_a_file_have_no_peer() -> None:
    """No error either: connections end at any time."""
    assert peer_of(2**20) is None
    assert not cut(2**20, ("127.0.0.1", 1))
    with Path("/dev/null").open() as other:
        assert peer_of(other.fileno()) is None


@pytest.mark.parametrize(
    ("shown", "plain"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("", "")],
)
def test_a_wrapped_ipv4_address_is_unwrapped(shown: str, plain: str) -> None:
    """A dual-stack socket shows IPv4 inside IPv6."""
    assert plain_host(shown) == plain


def test_the_limit_of_open_files_is_lifted_once() -> None:
    """Asking again changes nothing."""
    assert raise_descriptor_limit() == raise_descriptor_limit() > 0
