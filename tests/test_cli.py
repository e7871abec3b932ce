"""The commands of `leaf`, from the command line to the carrier and back."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from common.errors import Exit, UserError
from common.ids import node_text
from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from common.shell.desk.options import Invocation, run
from common.shell.desk.pins import with_pins
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.parts import FREE_RESERVE_BYTES
from leaf import methods as leaf_methods
from leaf.cli import cli as leaf_cli
from leaf.client import LeafClient
from leaf.commands.node import with_doubt
from leaf.commands.passing import done_by
from leaf.methods import Limit, Share
from tests.commandline import ANSWERS, ID, Program, daemon, runner
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


# --- every command --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (("status",), "leaf.status"),
        (("ls",), "leaf.ls"),
        (("share",), "leaf.share"),
        (("unshare", "/nowhere"), "leaf.unshare"),
        (("downloads",), "leaf.downloads"),
        (("pause", ID), "leaf.pause"),
        (("resume",), "leaf.resume"),
        (("rm", ID), "leaf.rm"),
        (("limit",), "leaf.limit"),
    ],
)
def test_a_leafs_answers_are_its_documents(
    leaf: Program, toy: ToyDaemon, command: tuple[str, ...], method: str
) -> None:
    """`--json` prints the result of the method table as it came; without it people read it."""
    code, out, err = leaf(*command, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(msgspec.json.encode(ANSWERS[method]))
    assert toy.calls[-1][0] == method
    code, out, _ = leaf(*command)
    assert code == 0
    assert out.strip()


@pytest.mark.parametrize(
    "arguments",
    [("--json", "status"), ("status", "--json"), ("--json", "status", "--json", "-q")],
)
def test_global_flags_stand_before_or_after(
    leaf: Program, toy: ToyDaemon, arguments: tuple[str, ...]
) -> None:
    """Both, and both at once."""
    assert json.loads(leaf(*arguments)[1])["node"] == "n"


# --- sharing and naming ---------------------------------------------------------------------


def test_shares_are_real_absolute_paths(
    leaf: Program, toy: ToyDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has another working directory."""
    (tmp_path / "music").mkdir()
    monkeypatch.chdir(tmp_path)
    assert leaf("share", "music", "--wait")[0] == 0
    asked = Share([str(tmp_path / "music")], keep=True, wait=True)
    assert ("leaf.share", asked) in toy.calls


def test_a_folder_is_shared_as_one_thing(leaf: Program, toy: ToyDaemon, tmp_path: Path) -> None:
    """The daemon hears of it; what is no folder is refused before anything is shared."""
    (tmp_path / "music").mkdir()
    (tmp_path / "a.txt").write_bytes(b"a")
    assert leaf("share", "--as-folder", str(tmp_path / "music"))[0] == 0
    assert toy.calls[0][1] == Share([str(tmp_path / "music")], as_folder=True)
    calls = len(toy.calls)
    assert leaf("share", "--as-folder", str(tmp_path / "a.txt"))[0] == 2
    assert leaf("share", "--as-folder")[0] == 2
    assert len(toy.calls) == calls


@pytest.mark.parametrize(
    ("path", "code"),
    [("/", 7), ("~", 7), ("nowhere", 8), ("../home", 7), (".hidden", 7), ("key", 7)],
)
def test_what_may_not_be_shared(
    leaf: Program, folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, code: int
) -> None:
    """The whole disk, home, hidden folders, and what holds a key: refused; missing: exit 8."""
    (folder / ".hidden").mkdir(parents=True)
    home_at("leaf", folder).key()
    monkeypatch.chdir(folder)
    found, _, err = leaf("share", path)
    assert found == code
    assert err.startswith("Error: ")


def test_id_needs_no_daemon(leaf: Program, tmp_path: Path) -> None:
    """One row a file, in order, with the path as it was given."""
    (tmp_path / "empty").touch()
    (tmp_path / "seven").write_bytes(b"1234567")
    (tmp_path / "link").symlink_to("seven")
    code, out, _ = leaf(
        "id", *[str(tmp_path / name) for name in ("seven", "empty", "link")], "--json"
    )
    rows = json.loads(out)
    assert code == 0
    assert [row["size"] for row in rows] == [7, 0, 7]
    assert rows[1]["root"] == "0" * 64
    assert rows[0]["id"] == rows[2]["id"]
    assert rows[0]["id"].endswith(".7")
    assert rows[0]["link"].startswith("magnet:?xt=urn:btmh:1220")
    assert rows[0]["path"] == str(tmp_path / "seven")


def test_id_of_what_is_no_file(leaf: Program, tmp_path: Path) -> None:
    """Missing or a folder: exit 8. Too long: 124."""
    assert leaf("id", str(tmp_path / "none"))[0] == 8
    assert leaf("id", str(tmp_path))[0] == 8
    (tmp_path / "file").write_bytes(b"x")
    assert leaf("id", str(tmp_path / "file"), "--timeout", "0")[0] == 124


