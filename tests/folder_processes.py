"""Leaves as processes that share and fetch folders, and files on the real disk."""

import json
import signal
from pathlib import Path
from typing import Any

from tests.test_programs import command, ready, start


class Leaf:
    """A leaf as a process."""

    def __init__(self, tmp_path: Path, name: str, listen: str) -> None:
        self.home = ("--home", str(tmp_path / name))
        self.listen = listen
        self.process = self._start()

    def _start(self) -> Any:
        process = start(
            "leaf", "run", *self.home, "--listen", "127.0.0.1:0", "--super", self.listen
        )
        assert ready(process)["parent"] is not None
        return process

    def __call__(self, *arguments: str) -> Any:
        """A command that must do what it is asked; its document."""
        code, out, err = command("leaf", *arguments, *self.home, "--json")
        assert code == 0, (arguments, out, err)
        return json.loads(out)

    def restart(self, number: signal.Signals) -> None:
        """Another life."""
        self.end(number)
        self.process = self._start()

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """No more life."""
        self.process.send_signal(number)
        self.process.communicate(timeout=20)


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Put these files there."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def read(folder: Path) -> dict[str, bytes]:
    """All files that are there, however they are called."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def manifest(rows: Any) -> Any:
    """The row of the folder among those of its files."""
    (row,) = [row for row in rows if row["name"] == "my music.folder"]
    return row
