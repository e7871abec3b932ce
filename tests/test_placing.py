"""Names beside the user's files, and the move that replaces nothing."""

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.placing import Exists, make_folders, numbered, place
from tests.downloads import names_in


class NoLinks(DiskCalls):
    """A file system without hard links, as FAT is."""

    def link(self, source: str, target: str, folder: int) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = DiskCalls().open_folder(tmp_path)
    yield fd
    os.close(fd)


@pytest.fixture(params=[DiskCalls, NoLinks])
def disk(request: pytest.FixtureRequest) -> DiskCalls:
    made: DiskCalls = request.param()
    return made


def test_numbered_puts_the_number_before_the_extension() -> None:
    """NAME, NAME (1), NAME (2), each with its extension and tail."""
    assert list(islice(numbered("a.b.mp3", ".part"), 3)) == [
        "a.b.mp3.part",
        "a.b (1).mp3.part",
        "a.b (2).mp3.part",
    ]
    assert list(islice(numbered("README"), 2)) == ["README", "README (1)"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_numbered_names_fit_and_differ(name: str) -> None:
    """However long the name, what comes out fits a file system and no two are equal."""
    names = list(islice(numbered(name * 3, ".part.journal"), 12))
    assert len(set(names)) == 12
    assert all(len(os.fsencode(each)) <= 255 for each in names)


def test_place_takes_the_first_free_name(tmp_path: Path, folder: int, disk: DiskCalls) -> None:
    """What has the wanted name keeps it, whatever it is."""
    (tmp_path / "x.bin").write_bytes(b"theirs")
    (tmp_path / "x (1).bin").symlink_to("nowhere")
    fd = disk.create("x.part", folder)
    assert place(disk, folder, fd, "x.part", "x.bin", exists=Exists.RENAME) == "x (2).bin"
    assert (tmp_path / "x.bin").read_bytes() == b"theirs"
    assert not (tmp_path / "x.part").exists()
    os.close(fd)


@pytest.mark.parametrize("exists", [Exists.FAIL, Exists.SKIP])
def test_place_keeps_both_files_where_it_may_not_rename(
    tmp_path: Path, folder: int, disk: DiskCalls, exists: Exists
) -> None:
    """FAIL and SKIP leave the decision to the caller and everything where it is."""
    (tmp_path / "x").write_bytes(b"theirs")
    fd = disk.create("x.part", folder)
    with pytest.raises(FileExistsError):
        place(disk, folder, fd, "x.part", "x", exists=exists)
    assert names_in(tmp_path) == ["x", "x.part"]
    os.close(fd)


def test_place_completes_an_attempt_that_was_cut_short(tmp_path: Path, folder: int) -> None:
    """A final name that already means the part is kept, with FAIL too; the part's name goes."""
    disk = DiskCalls()
    fd = disk.create("x.part", folder)
    disk.link("x.part", "x", folder)
    assert place(disk, folder, fd, "x.part", "x", exists=Exists.FAIL) == "x"
    assert names_in(tmp_path) == ["x"]
    assert place(disk, folder, fd, "x.part", "x", exists=Exists.FAIL) == "x"
    os.close(fd)


def test_place_refuses_a_source_that_was_replaced(tmp_path: Path, folder: int) -> None:
    """Only the file that was open and checked gets the name."""
    disk = DiskCalls()
    fd = disk.create("x.part", folder)
    (tmp_path / "x.part").unlink()
    (tmp_path / "x.part").write_bytes(b"another")
    with pytest.raises(FileNotFoundError):
        place(disk, folder, fd, "x.part", "x", exists=Exists.RENAME)
    assert names_in(tmp_path) == ["x.part"]
    os.close(fd)


def test_folders_are_made_and_each_is_durable(tmp_path: Path) -> None:
    """What is there is fine, a file in the way is not; the folder above each new one is synced."""

    class Noting(DiskCalls):
        def sync_folder(self, folder: int) -> None:
            synced.append(os.fstat(folder).st_ino)
            super().sync_folder(folder)

    synced: list[int] = []
    make_folders(Noting(), tmp_path / "a" / "b")
    assert synced == [tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino]
    make_folders(Noting(), tmp_path / "a" / "b")
    assert len(synced) == 2
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(OSError, match=r"exists|Not a directory"):
            make_folders(Noting(), wrong)


def test_a_folder_that_takes_none_is_an_error_at_once(tmp_path: Path) -> None:
    """As /proc says of a name in it that there is no such thing, whatever stands above."""

    class Taking(DiskCalls):
        def make_folder(self, path: Path) -> None:
            tried.append(path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    tried: list[Path] = []
    with pytest.raises(FileNotFoundError):
        make_folders(Taking(), tmp_path / "a" / "b")
    assert tried == [tmp_path / "a" / "b", tmp_path / "a"]


def test_two_files_of_one_folder_may_both_make_the_folders_above(tmp_path: Path) -> None:
    """The one above may come to be between the attempt and the look at why it failed."""

    class Raced(DiskCalls):
        def make_folder(self, path: Path) -> None:
            try:
                super().make_folder(path)
            except FileNotFoundError:
                (tmp_path / "a").mkdir()  # by the other
                raise

    make_folders(Raced(), tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_folders_are_made_however_deep(tmp_path: Path) -> None:
    """As deep as a path may be."""

    class Deep(DiskCalls):
        def make_folder(self, path: Path) -> None:
            if path.parent not in made:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            made[path] = None

        def is_folder(self, path: Path) -> bool:
            return path in made

        def open_folder(self, path: Path) -> int:
            raise PermissionError

    made: dict[Path, None] = {tmp_path: None}
    deep = tmp_path.joinpath(*["a"] * 2000)
    make_folders(Deep(), deep)
    assert deep in made
    assert len(made) == 2001


def test_a_folder_that_cannot_be_made_durable_is_not_kept(tmp_path: Path) -> None:
    """The next attempt would take it for one that is."""

    class Broken(DiskCalls):
        def sync_folder(self, folder: int) -> None:
            raise OSError(errno.EIO, "lost")

    with pytest.raises(OSError, match="lost"):
        make_folders(Broken(), tmp_path / "a")
    assert names_in(tmp_path) == []
