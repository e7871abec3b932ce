"""The walk through a share and the hash of a file that may change meanwhile."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.content.merkle import FileHasher
from common.limits import PATH_DEPTH_MAX
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.files import FileChangedError, FileStamp
from common.shell.disk.scan import (
    READ_BYTES,
    FoundFile,
    HashCancelledError,
    Known,
    compare,
    hash_file,
    share_root,
    walk,
)


def found(root: Path, relpath: str) -> FoundFile:
    return FoundFile(relpath, FileStamp.of((root / relpath).lstat()))


def test_the_walk_is_in_order_and_true(tmp_path: Path) -> None:
    """A folder's files by name, then its folders by name, each with its stamp."""
    for relpath in ("b/z", "b/a", "a/x/deep", "c", "Z", "ä"):
        (tmp_path / relpath).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / relpath).write_text(relpath)
    files = list(walk(tmp_path))
    assert [file.relpath for file in files] == ["Z", "c", "ä", "a/x/deep", "b/a", "b/z"]
    assert files == [found(tmp_path, file.relpath) for file in files]


def test_only_plain_visible_finished_files_count(tmp_path: Path) -> None:
    """No link is followed; hidden, unfinished and special files are not shared."""
    (tmp_path / "secret").write_text("s")
    share = tmp_path / "share"
    (share / ".git").mkdir(parents=True)
    (share / ".git" / "config").touch()
    for name in (".hidden", "a.part", "a.part.journal", "partly", "ok"):
        (share / name).touch()
    (share / "link").symlink_to(tmp_path / "secret")
    (share / "folder").symlink_to(tmp_path)
    (share / "loop").symlink_to(share)
    os.mkfifo(share / "pipe")
    told: list[str] = []
    files = walk(share, lambda relpath, _reason: told.append(relpath))
    assert [file.relpath for file in files] == ["ok", "partly"]
    assert sorted(told) == [".git", ".hidden", "folder", "link", "loop", "pipe"]


