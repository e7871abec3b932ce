"""The calls of a process on a simulated file system: answers as of a real one, space, faults."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import REAL
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.filenodes import BLOCK
from tests.simulated_files import NEW, STEP, Machine, made, refused


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_a_program_sees_what_it_would_on_a_real_disk(
    steps: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same calls have the same answers, errors, sizes and names."""
    path = tmp_path_factory.mktemp("real")
    real = Machine(REAL, REAL.open_folder(path))
    _, process, folder = made()
    simulated = Machine(process, folder)
    try:
        for step in steps:
            assert simulated.do(step) == real.do(step), step
            assert simulated.seen() == real.seen()
    finally:
        for fd in (*real.fds, real.folder):
            os.close(fd)


def test_what_opens_is_what_the_name_says() -> None:
    """Folders are entered, files opened; what is not there is told by the right errno."""
    files, process, folder = made()
    files.put("/d/in/f", b"x")
    assert process.pread(process.open_to_read("f", process.enter("in", folder)), 9, 0) == b"x"
    refused(errno.ENOTDIR, process.open_folder, Path("/d/in/f"))
    refused(errno.ENOENT, process.open_folder, Path("/e"))
    refused(errno.ENOTDIR, process.lstat, Path("/d/in/f/g"))
    refused(errno.EISDIR, process.reopen, "in", folder)
    refused(errno.EEXIST, process.make_folder, Path("/d/in"))
    refused(errno.ENOENT, process.make_folder, Path("/e/f"))
    refused(errno.ENAMETOOLONG, process.create, "x" * 256, folder)
    with process.scandir(Path("/d")) as entries:
        assert [(each.name, each.is_dir(), each.is_file()) for each in entries] == [
            ("in", True, False)
        ]


def test_a_closed_descriptor_is_nobody_elses() -> None:
    """A number is given out once."""
    _, process, folder = made()
    fd = process.create("a", folder)
    process.close(fd)
    assert process.create("b", folder) != fd
    refused(errno.EBADF, process.write, fd, b"x", 0)
    refused(errno.EBADF, process.close, fd)
    refused(errno.EBADF, process.write, process.open_to_read("a", folder), b"x", 0)


def test_a_lock_goes_with_its_process() -> None:
    """One process has it, until it closes or dies."""
    files, process, folder = made()
    process.lock(process.create("a", folder))
    other = files.process()
    fd = other.reopen("a", other.open_folder(Path("/d")))
    refused(errno.EWOULDBLOCK, other.lock, fd)
    process.die()
    assert process.open_count == 0
    other.lock(fd)
    with pytest.raises(PowerCutError):
        process.open_folder(Path("/d"))


# --- space and faults -----------------------------------------------------------------------


def test_a_disk_has_an_end() -> None:
    """As much is written as fits; blocks that are owned can always be written."""
    files, process, folder = made(capacity_bytes=4 * BLOCK)
    fd = process.create("a", folder)
    process.allocate(fd, 0, 2 * BLOCK)
    other = process.create("b", folder)
    refused(errno.ENOSPC, process.write, other, bytes(3 * BLOCK), 0)
    assert len(process.contents(other)) == 2 * BLOCK
    assert files.used_bytes == 4 * BLOCK
    assert process.free_bytes(folder) == 0
    process.write(fd, NEW, 0)
    refused(errno.ENOSPC, process.allocate, fd, 2 * BLOCK, 1)
    refused(errno.ENOSPC, process.create, "c", folder)
    process.unlink("b", folder)
    assert process.free_bytes(folder) == 0  # it is still open
    process.close(other)
    assert process.free_bytes(folder) == 2 * BLOCK


def test_an_extended_file_owns_nothing() -> None:
    """Its blocks are taken when they are written."""
    files, process, folder = made(capacity_bytes=10 * BLOCK)
    fd = process.create("a", folder)
    process.extend(fd, 100 * BLOCK)
    assert (process.fstat(fd).st_size, process.fstat(fd).st_blocks) == (100 * BLOCK, 0)
    process.write(fd, b"x", 50 * BLOCK)
    assert files.used_bytes == process.fstat(fd).st_blocks * 512 == BLOCK
    files.full = True
    process.write(fd, b"y", 50 * BLOCK)
    refused(errno.ENOSPC, process.write, fd, b"y", 51 * BLOCK)


def test_operations_fail_when_told_to() -> None:
    """The n-th of a kind, or some of all; a failed write has written half."""
    files, process, folder = made()
    fd = process.create("a", folder)
    files.fail("write", nth=2)
    process.write(fd, b"1234", 0)
    refused(errno.EIO, process.write, fd, b"5678", 0)
    process.write(fd, b"9", 4)
    assert process.contents(fd) == b"56349"
    files.fail("read", chance=0.5, number=errno.ETIMEDOUT)
    failures = 0
    for _ in range(100):
        try:
            process.contents(fd)
        except OSError as error:
            assert error.errno == errno.ETIMEDOUT
            failures += 1
    assert 20 < failures < 80
    files.fail("read")
    process.contents(fd)
    with pytest.raises(ValueError, match="no kind"):
        files.fail("reed", nth=1)


def test_a_folder_may_be_read_only() -> None:
    """No name is made or removed in it; what is there can be written."""
    files, process, folder = made()
    fd = process.create("a", folder)
    files.protect("/d")
    refused(errno.EACCES, process.create, "b", folder)
    refused(errno.EACCES, process.unlink, "a", folder)
    refused(errno.EACCES, process.link, "a", "b", folder)
    refused(errno.EACCES, process.make_folder, Path("/d/e"))
    process.write(fd, b"x", 0)
    files.protect("/d", writable=True)
    process.create("b", folder)
