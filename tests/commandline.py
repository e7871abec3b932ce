"""Command lines run in this process, against a toy daemon that gives fixed answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
import pytest

from common.errors import Exit
from common.methods import Methods
from common.shell.desk.control import ControlServer
from common.shell.desk.home import Lock, home_at
from common.shell.desk.options import run
from leaf import methods as leaf_methods
from leaf.methods import (
    CoverageRow,
    DownloadRow,
    Get,
    GetProgress,
    GetResult,
    HitRow,
    HopRow,
    Search,
    SearchResult,
    SharedRow,
    TraceResult,
    WishChosen,
    WishedRow,
    WishRow,
)
from leaf.reasons import Cause, Counts, Why
from superpeer import methods as superpeer_methods
from tests.toydaemon import ToyDaemon

ID = "sp:" + "q" * 52 + ".7"
ROW = SharedRow("/x/a", "a", 7, None, None)
HIT = HitRow(ID, "a", ["a"], 7, 2, 1.0)
DOWNLOAD = DownloadRow(ID, "/d/a", 7, 3, 1.5, 2.0, "paused", "asked to")
COVERAGE = CoverageRow(3, None, 12, 0.05, True)
EDGES = [superpeer_methods.GraphEdge("n1", "n2")]
NODES = [
    superpeer_methods.GraphNode("n1", "127.0.0.1:1", 4),
    superpeer_methods.GraphNode("n2", "127.0.0.1:2", None),
]
FILE = WishedRow(1, ID, "a", 7, "2026-01-01T00:00:00Z", fetched=True, link="magnet:?x")
WISH = WishRow(
    id=1,
    words=["blue", "note"],
    type="",
    ext=[],
    min_size=0,
    max_size=None,
    since="2026-01-01T00:00:00Z",
    watched=True,
    hits=1,
    auto_get=True,
    max_files=10,
    max_bytes=1000,
    fetched_files=1,
    fetched_bytes=7,
    reason="",
    files=[FILE],
)
HOPS = [
    HopRow("n1", 0, "answered", 2, 2, 0.01, 3),
    HopRow("n2", 1, "ruled out", 0, 0, 0.0, 0),
    HopRow("n3", 1, "lost", 1, 0, 2.5, 0),
]
CHECK = superpeer_methods.CheckRow(
    "up_rate", 2e6, 1e6, 1.0, 0.69, "passes", ["k1", "k2", "k3", "k4"], ""
)
AGE = superpeer_methods.CheckRow("steadiness", 0.5, 1.0, 0.5, -0.35, "fails", ["n"], "it stays 9 s")
EXPLAINED = superpeer_methods.Explanation(
    node="n",
    promoted=False,
    phase="idle",
    step_down_after_s=None,
    offered=None,
    drift=superpeer_methods.DriftRow(
        leaves=90,
        leaves_max=150,
        target=60.0,
        target_most=60.0,
        super_peers_near=3,
        mean_leaves=70.0,
        own_mu=0.41,
        own_mu_max=0.34,
        near_mu=0.15,
        near_mu_max=0.1,
        split_chance=1.0,
        step_down_chance=0.0,
        sustain_s=10.0,
        need=False,
    ),
    verdicts=[
        superpeer_methods.VerdictRow("leaf", 1, False, 0.34, [CHECK, AGE], ["it stays 9 s"]),
    ],
)
ANSWERS: dict[str, object] = {
    "leaf.status": leaf_methods.Status(
        node="n",
        roles=["leaf"],
        listen="127.0.0.1:1",
        network="public",
        parent=None,
        parent_reason="no answer",
        heir=None,
        shared_files=1,
        shared_bytes=7,
        pending_files=2,
        reachable=None,
        up_rate=None,
        down_rate=None,
        uptime_s=1.5,
        rss_bytes=10,
        version="1",
        dropped={},
    ),
    "leaf.ls": [ROW],
    "leaf.share": [ROW],
    "leaf.unshare": [],
    "leaf.downloads": [DOWNLOAD],
    "leaf.why": Why(
        id=ID,
        path="/d/a",
        state="fetching",
        waits_for="no source is known",
        size=7,
        done_bytes=0,
        rate=0.0,
        causes=[Cause("sources", "no source is known"), Cause("parent", "nobody can be asked")],
        counts=Counts(),
        sources=[],
    ),
    "leaf.pause": [DOWNLOAD],
    "leaf.resume": [DOWNLOAD],
    "leaf.rm": [],
    "leaf.wish_add": WISH,
    "leaf.wish_ls": [WISH],
    "leaf.wish_rm": [],
    "leaf.wish_watch": [WISH],
    "leaf.trace": TraceResult("ab12", "blue note", HOPS),
    "leaf.limit": leaf_methods.LimitRow(
        up_limit=None,
        down_limit=200_000,
        slots=4,
        next_change="mon 22:00",
        up=500_000,
        down=0,
        schedule=[leaf_methods.WindowRow("mon-fri 22:00-06:30", 0, None)],
        up_next_change="mon 22:00",
    ),
    "leaf.pins_reset": leaf_methods.Nothing(),
    "leaf.stop": leaf_methods.Nothing(),
    "superpeer.leaves": [superpeer_methods.LeafRow("l", "127.0.0.1:9", 0.01, None, 5.0, 3, None)],
    "superpeer.neighbours": [],
    "superpeer.explain": EXPLAINED,
    "superpeer.graph": superpeer_methods.Graph(NODES, EDGES),
    "superpeer.drain": superpeer_methods.Drained(4),
}

Program = Callable[..., tuple[int, str, str]]


def answer(server: ControlServer, call: int, method: str, params: msgspec.Struct) -> None:
    """What a daemon says; a search for `nothing` finds nothing."""
    if isinstance(params, Search):
        hits = [] if params.words == ["nothing"] else [HIT]
        for hit in hits:
            server.tell(call, hit)
        hops = HOPS if params.trace else []
        server.answer(call, SearchResult(" ".join(params.words), hits, COVERAGE, "ab12", hops))
    elif isinstance(params, Get) and params.what == "missing":
        server.fail(call, Exit.UNREACHABLE, "Nobody has it.", "Try later.")
    elif isinstance(params, Get):
        server.tell(call, GetProgress(ID, "/d/a", 7, 3, 1.0, None, 2, "fetching", ""))
        server.answer(call, GetResult("/d/a", ID, 7, 0.5, 7, 2, verified=True))
    else:
        if isinstance(params, WishChosen) and method == "leaf.wish_watch":
            server.tell(call, FILE)
        server.answer(call, ANSWERS[method])


def daemon(program: str, folder: Path, methods: Methods) -> Iterator[ToyDaemon]:
    """A daemon of this program that holds its home."""
    home = home_at(program, folder)
    home.prepare()
    lock = Lock(home)
    toy = ToyDaemon(home, methods, answer)
    yield toy
    toy.stop()
    lock.release()


def runner(
    group: click.Group, program: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Program:
    """Run a command line; gives exit code, stdout and stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        code = run(group, program, ["--home", str(folder), *arguments])
        return code, *capsys.readouterr()

    return command
