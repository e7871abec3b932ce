"""What the processes of a scenario stand on: where each listens, and how it is reached.

Two kinds of ground are known: loopback, where links take longer by a proxy before each
(`deploy.delay`), and hosts in namespaces of their own (`deploy.netlab`). What neither gives is
refused before anything is started. Nothing here starts or ends a node.
"""

from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

from common.addresses import Address, split_host_port
from common.errors import Exit, UserError
from deploy.delay import Delays
from deploy.graphs import Edge
from deploy.hosts import link_delays
from deploy.scenario import Scenario
from deploy.targets import Target

LOCALHOST: Final = "127.0.0.1"
LOCALHOST_V6: Final = "::1"
NODES_MAX: Final = 200  # beyond this put many nodes into one process: a world of its own


class Ground(Protocol):
    """Where nodes live and how they reach each other."""

    @property
    def world(self) -> str:
        """What a report calls it."""

    def prefix(self, kind: str, number: int) -> Sequence[str]:
        """What stands before the command of a node, so that it starts where it lives."""

    def address(self, kind: str, number: int) -> str:
        """The IP address that a node listens on."""

    def way(self, edge: Edge, listen: str) -> str:
        """Where the higher end of a link dials the lower one, which listens there: HOST:PORT."""

    def cut(self, nodes: Sequence[Target]) -> Callable[[], None]:
        """Part these nodes from all others; what heals it."""


class Loopback:
    """All on 127.0.0.1, or on ::1, told apart by their ports."""

    world = "processes"

    def __init__(self, scenario: Scenario, delays: Delays) -> None:
        self._delays = delays
        self._host = LOCALHOST_V6 if scenario.hosts.ipv6 else LOCALHOST
        self._link_delays = link_delays(scenario)

    def prefix(self, _kind: str, _number: int) -> Sequence[str]:
        """Nothing: they live where we do."""
        return ()

    def address(self, _kind: str, _number: int) -> str:
        """The same for all."""
        return self._host

    def way(self, edge: Edge, listen: str) -> str:
        """The node itself, or a proxy that takes its time."""
        delay_s = self._link_delays.get(edge)
        if delay_s is None:
            return listen
        _, port = split_host_port(listen)
        return str(Address.of(self._host, self._delays.before(self._host, port, delay_s)))

    def cut(self, _nodes: Sequence[Target]) -> Callable[[], None]:
        """Never: who shares one interface cannot be parted. Scenarios are checked before."""
        raise RuntimeError("nodes on loopback cannot be cut off")


def refuse_beyond_loopback(scenario: Scenario) -> None:
    """Raise UserError for what processes on loopback cannot do and another world can."""
    hosts = scenario.hosts
    shaped = {"delay_max_s": hosts.delay_max_s, "up_max": hosts.up_max, "down_max": hosts.down_max}
    for key, value in shaped.items():
        if value:
            _refuse(scenario, f"hosts.{key}", "netlab", "sim")
    if any(fault.cut for phase in scenario.phases for fault in phase.faults):
        _refuse(scenario, "phases.faults.cut", "netlab", "sim")
    refuse_beyond_processes(scenario)


def refuse_beyond_processes(scenario: Scenario) -> None:
    """Raise UserError for what no world of processes can do and the simulator can."""
    if scenario.churn.profile != "none":
        _refuse(scenario, "churn.profile", "sim")
    if scenario.hosts.firewalled:
        _refuse(scenario, "hosts.firewalled", "sim")
    if scenario.hostile:
        _refuse(scenario, "hostile", "sim")
    if scenario.large:
        _refuse(scenario, "large", "sim")
    nodes = scenario.super_peers + scenario.leaves
    if nodes > NODES_MAX:
        what = f"{nodes} nodes are too many for one process each: {NODES_MAX} at most"
        raise UserError(Exit.USAGE, what, f"try `python -m deploy.sim {scenario.name}`")


def _refuse(scenario: Scenario, key: str, *worlds: str) -> NoReturn:
    others = " or ".join(f"`python -m deploy.{world} {scenario.name}`" for world in worlds)
    raise UserError(Exit.USAGE, f"This world cannot do {key}", f"try {others}")
