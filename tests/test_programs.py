"""The two programs as processes: READY lines, signals, exit codes, and who holds what."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from leaf.methods import METHODS, GetProgress
from tests.bench.succession import played
from tests.toydaemon import ToyDaemon

pytestmark = pytest.mark.processes

REPOSITORY = Path(__file__).parents[1]


def start(program: str, *arguments: str, time_scale: float = 1.0) -> "subprocess.Popen[str]":
    """A program with its output to be read."""
    return subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, f"{program.upper()}_TIME_SCALE": str(time_scale)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(program: str, *arguments: str, limit_s: float = 60) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    process = start(program, *arguments)
    out, err = process.communicate(timeout=limit_s)
    return process.returncode, out, err


def ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The READY line of a daemon."""
    assert process.stdout is not None
    word, _, document = process.stdout.readline().partition(" ")
    assert word == "READY"
    found: dict[str, Any] = json.loads(document)
    return found


def ended(process: "subprocess.Popen[str]", number: signal.Signals) -> int:
    """The exit code after this signal; the pipes are closed."""
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert out == ""  # READY and nothing else
    return process.returncode


@pytest.fixture
def superpeer(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A super-peer on a free port of loopback, and its home."""
    home = tmp_path / "superpeer"
    process = start("superpeer", "run", "--home", str(home), "--listen", "127.0.0.1:0")
    yield process, home
    if process.poll() is None:
        process.kill()
        process.communicate()


def test_a_super_peer_serves_and_ends(superpeer: tuple["subprocess.Popen[str]", Path]) -> None:
    """READY names key and bound port; SIGTERM ends it with 0; its files are its owner's alone."""
    process, home = superpeer
    facts = ready(process)
    assert list(facts) == ["node", "listen", "page"]
    code, out, _ = command("superpeer", "status", "--home", str(home), "--json")
    status = json.loads(out)
    assert (code, status["node"], status["listen"]) == (0, facts["node"], facts["listen"])
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in home.iterdir()
        if path.name in ("key", "lock", "control.sock")
    }
    assert modes == {"key": 0o600, "lock": 0o600, "control.sock": 0o600}
    assert ended(process, signal.SIGTERM) == 0
    assert command("superpeer", "status", "--home", str(home))[0] == 9


def test_stop_ends_the_daemon(superpeer: tuple["subprocess.Popen[str]", Path]) -> None:
    """When the command is done, so is the daemon, and its home is free."""
    process, home = superpeer
    ready(process)
    code, out, _ = command("superpeer", "stop", "--home", str(home), "--json")
    assert (code, json.loads(out)) == (0, {"leaves": 0})
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_home_and_a_port_have_one_daemon(
    superpeer: tuple["subprocess.Popen[str]", Path], tmp_path: Path
) -> None:
    """The second is told who holds it: exit 10."""
    process, home = superpeer
    listen = ready(process)["listen"]
    code, out, err = command("superpeer", "run", "--home", str(home))
    assert (code, out) == (10, "")
    assert f"process {process.pid}" in err
    for program in ("superpeer", "leaf"):
        other = str(tmp_path / f"other-{program}")
        code, _, err = command(program, "run", "--home", other, "--listen", listen)
        assert code == 10
        assert sys.platform != "linux" or f"process {process.pid}" in err
    assert ended(process, signal.SIGINT) == 0


