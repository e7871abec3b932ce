"""Reading shared files: the bytes that were hashed or an error; and what may be shared at all."""

import errno
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Exit
from common.shell.disk.diskcalls import DiskCalls, DiskError
from common.shell.disk.files import (
    Descriptor,
    FileChangedError,
    FileStamp,
    OpenFiles,
    ShareRefusedError,
    check_share,
)

DATA = random.Random(0).randbytes(100_000)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A share with one file, sub/a.bin."""
    (tmp_path / "share" / "sub").mkdir(parents=True)
    (tmp_path / "share" / "sub" / "a.bin").write_bytes(DATA)
    return tmp_path / "share"


def stamp_of(path: Path) -> FileStamp:
    return FileStamp.of(path.lstat())


def test_a_span_is_read(share: Path) -> None:
    """Exactly the bytes asked for."""
    files, stamp = OpenFiles(), stamp_of(share / "sub" / "a.bin")
    view = files.read_span(share, "sub/a.bin", stamp, 1_000, 65_536)
    assert view == DATA[1_000:66_536]
    assert files.read_span(share, "sub/a.bin", stamp, 99_999, 1) == DATA[-1:]
    assert files.read_span(share, "sub/a.bin", stamp, 0, 100_000) == DATA
    with pytest.raises(ValueError, match="outside"):
        files.read_span(share, "sub/a.bin", stamp, 99_999, 2)
    files.close()


def test_what_a_system_gives_in_parts_is_read_whole(share: Path) -> None:
    """A call may bring less than it was asked for."""

    class Sparing(DiskCalls):
        @staticmethod
        def pread(fd: int, count: int, offset: int) -> bytes:
            return os.pread(fd, min(count, 1_000), offset)

    files, stamp = OpenFiles(disk=Sparing()), stamp_of(share / "sub" / "a.bin")
    assert files.read_span(share, "sub/a.bin", stamp, 7, 65_536) == DATA[7:65_543]
    files.close()


@pytest.mark.parametrize("change", ["append", "truncate", "edit", "replace", "remove"])
@pytest.mark.parametrize("opened", [True, False])
def test_a_changed_file_is_not_read(share: Path, change: str, opened: bool) -> None:
    """Whatever was done to it, also while it was open: an error, never other bytes."""
    path = share / "sub" / "a.bin"
    files, stamp = OpenFiles(), stamp_of(path)
    if opened:
        files.read_span(share, "sub/a.bin", stamp, 0, 10)
    if change == "append":
        path.write_bytes(DATA + b"x")
    elif change == "truncate":
        os.truncate(path, 50_000)
    elif change == "edit":
        path.write_bytes(DATA[::-1])
        os.utime(path, ns=(0, stamp.mtime_ns + 1))
    elif change == "replace":
        (share / "new").write_bytes(DATA)
        (share / "new").replace(path)
    else:
        path.unlink()
    gone = change == "remove" and not opened
    with pytest.raises(DiskError if gone else FileChangedError):
        files.read_span(share, "sub/a.bin", stamp, 0, 100)
    files.close()


def test_a_file_is_read_again_once_it_is_known_again(share: Path) -> None:
    """After a change the new stamp reads the new bytes: the old descriptor is not kept."""
    path = share / "sub" / "a.bin"
    files, stamp = OpenFiles(), stamp_of(path)
    files.read_span(share, "sub/a.bin", stamp, 0, 10)
    path.unlink()
    path.write_bytes(b"something else")
    with pytest.raises(FileChangedError):
        files.read_span(share, "sub/a.bin", stamp, 0, 10)
    assert bytes(files.read_span(share, "sub/a.bin", stamp_of(path), 0, 9)) == b"something"
    files.close()


def test_nothing_outside_of_the_share_is_opened(share: Path) -> None:
    """Links, `..`, absolute paths and pipes in a share lead nowhere."""
    secret = share.parent / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(DATA)
    (share / "link").symlink_to(secret / "key")
    (share / "folder").symlink_to(secret)
    os.mkfifo(share / "pipe")
    files, stamp = OpenFiles(), stamp_of(secret / "key")
    for relpath in ("link", "folder/key"):
        with pytest.raises(DiskError):
            files.read_span(share, relpath, stamp, 0, 1)
    for relpath in ("../secret/key", str(secret / "key"), "sub/../../secret/key", ""):
        with pytest.raises(ValueError, match="not a path"):
            files.read_span(share, relpath, stamp, 0, 1)
    with pytest.raises(FileChangedError):
        files.read_span(share, "pipe", stamp, 0, 1)
    files.close()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "", "sub", "folder", "link", "key", "/"])))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    """Whatever the relpath: the secret beside the share is never read."""
    base = tmp_path_factory.getbasetemp() / "walls"
    if not base.exists():
        (base / "share" / "sub").mkdir(parents=True)
        (base / "key").write_bytes(b"secret")
        (base / "share" / "folder").symlink_to(base)
        (base / "share" / "link").symlink_to(base / "key")
    with pytest.raises((DiskError, ValueError, FileChangedError)):
        OpenFiles().read_span(base / "share", "/".join(parts), stamp_of(base / "key"), 0, 6)


def test_descriptors_are_bounded(tmp_path: Path) -> None:
    """The least recently read give way, also under many threads, and all are given back."""
    before = len(list(Path("/dev/fd").iterdir()))
    for number in range(40):
        (tmp_path / str(number)).write_bytes(b"%02d" % number)
    files = OpenFiles(limit=5)

    def read(turn: int) -> bool:
        name = str(turn * 7 % 40)
        span = files.read_span(tmp_path, name, stamp_of(tmp_path / name), 0, 2)
        return bytes(span) == b"%02d" % int(name)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(400)))
    assert len(files) == 5
    files.close()
    files.forget(tmp_path, "1")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_descriptor_closes_behind_its_last_user(tmp_path: Path) -> None:
    """Retired under a user it stays open for that one, lets nobody in, and then closes."""
    fd = os.open(tmp_path, os.O_RDONLY)
    descriptor = Descriptor(fd)
    assert descriptor.acquire() == fd
    assert descriptor.retire()
    assert not descriptor.retire()
    os.fstat(fd)
    with pytest.raises(ValueError, match="retired"):
        descriptor.acquire()
    descriptor.release()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


# --- what may be shared ---------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder of our own, with one visible folder in it."""
    home = tmp_path / "home" / "ann"
    (home / "music").mkdir(parents=True)
    return home


