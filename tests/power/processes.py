"""Programs that judge a change: each in a process group of its own, with an end to its patience.

A change may make a program run for ever, or eat all memory, or leave children behind: so its whole
group is killed when its time is over, when it has ended and when we are asked to end, and it has
only so much memory. What it says goes to files, since a child that is left would hold a pipe open.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from tests.power.tree import Copy

MEMORY_KIB: Final = 6 * 1024 * 1024  # of addresses; a soak or the tests need a sixth of it
TAIL_BYTES: Final = 64 * 1024  # of what a program says, from its end
_LIMITED: Final = ("sh", "-c", f'ulimit -v {MEMORY_KIB} 2>/dev/null; exec "$@"', "sh")


class EndedError(Exception):
    """We are asked to end: nothing is judged any more."""


class Ran(NamedTuple):
    """How a program ended; `code` is None where its time was over."""

    code: int | None
    out: str
    err: str


class Processes:
    """What runs now, so that it can be ended from another thread."""

    def __init__(self) -> None:
        self._running: dict[int, None] = {}
        self._lock = threading.Lock()
        self._ended = False

    def run(self, command: Sequence[str], copy: Copy, limit_s: float) -> Ran:
        """Run it in the copy to its end; EndedError once `end` was called."""
        out, err = copy.scratch / "out", copy.scratch / "err"
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = self._start(command, copy, to_out.fileno(), to_err.fileno())
            try:
                code = _wait(process, limit_s)
            finally:
                self._kill(process.pid, gone=True)
                process.wait()
        with self._lock:
            if self._ended:
                raise EndedError
        return Ran(code, _tail(out), _tail(err))

    def end(self) -> None:
        """Kill all that runs, and let nothing begin."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for group in running:
            self._kill(group)

    def _start(
        self, command: Sequence[str], copy: Copy, out: int, err: int
    ) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._ended:
                raise EndedError
            process = subprocess.Popen(
                [*_LIMITED, *command],
                cwd=copy.root,
                env=copy.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self._running[process.pid] = None
        return process

    def _kill(self, group: int, *, gone: bool = False) -> None:
        """The number of a group that is `gone` may be somebody else's soon."""
        with self._lock:
            if group not in self._running:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
            if gone:
                del self._running[group]


def _wait(process: "subprocess.Popen[bytes]", limit_s: float) -> int | None:
    """Its exit code, without reaping it: its group must stay ours until it is killed."""
    until = time.monotonic() + limit_s
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    pause_s = 0.005
    while time.monotonic() < until:
        ended = os.waitid(os.P_PID, process.pid, flags)
        if ended is not None:
            return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.1)
    return None


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
