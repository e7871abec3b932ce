"""A scenario brought up as processes, and what can be asked of them.

Super-peers start in waves, each after those it joins, so that every `--join` names a node that
serves; leaves follow a few at a time. Where nodes live and how they reach each other is the
ground's business (`deploy.ground`). All calls go to the daemons' own sockets, through the method
tables that the commands use. Who is `alive` can be asked and reached by all now: what was killed
or parted is not, nor what stands still.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from common.addresses import Address
from common.config import Config
from common.errors import Exit, UserError
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy import graphs
from deploy.ground import Ground
from deploy.oracle import Held
from deploy.processes import PREFIXES, Node, Processes
from deploy.scenario import Scenario
from deploy.targets import LEAF, SUPER_PEER, Target
from leaf.client import LeafClient
from superpeer.methods import Listing, NeighbourRow, Nothing, Status

STARTING_AT_ONCE = 8  # a daemon's start is mostly imports: more only queue for the processors
POLL_S = 0.02
SERVES_NOBODY = {"LEAF_SWARM__UPLOAD_SLOTS": "0"}

T = TypeVar("T")


class Network:
    """The running nodes, by number."""

    def __init__(self, scenario: Scenario, processes: Processes, ground: Ground) -> None:
        self.scenario = scenario
        self.processes = processes
        self.ground = ground
        self.super_peers: list[Node] = []
        self.leaves: list[Node] = []
        self.killed: list[Node] = []
        self.alive = dict.fromkeys(range(scenario.super_peers))
        self.alive_leaves = dict.fromkeys(range(scenario.leaves))
        self.edges = scenario.edges()
        self.interrupted = threading.Event()
        self.originals: dict[str, Path] = {}  # by id, of all that is shared at the start

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
        arguments = ["--static"]
        for edge in self.edges:
            if edge[1] == number:
                joined = started[edge[0]].ready
                arguments += ["--join", f"{self.ground.way(edge, joined.listen)}/{joined.node}"]
        return self._start(SUPER_PEER, number, arguments)

    def _start_leaf(self, number: int) -> Node:
        scenario, share = self.scenario, self.share_of(number)
        arguments = ["--no-promote"]
        for told in [number] if scenario.together else scenario.told(number):
            arguments += ["--super", self.super_peers[told].ready.place]
        if share.is_dir():
            arguments += ["--share", str(share)]
        serves = scenario.content.sharing_on or share.is_dir()
        return self._start(LEAF, number, arguments, {} if serves else SERVES_NOBODY)

    def _start(
        self, kind: str, number: int, arguments: list[str], settings: dict[str, str] | None = None
    ) -> Node:
        """A node that meets nothing but what the scenario names."""
        listen = str(Address.of(self.ground.address(kind, number), 0))
        alone = ["--listen", listen, "--no-lan"]
        return self.processes.start(
            f"{kind}-{number}",
            "leaf" if kind == LEAF else "superpeer",
            [*alone, *arguments],
            prefix=self.ground.prefix(kind, number),
            settings=settings,
        )

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
        leaves = sorted(self.alive_leaves)
        with self.at_once(STARTING_AT_ONCE) as pool:
            return dict(zip(leaves, pool.map(ask, leaves), strict=True))

    @contextmanager
    def at_once(self, threads: int) -> Iterator[ThreadPoolExecutor]:
        """Threads that ask nodes; should the run be interrupted, they wait for no answer."""
        with ThreadPoolExecutor(max(threads, 1)) as pool:
            try:
                yield pool
            except BaseException as error:
                if not isinstance(error, Exception):
                    self.interrupt()
                raise

    def interrupt(self) -> None:
        """The run ends now: whoever waits for a moment or an answer waits no longer."""
        self.interrupted.set()
        self.processes.kill_all()

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
            self.originals.setdefault(row.id, Path(row.path))
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

    # --- who is there, and rest ---------------------------------------------------------------

    def node(self, target: Target) -> Node:
        """The node of this kind and number."""
        nodes = self.super_peers if target.kind == SUPER_PEER else self.leaves
        return nodes[target.number]

    def living(self, kind: str) -> dict[int, None]:
        """The nodes of a kind that are alive."""
        return self.alive if kind == SUPER_PEER else self.alive_leaves

    def went(self, target: Target) -> None:
        """A node is away for now."""
        self.living(target.kind).pop(target.number, None)

    def came(self, target: Target) -> None:
        """A node is there again, unless it was killed in between."""
        if self.node(target) not in self.killed:
            self.living(target.kind)[target.number] = None

    def restart(self, targets: Sequence[Target]) -> None:
        """Start killed nodes again, each in its home and under its address. Raises UserError."""
        nodes = [self.node(target) for target in targets]
        for node in nodes:
            self.processes.restart(node)
        self.processes.await_ready(nodes, self.scenario.timeouts.ready_s)
        self.killed = [node for node in self.killed if node not in nodes]

    def kill(self, kind: str, number: int) -> None:
        """End a node as a crash would, for good."""
        target = Target(kind, number)
        self.went(target)
        self.killed.append(self.node(target))
        self.processes.kill(self.node(target))

    def settle(self, files: int) -> None:
        """Wait until the overlay is as drawn, every leaf has a parent, and all `files` entries
        stand in some index. Raises UserError."""

        def state() -> tuple[list[graphs.Edge], int, list[int]]:
            lost = [
                leaf for leaf, parent in self.on_leaves(self._seen_parent).items() if not parent
            ]
            entries = sum(self.status_of(number).files for number in self.alive)
            return self.linked(), entries, lost

        wanted: tuple[list[graphs.Edge], int, list[int]] = (self.expected_edges(), files, [])
        seen = wait_until(state, lambda now: now == wanted, self.scenario.timeouts.settled_s)
        if seen != wanted:
            raise UserError(
                Exit.TIMED_OUT,
                f"the network does not settle: links {seen[0]} instead of {wanted[0]}, "
                f"{seen[1]} entries in the indexes instead of {files}, "
                f"leaves without a parent: {seen[2] or 'none'}",
            )
        if self.alive:
            self.on_leaves(self._publish)  # done once the neighbours' digests have it too

    def _seen_parent(self, number: int) -> bool:
        return not self.alive or self.parent_of(number) in self.alive


def overrides(scenario: Scenario) -> dict[str, str]:
    """The settings that a scenario changes for all nodes, as their environment names them."""
    changed = _changed(scenario.node_config, Config())
    changed["TIME_SCALE"] = str(scenario.time_scale)
    return {prefix + key: value for prefix in PREFIXES for key, value in changed.items()}


def _changed(config: msgspec.Struct, default: msgspec.Struct) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in config.__struct_fields__:
        value, usual = getattr(config, name), getattr(default, name)
        if isinstance(value, msgspec.Struct):
            below = _changed(value, usual).items()
            found |= {f"{name.upper()}__{key}": text for key, text in below}
        elif value != usual:
            found[name.upper()] = str(value)
    return found


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
    sentences = (f"{error.message.rstrip('.')}.", error.hint)
    return " ".join(_sentence(each) for each in sentences if each)


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a path or a key."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
