"""One scenario is one network, whatever world it runs in: all of them find and tell the same."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from common.errors import Exit
from deploy import spawn
from deploy.netlab import __main__ as netlab
from deploy.report import Report
from deploy.sim import __main__ as sim

SMALL = """
super_peers = 3
leaves = 4

[overlay]
graph = "line"

[content]
files = 16
size_max = 50_000
copies = 2

[[phases]]
name = "all is found"
leaves_per_file = 2

[[phases]]
name = "one hop is one hop"
searches = 10
ttl = 1

[[phases]]
name = "downloads"
gets = 4
"""

Main = Callable[[Sequence[str]], int]


def report_of(main: Main, path: Path, capsys: pytest.CaptureFixture[str]) -> Report:
    """What a world reports of the scenario; a world that is not possible here skips the test."""
    code = main([str(path), "--json"])
    printed = capsys.readouterr()
    document = msgspec.json.decode(printed.out)
    if "skipped" in document:
        pytest.skip(str(document["skipped"]))
    assert code == Exit.DONE, printed.err
    return msgspec.convert(document, Report)


def told(report: Report) -> tuple[object, ...]:
    """What must be the same everywhere."""
    return (
        *(report.scenario, report.super_peers, report.leaves, report.violations),
        *(report.searches, report.recall, report.coverage, report.messages_per_query),
        *(report.downloads, report.downloads_complete, report.bytes_useful, report.bytes_wasted),
    )


@pytest.mark.processes
@pytest.mark.parametrize("world", [spawn.main, netlab.main])
def test_processes_show_what_the_simulator_shows(
    world: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same searches, recall, coverage and cost of a search, the same downloads."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    simulated = report_of(sim.main, path, capsys)
    assert (simulated.recall, simulated.coverage) == (1.0, 1.0)
    assert told(report_of(world, path, capsys)) == told(simulated)


@pytest.mark.processes
@pytest.mark.parametrize("world", [sim.main, spawn.main, netlab.main])
def test_the_first_network_runs_on_ipv6(world: Main, capsys: pytest.CaptureFixture[str]) -> None:
    """On [::1], in namespaces and in the simulator: whatever carries an address carries these."""
    code = world(["first-network", "--ipv6", "--json"])
    printed = capsys.readouterr()
    document = msgspec.json.decode(printed.out)
    if "skipped" in document:
        pytest.skip(str(document["skipped"]))
    report = msgspec.convert(document, Report)
    assert (code, report.violations) == (Exit.DONE, 0), printed.err
    assert (report.recall, report.coverage) == (1.0, 1.0)
    assert report.downloads_complete == report.downloads == 24
