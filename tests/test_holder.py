"""Who holds a port."""

import os
import socket
import sys
from pathlib import Path

import pytest

from common.shell.desk.holder import UNKNOWN, describe_holder


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_process_is_named(family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    """TCP and UDP, IPv4 and IPv6."""
    with socket.socket(family, kind) as held:
        held.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        assert f"process {os.getpid()} (" in describe_holder(held.getsockname()[1])


def test_elsewhere_it_is_another_program(tmp_path: Path) -> None:
    """No /proc, or a broken one, is no error."""
    assert describe_holder(1, tmp_path) == UNKNOWN
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_bytes(b"head\n0: \xff\n\n")
    assert describe_holder(1, tmp_path) == UNKNOWN
