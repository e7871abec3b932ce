"""What commands print, for people and for scripts."""

import errno
import io
import json
import sys
from pathlib import Path

import click
import pytest

from common.errors import Exit, UserError
from common.shell.desk.options import run
from common.shell.desk.output import Output, escaped
from leaf.cli import cli as leaf_cli
from superpeer.cli import cli as superpeer_cli


class Terminal(io.StringIO):
    """A terminal that keeps what it was sent."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def outputs(**settings: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    """An output and its two streams; none is a terminal."""
    out, err = io.StringIO(), io.StringIO()
    return Output(out=out, err=err, **settings), out, err  # type: ignore[arg-type]


def test_a_table_is_plain_columns_without_a_terminal() -> None:
    """Aligned, numbers to the right, no colour and no trailing blanks."""
    output, out, _ = outputs()
    output.table((">size", "name"), [("1 B", "a"), ("100 kB", "bb"), (None, "c")])
    assert out.getvalue() == "  size  name\n   1 B  a\n100 kB  bb\n        c\n"


def test_no_rows_are_a_heading() -> None:
    """An empty table says what would stand there."""
    output, out, _ = outputs()
    output.table(("a", "b"), [])
    assert out.getvalue() == "a  b\n"


def test_a_terminal_gets_the_same_cells() -> None:
    """Drawn by rich; markup in a name stays text."""
    out = Terminal()
    Output(out=out, color=False).table(("name",), [("[red]x",)])
    assert "[red]x" in out.getvalue()


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\u202egpj.exe", "\x07", "\x9b2J"])
def test_no_name_drives_a_terminal(text: str) -> None:
    """Control and direction characters are shown as escapes."""
    assert escaped(text).isprintable()
    output, out, err = outputs()
    output.line(text)
    output.talk(text)
    output.table(("x",), [(text,)])
    output.error(UserError(Exit.DISK, text, text))
    assert all(line.isprintable() for line in (out.getvalue() + err.getvalue()).splitlines())


def test_harmless_text_stays() -> None:
    """Any script, any accent."""
    assert escaped("Käse 日本 नमस्ते") == "Käse 日本 नमस्ते"


def test_wide_letters_take_two_columns() -> None:
    """A Japanese name does not push what stands behind it; a mark on a letter takes no room."""
    output, out, _ = outputs()
    output.table(["name", "id"], [["\u30ea\u30f3\u30b4", "a"], ["e\u0301", "b"], ["apple", "c"]])
    assert out.getvalue().splitlines() == [
        "name    id",
        "\u30ea\u30f3\u30b4  a",
        "e\u0301       b",
        "apple   c",
    ]


@pytest.mark.parametrize(("columns", "lines"), [("40", 2), ("200", 1)])
def test_no_id_is_cut(columns: str, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a terminal is too narrow it stands on a line of its own."""
    monkeypatch.setenv("COLUMNS", columns)
    out, identity = Terminal(), "sp:" + "a" * 52 + ".7"
    output = Output(out=out, color=False)
    output.table((">#", "name", "id"), [(1, "a name", identity)])
    assert len(out.getvalue().splitlines()) == 1 + lines
    assert identity in out.getvalue()


def test_a_table_that_is_too_wide_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long stands below its row, and only as much as does not fit."""
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    row = ("paused", "/d/" + "p" * 30, "sp:" + "a" * 52 + ".7", "r" * 30)
    Output(out=out, color=False).table(("state", "path", "id", "reason"), [row])
    assert [line.strip() for line in out.getvalue().splitlines()] == [
        "state",
        "paused",
        row[1],
        row[3],
        row[2],
    ]


def test_what_is_no_utf_8_is_replaced() -> None:
    """A name of a file may be any bytes; a document is UTF-8."""
    output, out, _ = outputs(json=True)
    output.document([{"a\udcff": ("b\udcfe", 1)}])
    assert json.loads(out.getvalue()) == [{"a\ufffd": ["b\ufffd", 1]}]
    assert escaped("a\udcff") == "a\ufffd"


class Full(io.StringIO):
    """A stdout on a full disk."""

    def write(self, _text: str) -> int:
        """ENOSPC."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_stdout_is_an_error_with_a_fix() -> None:
    """Exit 8; it is told on stderr though a script wants it on stdout too."""
    err = io.StringIO()
    output = Output(json=True, out=Full(), err=err)
    with pytest.raises(UserError) as error:
        output.document({})
    assert (error.value.code, bool(error.value.hint)) == (Exit.DISK, True)
    with pytest.raises(UserError):
        output.error(error.value)
    assert "No space left" in err.getvalue()