# --- the daemon itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["status", "ls", "search x", "get x", "downloads", "pause", "resume", "rm x", "stop", "share"],
)
def test_no_daemon_is_exit_9(leaf: Program, command: str) -> None:
    """And how to start one."""
    code, out, err = leaf(*command.split(), "--json")
    assert code == 9
    assert json.loads(out)["error"]["code"] == 9
    assert "leaf run" in err


def test_stop_waits_for_the_end(folder: Path, leaf: Program) -> None:
    """It returns when the daemon is gone, and says so where it is not."""
    home = home_at("leaf", folder)
    home.prepare()

    def end(server: ControlServer, call: int, _method: str, _params: msgspec.Struct) -> None:
        server.answer(call, leaf_methods.Nothing())
        ending.stop_soon()

    ending = ToyDaemon(home, leaf_methods.METHODS, end)
    assert leaf("stop") == (0, "", "")
    ending.stop()


def test_stop_of_a_daemon_that_does_not_end(leaf: Program, toy: ToyDaemon) -> None:
    """Exit 124."""
    assert leaf("stop", "--timeout", "0.05")[0] == 124


def test_pins_are_reset_by_the_daemon_or_without_it(
    leaf: Program, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has the state at that moment."""
    from common.shell.disk.store import Store

    home = home_at("leaf", folder)
    home.prepare()
    store = Store(home.state_file)
    store.remember_pin("host:1214", bytes(32))
    store.close()
    shown = leaf("pins", "ls", "--json")[1]
    assert json.loads(shown) == [{"place": "host:1214", "node": node_text(bytes(32))}]
    assert with_pins(home, ["Host", "host:1", f"host/{'a' * 52}"]) == (
        f"Host/{node_text(bytes(32))}",
        "host:1",
        f"host/{'a' * 52}",
    )
    assert leaf("pins", "reset", "Host")[0] == 0
    assert leaf("pins", "reset", "Host")[0] == 3
    for toy in daemon("leaf", folder, leaf_methods.METHODS):
        assert leaf("pins", "reset", "Host")[0] == 0
        assert toy.calls == [("leaf.pins_reset", leaf_methods.PinReset("host:1214"))]


def test_settings_with_their_origin(leaf: Program, folder: Path) -> None:
    """A document of keys, with and without where they come from."""
    folder.mkdir()
    (folder / "config.toml").write_text('up = "20mbit"')
    assert json.loads(leaf("config", "show", "--json")[1])["up"] == 2_500_000
    shown = json.loads(leaf("config", "show", "--origin", "--json")[1])
    assert shown["up"] == {"value": 2_500_000, "origin": str(folder / "config.toml")}
    assert "up = 2500000" in leaf("config", "show")[1]


def test_doctor_reports_each_check(leaf: Program) -> None:
    """Each line says ok, warn or fail; what is not ok has a fix."""
    checks = json.loads(leaf("doctor", "--json")[1])
    assert {check["check"] for check in checks} >= {"system", "libzmq", "home", "key", "port"}
    assert all(check["state"] == "ok" or check["fix"] for check in checks)


def test_doctor_asks_the_daemon(leaf: Program, toy: ToyDaemon) -> None:
    """A leaf without a parent is a warning with its reason."""
    checks = {each["check"]: each for each in json.loads(leaf("doctor", "--json")[1])}
    assert (checks["daemon"]["state"], checks["port"]["state"]) == ("warn", "ok")
    assert "no answer" in checks["daemon"]["detail"]


def test_a_wrong_setting_does_not_hide_the_others(leaf: Program, folder: Path) -> None:
    """It is told of where one looks for it."""
    folder.mkdir()
    (folder / "config.toml").write_text("slots = 'many'\nup = 5000")
    code, out, err = leaf("config", "show", "--json")
    assert (code, json.loads(out)["up"]) == (0, 5_000)
    assert "swarm.upload_slots" in err


def test_names_that_are_no_utf_8_are_shown(leaf: Program, toy: ToyDaemon, tmp_path: Path) -> None:
    """With replacement characters; the daemon cannot be told of them."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff")
    try:
        Path(odd).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    code, out, _ = leaf("id", odd, "--json")
    assert (code, json.loads(out)[0]["path"]) == (0, f"{tmp_path}/odd\ufffd")
    assert "odd\ufffd" in leaf("id", odd)[1]
    assert leaf("id", odd + "x", "--json")[0] == 8
    assert leaf("share", odd, "--json")[0] == 2


