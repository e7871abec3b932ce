"""Every super-peer dies at once: how soon the network is whole again, with real processes.

    python -m tests.bench.succession [--supers 6] [--leaves 40] [--rounds 1]

Each leaf shares one file; all can be found and all know the line when SIGKILL ends all super-peers.
`named_s`: the first leaf has a parent again; `placed_s`: the last one has; `whole_s`: from every
leaf a search found the files of all. Medians and the worst of the rounds; one JSON line.
"""

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from common.errors import UserError
from common.limits import LINE_MAX
from deploy.processes import Node, Processes
from leaf.client import LeafClient
from leaf.methods import Search, Status

GIVE_UP_S: Final = 60.0
LOOK_S: Final = 0.1
WORD: Final = "succession"


def played(supers: int, leaves: int) -> dict[str, float]:
    """One round: bring it up, end the super-peers, watch."""
    with (
        tempfile.TemporaryDirectory(prefix="succession-") as name,
        Processes(Path(name)) as processes,
        ThreadPoolExecutor(leaves) as pool,
    ):
        nodes = _super_peers(processes, supers)
        places = [node.ready.place for node in nodes]
        orphans = [_leaf(processes, Path(name), number, places) for number in range(leaves)]
        processes.await_ready(orphans, GIVE_UP_S)
        _until(lambda: all(pool.map(lambda leaf: _found(leaf) == leaves, orphans)))
        told = min(leaves, LINE_MAX)
        _until(lambda: all(pool.map(lambda leaf: _status(leaf).line == told, orphans)))
        began = time.monotonic()
        for node in nodes:
            os.kill(node.process.pid, signal.SIGKILL)
        gone = [node.ready.node for node in nodes]
        placed = list(pool.map(lambda leaf: _placed_s(leaf, gone, began), orphans))
        whole = list(pool.map(lambda leaf: _whole_s(leaf, leaves, began), orphans))
        roles = [_status(leaf).roles for leaf in orphans]
        return {
            "named_s": min(placed),
            "placed_s": max(placed),
            "whole_s": max(whole),
            "super_peers": sum("superpeer" in each for each in roles),
        }


def _super_peers(processes: Processes, count: int) -> list[Node]:
    """Each joins those before it."""
    nodes: list[Node] = []
    for number in range(count):
        joins = [part for node in nodes for part in ("--join", node.ready.place)]
        listen = ("--listen", "127.0.0.1:0", "--no-lan")
        nodes.append(processes.start(f"super-{number}", "superpeer", [*listen, *joins]))
        processes.await_ready(nodes[-1:], GIVE_UP_S)
    return nodes


def _leaf(processes: Processes, folder: Path, number: int, places: list[str]) -> Node:
    """A leaf that knows two of the super-peers and shares a file of its own."""
    share = folder / f"share-{number}"
    share.mkdir()
    (share / f"{WORD} number{number}.bin").write_bytes(number.to_bytes(8, "big") * 512)
    told = [places[(number + step) % len(places)] for step in range(2)]
    supers = [part for place in told for part in ("--super", place)]
    arguments = ["--listen", "127.0.0.1:0", "--no-lan", "--share", str(share), *supers]
    return processes.start(f"leaf-{number}", "leaf", arguments)


def _status(leaf: Node) -> Status:
    with LeafClient(leaf.home, GIVE_UP_S) as client:
        return client.status()


def _placed_s(leaf: Node, gone: list[str], began: float) -> float:
    """When it has a parent that lives."""

    def placed() -> bool:
        parent = _status(leaf).parent
        return parent is not None and parent.node not in gone

    return _until(placed) - began


def _whole_s(leaf: Node, leaves: int, began: float) -> float:
    """When one search of it finds what all share."""
    return _until(lambda: _found(leaf) == leaves) - began


def _found(leaf: Node) -> int:
    """How many files a search finds now."""
    try:
        with LeafClient(leaf.home, 5.0) as client:
            return len(client.search(Search([WORD], limit=500)).hits)
    except UserError:
        return 0


def _until(good: Callable[[], bool]) -> float:
    """The moment at which it was so. Raises TimeoutError."""
    deadline = time.monotonic() + GIVE_UP_S
    while not good():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {GIVE_UP_S:g} s")
        time.sleep(LOOK_S)
    return time.monotonic()


def main() -> None:
    """Print how soon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--supers", type=int, default=6)
    parser.add_argument("--leaves", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    rounds = [played(asked.supers, asked.leaves) for _ in range(asked.rounds)]
    figures = {key: [each[key] for each in rounds] for key in rounds[0]}
    told = {key: round(statistics.median(values), 2) for key, values in figures.items()}
    worst = {f"{key}_worst": round(max(values), 2) for key, values in figures.items()}
    print(json.dumps({"supers": asked.supers, "leaves": asked.leaves, **told, **worst}))


if __name__ == "__main__":
    main()
