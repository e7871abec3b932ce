"""Who holds a port of this machine: a process id and its program, as far as may be seen.

Linux tells through /proc which socket listens (an inode) and which descriptor of which process is
that socket; descriptors of other users' processes are closed to us. Who holds the same port of
another address is not in the way. Elsewhere the answer is "another program". Nothing here is used
for more than an error message.
"""

import errno
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

_TABLES: Final = ("net/tcp", "net/tcp6", "net/udp", "net/udp6")
_TCP_LISTEN: Final = "0A"
_UDP_BOUND: Final = "07"
UNKNOWN: Final = "another program"


_Ip = IPv4Address | IPv6Address


def unbound(error: OSError, flag: str) -> str:
    """What to do where `flag` names an address that nobody holds and we cannot have."""
    if error.errno == errno.EACCES:
        return f"Ports below 1024 are the system's: give {flag} a higher one."
    return f"Give {flag} an address of this machine."


def describe_holder(port: int, host: str = "::", proc: Path = Path("/proc")) -> str:
    """`process 123 (name)` or `another program`: who keeps us from `host` (an IP literal) and
    this port, TCP or UDP."""
    inodes = set(_listening(port, ip_address(host), proc))
    for pid in _processes(proc) if inodes else ():
        for descriptor in _listed(proc / pid / "fd"):
            if _target(descriptor) in inodes:
                return f"process {pid} ({_program(proc / pid)})"
    return UNKNOWN


def _listening(port: int, host: _Ip, proc: Path) -> Iterator[str]:
    """The sockets bound there, as descriptors show them: `socket:[INODE]`."""
    for table in _TABLES:
        for line in _text(proc / table).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] not in (_TCP_LISTEN, _UDP_BOUND):
                continue
            where, _, number = fields[1].rpartition(":")
            if int(number, 16) == port and _collide(host, _local(where)):
                yield f"socket:[{fields[9]}]"


def _local(text: str) -> _Ip:
    """An address as /proc writes it: words of 32 bits in hex, each in this machine's order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ip_address(raw)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _collide(one: _Ip, other: _Ip) -> bool:
    return one == other or _covers(one, other) or _covers(other, one)


def _covers(wide: _Ip, one: _Ip) -> bool:
    """A wildcard takes its own family; `::` takes IPv4 too."""
    return wide.is_unspecified and (wide.version == 6 or one.version == 4)


def _processes(proc: Path) -> list[str]:
    return sorted((path.name for path in _listed(proc) if path.name.isdigit()), key=int)


def _program(process: Path) -> str:
    return _text(process / "comm").strip() or "?"


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # gone, or another user's
        return []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
