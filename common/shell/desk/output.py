"""What a command prints: stdout is data, stderr is talk.

Four forms of data: a table for people, `--json` (one document), `--jsonl` (a stream, one object a
line) and errors. `rich` is imported on a terminal only; elsewhere tables are plain columns and
progress is a plain line at most once a second. Text that came from outside is shown with its
control characters escaped, so that no file name can drive a terminal.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from common.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PROGRESS_EVERY_S: Final = 1.0


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
        print(escaped(text), file=self._out, flush=True)

    def talk(self, text: str) -> None:
        """A remark on stderr."""
        if not self._quiet:
            print(escaped(text), file=self._err, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under their headings; a column whose heading begins with `>` is right-aligned."""
        cells = [[escaped("" if cell is None else str(cell)) for cell in row] for row in rows]
        if self._out.isatty():
            self._rich_table(columns, cells)
            return
        headings = [column.removeprefix(">") for column in columns]
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        for row in (headings, *cells):
            padded = [
                cell.rjust(width) if column.startswith(">") else cell.ljust(width)
                for cell, width, column in zip(row, widths, columns, strict=True)
            ]
            print("  ".join(padded).rstrip(), file=self._out)
        self._out.flush()

    def error(self, error: UserError) -> None:
        """One sentence and one fix; for scripts on stdout as well."""
        code, message, hint = int(error.code), escaped(error.message), escaped(error.hint)
        if not self.for_people:
            self._print({"error": {"code": code, "message": message, "hint": hint}})
        print(f"Error: {message}" + (f" {hint}" if hint else ""), file=self._err, flush=True)

    def bar(self, what: str) -> "Bar":
        """Progress of something that takes time; to be used as a context manager."""
        return Bar(what, self._err, self._clock, shown=not self._quiet, color=self._color)

    def _print(self, value: object) -> None:
        print(msgspec.json.encode(value).decode(), file=self._out, flush=True)

    def _rich_table(self, columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            right = column.startswith(">")
            table.add_column(column.removeprefix(">"), justify="right" if right else "left")
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
            line = f"{self._what}: {percent} % of {total} bytes {remark}".rstrip()
            print(escaped(line), file=self._err, flush=True)

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
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
