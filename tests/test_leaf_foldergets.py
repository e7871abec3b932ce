"""Folders as people fetch them: all of one, some of it, what changed, and as one thing."""

import pytest

from common.core import Exited, Fail, Notify, Stopped
from common.errors import Exit
from common.manifest import MAGIC, FolderFile, manifest_of
from common.storage import Restored
from common.torrent import file_id
from leaf import fetchedfolder, foldergets
from leaf.foldershares import GATHER_S
from leaf.methods import (
    Chosen,
    DownloadRow,
    Get,
    GetProgress,
    GetResult,
    Nothing,
    Remove,
    Search,
    SearchResult,
    Share,
    SharedRow,
)
from tests.leaf_scene import MIB, content, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of

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


def test_a_found_folder_is_fetched_with_all_its_files() -> None:
    """By the number of its hit; one result with the sum, and nothing else is left lying about."""
    world = network()
    found(world)
    result = got(world, Get("1"))
    assert there(world) == FILES
    size = sum(map(len, FILES.values()))
    assert (result.path, result.size, result.files) == (TARGET, size, 5)
    assert (result.sources, result.verified, result.renamed) == (1, True, None)
    assert outside(world) == []
    (row,) = rows(world)
    assert (row.path, row.state, row.done_bytes, row.files) == (TARGET, "done", size, 5)


def test_a_link_and_an_id_name_a_folder_too() -> None:
    """With an id alone the folder is called after it, and no file is left in its place."""
    world = network()
    row = share(world, "source0", dict(FILES))
    assert row.link is not None
    assert row.id is not None
    result = got(world, Get(row.link, to="/a"))
    assert there(world, "/a") == FILES
    result = got(world, Get(row.id, to="/b"))
    assert (result.path, result.files) == ("/b", 5)
    assert there(world, "/b") == FILES
    result = got(world, Get(row.id, to="/c", into=True))
    assert result.path.startswith("/c/sp_")
    assert there(world, result.path) == FILES
    assert len(rows(world)) == 3
    assert not world.disks["asker"].parts


def test_a_folder_by_its_id_has_one_answer_for_all_who_wait() -> None:
    """And one that waits for nobody is fetched all the same."""
    world = network()
    row = share(world, "source0", dict(FILES))
    assert row.id is not None
    calls = [world.ask("asker", "leaf.get", Get(row.id, to="/b")) for _ in range(2)]
    world.advance(30.0)
    assert [type(world.outcome(call)) for call in calls] == [GetResult, GetResult]
    world.ask("asker", "leaf.get", Get(row.id, to="/c", detach=True))
    world.advance(30.0)
    assert there(world, "/c") == there(world, "/b") == FILES


def test_a_new_version_brings_only_what_changed() -> None:
    """Files that are there are looked at and cost no byte; a changed one stands beside the old."""
    world = network()
    found(world)
    first = got(world, Get("1"))
    assert first.bytes_received > 250_000
    assert got(world, Get("1")).bytes_received == 0
    changed = {**FILES, "deep/er/two.bin": content(1_000, 9), "new.txt": b"new"}
    row = share(world, "source0", changed)
    world.advance(GATHER_S + 5.0)
    assert row.link is not None
    second = got(world, Get(row.link))
    manifest = second.bytes_received - 1_000 - 3
    assert 0 < manifest < 1_000
    assert there(world) == {**changed, **FILES, "deep/er/two (1).bin": changed["deep/er/two.bin"]}
    again = got(world, Get(row.link))
    assert (again.bytes_received, again.files) == (0, 6)
    assert len(there(world)) == 7
    found(world)  # the old version is told of no more
    assert [each.id for each in rows(world)] == [second.id]
    world.ask("asker", "leaf.rm", Remove(second.id))
    assert world.disks["asker"].records == {}


