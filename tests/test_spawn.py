"""Scenarios as processes: one small network from nothing to a report, and what outlives nobody."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from common.errors import Exit, UserError
from deploy import spawn
from deploy.processes import Processes
from deploy.report import Report

SCENARIO = """
super_peers = 3
leaves = 4

[overlay]
graph = "line"
delay_max_s = 0.002

[content]
files = 24
size_max = 200000
copies = 2

[[phases]]
name = "all is found"
leaves_per_file = 2

[[phases]]
name = "one hop is one hop"
searches = 20
ttl = 1

[[phases]]
name = "downloads"
gets = 6

[[phases]]
name = "a super-peer at the end of the line dies"
faults = [{ at_s = 0.0, kill = "super-peer 2" }]

[[phases]]
name = "all is found again"
leaves_per_file = 1
"""


@pytest.mark.processes
def test_a_small_network_finds_and_fetches_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recall 1, exact hops, true downloads, and all again after a super-peer died."""
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO)
    code = spawn.main([str(path), "--json", "--work", str(tmp_path / "work")])
    printed = capsys.readouterr()
    report = msgspec.json.decode(printed.out, type=Report)
    assert (code, report.violations) == (Exit.DONE, 0), printed.err
    assert (report.scenario, report.world) == ("small", "processes")
    assert (report.searches, report.recall, report.coverage) == (24 * 2 + 20 + 24 + 6, 1.0, 1.0)
    assert (report.downloads, report.downloads_complete) == (6, 6)
    assert report.failover_p50_s is not None
    assert report.bytes_wasted == 0


def test_an_impossible_scenario_is_a_document_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--json` an error is one JSON document on stdout."""
    path = tmp_path / "bad.toml"
    path.write_text("super_peers = 1\nleaves = -1\n")
    assert spawn.main([str(path), "--json"]) == Exit.USAGE
    error = msgspec.json.decode(capsys.readouterr().out)["error"]
    assert (error["code"], "bad.toml:2" in error["message"]) == (2, True)


def test_more_nodes_than_processes_can_be_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A world of processes says how many it takes."""
    path = tmp_path / "large.toml"
    path.write_text("super_peers = 10\nleaves = 5000\n")
    assert spawn.main([str(path)]) == Exit.USAGE
    assert "5010 nodes" in capsys.readouterr().err


@pytest.mark.processes
def test_a_node_that_ends_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """Nobody waits for a READY line that cannot come."""
    with Processes(tmp_path) as processes:
        node = processes.start("odd", "superpeer", ["--no-such-flag"])
        with pytest.raises(UserError, match="no-such-flag"):
            processes.await_ready([node], 30)


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills with the parent")
def test_nodes_die_with_the_run_that_started_them(tmp_path: Path) -> None:
    """Kill the run itself with SIGKILL: its node is gone too."""
    program = (
        "import sys, time; from pathlib import Path; from deploy.processes import Processes\n"
        "processes = Processes(Path(sys.argv[1]))\n"
        "node = processes.start('one', 'superpeer', ['--listen', '127.0.0.1:0', '--no-lan'])\n"
        "processes.await_ready([node], 30)\n"
        "print(node.process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(spawn.__file__).parent.parent,
    )
    with run:
        node = os.pidfd_open(int((run.stdout or sys.stdin.buffer).readline()))
        run.send_signal(signal.SIGKILL)
        try:
            assert select.select([node], [], [], 30)[0]
        finally:
            os.close(node)
