"""A scenario brought up as processes, and what can be asked of them.

Super-peers start in waves, each after those it joins, so that every `--join` names a node that
serves; leaves follow a few at a time. Links with a delay go through a proxy. All calls go to
the daemons' own sockets, through the method tables that the commands use.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from common.errors import Exit, UserError
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy import graphs
from deploy.delay import Delays
from deploy.oracle import Held
from deploy.processes import Node, Processes
from deploy.scenario import Scenario
from deploy.targets import LEAF, SUPER_PEER
from leaf.client import LeafClient
from superpeer.methods import Listing, NeighbourRow, Nothing, Status

NODES_MAX = 200  # beyond this put many nodes into one process: a world of its own
STARTING_AT_ONCE = 8  # a daemon's start is mostly imports: more only queue for the processors
POLL_S = 0.02
ALONE = ("--listen", "127.0.0.1:0", "--no-lan")  # nothing but what the scenario names is met

T = TypeVar("T")


class Network:
    """The running nodes, by number."""

    def __init__(self, scenario: Scenario, processes: Processes, delays: Delays) -> None:
        nodes = scenario.super_peers + scenario.leaves
        if nodes > NODES_MAX:
            raise UserError(
                Exit.USAGE,
                f"{nodes} nodes are too many for one process each: {NODES_MAX} at most",
                f"try `python -m deploy.sim {scenario.name}`",
            )
        self.scenario = scenario
        self.processes = processes
        self.super_peers: list[Node] = []
        self.leaves: list[Node] = []
        self.killed: list[Node] = []
        self.alive = dict.fromkeys(range(scenario.super_peers))
        self.alive_leaves = dict.fromkeys(range(scenario.leaves))
        self.edges = scenario.edges()
        self._delays = delays
        self._rng = scenario.random("delays")

    # --- bringing up --------------------------------------------------------------------------

    def start(self, told: Callable[[str], None]) -> None:
        """Start everything and wait until all that is shared can be found. Raises UserError."""
        scenario = self.scenario
        ready_s = scenario.timeouts.ready_s
        started: dict[int, Node] = {}
        for wave in graphs.waves(scenario.super_peers, self.edges):
            for number in wave:
                started[number] = self._start_super_peer(number, started)
            self.processes.await_ready([started[number] for number in wave], ready_s)
        self.super_peers = [started[number] for number in range(scenario.super_peers)]
        told(f"{scenario.super_peers} super-peers serve, {len(self.edges)} links between them")
        for first in range(0, scenario.leaves, STARTING_AT_ONCE):
            numbers = range(first, min(first + STARTING_AT_ONCE, scenario.leaves))
            group = [self._start_leaf(number) for number in numbers]
            self.leaves += group
            self.processes.await_ready(group, ready_s)
        told(f"{scenario.leaves} leaves are up")
        self.on_leaves(self._publish)

    def _start_super_peer(self, number: int, started: dict[int, Node]) -> Node:
        arguments = [*ALONE, "--static"]
        for other in [a for a, b in self.edges if b == number]:
            arguments += ["--join", self._way_to(started[other])]
        return self.processes.start(f"{SUPER_PEER}-{number}", "superpeer", arguments)

    def _start_leaf(self, number: int) -> Node:
        share = self.share_of(number)
        arguments = [*ALONE, "--no-promote"]
        for told in self.scenario.told(number):
            arguments += ["--super", self.super_peers[told].ready.place]
        if share.is_dir():
            arguments += ["--share", str(share)]
        return self.processes.start(f"{LEAF}-{number}", "leaf", arguments)

    def _way_to(self, node: Node) -> str:
        """Where a neighbour dials: the node itself, or a proxy that takes its time."""
        overlay, ready = self.scenario.overlay, node.ready
        if not overlay.delay_max_s:
            return ready.place
        host, _, port = ready.listen.rpartition(":")
        delay_s = self._rng.uniform(overlay.delay_min_s, overlay.delay_max_s)
        return f"127.0.0.1:{self._delays.before(host, int(port), delay_s)}/{ready.node}"

    def shares(self) -> list[Path]:
        """The folders that the leaves share; whoever fills them does so before `start`."""
        return [self.share_of(number) for number in range(self.scenario.leaves)]

    def share_of(self, number: int) -> Path:
        """The folder that a leaf shares; where there is none it shares nothing."""
        return self.processes.folder / "shares" / f"{LEAF}-{number}"

    def _publish(self, number: int) -> None:
        share = self.share_of(number)
        if share.is_dir():
            with self.leaf(number, self.scenario.timeouts.published_s) as client:
                client.share([share], wait=True)

    # --- asking -------------------------------------------------------------------------------

    def leaf(self, number: int, timeout_s: float | None = None) -> LeafClient:
        """A link to a leaf's own socket; for one thread at a time."""
        return LeafClient(self.leaves[number].home, timeout_s or self.scenario.timeouts.ready_s)

    def ask(self, number: int, method: str, params: msgspec.Struct, result: type[T]) -> T:
        """Call a method of a super-peer's table."""
        home = home_at("superpeer", self.super_peers[number].home)
        with Calls(home) as calls:
            return calls.call(method, params, result, timeout_s=self.scenario.timeouts.ready_s)

    def on_leaves(self, ask: Callable[[int], T]) -> dict[int, T]:
        """`ask` of the number of each leaf that is alive, a few at a time."""
        with ThreadPoolExecutor(STARTING_AT_ONCE) as pool:
            return dict(zip(self.alive_leaves, pool.map(ask, self.alive_leaves), strict=True))

    def shared_by(self, number: int) -> list[Held]:
        """What a leaf says it shares."""
        share = self.share_of(number)
        with self.leaf(number) as client:
            rows = client.ls()
        held: list[Held] = []
        for row in rows:
            if row.id is None:
                raise UserError(Exit.UNEXPECTED, f"leaf {number} has not hashed {row.path}")
            folder = Path(row.path).parent.relative_to(share).as_posix()
            held.append(Held(number, row.id, row.name, "" if folder == "." else folder))
        return held

    def parent_of(self, number: int) -> int | None:
        """The number of a leaf's parent, None where it has none now."""
        with self.leaf(number) as client:
            parent = client.status().parent
        return None if parent is None else self.number_of(parent.node)

    def number_of(self, key: str) -> int:
        """The number of the super-peer with this key."""
        return next(n for n, node in enumerate(self.super_peers) if node.ready.node == key)

    def status_of(self, number: int) -> Status:
        """What a super-peer says of itself."""
        return self.ask(number, "superpeer.status", Nothing(), Status)

    def linked(self) -> list[graphs.Edge]:
        """The edges of the overlay as the super-peers that are alive see them."""
        edges: dict[graphs.Edge, None] = {}
        for number in self.alive:
            rows = self.ask(number, "superpeer.neighbours", Listing(), list[NeighbourRow])
            for row in rows:
                other = self.number_of(row.node)
                edges[min(number, other), max(number, other)] = None
        return sorted(edges)

    def expected_edges(self) -> list[graphs.Edge]:
        """The edges that the scenario drew, among the super-peers that are alive."""
        return [(a, b) for a, b in self.edges if a in self.alive and b in self.alive]

    # --- faults and rest ----------------------------------------------------------------------

    def kill(self, kind: str, number: int) -> None:
        """End a node as a crash would."""
        nodes, alive = self.leaves, self.alive_leaves
        if kind == SUPER_PEER:
            nodes, alive = self.super_peers, self.alive
        alive.pop(number, None)
        self.killed.append(nodes[number])
        self.processes.kill(nodes[number])

    def settle(self, files: int) -> None:
        """Wait until the overlay is as drawn and all `files` entries stand in some index."""

        def state() -> tuple[list[graphs.Edge], int]:
            return self.linked(), sum(self.status_of(number).files for number in self.alive)

        wanted = (self.expected_edges(), files)
        seen = wait_until(state, lambda now: now == wanted, self.scenario.timeouts.settled_s)
        if seen != wanted:
            raise UserError(
                Exit.TIMED_OUT,
                f"the network does not settle: links {seen[0]} instead of {wanted[0]}, "
                f"{seen[1]} entries in the indexes instead of {files}",
            )


def wait_until(look: Callable[[], T], good: Callable[[T], bool], within_s: float) -> T:
    """Look again and again until it is good or time is over; what was seen last."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not good(seen := look()) and time.monotonic() < deadline:
        pause.wait(POLL_S)
    return seen


def read_error(error: Exception) -> str:
    """What went wrong and what to do, in one line."""
    if not isinstance(error, UserError):
        return repr(error)
    return f"{error.message.rstrip('.')}. {error.hint}".rstrip()
