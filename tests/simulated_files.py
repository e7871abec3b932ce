"""A simulated file system for tests, and a machine that takes random steps on any."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls
from deploy.sim.filecalls import ProcessCalls
from deploy.sim.filenodes import SECTOR
from deploy.sim.filesystem import FileSystem

OLD, NEW = b"o" * (8 * SECTOR), b"n" * (8 * SECTOR)


def made(seed: int = 0, capacity_bytes: int | None = None) -> tuple[FileSystem, ProcessCalls, int]:
    """A file system with an empty folder /d, a process on it, and its descriptor of that."""
    files = FileSystem(Random(seed), lambda: 5.0, capacity_bytes)
    files.make_folder("/d")
    process = files.process()
    return files, process, process.open_folder(Path("/d"))


def durable_file(process: ProcessCalls, folder: int, content: bytes = OLD) -> int:
    """A file `a` that no power cut can take."""
    fd = process.create("a", folder)
    process.write(fd, content, 0)
    process.sync(fd)
    process.sync_folder(folder)
    return fd


def refused(number: int, call: Callable[..., object], *args: object) -> None:
    """The call fails with this errno."""
    with pytest.raises(OSError) as failed:
        call(*args)
    assert failed.value.errno == number


NAMES = st.sampled_from(["a", "b", "c"])
STEP = st.one_of(
    st.tuples(st.just("create"), NAMES),
    st.tuples(st.just("reopen"), NAMES),
    st.tuples(st.just("open_to_read"), NAMES),
    st.tuples(st.just("unlink"), NAMES),
    st.tuples(st.just("link"), NAMES, NAMES),
    st.tuples(st.just("exclusive_rename"), NAMES, NAMES),
    st.tuples(
        st.just("write"), st.integers(0, 5), st.binary(min_size=1, max_size=40), st.integers(0, 60)
    ),
    st.tuples(st.just("extend"), st.integers(0, 5), st.integers(0, 90)),
    st.tuples(st.just("allocate"), st.integers(0, 5), st.integers(0, 50), st.integers(1, 50)),
    st.tuples(st.just("contents"), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 5)),
    st.tuples(st.just("lock"), st.integers(0, 5)),
)


class Machine:
    """Does steps on some disk and keeps what came of them; descriptors by the order of opening."""

    def __init__(self, disk: DiskCalls, folder: int) -> None:
        self.disk, self.folder = disk, folder
        self.fds: list[int] = []

    def do(self, step: tuple[str, ...]) -> object:
        """What a program learns: an errno, or what was read."""
        name, *args = step
        call = getattr(self.disk, name)
        try:
            if name in ("create", "reopen", "open_to_read"):
                self.fds.append(call(*args, self.folder))
                return None
            if name in ("unlink", "link", "exclusive_rename"):
                return call(*args, self.folder)
            number, *rest = args
            if int(number) >= len(self.fds):
                return None
            fd = self.fds[int(number)]
            if name == "close":
                self.fds.remove(fd)
            return call(fd, *rest)
        except OSError as error:
            return error.errno

    def seen(self) -> list[tuple[object, ...]]:
        """Size, names and regularity of all that is open or has a name."""
        found: list[os.stat_result | None] = [self.disk.fstat(fd) for fd in self.fds]
        for name in ("a", "b", "c"):
            try:
                found.append(self.disk.stat_in(name, self.folder))
            except FileNotFoundError:
                found.append(None)
        return [(s.st_size, s.st_nlink, s.st_mode & 0o170000) if s else () for s in found]