def test_json_is_one_document() -> None:
    """Events are not part of it."""
    output, out, _ = outputs(json=True)
    output.event("hit", {"a": 1})
    output.document({"b": 2})
    assert json.loads(out.getvalue()) == {"b": 2}


def test_jsonl_is_a_stream_that_ends_with_the_result() -> None:
    """One object a line."""
    output, out, _ = outputs(jsonl=True)
    output.event("hit", {"a": 1})
    output.document({"b": 2})
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines == [{"hit": {"a": 1}}, {"result": {"b": 2}}]


def test_an_error_is_told_to_people_and_to_scripts() -> None:
    """One sentence and one fix on stderr; with --json on stdout as well."""
    output, out, err = outputs(json=True)
    output.error(UserError(Exit.DISK, "It is full.", "Free some."))
    assert err.getvalue() == "Error: It is full. Free some.\n"
    document = {"error": {"code": 8, "message": "It is full.", "hint": "Free some."}}
    assert json.loads(out.getvalue()) == document


def test_quiet_is_quiet() -> None:
    """Errors are still told."""
    output, _, err = outputs(quiet=True)
    output.talk("x")
    with output.bar("y") as bar:
        bar.update(1, 2)
    output.error(UserError(Exit.DISK, "z"))
    assert err.getvalue() == "Error: z.\n"


def test_progress_is_a_line_a_second_without_a_terminal() -> None:
    """What is over within a second needs none."""
    now = [0.0]
    err = io.StringIO()
    with Output(err=err, clock=lambda: now[0]).bar("Fetching") as bar:
        for tenth in range(35):
            now[0] = tenth / 10
            bar.update(tenth, 34, "from 2")
    assert err.getvalue().splitlines() == [
        "Fetching: 29 % of 34 B, from 2",
        "Fetching: 58 % of 34 B, from 2",
        "Fetching: 88 % of 34 B, from 2",
    ]


def test_progress_is_a_bar_on_a_terminal() -> None:
    """Drawn by rich, gone when it is over."""
    err = Terminal()
    with Output(err=err).bar("Fetching") as bar:
        bar.update(1, 2, "from 2")
    assert "Fetching" in err.getvalue()


def narrow(encoding: str) -> tuple[Output, io.TextIOWrapper, io.TextIOWrapper]:
    """An output and its two streams, which take the letters of this encoding alone."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    return Output(out=out, err=err), out, err


def test_what_a_stream_cannot_write_is_escaped() -> None:
    """In lines, remarks, errors and tables, whose columns stay in place."""
    output, out, err = narrow("ascii")
    output.line("caf\u00e9")
    output.table(["name", "id"], [["caf\u00e9", "a"], ["tea", "b"]])
    output.talk("\u5c71")
    output.error(UserError(Exit.DISK, "\U0001f389 is full.", ""))
    output.bar("Hashing").update(1, 2, "\u00e9")
    out.seek(0)
    err.seek(0)
    assert out.read().split("\n") == ["caf\\xe9", "name     id", "caf\\xe9  a", "tea      b", ""]
    assert err.read().split("\n") == ["\\u5c71", "Error: \\U0001f389 is full.", ""]
    output, out, _ = narrow("latin-1")
    output.line("caf\u00e9")
    out.seek(0)
    assert out.read() == "caf\u00e9\n"


def test_a_document_is_the_same_in_every_encoding() -> None:
    """With the escapes of JSON, so that it can be read."""
    output, out, _ = narrow("ascii")
    output.document({"caf\u00e9": ['\U0001f389 "\u5c71\\']})
    out.seek(0)
    assert json.loads(out.read()) == {"caf\u00e9": ['\U0001f389 "\u5c71\\']}


@pytest.mark.parametrize(("group", "program"), [(leaf_cli, "leaf"), (superpeer_cli, "superpeer")])
def test_no_command_ends_in_what_stdout_cannot_write(
    group: click.Group, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in what a library prints itself."""

    def greet() -> None:
        sys.stdout.write("caf\u00e9\n")

    group.add_command(click.Command("greet", callback=greet))
    streams = [io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    try:
        assert run(group, program, ["greet"]) == 0
    finally:
        del group.commands["greet"]
    assert run(group, program, ["status", "--home", str(tmp_path / "caf\u00e9"), "--json"]) == 9
    streams[0].seek(0)
    greeting, document = streams[0].read().splitlines()
    assert greeting == "caf\\xe9"
    assert json.loads(document)["error"]["code"] == 9