def test_a_daemon_that_was_killed_leaves_its_home_free(
    superpeer: tuple["subprocess.Popen[str]", Path],
) -> None:
    """kill -9; the next one has the same key."""
    process, home = superpeer
    node = ready(process)["node"]
    process.kill()
    process.communicate()
    again = start("superpeer", "run", "--home", str(home), "--listen", "127.0.0.1:0")
    assert ready(again)["node"] == node
    assert ended(again, signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--join", "no-such-host.invalid"), 6),
        (("--join", "127.0.0.1:1/short"), 2),
        (("--listen", "192.0.2.1:0"), 2),
        (("--network-key", "/nowhere"), 2),
        (("--config", "/nowhere"), 2),
        (("--max-leaves", "-1"), 2),
    ],
)
def test_a_run_that_cannot_begin(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    """One sentence, one fix, the exit code; no READY line."""
    found, out, err = command("superpeer", "run", "--home", str(tmp_path / "home"), *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1


def test_ctrl_c_leaves_a_call(tmp_path: Path) -> None:
    """Exit 130, and the daemon hears that nobody waits; we hear that it goes on all the same."""
    home = home_at("leaf", tmp_path)
    home.prepare()

    def endless(server: ControlServer, call: int, _method: str, _params: msgspec.Struct) -> None:
        server.tell(call, GetProgress("sp:x.7", "/d/a", 7, 3, 1.0, None, 2, "fetching", ""))

    toy = ToyDaemon(home, METHODS, endless)
    try:
        asker = start("leaf", "get", "x", "--home", str(tmp_path), "--jsonl")
        assert asker.stdout is not None
        assert json.loads(asker.stdout.readline())["progress"]["id"] == "sp:x.7"
        asker.send_signal(signal.SIGINT)
        _, err = asker.communicate(timeout=20)
        assert (asker.returncode, "`leaf pause sp:x.7`" in err) == (130, True)
        assert all(err.splitlines())  # no empty line
        assert toy.gone.wait(10)
    finally:
        toy.stop()


def test_a_network_of_three(
    superpeer: tuple["subprocess.Popen[str]", Path], tmp_path: Path
) -> None:
    """Share, search, fetch, name and end, as a user does; then the same in passing."""
    listen = ready(superpeer[0])["listen"]
    (tmp_path / "music/Blue Note").mkdir(parents=True)
    content = os.urandom(300_000)
    (tmp_path / "music/Blue Note/train.ogg").write_bytes(content)
    node = ("--listen", "127.0.0.1:0", "--super", listen)
    music = str(tmp_path / "music")
    homes = [("--home", str(tmp_path / name)) for name in ("giver", "taker", "passer")]
    giver = start("leaf", "run", *homes[0], *node, "--share", music)
    taker = start("leaf", "run", *homes[1], *node)
    try:
        assert ready(giver)["parent"]["address"] == ready(taker)["parent"]["address"] == listen
        code, out, _ = command("leaf", "share", "--wait", *homes[0], "--json", "--timeout", "30")
        (row,) = json.loads(out)
        assert (code, row["name"]) == (0, "train.ogg")
        code, out, _ = command("leaf", "search", "blue", "train", *homes[1], "--json")
        found = json.loads(out)
        assert (code, found["hits"][0]["id"]) == (0, row["id"])
        assert found["coverage"]["complete"]
        code, out, _ = command("leaf", "get", "1", *homes[1], "-o", f"{tmp_path}/new/", "--json")
        got = json.loads(out)
        assert (code, got["verified"], got["path"]) == (0, True, f"{tmp_path}/new/train.ogg")
        assert Path(got["path"]).read_bytes() == content
        assert json.loads(command("leaf", "id", got["path"], "--json")[1])[0]["id"] == row["id"]
        passing = (*homes[2], "--super", listen, "--json")
        assert command("leaf", "search", "nowhere", *passing)[0] == 3
        assert command("leaf", "get", "1", *passing)[0] == 2  # of that search
        assert command("leaf", "search", "train", *passing)[0] == 0
        numbered = command("leaf", "get", "1", *passing, "-o", f"{tmp_path}/by-number")
        assert (numbered[0], (tmp_path / "by-number").read_bytes()) == (0, content)
        target = tmp_path / "passed"
        assert command("leaf", "get", row["id"], *passing, "-o", str(target))[0] == 0
        assert target.read_bytes() == content
        absent = f"sp:{'q' * 52}.7"
        code, _, err = command("leaf", "get", absent, *passing, "--timeout", "2")
        assert (code, "goes on" in err, "Run the same" in err) == (6, False, True)
        cut = start("leaf", "get", absent, *passing, "--jsonl")
        assert cut.stdout is not None
        assert "progress" in json.loads(cut.stdout.readline())
        cut.send_signal(signal.SIGINT)
        _, err = cut.communicate(timeout=20)
        assert (cut.returncode, "Run the same" in err) == (130, True)
        assert command("leaf", "search", "blue", *passing, "--network", "other")[0] == 7
        assert command("leaf", "stop", *homes[1])[0] == 0
        assert taker.wait(1) == 0  # `stop` returns when the process is gone, or all but
    finally:
        for process in (giver, taker):
            process.terminate()
            process.communicate(timeout=20)
    assert giver.returncode == 0


def test_a_leaf_that_finds_nobody(tmp_path: Path) -> None:
    """READY without a parent; a search is exit 6, in passing too."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        home = ("--home", str(tmp_path / "leaf"))
        node = ("--listen", "127.0.0.1:0", "--super", nobody)
        lonely = start("leaf", "run", *home, *node, time_scale=0.1)
        assert ready(lonely)["parent"] is None
        assert command("leaf", "search", "x", *home)[0] == 6
        passing = ("--home", str(tmp_path / "none"), "--super", nobody, "--timeout", "0.5")
        assert command("leaf", "search", "x", *passing)[0] == 6
        assert ended(lonely, signal.SIGINT) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_first_machine_begins_the_network(tmp_path: Path, host: str) -> None:
    """Told nobody, it is its own parent; who finds it on a list has its files; one stop ends it."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "blue train.ogg").write_bytes(bytes(range(256)) * 999)
    homes = [("--home", str(tmp_path / name)) for name in ("first", "second")]
    node = ("--listen", f"{host}:0")
    first = start("leaf", "run", *homes[0], *node, "--share", str(share))
    facts = ready(first)
    assert facts["parent"] == {"node": facts["node"], "address": facts["listen"]}
    site = tmp_path / "super-peers"
    site.write_text(f"nowhere.invalid  # gone\n{facts['listen']}\n")
    second = start("leaf", "run", *homes[1], *node, "--tracker-site", str(site))
    try:
        assert ready(second)["parent"]["node"] == facts["node"]
        status = json.loads(command("leaf", "status", *homes[0], "--json")[1])
        assert (status["roles"], status["parent_source"]) == (["leaf", "superpeer"], "self")
        status = json.loads(command("leaf", "status", *homes[1], "--json")[1])
        assert (status["roles"], status["parent_source"]) == (["leaf"], "site")
        code, out, _ = command("superpeer", "status", *homes[0], "--json")
        assert (code, json.loads(out)["leaves"]) == (0, 2)
        assert command("superpeer", "status", *homes[1])[0] == 7
        assert command("leaf", "share", "--wait", *homes[0], "--timeout", "30")[0] == 0
        assert command("leaf", "search", "blue", "train", *homes[1])[0] == 0
        code, out, _ = command("leaf", "get", "1", *homes[1], "--json")
        assert (code, json.loads(out)["verified"]) == (0, True)
        assert command("leaf", "stop", *homes[0])[0] == 0
        assert first.wait(10) == 0
    finally:
        for process in (first, second):
            process.terminate()
            process.communicate(timeout=20)


def test_who_must_not_be_promoted_waits(tmp_path: Path) -> None:
    """`--no-promote`: READY without a parent when the wait is over, and never a super-peer."""
    home = ("--home", str(tmp_path / "leaf"))
    lonely = start("leaf", "run", *home, "--listen", "127.0.0.1:0", "--no-promote", time_scale=0.1)
    assert ready(lonely)["parent"] is None
    status = json.loads(command("leaf", "status", *home, "--json")[1])
    assert (status["roles"], status["parent_source"]) == (["leaf"], None)
    assert ended(lonely, signal.SIGINT) == 0


def test_the_network_outlives_all_its_super_peers() -> None:
    """Both are killed; the leaves find one of themselves, and each other's files."""
    figures = played(supers=2, leaves=3)
    assert figures["super_peers"] >= 1