def test_a_handshake_that_fails_may_be_a_wrong_key() -> None:
    """Said once, and only then."""
    assert with_doubt("nobody answered.") == "nobody answered."
    doubt = with_doubt("a:1: handshake failed.")
    assert "KEY" in doubt
    assert doubt.endswith(").")
    assert with_doubt(doubt) == doubt


def test_a_daemons_errors_are_doubted_as_those_of_a_passing_leaf(
    folder: Path, toy: ToyDaemon
) -> None:
    """Status and search say the same of a key that fits not."""

    def work(_leaf: LeafClient) -> None:
        raise UserError(Exit.UNREACHABLE, "a:1: handshake failed.")

    with pytest.raises(UserError, match="KEY"):
        done_by(Invocation(home=str(folder)), work, None)


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "64 MiB are kept free"),
        (errno.EEXIST, "--exists rename"),
        (errno.ENOENT, "Check the path."),
    ],
)
def test_what_the_disk_refuses_has_its_own_fix(tmp_path: Path, number: int, fix: str) -> None:
    """A disk with some room may be full for us; a taken name is no broken disk."""
    assert fix in DiskError("write", tmp_path / "a", number).hint


def test_the_reserve_is_the_one_told_of() -> None:
    """The hint and the limit say the same."""
    assert FREE_RESERVE_BYTES == 64 * 2**20


# --- usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", ["explain", "search", "get", "id", "get a b", "status --nope", "--timeout x ls"]
)
def test_usage_errors_are_exit_2(leaf: Program, arguments: str) -> None:
    """One sentence and where to look; for scripts too."""
    code, out, err = leaf("--json", *arguments.split())
    assert code == 2
    assert json.loads(out)["error"]["code"] == 2
    assert "-h` lists" in err


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        ("", Limit()),
        ("--up 2MB --down none --slots 8", Limit(up=2_000_000, down=0, slots=8)),
        ("--up 20mbit", Limit(up=2_500_000)),
        ("--at=8:00-18:00_mon-fri --up none", Limit(up=0, at="mon-fri 08:00-18:00")),
        ("--remove all", Limit(remove="all")),
        ("--remove 22:00-6:30", Limit(remove="22:00-06:30")),
    ],
)
def test_limits_are_set_by_their_units(
    leaf: Program, toy: ToyDaemon, arguments: str, change: Limit
) -> None:
    """Rates and times are understood here; the daemon gets numbers and one form of a time."""
    assert leaf("limit", *(word.replace("_", " ") for word in arguments.split()))[0] == 0
    assert toy.calls[-1] == ("leaf.limit", change)


def test_limits_as_people_see_them(leaf: Program, toy: ToyDaemon) -> None:
    """What holds now and until when, then what else was set."""
    assert leaf("limit")[1].splitlines() == [
        "up     none until mon 22:00",
        "down   200 kB/s",
        "slots  4 leaves at once",
        "else   up 500 kB/s, down none",
        "mon-fri 22:00-06:30  up none",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--up fast", "is not a rate such as none,"),
        ("--down 999", "1k is the least"),
        ("--slots 0", "0 is not in the range"),
        ("--at 22:00 --up 1M", "is not a time such as"),
        ("--at 22:00-06:00", "add --up or --down"),
        ("--at all --up 1M", "needs hours"),
        ("--at 8:00-9:00 --up 1M --slots 2", "without --at"),
        ("--at= --up 1M", "is not a time such as"),
        ("--remove never", "is not a time such as"),
    ],
)
def test_limits_that_are_none(leaf: Program, arguments: str, said: str) -> None:
    """Exit code 2, before any daemon is asked."""
    code, out, err = leaf("limit", *arguments.split())
    assert (code, out) == (2, "")
    assert said in err


def test_no_command_is_a_usage_error_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Who types only the name wants to know the commands."""
    assert run(leaf_cli, "leaf", []) == 2
    assert "search" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["-h", "search -h", "--version", "ls --version"])
def test_help_and_version(leaf: Program, arguments: str) -> None:
    """Exit 0, on stdout."""
    code, out, _ = leaf(*arguments.split())
    assert code == 0
    assert "leaf" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("wish", "rm", "zzz"), "'zzz' is not a valid whole number."),
        (("search", "x", "--limit", "1.5"), "'1.5' is not a valid whole number."),
        (("status", "--timeout", "soon"), "'soon' is not a valid number."),
    ],
)
def test_what_is_no_number_is_called_so(
    leaf: Program, arguments: tuple[str, ...], text: str
) -> None:
    """And no range."""
    code, _, err = leaf(*arguments)
    assert (code, text in err) == (2, True)


def test_run_says_that_a_leaf_has_two_ports(leaf: Program) -> None:
    """Who opens a firewall for one of them has half a leaf."""
    assert "takes the next port too" in " ".join(leaf("run", "-h")[1].split())
