"""The journal's records: what a prefix, a torn tail or a foreign file adds up to."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.diskcalls import DiskCalls
from common.shell.disk.files import FileStamp
from common.shell.disk.journal import MAGIC, SUSPECT_S, Journal, Replay, replay

ROOT = bytes(range(32))
SIZE = 10 * 16384


def journal_of(path: Path, groups: list[list[int]]) -> bytes:
    """The bytes of a journal with these groups of pieces, 100 s apart."""
    disk = DiskCalls()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    journal = Journal.begin(fd, ROOT, SIZE, disk)
    journal.enter_layer(bytes(320))
    for number, group in enumerate(groups):
        journal.enter_pieces(group, 100.0 * number)
    os.close(fd)
    return path.read_bytes()


def found_in(data: bytes) -> Replay:
    found = replay(data)
    if found is None:
        pytest.fail("not read as a journal")
    return found


def test_what_was_entered_is_found(tmp_path: Path) -> None:
    """Header, layer, pieces, losses and the clean end come back."""
    fd = os.open(tmp_path / "j", os.O_RDWR | os.O_CREAT)
    journal = Journal.begin(fd, ROOT, SIZE, DiskCalls())
    journal.enter_layer(bytes(320))
    journal.enter_pieces([3, 1], 50.0)
    journal.enter_lost([3])
    journal.enter_clean(FileStamp(SIZE, -5, 2**63 + 1))
    os.close(fd)
    found = found_in((tmp_path / "j").read_bytes())
    assert (found.root, found.size, found.piece_size) == (ROOT, SIZE, 16384)
    assert (found.layer, found.pieces) == (bytes(320), {1: 50.0})
    assert found.clean == FileStamp(SIZE, -5, 2**63 + 1)


def test_an_opened_session_is_not_clean(tmp_path: Path) -> None:
    """A clean end counts only while nothing was entered after it."""
    fd = os.open(tmp_path / "j", os.O_RDWR | os.O_CREAT)
    journal = Journal.begin(fd, ROOT, SIZE, DiskCalls())
    journal.enter_clean(FileStamp(1, 2, 3))
    journal.enter_opened()
    os.close(fd)
    assert found_in((tmp_path / "j").read_bytes()).clean is None


def test_every_prefix_claims_a_growing_subset(tmp_path: Path) -> None:
    """Cut at any byte, a journal is read and claims no piece that the whole does not."""
    data = journal_of(tmp_path / "j", [[0, 1], [5], [9, 2]])
    claimed: list[int] = []
    for length in range(len(data) + 1):
        found = replay(data[:length])
        now = list(found.pieces) if found else []
        assert now[: len(claimed)] == claimed
        claimed = now
    assert claimed == [0, 1, 5, 9, 2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return journal_of(tmp_path_factory.mktemp("journal") / "j", [[0, 1], [5], [9, 2]])


@settings(deadline=None)
@given(at=st.integers(0, 700), mask=st.integers(1, 255))
def test_a_flipped_byte_ends_the_journal_there(whole: bytes, at: int, mask: int) -> None:
    """No damage adds a claim; what stands before it stays."""
    damaged = bytearray(whole)
    damaged[at] ^= mask
    found = replay(bytes(damaged))
    claims = list(found.pieces) if found else []
    assert claims == [0, 1, 5, 9, 2][: len(claims)]


def test_a_record_behind_a_torn_one_is_not_believed(tmp_path: Path) -> None:
    """Writing over a torn record does not revive an older, whole record behind it."""
    path = tmp_path / "j"
    old = journal_of(path, [[0], [1], [2]])
    first = found_in(journal_of(path, [[0]]))
    path.write_bytes(old[: first.end] + b"torn" + old[first.end + 4 :])
    with path.open("r+b") as file:
        Journal(file.fileno(), first.end, first.crc, DiskCalls()).enter_pieces([7], 0.0)
    assert list(found_in(path.read_bytes()).pieces) == [0, 7]


@pytest.mark.parametrize("data", [b"", b"PART", MAGIC, b"\0" * 500, b"x" * 500])
def test_foreign_bytes_are_no_journal(data: bytes) -> None:
    """What does not start with our header is not ours."""
    assert replay(data) is None


def test_suspects_are_the_last_minute() -> None:
    """Pieces entered in the last 60 s are doubted, older ones not; a clock that went back doubts
    all that was entered since."""
    found = Replay(SIZE, 16384, ROOT, pieces={0: 0.0, 1: 99.0, 2: 100.0, 3: 100.0 + SUSPECT_S})
    assert found.suspects() == [2, 3]
    assert Replay(SIZE, 16384, ROOT, pieces={0: 500.0, 1: 5.0}).suspects() == [0, 1]
    assert Replay(SIZE, 16384, ROOT).suspects() == []


def test_a_journal_outgrows_its_allocation(tmp_path: Path) -> None:
    """Many sessions need more room than was set aside; it is found in time."""
    fd = os.open(tmp_path / "j", os.O_RDWR | os.O_CREAT)
    journal = Journal.begin(fd, ROOT, SIZE, DiskCalls())
    for number in range(300):
        journal.enter_clean(FileStamp(number, 0, 0))
    os.close(fd)
    clean = found_in((tmp_path / "j").read_bytes()).clean
    assert clean is not None
    assert clean.size == 299
