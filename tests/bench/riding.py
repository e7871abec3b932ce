"""The community of `tests.bench.freeride` as real programs: each uplink is a cap of its own.

Contributors run with `--up`, riders with no upload slots at all. Everybody wants all files at once;
what each has is asked for until the first contributor has everything.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from common.shell.desk.home import home_at
from leaf.client import LeafClient
from leaf.methods import Get
from tests.bench.pair import Program

LEAF: Final = [sys.executable, "-m", "leaf"]
NO_SLOTS: Final = "LEAF_SWARM__UPLOAD_SLOTS"
LOOK_S: Final = 0.5
GIVE_UP_S: Final = 900.0


def _start(stack: ExitStack, folder: Path, name: str, argv: list[str], *flags: str) -> Program:
    program = Program(folder, name, argv, flags)
    stack.callback(program.end)
    return program


@contextmanager
def _network() -> Iterator[tuple[Path, ExitStack, Sequence[str]]]:
    """A super-peer in a folder that goes, what ends all that was started, and a leaf's flags."""
    with (
        tempfile.TemporaryDirectory(prefix="riding-", dir="/dev/shm") as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        superpeer = _start(stack, folder, "sp", [sys.executable, "-m", "superpeer"], "--no-lan")
        at = f"{superpeer.ready['listen']}/{superpeer.ready['node']}"
        yield folder, stack, ("--super", at, "--no-lan")


def _asked(program: Program) -> LeafClient:
    return LeafClient(home_at("leaf", program.home), None)


def _got(program: Program) -> int:
    with _asked(program) as leaf:
        return sum(row.done_bytes for row in leaf.downloads())


def community(contributors: int, riders: int, mib: float, up: int) -> tuple[float, Sequence[int]]:
    """How long the contention lasted, and what each leaf got; the contributors come first."""
    size = int(mib * 2**20)
    with _network() as (folder, stack, to):
        leaves, ids = [], []
        for number in range(contributors):
            (shared := folder / f"share{number}").mkdir()
            (shared / f"{number}.bin").write_bytes(Random(number).randbytes(size))
            leaf = _start(stack, folder, f"leaf{number}", LEAF, *to, "--up", str(up))
            with _asked(leaf) as client:
                ids += [row.id for row in client.share([shared], wait=True)]
            leaves.append(leaf)
        os.environ[NO_SLOTS] = "0"
        leaves += [_start(stack, folder, f"rider{n}", LEAF, *to) for n in range(riders)]
        del os.environ[NO_SLOTS]
        began = time.monotonic()
        for number, leaf in enumerate(leaves):
            with _asked(leaf) as client:
                for of, wanted in enumerate(ids):
                    if of != number and wanted is not None:
                        client.get(Get(wanted, to=str(folder / f"got{number}"), detach=True))
        full = (contributors - 1) * size
        while time.monotonic() - began < GIVE_UP_S:
            if any(_got(leaf) >= full for leaf in leaves[:contributors]):
                break
            time.sleep(LOOK_S)
        took_s = time.monotonic() - began
        return took_s, [_got(leaf) for leaf in leaves]


def alone(mib: float, up: int, *, rides: bool) -> float:
    """How many seconds one leaf takes for one file of one other, that nobody stands beside."""
    size = int(mib * 2**20)
    with _network() as (folder, stack, to):
        (folder / "one.bin").write_bytes(Random(1).randbytes(size))
        seed = _start(stack, folder, "seed", LEAF, *to, "--up", str(up))
        with _asked(seed) as client:
            (row,) = client.share([folder / "one.bin"], wait=True)
        if rides:
            os.environ[NO_SLOTS] = "0"
        leaf = _start(stack, folder, "leaf", LEAF, *to)
        os.environ.pop(NO_SLOTS, None)
        with _asked(leaf) as client:
            return client.get(Get(row.id or "", to=str(folder / "got.bin"))).elapsed_s
