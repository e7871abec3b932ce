"""Homes: the key, the lock, and where the socket goes."""

import os
import stat
from pathlib import Path

import pytest

from common.errors import Exit, UserError
from common.shell.desk.home import SOCKET_PATH_BYTES_MAX, Home, Lock, holder, home_at


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is ready to be used."""
    home = home_at("leaf", tmp_path / "home")
    home.prepare()
    return home


def test_all_of_a_home_lies_in_one_folder(tmp_path: Path) -> None:
    """With --home nothing of a node is anywhere else."""
    home = home_at("leaf", tmp_path)
    places = (home.key_file, home.state_file, home.lock_file, home.config_file, home.downloads)
    assert all(place.parent == home.folder for place in places)


def test_the_platform_has_a_home_for_each_program() -> None:
    """Without --home a leaf and a super-peer of one user do not meet."""
    assert home_at("leaf").folder != home_at("superpeer").folder


def test_a_key_is_made_once_and_for_its_owner_alone(home: Home) -> None:
    """The first use makes 32 random bytes, mode 0600 under any umask; later ones read them."""
    before = os.umask(0)
    try:
        key = home.key()
    finally:
        os.umask(before)
    assert len(key) == 32
    assert home.key() == key
    assert stat.S_IMODE(home.key_file.stat().st_mode) == 0o600
    assert sorted(path.name for path in home.folder.iterdir()) == ["key"]


def test_two_homes_have_two_keys(home: Home, tmp_path: Path) -> None:
    """A key is random."""
    other = home_at("leaf", tmp_path / "other")
    other.prepare()
    assert other.key() != home.key()


def test_a_key_open_to_others_is_closed(home: Home) -> None:
    """A copied key file gets its mode back."""
    home.key()
    home.key_file.chmod(0o644)
    home.key()
    assert stat.S_IMODE(home.key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_damaged_key_is_an_error_and_stays(home: Home, size: int) -> None:
    """A key of the wrong length is never replaced: it may be all that is left of a node."""
    home.key_file.write_bytes(bytes(size))
    with pytest.raises(UserError) as error:
        home.key()
    assert error.value.code is Exit.DISK
    assert home.key_file.read_bytes() == bytes(size)


def test_a_key_is_made_after_a_run_that_died_making_it(home: Home) -> None:
    """What a crash left beside the key does not stop the next run."""
    home.key_file.with_suffix(".new").write_bytes(b"half")
    assert len(home.key()) == 32


def test_a_linked_key_is_refused(home: Home, tmp_path: Path) -> None:
    """Nobody can have us use a key file elsewhere."""
    (tmp_path / "elsewhere").write_bytes(bytes(32))
    home.key_file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError) as error:
        home.key()
    assert error.value.code is Exit.DISK


def test_a_second_daemon_is_told_who_holds_the_home(home: Home) -> None:
    """One daemon a home; the error names its process."""
    lock = Lock(home)
    with pytest.raises(UserError) as error:
        Lock(home)
    assert error.value.code is Exit.BUSY
    assert str(os.getpid()) in error.value.message
    lock.release()


def test_who_is_in_the_way_may_be_the_other_program(tmp_path: Path) -> None:
    """A home that is given holds either program; what stops it is the command of the one there."""
    lock = Lock(home_at("leaf", tmp_path))
    with pytest.raises(UserError) as error:
        Lock(home_at("superpeer", tmp_path))
    assert error.value.message.startswith("A leaf already runs")
    assert "`leaf stop`" in error.value.hint
    lock.release()


def test_a_home_cannot_be_a_file(tmp_path: Path) -> None:
    """The fix speaks of the folder, not of the options of a download."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        home_at("leaf", tmp_path / "file").prepare()
    assert error.value.hint == "Something that is no folder has this name; choose another."


def test_a_released_home_can_be_locked_again(home: Home) -> None:
    """The lock file that stays behind locks nobody out."""
    Lock(home).release()
    assert holder(home) is None
    lock = Lock(home)
    assert holder(home) == os.getpid()
    lock.release()


def test_nobody_holds_a_home_that_is_not_there(tmp_path: Path) -> None:
    """Asking makes nothing."""
    assert holder(home_at("leaf", tmp_path / "none")) is None
    assert not (tmp_path / "none").exists()


def test_a_short_home_holds_its_socket(tmp_path: Path) -> None:
    """The usual case."""
    assert home_at("leaf", Path("/h")).socket == Path("/h/control.sock")


def test_a_long_home_has_its_socket_in_the_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Unix socket's path is short: a hash of the home stands for it, the same each time."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    homes = [home_at("leaf", tmp_path / (letter * 120)) for letter in "aab"]
    sockets = [home.socket for home in homes]
    assert sockets[0] == sockets[1] != sockets[2]
    assert all(len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX for path in sockets)
    assert sockets[0].parent == Path("/run/user/1/superpeer")


def test_a_runtime_folder_open_to_others_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where others may write, another program could stand in the daemon's place."""
    runtime = tmp_path / "r"
    if len(os.fsencode(runtime)) >= SOCKET_PATH_BYTES_MAX // 2:
        runtime = Path("/tmp") / f"r{os.getpid()}"
    (runtime / "superpeer").mkdir(parents=True)
    (runtime / "superpeer").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    try:
        with pytest.raises(UserError) as error:
            home_at("leaf", tmp_path / ("x" * 120)).prepare()
        assert error.value.code is Exit.DISK
    finally:
        (runtime / "superpeer").rmdir()
        runtime.rmdir()


def test_a_home_is_the_same_by_any_path(home: Home, tmp_path: Path) -> None:
    """Links to a home lead to the same lock and the same socket."""
    (tmp_path / "link").symlink_to(home.folder)
    assert home_at("leaf", tmp_path / "link").socket == home.socket
