"""Scenarios as processes: one small network from nothing to a report, and what outlives nobody."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from common.config import Config, FloodConfig, LinkConfig
from common.errors import Exit, UserError
from deploy import spawn
from deploy.network import overrides
from deploy.processes import Processes
from deploy.report import Report
from deploy.scenario import Scenario

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


STRUCK = """
super_peers = 2
leaves = 2
together = true

[config.link]
stall_s = 0.6

[content]
files = 8
size_max = 1000
sharers = 1
sharing_on = false

[[phases]]
name = "one stands still for less than death"
searches = 6
for_s = 1.2
faults = [{ at_s = 0.2, stop = "super-peer 1", for_s = 0.8 }]

[[phases]]
name = "each file is found, one hit at a time"
leaves_per_file = 2
limit = 1

[[phases]]
name = "the busiest is started again"
faults = [{ at_s = 0, restart = "busiest super-peer", for_s = 0.1 }]

[[phases]]
name = "each file is found, and fetched by a crowd"
leaves_per_file = 2
crowd = 1

[expect]
recall_min = 1.0
downloads_min = 1.0
"""


@pytest.mark.processes
def test_who_was_stopped_or_started_again_is_found_like_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is missing once the network has settled, and the same address serves again."""
    path = tmp_path / "struck.toml"
    path.write_text(STRUCK)
    code = spawn.main([str(path), "--json", "--work", str(tmp_path / "work")])
    printed = capsys.readouterr()
    report = msgspec.json.decode(printed.out, type=Report)
    assert (code, report.violations, report.recall) == (Exit.DONE, 0, 1.0), printed.err
    assert (report.downloads, report.downloads_complete) == (1, 1)


@pytest.mark.processes
def test_a_node_is_started_again_under_its_old_address(tmp_path: Path) -> None:
    """Same home, so the same key, and the same port."""
    with Processes(tmp_path) as processes:
        node = processes.start("one", "superpeer", ["--listen", "127.0.0.1:0", "--no-lan"])
        processes.await_ready([node], 30)
        before = node.ready.place
        processes.kill(node)
        processes.restart(node)
        processes.await_ready([node], 30)
        assert node.ready.place == before
        assert processes.dead() == []


@pytest.mark.parametrize(
    ("text", "key", "world"),
    [
        (
            "[[phases]]\nname = 'a'\nfaults = [{at_s = 0, cut = ['leaf 1'], for_s = 1}]",
            "cut",
            "netlab",
        ),
        ("[hosts]\nup_min = 1000\nup_max = 2000", "hosts.up_max", "netlab"),
        ("[hosts]\ndelay_max_s = 0.1", "hosts.delay_max_s", "netlab"),
        ("[churn]\nprofile = 'gnutella'", "churn.profile", "sim"),
        ("[[hostile]]\nkind = 'silent'", "hostile", "sim"),
    ],
)
def test_what_processes_cannot_do_is_said_before_any_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, key: str, world: str
) -> None:
    """The key and the world that can do it."""
    path = tmp_path / "other.toml"
    path.write_text(f"super_peers = 1\nleaves = 2\n{text}\n")
    assert spawn.main([str(path), "--work", str(tmp_path / "work")]) == Exit.USAGE
    said = capsys.readouterr().err
    assert key in said
    assert f"deploy.{world} other" in said
    assert not (tmp_path / "work").exists()


def test_a_scenario_sets_what_differs_from_the_defaults() -> None:
    """Each changed key reaches both programs by their environment, and so does the time scale."""
    config = Config(link=LinkConfig(echo_s=0.5), flood=FloodConfig(open_max=7))
    asked = Scenario(super_peers=1, leaves=0, config=config, time_scale=2.0)
    changed = {"LINK__ECHO_S": "0.5", "FLOOD__OPEN_MAX": "7", "TIME_SCALE": "2.0"}
    changed["OVERLAY__DEGREE_WANTED"] = "0"  # the graph is the scenario's
    wanted = {p + key: value for p in ("LEAF_", "SUPERPEER_") for key, value in changed.items()}
    assert overrides(asked) == wanted


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
