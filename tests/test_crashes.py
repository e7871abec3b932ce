"""Downloads that die: at any instant of a process, and at any state a power cut may leave."""

import os
import random
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.journal import replay
from tests.downloads import DATA, PIECE, content, fetch, open_part, pieces_of, tree_of

SECTOR = 512  # what a disk writes whole

# --- power cuts -----------------------------------------------------------------------------


Log = list[tuple[str, int, int, bytes]]  # call, inode, offset or length, data


@dataclass(repr=False)
class Recording:
    """The log of a download, and which inodes are its part and its journal."""

    log: Log
    part: int
    journal: int


class ShadowDisk(DiskCalls):
    """Writes down what was done to which file and what was synced, in order."""

    def __init__(self) -> None:
        self.log: Log = []

    def extend(self, fd: int, length: int) -> None:
        super().extend(fd, length)
        self._note("extend", fd, length)

    def allocate(self, fd: int, start: int, length: int) -> None:
        super().allocate(fd, start, length)
        self._note("extend", fd, start + length)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        super().write(fd, data, offset)
        self._note("write", fd, offset, bytes(data))

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self._note("sync", fd)

    def _note(self, call: str, fd: int, at: int = 0, data: bytes = b"") -> None:
        self.log.append((call, os.fstat(fd).st_ino, at, data))


def after_power_cut(log: Log, rng: random.Random) -> dict[int, bytes]:
    """What each file may hold: all that was synced, and of the rest any sectors."""
    files: dict[int, bytearray] = {}
    synced = {inode: n for n, (call, inode, _, _) in enumerate(log) if call == "sync"}
    for n, (call, inode, at, data) in enumerate(log):
        held = files.setdefault(inode, bytearray())
        safe = n < synced.get(inode, -1)
        if call == "extend" and (safe or rng.random() < 0.5):
            held.extend(bytes(max(0, at - len(held))))
        for start in range(0, len(data), SECTOR):
            if safe or rng.random() < 0.7:
                sector = data[start : start + SECTOR]
                held.extend(bytes(max(0, at + start + len(sector) - len(held))))
                held[at + start : at + start + len(sector)] = sector
    return {inode: bytes(held) for inode, held in files.items()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A download whose syncs lie 100 s apart."""
    target = tmp_path_factory.mktemp("shadow") / "a"
    disk, clock = ShadowDisk(), count(0, 100)
    part = open_part(target, disk=disk, wall=lambda: float(next(clock)))
    inodes = [target.with_name(name).stat().st_ino for name in ("a.part", "a.part.journal")]
    for first in (4, 0, 2):
        part.write(first * PIECE, DATA[first * PIECE : (first + 2) * PIECE])
        part.sync()
    part.close()
    return Recording(disk.log, *inodes)


@settings(max_examples=300, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_no_power_cut_makes_a_false_claim(recorded: Recording, share: float, seed: int) -> None:
    """Whatever of the unsynced sectors arrived, claimed pieces are true and the download ends."""
    cut = recorded.log[: round(share * len(recorded.log))]
    files = after_power_cut(cut, random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "a"
        target.with_name("a.part").write_bytes(files.get(recorded.part, b""))
        target.with_name("a.part.journal").write_bytes(files.get(recorded.journal, b""))
        synced = [n for n, entry in enumerate(cut) if entry[:2] == ("sync", recorded.journal)]
        part = open_part(target)
        done = pieces_of(part.done)
        for index in done:
            there = part.read(index * PIECE, min(PIECE, len(DATA) - index * PIECE))
            assert there == DATA[index * PIECE : (index + 1) * PIECE]
        entered = max(0, len(synced) - 2)  # the first two sync header and layer
        assert set(done) >= set([4, 5, 0, 1, 2, 3][: 2 * entered])
        fetch(part)
        assert part.finish().read_bytes() == DATA


# --- kill -9 --------------------------------------------------------------------------------

_CHILD = """
import random, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from common.content.merkle import FileHasher
from common.shell.disk.parts import PartFile

target, size, seed = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
data = random.Random(size).randbytes(size)
hasher = FileHasher(size)
hasher.update(data)
tree = hasher.finish()
def wall():  # an hour to the second, so that only the last group is doubted
    return 3600 * time.time()

part = PartFile.open(target, tree.root, size, wall=wall)
part.verify(tree.layer)
order = [n for n, done in enumerate(part.done) if not done]
random.Random(seed).shuffle(order)
for turn, index in enumerate(order[:11]):  # so that fifty lives do not come to the end
    part.write(index * 16384, data[index * 16384 : (index + 1) * 16384])
    if turn % 3 == 2:
        part.sync()
    print("w", flush=True)
signal.pause()
"""
KILLS = 50


@pytest.mark.processes
def test_kill_9_loses_nothing_that_was_entered(tmp_path: Path) -> None:
    """Killed 50 times at random instants: each journal claims only true pieces, never fewer than
    before, and the download ends right."""
    size = 600 * PIECE + 1
    data, target = content(size), tmp_path / "a"
    rng, claimed, kills = random.Random(1), 0, 0
    for seed in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-S", "-c", _CHILD, _repository(), str(target), str(size), str(seed)],
            stdout=subprocess.PIPE,
        ) as child:
            if child.stdout is None:
                pytest.fail("no pipe")
            for _ in range(rng.randint(1, 11)):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
        kills += child.returncode == -signal.SIGKILL
        found = replay(target.with_name("a.part.journal").read_bytes())
        if found is None:
            pytest.fail("the journal lost its head")
        there = target.with_name("a.part").read_bytes()
        for index in found.pieces:
            span = slice(index * PIECE, (index + 1) * PIECE)
            assert there[span] == data[span]
        assert len(found.pieces) >= claimed
        claimed = len(found.pieces)
    assert kills == KILLS
    assert claimed > KILLS
    part = open_part(target, tree_of(data))
    fetch(part, data)
    assert part.finish().read_bytes() == data


def _repository() -> str:
    return str(Path(__file__).resolve().parent.parent)
