"""`leaf why` on a command line: what people read and what scripts get."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.shell.desk.home import Lock, home_at
from leaf.cli import cli
from leaf.methods import METHODS
from leaf.reasons import Cause, Counts, SourceRow, Why
from tests.commandline import ID, Program, runner
from tests.toydaemon import ToyDaemon

FOUND = Why(
    id=ID,
    path="/d/a",
    state="fetching",
    waits_for="others are served first by 1 of 1 linked sources",
    size=7,
    done_bytes=3,
    rate=0.0,
    causes=[
        Cause("choked", "others are served first by 1 of 1 linked sources", 1),
        Cause("locate", "the super-peer is asked again who has it", None, 12.0),
    ],
    counts=Counts(known=2, linked=1, choking=1),
    sources=[
        SourceRow("n" * 52, "10.0.0.1:5", "linked", "serves others first", choked=True, place=3),
        SourceRow("m" * 52, "10.0.0.2:5", "known", "could not be reached", next_try_s=4.0),
    ],
)


@pytest.fixture
def leaf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """The program, and a daemon that has one download."""
    home = home_at("leaf", tmp_path)
    home.prepare()
    lock = Lock(home)
    toy = ToyDaemon(home, METHODS, lambda server, call, *_: server.answer(call, FOUND))
    yield runner(cli, "leaf", tmp_path, capsys)
    toy.stop()
    lock.release()


def test_a_headline_the_causes_and_a_table(leaf: Program) -> None:
    """People see a sentence first; scripts get the document."""
    code, out, _ = leaf("why", ID)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "fetching: Others are served first by 1 of 1 linked sources."
    assert "- The super-peer is asked again who has it. Next try in 12 s." in lines
    assert "2 sources known, 1 linked, 1 choking" in lines
    (row,) = [line for line in lines if line.startswith("nnnnnnnn ")]
    assert row.endswith("serves others first; place 3 in its line")
    assert any("4 s" in line and "could not be reached" in line for line in lines)
    code, out, _ = leaf("why", ID, "--json")
    assert json.loads(out)["waits_for"] == FOUND.waits_for
