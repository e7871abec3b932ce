"""Leaves that nobody can dial: `python -m deploy.netlab walls [--json]`.

Real daemons in network namespaces. Two leaves of two super-peers stand behind firewalls that let no
connection in, one is open. Files come through: pushed where the other end can be dialled, by a
relay where neither can. Who cannot be dialled is told so, and is never made a super-peer, however
much one is wanted.
"""

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.netlab.lan import LEAF, READY_S, SUPERPEER, Cable, Checks, run, status
from deploy.netlab.uplinks import explained
from deploy.network import wait_until
from deploy.processes import Node
from leaf.client import LeafClient

BYTES: Final = 3_000_000
GET_S: Final = 60.0
VERDICT_S: Final = 60.0  # a vain dial takes ten seconds, and two have to be vain
PROMOTED_S: Final = 120.0
WATCH_S: Final = 20.0  # after the open one: four looks, at which another would be chosen
SETTINGS: Final = {
    "SUPERPEER_PROMOTION__LEAVES_TARGET": "1",
    "SUPERPEER_PROMOTION__AGE_MIN_S": "1",
    "SUPERPEER_PROMOTION__PASSED_OVER_S": "1",
    "SUPERPEER_PROMOTION__UP_RATE_MIN": "1000",  # how fast one is shows `uplinks`
    "SUPERPEER_VITALS__TEST_PAUSE_S": "9",
}


def transfers(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Out of a firewall by a push, and from behind one to behind another by a relay."""
    supers, walled, open_ = _put_up(cable, settings={})
    data = _shared(walled[0], cable.folder, "hidden")
    for way, taker in (("relay", walled[1]), ("push", open_)):  # then the open one has it too
        took_s = _fetched(taker, "hidden", data)
        cable.figures[f"{way}_s"] = round(took_s, 2)
        ok, rate = took_s < GET_S, BYTES / took_s / 1e6
        yield ok, f"{BYTES} bytes by {way} in {took_s:.1f} s, {rate:.2f} MB/s"
    data = _shared(open_, cable.folder, "dialled")
    took_s = _fetched(walled[0], "dialled", data)
    cable.figures["dialled_s"] = round(took_s, 2)
    yield took_s < GET_S, f"and as ever where the holder is open: {took_s:.1f} s"
    yield all(node.process.poll() is None for node in supers), "the super-peers live"


def verdicts(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Who can be dialled is known by trying it, and of these alone somebody is promoted."""
    supers, walled, open_ = _put_up(cable, settings=SETTINGS)
    began = time.monotonic()
    leaves = [*walled, open_]
    wanted: list[bool | None] = [False, False, True]
    seen = wait_until(
        lambda: [status(leaf).reachable for leaf in leaves], lambda now: now == wanted, VERDICT_S
    )
    cable.figures["verdict_s"] = round(time.monotonic() - began, 1)
    yield seen == wanted, f"reachable, as `leaf status` says: {seen}"
    failing = [
        check.outcome == "fails"
        for node in supers
        for row in explained(node.home).verdicts
        if row.node in [leaf.ready.node for leaf in walled]
        for check in row.checks
        if check.name == "reachable"
    ]
    yield failing == [True, True], f"as `superpeer explain` says, it counts against {sum(failing)}"
    is_super = wait_until(lambda: _is_super(open_), bool, PROMOTED_S)
    cable.figures["promoted_s"] = round(time.monotonic() - began, 1)
    why = "" if is_super else f": {'; '.join(_made_of(open_, node) for node in supers)}"
    yield is_super, f"the open one is promoted{why}"
    until = time.monotonic() + WATCH_S
    never = wait_until(lambda: any(map(_is_super, walled)), bool, until - time.monotonic())
    yield not never, f"neither of the others is, {WATCH_S:.0f} s later"


def _put_up(cable: Cable, settings: dict[str, str]) -> tuple[list[Node], list[Node], Node]:
    """Two super-peers, two leaves behind walls, one that is open."""
    cable.lay(5)
    own = [("--listen", f"{cable.place(host)}:0", "--no-lan") for host in (0, 1)]
    first = cable.start(0, SUPERPEER, *own[0], settings=settings)
    cable.ready(first)
    second = cable.start(1, SUPERPEER, *own[1], "--join", first.ready.place, settings=settings)
    cable.ready(second)
    for host in (2, 3):
        cable.wall(host)
    told = [("--no-lan", "--super", node.ready.place) for node in (first, second)]
    leaves = [cable.start(2 + each, LEAF, *told[min(each, 1)]) for each in range(3)]
    cable.ready(*leaves)
    return [first, second], leaves[:2], leaves[2]


def _shared(leaf: Node, folder: Path, name: str) -> bytes:
    """What this leaf shares from now on, under this name."""
    share, data = folder / name, random.Random(name).randbytes(BYTES)
    share.mkdir()
    (share / f"{name}.bin").write_bytes(data)
    with LeafClient(leaf.home, GET_S) as client:
        client.share([share], wait=True)
    return data


def _fetched(leaf: Node, name: str, data: bytes) -> float:
    """How long it takes to fetch it; GET_S and more where it is not the same."""

    def found() -> int:
        with LeafClient(leaf.home, READY_S) as client:
            return len(client.search([name]).hits)

    wait_until(found, bool, READY_S)
    began = time.monotonic()
    with LeafClient(leaf.home, GET_S) as client:
        got = client.get("1")
    took_s = time.monotonic() - began
    same = hashlib.sha256(Path(got.path).read_bytes()).digest() == hashlib.sha256(data).digest()
    return took_s if same else GET_S


def _made_of(leaf: Node, superpeer: Node) -> str:
    """What this super-peer makes of the need for another, and of this leaf."""
    found = explained(superpeer.home)
    rows = [row for row in found.verdicts if row.node == leaf.ready.node]
    return msgspec.json.encode(msgspec.structs.replace(found, verdicts=rows)).decode()


def _is_super(leaf: Node) -> bool:
    return SUPERPEER in status(leaf).roles


CHECKS: Final[Checks] = {"transfers": transfers, "verdicts": verdicts}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    return run("walls", __doc__, CHECKS, arguments)
