"""Who holds a port of this machine: a process id and its program, as far as may be seen.

Linux tells through /proc which socket listens (an inode) and which descriptor of which process is
that socket; descriptors of other users' processes are closed to us. Elsewhere the answer is
"another program". Nothing here is used for more than an error message.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TABLES: Final = ("net/tcp", "net/tcp6", "net/udp", "net/udp6")
_TCP_LISTEN: Final = "0A"
_UDP_BOUND: Final = "07"
UNKNOWN: Final = "another program"


def describe_holder(port: int, proc: Path = Path("/proc")) -> str:
    """`process 123 (name)` or `another program`: who listens on this port, TCP or UDP."""
    inodes = set(_listening(port, proc))
    for pid in _processes(proc) if inodes else ():
        for descriptor in _listed(proc / pid / "fd"):
            if _target(descriptor) in inodes:
                return f"process {pid} ({_program(proc / pid)})"
    return UNKNOWN


def _listening(port: int, proc: Path) -> Iterator[str]:
    """The sockets bound to the port, as descriptors show them: `socket:[INODE]`."""
    for table in _TABLES:
        for line in _text(proc / table).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] not in (_TCP_LISTEN, _UDP_BOUND):
                continue
            if int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


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