def test_folders_and_files_may_be_shared(home: Path) -> None:
    """A plain folder or file comes back as its real path."""
    (home / "music" / "a.mp3").touch()
    (home / "link").symlink_to("music")
    assert check_share(home / "music", home=home) == home / "music"
    assert check_share(home / "music" / "a.mp3", home=home) == home / "music" / "a.mp3"
    assert check_share(home / "link", home=home) == home / "music"


@pytest.mark.parametrize("path", ["/", ".", "..", "../..", "music/..", "to-home"])
def test_home_and_root_are_refused(home: Path, path: str) -> None:
    """Nor anything that holds home, however it is spelt."""
    (home / "to-home").symlink_to(home)
    with pytest.raises(ShareRefusedError) as refused:
        check_share(home / path, home=home)
    assert refused.value.code is Exit.REFUSED
    assert refused.value.hint


@pytest.mark.parametrize("path", ["/etc", "/etc/passwd", "/proc", "/dev/null", "/sys"])
def test_what_is_the_systems_is_refused(home: Path, path: str) -> None:
    """Passwords, keys and devices are no files to share."""
    with pytest.raises(ShareRefusedError, match="belongs to the system") as refused:
        check_share(Path(path), home=home)
    assert refused.value.code is Exit.REFUSED


@pytest.mark.parametrize("path", [".ssh", ".ssh/keys", "music/.hidden", "to-ssh", ".link"])
def test_hidden_paths_are_refused(home: Path, path: str) -> None:
    """Hidden by name, inside of something hidden, or by way of a link."""
    (home / ".ssh" / "keys").mkdir(parents=True)
    (home / "music" / ".hidden").touch()
    (home / "to-ssh").symlink_to(home / ".ssh")
    (home / ".link").symlink_to(home / "music")
    with pytest.raises(ShareRefusedError, match="hidden"):
        check_share(home / path, home=home)


def test_a_nodes_own_home_is_refused(home: Path) -> None:
    """The folder with the key, and what holds it; a folder of downloads in it is fine."""
    node = home / "music" / "node"
    (node / "downloads").mkdir(parents=True)
    for path in (node, home / "music"):
        with pytest.raises(ShareRefusedError, match="key"):
            check_share(path, home=home, private=[node])
    assert check_share(node / "downloads", home=home, private=[node]) == node / "downloads"


def test_what_is_not_there_or_no_file_is_refused(home: Path) -> None:
    """Missing, looping and special paths: one sentence that names the path and why."""
    os.mkfifo(home / "music" / "pipe")
    (home / "music" / "loop").symlink_to("loop")
    for name, reason in [("none", "No such file"), ("loop", "."), ("pipe", "neither a file")]:
        with pytest.raises(ShareRefusedError, match=reason) as refused:
            check_share(home / "music" / name, home=home)
        assert name in refused.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_refused(home: Path) -> None:
    """What this user cannot read cannot be shared: a question of permission, exit 8."""
    (home / "music").chmod(0)
    with pytest.raises(ShareRefusedError, match="cannot be read") as refused:
        check_share(home / "music", home=home)
    (home / "music").chmod(0o700)
    assert refused.value.code is Exit.DISK


def test_a_disk_error_names_path_reason_and_disk(tmp_path: Path) -> None:
    """One sentence with the operation, the path and the reason; the fix depends on the errno."""
    full = DiskError("write", tmp_path / "x", errno.ENOSPC)
    assert full.message == f"Cannot write {tmp_path / 'x'}: No space left on device."
    assert full.full
    assert "Free space" in full.hint
    assert "writable" in DiskError("write", tmp_path / "x", errno.EACCES).hint
    assert not DiskError("read", tmp_path / "x", errno.EIO).full
