"""Shares and memory of a simulated host: what is reported, noticed, and outlives a life."""

import errno
from pathlib import Path

from common.addresses import Address
from common.folders import RememberFolder
from common.schedule import LimitsRecord, RememberLimits
from common.storage import (
    BytesRead,
    DownloadRecord,
    FilesShared,
    FilesUnshared,
    FolderRecord,
    FollowShare,
    ReadFailed,
    ReadLayer,
    ReadShared,
    RememberDownload,
    RememberPin,
    RememberShare,
    RememberSuperPeer,
    RememberWish,
    Restored,
    SharedFile,
    ShareFailed,
    ShareSettled,
    UnfollowShare,
    WishRecord,
)
from tests.simulated_disk import CONTENT, TARGET, TREE, World, tree_of

# --- shares ---------------------------------------------------------------------------------


def shared(world: World) -> dict[str, SharedFile]:
    """What was reported and not withdrawn."""
    files: dict[str, SharedFile] = {}
    for event in world.events:
        if isinstance(event, FilesShared):
            files |= {file.relpath: file for file in event.files}
        elif isinstance(event, FilesUnshared):
            for relpath in event.relpaths:
                del files[relpath]
    return files


def with_share(content: bytes = CONTENT) -> World:
    """A world that follows /share with a file in it."""
    world = World()
    world.files.put("/share/in/a", content)
    world.files.put("/share/b", b"b")
    world.files.put("/share/.hidden", b"no")
    world.do(FollowShare("/share"))
    return world


def test_a_share_is_scanned_and_served() -> None:
    """Every file is reported with its root, then that all is; its bytes and layer can be read."""
    world = with_share()
    assert isinstance(world.events[-1], ShareSettled)
    files = shared(world)
    assert {name: file.root for name, file in files.items()} == {
        "in/a": TREE.root,
        "b": tree_of(b"b").root,
    }
    (read,) = world.do(ReadShared(1, files["in/a"], 10, 20))
    assert isinstance(read, BytesRead)
    assert bytes(read.data) == CONTENT[10:30]
    assert world.do(ReadLayer(2, TREE.root, len(CONTENT))) == [BytesRead(2, memoryview(TREE.layer))]


def test_what_changes_in_a_share_is_noticed() -> None:
    """An edit, a removal, a new file, a rename and a replacement are reported after a moment."""
    world = with_share()
    before = shared(world)
    world.files.edit("/share/b", 0, b"B")
    world.files.delete("/share/in/a")
    world.files.put("/share/new/c", b"c")
    world.schedule.run(world.schedule.now + 2)
    after = shared(world)
    assert sorted(after) == ["b", "new/c"]
    assert after["b"].root == tree_of(b"B").root
    assert world.do(ReadShared(1, before["b"], 0, 1)) == [ReadFailed(1, "changed")]
    assert world.do(ReadShared(1, before["in/a"], 0, 1)) == [ReadFailed(1, "gone")]
    world.events.append(FilesShared(tuple(after.values())))
    world.files.rename("/share/new", "/share/old")
    world.files.replace("/share/b", b"B")
    world.schedule.run(world.schedule.now + 2)
    again = shared(world)
    assert sorted(again) == ["b", "old/c"]
    assert again["b"].inode != after["b"].inode


def test_a_change_that_was_not_noticed_is_found_by_the_rescan() -> None:
    """The rescan stays the truth."""
    world = World()
    world.start(notice_s=None, rescan_s=60.0)
    world.files.put("/share/a", b"a")
    world.do(FollowShare("/share"))
    world.files.put("/share/b", b"b")
    world.schedule.run(world.schedule.now + 40)
    assert sorted(shared(world)) == ["a"]
    world.schedule.run(world.schedule.now + 60)
    assert sorted(shared(world)) == ["a", "b"]


