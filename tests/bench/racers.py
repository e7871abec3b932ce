"""The programs of a race, each a seed and downloaders that run and wait for the word.

Ours is told by the command `leaf get`, so that the start of a Python counts on the clock; the
others by a line on their standard input. Ours is done when `leaf get` says so: every piece proven,
the file durable under its name. libtorrent and aria2 are done when every piece is proven; curl when
it has all bytes, proving nothing.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from tests.bench.course import Course
from tests.bench.told import READY_S, ROOT, Told
from tests.bench.tracker import make_v1

MEETING: Final = 0  # hosts
SEED: Final = 1
SETTLING_S: Final = 0.5  # of programs that do not say that they are ready
PYTHON: Final = (sys.executable, "-m")


class Racer(Protocol):
    """A program that distributes a file; `nodes` are its seed and then its downloaders."""

    nodes: list[Told]
    helpers: list[Told]  # what else runs for it

    def ready(self) -> None:
        """Start all, and return when all are ready."""

    def go(self) -> Sequence[Told]:
        """Tell all downloaders to begin; who says a line when each is done."""

    def took_s(self, line: str) -> float | None:
        """What a downloader itself says it took, if it does. Raises RuntimeError: it has failed."""


def _done(line: str) -> None:
    """Check a line of the others, who say `done` and no more."""
    if line != "done":
        raise RuntimeError(line)


class Ours:
    """Leaves of one super-peer."""

    def __init__(self, course: Course) -> None:
        self.nodes: list[Told] = []
        self.helpers: list[Told] = []
        self._course = course
        self._id = ""

    def ready(self) -> None:
        """The super-peer, then the leaves; the file shared and known."""
        course = self._course
        superpeer = self._daemon(MEETING, "superpeer")
        said = json.loads(superpeer.line().removeprefix("READY "))
        self.helpers.append(superpeer)
        place = f"{said['listen']}/{said['node']}"
        for host in (SEED, *course.downloaders):
            self.nodes.append(self._daemon(host, "leaf", "--super", place, "--no-promote"))
        for node in self.nodes:
            node.line()
        argv = self._command(SEED, "share", str(course.source), "--wait")
        shared = course.crew.start("share", argv).line(10 * READY_S)
        self._id = json.loads(shared)[0]["id"]

    def go(self) -> Sequence[Told]:
        """`leaf get` for each; a command reaches its daemon from anywhere on this machine."""
        commands = []
        for host in self._course.downloaders:
            target = str(self._course.target(host))
            argv = self._command(host, "get", self._id, "-o", target)
            commands.append(self._course.crew.start(f"get-{host}", argv))
        self.helpers += commands
        return commands

    def took_s(self, line: str) -> float | None:
        """The daemon's own clock, without the start of the command."""
        got = json.loads(line)
        if not got.get("verified"):
            raise RuntimeError(line)
        return float(got["elapsed_s"])

    def _daemon(self, host: int, program: str, *flags: str) -> Told:
        run = (*PYTHON, program, "run", "--home", self._home(host), "--no-lan")
        listen = ("--listen", f"{self._course.hosts[host].address}:0")
        return self._course.start(host, program, *run, *listen, *flags)

    def _command(self, host: int, *words: str) -> list[str]:
        return [*PYTHON, "leaf", *words, "--home", self._home(host), "--json"]

    def _home(self, host: int) -> str:
        return str(self._course.folder / f"home-{host}")


class Libtorrent:
    """Nodes of libtorrent that are told each other's addresses; a v2 torrent, TCP."""

    def __init__(self, course: Course) -> None:
        self.nodes: list[Told] = []
        self.helpers: list[Told] = []
        self._course = course
        self._places: list[str] = []

    def ready(self) -> None:
        """A torrent; the seed has checked its file."""
        course, module = self._course, (*PYTHON, "tests.bench.torrenting")
        torrent = str(course.folder / "v2.torrent")
        making = [*module, "make", str(course.source), torrent, str(course.job.piece_bytes)]
        subprocess.run(making, cwd=ROOT, check=True)
        for host in (SEED, *course.downloaders):
            folder = course.source.parent if host == SEED else course.target(host).parent
            argv = [*module, "run", torrent, str(folder), course.hosts[host].address]
            argv += ["--seed"] if host == SEED else []
            self.nodes.append(course.start(host, "libtorrent", *argv))
        for host, node in zip((SEED, *course.downloaders), self.nodes, strict=True):
            port = node.line().removeprefix("READY ")
            self._places.append(f"{course.hosts[host].address}:{port}")

    def go(self) -> Sequence[Told]:
        """Each is told of all others."""
        for number, node in enumerate(self.nodes[1:], 1):
            others = [place for other, place in enumerate(self._places) if other != number]
            node.tell(f"go {' '.join(others)}\n")
        return self.nodes[1:]

    def took_s(self, line: str) -> float | None:
        """It does not say."""
        _done(line)
        return None


