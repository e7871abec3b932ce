"""Who holds a port."""

import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from common.shell.desk.holder import UNKNOWN, describe_holder, unbound


def test_a_port_of_the_system_needs_another_one() -> None:
    """Its address is one of this machine; elsewhere it may not be."""
    assert "below 1024" in unbound(PermissionError(errno.EACCES, "denied"), "--listen")
    assert "of this machine" in unbound(OSError(errno.EADDRNOTAVAIL, "none"), "--http")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_process_is_named(family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    """TCP and UDP, IPv4 and IPv6."""
    with socket.socket(family, kind) as held:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        held.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        assert f"process {os.getpid()} (" in describe_holder(held.getsockname()[1], host)


@pytest.mark.parametrize(
    ("host", "held"),
    [
        ("127.0.0.1", "0100007F"),
        ("127.0.0.1", "00000000"),
        ("127.0.0.1", "00000000" * 4),
        ("127.0.0.1", "0000000000000000FFFF00000100007F"),
        ("0.0.0.0", "0100007F"),
        ("::", "0100007F"),
        ("::1", "00000000000000000000000001000000"),
    ],
)
def test_who_is_in_the_way_holds_this_address_or_a_wildcard(
    tmp_path: Path, host: str, held: str
) -> None:
    """Addresses stand in /proc as words in this machine's order."""
    assert sys.byteorder == "little"
    _table(tmp_path, held)
    assert describe_holder(1214, host, tmp_path) == "process 7 (prog)"


@pytest.mark.parametrize(
    ("host", "held"),
    [
        ("127.0.0.1", "0200007F"),
        ("::1", "00000000"),
        ("127.0.0.1", "00000000000000000000000001000000"),
    ],
)
def test_another_address_is_not_in_the_way(tmp_path: Path, host: str, held: str) -> None:
    """The same port there is another door."""
    _table(tmp_path, held)
    assert describe_holder(1214, host, tmp_path) == UNKNOWN


def _table(proc: Path, held: str) -> None:
    """A /proc where process 7 listens at this address and port 1214."""
    (proc / "net").mkdir()
    name = "tcp" if len(held) == 8 else "tcp6"
    line = f"0: {held}:{1214:04X} 0:0 0A 0 0 0 0 0 99 1"
    (proc / "net" / name).write_text(f"head\n{line}\n")
    (proc / "7/fd").mkdir(parents=True)
    (proc / "7/comm").write_text("prog\n")
    (proc / "7/fd/3").symlink_to("socket:[99]")


def test_elsewhere_it_is_another_program(tmp_path: Path) -> None:
    """No /proc, or a broken one, is no error."""
    assert describe_holder(1, proc=tmp_path) == UNKNOWN
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_bytes(b"head\n0: \xff\n\n")
    assert describe_holder(1, proc=tmp_path) == UNKNOWN
