"""A lab: the hosts of a scenario in namespaces, and the middle that joins them.

It is the ground of its nodes (`deploy.ground.Ground`). Packets are passed on by a bridge, or by a
switch in user space where the scenario wants delays that the kernel cannot make. Whatever ends the
run, all that was made is removed; should we be killed, the next start does it.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from typing import IO

import msgspec

from common.errors import Exit, UserError
from deploy.graphs import Edge
from deploy.ground import refuse_beyond_processes
from deploy.hosts import Access, access, link_delays
from deploy.netlab import wiring
from deploy.netlab.machine import Machine, clean_leftovers, require
from deploy.netlab.switch import READY, Plan
from deploy.scenario import Scenario
from deploy.targets import LEAF, SUPER_PEER, Target

_REPOSITORY = Path(__file__).resolve().parent.parent.parent


class Lab:
    """The hosts of one scenario."""

    world = "netlab"

    def __init__(
        self, scenario: Scenario, machine: Machine, links: Sequence[Access], *, on_switch: bool
    ) -> None:
        """`links`: the access of each host, super-peers' first."""
        self._scenario = scenario
        self._links = links
        self._machine = machine
        self._name = wiring.lab_name(getpid())
        self._on_switch = on_switch
        self._switch: subprocess.Popen[bytes] | None = None
        self._cuts: dict[int, list[int]] = {}
        self._cut_count = 0
        self._changing = threading.Lock()  # faults strike from threads of their own

    # --- the ground of nodes ------------------------------------------------------------------

    def prefix(self, kind: str, number: int) -> Sequence[str]:
        """What runs a command in the namespace of a node's host."""
        return ("ip", "netns", "exec", wiring.home(self._name, self._host(kind, number)))

    def address(self, kind: str, number: int) -> str:
        """The address of a node's host."""
        on_v6 = self._scenario.hosts.ipv6
        return (wiring.address_v6 if on_v6 else wiring.address)(self._host(kind, number))

    def way(self, _edge: Edge, listen: str) -> str:
        """The node itself: whatever delays is beneath it."""
        return listen

    def cut(self, nodes: Sequence[Target]) -> Callable[[], None]:
        """Part these nodes' hosts from all others; of cuts that overlap the last one counts."""
        hosts = sorted({self._host(*node) for node in nodes})
        with self._changing:
            self._cut_count += 1
            number = self._cut_count
            self._cuts[number] = hosts
            self._part(wiring.cut_off(self._name, number, hosts))

        def heal() -> None:
            with self._changing:
                del self._cuts[number]
                self._part(wiring.healed(self._name, number, hosts))

        return heal

    def _part(self, commands: Sequence[wiring.Command]) -> None:
        if not self._on_switch:
            self._machine.run_all(commands)
            return
        groups = [0] * len(self._links)
        for number, hosts in self._cuts.items():
            for host in hosts:
                groups[host] = number
        self._tell(msgspec.json.encode(groups))

    # --- building and removing ----------------------------------------------------------------

    def build(self) -> None:
        """Make everything. Raises UserError."""
        if self._on_switch:
            self._machine.run_all(wiring.hub_alone(self._name))
            self._start_switch()
        else:
            self._machine.run_all(wiring.hub_with_bridge(self._name))
        host_on = wiring.host_on_switch if self._on_switch else wiring.host_on_bridge
        for host, link in enumerate(self._links):
            self._machine.run_all(host_on(self._name, host, link))
            if self._scenario.hosts.ipv6:
                self._machine.run_all(wiring.speaks_v6(self._name, host))

    def remove(self) -> None:
        """Take away all that was made."""
        if self._switch is not None:
            self._switch.kill()
            self._switch.wait()
            for pipe in (self._switch.stdin, self._switch.stdout):
                if pipe is not None:
                    _close(pipe)
        for command in wiring.removed(self._machine.namespaces(), self._name):
            self._machine.attempt(command)

    def _start_switch(self) -> None:
        inside = ("ip", "netns", "exec", wiring.hub(self._name))
        self._switch = subprocess.Popen(
            [*inside, sys.executable, "-m", "deploy.netlab.switch"],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._tell(msgspec.json.encode(self._plan()))
        if self._switch.stdout is None or self._switch.stdout.readline() != READY:
            raise UserError(Exit.UNEXPECTED, "the switch does not start")

    def _tell(self, line: bytes) -> None:
        if self._switch is None or self._switch.stdin is None:
            raise RuntimeError("there is no switch")
        try:
            self._switch.stdin.write(line + b"\n")
            self._switch.stdin.flush()
        except OSError as error:
            raise UserError(Exit.UNEXPECTED, f"the switch has ended: {error}") from error

    def _plan(self) -> Plan:
        return Plan(
            [each.delay_s for each in self._links],
            [each.down_rate for each in self._links],
            [(a, b, more_s) for (a, b), more_s in link_delays(self._scenario).items()],
        )

    def _host(self, kind: str, number: int) -> int:
        """Super-peers come first; where leaves live with them, they share their hosts."""
        is_first = kind == SUPER_PEER or self._scenario.together
        return number if is_first else self._scenario.super_peers + number


def links_of(scenario: Scenario) -> list[Access]:
    """The access link of each host, as the scenario draws it."""
    kinds = [(SUPER_PEER, number) for number in range(scenario.super_peers)]
    if not scenario.together:
        kinds += [(LEAF, number) for number in range(scenario.leaves)]
    return [access(scenario, kind, number) for kind, number in kinds]


@contextmanager
def laboratory(scenario: Scenario, links: Sequence[Access] | None = None) -> Iterator[Lab]:
    """A lab that stands until the block is left. Raises UserError, or SkippedError.

    `links` are the hosts' access links, super-peers' first; without, the scenario draws them.
    """
    refuse_beyond_processes(scenario)
    links, machine = links_of(scenario) if links is None else links, Machine()
    delayed = any(link.delay_s for link in links) or bool(scenario.overlay.delay_max_s)
    shaped = any(link.up_rate or link.down_rate for link in links)
    kernel_delays = require(machine, shaped=shaped, delayed=delayed)
    clean_leftovers(machine)
    on_switch = bool(scenario.overlay.delay_max_s) or not kernel_delays
    lab = Lab(scenario, machine, links, on_switch=on_switch)
    try:
        lab.build()
        yield lab
    finally:
        with undisturbed():
            lab.remove()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no signal interrupt what must be done to the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, signal.SIG_IGN) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # what was not written to it any more
        return
