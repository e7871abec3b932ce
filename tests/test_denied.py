"""What a person reads where this user may not look, write or ask: one sentence, one fix, exit 8."""

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from common.shell.desk import doctor
from common.shell.desk.home import home_at
from leaf import methods as leaf_methods
from leaf.cli import cli as leaf_cli
from tests.commandline import ID, Program, daemon, runner

NOBODY = 65534

Become = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def nobody() -> Become:
    """Be a user to whom nothing belongs, for the length of a block."""
    if os.geteuid() != 0 or not hasattr(os, "setresuid"):
        pytest.skip("only root can become somebody else")
    importlib.import_module("leaf.assembly")  # root's Python may be closed to others too

    @contextmanager
    def become() -> Iterator[None]:
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)

    return become


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def leaf(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `leaf`, with its home in the open folder."""
    return runner(leaf_cli, "leaf", open_folder / "home", capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", ID, "-o", "CLOSED/x/"),
        ("get", "1", "-o", "CLOSED/x", "-v"),
        ("export", "FILE", "--magnet", "-o", "CLOSED/x"),
        ("run", "--home", "CLOSED/home"),
        ("config", "show", "--home", "CLOSED/home"),
        ("search", "word", "--super", "127.0.0.1:1", "--home", "CLOSED/home"),
    ],
)
def test_a_path_that_is_closed_is_no_surprise(
    leaf: Program, nobody: Become, tmp_path: Path, open_folder: Path, arguments: tuple[str, ...]
) -> None:
    """Whoever looks there first: the path, what refused, and that another one may do."""
    file, closed = open_folder / "file", tmp_path / "closed"
    file.write_bytes(b"x")
    closed.mkdir(mode=0o700)
    given = [each.replace("CLOSED", str(closed)).replace("FILE", str(file)) for each in arguments]
    with nobody():
        code, _, err = leaf(*given)
    assert (code, "unexpected" in err) == (8, False)
    assert f"Cannot reach {closed}" in err
    assert "Permission denied. Choose another place" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("id", "FILE"),
        ("--config", "FILE", "status"),
        ("run", "--network-key", "FILE"),
        ("export", "FILE", "--magnet"),
    ],
)
def test_what_may_not_be_read_is_to_be_made_readable(
    leaf: Program, nobody: Become, open_folder: Path, arguments: tuple[str, ...]
) -> None:
    """Its folder need not be writable."""
    file = open_folder / "file"
    file.write_bytes(b"x" * 32)
    file.chmod(0o600)
    with nobody():
        code, _, err = leaf(*(each.replace("FILE", str(file)) for each in arguments))
    assert (code, "writable" in err) == (8, False)
    assert f"Make {file} readable for this user" in err


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_daemon_of_another_user_is_not_said_to_be_none(
    leaf: Program, nobody: Become, open_folder: Path, mode: int
) -> None:
    """Whether its home or only its socket is closed; where nothing is, nothing runs."""
    assert leaf("status")[0] == 9
    running = daemon("leaf", open_folder / "home", leaf_methods.METHODS)
    next(running)
    (open_folder / "home").chmod(mode)
    with nobody():
        code, _, err = leaf("status")
    assert (code, "may not ask the leaf in" in err) == (8, True)
    assert leaf("status")[0] == 0
    next(running, None)
    assert leaf("status")[0] == 9


def test_doctor_says_that_a_key_cannot_be_read(nobody: Become, open_folder: Path) -> None:
    """Even by its owner: a node would not start with it."""
    home = home_at("leaf", open_folder)
    home.key()
    assert doctor.key(home).detail.endswith("mode 0600")
    home.key_file.chmod(0)
    os.chown(home.key_file, NOBODY, -1)
    with nobody():
        check = doctor.key(home)
    assert (check.state, "Permission denied" in check.detail) == (doctor.FAIL, True)
    assert "chmod 600" in check.fix


def test_doctor_looks_on_where_a_home_is_closed(nobody: Become, tmp_path: Path) -> None:
    """A finding like others, not the end of all checks."""
    with nobody():
        check = doctor.folder(home_at("leaf", tmp_path / "home"))
    assert (check.state, bool(check.fix)) == (doctor.FAIL, True)
