"""A small checkout and a simulator that reads it: what the machinery is tried with.

The scripted simulator says whatever its one changed value means: a violation, an exception, no end,
or nothing. So every verdict can be had at will, in a few milliseconds.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.power import judges
from tests.power.mutants import Edit, Mutant
from tests.power.processes import Processes
from tests.power.runner import Book, run
from tests.power.tree import Copy

SOAK = """
import json, os, subprocess, sys, time
from common.value import VALUE
with open({log!r}, "a") as log:
    print(VALUE, file=log)
if VALUE == "wrong":
    print("some words\\nviolation: it is wrong", file=sys.stderr)
    print(json.dumps({{"events": 7, "violations": 1, "seed": 3}}))
    sys.exit(1)
if VALUE == "raises":
    raise ZeroDivisionError("it breaks")
if VALUE == "hangs":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open({child!r}, "w") as file:
        file.write(str(child.pid))
    time.sleep(60)
print("a line before\\n" + json.dumps({{"events": int(sys.argv[2]), "violations": 0, "seed": 3}}))
"""


class Scene:
    """A small checkout, a simulator that reads it, and what the runner said."""

    def __init__(self, folder: Path, value: str = "right") -> None:
        self.folder = folder
        self.root = folder / "checkout"
        self.log = folder / "log"
        self.child = folder / "child"
        (self.root / "common").mkdir(parents=True)
        (self.root / "common/__init__.py").write_text("")
        (self.root / "common/value.py").write_text(f'VALUE = "{value}"\n')
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.soak = folder / "soak.py"
        self.soak.write_text(SOAK.format(log=str(self.log), child=str(self.child)))
        self.out = folder / "out.jsonl"
        self.processes = Processes()
        self._runs = 0

    def copies(self, count: int = 1) -> list[Copy]:
        """Fresh copies of the checkout."""
        self._runs += 1
        folder = self.folder / f"copies{self._runs}"
        first = Copy.of(self.root, folder / "0")
        return [first, *[first.again(folder / str(n)) for n in range(1, count)]]

    def judge(self, limit_s: float = 20.0) -> judges.Soak:
        """The scripted simulator."""
        command = (sys.executable, str(self.soak))
        return judges.Soak(self.processes, events=50, seed=3, command=command, limit_s=limit_s)

    def run(self, *values: str, limit_s: float = 20.0, jobs: int = 1) -> dict[str, Any]:
        """Plant each value in turn; the summary."""
        copies = self.copies(jobs)
        of = {"tree": copies[0].digest(), "events": 50, "seed": 3}
        return run(
            "planted",
            [plant(value) for value in values],
            copies,
            self.judge(limit_s),
            Book(self.out, lambda _text: None, of),
            give_up=self.processes.end,
        )

    def lines(self) -> dict[str, dict[str, Any]]:
        """What the file says of each change."""
        lines = [json.loads(text) for text in self.out.read_text().splitlines()]
        return {line["name"]: line for line in lines if "name" in line}

    def simulated(self) -> list[str]:
        """What the simulator was given, in order."""
        return self.log.read_text().split()


def plant(value: str) -> Mutant:
    """The change that makes VALUE this."""
    begin = len(b'VALUE = "')
    edit = Edit(begin, begin + len(b"right"), value.encode())
    return Mutant(f"is-{value}", "common/value.py", (edit,), "it is other", ("1",))


def lives(number: int) -> bool:
    """Whether a process runs; one that is only still to be reaped does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; TimeoutError where it does not."""
    until = time.monotonic() + 10.0
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)
