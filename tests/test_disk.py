"""Storage effects on a real disk: what goes in as an effect comes back as an event."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from common.core import Effect, Event
from common.merkle import FileHasher, FileTree, piece_span
from common.shell.disk.jobs import Disk
from common.shell.disk.shares import Shares
from common.shell.disk.store import Store
from common.storage import (
    BytesRead,
    ClosePart,
    FilesShared,
    FilesUnshared,
    FinishPart,
    FollowShare,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadFailed,
    ReadLayer,
    ReadPart,
    ReadShared,
    ShareFailed,
    ShareSettled,
    UnfollowShare,
    WritePieces,
)

CONTENT = Random(5).randbytes(100_000)  # seven pieces of 16 KiB


def tree_of(content: bytes) -> FileTree:
    """The tree of a content."""
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


TREE = tree_of(CONTENT)


class Shell:
    """A disk and shares whose events are collected."""

    def __init__(self, folder: Path) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.store = Store(folder / "state.db")
        self.disk = Disk(loop, self.events.put_nowait, self.store)
        self.shares = Shares(loop, self.events.put_nowait, self.store)
        self.performers = {**self.disk.performers(), **self.shares.performers()}

    async def do(self, effect: Effect) -> Event:
        """Perform it; the next event."""
        self.performers[type(effect)](effect)
        return await self.events.get()

    def order(self, effect: Effect) -> None:
        """Perform what answers nothing."""
        self.performers[type(effect)](effect)

    async def until(self, kind: type[Event]) -> list[Event]:
        """All events up to the next of this kind."""
        seen: list[Event] = []
        while not seen or type(seen[-1]) is not kind:
            seen.append(await self.events.get())
        return seen


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """One that is closed at the end."""
    shell = Shell(tmp_path)
    yield shell
    shell.shares.close()
    shell.disk.close()
    shell.store.close()


def begin(target: Path, exists: str = "rename") -> OpenPart:
    """Open the download of CONTENT."""
    return OpenPart(1, TREE.root, len(CONTENT), str(target), exists)


def write(index: int, content: bytes = CONTENT) -> WritePieces:
    """One piece of it."""
    offset, length = piece_span(len(CONTENT), index)
    return WritePieces(1, offset, memoryview(content)[offset : offset + length])


async def test_a_whole_download(shell: Shell, tmp_path: Path) -> None:
    """Open, take the layer, write all pieces in one go, finish; then serve it."""
    target = tmp_path / "new" / "file.bin"
    assert await shell.do(begin(target)) == PartOpened(1, bytes(7), b"")
    shell.order(KeepLayer(1, TREE.layer))
    for index in range(7):
        shell.order(write(index))
    written = [await shell.events.get() for _ in range(7)]
    assert sorted(str(event) for event in written) == sorted(
        str(PiecesWritten(1, (index,), ())) for index in range(7)
    )
    assert await shell.do(FinishPart(1)) == PartFinished(1, str(target))
    assert target.read_bytes() == CONTENT
    read = await shell.do(ReadPart(9, 1, 5, 10))
    assert isinstance(read, BytesRead)
    assert bytes(read.data) == CONTENT[5:15]
    assert await shell.do(ReadLayer(9, TREE.root, len(CONTENT))) == BytesRead(
        9, memoryview(TREE.layer)
    )
    assert list(target.parent.iterdir()) == [target]


async def test_wrong_bytes_are_not_stored(shell: Shell, tmp_path: Path) -> None:
    """A piece with one bit flipped is bad, the others are good."""
    await shell.do(begin(tmp_path / "file"))
    shell.order(KeepLayer(1, TREE.layer))
    wrong = bytearray(CONTENT)
    wrong[20_000] ^= 1
    whole = WritePieces(1, 0, memoryview(wrong))
    assert await shell.do(whole) == PiecesWritten(1, (0, 2, 3, 4, 5, 6), (1,))


async def test_a_wrong_layer_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Hashes that do not lead to the root are not written by."""
    await shell.do(begin(tmp_path / "file"))
    event = await shell.do(KeepLayer(1, bytes(len(TREE.layer))))
    assert isinstance(event, PartFailed)


async def test_resume(shell: Shell, tmp_path: Path) -> None:
    """What was written before a close is there after the next open."""
    await shell.do(begin(tmp_path / "file"))
    shell.order(KeepLayer(1, TREE.layer))
    await shell.do(write(3))
    shell.order(ClosePart(1))
    again = await shell.do(begin(tmp_path / "file"))
    assert again == PartOpened(1, bytes((0, 0, 0, 1, 0, 0, 0)), TREE.layer)


