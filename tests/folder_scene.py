"""A scene with a folder: one super-peer, leaves that share it, and one that asks for it."""

from common.storage import Restored
from leaf.methods import (
    DownloadRow,
    Get,
    GetResult,
    Nothing,
    Search,
    SearchResult,
    Share,
    SharedRow,
)
from tests.leaf_scene import content, seed_of
from tests.leaf_world import World

FILES = {
    "one.txt": b"one",
    "deep/er/two.bin": content(200_000, 2),
    "deep/empty": b"",
    "deep/tränen.ogg": content(50_000, 3),
    "again.txt": b"one",
}
TARGET = "/downloads/music"


def network(files: dict[str, bytes] | None = None, sources: int = 1) -> World:
    """One super-peer, leaves that share `/s/music` as a folder, and 'asker'."""
    world = World()
    at = world.superpeer("s")
    for number in range(sources):
        world.leaf(f"source{number}", at)
        share(world, f"source{number}", dict(FILES if files is None else files))
    world.leaf("asker", at)
    world.advance(2.0)
    return world


def share(world: World, name: str, files: dict[str, bytes]) -> SharedRow:
    """Share these as one folder; the row of its manifest."""
    world.disks[name].shares["/s/music"] = files
    call = world.ask(name, "leaf.share", Share(["/s/music"], as_folder=True, wait=True))
    world.advance(5.0)
    rows = world.outcome(call)
    assert isinstance(rows, list)
    (row,) = [each for each in rows if each.name == "music.folder"]
    assert isinstance(row, SharedRow)
    return row


def found(world: World) -> None:
    """The asker searches for the folder: its number 1 is the manifest."""
    call = world.ask("asker", "leaf.search", Search(["music", "folder"]))
    world.advance(1.0)
    result = world.outcome(call)
    assert isinstance(result, SearchResult)
    assert [hit.name for hit in result.hits] == ["music.folder"]


def got(world: World, get: Get, seconds: float = 30.0) -> GetResult:
    """Fetch, and wait for it."""
    call = world.ask("asker", "leaf.get", get)
    world.advance(seconds)
    result = world.outcome(call)
    assert isinstance(result, GetResult), result
    return result


def rows(world: World) -> list[DownloadRow]:
    """What `leaf downloads` shows."""
    answer = world.outcome(world.ask("asker", "leaf.downloads", Nothing()))
    assert isinstance(answer, list)
    return answer


def there(world: World, below: str = TARGET) -> dict[str, bytes]:
    """What is in the target folder."""
    files = world.disks["asker"].files
    return {path[len(below) + 1 :]: files[path] for path in files if path.startswith(below + "/")}


def going(world: World) -> DownloadRow:
    """Some, but not all, of the first folder is there."""
    for _ in range(10_000):
        (row,) = rows(world)
        if row.done_bytes:
            assert row.done_bytes < row.size
            return row
        world.advance(0.001)
    raise AssertionError("nothing comes")


def outside(world: World) -> list[str]:
    """What the user has beside the folder."""
    paths = (*world.disks["asker"].files, *world.disks["asker"].parts)
    return [path for path in paths if not path.startswith((TARGET + "/", "/manifests/"))]


def restarted(world: World, epoch: int = 2) -> None:
    """The asker's next life."""
    disk = world.disks["asker"]
    restored = Restored(
        downloads=tuple(disk.records.values()), folders=tuple(disk.folders.values())
    )
    world.leaf("asker", seed_of(world), restored=restored, epoch=epoch)
