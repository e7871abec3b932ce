"""`leaf limit` with a real daemon: what was set holds at once, and in the next life."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.test_programs import command, ended, ready, start

pytestmark = pytest.mark.processes


def test_limits_survive_a_restart_and_flags_go_before_them(tmp_path: Path) -> None:
    """Set, shown in `status`, there again; `run --up none` wins until the next `limit --up`."""
    home = ("--home", str(tmp_path / "leaf"))
    node = ("run", *home, "--listen", "127.0.0.1:0", "--super", "127.0.0.1:9")

    def said(*words: str) -> dict[str, Any]:
        code, out, err = command("leaf", *words, *home, "--json")
        assert (code, err) == (0, "")
        document: dict[str, Any] = json.loads(out)
        return document

    first = start("leaf", *node, time_scale=0.05)
    ready(first)
    said("limit", "--up", "2MB", "--down", "8mbit", "--slots", "5")
    said("limit", "--at", "00:00-24:00", "--down", "none")
    assert ended(first, signal.SIGTERM) == 0
    second = start("leaf", *node, "--up", "none", time_scale=0.05)
    ready(second)
    status = said("status")
    assert (status["up_limit"], status["down_limit"]) == (None, None)
    shown = said("limit")
    assert (shown["down"], shown["slots"], shown["next_change"]) == (1_000_000, 5, None)
    assert shown["schedule"] == [{"at": "00:00-24:00", "up": None, "down": 0}]
    shown = said("limit", "--up", "3MB", "--remove", "all")
    assert (shown["up_limit"], shown["down_limit"]) == (3_000_000, 1_000_000)
    assert ended(second, signal.SIGTERM) == 0


@pytest.mark.parametrize("flag", ["--up=5", "--down=fast"])
def test_a_run_with_a_cap_that_is_none_does_not_begin(tmp_path: Path, flag: str) -> None:
    """One sentence, one fix, exit code 2."""
    code, out, err = command("leaf", "run", "--home", str(tmp_path / "leaf"), flag)
    assert (code, out) == (2, "")
    assert "Setting" in err
