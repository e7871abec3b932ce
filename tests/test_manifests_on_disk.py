"""Manifests as files of ours: made, made anew, damaged, dropped, read; on a simulated disk."""

import errno

import pytest

from common.content.manifest import MAGIC, FolderFile, manifest_of, parse_manifest
from common.errors import Exit
from common.folders import (
    DropManifest,
    MakeManifest,
    ManifestFailed,
    ManifestMade,
    ManifestRead,
    ManifestUnread,
    ReadManifest,
)
from common.limits import FOLDER_FILES_MAX
from common.storage import BytesRead, ReadLayer, ReadShared, SharedFile
from tests.memory_disk import shared
from tests.simulated_disk import World, tree_of

PLACE = "/home/folders"
A = shared("a/one.txt", b"one", "/s/music")
B = shared("two.txt", b"", "/s/music")


def make(world: World, *files: SharedFile, share: str = "/s/music") -> SharedFile:
    """The manifest that is made of these."""
    (event,) = world.do(MakeManifest(share, PLACE, files))
    assert isinstance(event, ManifestMade)
    return event.file


def content(world: World, file: SharedFile) -> bytes:
    """What lies there, as others get it."""
    (read,) = world.do(ReadShared(1, file, 0, file.size))
    assert isinstance(read, BytesRead)
    return bytes(read.data)


def kept(world: World) -> list[str]:
    """All files of ours."""
    folders = [f"{PLACE}/{name}" for name in world.files.names(PLACE)]
    return [f"{folder}/{name}" for folder in folders for name in world.files.names(folder)]


def test_a_manifest_is_made_and_served() -> None:
    """A lone file of ours, called after the folder, with a root of its own; its layer is known."""
    world = World()
    file = make(world, A, B)
    data = content(world, file)
    assert parse_manifest(data) == (
        FolderFile("a/one.txt", 3, A.root),
        FolderFile("two.txt", 0, B.root),
    )
    assert (file.relpath, file.lone, file.root) == ("music.folder", True, tree_of(data).root)
    assert world.do(ReadLayer(2, file.root, file.size)) == [BytesRead(2, memoryview(file.root))]
    many = [shared(f"{number}.txt", b"one", "/s/music") for number in range(400)]
    large = make(world, *many)
    (layer,) = world.do(ReadLayer(3, large.root, large.size))
    assert isinstance(layer, BytesRead)
    assert len(layer.data) > 32


def test_the_same_files_leave_the_file_as_it_is() -> None:
    """Also in another order, and in a later life; so who fetches it is not disturbed."""
    world = World()
    file = make(world, A, B)
    assert make(world, B, A) == file
    world.disk.die()
    world.start()
    assert make(world, A, B) == file
    assert len(kept(world)) == 1


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    """The old manifest goes, that of another share of the same name stays."""
    world = World()
    other = make(world, A, share="/t/music")
    old = make(world, A)
    new = make(world, A, B)
    assert (old.share != new.share, old.root != new.root) == (True, True)
    assert sorted(kept(world)) == sorted([other.share, new.share])
    world.do(DropManifest(new.share))
    assert kept(world) == [other.share]
    assert world.do(DropManifest(new.share)) == []


def test_a_damaged_manifest_is_made_anew() -> None:
    """Whatever lies in its place: the bytes there are those of its root afterwards."""
    world = World()
    file = make(world, A, B)
    data = content(world, file)
    world.files.put(file.share, b"x" * len(data))
    assert make(world, A, B).root == file.root
    assert world.files.read(file.share) == data
    world.files.put(file.share, b"")
    make(world, A, B)
    assert world.files.read(file.share) == data


def test_what_cannot_be_one_folder_is_told() -> None:
    """No file, or too many; one sentence and one fix."""
    world = World()
    (event,) = world.do(MakeManifest("/s/music", PLACE, ()))
    assert isinstance(event, ManifestFailed)
    assert (event.code, "no file" in event.reason, event.hint) == (
        Exit.REFUSED,
        True,
        "Its files are.",
    )
    (event,) = world.do(MakeManifest("/s/music", PLACE, (A,) * (FOLDER_FILES_MAX + 1)))
    assert isinstance(event, ManifestFailed)
    assert "at most 100000" in event.reason


def test_a_full_disk_is_told_and_left_behind() -> None:
    """Nothing half is left, and once there is room the manifest is made."""
    for kind in ("write", "create", "mkdir", "sync", "link"):
        world = World()
        world.files.fail(kind, nth=1, number=errno.ENOSPC)
        (event,) = world.do(MakeManifest("/s/music", PLACE, (A,)))
        assert isinstance(event, ManifestFailed), kind
        assert event.code is Exit.DISK
        file = make(world, A)
        assert kept(world) == [file.share]


def test_power_may_go_at_any_moment() -> None:
    """In whatever call: the next life makes the manifest whole, and nothing else is left."""
    cuts = 0
    for operation in range(1, 60):
        world = World(operation)
        make(world, A)
        world.files.cut_after(operation)
        world.do(MakeManifest("/s/music", PLACE, (A, B)))
        if not world.power_cuts:
            break
        cuts += 1
        world.start()
        file = make(world, A, B)
        assert parse_manifest(content(world, file))
        assert kept(world) == [file.share]
    assert cuts > 10


def read(world: World, data: bytes, *only: str) -> object:
    """What a fetched manifest of these bytes says."""
    world.files.put("/home/folders/f/x.folder", data)
    (event,) = world.do(ReadManifest(5, "/home/folders/f/x.folder", only))
    return event


def test_a_fetched_manifest_is_read() -> None:
    """Chosen by patterns; where two names are one on some disk, the second goes elsewhere."""
    world = World()
    files = [FolderFile(path, 3, A.root) for path in ("a/A.txt", "a/a.txt", "b.mp3")]
    data = manifest_of(files)
    assert read(world, data) == ManifestRead(
        5, (files[0], FolderFile("a/a (1).txt", 3, A.root), files[2]), 1, 0
    )
    assert read(world, data, "*.mp3") == ManifestRead(5, (files[2],), 0, 2)
    assert read(world, data, "no") == ManifestRead(5, (), 0, 3)


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "ordinary", "not the manifest"),
        (b"my folder of papers", "ordinary", "not the manifest"),
        (MAGIC, "bad", "no file"),
        (MAGIC + b"%s 3 ../../etc/passwd\n" % (b"1" * 64), "bad", "leads out"),
    ],
)
def test_what_is_no_manifest_is_told(data: bytes, kind: str, reason: str) -> None:
    """Another file of that name, or one that lies about being a manifest."""
    event = read(World(), data)
    assert isinstance(event, ManifestUnread)
    assert (event.kind, reason in event.reason) == (kind, True)


def test_a_manifest_that_is_gone_is_told() -> None:
    """It is the disk."""
    (event,) = World().do(ReadManifest(5, "/home/folders/f/x.folder", ()))
    assert isinstance(event, ManifestUnread)
    assert event.kind == "disk"
