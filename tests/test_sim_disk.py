"""The program's disk code on a simulated disk: what may happen to it, and what must not."""

import errno
import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.core import Event
from common.shell.disk.journal import replay
from common.storage import (
    BytesRead,
    ClosePart,
    FollowShare,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartOpened,
    PiecesWritten,
    WritePieces,
)
from tests.simulated_disk import CONTENT, TARGET, TREE, Fetcher, World, tree_of

FOLDER = "/home/new"
OPEN = OpenPart(1, TREE.root, len(CONTENT), TARGET, "rename")
OTHER = tree_of(Random(6).randbytes(40_000))
ALL = WritePieces(1, 0, memoryview(CONTENT))


def survives(world: World, path: str) -> None:
    """A finished file is whole, and stays so when the power goes right after."""
    assert world.files.read(path) == CONTENT
    world.disk.die()
    world.files.power_loss()
    assert world.files.read(path) == CONTENT


# --- downloads ------------------------------------------------------------------------------


def test_a_whole_download() -> None:
    """It comes to its end, is durable, and leaves nothing else behind."""
    world = World()
    fetcher = Fetcher(world)
    assert fetcher.run() == TARGET
    assert fetcher.failures == []
    survives(world, TARGET)
    assert world.files.names(FOLDER)[:2] in (["file.bin"], ["file.bin", "file.bin.part.journal"])


@pytest.mark.parametrize("seed", range(8))
def test_the_power_may_go_in_any_operation(seed: int) -> None:
    """Each operation of a download in turn is its last: no wrong byte is believed after, and it
    always finishes."""
    for cut_at in count(1):
        world = World(seed)
        world.files.cut_after(cut_at)
        survives(world, Fetcher(world, sound=True).run())
        if not world.power_cuts:
            break
    assert cut_at > 50


@settings(max_examples=150, deadline=None)
@given(cuts=st.lists(st.integers(1, 60), max_size=4), seed=st.integers(0, 2**32))
def test_the_power_may_go_again_and_again(cuts: list[int], seed: int) -> None:
    """However the lives of a host end, what is believed is true and the download ends."""
    world = World(seed)
    fetcher = Fetcher(world, sound=True)
    for cut in cuts:
        if not fetcher.finished:
            world.files.cut_after(cut)
            fetcher.live()
            fetcher.begin()
    world.files.cut_after(0)
    survives(world, fetcher.run())


@pytest.mark.parametrize("seed", range(30))
def test_a_journal_of_before_claims_nothing_of_a_new_part(seed: int) -> None:
    """A download ended, its file was moved away, another begins there, and the power goes."""
    for cut_at in count(1):
        world = World(seed)
        assert Fetcher(world).run() == TARGET
        world.files.delete(TARGET)
        world.hear = world.events.append
        world.files.cut_after(cut_at)
        world.do(OpenPart(2, OTHER.root, OTHER.size, TARGET, "rename"))
        if not world.power_cuts:
            break
        if world.files.exists(TARGET + ".part") and world.files.exists(TARGET + ".part.journal"):
            found = replay(world.files.read(TARGET + ".part.journal"))
            assert found is None or not found.pieces


@pytest.mark.parametrize("seed", range(4))
def test_what_a_person_edits_after_a_power_cut_stays(seed: int) -> None:
    """A file that got its final name is theirs, though the journal may still know it."""
    edited = 0
    for cut_at in count(1):
        world = World(seed)
        fetcher = Fetcher(world)
        world.files.cut_after(cut_at)
        fetcher.live()
        if not world.power_cuts:
            break
        if not world.files.exists(TARGET):
            continue
        edited += 1
        world.files.edit(TARGET, 20_000, b"mine")
        mine = world.files.read(TARGET)
        world.start()
        assert fetcher.run() == FOLDER + "/file (1).bin"
        assert world.files.read(FOLDER + "/file (1).bin") == CONTENT
        assert world.files.read(TARGET) == mine
    assert edited


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_any_operation_may_fail_once(number: int) -> None:
    """One failure is told of at most once, costs no byte, and the download goes on."""
    told = 0
    for fail_at in count(1):
        world = World(fail_at)
        world.files.fail("any", nth=fail_at, number=number)
        fetcher = Fetcher(world)
        path = fetcher.run(lives_max=1)
        assert world.files.read(path) == CONTENT
        if number != errno.EACCES:  # a folder that may not be opened cannot be synced
            survives(world, path)
        assert len(fetcher.failures) <= 2  # a failed sync and the close after it
        told += len(fetcher.failures)
        faults = world.files.faults
        if faults is None or faults.operations < fail_at:
            break
    assert told > 25


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(["write", "sync", "read", "any"]))
def test_a_dying_disk_tells_no_lies(seed: int, kind: str) -> None:
    """Operations fail again and again and the power goes: what is believed is true, and once the
    disk is sound the download ends."""
    world = World(seed)
    fetcher = Fetcher(world, failures_max=1000)
    world.files.fail(kind, chance=0.1)
    world.files.cut_after(world.rng.randrange(1, 200))
    fetcher.live()
    world.disk.die()
    world.files.power_loss()
    world.files.fail(kind)
    world.start()
    survives(world, fetcher.run())


