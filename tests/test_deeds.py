"""What commands that change something say of what they did: to people one sentence on stderr."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from leaf import methods as leaf_methods
from leaf.cli import cli as leaf_cli
from leaf.methods import DownloadRow, SharedRow, Status
from tests.commandline import ANSWERS, ID, ROW, Program, runner
from tests.toydaemon import ToyDaemon

STATUS = cast("Status", ANSWERS["leaf.status"])
OTHER = "sp:" + "r" * 52 + ".9"


class Daemon:
    """A leaf's daemon that gives the next answer of a method, and at last the same again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[object]] = {}

    def answer(
        self, server: ControlServer, call: int, method: str, _params: msgspec.Struct
    ) -> None:
        """What it was told to say."""
        waiting = self.answers[method]
        server.answer(call, waiting.pop(0) if len(waiting) > 1 else waiting[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the node of the test lives."""
    return tmp_path / "home"


@pytest.fixture
def toy(folder: Path) -> Iterator[Daemon]:
    """A daemon to be told what it answers."""
    home = home_at("leaf", folder)
    home.prepare()
    toy = Daemon()
    served = ToyDaemon(home, leaf_methods.METHODS, toy.answer)
    yield toy
    served.stop()


@pytest.fixture
def leaf(folder: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `leaf`."""
    return runner(leaf_cli, "leaf", folder, capsys)


def row(state: str, which: str = ID) -> DownloadRow:
    """A download in this state."""
    return DownloadRow(which, f"/d/{which[3]}", 7, 3, 0.0, None, state, "")


@pytest.mark.parametrize(
    ("command", "before", "after", "said"),
    [
        ("pause", ["fetching"], ["paused"], "Paused: 1 download; `leaf resume` goes on."),
        ("pause", ["queued", "done"], ["paused", "done"], "Paused: 1 download;"),
        ("pause", ["paused"], ["paused"], "Nothing was paused: no download is under way."),
        ("pause", [], [], "Nothing was paused: no download is under way."),
        (f"pause {ID}", ["done"], ["done"], "Nothing was paused: this download is done."),
        (f"pause {OTHER}", ["done"], ["done"], f"a file of a folder; `leaf why {OTHER}` shows"),
        ("resume", ["paused", "failed"], ["queued", "fetching"], "Going on: 2 downloads;"),
        ("resume", ["done"], ["done"], "Nothing was resumed: no download is paused or has failed."),
        (f"resume {ID}", ["fetching"], ["fetching"], "this download is fetching."),
    ],
)
def test_pause_and_resume_say_how_many(
    leaf: Program, toy: Daemon, command: str, before: list[str], after: list[str], said: str
) -> None:
    """Or that nothing happened, and why; the document stays the list of downloads."""
    ids = [ID, OTHER] if len(before) > 1 else [ID]
    were, are = (
        [row(*each) for each in zip(states, ids, strict=False)] for states in (before, after)
    )
    toy.answers = {"leaf.downloads": [were], f"leaf.{command.split(maxsplit=1)[0]}": [are]}
    code, _, err = leaf(*command.split())
    assert (code, said in err, err.count("\n")) == (0, True, 1)
    code, out, err = leaf(*command.split(), "--json")
    assert (code, out, err) == (0, msgspec.json.encode(are).decode() + "\n", "")
    assert leaf(*command.split(), "-q")[2] == ""


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [SharedRow("/m", "m.folder", 90, ID, ""), SharedRow("/m/a", "a", 7, ID, "")],
            "No share any more: 1 file, 7 B; on the disk nothing has changed.",
        ),
        ([SharedRow("/m", "m", 7, ID, "")], "No share any more: 1 file, 7 B;"),
        ([SharedRow("/m", "m", 0, None, None)], "No share any more; no file of it was shared yet."),
        ([], "No share any more; no file of it was shared yet."),
    ],
)
def test_unshare_says_what_is_shared_no_more(
    leaf: Program, toy: Daemon, rows: list[SharedRow], said: str
) -> None:
    """The list of a folder's files, which is shared too, counts as none of them."""
    toy.answers = {"leaf.unshare": [rows]}
    code, out, err = leaf("unshare", "/m")
    assert (code, out, said in err) == (0, "/m\n", True)
    assert leaf("unshare", "/m", "--json")[1] == msgspec.json.encode(rows).decode() + "\n"


@pytest.mark.parametrize(
    ("pending", "left_out", "said"),
    [
        (0, {}, ""),
        (
            0,
            {"its name begins with a dot": 2, "too deep": 1},
            "Left out: 3 of what lies in shares (2: its name begins with a dot, 1: too deep).\n",
        ),
        (
            2,
            {},
            "Still to hash: 2 files of all that is shared; `leaf status` shows how far it is.\n",
        ),
    ],
)
def test_share_says_what_it_left_out(
    leaf: Program, toy: Daemon, tmp_path: Path, pending: int, left_out: dict[str, int], said: str
) -> None:
    """How many and why, in a line; not in the document, which is the list of files."""
    status = msgspec.structs.replace(STATUS, pending_files=pending, left_out=left_out)
    toy.answers = {"leaf.share": [[ROW]], "leaf.status": [status]}
    (tmp_path / "music").mkdir()
    assert leaf("share", str(tmp_path / "music"))[2] == said
    code, out, err = leaf("share", str(tmp_path / "music"), "--json")
    assert (code, out, err) == (0, msgspec.json.encode([ROW]).decode() + "\n", "")
    assert json.loads(leaf("status", "--json")[1])["left_out"] == left_out
