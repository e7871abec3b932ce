"""One small download for the tests of what touches the disk: content, tree and the usual steps."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from common.content.merkle import FileHasher, FileTree, piece_size_bytes
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.parts import PartFile

PIECE = 16384
SIZE = 5 * PIECE + 100  # six pieces, the last one short


def content(size: int = SIZE) -> bytes:
    return random.Random(size).randbytes(size)


def tree_of(data: bytes) -> FileTree:
    hasher = FileHasher(len(data))
    hasher.update(data)
    return hasher.finish()


DATA = content()
TREE = tree_of(DATA)


def open_part(
    target: Path,
    tree: FileTree = TREE,
    disk: DiskCalls | None = None,
    wall: Callable[[], float] = lambda: 0.0,
) -> PartFile:
    """The part with its layer taken in."""
    part = PartFile.open(target, tree.root, tree.size, reserve_bytes=0, disk=disk, wall=wall)
    if not part.verify(tree.layer):
        pytest.fail("the true layer was refused")
    return part


def fetch(part: PartFile, data: bytes = DATA, pieces: list[int] | None = None) -> None:
    """Write these pieces (default: all that are missing), each in its own group."""
    step = piece_size_bytes(len(data))
    done = part.done
    for index in pieces if pieces is not None else range(part.pieces):
        if not done[index]:
            part.write(index * step, memoryview(data)[index * step : (index + 1) * step])
            part.sync()


def crash_image(target: Path, to: Path) -> Path:
    """What a process that dies now leaves: the two files, moved together to another folder."""
    to.mkdir()
    for tail in (".part", ".part.journal"):
        shutil.copy2(target.with_name(target.name + tail), to)
    return to / target.name


def pieces_of(done: bytes) -> list[int]:
    return [index for index, is_done in enumerate(done) if is_done]


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())
