"""Downloads on the disk: only what is proven is stored, and what was proven is known again."""

import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from common.content.merkle import piece_size_bytes
from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.pairs import PartBusyError
from common.shell.disk.partfaults import NotProvenError, PartClosedError, PiecesLostError
from common.shell.disk.parts import PartFile
from tests.downloads import (
    DATA,
    PIECE,
    SIZE,
    TREE,
    content,
    crash_image,
    fetch,
    names_in,
    open_part,
    pieces_of,
    tree_of,
)

# --- the way of a download ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 2**20 - 1, 2**20 + 1, 2**25 + 1])
def test_a_download_becomes_the_file(tmp_path: Path, size: int) -> None:
    """Pieces in any order, then the name, the bytes and nothing else in the folder."""
    data, target = content(size), tmp_path / "a.bin"
    part = open_part(target, tree_of(data))
    step = piece_size_bytes(size)
    order = list(range(part.pieces))
    random.Random(0).shuffle(order)
    for index in order:
        span = data[index * step : (index + 1) * step]
        assert part.write(index * step, span) == [(index, True)]
    assert part.complete
    assert part.done == bytes(part.pieces)
    assert sorted(part.sync()) == list(range(part.pieces))
    assert part.done == b"\1" * part.pieces
    assert part.finish() == target
    assert target.read_bytes() == data
    assert names_in(tmp_path) == ["a.bin"]


def test_several_pieces_come_in_one_write(tmp_path: Path) -> None:
    """A span of whole pieces is proven piece by piece."""
    part = open_part(tmp_path / "a")
    bad = bytearray(DATA)
    bad[PIECE] ^= 1
    assert part.write(0, bad) == [(n, n != 1) for n in range(6)]
    assert part.write(0, DATA[: 2 * PIECE]) == [(0, True), (1, True)]
    assert part.finish().read_bytes() == DATA


def test_a_wrong_piece_is_not_stored(tmp_path: Path) -> None:
    """Bytes that do not lead to the root never reach the file, nor are they counted or served."""
    part = open_part(tmp_path / "a")
    assert part.write(0, b"\xff" * PIECE) == [(0, False)]
    assert part.sync() == []
    assert (tmp_path / "a.part").read_bytes() == bytes(SIZE)
    with pytest.raises(NotProvenError):
        part.read(0, 1)
    part.close()


@pytest.mark.parametrize(("offset", "length"), [(1, PIECE), (0, PIECE + 1), (0, 99), (SIZE, 1)])
def test_a_write_is_whole_pieces(tmp_path: Path, offset: int, length: int) -> None:
    """A span that begins or ends inside a piece cannot be proven: our own error."""
    part = open_part(tmp_path / "a")
    with pytest.raises(ValueError, match="piece"):
        part.write(offset, bytes(length))
    part.close()


def test_a_layer_must_lead_to_the_root(tmp_path: Path) -> None:
    """No piece can be written by a layer that the root does not prove."""
    part = PartFile.open(tmp_path / "a", TREE.root, SIZE, reserve_bytes=0)
    assert not part.verify(bytes(len(TREE.layer)))
    assert not part.verify(TREE.layer[:-1])
    assert part.layer == b""
    with pytest.raises(NotProvenError):
        part.write(0, DATA)
    assert part.verify(TREE.layer)
    assert part.verify(TREE.layer)
    assert not part.verify(bytes(len(TREE.layer)))
    assert part.layer == TREE.layer
    part.close()


def test_proven_bytes_can_be_read_at_once(tmp_path: Path) -> None:
    """A span of proven pieces is read; beyond it NotProvenError."""
    part = open_part(tmp_path / "a")
    part.write(PIECE, DATA[PIECE : 3 * PIECE])
    assert part.read(PIECE + 5, PIECE) == DATA[PIECE + 5 : 2 * PIECE + 5]
    for offset, length in [(PIECE - 1, 2), (2 * PIECE, PIECE + 1)]:
        with pytest.raises(NotProvenError):
            part.read(offset, length)
    with pytest.raises(ValueError, match="outside"):
        part.read(SIZE, 1)
    part.close()


