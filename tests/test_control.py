"""The carrier: a command's `Calls` against a `ControlServer`, over a real Unix socket."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from common import wire
from common.errors import Exit, UserError
from common.messages.control import Answered, Call, Failed
from common.methods import Method, Methods
from common.shell.desk.calls import Calls
from common.shell.desk.control import ControlServer
from common.shell.desk.home import Home, home_at
from tests.toydaemon import ToyDaemon


class Text(msgspec.Struct):
    """The one parameter, event and result of the toy methods."""

    text: str


METHODS: Methods = {
    "toy.echo": Method(Text, Text),
    "toy.count": Method(Text, Text, Text),
    "toy.refuse": Method(Text, Text),
    "toy.wait": Method(Text, Text),
}


def handle(server: ControlServer, call: int, method: str, params: msgspec.Struct) -> None:
    """What the toy methods do; `toy.wait` never answers."""
    assert isinstance(params, Text)
    if method == "toy.echo":
        server.answer(call, params)
    elif method == "toy.count":
        for number in range(int(params.text)):
            server.tell(call, Text(str(number)))
        server.answer(call, Text("counted"))
    elif method == "toy.refuse":
        server.fail(call, Exit.REFUSED, params.text, "Do not ask.")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a daemon."""
    home = home_at("leaf", tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def toy(home: Home) -> Iterator[ToyDaemon]:
    """A daemon in that home."""
    toy = ToyDaemon(home, METHODS, handle)
    yield toy
    toy.stop()


def failure(call: Callable[[], object]) -> UserError:
    """The error that the call raises."""
    with pytest.raises(UserError) as error:
        call()
    return error.value


def test_a_call_is_answered(home: Home, toy: ToyDaemon) -> None:
    """Several calls may follow one another over one link."""
    with Calls(home) as calls:
        for text in ("a", "b", ""):
            assert calls.call("toy.echo", Text(text), Text, timeout_s=30) == Text(text)


def test_the_socket_is_the_owners_alone(home: Home) -> None:
    """Mode 0600 under any umask, which is as before afterwards."""
    before = os.umask(0)
    try:
        toy = ToyDaemon(home, METHODS, handle)
        toy.stop()
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600


def test_events_come_in_order_before_the_result(home: Home, toy: ToyDaemon) -> None:
    """A stream as long as the largest search loses nothing."""
    seen: list[str] = []
    with Calls(home) as calls:
        result = calls.call(
            "toy.count",
            Text("5000"),
            Text,
            event=Text,
            on_event=lambda event: seen.append(event.text),
            timeout_s=30,
        )
    assert result == Text("counted")
    assert seen == [str(number) for number in range(5000)]


def test_a_large_document_travels_whole(home: Home, toy: ToyDaemon) -> None:
    """Half a MiB each way."""
    with Calls(home) as calls:
        assert calls.call("toy.echo", Text("x" * 500_000), Text, timeout_s=30).text == "x" * 500_000


def test_a_failure_keeps_its_code_sentence_and_fix(home: Home, toy: ToyDaemon) -> None:
    """A very long sentence is cut, on a character's border."""
    with Calls(home) as calls:
        error = failure(lambda: calls.call("toy.refuse", Text("No."), Text, timeout_s=30))
        assert (error.code, error.message, error.hint) == (Exit.REFUSED, "No.", "Do not ask.")
        error = failure(lambda: calls.call("toy.refuse", Text("\u00e4" * 2000), Text, timeout_s=30))
        assert error.message == "\u00e4" * 512


def test_the_other_program_is_told_what_runs(home: Home, toy: ToyDaemon) -> None:
    """A super-peer's command in a leaf's home."""
    with Calls(home) as calls:
        error = failure(lambda: calls.call("other.echo", Text("x"), Text, timeout_s=30))
    assert error.code is Exit.USAGE
    assert error.message == "What runs in this home is a toy."


@pytest.mark.parametrize("method", ["toy.none", "toy.echo"])
def test_unknown_methods_and_wrong_parameters_are_usage_errors(
    home: Home, toy: ToyDaemon, method: str
) -> None:
    """A command of another version hears so; the daemon serves on."""

    class Other(msgspec.Struct):
        number: int = 1

    with Calls(home) as calls:
        assert failure(lambda: calls.call(method, Other(), Text, timeout_s=30)).code is Exit.USAGE
        assert calls.call("toy.echo", Text("on"), Text, timeout_s=30) == Text("on")


def test_nobody_home_is_known_without_waiting(home: Home) -> None:
    """No daemon: exit 9, also where a dead one left its socket behind."""
    for _ in range(2):
        with Calls(home) as calls:
            ask = partial(calls.call, "toy.echo", Text("a"), Text, timeout_s=30)
            error = failure(ask)
        assert error.code is Exit.NOT_RUNNING
        assert str(home.folder) in error.message
        home.socket.touch()


def test_a_daemon_that_ends_is_noticed(home: Home, toy: ToyDaemon) -> None:
    """A call in the air does not hang when the daemon goes."""

    def stop() -> None:
        toy.called.wait(30)
        toy.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with Calls(home) as calls:
        error = failure(lambda: calls.call("toy.wait", Text("a"), Text, timeout_s=30))
    stopper.join()
    assert error.code is Exit.NOT_RUNNING
    assert "before it answered" in error.message


def test_a_call_that_takes_too_long_is_left(home: Home, toy: ToyDaemon) -> None:
    """Exit 124, and the daemon hears that nobody waits."""
    with Calls(home) as calls:
        assert (
            failure(lambda: calls.call("toy.wait", Text("a"), Text, timeout_s=0.01)).code
            is Exit.TIMED_OUT
        )
        assert toy.gone.wait(10)
    assert toy.left == [1]


def test_a_command_that_is_killed_has_left(home: Home, toy: ToyDaemon) -> None:
    """SIGKILL in the middle of a call: no goodbye, and the daemon knows all the same."""
    program = (
        "from pathlib import Path; from common.shell.desk.calls import Calls;"
        "from common.shell.desk.home import home_at; from tests.test_control import Text;"
        f"calls = Calls(home_at('leaf', Path({str(home.folder)!r})));"
        "calls.call('toy.wait', Text('a'), Text, timeout_s=None)"
    )
    asker = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[1])
    assert toy.called.wait(30)
    asker.kill()
    asker.wait()
    assert toy.gone.wait(10)
    assert toy.left == [1]


def test_an_answer_to_somebody_gone_is_dropped(home: Home, toy: ToyDaemon) -> None:
    """The daemon serves on."""
    with Calls(home) as calls:
        calls._send(Call(1, "toy.count", b'{"text":"5000"}'))
    with Calls(home) as calls:
        assert calls.call("toy.echo", Text("on"), Text, timeout_s=30) == Text("on")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"x" * 2_000_000, wire.frame([wire.encode(Answered(1, b"1"))]) * 3],
    ids=["empty", "garbage", "huge", "wrong message"],
)
def test_garbage_does_no_harm(home: Home, toy: ToyDaemon, body: bytes) -> None:
    """What is no call is dropped; what is too large ends that link only."""
    with Calls(home) as stranger:
        stranger._socket.send(body)
        with Calls(home) as calls:
            assert calls.call("toy.echo", Text("on"), Text, timeout_s=30) == Text("on")


def test_the_exit_code_of_a_newer_daemon_is_unexpected() -> None:
    """Codes may be added; this command does not know them."""
    from common.shell.desk.calls import _exit

    assert _exit(Failed(1, 77, "").code) is Exit.UNEXPECTED