def test_a_lone_file_is_a_share(tmp_path: Path) -> None:
    """Its relpath is its own name, from the folder it lies in."""
    (tmp_path / "a.bin").write_bytes(b"x")
    (file,) = walk(tmp_path / "a.bin")
    assert file == found(tmp_path, "a.bin")
    assert share_root(tmp_path / "a.bin") == share_root(tmp_path) == tmp_path


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    """Names that are not UTF-8, hidden ones and too deep folders: skipped, with a reason."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).touch()
    deep = tmp_path.joinpath(*["d"] * (PATH_DEPTH_MAX + 1))
    deep.mkdir(parents=True)
    (deep / "too-deep").touch()
    (deep.parent / "ok").touch()
    (deep.parent / ".DS_Store").touch()
    skipped: list[tuple[str, str]] = []
    files = list(walk(tmp_path, lambda relpath, reason: skipped.append((relpath, reason))))
    assert [file.relpath for file in files] == ["d/" * PATH_DEPTH_MAX + "ok"]
    reasons = ["its name is not UTF-8", "its name begins with a dot", "too deep"]
    assert [reason for _, reason in skipped] == reasons
    assert skipped[0][0].isascii()


def test_a_missing_share_is_an_error(tmp_path: Path) -> None:
    """The share itself not being there is not an empty share."""
    with pytest.raises(DiskError, match="No such file"):
        list(walk(tmp_path / "none"))


def test_a_folder_that_goes_while_it_is_walked_is_skipped(tmp_path: Path) -> None:
    """Gone between listing and reading: told, left out, and the rest is still walked."""
    for relpath in ("a", "gone/x", "z/x"):
        (tmp_path / relpath).parent.mkdir(exist_ok=True)
        (tmp_path / relpath).touch()
    skipped: list[tuple[str, str]] = []
    walking = walk(tmp_path, lambda relpath, reason: skipped.append((relpath, reason)))
    assert next(walking).relpath == "a"
    (tmp_path / "gone" / "x").unlink()
    (tmp_path / "gone").rmdir()
    assert [file.relpath for file in walking] == ["z/x"]
    assert skipped == [("gone", "No such file or directory")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_skipped(tmp_path: Path) -> None:
    """Told and left out; the share goes on without it."""
    (tmp_path / "a").touch()
    (tmp_path / "closed").mkdir(0o000)
    skipped: list[tuple[str, str]] = []
    files = walk(tmp_path, lambda relpath, reason: skipped.append((relpath, reason)))
    assert [file.relpath for file in files] == ["a"]
    assert skipped == [("closed", "Permission denied")]


def test_an_unchanged_file_is_not_hashed_again(tmp_path: Path) -> None:
    """What is known with the same stamp keeps its root; each folder is looked up once."""
    (tmp_path / "sub").mkdir()
    for relpath in ("same", "edited", "sub/same", "sub/new"):
        (tmp_path / relpath).write_text(relpath)
    root = bytes(32)
    known = {
        "": {
            "same": Known(found(tmp_path, "same").stamp, root),
            "edited": Known(found(tmp_path, "same").stamp, root),
            "gone": Known(found(tmp_path, "same").stamp, root),
        },
        "sub": {"same": Known(found(tmp_path, "sub/same").stamp, root)},
    }
    asked: list[str] = []

    def lookup(folder: str) -> dict[str, Known]:
        asked.append(folder)
        return known[folder]

    result = {file.relpath: had for file, had in compare(tmp_path, lookup)}
    assert result == {"same": root, "edited": None, "sub/same": root, "sub/new": None}
    assert asked == ["", "sub"]


@settings(deadline=None)
@given(size=st.integers(0, 3 * READ_BYTES))
def test_a_file_hashes_to_its_tree(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    """Whatever its size: the tree of all its bytes, and the progress adds up."""
    path = tmp_path_factory.getbasetemp() / "hashed"
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    told: list[int] = []
    tree = hash_file(path.parent, found(path.parent, path.name), on_bytes=told.append)
    hasher = FileHasher(size)
    hasher.update(data)
    assert tree == hasher.finish()
    assert sum(told) == size


@pytest.mark.parametrize("change", ["append", "truncate", "edit", "replace"])
def test_a_file_that_changes_while_it_is_read_has_no_hash(tmp_path: Path, change: str) -> None:
    """Changed after the first megabyte, and before the last: FileChangedError."""
    path = tmp_path / "a"
    path.write_bytes(bytes(3 * READ_BYTES))
    file = found(tmp_path, "a")

    def meddle(_count: int) -> None:
        if change == "append":
            with path.open("ab") as more:
                more.write(b"x")
        elif change == "truncate":
            os.truncate(path, READ_BYTES // 2)
        elif change == "edit":
            os.utime(path, ns=(0, file.stamp.mtime_ns + 1))
        else:
            (tmp_path / "b").write_bytes(bytes(3 * READ_BYTES))
            (tmp_path / "b").replace(path)

    with pytest.raises(FileChangedError):
        hash_file(tmp_path, file, on_bytes=meddle)


def test_a_stale_stamp_is_noticed_before_reading(tmp_path: Path) -> None:
    """A file edited between walk and hash is not read at all."""
    (tmp_path / "a").write_bytes(b"old")
    file = found(tmp_path, "a")
    (tmp_path / "a").write_bytes(b"newer")
    told: list[int] = []
    with pytest.raises(FileChangedError):
        hash_file(tmp_path, file, on_bytes=told.append)
    assert told == []


def test_hashing_can_be_cancelled(tmp_path: Path) -> None:
    """Asked at each megabyte; nothing is returned."""
    (tmp_path / "a").write_bytes(bytes(3 * READ_BYTES))
    told: list[int] = []
    with pytest.raises(HashCancelledError):
        hash_file(tmp_path, found(tmp_path, "a"), lambda: len(told) == 2, told.append)
    assert told == [READ_BYTES, READ_BYTES]
