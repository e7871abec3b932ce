"""Folders as people fetch them: all of one, some of it, what changed, what is none."""

import pytest

from common.content.manifest import MAGIC, FolderFile, manifest_of
from common.content.torrent import file_id
from common.core import Fail, Notify
from common.errors import Exit
from leaf.library.foldershares import GATHER_S
from leaf.methods import (
    Get,
    GetResult,
    Remove,
    Search,
    SearchResult,
    Share,
)
from tests.folder_scene import (
    FILES,
    TARGET,
    found,
    got,
    network,
    outside,
    restarted,
    rows,
    share,
    there,
)
from tests.leaf_scene import content, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of


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
    assert result.path == "/c/music"  # as its sources call it
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
    assert (second.beside, second.first_beside) == (1, f"{TARGET}/deep/er/two (1).bin")
    again = got(world, Get(row.link))
    assert (again.bytes_received, again.files, again.beside) == (0, 6, 1)
    assert len(there(world)) == 7
    found(world)  # the old version is told of no more
    assert [each.id for each in rows(world)] == [second.id]
    world.ask("asker", "leaf.rm", Remove(second.id))
    assert world.disks["asker"].records == {}


@pytest.mark.parametrize("by", ["number", "id"])
def test_a_folder_is_not_streamed(by: str) -> None:
    """That is said once its list is here, and nothing is left of it or fetched."""
    world = network()
    found(world)
    row = share(world, "source0", FILES)
    assert row.id is not None
    what = "1" if by == "number" else row.id
    call = world.ask("asker", "leaf.get", Get(what, stream=True))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert (failed.code, failed.hint) == (Exit.USAGE, "Leave --stream out.")
    assert (rows(world), there(world)) == ([], {})
    call = world.ask("asker", "leaf.get", Get("1", stream=True))
    other = world.ask("asker", "leaf.get", Get("1"))
    world.advance(20.0)
    assert isinstance(world.outcome(call), Fail)
    assert isinstance(world.outcome(other), GetResult)
    assert there(world) == FILES


def test_patterns_for_a_single_file_leave_nothing_behind() -> None:
    """By its id alone nobody knows whether it is a folder; once it is here, it is."""
    world = World()
    at = world.superpeer("s")
    world.leaf("source", at, files={"a.bin": b"no folder"})
    world.leaf("asker", at)
    world.advance(2.0)
    what = file_id(tree_of(b"no folder").root, 9)
    call = world.ask("asker", "leaf.get", Get(what, only=["*.x"]))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.message == "This is a file, not a folder."
    assert (failed.code, failed.hint) == (Exit.USAGE, "Leave --only out.")
    assert (rows(world), world.disks["asker"].records) == ([], {})


@pytest.mark.parametrize("how", ["fetched", "touched", "not fetched", "fail"])
def test_a_new_version_stands_beside_what_is_there(how: str) -> None:
    """Every finished file stays as it is, and the new one stands beside it and is told of."""
    path, mine = f"{TARGET}/one.txt", b"one"
    world = network()
    disk = world.disks["asker"]
    if how == "not fetched":
        disk.files[path] = mine  # as the folder has it
    found(world)
    got(world, Get("1"))
    assert there(world) == FILES
    if how == "touched":
        disk.files[path] = mine = b"my own words"
    row = share(world, "source0", {**FILES, "one.txt": b"new", "again.txt": b"one"})
    assert row.link is not None
    if how == "fail":
        call = world.ask("asker", "leaf.get", Get(row.link, exists="fail"))
        world.advance(30.0)
        assert isinstance(world.outcome(call), Fail)
        assert there(world) == FILES
        return
    second = got(world, Get(row.link))
    assert there(world) == {**FILES, "one.txt": mine, "one (1).txt": b"new"}
    assert (second.beside, second.first_beside) == (1, f"{TARGET}/one (1).txt")


def test_every_version_stays_after_a_restart() -> None:
    """The next one finds its place beside all that came before, and is told of once more."""
    world = network()
    found(world)
    got(world, Get("1"))
    for number in range(2):
        row = share(world, "source0", {**FILES, "one.txt": b"new %d" % number})
        world.advance(GATHER_S + 5.0)
        world.kill("asker")
        restarted(world, epoch=2 + number)
        world.advance(5.0)
        assert row.link is not None
        assert got(world, Get(row.link)).beside == 1
    assert len(rows(world)) == 1
    kept = {path: data for path, data in there(world).items() if path.startswith("one")}
    assert sorted(kept.values()) == [b"new 0", b"new 1", b"one"]


def test_a_file_that_was_only_moved_is_copied() -> None:
    """Its content is here: nothing but the new manifest comes from others."""
    world = network()
    found(world)
    assert got(world, Get("1")).copied is None
    moved = {f"moved/{path}": data for path, data in FILES.items()}
    row = share(world, "source0", moved)
    assert row.link is not None
    result = got(world, Get(row.link))
    assert (result.bytes_received, result.sources) == (row.size, 1)
    assert result.copied == len(moved) - 1  # an empty one comes from nobody
    assert there(world) == {**FILES, **moved}


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


@pytest.mark.parametrize("again", [False, True])
def test_patterns_that_match_nothing_change_nothing(again: bool) -> None:
    """What was fetched stays so, over restarts too; nothing new is listed."""
    world = network()
    found(world)
    got(world, Get("1"))
    disk, before = world.disks["asker"], rows(world)
    kept = dict(disk.folders), dict(disk.files)
    call = world.ask("asker", "leaf.get", Get("1", "" if again else "/other", only=["*.exe"]))
    world.advance(10.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.NOTHING_FOUND
    assert rows(world) == before
    assert (disk.folders, disk.files) == kept  # the manifest too, which is served
    world.kill("asker")
    restarted(world)
    world.advance(3.0)
    assert rows(world) == before
    found(world)
    assert got(world, Get("1", only=["*.txt"])).files == 2


def test_patterns_that_match_nothing_leave_no_new_folder() -> None:
    """Who waits is told; of a detached one the list says why it failed."""
    world = network()
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", only=["*.exe"]))
    world.advance(10.0)
    assert isinstance(world.outcome(call), Fail)
    assert rows(world) == []
    assert world.disks["asker"].folders == {}
    world.ask("asker", "leaf.get", Get("1", only=["*.exe"], detach=True))
    world.advance(10.0)
    ((state, reason),) = [(row.state, row.reason) for row in rows(world)]
    assert (state, reason[:14]) == ("failed", "None of its 5 ")


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
    for name, wait_s in (("b.txt", 0.1), ("b.folder", 10.0)):  # by its name, or by its content
        call = world.ask("asker", "leaf.get", Get(pretend(world, name.encode(), name), only=["*"]))
        world.advance(wait_s)
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
