"""Downloads on a full or dying disk, and over crashes: no loss, no false claim, one clear error."""

import errno
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from common.shell.disk.diskcalls import DiskCalls, DiskError
from common.shell.disk.partfaults import NotProvenError, SyncFailedError
from common.shell.disk.parts import PartFile
from tests.downloads import (
    DATA,
    PIECE,
    SIZE,
    TREE,
    fetch,
    names_in,
    open_part,
    pieces_of,
)


class FailingDisk(DiskCalls):
    """Its n-th call fails once, a write after half of its bytes."""

    def __init__(self, fail_at: int, number: int) -> None:
        self.left = fail_at
        self.number = number

    def __getattribute__(self, name: str) -> object:
        call = super().__getattribute__(name)
        if name not in DiskCalls.__dict__:
            return call
        self.left -= 1
        return self._failing(name) if self.left == 0 else call

    def _failing(self, name: str) -> Callable[..., None]:
        def fail(*args: object) -> None:
            if name == "write":
                fd, data, offset = args
                os.pwrite(fd, memoryview(data)[: len(data) // 2], offset)  # type: ignore[arg-type]
            raise OSError(self.number, os.strerror(self.number))

        return fail


def insist(target: Path, disk: DiskCalls) -> list[DiskError]:
    """Download, and after each error go on as a daemon would: sometimes with a new process."""
    errors: list[DiskError] = []
    for attempt in range(4):
        part = None
        try:
            part = PartFile.open(target, TREE.root, SIZE, reserve_bytes=0, disk=disk)
            part.verify(TREE.layer)
            fetch(part)
            part.finish()
        except DiskError as error:
            errors.append(error)
            if part is not None and attempt % 2:
                part.close()
            elif part is not None:
                part.abandon(delete_data=False)
        else:
            return errors
    return errors


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_any_call_may_fail_once(tmp_path: Path, number: int) -> None:
    """Each call of a whole download fails in turn: one named error at most, the right file in the
    end, and nothing else of the folder touched."""
    failed = 0
    for fail_at in count(1):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        (folder / "a").write_bytes(b"theirs")
        disk = FailingDisk(fail_at, number)
        errors = insist(folder / "a", disk)
        assert len(errors) <= 1
        assert all(error.errno == number and error.hint for error in errors)
        failed += len(errors)
        assert (folder / "a").read_bytes() == b"theirs"
        assert (folder / "a (1)").read_bytes() == DATA
        assert set(names_in(folder)) <= {"a", "a (1)", "a.part.journal"}
        if disk.left > 0:
            break
    assert failed > 20


def test_a_failed_sync_forgets_its_pieces(tmp_path: Path) -> None:
    """After one error the pieces are fetched again; a second sync says nothing of them."""
    disk = FailingDisk(0, errno.EIO)
    part = open_part(tmp_path / "a", disk=disk)
    fetch(part, pieces=[0])
    part.write(PIECE, DATA[PIECE : 3 * PIECE])
    disk.left = 1
    with pytest.raises(SyncFailedError) as failed:
        part.sync()
    assert failed.value.pieces == (1, 2)
    assert part.sync() == []
    assert pieces_of(part.done) == [0]
    with pytest.raises(NotProvenError):
        part.read(PIECE, 1)
    fetch(part)
    assert part.finish().read_bytes() == DATA


def test_a_failed_sync_takes_writes_under_way_with_it(tmp_path: Path) -> None:
    """A piece that was handed over while a sync failed may be what failed."""

    class Racing(DiskCalls):
        part: PartFile | None = None

        def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
            super().write(fd, data, offset)
            part, self.part = self.part, None
            if part is not None:
                with pytest.raises(SyncFailedError):
                    part.sync()

        def sync(self, fd: int) -> None:
            if armed:
                armed.pop()
                raise OSError(errno.EIO, "lost")
            super().sync(fd)

    armed: list[bool] = []
    disk = Racing()
    part = open_part(tmp_path / "a", disk=disk)
    part.write(0, DATA[:PIECE])
    armed.append(True)
    disk.part = part
    with pytest.raises(SyncFailedError) as failed:
        part.write(PIECE, DATA[PIECE : 2 * PIECE])
    assert failed.value.pieces == (1,)
    assert part.sync() == []
    fetch(part)
    assert part.finish().read_bytes() == DATA


def test_a_failed_journal_loses_nothing(tmp_path: Path) -> None:
    """The data is on the disk: the next sync enters it."""
    disk = FailingDisk(0, errno.ENOSPC)
    part = open_part(tmp_path / "a", disk=disk)
    part.write(0, DATA)
    disk.left = 2
    with pytest.raises(DiskError) as failed:
        part.sync()
    assert failed.value.full
    assert part.done == bytes(6)
    assert part.sync() == list(range(6))
    part.close()


def test_a_full_disk_is_known_before_the_first_byte(tmp_path: Path) -> None:
    """What would not fit, with the reserve, is refused with the disk's name; nothing is made."""

    class Small(DiskCalls):
        def free_bytes(self, fd: int) -> int:
            return SIZE + 99

    with pytest.raises(DiskError, match="No space left") as full:
        PartFile.open(tmp_path / "a", TREE.root, SIZE, reserve_bytes=100, disk=Small())
    assert full.value.full
    assert "mounted at" in full.value.hint
    assert names_in(tmp_path) == []
    PartFile.open(tmp_path / "a", TREE.root, SIZE, reserve_bytes=99, disk=Small()).close()


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Open, fail, close, finish: no descriptor stays."""
    before = len(names_in(Path("/dev/fd")))
    for fail_at in range(1, 60):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        insist(folder / "a", FailingDisk(fail_at, errno.EIO))
    assert len(names_in(Path("/dev/fd"))) == before
