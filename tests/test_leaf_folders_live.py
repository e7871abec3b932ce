"""Folders under way: waited for, paused, resumed, removed, over restarts and trouble."""

import pytest

from common.content.torrent import file_id
from common.core import Exited, Fail, Stopped
from common.errors import Exit
from leaf.downloads import fetchedfolder, foldergets
from leaf.methods import (
    Chosen,
    Get,
    GetProgress,
    GetResult,
    Remove,
)
from tests.folder_scene import (
    FILES,
    TARGET,
    found,
    going,
    got,
    network,
    outside,
    restarted,
    rows,
    share,
    there,
)
from tests.leaf_scene import MIB, content, seed_of
from tests.memory_disk import tree_of


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


def test_a_folder_of_which_nothing_can_be_stored_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After some files, not after all; once that is mended it is tried again."""
    monkeypatch.setattr(foldergets, "FAILURES_MAX", 5)
    files = {f"{number}.txt": b"%d" % number for number in range(200)}
    world = network(files)
    disk = world.disks["asker"]
    disk.files.update({f"{TARGET}/{path}": b"mine" for path in files})
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", exists="fail"))
    world.advance(20.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert (failed.code, failed.message[:31]) == (Exit.DISK, "5 of 200 files are missing. 0.t")
    assert len(disk.records) < 40
    for path in files:
        del disk.files[f"{TARGET}/{path}"]
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(60.0)
    assert [row.state for row in rows(world)] == ["done"]
    assert there(world) == files


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


def test_who_waits_for_a_paused_folder_is_answered_by_another_get() -> None:
    """It goes on for both."""
    world = network({f"{number}.bin": content(4 * MIB, number) for number in range(3)})
    found(world)
    first = world.ask("asker", "leaf.get", Get("1"))
    going(world)
    world.ask("asker", "leaf.pause", Chosen())
    world.advance(1.0)
    second = world.ask("asker", "leaf.get", Get("1"))
    world.advance(60.0)
    assert isinstance(world.outcome(first), GetResult)
    assert isinstance(world.outcome(second), GetResult)
    assert world.disks["asker"].written_bytes < 12 * MIB + 10_000


def test_stopping_while_files_are_looked_at_loses_nothing() -> None:
    """What cannot be answered any more fails no folder; it is whole in the next life."""
    world = network()
    found(world)
    got(world, Get("1"))
    for moment in range(12):
        world.ask("asker", "leaf.get", Get("1"))
        world.advance(moment * 0.001)
        world.feed("asker", Stopped(5.0))
        restarted(world, epoch=moment + 2)
        world.advance(10.0)
        assert [each.state for each in rows(world)] == ["done"]
        found(world)
    assert there(world) == FILES


def test_a_folder_that_failed_shows_how_far_it_is_after_a_restart() -> None:
    """And is tried again when it is resumed."""
    world = network()
    world.disks["asker"].files[f"{TARGET}/one.txt"] = b"mine"
    found(world)
    world.ask("asker", "leaf.get", Get("1", exists="fail"))
    world.advance(20.0)
    world.kill("asker")
    restarted(world)
    world.advance(5.0)
    (row,) = rows(world)
    assert (row.state, row.done_bytes, row.size) == ("failed", row.size - 3, 250_006)
    del world.disks["asker"].files[f"{TARGET}/one.txt"]
    world.ask("asker", "leaf.resume", Chosen(row.id))
    world.advance(30.0)
    assert [each.state for each in rows(world)] == ["done"]
    assert there(world) == FILES
