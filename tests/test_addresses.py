"""Addresses: text forms, scope, and what may be told to whom."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address, Scope, may_tell, split_host_port

LOOPBACK = Address.of("127.3.2.1", 1214)
PRIVATE = Address.of("192.168.1.5", 1214)
PUBLIC = Address.of("8.8.8.8", 1214)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("host", ("host", 1214)),
        ("host:99", ("host", 99)),
        ("[::1]", ("::1", 1214)),
        ("[::1]:5", ("::1", 5)),
        ("::1", ("::1", 1214)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_places(text: str, parts: tuple[str, int]) -> None:
    """Every form that a person may type."""
    assert split_host_port(text) == parts


@pytest.mark.parametrize("text", ["", ":5", "host:port", "host:65536", "host:-1", "[::1", "[::1]5"])
def test_what_is_no_place(text: str) -> None:
    """One sentence for anything else."""
    with pytest.raises(ValueError):
        split_host_port(text)


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("127.0.0.1", Scope.LOOPBACK),
        ("::1", Scope.LOOPBACK),
        ("10.0.0.1", Scope.PRIVATE),
        ("fe80::1", Scope.PRIVATE),
        ("0.0.0.0", Scope.PRIVATE),
        ("1.1.1.1", Scope.PUBLIC),
        ("::ffff:127.0.0.1", Scope.LOOPBACK),
    ],
)
def test_scopes(host: str, scope: Scope) -> None:
    """Loopback < private < public."""
    assert Address.of(host, 1).scope is scope


def test_the_scope_rule() -> None:
    """A peer is believed only about places as far out as itself."""
    assert may_tell(LOOPBACK, LOOPBACK)
    assert may_tell(PUBLIC, PRIVATE)
    assert not may_tell(PRIVATE, PUBLIC)
    assert not may_tell(LOOPBACK, PRIVATE)
    assert not may_tell(PUBLIC.at(0), PRIVATE)


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "224.0.0.1", "ff02::1"])
def test_what_is_no_place_is_told_by_nobody(ip: str) -> None:
    """Any address and groups are nobody's address."""
    assert not may_tell(Address.of(ip, 1214), LOOPBACK)


@pytest.mark.parametrize("wrapped", ["::ffff:127.0.0.1", "2002:7f00:1::"])
def test_wrapped_addresses_have_the_scope_of_what_they_wrap(wrapped: str) -> None:
    """Nobody on the LAN may point at our own loopback by writing it as IPv6."""
    address = Address(ipaddress.IPv6Address(wrapped).packed, 1214)
    assert address.scope is Scope.LOOPBACK
    assert not may_tell(address, PRIVATE)


def test_text_form() -> None:
    """IPv6 stands in brackets."""
    assert str(LOOPBACK) == "127.3.2.1:1214"
    assert str(Address.of("::1", 5)) == "[::1]:5"


@given(st.ip_addresses(), st.integers(0, 65535))
def test_text_and_back(ip: object, port: int) -> None:
    """Every address survives its text form."""
    address = Address.of(str(ip), port)
    assert Address.of(*split_host_port(str(address))) == address
