"""Storage effects on a real disk: what goes in as an effect comes back as an event."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.content.merkle import piece_span
from common.storage import (
    BytesRead,
    ClosePart,
    DeletePart,
    FinishPart,
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
    WritePieces,
)
from tests.real_disk import CONTENT, TREE, Shell


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """One that is closed at the end."""
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def look(target: Path, exists: str = "rename") -> OpenPart:
    """Only see whether CONTENT stands there."""
    return OpenPart(1, TREE.root, len(CONTENT), str(target), exists, create=False)


def delete(target: Path) -> DeletePart:
    """Remove what is there of it."""
    return DeletePart(1, TREE.root, len(CONTENT), str(target))


def begin(target: Path, exists: str = "rename") -> OpenPart:
    """Open the download of CONTENT."""
    return OpenPart(1, TREE.root, len(CONTENT), str(target), exists)


def write(index: int, content: bytes = CONTENT) -> WritePieces:
    """One piece of it."""
    offset, length = piece_span(len(CONTENT), index)
    return WritePieces(1, offset, memoryview(content)[offset : offset + length])


async def whole(shell: Shell, target: Path) -> None:
    """A finished download of CONTENT."""
    await shell.do(begin(target))
    shell.order(KeepLayer(1, TREE.layer))
    await shell.do(WritePieces(1, 0, memoryview(CONTENT)))
    assert await shell.do(FinishPart(1)) == PartFinished(1, str(target))


def opened(target: Path, done: bytes, layer: bytes = b"") -> PartOpened:
    """The part of a download to `target` is open."""
    return PartOpened(1, done, layer, f"{target}.part")


async def is_gone(shell: Shell, effect: OpenPart) -> bool:
    """Whether a look finds nothing."""
    event = await shell.do(effect)
    return isinstance(event, PartFailed) and event.kind == "gone"


async def test_a_whole_download(shell: Shell, tmp_path: Path) -> None:
    """Open, take the layer, write all pieces in one go, finish; then serve it."""
    target = tmp_path / "new" / "file.bin"
    assert await shell.do(begin(target)) == opened(target, bytes(7))
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
    assert again == opened(tmp_path / "file", bytes((0, 0, 0, 1, 0, 0, 0)), TREE.layer)


async def test_deleting_a_part(shell: Shell, tmp_path: Path) -> None:
    """`delete` leaves nothing behind; a later read finds it gone."""
    await shell.do(begin(tmp_path / "file"))
    shell.order(KeepLayer(1, TREE.layer))
    await shell.do(write(0))
    shell.order(delete(tmp_path / "file"))
    assert await shell.do(begin(tmp_path / "file")) == opened(tmp_path / "file", bytes(7))


async def test_deleting_a_part_that_is_not_open(shell: Shell, tmp_path: Path) -> None:
    """After a pause or a restart it is found beside its target; files of others stay."""
    target = tmp_path / "in" / "file"
    await shell.do(begin(target))
    shell.order(KeepLayer(1, TREE.layer))
    await shell.do(write(0))
    shell.order(ClosePart(1))
    other = OpenPart(2, bytes(32), 5, str(target), "rename")
    await shell.do(other)
    shell.order(ClosePart(2))
    target.write_text("mine")
    shell.order(delete(target))
    assert await is_gone(shell, look(target))
    names = sorted(path.name for path in target.parent.iterdir())
    assert names == ["file", "file (1).part", "file (1).part.journal"]


async def test_deleting_where_nothing_is(shell: Shell, tmp_path: Path) -> None:
    """No folder, no part, or a part that is not ours: nothing is said, made or removed."""
    shell.order(delete(tmp_path / "none" / "file"))
    shell.order(delete(tmp_path / "file"))
    (tmp_path / "file.part").write_text("somebody's")
    shell.order(delete(tmp_path / "file"))
    assert await is_gone(shell, look(tmp_path / "file"))
    assert (tmp_path / "file.part").read_text() == "somebody's"
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "file.part.journal").exists()


async def test_deleting_after_the_end_keeps_the_file(shell: Shell, tmp_path: Path) -> None:
    """What is finished is the user's; it is only served no more."""
    await whole(shell, tmp_path / "file")
    shell.order(delete(tmp_path / "file"))
    assert await shell.do(look(tmp_path / "file")) == PartSkipped(1, str(tmp_path / "file"), True)
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_deleting_what_another_process_writes(shell: Shell, tmp_path: Path) -> None:
    """It is busy, and stays."""
    await shell.do(begin(tmp_path / "file"))
    event = await shell.do(DeletePart(2, TREE.root, len(CONTENT), str(tmp_path / "file")))
    assert isinstance(event, PartFailed)
    assert event.kind == "busy"
    assert (tmp_path / "file.part").exists()


