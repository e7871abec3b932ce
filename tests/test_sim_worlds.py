"""Virtual worlds: one seed is one world, scenarios show what they promise, faults do no harm.

A red seed prints the one command that replays it; nothing is tried twice.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import Exit
from deploy.sim import __main__ as sim
from deploy.sim.soak import main as soak
from deploy.sim.soak import replay_command

ROOT = Path(__file__).resolve().parent.parent
QUICK = (
    *("first-network", "client-server", "bittorrent", "napster", "gnutella-flat", "kazaa"),
    *("partition-heal", "all-super-peers-die", "slow-links", "churn-default"),
)
EVENTS = 100_000  # each of two; longer soaks are a command of their own


def fresh(module: str, *arguments: str, hash_seed: int) -> dict[str, object]:
    """What a module of ours prints as JSON in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout, done.stderr
    document: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return document


@pytest.mark.soak
@pytest.mark.parametrize("seed", [3, 1000, 77_777])
def test_the_same_seed_is_the_same_world(seed: int) -> None:
    """Whatever PYTHONHASHSEED says: every event, moment and byte of a chaotic world."""
    arguments = ("--seed", str(seed), "--events", "1")
    traces = [
        fresh("deploy.sim.soak", *arguments, hash_seed=hash_seed)["trace_sha256"]
        for hash_seed in (0, 1, 4242)
    ]
    assert traces[0] == traces[1] == traces[2]


def test_another_seed_is_another_world() -> None:
    """A trace tells worlds apart."""
    one, other = (
        fresh("deploy.sim.soak", "--seed", str(seed), "--events", "1", hash_seed=0)["trace_sha256"]
        for seed in (3, 4)
    )
    assert one != other


@pytest.mark.soak
def test_a_scenario_has_one_trace() -> None:
    """A scenario that says nothing of chance is replayed to the byte too."""
    reports = [fresh("deploy.sim", "kazaa", hash_seed=hash_seed) for hash_seed in (0, 7)]
    assert reports[0]["trace_sha256"] == reports[1]["trace_sha256"] is not None


@pytest.mark.soak
@pytest.mark.parametrize("name", QUICK)
def test_a_scenario_shows_what_it_promises(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is expected of it holds, or fails as it says that it does."""
    code = sim.main([name, "--json"])
    assert code == Exit.DONE, capsys.readouterr().err


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", [1, 50_000])
def test_many_events_with_faults_violate_nothing(
    first: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Safety while the faults are on, liveness after them, in every world of many seeds."""
    code = soak(["--events", str(EVENTS), "--seed", str(first), "--json"])
    assert code == Exit.DONE, capsys.readouterr().err


def test_one_command_replays_one_seed() -> None:
    """What a red seed prints runs that world alone."""
    command = replay_command(41).split()
    assert command[:2] == ["python", "-m"]
    report = fresh(*command[2:], hash_seed=0)
    assert (report["seed"], report["seeds"]) == (41, 1)


def test_an_impossible_scenario_is_a_document_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--json` an error is one JSON document on stdout, and it names the line."""
    path = tmp_path / "bad.toml"
    path.write_text("super_peers = 2\nleaves = 1\n[hosts]\nup_min = -1.0\n")
    assert sim.main([str(path), "--json"]) == Exit.USAGE
    assert "bad.toml:4" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[overlay]\ngraph = 'explicit'\nlinks = [[0, 1]]", "overlay.links.0: there is no super"),
        ("[content]\nfiles = 4\ncopies = 4", "content.copies: 4 copies of a file need as many"),
        (
            "[[phases]]\nname = 'a'\nfaults = [{ at_s = 0, kill = 'super-peer 1' }]",
            "phases.0.faults.0.kill: there is no super-peer 1",
        ),
    ],
)
def test_a_size_that_a_scenario_cannot_have_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What holds for the scenario must hold at each size of a sweep; nothing is run before."""
    path = tmp_path / "two.toml"
    path.write_text(f"super_peers = 2\nleaves = 4\n{text}\n")
    assert sim.main([str(path), "--sizes", "2,1", "--json"]) == Exit.USAGE
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message.startswith(f"--sizes 1, that is with 2 leaves: {said}")
