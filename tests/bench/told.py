"""A process that is told things by lines and heard by lines, and what it has cost.

It says on its standard output that it is ready, and later that it is done; what it is told goes to
its standard input. CPU time and memory are read from /proc. It is ended by its own id; should we
be killed, Linux kills it with us.
"""

import os
import select
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.processes import PREFIXES, die_with_parent

ROOT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 60.0
ENDING_S: Final = 15.0  # a drain takes 10 s at most
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Told:
    """One process and its log."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        self.log = log
        self.peak_bytes = 0  # as far as was looked
        self._heard = b""
        environ = {key: each for key, each in os.environ.items() if not _is_foreign(key)}
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509
            )

    def tell(self, text: str, *, last: bool = False) -> None:
        """Write to it; `last`: and nothing after that."""
        if self.process.stdin is None:
            raise RuntimeError("no pipe")
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        if last:
            self.process.stdin.close()

    def fileno(self) -> int:
        """Where it is heard."""
        if self.process.stdout is None:
            raise RuntimeError("no pipe")
        return self.process.stdout.fileno()

    def hear(self) -> str | None:
        """Take in what it says; its next line once that is complete. RuntimeError: it has ended."""
        if b"\n" not in self._heard:
            got = os.read(self.fileno(), 65536)
            if not got:
                raise RuntimeError(f"{self.log.name} ended: {self.last_words()}")
            self._heard += got
        line, newline, rest = self._heard.partition(b"\n")
        if not newline:
            return None
        self._heard = rest
        return line.decode()

    def line(self, within_s: float = READY_S) -> str:
        """Wait for its next line."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            is_heard = b"\n" in self._heard or select.select([self], [], [], left_s)[0]
            if is_heard and (line := self.hear()) is not None:
                return line
        raise TimeoutError(f"{self.log.name} says nothing: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return " | ".join(self.log.read_text(errors="replace").split("\n")[-6:]).strip(" |")

    def look(self) -> None:
        """Note the peak of its memory; nothing changes where it has ended."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        for row in status.splitlines():
            if row.startswith("VmHWM:"):
                self.peak_bytes = max(self.peak_bytes, int(row.split()[1]) * 1024)

    def end(self) -> None:
        """Stop it as a service manager would."""
        self.process.terminate()
        try:
            self.process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


class Crew:
    """All processes of a heat; leaving the block ends them, the latest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[Told] = []

    def start(self, name: str, argv: Sequence[str]) -> Told:
        """One more."""
        self._all.append(Told(argv, self.folder / f"{name}.log"))
        return self._all[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in reversed(self._all):
            each.process.terminate()
        for each in reversed(self._all):
            each.end()


def heard(
    awaited: Sequence[Told], within_s: float, meanwhile: Callable[[], None], every_s: float = 0.2
) -> Iterator[tuple[int, float, str | None]]:
    """One line of each as it comes: number, time (monotonic), the line, None where it ended."""
    deadline = time.monotonic() + within_s
    with selectors.DefaultSelector() as waiting:
        for number, each in enumerate(awaited):
            waiting.register(each, selectors.EVENT_READ, number)
        while waiting.get_map() and time.monotonic() < deadline:
            for key, _ in waiting.select(every_s):
                now = time.monotonic()
                try:
                    line = awaited[key.data].hear()
                except RuntimeError:
                    waiting.unregister(key.fileobj)
                    yield key.data, now, None
                    continue
                if line is not None:
                    waiting.unregister(key.fileobj)
                    yield key.data, now, line
            meanwhile()


def cpu_s(processes: Sequence[Told]) -> float:
    """User and system time of these and of their children; of those that ended, until collected."""
    wanted = {each.process.pid for each in processes}
    rows = [row for path in Path("/proc").glob("[0-9]*/stat") if (row := _stat(path)) is not None]
    grown = True
    while grown:
        below = {pid for pid, parent, _ in rows if parent in wanted}
        grown = not below <= wanted
        wanted |= below
    return sum(spent_s for pid, _, spent_s in rows if pid in wanted)


def machine_cpu_s() -> float:
    """What all processors of this machine have worked since it began, the kernel included."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) * TICK_S


def _is_foreign(variable: str) -> bool:
    """Settings of other nodes, and proxies, which lead away from this machine."""
    return variable.startswith(PREFIXES) or variable.lower().endswith("_proxy")


def _stat(path: Path) -> tuple[int, int, float] | None:
    """Of a process: id, parent, and the time of it and of the children that it has collected."""
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return None
    return int(path.parent.name), int(fields[1]), sum(map(int, fields[11:15])) * TICK_S
