"""The two files of a download among the files of others: none of those is ever touched."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls, DiskError
from common.shell.disk.journal import Journal
from common.shell.disk.placing import Exists
from tests.downloads import (
    DATA,
    PIECE,
    SIZE,
    content,
    fetch,
    names_in,
    open_part,
    pieces_of,
    tree_of,
)


@pytest.mark.parametrize("tail", [".part", ".part.journal"])
@pytest.mark.parametrize("kind", ["file", "link", "folder", "fifo"])
def test_a_foreign_file_is_left_alone(tmp_path: Path, tail: str, kind: str) -> None:
    """What has one of our names but not our journal stays; the download takes other names."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    foreign = tmp_path / f"a.bin{tail}"
    if kind == "file":
        foreign.write_bytes(b"theirs")
    elif kind == "link":
        foreign.symlink_to(victim)
    elif kind == "folder":
        foreign.mkdir()
    else:
        os.mkfifo(foreign)
    before = foreign.lstat()
    part = open_part(tmp_path / "a.bin")
    fetch(part)
    assert part.path.name == "a (1).bin.part"
    assert part.finish() == tmp_path / "a.bin"
    assert (tmp_path / "a.bin").read_bytes() == DATA
    after = foreign.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    assert victim.read_bytes() == b"precious"


def test_a_foreign_part_beside_our_journal_is_left_alone(tmp_path: Path) -> None:
    """A part that somebody replaced with another file is not ours any more."""
    open_part(tmp_path / "a").close()
    (tmp_path / "a.part").unlink()
    (tmp_path / "a.part").write_bytes(b"theirs")
    part = open_part(tmp_path / "a")
    assert part.path.name == "a (1).part"
    part.abandon(delete_data=True)
    assert (tmp_path / "a.part").read_bytes() == b"theirs"


def test_two_downloads_of_one_name_do_not_meet(tmp_path: Path) -> None:
    """Another content under the same name gets its own part and a free final name."""
    other = content(3 * PIECE)
    one, two = open_part(tmp_path / "a"), open_part(tmp_path / "a", tree_of(other))
    fetch(one)
    fetch(two, other)
    assert one.finish() == tmp_path / "a"
    assert two.finish() == tmp_path / "a (1)"
    assert (tmp_path / "a").read_bytes() == DATA
    assert (tmp_path / "a (1)").read_bytes() == other


def test_a_long_name_still_has_a_part(tmp_path: Path) -> None:
    """255 bytes of name leave no room for our endings; they are cut, the final name is not."""
    part = open_part(tmp_path / ("ä" * 125 + ".txt"))
    fetch(part)
    assert part.finish().name == "ä" * 125 + ".txt"


@pytest.mark.parametrize("exists", list(Exists))
def test_a_taken_name_is_never_replaced(tmp_path: Path, exists: Exists) -> None:
    """RENAME chooses another, SKIP tells of what is there, FAIL keeps the part."""
    (tmp_path / "a").write_bytes(b"theirs")
    part = open_part(tmp_path / "a")
    fetch(part)
    if exists is Exists.FAIL:
        with pytest.raises(DiskError) as refused:
            part.finish(exists)
        assert refused.value.errno == errno.EEXIST
        part.close()
    else:
        name = "a" if exists is Exists.SKIP else "a (1)"
        assert part.finish(exists) == tmp_path / name
    left = {Exists.RENAME: ["a", "a (1)"], Exists.SKIP: ["a"]}
    assert names_in(tmp_path) == left.get(exists, ["a", "a.part", "a.part.journal"])
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_abandon_removes_only_on_demand(tmp_path: Path) -> None:
    """Forgetting keeps what is there; deleting takes part and journal, if they are still ours."""
    part = open_part(tmp_path / "a")
    fetch(part, pieces=[0])
    part.abandon(delete_data=False)
    again = open_part(tmp_path / "a")
    assert pieces_of(again.done) == [0]
    (tmp_path / "a.part").unlink()
    (tmp_path / "a.part").write_bytes(b"theirs")
    again.abandon(delete_data=True)
    assert names_in(tmp_path) == ["a.part"]
    assert (tmp_path / "a.part").read_bytes() == b"theirs"


NAMES = [stem + tail for stem in ("a", "a (1)", "a (2)") for tail in ("", ".part", ".part.journal")]
KINDS = ["file", "empty", "link", "folder", "journal"]


@settings(deadline=None)
@given(
    foreign=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KINDS)),
    end=st.sampled_from([*Exists, "abandon", "close"]),
)
def test_no_situation_costs_somebody_a_file(foreign: dict[str, str], end: Exists | str) -> None:
    """Whatever lies in the folder under the names we would like: it is the same afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "victim").write_bytes(b"precious")
        for taken, kind in foreign.items():
            make(folder / taken, kind)
        before = state_of(folder)
        part = open_part(folder / "a")
        fetch(part)
        try:
            if end == "abandon":
                part.abandon(delete_data=True)
            elif end == "close":
                part.close()
            else:
                assert part.finish(Exists(end)).parent == folder
        except DiskError as error:
            assert (error.errno, end) == (errno.EEXIST, Exists.FAIL)
            part.close()
        after = state_of(folder)
        assert {each: after.get(each) for each in before} == before
        assert len(after) - len(before) <= 2


def make(path: Path, kind: str) -> None:
    """Something of somebody else's; a journal of another download is that too."""
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("victim")
    elif kind == "journal":
        with path.open("w+b") as file:
            Journal.begin(file.fileno(), bytes(32), SIZE, DiskCalls())
    else:
        path.write_bytes(b"theirs" if kind == "file" else b"")


def state_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Each name with its inode, its time and its bytes."""
    found = {}
    for path in folder.iterdir():
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[path.name] = (status.st_ino, status.st_mtime_ns * path.is_file(), data)
    return found
