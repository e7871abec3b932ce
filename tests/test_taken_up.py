"""What a process that is killed had written and not entered yet is there for the next one."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.jobs import SYNC_S
from common.shell.disk.journal import Journal, replay
from common.shell.disk.parts import PartFile
from common.storage import KeepLayer, OpenPart, PartOpened, WritePieces
from tests.downloads import DATA, PIECE, TREE, crash_image, open_part, pieces_of
from tests.simulated_disk import CONTENT, TARGET, Fetcher, World
from tests.simulated_disk import TREE as CONTENT_TREE

OPEN = OpenPart(1, CONTENT_TREE.root, len(CONTENT), TARGET, "rename")


class Refusing(DiskCalls):
    """Its journal takes no hints."""

    refuses = False

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        if self.refuses and len(data) < PIECE:
            raise OSError(28, os.strerror(28))
        super().write(fd, data, offset)


def test_a_kill_costs_no_piece_that_the_system_has(tmp_path: Path) -> None:
    """Written, never synced: claimed by the next life, which proved it."""
    part = open_part(tmp_path / "a")
    part.write(PIECE, DATA[PIECE : 3 * PIECE])
    part.write(5 * PIECE, DATA[5 * PIECE :])
    image = crash_image(tmp_path / "a", tmp_path / "killed")
    part.close()
    again = open_part(image)
    assert pieces_of(again.done) == [1, 2, 5]
    again.close()


def test_what_is_not_there_is_not_claimed(tmp_path: Path) -> None:
    """A hint is no claim: what the power took is fetched again."""
    part = open_part(tmp_path / "a")
    part.write(0, DATA[: 3 * PIECE])
    image = crash_image(tmp_path / "a", tmp_path / "cut")
    part.close()
    with image.with_name("a.part").open("r+b") as file:
        file.seek(PIECE)
        file.write(bytes(PIECE))
    again = open_part(image)
    assert pieces_of(again.done) == [0, 2]
    again.close()


def test_a_hint_that_is_refused_costs_nothing_else(tmp_path: Path) -> None:
    """The pieces are written and entered all the same."""
    disk = Refusing()
    part = open_part(tmp_path / "a", disk=disk)
    disk.refuses = True
    part.write(0, DATA[:PIECE])
    disk.refuses = False
    assert part.sync() == [0]
    part.close()


def test_hints_do_not_make_the_journal_grow(tmp_path: Path) -> None:
    """Where its blocks are used up they are left out, and records still come after."""
    fd = os.open(tmp_path / "j", os.O_RDWR | os.O_CREAT)
    journal = Journal.begin(fd, TREE.root, TREE.size, DiskCalls())
    size = os.fstat(fd).st_size
    for _ in range(1000):
        journal.hint([1, 2, 3])
    assert os.fstat(fd).st_size == size
    journal.enter_pieces([2], 1.0)
    os.close(fd)
    found = replay((tmp_path / "j").read_bytes())
    if found is None:
        pytest.fail("not read as a journal")
    assert (list(found.pieces), list(found.handed)) == ([2], [1, 3])


def test_records_after_a_failed_sync_need_no_hint_before_it(tmp_path: Path) -> None:
    """What may not have reached the disk is not what later claims hang on."""

    class Failing(DiskCalls):
        fails = False

        def sync(self, fd: int) -> None:
            if self.fails:
                raise OSError(5, os.strerror(5))
            super().sync(fd)

    disk = Failing()
    fd = os.open(tmp_path / "j", os.O_RDWR | os.O_CREAT)
    journal = Journal.begin(fd, TREE.root, TREE.size, disk)
    journal.hint([4])
    disk.fails = True
    with pytest.raises(OSError, match="Input/output"):
        journal.enter_pieces([4], 1.0)
    disk.fails = False
    journal.enter_pieces([5], 2.0)
    os.close(fd)
    found = replay((tmp_path / "j").read_bytes())
    if found is None:
        pytest.fail("not read as a journal")
    assert (list(found.pieces), list(found.handed)) == ([5], [])


def test_a_daemon_that_is_killed_at_once_fetches_nothing_again() -> None:
    """Long before the next sync is due."""
    world = World()
    world.do(OPEN)
    world.do(KeepLayer(1, CONTENT_TREE.layer), WritePieces(1, 0, memoryview(CONTENT)), seconds=0.1)
    world.disk.die()
    world.start()
    opened = PartOpened(1, bytes((1,) * 6), CONTENT_TREE.layer, f"{TARGET}.part")
    assert opened in world.do(OPEN)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    ends=st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=5),
    fails=st.booleans(),
)
def test_kills_and_power_cuts_in_any_order(
    seed: int, ends: list[tuple[float, bool]], fails: bool
) -> None:
    """A sync fails, a process is killed, the power goes: what is believed after is true, and what
    was synced is there."""
    world = World(seed)
    fetcher = Fetcher(world, sound=not fails)
    if fails:
        world.files.fail("sync", nth=Random(seed).randint(1, 12))
    for seconds, power in ends:
        if fetcher.finished:
            break
        fetcher.live(seconds)
        world.disk.die()
        world.power_went_at = world.schedule.now
        if power:
            world.files.power_loss()
        fetcher.begin()
    world.files.fail("sync")
    assert world.files.read(fetcher.run()) == CONTENT


def test_a_piece_whose_sync_failed_is_written_again(tmp_path: Path) -> None:
    """It reads well after a kill, but the system does not owe it to the disk any more."""
    written: list[int] = []

    class Watching(DiskCalls):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
            if len(data) == PIECE:
                written.append(offset)
            super().write(fd, data, offset)

    part = open_part(tmp_path / "a")
    part.write(2 * PIECE, DATA[2 * PIECE : 3 * PIECE])
    image = crash_image(tmp_path / "a", tmp_path / "killed")
    part.close()
    again = PartFile.open(image, TREE.root, TREE.size, reserve_bytes=0, disk=Watching())
    assert written == [2 * PIECE]
    assert pieces_of(again.done) == [2]
    again.close()


@pytest.mark.parametrize("seed", range(40))
def test_what_is_written_while_a_sync_runs_gets_its_own(seed: int) -> None:
    """No write after it has to come for a piece that the sync came too early for."""
    world = World(seed)
    world.do(OPEN, KeepLayer(1, CONTENT_TREE.layer), seconds=1)
    world.order(WritePieces(1, 0, memoryview(CONTENT)[:PIECE]))
    world.schedule.later(
        SYNC_S - 0.001 * (seed % 5),
        lambda: world.order(WritePieces(1, PIECE, memoryview(CONTENT)[PIECE : 2 * PIECE])),
    )
    world.do(seconds=2 * SYNC_S + 0.3)
    world.disk.die()
    world.files.power_loss()
    world.start()
    done = bytes((1, 1, 0, 0, 0, 0))
    assert PartOpened(1, done, CONTENT_TREE.layer, f"{TARGET}.part") in world.do(OPEN)
