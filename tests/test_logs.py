"""Logs: one line an event, nothing secret, nothing that a terminal obeys."""

import io
import json
import subprocess
import sys

import pytest

from common.core import Notify
from common.errors import UserError
from common.ids import Identity
from common.shell.desk.logs import REDACTED, VALUE_CHARS_MAX, Format, Log, form_of

NODE = Identity(bytes(32)).node


def written(notify: Notify, form: Format = "json", level: str = "info") -> str:
    """What the log of a daemon shows of this."""
    stream = io.StringIO()
    Log(form, level=level, stream=stream).notify(notify)
    return stream.getvalue()


def test_a_line_is_an_object() -> None:
    """Name, level, time and the fields as they are; nodes as people see them."""
    line = json.loads(written(Notify("joined", {"peer": NODE, "rtt_s": 0.5, "x": None, "n": [1]})))
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("peer").isalnum()
    assert line == {"event": "joined", "level": "info", "rtt_s": 0.5, "x": None, "n": [1]}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "name", ["key", "network_key", "SECRET", "seed", "curve_secret", "token", "password"]
)
def test_secrets_are_redacted(form: Format, name: str) -> None:
    """By the name of their field, however deep."""
    for fields in ({name: "hunter2"}, {"x": {name: "hunter2"}}, {name: ["hunter2"]}):
        line = written(Notify("x", dict(fields)), form)
        assert "hunter2" not in line
        assert REDACTED in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_peer_sent_is_escaped(form: Format) -> None:
    """In names, values and lists; one event stays one line."""
    evil = "\x1b[2Ja\nb\u202ec"
    line = written(
        Notify(evil, {"a": evil, "b": [evil], "c": {evil: evil}, "d": evil.encode()}), form
    )
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_long_values_are_cut() -> None:
    """A peer cannot fill the disk with one line."""
    assert len(written(Notify("x", {"a": "y" * 10**6}))) < 2 * VALUE_CHARS_MAX


def test_fields_cannot_replace_the_name_of_an_event() -> None:
    """They are set beside it."""
    line = json.loads(written(Notify("x", {"event": "y", "level": "z"})))
    assert (line["event"], line["level"]) == ("x", "info")
    assert (line["field_event"], line["field_level"]) == ("y", "z")


def test_levels_are_kept_to() -> None:
    """Debug lines appear only where they are asked for."""
    assert written(Notify("x", {}, "debug")) == ""
    assert "x" in written(Notify("x", {}, "debug"), level="debug")


def test_a_closed_stderr_ends_nothing() -> None:
    """A log that cannot be written is lost."""

    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    Log("json", stream=Full()).notify(Notify("x"))


def test_unknown_formats_are_refused() -> None:
    """With the names of those there are."""
    assert form_of("json") == "json"
    with pytest.raises(UserError, match="xml"):
        form_of("xml")


def test_a_daemon_does_without_rich() -> None:
    """structlog imports it wherever it is installed, which costs a daemon 0.1 s and 8 MiB."""
    program = (
        "import sys; from common.shell.desk.logs import Log; Log('json');"
        "bad = 'rich' in sys.modules; import rich; sys.exit(bad)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