def test_many_threads_write_one_part(tmp_path: Path) -> None:
    """Writes, syncs and reads side by side give the true file."""
    data = content(400 * PIECE + 7)
    part = open_part(tmp_path / "a", tree_of(data))

    def work(worker: int) -> None:
        for index in range(worker, part.pieces, 4):
            part.write(index * PIECE, data[index * PIECE : (index + 1) * PIECE])
            if index % 7 == worker:
                part.sync()
            part.read(index * PIECE, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert part.finish().read_bytes() == data


def test_a_closed_part_says_so(tmp_path: Path) -> None:
    """After close nothing reaches a descriptor that may be somebody else's by now."""
    part = open_part(tmp_path / "a")
    part.close()
    part.close()
    for call in (lambda: part.write(0, DATA), lambda: part.read(0, 0), part.finish):
        with pytest.raises((PartClosedError, NotProvenError)):
            call()


# --- over restarts --------------------------------------------------------------------------


def test_a_clean_end_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """Pieces and layer are known again without a network."""
    part = open_part(tmp_path / "a")
    fetch(part, pieces=[4, 1])
    part.close()
    again = PartFile.open(tmp_path / "a", TREE.root, SIZE, reserve_bytes=0)
    assert pieces_of(again.done) == [1, 4]
    assert again.layer == TREE.layer
    fetch(again)
    assert again.finish().read_bytes() == DATA


def test_a_clean_end_is_believed(tmp_path: Path) -> None:
    """No piece is read again after one: a large part is taken up at once."""

    class Counting(DiskCalls):
        reads = 0

        def preadv(self, fd: int, buffers: Sequence[memoryview], offset: int) -> int:
            self.reads += 1
            return os.preadv(fd, list(buffers), offset)

    part = open_part(tmp_path / "a")
    fetch(part)
    part.close()
    disk = Counting()
    again = open_part(tmp_path / "a", disk=disk)
    assert pieces_of(again.done) == list(range(6))
    assert disk.reads == 0
    again.close()


def test_what_was_written_is_synced_by_close(tmp_path: Path) -> None:
    """Close leaves nothing behind that a sync could have kept."""
    part = open_part(tmp_path / "a")
    part.write(0, DATA)
    part.close()
    again = open_part(tmp_path / "a")
    assert pieces_of(again.done) == list(range(6))
    again.close()


def test_the_last_minute_is_proven_again_after_a_crash(tmp_path: Path) -> None:
    """Pieces of the last minute that are not on the disk are not claimed, however journalled."""
    clock = count(0, 50)
    part = open_part(tmp_path / "a", wall=lambda: float(next(clock)))
    fetch(part)
    image = crash_image(tmp_path / "a", tmp_path / "crash")
    with image.with_name("a.part").open("r+b") as file:
        file.seek(5 * PIECE)
        file.write(b"lost")
    again = open_part(image)
    assert pieces_of(again.done) == [0, 1, 2, 3, 4]
    again.close()
    third = open_part(image)
    assert pieces_of(third.done) == [0, 1, 2, 3, 4]
    fetch(third)
    assert third.finish().read_bytes() == DATA
    part.close()


def test_finish_proves_what_only_the_journal_vouched_for(tmp_path: Path) -> None:
    """An old piece that rotted on the disk is found before the file gets its name."""
    clock = count(0, 50)
    part = open_part(tmp_path / "a", wall=lambda: float(next(clock)))
    fetch(part)
    image = crash_image(tmp_path / "a", tmp_path / "crash")
    with image.with_name("a.part").open("r+b") as file:
        file.write(b"rot")
    again = open_part(image)
    assert pieces_of(again.done) == list(range(6))
    with pytest.raises(PiecesLostError) as lost:
        again.finish()
    assert lost.value.pieces == (0,)
    assert pieces_of(again.done) == [1, 2, 3, 4, 5]
    fetch(again)
    assert again.finish().read_bytes() == DATA
    part.close()


def test_a_part_edited_after_a_clean_end_is_proven_again(tmp_path: Path) -> None:
    """The clean end vouches for the file as it was, not for what somebody made of it."""
    clock = count(0, 50)
    part = open_part(tmp_path / "a", wall=lambda: float(next(clock)))
    fetch(part)
    part.close()
    with (tmp_path / "a.part").open("r+b") as file:
        file.write(b"edited")
    again = open_part(tmp_path / "a")
    assert pieces_of(again.done) == [1, 2, 3, 4, 5]
    again.close()


def test_a_removed_part_is_begun_again(tmp_path: Path) -> None:
    """The journal alone claims nothing."""
    part = open_part(tmp_path / "a")
    fetch(part)
    part.close()
    (tmp_path / "a.part").unlink()
    again = open_part(tmp_path / "a")
    assert pieces_of(again.done) == []
    fetch(again)
    assert again.finish().read_bytes() == DATA


def test_one_process_writes_a_download(tmp_path: Path) -> None:
    """A second opener is refused by name while the first lives."""
    part = open_part(tmp_path / "a")
    with pytest.raises(PartBusyError, match="another process"):
        open_part(tmp_path / "a")
    part.close()
    open_part(tmp_path / "a").close()


def test_a_journal_cut_anywhere_claims_a_subset(tmp_path: Path) -> None:
    """Every prefix of the journal opens; what it claims is right and the download goes on."""
    clock = count(0, 50)
    part = open_part(tmp_path / "a", wall=lambda: float(next(clock)))
    fetch(part)
    whole = (tmp_path / "a.part.journal").read_bytes().rstrip(b"\0")
    for length in range(0, len(whole) + 1, 5):
        image = crash_image(tmp_path / "a", tmp_path / f"cut{length}")
        image.with_name("a.part.journal").write_bytes(whole[:length])
        again = open_part(image)
        fetch(again, pieces=[0])
        for index in pieces_of(again.done):
            span = again.read(index * PIECE, min(PIECE, SIZE - index * PIECE))
            assert span == DATA[index * PIECE : (index + 1) * PIECE]
        again.close()
    part.close()


def test_no_bytes_are_a_file_only_under_the_root_that_stands_for_them(tmp_path: Path) -> None:
    """Whoever names another root for nothing gets nothing under a final name."""
    part = PartFile.open(tmp_path / "a", b"x" * 32, 0, reserve_bytes=0)
    with pytest.raises(NotProvenError):
        part.finish()
    assert not (tmp_path / "a").exists()
    part.close()
    assert PartFile.open(tmp_path / "b", bytes(32), 0, reserve_bytes=0).finish().exists()