def test_a_share_that_is_not_there_is_looked_for() -> None:
    """It is told once, and reported when it comes."""
    world = World()
    events = world.do(FollowShare("/share"), seconds=60)
    assert [type(event) for event in events] == [ShareFailed]
    world.files.put("/share/a", b"a")
    world.schedule.run(world.schedule.now + 15)
    assert sorted(shared(world)) == ["a"]


def test_nothing_is_heard_of_a_share_that_was_let_go() -> None:
    """Not even the end of the scan that was under way; its hashes are forgotten."""
    world = with_share()
    assert world.store.hashes(Path("/share"))
    assert world.do(UnfollowShare("/share")) == []
    world.files.put("/share/d", b"d")
    assert world.do() == []
    assert world.store.hashes(Path("/share")) == {}
    assert world.do(FollowShare("/share"), UnfollowShare("/share")) == []


def test_an_ask_is_answered_by_a_scan_that_began_after_it() -> None:
    """A file that is there when somebody asks is reported before the share settles."""
    world = World()
    world.start(notice_s=None)
    world.files.put("/share/a", b"a")
    world.order(FollowShare("/share"))
    world.schedule.run(0.0005)
    world.files.put("/share/b", b"b")
    world.do(FollowShare("/share"))
    settled = [n for n, event in enumerate(world.events) if isinstance(event, ShareSettled)]
    assert len(settled) == 1
    assert sorted(shared(world)) == ["a", "b"]


def test_known_files_are_not_read_again() -> None:
    """A restart with its memory reports the same files without opening one."""
    world = with_share()
    before = shared(world)
    world.disk.die()
    world.files.fail("read", chance=1.0)
    world.start()
    world.do(FollowShare("/share"))
    assert shared(world) == before


# --- memory ---------------------------------------------------------------------------------

RECORD = DownloadRecord(1, TREE.root, len(CONTENT), TARGET, "rename", "fetching")
WISH = WishRecord(1, ("blue",), "", (), 0, None, False, 1, 1, 0.0)
FOLDER = FolderRecord(1, TREE.root, 9, "a.folder", "/got", "rename", ("*.txt",), "fetching")
LIMITS = LimitsRecord(5_000, slots=3)
ADDRESS = Address.of("10.0.0.1", 99)


def remember(world: World) -> None:
    """One of each."""
    world.do(
        RememberShare("/share", as_folder=True),
        RememberDownload(RECORD),
        RememberPin("host:1", b"k" * 32),
        RememberSuperPeer(b"s" * 32, ADDRESS),
        RememberWish(WISH),
        RememberFolder(FOLDER),
        RememberLimits(LIMITS),
    )


def test_what_is_remembered_outlives_a_life() -> None:
    """It is the first event of the next one; an older state can be put back."""
    world = World()
    empty = world.store.copy()
    remember(world)
    world.disk.die()
    expected = Restored(
        ("/share",),
        (RECORD,),
        (("host:1", b"k" * 32),),
        ((b"s" * 32, ADDRESS),),
        (WISH,),
        ("/share",),
        (FOLDER,),
        LIMITS,
    )
    assert world.start().restored() == expected
    world.do(RememberShare("/share", forget=True), RememberDownload(RECORD, forget=True))
    world.do(RememberWish(WISH, forget=True), RememberFolder(FOLDER, forget=True))
    world.do(RememberPin("host:1", None))
    assert world.disk.restored() == Restored(known=expected.known, limits=LIMITS)
    world.store = empty
    assert world.start().restored() == Restored()


def test_a_store_that_takes_nothing_is_told_of() -> None:
    """The node goes on, and has forgotten this when it starts again."""
    world = World()
    world.store.refuses = errno.ENOSPC
    remember(world)
    assert world.disk.restored() == Restored()
    assert [note.name for note in world.notes] == ["not_remembered"] * 7


def test_a_host_that_does_nothing_has_nothing() -> None:
    """It has no process on its disk, so that very many fit into one simulation."""
    world = World()
    world.disk.performers()
    remember(world)
    assert world.files._processes == []
    world.disk.close()
