"""Names of hosts into addresses: what a person types as HOST[:PORT][/KEY].

A name may have several addresses; each becomes a seed under the same place, in the order that the
system prefers. Resolving blocks, so it happens before a node begins. Nobody is asked yet whether
a super-peer is there.
"""

import socket
from collections.abc import Iterable

from common.addresses import DEFAULT_PORT, Address, split_host_port
from common.errors import Exit, UserError
from common.ids import is_key, parse_node
from common.meeting import Seed


def seeds(texts: Iterable[str]) -> tuple[Seed, ...]:
    """Every address of every HOST[:PORT][/KEY], in order. Raises UserError (exit 2 or 6)."""
    return tuple(seed for text in texts for seed in _seeds(text))


def of_another_family(found: Iterable[Seed], host: str) -> tuple[str, ...]:
    """The places that a node which listens on `host` alone cannot reach.

    It dials out from there, and from an IPv6 address no way leads to IPv4, nor back. A name with
    addresses of both is no matter.
    """
    own = Address.of(host, 0)
    if own == Address.of("::", 0) or own == Address.of("0.0.0.0", 0):
        return ()
    reached: dict[str, bool] = {}
    for seed in found:
        fits = len(seed.address.ip) == len(own.ip)
        reached[seed.place] = reached.get(seed.place, False) or fits
    return tuple(place for place, fits in reached.items() if not fits)


def place_of(text: str) -> str:
    """HOST:PORT as pins know it: lower case, the port always there. Raises UserError."""
    host, port = _split(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen_address(text: str) -> tuple[tuple[str, int], bool]:
    """Where to listen (an IP literal and a port), and whether this very port was asked for.

    Without a wish: every address of this machine, of both families where it has both.
    """
    if not text:
        return (_everywhere(), DEFAULT_PORT), False
    host, port = _split(text)
    return (_own(host, port, text), port), port != 0


def web_address(text: str) -> tuple[str, int] | None:
    """Where to serve HTTP (an IP literal and a port), or None without a wish. Raises UserError.

    Unlike other doors it has no port of its own that others would try.
    """
    if not text:
        return None
    host, port = _split(text)
    if text.rpartition("]")[2].count(":") != 1 or text.endswith(":"):
        hint = "Write HOST:PORT or [IPV6]:PORT; port 0 takes a free one."
        raise UserError(Exit.USAGE, f"{text!r} has no port to serve HTTP at.", hint)
    return _own(host, port, text), port


def any_port() -> str:
    """Listen everywhere at a free port, as `--listen` would say it."""
    return f"[{host}]:0" if (host := _everywhere()) == "::" else f"{host}:0"


def _everywhere() -> str:
    """`::` takes IPv4 too; where the kernel has no IPv6 it cannot be bound."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"
    return "::"


def _seeds(text: str) -> list[Seed]:
    where, _, key = text.partition("/")
    try:
        node = parse_node(key) if key else None
        if node is not None and not is_key(node):
            raise ValueError(f"{key!r} is no key that a node could have")
    except ValueError as error:
        raise UserError(Exit.USAGE, f"{error}.", "Copy the key as `status` prints it.") from error
    host, port = _split(where)
    return [Seed(place_of(where), address, node) for address in _addresses(host, port, where)]


def _split(text: str) -> tuple[str, int]:
    try:
        host, port = split_host_port(text.strip(), DEFAULT_PORT)
    except ValueError as error:
        raise UserError(Exit.USAGE, f"{error}.", "Write HOST, HOST:PORT or [IPV6]:PORT.") from error
    return host.lower(), port


def _own(host: str, port: int, text: str) -> str:
    """An address of this machine: a name that nobody knows is a wrong setting, not a dead peer."""
    try:
        return _addresses(host, port, text)[0].host
    except UserError as error:
        raise UserError(Exit.USAGE, error.message, error.hint) from error


def _addresses(host: str, port: int, text: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a label too long for a name is a UnicodeError
        raise UserError(
            Exit.UNREACHABLE,
            f"Unknown host {text!r}: {getattr(error, 'strerror', None) or error}.",
            "Check its spelling and this machine's name service, or give its IP address.",
        ) from error
    return list(dict.fromkeys(Address.of(str(where[0]), int(where[1])) for *_, where in found))
