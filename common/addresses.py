"""Where a node is: dual-stack addresses, their text forms and their scope.

An address is always an IP literal and a port; host names are resolved in the shell before they
come here. The scope rule: an address is used and passed on only within the scope in which it was
learned, so what a public peer says about private addresses is dropped.
"""

import enum
import ipaddress
from functools import lru_cache
from typing import Annotated, Final

import msgspec

DEFAULT_PORT: Final = 1214  # registered for Kazaa
WELL_KNOWN_PORTS: Final = 1024  # below this a stranger's service is likely: IANA

CACHED: Final = 65_536  # addresses whose scope is remembered, some 200 bytes each

_IP_BYTES = (4, 16)
_LOOPBACK: Final = {4: bytes((127, 0, 0, 1)), 16: bytes(15) + b"\x01"}


class Scope(enum.IntEnum):
    """How far an address means the same thing: loopback < private < public."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """An IPv4 or IPv6 address in network order (4 or 16 bytes), and a port."""

    ip: Annotated[bytes, msgspec.Meta(min_length=4, max_length=16)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]

    def __post_init__(self) -> None:
        if len(self.ip) not in _IP_BYTES:
            raise ValueError("an IP address has 4 or 16 bytes")

    @classmethod
    def of(cls, host: str, port: int) -> "Address":
        """From an IP literal; an IPv4 address mapped into IPv6 becomes IPv4 again."""
        ip = ipaddress.ip_address(host)
        mapped = getattr(ip, "ipv4_mapped", None)
        return cls((mapped or ip).packed, port)

    @property
    def host(self) -> str:
        """The IP literal without brackets."""
        return str(ipaddress.ip_address(self.ip))

    @property
    def scope(self) -> Scope:
        """Loopback, private (link-local and unspecified too) or public."""
        return _scope(self.ip)

    @property
    def is_a_place(self) -> bool:
        """Whether one node can be there: not any address, nor a group's."""
        return self.port > 0 and _is_a_place(self.ip)

    def at(self, port: int) -> "Address":
        """The same host at another port."""
        return Address(self.ip, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if len(self.ip) == 16 else f"{self.host}:{self.port}"


@lru_cache(CACHED)
def _scope(packed: bytes) -> Scope:
    ip = _plain(packed)
    if ip.is_loopback:
        return Scope.LOOPBACK
    return Scope.PUBLIC if ip.is_global else Scope.PRIVATE


@lru_cache(CACHED)
def _is_a_place(packed: bytes) -> bool:
    ip = _plain(packed)
    return not ip.is_unspecified and not ip.is_multicast


def _plain(packed: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address meant: IPv4 out of whatever IPv6 wraps it in (mapped, 6to4)."""
    ip = ipaddress.ip_address(packed)
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def from_here(listen: Address) -> Address:
    """Where a node reaches its own door, which may listen everywhere."""
    if not ipaddress.ip_address(listen.ip).is_unspecified:
        return listen
    return Address(_LOOPBACK[len(listen.ip)], listen.port)


def may_tell(about: Address, learned_from: Address) -> bool:
    """Whether a peer at `learned_from` may be believed about `about` (the scope rule); nobody is,
    who says that one of us is at a well-known port of the internet (THREATS T3)."""
    scope = about.scope
    if scope is Scope.PUBLIC and about.port < WELL_KNOWN_PORTS:
        return False
    return about.is_a_place and scope >= learned_from.scope


def split_host_port(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[::1]`, `[::1]:1214` or a bare IPv6 literal, as (host, port).

    The host may still be a name. Raises ValueError with one sentence.
    """
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [IPV6]:PORT")
        port_text = rest[1:]
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} names no host")
    if not port_text:
        return host, default_port
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise ValueError(f"{text!r} has no port between 0 and 65535")
    return host, int(port_text)