async def test_deleting_a_part(shell: Shell, tmp_path: Path) -> None:
    """`delete` leaves nothing behind; a later read finds it gone."""
    await shell.do(begin(tmp_path / "file"))
    shell.order(KeepLayer(1, TREE.layer))
    await shell.do(write(0))
    shell.order(ClosePart(1, delete=True))
    assert await shell.do(begin(tmp_path / "file")) == PartOpened(1, bytes(7), b"")


async def test_the_very_content_is_there(shell: Shell, tmp_path: Path) -> None:
    """Nothing is fetched where the same bytes stand at the target already."""
    target = tmp_path / "file"
    target.write_bytes(CONTENT)
    assert await shell.do(begin(target)) == PartSkipped(1, str(target), same=True)
    read = await shell.do(ReadPart(9, 1, 0, 4))
    assert isinstance(read, BytesRead)


@pytest.mark.parametrize("exists", ["skip", "fail", "rename"])
async def test_another_file_is_there(shell: Shell, tmp_path: Path, exists: str) -> None:
    """It is skipped, an error, or left alone beside the new one; never replaced."""
    target = tmp_path / "file"
    target.write_text("mine")
    event = await shell.do(begin(target, exists))
    expected = {"skip": PartSkipped, "fail": PartFailed, "rename": PartOpened}
    assert type(event) is expected[exists]
    assert target.read_text() == "mine"


async def test_a_folder_that_may_not_be_written(shell: Shell, tmp_path: Path) -> None:
    """A disk that says no is an event with a reason and a fix."""
    (tmp_path / "taken").write_text("a file where a folder should be")
    event = await shell.do(begin(tmp_path / "taken" / "file"))
    assert isinstance(event, PartFailed)
    assert event.reason
    assert event.hint


async def test_reading_what_is_not_there(shell: Shell) -> None:
    """Every read is answered."""
    assert await shell.do(ReadPart(3, 99, 0, 1)) == ReadFailed(3, "gone")
    assert await shell.do(ReadLayer(4, bytes(32), len(CONTENT))) == ReadFailed(4, "gone")


async def test_a_share_is_scanned_and_served(shell: Shell, tmp_path: Path) -> None:
    """Files are reported with their roots and can be read by their stamp."""
    folder = tmp_path / "share"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.bin").write_bytes(CONTENT)
    shell.order(FollowShare(str(folder)))
    events = await shell.until(ShareSettled)
    (file,) = [file for event in events if isinstance(event, FilesShared) for file in event.files]
    assert (file.relpath, file.root, file.size) == ("sub/a.bin", TREE.root, len(CONTENT))
    read = await shell.do(ReadShared(1, file, 10, 5))
    assert isinstance(read, BytesRead)
    assert bytes(read.data) == CONTENT[10:15]
    (folder / "sub" / "a.bin").write_bytes(CONTENT[:-1])
    assert await shell.do(ReadShared(2, file, 10, 5)) == ReadFailed(2, "changed")


async def test_changes_of_a_share_are_followed(shell: Shell, tmp_path: Path) -> None:
    """A new file is shared and a removed one withdrawn, without asking."""
    folder = tmp_path / "share"
    folder.mkdir()
    shell.order(FollowShare(str(folder)))
    await shell.until(ShareSettled)
    (folder / "new.txt").write_text("new")
    events = await shell.until(FilesShared)
    assert [file.relpath for file in events[-1].files] == ["new.txt"]  # type: ignore[attr-defined]
    await shell.until(ShareSettled)
    (folder / "new.txt").unlink()
    events = await shell.until(FilesUnshared)
    assert events[-1] == FilesUnshared(str(folder), ("new.txt",))
    shell.order(UnfollowShare(str(folder)))


async def test_a_share_that_is_one_file(shell: Shell, tmp_path: Path) -> None:
    """A lone file is shared under its own name."""
    (tmp_path / "lone.bin").write_bytes(CONTENT)
    shell.order(FollowShare(str(tmp_path / "lone.bin")))
    events = await shell.until(ShareSettled)
    (file,) = [file for event in events if isinstance(event, FilesShared) for file in event.files]
    assert file.relpath == "lone.bin"
    assert isinstance(await shell.do(ReadShared(1, file, 0, 5)), BytesRead)


async def test_a_share_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    """The reason and a fix are told."""
    event = await shell.do(FollowShare(str(tmp_path / "missing")))
    assert isinstance(event, ShareFailed)
    assert event.hint
