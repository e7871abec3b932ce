"""Global flags, and how every command ends."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation, run


@click.group()
@global_options
def toy() -> None:
    """A program with one command for each end."""


@toy.command()
@global_options
@pass_invocation
def show(invocation: Invocation) -> int:
    """Prints its flags."""
    click.echo(repr((invocation.home, invocation.timeout, invocation.json, invocation.quiet)))
    return 3


@toy.command()
@click.argument("how")
@global_options
def fail(how: str) -> None:
    """Raises."""
    errors: dict[str, BaseException] = {
        "user": UserError(Exit.DISK, "Full.", "Free some."),
        "bug": ZeroDivisionError("so"),
        "ctrl-c": KeyboardInterrupt(),
        "abort": click.Abort(),
    }
    raise errors[how]


@pytest.mark.parametrize(
    "arguments",
    [
        "--home h --timeout 0 --json show -q",
        "show --home h --timeout 0 --json -q",
        "--home x --timeout 9 -q show --home h --timeout 0 --json",
    ],
)
def test_flags_may_stand_anywhere(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last one wins; 0 is a value."""
    assert run(toy, "toy", arguments.split()) == 3
    assert capsys.readouterr().out == "('h', 0.0, True, True)\n"


@pytest.mark.parametrize(
    ("how", "code"), [("user", 8), ("bug", 1), ("ctrl-c", 130), ("abort", 130)]
)
def test_every_end_has_its_code(how: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A bug is one sentence too; its trace is there with -v."""
    assert run(toy, "toy", ["fail", how]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err


def test_a_trace_is_there_when_it_is_wanted() -> None:
    """`-v` lets an unexpected error through."""
    with pytest.raises(ZeroDivisionError):
        run(toy, "toy", ["fail", "bug", "-v"])


def test_a_reader_that_leaves_is_no_trace() -> None:
    """As `leaf ls | head -1` does."""
    program = (
        "import sys; from common.shell.desk.options import run; from leaf.cli import cli;"
        "sys.exit(run(cli, 'leaf', ['config', 'show', '--home', '/nowhere']))"
    )
    asker = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert asker.stdout is not None
    asker.stdout.close()
    assert asker.stderr is not None
    assert asker.stderr.read() == b""
    asker.stderr.close()
    assert asker.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
@pytest.mark.parametrize("arguments", [["config", "show"], ["config", "show", "--json"], ["-h"]])
def test_a_full_stdout_is_one_sentence(arguments: list[str]) -> None:
    """Exit 8, and nothing of the interpreter's own at its end."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "leaf", *arguments],
            cwd=Path(__file__).parents[1],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (8, 1)


def test_the_home_comes_from_flag_or_environment(tmp_path: Path) -> None:
    """The flag goes before."""
    environ = {"LEAF_HOME": str(tmp_path / "a"), "LEAF_CONFIG": str(tmp_path / "b")}
    home = Invocation().home_of("leaf", environ)
    assert (home.folder, home.config_file) == (tmp_path / "a", tmp_path / "b")
    assert Invocation(home=str(tmp_path)).home_of("leaf", environ).folder == tmp_path