def test_a_full_disk_is_waited_for() -> None:
    """Nothing is begun where the reserve would not stay free; with room the download ends."""
    world = World()
    world.files.full = True
    fetcher = Fetcher(world)
    fetcher.live(seconds=12)
    assert {event.kind for event in fetcher.failures} == {"full"}
    assert world.files.used_bytes == 0
    world.files.full = False
    assert fetcher.run() == TARGET


def test_a_disk_that_fills_up_while_fetching() -> None:
    """What was written stays, and what did not fit is fetched when there is room."""
    world = World()
    fetcher = Fetcher(world)
    world.schedule.later(1.0, lambda: setattr(world.files, "full", True))
    world.schedule.later(30.0, lambda: setattr(world.files, "full", False))
    survives(world, fetcher.run())
    assert {event.kind for event in fetcher.failures} == {"full"}
    assert fetcher.sent < 3 * 6


def test_a_kill_loses_nothing_that_was_written() -> None:
    """Unlike power, a process that is killed costs no byte that was handed to the system."""
    world = World()
    world.do(OPEN)
    world.do(KeepLayer(1, TREE.layer), ALL)
    world.disk.die()
    world.start()
    assert PartOpened(1, bytes((1,) * 6), TREE.layer, f"{TARGET}.part") in world.do(OPEN)


def test_a_dead_process_says_nothing() -> None:
    """Neither what was under way nor what is ordered after is answered."""
    world = World()
    world.order(OPEN)
    world.disk.die()
    assert world.do(OPEN) == []
    assert not world.files.exists(FOLDER)


def test_a_close_is_clean() -> None:
    """Jobs under way end, and the next life has nothing to prove again."""
    world = World()
    world.do(OPEN, KeepLayer(1, TREE.layer), seconds=1)
    world.do(ALL, seconds=0.05)
    world.disk.close()
    world.files.power_loss()
    world.start()
    assert PartOpened(1, bytes((1,) * 6), TREE.layer, f"{TARGET}.part") in world.do(OPEN)


def test_two_processes_do_not_write_one_download() -> None:
    """The lock is held by a process, and goes with it."""
    world = World()
    world.do(OPEN)
    first = world.disk
    world.start()
    (event,) = world.do(OPEN)
    assert isinstance(event, PartFailed)
    assert event.kind == "busy"
    first.die()
    assert [type(event) for event in world.do(OPEN)] == [PartOpened]


def test_a_bit_that_flips_is_found() -> None:
    """The medium decays under a paused download: the piece is fetched again."""
    world = World()
    world.do(OPEN)
    world.do(KeepLayer(1, TREE.layer), ALL, ClosePart(1))
    world.files.flip_bit(TARGET + ".part", 40_000)
    world.disk.die()
    world.start()
    fetcher = Fetcher(world, trusting=True)  # a clean end is believed until the whole is checked
    survives(world, fetcher.run())
    (event,) = fetcher.failures
    assert event.lost == (2,)


def test_a_drive_that_lies_about_syncs_is_not_believed() -> None:
    """What was entered in the last minute before an unclean end is proven again."""
    for seed in range(100):
        world = World(seed)
        world.files.lies = True
        fetcher = Fetcher(world)
        world.files.cut_after(world.rng.randrange(20, 60))
        fetcher.live()
        world.files.lies = False
        if world.power_cuts:
            fetcher.begin()
            survives(world, fetcher.run())


# --- replay ---------------------------------------------------------------------------------

_REPLAY = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.test_sim_disk import story
print(story())
"""


def story() -> str:
    """Everything that is heard in a run with faults, as text."""
    world = World(7)
    fetcher = Fetcher(world)
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        fetcher.take(event)

    world.hear = hear
    for number in range(20):
        world.files.put(f"/share/{number % 3}/{number}", Random(number).randbytes(100 * number))
    world.order(FollowShare("/share"))
    world.files.fail("any", chance=0.02)
    world.files.cut_after(70)
    fetcher.live()
    world.start()
    world.files.fail("any")
    world.order(FollowShare("/share"))
    fetcher.run()
    return "\n".join(
        f"{type(event).__name__} {event!r}" for event in heard if not isinstance(event, BytesRead)
    )


@pytest.mark.processes
def test_a_run_is_the_same_whatever_hashes_are() -> None:
    """One seed, one run: nothing depends on the order of a set."""
    told = {
        subprocess.run(
            [sys.executable, "-c", _REPLAY, str(Path(__file__).resolve().parent.parent)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1
    assert PiecesWritten.__name__ in told.pop()