async def test_looking_makes_nothing(shell: Shell, tmp_path: Path) -> None:
    """Without `create` only the very content counts; no folder and no part is made."""
    assert await is_gone(shell, look(tmp_path / "new" / "file"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("mine")
    for exists in ("rename", "skip", "fail"):
        assert await is_gone(shell, look(tmp_path / "file", exists))
    assert not (tmp_path / "file.part").exists()
    (tmp_path / "file").write_bytes(CONTENT)
    same = PartSkipped(1, str(tmp_path / "file"), same=True)
    assert await shell.do(look(tmp_path / "file")) == same
    assert isinstance(await shell.do(ReadPart(9, 1, 0, 4)), BytesRead)


@pytest.mark.parametrize("remembering", [True, False])
async def test_nothing_of_a_download_is_kept_but_its_file(
    tmp_path: Path, remembering: bool
) -> None:
    """Finished, it has no lane and, where the store has it, no layer; and it is served."""
    shell = Shell(tmp_path, remembering)
    await whole(shell, tmp_path / "file")
    layer = await shell.do(ReadLayer(9, TREE.root, len(CONTENT)))
    assert layer == BytesRead(9, memoryview(TREE.layer))
    (finished,) = shell.disk._finished.values()
    assert finished.layer == (b"" if remembering else TREE.layer)
    assert (shell.disk._lanes, shell.disk._exists) == ({}, {})
    shell.order(ClosePart(1))
    assert await is_gone(shell, OpenPart(1, TREE.root, 1, "/none/x", "skip", create=False))
    assert shell.disk._finished == {}
    assert (shell.disk._lanes, shell.disk._exists) == ({}, {})
    shell.close()


async def test_the_very_content_is_there(shell: Shell, tmp_path: Path) -> None:
    """Nothing is fetched where the same bytes stand at the target already."""
    target = tmp_path / "file"
    target.write_bytes(CONTENT)
    assert await shell.do(begin(target)) == PartSkipped(1, str(target), same=True)
    read = await shell.do(ReadPart(9, 1, 0, 4))
    assert isinstance(read, BytesRead)


@pytest.mark.parametrize("how", ["removed", "touched"])
async def test_a_finished_file_that_is_not_as_it_was(
    shell: Shell, tmp_path: Path, how: str
) -> None:
    """Whom it was read for hears so, and it is said once; a look tells what is there now."""
    target = tmp_path / "file"
    await whole(shell, target)
    assert isinstance(await shell.do(ReadPart(2, 1, 0, 4)), BytesRead)
    if how == "removed":
        target.unlink()
    else:
        os.utime(target, (1.0, 1.0))
    shell.order(ReadPart(3, 1, 0, 4))
    changed, unread = [await shell.events.get() for _ in range(2)]
    assert isinstance(changed, PartFailed)
    assert (changed.download, changed.kind) == (1, "changed")
    assert unread == ReadFailed(3, "changed")
    assert await shell.do(ReadPart(4, 1, 0, 4)) == ReadFailed(4, "gone")
    if how == "removed":
        assert await is_gone(shell, look(target))
    else:
        assert await shell.do(look(target)) == PartSkipped(1, str(target), same=True)
        assert isinstance(await shell.do(ReadPart(5, 1, 0, 4)), BytesRead)


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


async def test_a_place_where_no_folder_can_be(shell: Shell) -> None:
    """Said at once and for good, with the fix."""
    event = await shell.do(begin(Path("/proc/none/x/file")))
    assert isinstance(event, PartFailed)
    assert (event.kind, event.reason) == (
        "denied",
        "Cannot make /proc/none/x: No such file or directory.",
    )
    assert event.hint == "No folder can be made there; choose another."


async def test_reading_what_is_not_there(shell: Shell) -> None:
    """Every read is answered."""
    assert await shell.do(ReadPart(3, 99, 0, 1)) == ReadFailed(3, "gone")
    assert await shell.do(ReadLayer(4, bytes(32), len(CONTENT))) == ReadFailed(4, "gone")
