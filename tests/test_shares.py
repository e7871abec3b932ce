"""Shares on a real disk: what is followed, when it is looked at, and what is forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import Exit
from common.shell.disk.files import FileStamp
from common.storage import (
    BytesRead,
    DownloadRecord,
    FilesShared,
    FilesUnshared,
    FollowShare,
    ReadFailed,
    ReadShared,
    ShareFailed,
    ShareSettled,
    UnfollowShare,
)
from tests.real_disk import CONTENT, TREE, Shell, relpaths


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """One that is closed at the end."""
    shell = Shell(tmp_path)
    yield shell
    shell.close()


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


async def test_a_share_that_comes_later_is_followed(shell: Shell, tmp_path: Path) -> None:
    """What is absent is told once, looked for again, and shared once it is there."""
    folder = tmp_path / "later"
    assert isinstance(await shell.do(FollowShare(str(folder))), ShareFailed)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a").write_text("a")
    (tmp_path / "new").rename(folder)
    assert relpaths(await shell.until(ShareSettled)) == ["a"]
    folder.rename(tmp_path / "new")
    events = await shell.until(ShareFailed)
    assert events[0] == FilesUnshared(str(folder), ("a",))
    (tmp_path / "new").rename(folder)
    assert relpaths(await shell.until(ShareSettled)) == ["a"]


async def test_who_asks_hears_the_same_reason_again(shell: Shell, tmp_path: Path) -> None:
    """Trying again by itself is silent; being asked is not."""
    first = await shell.do(FollowShare(str(tmp_path / "missing")))
    again = await shell.do(FollowShare(str(tmp_path / "missing")))
    assert isinstance(first, ShareFailed)
    assert first == again


async def test_a_refused_share_is_let_go(shell: Shell, tmp_path: Path) -> None:
    """What may not be shared is told, and asked for again it is told again."""
    (tmp_path / "private").mkdir()
    for _ in range(2):
        event = await shell.do(FollowShare(str(tmp_path)))
        assert isinstance(event, ShareFailed)
        assert event.code is Exit.REFUSED
        assert shell.shares._followed == {}


async def test_a_share_that_turns_private_is_withdrawn(shell: Shell, tmp_path: Path) -> None:
    """Its files first, then the reason."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    shell.order(FollowShare(str(folder)))
    await shell.until(ShareSettled)
    (tmp_path / "private").symlink_to(folder)
    shell.order(FollowShare(str(folder)))
    events = await shell.until(ShareFailed)
    assert [type(event) for event in events] == [FilesUnshared, ShareFailed]
    assert shell.shares._followed == {}


async def test_asking_again_scans_again(shell: Shell, tmp_path: Path) -> None:
    """What was there at the last ask is reported before the share is settled, even if the asks
    come while it is scanned; and there is one end for all of them."""
    folder = tmp_path / "share"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}").write_text("x" * number)
        shell.order(FollowShare(str(folder)))
    assert len(relpaths(await shell.until(ShareSettled))) == 20
    (folder / "more").write_text("more")
    shell.order(FollowShare(str(folder)))
    assert relpaths(await shell.until(ShareSettled)) == ["more"]


async def test_what_is_gone_is_forgotten(shell: Shell, tmp_path: Path) -> None:
    """Files and folders that went while they were followed, and those that went before."""
    share = tmp_path / "share"
    for relpath in ("a", "b", "sub/c", "old/d"):
        (share / relpath).parent.mkdir(parents=True, exist_ok=True)
        (share / relpath).write_bytes(CONTENT if relpath == "sub/c" else b"x")
    shell.store.remember_hashes(share / "before", {"e": (FileStamp(1, 1, 1), TREE)})
    shell.order(FollowShare(str(share)))
    await shell.until(ShareSettled)
    assert shell.store.folders(share) == [share, share / "old", share / "sub"]
    assert shell.store.layer(TREE.root) == TREE.layer
    (share / "a").unlink()
    (share / "sub" / "c").unlink()
    (share / "sub").rmdir()
    shell.order(FollowShare(str(share)))
    await shell.until(ShareSettled)
    assert list(shell.store.hashes(share)) == ["b"]
    assert shell.store.folders(share) == [share, share / "old"]
    assert shell.store.layer(TREE.root) is None


async def test_an_empty_share_forgets_nothing(shell: Shell, tmp_path: Path) -> None:
    """It may be a disk that is not mounted."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "a").write_text("a")
    shell.order(FollowShare(str(share)))
    await shell.until(ShareSettled)
    (share / "a").rename(tmp_path / "a")
    shell.order(FollowShare(str(share)))
    await shell.until(FilesUnshared)
    await shell.until(ShareSettled)
    assert list(shell.store.hashes(share)) == ["a"]


async def test_an_unfollowed_share_is_forgotten(shell: Shell, tmp_path: Path) -> None:
    """But for what another share has, or a download became; then it is hashed afresh."""
    share = tmp_path / "share"
    for relpath in ("a", "sub/b", "kept/c"):
        (share / relpath).parent.mkdir(parents=True, exist_ok=True)
        (share / relpath).write_text(relpath)
    path = str(share / "fetched")
    (share / "fetched").write_text("f")
    shell.store.remember_download(DownloadRecord(1, bytes(32), 1, path, "rename", "done", "", path))
    for followed in (share / "kept", share):
        shell.order(FollowShare(str(followed)))
        await shell.until(ShareSettled)
    shell.order(UnfollowShare(str(share)))
    shell.order(FollowShare(str(share / "sub")))  # begins when the other has forgotten
    assert relpaths(await shell.until(ShareSettled)) == ["b"]
    assert list(shell.store.hashes(share)) == ["fetched"]
    assert shell.store.folders(share) == [share, share / "kept", share / "sub"]


async def test_a_share_that_was_let_go_is_heard_of_no_more(shell: Shell, tmp_path: Path) -> None:
    """Late words of the first follower are not taken for those of the second."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "a").write_text("a")
    for _ in range(5):
        shell.order(FollowShare(str(share)))
        shell.order(UnfollowShare(str(share)))
    shell.order(FollowShare(str(share)))
    assert relpaths(await shell.until(ShareSettled)) == ["a"]
    assert shell.events.empty()
