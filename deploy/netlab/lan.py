"""Hosts on one LAN that know nobody: `python -m deploy.netlab lan [--json]`.

Real daemons in network namespaces on one bridge, started without a word of where the others are.
They have to find each other by mDNS, begin the network where nobody is, merge where two began at
once, and never mix with another network on the same cable. Prints one line for each check.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from typing import Final

import click
import msgspec

from common.errors import Exit
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.hosts import Access
from deploy.netlab import wiring
from deploy.netlab.lab import undisturbed
from deploy.netlab.machine import Machine, SkippedError, clean_leftovers, require
from deploy.network import wait_until
from deploy.processes import Node, Processes, end_on_signals
from leaf import methods as leaf_methods
from leaf.client import LeafClient
from superpeer import methods as superpeer_methods

LEAF: Final = "leaf"
SUPERPEER: Final = "superpeer"
READY_S: Final = 10.0  # what CLI.md gives a leaf, and the first machine as well
MERGED_S: Final = 30.0  # after a cut, mDNS asks again within about as long as the cut was
NO_LIMITS: Final = Access(0.0, 0.0, 0.0)


class Check(msgspec.Struct):
    """One thing that must be so on a LAN."""

    check: str
    ok: bool
    took_s: float
    detail: str
    figures: dict[str, float] = {}  # all that was measured until then


class Cable:
    """Some hosts on one bridge, and the daemons on them."""

    def __init__(self, machine: Machine, processes: Processes, folder: Path) -> None:
        self._machine = machine
        self._lab = wiring.lab_name(getpid())
        self._processes = processes
        self.folder = folder
        self.figures: dict[str, float] = {}  # what a check measured
        self._hosts = 0

    def lay(self, hosts: int, *, v6_only: bool = False, links: Sequence[Access] = ()) -> None:
        """A bridge with this many hosts; `links` of the first of them, the others have no limit."""
        self._machine.run_all(wiring.hub_with_bridge(self._lab))
        self._hosts = hosts
        for host in range(hosts):
            link = links[host] if host < len(links) else NO_LIMITS
            commands = [
                *wiring.host_on_bridge(self._lab, host, link),
                *wiring.speaks_v6(self._lab, host),
                *(wiring.only_v6 if v6_only else wiring.on_lan)(self._lab, host),
            ]
            self._machine.run_all(commands)

    def take_up(self) -> None:
        """Remove it all."""
        for command in wiring.removed(self._machine.namespaces(), self._lab):
            self._machine.attempt(command)

    def wall(self, host: int) -> None:
        """Put a firewall before a host."""
        self._machine.run_all(wiring.walled(self._lab, host))

    def place(self, host: int) -> str:
        """The address of a host."""
        return wiring.address(host)

    def part(self, hosts: Sequence[int]) -> Callable[[], None]:
        """Cut these hosts off from the others; what heals it."""
        self._machine.run_all(wiring.cut_off(self._lab, 1, hosts))
        return lambda: self._machine.run_all(wiring.healed(self._lab, 1, hosts))

    def start(
        self, host: int, program: str, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> Node:
        """A daemon on a host, told nothing but these."""
        inside = ("ip", "netns", "exec", wiring.home(self._lab, host))
        name = f"{program}-{host}"
        return self._processes.start(name, program, arguments, prefix=inside, settings=settings)

    def ready(self, *nodes: Node) -> None:
        """Wait for their READY lines. Raises UserError."""
        self._processes.await_ready(nodes, 2 * READY_S)


def status(node: Node) -> leaf_methods.Status:
    """What a leaf says of itself."""
    with LeafClient(node.home) as client:
        return client.status()


def as_superpeer(node: Node) -> superpeer_methods.Status:
    """What the super-peer of a node says of itself."""
    with Calls(home_at(SUPERPEER, node.home)) as calls:
        nothing, result = superpeer_methods.Nothing(), superpeer_methods.Status
        return calls.call("superpeer.status", nothing, result, timeout_s=READY_S)


# --- what must be so ------------------------------------------------------------------------------


def no_flag(cable: Cable) -> Iterator[tuple[bool, str]]:
    """A leaf and a super-peer find each other with no flag at all."""
    yield from _leaf_finds_super_peer(cable, v6_only=False)


def no_flag_v6(cable: Cable) -> Iterator[tuple[bool, str]]:
    """The same where there is nothing but IPv6."""
    yield from _leaf_finds_super_peer(cable, v6_only=True)


def _leaf_finds_super_peer(cable: Cable, *, v6_only: bool) -> Iterator[tuple[bool, str]]:
    cable.lay(2, v6_only=v6_only)
    parent = cable.start(0, SUPERPEER)
    cable.ready(parent)
    began = time.monotonic()
    leaf = cable.start(1, LEAF)
    cable.ready(leaf)
    took_s = time.monotonic() - began
    seen = status(leaf)
    joined = seen.parent is not None and seen.parent.node == parent.ready.node
    alone = seen.roles == ["leaf"]
    where = "nobody" if seen.parent is None else seen.parent.address
    yield joined, f"joined {where} in {took_s:.1f} s, found by {seen.parent_source}"
    yield seen.parent_source == "mdns" and alone, "and did not become a super-peer itself"


def first_machine(cable: Cable) -> Iterator[tuple[bool, str]]:
    """The first machine begins the network; the second one finds it, and its files."""
    cable.lay(2)
    share = cable.folder / "share"
    share.mkdir()
    (share / "blue train.txt").write_bytes(b"once upon a time\n" * 1000)
    began = time.monotonic()
    first = cable.start(0, LEAF, "--share", str(share))
    cable.ready(first)
    took_s = time.monotonic() - began
    seen = status(first)
    is_both = seen.roles == ["leaf", "superpeer"] and seen.parent_source == "self"
    yield is_both and took_s < READY_S, f"READY as {' and '.join(seen.roles)} in {took_s:.1f} s"
    second = cable.start(1, LEAF)
    cable.ready(second)
    with LeafClient(first.home, READY_S) as client:
        client.share([share], wait=True)
    with LeafClient(second.home, READY_S) as client:
        found = client.search(["train"])
        yield len(found.hits) == 1, f"the second finds {len(found.hits)} file"
        got = client.get("1")
        yield got.verified and got.size == 17000, f"and fetches its {got.size} bytes"
    with LeafClient(first.home, READY_S) as client:
        found = client.search(["train"])
        yield len(found.hits) == 1, "the first finds its own file too"


def at_once(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Two first machines that start at the same moment end up in one network."""
    cable.lay(2)
    nodes = [cable.start(0, LEAF), cable.start(1, LEAF)]
    cable.ready(*nodes)
    began = time.monotonic()
    is_one = wait_until(lambda: _is_one(nodes), bool, MERGED_S)
    took_s = time.monotonic() - began
    super_peers = sum(len(status(node).roles) - 1 for node in nodes)
    yield is_one, f"one network {took_s:.1f} s after both are READY, super-peers: {super_peers}"


