"""A LAN in namespaces: nobody is told anything, and everybody finds his own."""

import os

import msgspec
import pytest

from common.errors import Exit
from deploy.netlab import __main__ as netlab
from deploy.netlab import walls, wiring
from deploy.netlab.lan import CHECKS
from deploy.netlab.machine import Machine


@pytest.mark.processes
@pytest.mark.parametrize("check", CHECKS)
def test_on_a_lan(check: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check of `python -m deploy.netlab lan`."""
    must_hold("lan", check, capsys)


@pytest.mark.processes
@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", walls.CHECKS)
def test_behind_walls(check: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check of `python -m deploy.netlab walls`."""
    must_hold("walls", check, capsys)


def must_hold(world: str, check: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds, and nothing of it is left behind."""
    code = netlab.main([world, check, "--json"])
    printed = capsys.readouterr()
    document = msgspec.json.decode(printed.out)
    if "skipped" in document:
        pytest.skip(document["skipped"])
    assert (code, document["violations"]) == (Exit.DONE, 0), printed.err
    assert document["checks"]
    lab = wiring.lab_name(os.getpid())
    assert [name for name in Machine().namespaces() if name.startswith(lab)] == []
