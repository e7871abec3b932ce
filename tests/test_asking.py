"""Searching, watching and wishing as processes: what is printed while it happens, and bad input."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from leaf.methods import METHODS, CoverageRow, HitRow, SearchResult
from tests.test_programs import REPOSITORY, command, ready, start
from tests.toydaemon import ToyDaemon

pytestmark = pytest.mark.processes

HIT = HitRow("sp:" + "q" * 52 + ".7", "a", ["a"], 7, 1, 1.0)
COVERAGE = CoverageRow(1, None, 0, 0.1, True)


class Net:
    """A super-peer and two leaves that share, as processes; `ask` runs a command of the second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        home = ("--home", str(folder / "superpeer"))
        listen = self._run("superpeer", *home, "--listen", "127.0.0.1:0")["listen"]
        self.node = ("--listen", "127.0.0.1:0", "--super", listen)
        self.home = ("--home", str(folder / "asker"))
        (folder / "share").mkdir()
        (folder / "share" / "Blue River.ogg").write_bytes(b"same")
        (folder / "share" / "river, blue.ogg").write_bytes(b"same")
        (folder / "share" / "Blue Moon.ogg").write_bytes(b"other")
        giver = ("--home", str(folder / "giver"))
        self._run("leaf", *giver, *self.node, "--share", str(folder / "share"))
        self.run_asker()
        assert command("leaf", "share", "--wait", *giver, "--timeout", "30")[0] == 0

    def run_asker(self) -> None:
        """The leaf that asks begins a life."""
        self.asker = self._start("leaf", *self.home, *self.node, "--downloads", f"{self.folder}/in")
        assert ready(self.asker)["parent"]

    def ask(self, *arguments: str) -> tuple[int, str, str]:
        """What a command at the second leaf says."""
        return command("leaf", *arguments, *self.home)

    def end(self) -> None:
        """All go."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.communicate(timeout=20)

    def _run(self, program: str, *arguments: str) -> dict[str, Any]:
        return ready(self._start(program, *arguments))

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        process = start(program, "run", *arguments)
        self.processes.append(process)
        return process


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    """One that is up."""
    net = Net(tmp_path)
    yield net
    net.end()


def test_a_stream_has_each_file_once_and_ends_with_the_result(net: Net) -> None:
    """As many hits as were asked for, whatever there is; then the document without them."""
    code, out, _ = net.ask("search", "blue", "--jsonl")
    *hits, result = map(json.loads, out.splitlines())
    assert code == 0
    assert len({hit["hit"]["id"] for hit in hits}) == len(hits) == 2
    assert result["result"]["coverage"]["complete"]
    code, out, _ = net.ask("search", "blue", "--jsonl", "--limit", "1")
    assert [list(json.loads(line)) for line in out.splitlines()] == [["hit"], ["result"]]
    code, out, _ = net.ask("search", "blue", "absent", "--jsonl")
    assert (code, [list(json.loads(line)) for line in out.splitlines()]) == (3, [["result"]])
    _, out, _ = net.ask("search", "blue", "--trace", "--json")
    (hop,) = json.loads(out)["trace"]
    assert (hop["outcome"], hop["hits"]) == ("answered", 3)
    assert json.loads(net.ask("trace", json.loads(out)["id"], "--json")[1])["hops"] == [hop]


def test_a_wish_is_found_fetched_and_kept(net: Net) -> None:
    """Watched as it comes; after a restart it is there with all that it found, and goes on."""
    watcher = start("leaf", "wish", "ls", "--watch", "--jsonl", *net.home)
    net.processes.append(watcher)
    assert net.ask("wish", "add", "moon", "--auto-get")[0] == 0
    assert watcher.stdout is not None
    found = json.loads(watcher.stdout.readline())["hit"]
    assert (found["name"], found["fetched"]) == ("Blue Moon.ogg", True)
    assert json.loads(net.ask("get", found["id"], "--json")[1])["verified"]
    assert (net.folder / "in" / "Blue Moon.ogg").read_bytes() == b"other"
    before = json.loads(net.ask("wish", "ls", "--json")[1])
    assert net.ask("stop")[0] == 0
    net.run_asker()
    (net.folder / "share" / "new moon.ogg").write_bytes(b"new")
    giver = ("--home", str(net.folder / "giver"))
    assert command("leaf", "share", "--wait", *giver, "--timeout", "30")[0] == 0
    again = start("leaf", "wish", "ls", "1", "--watch", "--jsonl", *net.home)
    net.processes.append(again)
    rows = json.loads(net.ask("wish", "ls", "--json")[1])
    assert rows[0]["files"][0] == before[0]["files"][0]
    while len(rows[0]["files"]) < 2:  # the test's own time limit ends this
        rows = json.loads(net.ask("wish", "ls", "--json")[1])
    assert [file["name"] for file in rows[0]["files"]] == ["Blue Moon.ogg", "new moon.ogg"]
    assert json.loads(net.ask("wish", "rm", "1", "--json")[1]) == []


def test_a_hit_is_printed_as_it_comes(tmp_path: Path) -> None:
    """Before the search is over, into a pipe too."""
    home = home_at("leaf", tmp_path)
    home.prepare()
    read = threading.Event()

    def slow(server: ControlServer, call: int, _method: str, _params: msgspec.Struct) -> None:
        server.tell(call, HIT)
        threading.Thread(target=_end, args=(server, call)).start()

    def _end(server: ControlServer, call: int) -> None:
        assert read.wait(30)
        toy.soon(lambda: server.answer(call, SearchResult("x", [HIT], COVERAGE)))

    toy = ToyDaemon(home, METHODS, slow)
    try:
        asker = start("leaf", "search", "x", "--home", str(tmp_path), "--jsonl")
        assert asker.stdout is not None
        assert json.loads(asker.stdout.readline())["hit"]["id"] == HIT.id
        read.set()
        out, _ = asker.communicate(timeout=30)
        assert (list(json.loads(out)), asker.returncode) == (["result"], 0)
    finally:
        toy.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        [b"search", b"\xff\xfe"],
        [b"search", b"--ext", b"\xff", b"blue"],
        [b"search", b""],
        [b"search", b"-only", b"-excluded"],
        [b"search", b" ".join(b"word%d" % number for number in range(1000))],
        [b"search", b"blue", b"--ttl", b"255"],
        [b"search", b"blue", b"--limit", b"5001"],
        [b"search", b"blue", b"--wait", b"-1"],
        [b"wish", b"add", b"\xff"],
        [b"wish", b"add", b"w" * 100_000 + b" -"],
    ],
    ids=lambda arguments: repr(arguments)[:40],
)
def test_bad_searches_are_one_sentence(net_home: tuple[str, ...], arguments: list[bytes]) -> None:
    """Exit 2, an error document for scripts, nothing else; the daemon lives on."""
    line = [sys.executable, "-m", "leaf", *net_home, "--json", *map(os.fsdecode, arguments)]
    ended = subprocess.run(line, cwd=REPOSITORY, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stdout
    assert b"Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 4


@pytest.fixture(scope="module")
def net_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The home of a leaf that runs."""
    net = Net(tmp_path_factory.mktemp("net"))
    yield net.home
    assert net.asker.poll() is None
    net.end()
