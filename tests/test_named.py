"""What commands say of shares and downloads, and how people name what they mean."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from common.content.torrent import file_id
from leaf import methods as leaf_methods
from leaf.cli import cli as leaf_cli
from tests.commandline import ANSWERS, DOWNLOAD, ID, ROW, Program, daemon, runner
from tests.downloads import TREE, open_part
from tests.toydaemon import ToyDaemon


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the node of the test lives."""
    return tmp_path / "home"


@pytest.fixture
def toy(folder: Path) -> Iterator[ToyDaemon]:
    """A leaf's daemon."""
    yield from daemon("leaf", folder, leaf_methods.METHODS)


@pytest.fixture
def leaf(folder: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `leaf`."""
    return runner(leaf_cli, "leaf", folder, capsys)


def test_what_was_fetched_is_told_of_as_shared(
    leaf: Program, toy: ToyDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ls` and `status` say how much; the array of `ls` is that of the shares."""
    before = ANSWERS["leaf.status"]
    assert isinstance(before, leaf_methods.Status)
    shown = msgspec.structs.replace(before, fetched_files=3, fetched_bytes=9000)
    monkeypatch.setitem(ANSWERS, "leaf.status", shown)
    assert "Fetched, and shared too: 3 files, 9.0 kB" in leaf("ls")[2]
    assert "1 file, 7 B; fetched and shared 3 files, 9.0 kB" in leaf("status")[1]
    assert leaf("ls", "--json")[2] == ""


@pytest.mark.parametrize("command", ["ls", "downloads", "stop", "pins ls"])
def test_a_wrong_settings_file_is_told_of_by_every_command(
    leaf: Program, folder: Path, command: str
) -> None:
    """Missing, or no TOML: exit 2, whether or not the command needs it."""
    folder.mkdir()
    broken = folder / "broken.toml"
    broken.write_text("listen = [")
    for wrong, said in ((folder / "none.toml", "does not exist"), (broken, "is no TOML")):
        code, _, err = leaf(*command.split(), "--config", str(wrong))
        assert (code, said in err) == (2, True)


def test_downloads_cannot_go_where_a_file_is(leaf: Program, tmp_path: Path) -> None:
    """Said at the start, not at the first download."""
    (tmp_path / "file").touch()
    code, _, err = leaf("run", "--listen", "127.0.0.1:0", "--downloads", str(tmp_path / "file"))
    assert (code, "is not a folder" in err) == (2, True)


def test_what_is_not_hashed_has_no_size_yet(leaf: Program, toy: ToyDaemon) -> None:
    """Nor an id."""
    assert leaf("ls")[1].splitlines()[1].split(maxsplit=2) == ["-", "/x/a", "being hashed"]


def test_a_share_that_is_missing_is_not_called_hashed(
    leaf: Program, toy: ToyDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ls` says why nothing of it is shared, and JSON has it as `reason`."""
    monkeypatch.setattr(ROW, "reason", "Cannot open /x/a: No such file or directory")
    shown = leaf("ls")[1].splitlines()[1].split(maxsplit=2)
    assert shown == ["-", "/x/a", "left out: Cannot open /x/a: No such file or directory"]
    (row,) = json.loads(leaf("ls", "--json")[1])
    assert (row["id"], row["reason"][:11]) == (None, "Cannot open")


def test_what_is_left_out_is_told(
    leaf: Program, toy: ToyDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `share --wait` and by `status`: how many, and why."""
    before = ANSWERS["leaf.status"]
    assert isinstance(before, leaf_methods.Status)
    shown = msgspec.structs.replace(before, left_out={"its name is not UTF-8": 2, "too deep": 1})
    monkeypatch.setitem(ANSWERS, "leaf.status", shown)
    (tmp_path / "music").mkdir()
    said = "3 of what lies in shares (2: its name is not UTF-8, 1: too deep)"
    assert said in leaf("share", str(tmp_path / "music"), "--wait")[2]
    assert f"left out  {said}" in leaf("status")[1]


def test_what_rm_leaves_is_said(
    leaf: Program, toy: ToyDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an unfinished part stays, under whatever name, and how it goes; else nothing."""
    (tmp_path / "a.part").write_text("somebody else's")
    target = tmp_path / "a"
    row = msgspec.structs.replace(DOWNLOAD, id=file_id(TREE.root, TREE.size), path=str(target))
    monkeypatch.setitem(ANSWERS, "leaf.downloads", [row])
    assert leaf("rm", row.id)[2] == "Forgotten, and shared no more.\n"
    open_part(target).close()
    part = tmp_path / "a (1).part"
    assert f"with: {part} and {part}.journal. Remove" in leaf("rm", row.id)[2]
    assert "with: " not in leaf("rm", row.id, "--delete-data")[2]
    folder = msgspec.structs.replace(row, path=str(tmp_path), files=3)
    monkeypatch.setitem(ANSWERS, "leaf.downloads", [folder])
    said = leaf("rm", row.id)[2]
    assert f"with: 1 part below {tmp_path} (*.part and *.part.journal). Remove" in said


# --- which download is meant --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pause", "resume", "rm"])
@pytest.mark.parametrize("text", ["qqqq", "sp:qq", "1", ID])
def test_a_download_is_named_by_a_number_or_the_beginning_of_its_id(
    leaf: Program, toy: ToyDaemon, command: str, text: str
) -> None:
    """The number is that of a hit of the last search."""
    leaf("search", "blue")
    assert leaf(command, text)[0] == 0
    params = toy.calls[-1][1]
    assert getattr(params, "id", "") == ID


def test_a_beginning_of_several_ids_is_told_of(
    leaf: Program, toy: ToyDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of those that were not meant nothing is printed."""
    other = msgspec.structs.replace(DOWNLOAD, id=f"sp:qr{ID[5:]}", path="/d/other")
    for method in ("leaf.downloads", "leaf.pause"):
        monkeypatch.setitem(ANSWERS, method, [DOWNLOAD, other])
    code, _, err = leaf("pause", "q")
    assert (code, "the beginning of 2 downloads" in err) == (2, True)
    out = leaf("pause", "qr")[1]
    assert ("/d/other" in out, "/d/a" in out) == (True, False)
    assert len(json.loads(leaf("pause", "qr", "--json")[1])) == 2
