"""`leaf get --stream`: what goes out, in which order, and what ends it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from common.content.manifest import MAGIC
from common.errors import Exit, UserError
from leaf.cli import cli
from leaf.commands.streaming import Outflow
from leaf.methods import GetProgress, GetResult
from tests.commandline import ID, runner
from tests.folder_processes import Leaf
from tests.test_programs import REPOSITORY, ready, superpeer

__all__ = ["superpeer"]  # a fixture

PART = GetProgress(ID, "", 0, 0, 0.0, None, 1, "fetching", "")
DONE = GetResult("", ID, 0, 0.5, 0, 1, verified=True)


class Reader:
    """The other end of stdout."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.data = data
        self.part, self.path = folder / "a.part", folder / "a"
        self._out, into = os.pipe()
        self.outflow = Outflow(into)
        self._into = into

    def follow(self, count: int) -> bytes:
        """So much is proven; what comes out. Behind it the part has other bytes."""
        if not self.path.exists():
            self.part.write_bytes(self.data[:count] + bytes(len(self.data) - count))
        size = len(self.data)
        self.outflow.follow(
            msgspec.structs.replace(PART, size=size, part=str(self.part), ready_bytes=count)
        )
        return self._read()

    def finish(self, *, verified: bool = True) -> bytes:
        """The file has its name; what comes out."""
        self.part.unlink(missing_ok=True)
        self.path.write_bytes(self.data)
        path, size = str(self.path), len(self.data)
        self.outflow.finish(msgspec.structs.replace(DONE, path=path, size=size, verified=verified))
        return self._read()

    def close(self) -> None:
        """Nobody reads any more."""
        os.close(self._out)

    def _read(self) -> bytes:
        os.set_blocking(self._out, False)
        try:
            return os.read(self._out, 65536)
        except BlockingIOError:
            return b""


def test_each_byte_goes_out_once_and_when_it_is_proven(tmp_path: Path) -> None:
    """Of what grows only what is new, of what shrinks nothing, and at the end the rest."""
    data = os.urandom(30_000)
    reader = Reader(tmp_path, data)
    came = [reader.follow(count) for count in (0, 10_000, 10_000, 5_000, 20_000)]
    assert [len(each) for each in came] == [0, 10_000, 0, 0, 10_000]
    assert b"".join(came) + reader.finish() == data


def test_a_part_that_has_just_got_its_name_is_waited_for(tmp_path: Path) -> None:
    """It is not there: what the result names is."""
    reader = Reader(tmp_path, b"x" * 100)
    reader.path.touch()
    assert reader.follow(50) == b""
    assert reader.finish() == b"x" * 100


def test_what_was_skipped_is_not_shown(tmp_path: Path) -> None:
    """Another file at the target is not what was asked for."""
    assert Reader(tmp_path, b"x" * 100).finish(verified=False) == b""


def test_a_list_of_a_folder_is_held_back(tmp_path: Path) -> None:
    """What begins like one goes out only when it turned out to be a file."""
    reader = Reader(tmp_path, MAGIC + b"x" * 100)
    assert reader.follow(110) == b""
    assert reader.finish() == MAGIC + b"x" * 100
    folder = msgspec.structs.replace(DONE, files=3)
    with pytest.raises(UserError, match="folder") as failed:
        Outflow(1).finish(folder)
    assert failed.value.code is Exit.USAGE
    with pytest.raises(UserError, match="folder"):
        Outflow(1).follow(msgspec.structs.replace(PART, files=3))


def test_a_file_that_is_shorter_than_it_was_is_said_so(tmp_path: Path) -> None:
    """Exit 8: somebody cut it off after it was fetched."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with (tmp_path / "out").open("wb") as out, pytest.raises(UserError, match="cannot be read"):
        got = msgspec.structs.replace(DONE, path=str(path), size=5)
        Outflow(out.fileno()).finish(got)
    assert (tmp_path / "out").read_bytes() == b"abc"


def test_a_reader_that_goes_is_an_error_of_the_pipe(tmp_path: Path) -> None:
    """The command knows what that means."""
    reader = Reader(tmp_path, b"x" * 100)
    reader.close()
    with pytest.raises(BrokenPipeError):
        reader.finish()


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
def test_a_file_and_a_document_do_not_share_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """Exit 2 before anything is asked of anybody; with --detach nothing is streamed here."""
    leaf = runner(cli, "leaf", tmp_path, capsys)
    code, _, err = leaf("get", ID, "--stream", flag)
    assert (code, "--json" in err) == (2, True)
    assert leaf("get", ID, "--stream", "--detach", flag)[0] == Exit.NOT_RUNNING


# --- with real processes --------------------------------------------------------------------


@pytest.fixture
def pair(
    superpeer: tuple["subprocess.Popen[str]", Path], tmp_path: Path
) -> Iterator[tuple[Leaf, Leaf]]:
    """Two leaves of one super-peer."""
    listen = ready(superpeer[0])["listen"]
    leaves = [Leaf(tmp_path, name, listen) for name in ("giver", "taker")]
    try:
        yield leaves[0], leaves[1]
    finally:
        for leaf in leaves:
            leaf.end()


def streamed(leaf: Leaf, what: str, *more: str) -> "subprocess.Popen[bytes]":
    """The command, with a pipe behind it."""
    return subprocess.Popen(
        [sys.executable, "-m", "leaf", "get", what, "--stream", *leaf.home, *more],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.processes
def test_a_file_through_a_pipe(pair: tuple[Leaf, Leaf], tmp_path: Path) -> None:
    """A reader gets every byte in order, and the file has its name as after any get; once more it
    comes from there. A reader that has seen enough ends the command without a fuss, and the daemon
    goes on."""
    giver, taker = pair
    (tmp_path / "films").mkdir()
    for name in "ab":
        (tmp_path / "films" / f"{name}.mkv").write_bytes(os.urandom(24 * 1024 * 1024 + 7))
    shared = giver("share", str(tmp_path / "films"), "--wait")
    ids = {row["name"]: row["id"] for row in shared}

    data = (tmp_path / "films/a.mkv").read_bytes()
    target = tmp_path / "there.mkv"
    for _ in range(2):
        out, err = streamed(taker, ids["a.mkv"], "-o", str(target)).communicate(timeout=60)
        assert out == data, err.decode()
        assert target.read_bytes() == data
        assert str(target) in err.decode()

    process = streamed(taker, ids["b.mkv"])
    assert process.stdout is not None
    assert process.stdout.read(1000) == (tmp_path / "films/b.mkv").read_bytes()[:1000]
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (Exit.DONE, Exit.UNFINISHED), err.decode()
    assert b"rror" not in err
    got = taker("get", ids["b.mkv"], "-o", str(tmp_path / "late.mkv"))
    assert Path(got["path"]).read_bytes() == (tmp_path / "films/b.mkv").read_bytes()