def merging(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Two networks that began while the cable was cut become one when it is whole."""
    cable.lay(2)
    heal = cable.part([1])
    nodes = [cable.start(0, LEAF), cable.start(1, LEAF)]
    cable.ready(*nodes)
    apart = [_parent(node) for node in nodes] == [node.ready.node for node in nodes]
    yield apart, "each is a network of its own"
    heal()
    began = time.monotonic()
    linked = wait_until(lambda: _is_one(nodes), bool, MERGED_S)
    yield linked, f"linked {time.monotonic() - began:.1f} s after the cable was whole"


def never_mixing(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Networks of other names, and of one name with other keys, never mix on one cable."""
    groups = {
        "the open one": (),
        "another name": ("--network", "lab"),
        "a key": ("--network-key", _key(cable.folder / "a-key", b"a")),
        "another key": ("--network-key", _key(cable.folder / "b-key", b"b")),
    }
    cable.lay(3 * len(groups))
    started: dict[str, tuple[Node, Node]] = {}
    for number, (group, flags) in enumerate(groups.items()):
        pair = [cable.start(3 * number + each, SUPERPEER, *flags) for each in range(2)]
        started[group] = (pair[0], pair[1])
    cable.ready(*[node for pair in started.values() for node in pair])
    leaves: dict[str, Node] = {}
    for number, (group, flags) in enumerate(groups.items()):
        leaves[group] = cable.start(3 * number + 2, LEAF, *flags)
    cable.ready(*leaves.values())
    for group, leaf in leaves.items():
        own = {node.ready.node for node in started[group]}
        yield _parent(leaf) in own, f"{group}: its leaf has a parent of its own network"

    def neighbours() -> dict[str, list[int]]:
        return {
            group: [as_superpeer(node).neighbours for node in pair]
            for group, pair in started.items()
        }

    wanted = {group: [1, 1] for group in groups}
    seen = wait_until(neighbours, lambda now: now == wanted, READY_S)
    yield seen == wanted, f"neighbours of the pairs: {seen}"


def _key(path: Path, letter: bytes) -> str:
    path.write_bytes(letter * 32)
    return str(path)


def _parent(leaf: Node) -> str:
    parent = status(leaf).parent
    return "nobody" if parent is None else parent.node


def _is_one(leaves: Sequence[Node]) -> bool:
    """Whether they hang on one super-peer, or on two that are neighbours."""
    parents = {_parent(leaf) for leaf in leaves}
    if len(parents) == 1:
        return "nobody" not in parents
    own = parents == {leaf.ready.node for leaf in leaves}
    return own and all(as_superpeer(leaf).neighbours for leaf in leaves)


CHECKS: Final = {
    "no-flag": no_flag,
    "no-flag-ipv6": no_flag_v6,
    "first-machine": first_machine,
    "at-once": at_once,
    "merging": merging,
    "never-mixing": never_mixing,
}


# --- the command ----------------------------------------------------------------------------------


@contextmanager
def cable_of(machine: Machine) -> Iterator[Cable]:
    """A cable and its daemons, of which nothing is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="superpeer-lan-"))
    try:
        with Processes(folder) as processes:
            cable = Cable(machine, processes, folder)
            try:
                yield cable
            finally:
                processes.stop()
                with undisturbed():
                    cable.take_up()
    finally:
        shutil.rmtree(folder)


Checks = Mapping[str, Callable[[Cable], Iterator[tuple[bool, str]]]]


def examine(checks_of: Checks, names: Sequence[str], told: Callable[[Check], None]) -> list[Check]:
    """Run these checks; each of their findings is told as it comes. Raises SkippedError."""
    machine = Machine()
    require(machine, shaped=checks_of is not CHECKS, delayed=False)
    clean_leftovers(machine)
    checks: list[Check] = []
    for name in names:
        began = time.monotonic()
        with cable_of(machine) as cable:
            for ok, detail in checks_of[name](cable):
                took_s = round(time.monotonic() - began, 2)
                checks.append(Check(name, ok, took_s, detail, dict(cable.figures)))
                told(checks[-1])
    return checks


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks of a LAN that the command line names, or all; the exit code."""
    return run("lan", __doc__, CHECKS, arguments)


def run(name: str, about: str | None, checks_of: Checks, arguments: Sequence[str] | None) -> int:
    """Run those of these checks that the command line names, or all; the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m deploy.netlab {name}", description=about)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(checks_of))
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    options = parser.parse_args(arguments)
    if unknown := [each for each in options.checks if each not in checks_of]:
        parser.error(f"there is no check {', '.join(unknown)}; there are {', '.join(checks_of)}")
    end_on_signals()

    def told(check: Check) -> None:
        state = "ok" if check.ok else "FAIL"
        line = f"{state:<4} {check.check} ({check.took_s:.1f} s): {check.detail}"
        click.echo(line, err=options.json)

    try:
        checks = examine(checks_of, options.checks or list(checks_of), told)
    except SkippedError as skipped:
        click.echo(f"skipped: {skipped}", err=True)
        if options.json:
            click.echo(msgspec.json.encode({"skipped": str(skipped)}).decode())
        return Exit.DONE
    failed = sum(not check.ok for check in checks)
    if options.json:
        document = {"checks": checks, "violations": failed}
        click.echo(msgspec.json.encode(document).decode())
    return Exit.UNEXPECTED if failed else Exit.DONE
