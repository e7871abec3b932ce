"""What a command prints: stdout is data, stderr is talk.

Four forms of data: a table for people, `--json` (one document), `--jsonl` (a stream, one object a
line) and errors. `rich` is imported on a terminal only; elsewhere tables are plain columns and
progress is a plain line at most once a second. Text that came from outside is shown with its
control characters escaped, so that no file name can drive a terminal; what is not UTF-8 in a name
is shown as replacement characters, and what the encoding of a stream does not have as escapes, in
documents as JSON has them. Nothing is cut: who copies an id from a table has all of it.
"""

import os
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

from common.errors import Exit, UserError
from common.shell.desk.units import size_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PROGRESS_EVERY_S: Final = 1.0
ID_COLUMN: Final = "id"
_FOLDED: Final = (ID_COLUMN, "reason", "path")  # first the id, which is no reading
_GAP: Final = "  "
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class Output:
    """Where a command's words go. `json` and `jsonl` are exclusive; `jsonl` wins."""

    def __init__(
        self,
        *,
        json: bool = False,
        jsonl: bool = False,
        quiet: bool = False,
        color: bool = True,
        out: TextIO | None = None,
        err: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jsonl = jsonl
        self.json = json and not jsonl
        self._quiet = quiet
        self._color = color and not os.environ.get("NO_COLOR")
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._clock = clock

    @property
    def for_people(self) -> bool:
        """Whether stdout is for eyes rather than for scripts."""
        return not self.json and not self.jsonl

    def document(self, value: object) -> None:
        """The one JSON document of this command."""
        self._print({"result": value} if self.jsonl else value)

    def event(self, name: str, value: object) -> None:
        """One line of a stream; nothing unless `--jsonl`."""
        if self.jsonl:
            self._print({name: value})

    def line(self, text: str) -> None:
        """A line of data for people."""
        self._put(encodable(escaped(text), self._out))

    def talk(self, text: str) -> None:
        """A remark on stderr."""
        if not self._quiet:
            print(encodable(escaped(text), self._err), file=self._err, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under their headings; a column whose heading begins with `>` is right-aligned.

        On a terminal that is too narrow ids, reasons and paths stand on lines of their own.
        """
        cells = [
            [encodable(escaped("" if cell is None else str(cell)), self._out) for cell in row]
            for row in rows
        ]
        if not self._out.isatty():
            self._put("\n".join(_aligned(columns, cells)))
        elif ID_COLUMN in columns and self._is_too_wide(columns, cells):
            self._put("\n".join(self._folded(list(columns), cells)))
        else:
            self._rich_table(columns, cells)

    def _is_too_wide(self, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
        return max(map(_columns, _aligned(columns, cells))) > self._width()

    def _folded(self, columns: list[str], cells: list[list[str]]) -> list[str]:
        """Rows with as many of the long cells below them as do not fit beside the others."""
        below: list[list[str]] = [[] for _ in cells]
        for name in _FOLDED:
            if name in columns and (not any(below) or self._is_too_wide(columns, cells)):
                at = columns.index(name)
                del columns[at]
                for row, beneath in zip(cells, below, strict=True):
                    beneath.insert(0, row.pop(at))
        head, *lines = _aligned(columns, cells)
        rows = zip(lines, below, strict=True)
        return [head, *("\n".join([line, *(_GAP + b for b in each if b)]) for line, each in rows)]

    def error(self, error: UserError) -> None:
        """One sentence and one fix; for scripts on stdout as well."""
        code, message, hint = int(error.code), escaped(error.message), escaped(error.hint)
        message, hint = _ended(message), _ended(hint)
        try:
            if not self.for_people:
                self._print({"error": {"code": code, "message": message, "hint": hint}})
        finally:  # a stdout that is full must not hide why
            text = f"Error: {message}" + (f" {hint}" if hint else "")
            print(encodable(text, self._err), file=self._err, flush=True)

    def bar(self, what: str) -> "Bar":
        """Progress of something that takes time; to be used as a context manager."""
        return Bar(what, self._err, self._clock, shown=not self._quiet, color=self._color)

    def _print(self, value: object) -> None:
        try:
            document = msgspec.json.encode(value)
        except UnicodeEncodeError:
            document = msgspec.json.encode(_legible(msgspec.to_builtins(value)))
        self._put(document_text(document, self._out))

    def _put(self, text: str) -> None:
        """Data on stdout. Raises UserError where its disk is full."""
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            raise  # who reads has seen enough
        except OSError as error:
            raise unwritten(error) from error

    def _width(self) -> int:
        return shutil.get_terminal_size().columns

    def _rich_table(self, columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            right = column.startswith(">")
            heading = column.removeprefix(">")
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*[Text(cell) for cell in row])
        Console(file=self._out, no_color=not self._color).print(table)


class Bar:
    """A bar on a terminal; elsewhere a line at most once a second, and a last one at the end."""

    def __init__(
        self, what: str, err: TextIO, clock: Callable[[], float], *, shown: bool, color: bool
    ) -> None:
        self._what = what
        self._err = err
        self._clock = clock
        self._shown = shown
        self._color = color
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._next = clock() + PROGRESS_EVERY_S  # what is done within a second needs no line

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: int, total: int, remark: str = "") -> None:
        """`done` of `total` bytes."""
        if not self._shown:
            return
        if self._err.isatty():
            self._draw(done, total, remark)
        elif self._clock() >= self._next:
            self._next = self._clock() + PROGRESS_EVERY_S
            percent = 100 * done // total if total else 100
            line = (
                f"{self._what}: {percent} % of {size_text(total)}{f', {remark}' if remark else ''}"
            )
            print(encodable(escaped(line), self._err), file=self._err, flush=True)

    def _draw(self, done: int, total: int, remark: str) -> None:
        if self._progress is None:
            self._start()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, remark=escaped(remark))

    def _start(self) -> None:
        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[remark]}", markup=False),
            console=Console(file=self._err, no_color=not self._color),
            transient=True,
        )
        self._task = self._progress.add_task(escaped(self._what), total=None, remark="")
        self._progress.start()


def escaped(text: str) -> str:
    """The text with every character that a terminal might obey written as an escape."""
    if text.isprintable():
        return text
    text = _decodable(text)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def encodable(text: str, stream: TextIO) -> str:
    """The text with every character that the encoding of this stream lacks as an escape."""
    if text.isascii() or not stream.encoding:
        return text
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)


def document_text(document: bytes, stream: TextIO) -> str:
    """A JSON document as this stream can have it: the same one, whatever its encoding lacks."""
    text = document.decode()
    if encodable(text, stream) == text:
        return text
    import json

    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)  # only in strings


def unwritten(error: OSError) -> UserError:
    """What becomes of an error of stdout."""
    text = f"The output could not be written: {error.strerror or error}."
    return UserError(Exit.DISK, text, "Free space where it goes, or send it elsewhere.")


def _aligned(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """The headings and each row as lines."""
    headings = [column.removeprefix(">") for column in columns]
    widths = [max(map(_columns, column)) for column in zip(headings, *cells, strict=True)]
    return [
        _GAP.join(
            _padded(cell, width, right=column.startswith(">"))
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in (headings, *cells)
    ]


def _padded(cell: str, width: int, *, right: bool) -> str:
    room = " " * (width - _columns(cell))
    return room + cell if right else cell + room


def _columns(text: str) -> int:
    """How many columns a terminal gives it: Chinese, Japanese and Korean letters take two each,
    marks that stand on the letter before them none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _ended(text: str) -> str:
    """A sentence ends with a full stop."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _decodable(text: str) -> str:
    """A name with replacement characters for its bytes that are no UTF-8 (PEP 383)."""
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def _legible(value: Any) -> Any:
    if isinstance(value, str):
        return _decodable(value)
    if isinstance(value, dict):
        return {_legible(key): _legible(each) for key, each in value.items()}
    return [_legible(each) for each in value] if isinstance(value, list | tuple) else value
