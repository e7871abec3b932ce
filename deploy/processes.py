"""Nodes as processes that cannot outlive the run that started them.

Each node is the leader of a session of its own, so that a signal to its group reaches all it may
have started, and Ctrl-C on our terminal reaches us alone: we end the nodes in order. Should we
ourselves be killed, Linux kills them with us. It takes the death of the thread that started a
process for that of its parent, so one thread starts all of them and ends last. A node's READY line
is awaited on a pipe, so one that dies early is noticed at once and its last words are part of the
error. Who joins whom is not known here.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

import msgspec

from common.errors import Exit, UserError

READY = b"READY "
STOPPING_S = 10.0  # a drain may take this long
PREFIXES = ("LEAF_", "SUPERPEER_")  # of settings in the environment
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

    def __init__(
        self, name: str, folder: Path, command: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        self.name = name
        self.home = folder / "home"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes]
        self._command = list(command)
        self._environ = environ
        self._said = b""
        self._ready: Ready | None = None

    def start(self, before: Callable[[], None] | None) -> None:
        """Run it, also once more after an end: then where it listened before."""
        command = self._command
        if self._ready is not None:
            command = _listening(command, self._ready.listen)
            _pipe(self).close()
        self._said = b""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=_REPOSITORY,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509
            )

    @property
    def ready(self) -> Ready:
        """What its last READY line said; only after `Processes.await_ready`."""
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
    """All daemons of a run below one folder; leaving the `with` block ends them."""

    def __init__(
        self, folder: Path, *, settings: Mapping[str, str] | None = None, stay: bool = False
    ) -> None:
        """`settings` of all nodes as their environment names them (`LEAF_LINK__ECHO_S`); ours
        reach no node. `stay` leaves the nodes running after an end without error, and after our
        death."""
        self.folder = folder
        self.nodes: list[Node] = []
        self._stay = stay
        ours = {key: value for key, value in os.environ.items() if not key.startswith(PREFIXES)}
        self._environ = {**ours, **(settings or {})}
        self._starter = ThreadPoolExecutor(1)
        self._ending = False

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
        self._starter.shutdown()  # last: with it end, by its death, all that it started

    def start(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        prefix: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> Node:
        """Run `python -m module run --home … arguments` behind `prefix`, with own settings."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        home = ["--home", str(folder / "home")]
        command = [*prefix, sys.executable, "-m", module, "run", *home, *arguments]
        node = Node(name, folder, command, {**self._environ, **(settings or {})})
        self._run(node)
        return node

    def restart(self, node: Node) -> None:
        """Start a node again that was killed, in its home and under its address."""
        self._run(node)

    def _run(self, node: Node) -> None:
        before = None if self._stay else die_with_parent()

        def run() -> None:
            if self._ending:
                raise RuntimeError("the run is being ended")
            node.start(before)
            if node not in self.nodes:
                self.nodes.append(node)

        self._starter.submit(run).result()

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

    def kill_all(self) -> None:
        """End all at once, so that nobody waits for their answers any more."""
        self._end_starts()
        for node in self.nodes:
            node.signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask all to end, wait, kill what is left. Leaves first, so that none looks for another."""
        self._end_starts()
        for node in reversed(self.nodes):
            node.signal(signal.SIGTERM)
            node.signal(signal.SIGCONT)  # one that stands still hears nothing
        deadline = time.monotonic() + STOPPING_S
        for node in self.nodes:
            try:
                node.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                self.kill(node)
            _pipe(node).close()

    def _end_starts(self) -> None:
        """From now on nothing is started; what was being started is among the nodes."""
        self._ending = True
        self._starter.submit(bool).result()


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


def _listening(command: Sequence[str], listen: str) -> list[str]:
    """The same command, at an address that was drawn before."""
    place = command.index("--listen") + 1
    return [*command[:place], listen, *command[place + 1 :]]


def die_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program, so that our death is its own; None beyond Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask for the signal
            os._exit(1)

    return bind
