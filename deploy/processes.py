"""Nodes as processes that cannot outlive the run that started them.

Each node is the leader of a session of its own, so that a signal to its group reaches all it may
have started, and Ctrl-C on our terminal reaches us alone: we end the nodes in order. Should we
ourselves be killed, Linux kills them with us. A node's READY line is awaited on a pipe, so one that
dies early is noticed at once and its last words are part of the error. Who joins whom is not
known here.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

import msgspec

from common.errors import Exit, UserError

READY = b"READY "
STOPPING_S = 10.0  # a drain may take this long
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_REPOSITORY = Path(__file__).resolve().parent.parent


class Peer(msgspec.Struct):
    """A node and its address."""

    node: str
    address: str


class Ready(msgspec.Struct):
    """What a daemon says once it serves."""

    node: str
    listen: str
    parent: Peer | None = None

    @property
    def place(self) -> str:
        """HOST:PORT/KEY, as `--join` and `--super` take it."""
        return f"{self.listen}/{self.node}"


class Node:
    """One daemon: its name in the run, its folder, its process, what its READY line said."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.home = folder / "home"
        self.log = folder / "log"
        self.process = process
        self._said = b""
        self._ready: Ready | None = None

    @property
    def ready(self) -> Ready:
        """What its READY line said; only after `Processes.await_ready`."""
        if self._ready is None:
            raise RuntimeError(f"{self.name} is not ready")
        return self._ready

    def hear(self) -> bool:
        """Take in what it printed; whether its READY line is complete. Raises UserError."""
        if self.process.stdout is None:
            raise RuntimeError(f"{self.name} has no pipe")
        got = os.read(self.process.stdout.fileno(), 65536)
        if not got:
            raise UserError(Exit.UNEXPECTED, f"{self.name} ended early: {self.last_words()}")
        self._said += got
        line, newline, _ = self._said.partition(b"\n")
        if not newline:
            return False
        self._ready = msgspec.json.decode(line.removeprefix(READY), type=Ready)
        return True

    def last_words(self) -> str:
        """The end of its log, for an error."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-5:]) or "it said nothing"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole group; nothing happens where it is gone."""
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return


class Processes:
    """All daemons of a run below one folder; leaving the `with` block ends them.

    Start them from a thread that lives as long as they shall: Linux takes the death of the
    thread that started a process for that of its parent.
    """

    def __init__(self, folder: Path, *, time_scale: float = 1.0, stay: bool = False) -> None:
        """`stay` leaves the nodes running after an end without error, and after our death."""
        self.folder = folder
        self.nodes: list[Node] = []
        scaled = {f"{program}_TIME_SCALE": str(time_scale) for program in ("LEAF", "SUPERPEER")}
        self._stay = stay
        self._environment = {**os.environ, **scaled} if time_scale != 1.0 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or not self._stay:
            self.stop()

    def start(self, name: str, module: str, arguments: Sequence[str]) -> Node:
        """Run `python -m module run --home … arguments`."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        home = ["--home", str(folder / "home")]
        command = [sys.executable, "-m", module, "run", *home, *arguments]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=_REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if self._stay else _die_with_parent(),  # noqa: PLW1509
            )
        node = Node(name, folder, process)
        self.nodes.append(node)
        return node

    def await_ready(self, nodes: Sequence[Node], within_s: float) -> None:
        """Wait for the READY line of each. Raises UserError when one ends or time is over."""
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as waiting:
            for node in nodes:
                waiting.register(_pipe(node), selectors.EVENT_READ, node)
            while names := [key.data.name for key in waiting.get_map().values()]:
                heard = waiting.select(max(deadline - time.monotonic(), 0))
                if not heard:
                    raise UserError(
                        Exit.TIMED_OUT, f"not ready within {within_s:g} s: {', '.join(names)}"
                    )
                for key, _ in heard:
                    if key.data.hear():
                        waiting.unregister(key.fileobj)

    def kill(self, node: Node) -> None:
        """End a node as a crash would, and wait until it is gone."""
        node.signal(signal.SIGKILL)
        node.process.wait()

    def dead(self) -> list[Node]:
        """The nodes that have ended, by whatever cause."""
        return [node for node in self.nodes if node.process.poll() is not None]

    def stop(self) -> None:
        """Ask all to end, wait, kill what is left. Leaves first, so that none looks for another."""
        for node in reversed(self.nodes):
            node.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOPPING_S
        for node in self.nodes:
            try:
                node.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                self.kill(node)
            _pipe(node).close()


def end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `with` blocks clean up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _pipe(node: Node) -> IO[bytes]:
    if node.process.stdout is None:
        raise RuntimeError(f"{node.name} has no pipe")
    return node.process.stdout


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program, so that our death is its own; None beyond Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask for the signal
            os._exit(1)

    return bind