def test_only_some_files_are_fetched() -> None:
    """Those that a pattern matches; others follow when they are asked for."""
    world = network()
    found(world)
    result = got(world, Get("1", only=["*.txt", "deep/empty"]))
    assert sorted(there(world)) == ["again.txt", "deep/empty", "one.txt"]
    assert (result.files, result.size) == (3, 6)
    result = got(world, Get("1", only=["deep"]))
    assert (result.files, len(there(world))) == (3, 5)
    call = world.ask("asker", "leaf.get", Get("1", only=["*.exe"]))
    world.advance(10.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.NOTHING_FOUND


@pytest.mark.parametrize("pattern", ["", "[z-a]", "x" * 2_000])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    """Before anything is fetched."""
    world = network()
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", only=[pattern]))
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.USAGE
    assert rows(world) == []


def test_existing_files_are_treated_as_single_ones() -> None:
    """`skip` leaves what is there, `fail` says that one is missing, `rename` takes another name."""
    world = network()
    world.disks["asker"].files[f"{TARGET}/one.txt"] = b"mine"
    found(world)
    result = got(world, Get("1", exists="skip"))
    assert (result.verified, there(world)) == (False, {**FILES, "one.txt": b"mine"})
    call = world.ask("asker", "leaf.get", Get("1", exists="fail"))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.DISK
    assert failed.message.startswith("1 of 5 files are missing. one.txt: ")
    result = got(world, Get("1"))
    assert (result.verified, there(world)["one (1).txt"]) == (True, b"one")


def test_names_that_differ_only_in_case_are_both_kept() -> None:
    """The second gets a number, and people are told."""
    world = network({"README": b"1", "readme": b"2", "a/X": b"3", "A/x": b"4"})
    found(world)
    result = got(world, Get("1"))
    assert there(world) == {"README": b"1", "readme (1)": b"2", "A/x": b"4", "a/X (1)": b"3"}
    assert (result.renamed, result.files) == (2, 4)
    notes = [each.name for each in world.all(Notify, "asker") if isinstance(each, Notify)]
    assert notes.count("names_kept_apart") == 1


def pretend(world: World, data: bytes, name: str = "music.folder") -> str:
    """A file of this name with these bytes, shared as an ordinary one; its link."""
    world.disks["source0"].shares["/other"] = {name: data}
    call = world.ask("source0", "leaf.share", Share(["/other"], wait=True))
    world.advance(5.0)
    answer = world.outcome(call)
    assert isinstance(answer, list)
    return str(answer[0].link)


def test_a_file_that_is_only_called_like_a_folder_is_a_file() -> None:
    """It is fetched to where it was wanted, and nothing of it is kept elsewhere."""
    world = network({"a": b"a"})
    data = b"my folder of papers"
    result = got(world, Get(pretend(world, data)))
    assert (result.path, result.files, result.size) == ("/downloads/music.folder", None, len(data))
    assert world.disks["asker"].files == {"/downloads/music.folder": data}
    (row,) = rows(world)
    assert (row.path, row.state, row.files) == ("/downloads/music.folder", "done", None)
    call = world.ask("asker", "leaf.get", Get(pretend(world, b"more", "b.txt"), only=["*"]))
    world.advance(10.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.USAGE


def test_a_file_that_is_a_manifest_by_another_name_is_a_file() -> None:
    """The name was given, and it says so."""
    world = network({"a": b"a"})
    data = manifest_of([FolderFile("a", 1, tree_of(b"a").root)])
    assert got(world, Get(pretend(world, data, "list.txt"))).path == "/downloads/list.txt"


@pytest.mark.parametrize(
    "data",
    [
        MAGIC + b"%s 3 ../../../etc/passwd\n" % (b"1" * 64),
        MAGIC + b"%s 3 /etc/passwd\n" % (b"1" * 64),
        MAGIC + b"%s 3 a\n%s 3 a/b\n" % (b"1" * 64, b"1" * 64),
        MAGIC,
    ],
)
def test_a_bad_manifest_brings_nothing(data: bytes) -> None:
    """One clear reason, exit 5, and no file anywhere."""
    world = network({"a": b"a"})
    call = world.ask("asker", "leaf.get", Get(pretend(world, data)))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.CORRUPT
    assert outside(world) == []
    assert there(world) == {}
    (row,) = rows(world)
    assert (row.state, row.reason) == ("failed", failed.message)


def test_progress_is_told_in_sum() -> None:
    """Of all files, with how many of them are there; and the bytes only grow."""
    world = network({f"{number}.bin": content(4 * MIB, number) for number in range(3)})
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    going(world)
    world.ask("asker", "leaf.pause", Chosen())
    world.advance(1.0)
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(60.0)
    assert isinstance(world.outcome(call), GetResult)
    told = [each for each in world.told(call) if isinstance(each, GetProgress)]
    done = [each.done_bytes for each in told if each.files]
    assert done == sorted(done)
    assert any(0 < each.done_bytes < each.size for each in told)
    assert {each.size for each in told if each.files} == {12 * MIB}
    assert {each.id for each in told} == {rows(world)[0].id}


def test_no_source_ends_the_wait_but_not_the_folder() -> None:
    """Exit 6 after the patience of who waits; what comes later is used."""
    world = network()
    row = share(world, "source0", dict(FILES))
    assert row.link is not None
    world.kill("source0")
    world.advance(10.0)
    call = world.ask("asker", "leaf.get", Get(row.link, timeout=5.0))
    world.advance(4.0)
    assert world.outcome(call) is None
    world.advance(3.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE
    assert [each.reason for each in rows(world)] == ["no source is reachable yet"]
    world.leaf("late", seed_of(world))
    share(world, "late", dict(FILES))
    world.advance(120.0)
    assert [each.state for each in rows(world)] == ["done"]
    assert there(world) == FILES


def test_a_folder_is_paused_resumed_and_removed_as_one() -> None:
    """By its id; its files never show, rest with it, go on with it, and are forgotten with it."""
    files = {f"{number}.bin": content(4 * MIB, number) for number in range(3)}
    world = network(files)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    row = going(world)
    world.ask("asker", "leaf.pause", Chosen(row.id))
    world.advance(1.0)
    before = world.disks["asker"].written_bytes
    world.advance(60.0)
    (row,) = rows(world)
    assert (row.state, world.disks["asker"].written_bytes) == ("paused", before)
    assert before < 12 * MIB
    assert world.outcome(call) is None
    world.ask("asker", "leaf.resume", Chosen(row.id))
    world.advance(30.0)
    assert isinstance(world.outcome(call), GetResult)
    assert there(world) == files
    assert world.disks["asker"].written_bytes < 12 * MIB + 10_000
    world.ask("asker", "leaf.rm", Remove(row.id))
    world.advance(1.0)
    assert rows(world) == []
    assert there(world) == files
    disk = world.disks["asker"]
    assert (disk.folders, disk.records) == ({}, {})
    assert not [path for path in disk.files if path.startswith("/manifests/")]


def test_removing_a_folder_under_way_answers_who_waits() -> None:
    """With `--delete-data` no unfinished part is left."""
    world = network({f"{number}.bin": content(4 * MIB, number) for number in range(3)})
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.ask("asker", "leaf.rm", Remove(going(world).id, delete_data=True))
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNFINISHED
    world.advance(10.0)
    assert (rows(world), world.disks["asker"].parts) == ([], {})


def restarted(world: World, epoch: int = 2) -> None:
    """The asker's next life."""
    disk = world.disks["asker"]
    restored = Restored(
        downloads=tuple(disk.records.values()), folders=tuple(disk.folders.values())
    )
    world.leaf("asker", seed_of(world), restored=restored, epoch=epoch)


@pytest.mark.parametrize("after_s", [0.004, 0.01, 0.02, 0.03, 0.04, 0.05])
def test_a_folder_goes_on_after_a_crash(after_s: float) -> None:
    """Whenever the leaf is killed; what was stored is not fetched again."""
    files = {f"{number}.bin": content(4 * MIB, number) for number in range(3)}
    world = network(files)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(after_s)
    world.kill("asker")
    restarted(world)
    world.advance(60.0)
    (row,) = rows(world)
    assert (row.state, row.done_bytes, row.files) == ("done", 12 * MIB, 3)
    assert there(world) == files
    assert world.disks["asker"].written_bytes < 12 * MIB + 10_000
    assert outside(world) == []


def test_a_paused_folder_rests_over_a_restart() -> None:
    """And shows how far it is; once resumed it goes on."""
    files = {f"{number}.bin": content(4 * MIB, number) for number in range(3)}
    world = network(files)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    going(world)
    world.ask("asker", "leaf.pause", Chosen())
    world.advance(1.0)
    world.kill("asker")
    restarted(world)
    world.advance(30.0)
    (row,) = rows(world)
    assert (row.state, row.size, row.files) == ("paused", 12 * MIB, 3)
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(60.0)
    assert [each.state for each in rows(world)] == ["done"]
    assert there(world) == files


def test_stopping_answers_who_waits() -> None:
    """The leaf ends at once, and the next life goes on."""
    world = network({f"{number}.bin": content(4 * MIB, number) for number in range(3)})
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    going(world)
    world.feed("asker", Stopped(5.0))
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNFINISHED
    assert world.all(Exited, "asker") == [Exited()]
    restarted(world)
    world.advance(60.0)
    assert [each.state for each in rows(world)] == ["done"]


def test_a_full_disk_is_told_and_waited_for() -> None:
    """Exit 8 for who waits; the folder goes on by itself once there is room."""
    world = network()
    found(world)
    world.disks["asker"].full = True
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.DISK
    (row,) = rows(world)
    assert (row.state, "full" in row.reason) == ("fetching", True)
    world.disks["asker"].full = False
    world.advance(30.0)
    assert there(world) == FILES


def test_one_folder_at_a_time_has_one_target() -> None:
    """The same again joins; another place or other files are refused while it is under way."""
    world = network({"a.bin": content(8 * MIB)})
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    joined = world.ask("asker", "leaf.get", Get("1"))
    for other in (Get("1", to="/elsewhere"), Get("1", only=["a*"])):
        refused = world.outcome(world.ask("asker", "leaf.get", other))
        assert isinstance(refused, Fail)
        assert refused.code is Exit.REFUSED
    world.advance(30.0)
    assert isinstance(world.outcome(call), GetResult)
    assert isinstance(world.outcome(joined), GetResult)


def test_the_same_command_again_means_the_same_folder() -> None:
    """`-o NEW` exists the second time, and is meant itself all the same."""
    world = network()
    found(world)
    assert got(world, Get("1", to="/x/new")).path == "/x/new"
    again = got(world, Get("1", to="/x/new", into=True))
    assert (again.path, again.bytes_received) == ("/x/new", 0)


def test_a_file_that_is_fetched_to_another_place_is_waited_for() -> None:
    """One download of a content at a time: the folder's copy follows."""
    data = content(8 * MIB)
    world = network({"a.bin": data, "b.txt": b"b"})
    found(world)
    single = world.ask("asker", "leaf.get", Get(file_id(tree_of(data).root, len(data)), to="/one"))
    result = got(world, Get("1"), seconds=60.0)
    assert isinstance(world.outcome(single), GetResult)
    assert (result.files, there(world)) == (2, {"a.bin": data, "b.txt": b"b"})


def test_a_file_nobody_has_is_named_when_the_rest_is_there() -> None:
    """A leaf that lies about one file: exit 5 with its name; resumed, the rest is not fetched."""
    world = network()
    world.liars["source0"] = None
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", timeout=20.0))
    world.advance(60.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code in (Exit.CORRUPT, Exit.UNREACHABLE)
    assert there(world) == {}


def test_many_files_are_under_way_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than the limit, and beyond what is kept the finished are forgotten."""
    monkeypatch.setattr(fetchedfolder, "FILES_ACTIVE_MAX", 3)
    monkeypatch.setattr(foldergets, "KEPT_MAX", 10)
    files = {f"{number:03}/x.txt": b"%d" % number for number in range(40)}
    world = network(files)
    found(world)
    result = got(world, Get("1"), seconds=120.0)
    assert (result.files, there(world)) == (40, files)
    assert len(world.disks["asker"].records) <= 12
    assert [each.files for each in rows(world)] == [40]


def test_a_fetched_folder_is_served_on() -> None:
    """Its manifest and its files: a third leaf fetches it when the first source is gone."""
    world = network()
    found(world)
    got(world, Get("1"))
    world.kill("source0")
    world.advance(10.0)
    world.leaf("third", seed_of(world))
    world.advance(1.0)
    call = world.ask("third", "leaf.search", Search(["music", "folder"]))
    world.advance(1.0)
    assert isinstance(world.outcome(call), SearchResult)
    call = world.ask("third", "leaf.get", Get("1"))
    world.advance(60.0)
    assert isinstance(world.outcome(call), GetResult)
    files = world.disks["third"].files
    assert {p[len(TARGET) + 1 :]: files[p] for p in files if p.startswith(TARGET)} == FILES
