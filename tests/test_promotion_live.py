"""Promotion with real processes: a full super-peer makes another, and every search goes on."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.test_programs import command, ended, ready, start

pytestmark = pytest.mark.processes

LEAVES = 4
SCALE = 0.2
PATIENCE_S = 60.0


def ask(program: str, home: Path, *arguments: str) -> Any:
    """The document that a command prints."""
    code, out, err = command(program, *arguments, "--home", str(home), "--json")
    assert code in (0, 3), err
    return json.loads(out)


@pytest.mark.timeout(240)
def test_a_full_super_peer_makes_another(tmp_path: Path) -> None:
    """No search misses a file meanwhile; afterwards `explain`, `roles` and the counters tell."""
    first = tmp_path / "first"
    arguments = (
        "run",
        "--home",
        str(first),
        "--listen",
        "127.0.0.1:0",
        "--max-leaves",
        str(LEAVES),
    )
    processes = [start("superpeer", *arguments, "--no-lan", time_scale=SCALE)]
    facts = ready(processes[0])
    homes = [tmp_path / f"leaf{number}" for number in range(LEAVES)]
    for number, home in enumerate(homes):
        share = tmp_path / f"share{number}"
        share.mkdir()
        (share / f"song number {number}.txt").write_text(str(number))
        where = ("--super", f"{facts['listen']}/{facts['node']}", "--listen", "127.0.0.1:0")
        run = ("run", "--home", str(home), *where, "--share", str(share), "--no-lan")
        processes.append(start("leaf", *run, time_scale=SCALE))
    try:
        for process in processes[1:]:
            assert ready(process)["parent"] is not None
        for home in homes:
            ask("leaf", home, "share", "--wait")
        until = time.monotonic() + PATIENCE_S
        searches, counted = 0, 0
        while not counted and time.monotonic() < until:
            found = ask("leaf", homes[searches % LEAVES], "search", "song")
            assert len(found["hits"]) == LEAVES, found
            searches += 1
            counted = ask("superpeer", first, "status")["promotions"]  # once they are neighbours
        promoted = [h for h in homes if "superpeer" in ask("leaf", h, "status")["roles"]]
        assert promoted
        for _ in range(5):
            found = ask("leaf", homes[0], "search", "song")
            assert len(found["hits"]) == LEAVES, found
        assert counted == 1
        explained = ask("superpeer", first, "explain")
        assert {"drift", "verdicts", "phase"} <= set(explained)
        assert ask("leaf", promoted[0], "status")["reachable"] is True
    finally:
        codes = [ended(process, signal.SIGTERM) for process in processes]
    assert codes == [0] * len(processes)
