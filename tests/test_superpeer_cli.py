"""The commands of `superpeer`, from the command line to the carrier and back."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from common.errors import Exit
from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from superpeer import methods as superpeer_methods
from superpeer.cli import cli as superpeer_cli
from tests.commandline import ANSWERS, Program, daemon, runner
from tests.toydaemon import ToyDaemon

SUPERPEER_STATUS = superpeer_methods.Status(
    node="n",
    listen="127.0.0.1:1",
    uptime_s=1.0,
    leaves=0,
    leaves_max=1,
    files=0,
    neighbours=0,
    searches=0,
    queries_evaluated=0,
    queries_forwarded=0,
    queries_duplicate=0,
    rss_bytes=1,
    version="1",
    network="test",
    dropped={},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the node of the test lives."""
    return tmp_path / "home"


@pytest.fixture
def toy_superpeer(folder: Path) -> Iterator[ToyDaemon]:
    """A super-peer's daemon."""
    yield from daemon("superpeer", folder, superpeer_methods.METHODS)


@pytest.fixture
def superpeer(folder: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `superpeer`."""
    return runner(superpeer_cli, "superpeer", folder, capsys)


@pytest.mark.parametrize("command", ["leaves", "neighbours", "graph"])
def test_a_super_peers_answers_are_its_documents(
    superpeer: Program, toy_superpeer: ToyDaemon, command: str
) -> None:
    """As those of a leaf."""
    code, out, _ = superpeer(command, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(msgspec.json.encode(ANSWERS[f"superpeer.{command}"]))
    said = superpeer(command)[1]
    assert said.startswith("node ")
    assert "_s " not in said.splitlines()[0]  # values have their units


def test_the_overlay_as_a_drawing(superpeer: Program, toy_superpeer: ToyDaemon) -> None:
    """Graphviz reads it."""
    _, out, _ = superpeer("graph", "--dot")
    assert out.splitlines()[0] == "graph overlay {"
    assert '  "n1" -- "n2";' in out
    assert json.loads(superpeer("graph", "--dot", "--json")[1])["edges"] == [{"a": "n1", "b": "n2"}]


def test_a_list_is_sorted_by_a_key_that_it_has(superpeer: Program) -> None:
    """Else the keys are named."""
    code, _, err = superpeer("leaves", "--sort", "bogus")
    assert (code, "'bogus' is none of node, address" in err) == (2, True)


def test_a_drain_tells_what_it_did(folder: Path, superpeer: Program) -> None:
    """The leaves were told; where they went nobody knows here."""
    home = home_at("superpeer", folder)
    home.prepare()

    def end(server: ControlServer, call: int, _method: str, _params: msgspec.Struct) -> None:
        server.answer(call, superpeer_methods.Drained(1))
        ending.stop_soon()

    ending = ToyDaemon(home, superpeer_methods.METHODS, end)
    told = superpeer("stop")
    ending.stop()
    assert told == (0, "", "Ended; 1 leaf has another super-peer now.\n")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (Exit.REFUSED, 7, "This node does not play that role now. It is a leaf"),
        (None, 7, "This super-peer is a leaf too, and ends with it. `leaf stop`"),
    ],
)
def test_a_leaf_is_not_drained(
    folder: Path, superpeer: Program, status: Exit | None, code: int, said: str
) -> None:
    """What is said is what `status` says, and how the leaf is ended where it plays both roles."""
    home = home_at("superpeer", folder)
    home.prepare()

    def refuse(server: ControlServer, call: int, _method: str, _params: msgspec.Struct) -> None:
        if status is None:
            server.answer(call, SUPERPEER_STATUS)
        else:
            server.fail(call, status, "This node does not play that role now.", "It is a leaf.")

    methods = {
        name: each for name, each in superpeer_methods.METHODS.items() if "drain" not in name
    }
    toy = ToyDaemon(home, methods, refuse)
    told, _, err = superpeer("drain")
    toy.stop()
    assert (told, said in err) == (code, True)


def test_lists_are_sorted_and_cut_by_the_daemon(
    superpeer: Program, toy_superpeer: ToyDaemon
) -> None:
    """`--sort` and `--limit` travel."""
    superpeer("leaves", "--sort", "files", "--limit", "3")
    assert toy_superpeer.calls == [
        ("superpeer.leaves", superpeer_methods.Listing("files", 3)),
    ]


def test_explain_shows_every_input(superpeer: Program, toy_superpeer: ToyDaemon) -> None:
    """For people a table with who measured it and what would change it; the document as it is."""
    code, out, _ = superpeer("explain", "leaf", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(msgspec.json.encode(ANSWERS["superpeer.explain"]))
    assert toy_superpeer.calls[-1] == ("superpeer.explain", superpeer_methods.Explain("leaf"))
    code, out, _ = superpeer("explain")
    assert code == 0
    for text in ("90 leaves", "1. leaf: not fit, +0.34 points", "up_rate", "k3 and 1 more"):
        assert text in out
    assert "it would pass when it stays 9 s" in out
