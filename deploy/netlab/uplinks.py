"""What is measured of shaped uplinks, and who is promoted: `python -m deploy.netlab uplinks`.

Real daemons in network namespaces. Five leaves of one super-peer send at most so many Mbit/s each;
ten leaves of two other super-peers, with downlinks from slow to fast, are the witnesses. Each of
the five is tested once; then the super-peer makes one of them a super-peer. Nothing of the test
itself is changed but the pause between two tests, and how long a leaf must have been up.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.hosts import Access
from deploy.netlab.lan import LEAF, READY_S, SUPERPEER, Cable, run, status
from deploy.network import wait_until
from deploy.processes import Node
from superpeer.methods import Explain, Explanation

MBIT: Final = 125_000.0  # bytes/s
UPLINKS: Final = (1, 3, 10, 30, 100)  # Mbit/s of those that are measured
DOWNLINKS: Final = (5, 10, 20, 20, 50, 50, 100, 100, 200, 200)  # of the witnesses
SUPER_PEERS: Final = 3
WITHIN: Final = 0.2  # of the truth
PAUSE_S: Final = 9.0  # between two tests: one takes seven
AGE_S: Final = 75.0  # until then nobody is fit, so all are tested before
TARGET: Final = 4  # leaves of a super-peer: one more super-peer is missing
MEASURED_S: Final = 150.0
PROMOTED_S: Final = 60.0
SETTINGS: Final = {
    "SUPERPEER_VITALS__TEST_PAUSE_S": str(PAUSE_S),
    "SUPERPEER_PROMOTION__AGE_MIN_S": str(AGE_S),
    "SUPERPEER_PROMOTION__LEAVES_TARGET": str(TARGET),
}


def measured(cable: Cable) -> Iterator[tuple[bool, str]]:
    """Each uplink within a fifth of the truth, whatever its witnesses take; then the promotion."""
    ups = [Access(0.0, each * MBIT, 0.0) for each in UPLINKS]
    downs = [Access(0.0, 0.0, each * MBIT) for each in DOWNLINKS]
    nobody = [Access(0.0, 0.0, 0.0)] * SUPER_PEERS
    links = [*nobody, *ups, *downs]
    cable.lay(len(links), links=links)
    supers = _super_peers(cable)
    first = SUPER_PEERS + len(ups)
    places = [node.ready.place for node in supers]
    witnesses = [
        cable.start(first + each, LEAF, *_told(places[1 + each % 2]), "--no-promote")
        for each in range(len(downs))
    ]
    leaves = [cable.start(SUPER_PEERS + each, LEAF, *_told(places[0])) for each in range(len(ups))]
    cable.ready(*witnesses, *leaves)
    seen = wait_until(lambda: _rates(supers[0], leaves), all, MEASURED_S)
    for mbit, rate in zip(UPLINKS, seen, strict=True):
        ratio = (rate or 0.0) / (mbit * MBIT)
        cable.figures[f"ratio_{mbit}"] = round(ratio, 3)
        yield abs(ratio - 1) <= WITHIN, f"{mbit} Mbit/s is measured as {ratio:.2f} of it"
    roles = wait_until(lambda: _promoted(leaves), any, PROMOTED_S)
    chosen = [mbit for mbit, is_one in zip(UPLINKS, roles, strict=True) if is_one]
    cable.figures["promoted_mbit"] = max(chosen, default=0)
    yield chosen == [max(UPLINKS)], f"promoted: {chosen} Mbit/s"


def _super_peers(cable: Cable) -> list[Node]:
    """Three that know one another."""
    nodes: list[Node] = []
    for host in range(SUPER_PEERS):
        joins = [part for node in nodes for part in ("--join", node.ready.place)]
        own = ("--listen", f"{cable.place(host)}:0", "--no-lan")
        nodes.append(cable.start(host, SUPERPEER, *own, *joins, settings=SETTINGS))
        cable.ready(nodes[-1])
    return nodes


def _told(place: str) -> tuple[str, ...]:
    return ("--no-lan", "--super", place)


def explained(home: Path) -> Explanation:
    """What the super-peer in this home makes of its leaves."""
    with Calls(home_at(SUPERPEER, home)) as calls:
        return calls.call("superpeer.explain", Explain(), Explanation, timeout_s=READY_S)


def _rates(node: Node, leaves: Sequence[Node]) -> list[float | None]:
    """What each is seen to send, where enough saw it."""
    rows = {row.node: row for row in explained(node.home).verdicts}
    found: list[float | None] = []
    for leaf in leaves:
        row = rows.get(leaf.ready.node)
        checks = {} if row is None else {check.name: check for check in row.checks}
        enough = bool(checks) and checks["witnesses"].outcome == "passes"
        rate = checks["up_rate"].value if enough else None
        found.append(None if rate is None else float(rate))
    return found


def _promoted(leaves: Sequence[Node]) -> list[bool]:
    return [SUPERPEER in status(leaf).roles for leaf in leaves]


CHECKS: Final = {"measured": measured}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    return run("uplinks", __doc__, CHECKS, arguments)