class Aria2:
    """aria2c with a v1 torrent (it reads no other), and a tracker, for it cannot be told whom to
    meet."""

    def __init__(self, course: Course) -> None:
        self.nodes: list[Told] = []
        self.helpers: list[Told] = []
        self._course = course
        self._torrent = course.folder / "v1.torrent"

    def ready(self) -> None:
        """The tracker knows the seed; the others have their options and wait for a torrent."""
        course, place = self._course, self._course.hosts[MEETING].address
        tracker = course.start(MEETING, "tracker", *PYTHON, "tests.bench.tracker", place)
        self.helpers.append(tracker)
        announce = f"http://{place}:{tracker.line().removeprefix('READY ')}/announce"
        make_v1(course.source, self._torrent, course.job.piece_bytes, announce)
        hook = course.folder / "done.sh"
        hook.write_text("#!/bin/sh\necho done\n")
        hook.chmod(0o755)
        says_done = f"--on-bt-download-complete={hook}"
        check = ("--check-integrity=true", str(self._torrent))
        self.nodes.append(self._node(SEED, *check))
        tracker.line()  # the seed is there
        for host in course.downloaders:
            self.nodes.append(self._node(host, says_done, "--input-file=-"))
        time.sleep(SETTLING_S)

    def go(self) -> Sequence[Told]:
        """The name of the torrent, on standard input."""
        for node in self.nodes[1:]:
            node.tell(f"{self._torrent}\n", last=True)
        return self.nodes[1:]

    def took_s(self, line: str) -> float | None:
        """It does not say."""
        _done(line)
        return None

    def _node(self, host: int, *flags: str) -> Told:
        course = self._course
        folder = course.source.parent if host == SEED else course.target(host).parent
        argv = ["aria2c", "--no-conf=true", "--quiet=true", f"--dir={folder}"]
        argv += ["--enable-dht=false", "--bt-enable-lpd=false", "--file-allocation=none"]
        argv += ["--seed-ratio=0", f"--listen-port={6880 + host}"]
        argv += [f"--interface={course.hosts[host].address}"]
        return course.start(host, "aria2", *argv, *flags)


class Http:
    """curl from a web server: nginx, or `tests.bench.webseed` where there is none."""

    def __init__(self, course: Course) -> None:
        self.nodes: list[Told] = []
        self.helpers: list[Told] = []
        self._course = course
        self._place = ""

    def ready(self) -> None:
        """The server serves; each curl waits for its settings."""
        course, address = self._course, self._course.hosts[SEED].address
        if shutil.which("nginx"):
            self._place = f"{address}:8080"
            self.nodes.append(self._nginx())
        else:
            argv = (*PYTHON, "tests.bench.webseed", address, str(course.source.parent))
            self.nodes.append(course.start(SEED, "webseed", *argv))
            self._place = f"{address}:{self.nodes[0].line().removeprefix('READY ')}"
        for host in course.downloaders:
            self.nodes.append(course.start(host, "curl", "curl", "-q", "--config", "-"))
        time.sleep(SETTLING_S)

    def go(self) -> Sequence[Told]:
        """Its settings, on standard input."""
        for host, node in zip(self._course.downloaders, self.nodes[1:], strict=True):
            settings = {
                "url": f"http://{self._place}/{self._course.source.name}",
                "output": str(self._course.target(host)),
                "write-out": "done\\n",
            }
            rows = [f'{key} = "{value}"\n' for key, value in settings.items()]
            node.tell(f"silent\nfail\n{''.join(rows)}", last=True)
        return self.nodes[1:]

    def took_s(self, line: str) -> float | None:
        """It does not say."""
        _done(line)
        return None

    def _nginx(self) -> Told:
        course = self._course
        settings = course.folder / "nginx.conf"
        settings.write_text(
            f"daemon off;\nmaster_process off;\npid {course.folder}/nginx.pid;\n"
            f"error_log stderr;\nevents {{}}\n"
            "http {\naccess_log off;\nsendfile on;\ntcp_nopush on;\n"
            f"server {{\nlisten {self._place};\nroot {course.source.parent};\n}}\n}}\n"
        )
        return course.start(SEED, "nginx", "nginx", "-c", str(settings))


def _has_libtorrent() -> bool:
    return importlib.util.find_spec("libtorrent") is not None


def _has(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


RACERS: Final[Mapping[str, Callable[[Course], Racer]]] = {
    "ours": Ours,
    "libtorrent": Libtorrent,
    "aria2": Aria2,
    "http": Http,
}
IS_HERE: Final[Mapping[str, Callable[[], bool]]] = {
    "ours": lambda: True,
    "libtorrent": _has_libtorrent,
    "aria2": _has("aria2c"),
    "http": _has("curl"),
}
