"""Downloads when something is not as it was: disks, pauses, places, and ends."""

import pytest

from common.content.torrent import file_id
from common.core import Fail, Notify, Stopped
from common.errors import Exit
from common.storage import DownloadRecord, PartFailed, Restored
from leaf.methods import (
    Chosen,
    Get,
    GetResult,
    HitRow,
    Nothing,
    Remove,
    Search,
    SearchResult,
    Share,
    Status,
)
from tests.leaf_scene import MIB, begun, content, found, network, rows, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of


@pytest.mark.parametrize("fault", ["full", "unsound"])
def test_a_failing_disk_loses_what_was_being_written(fault: str) -> None:
    """What the disk did not take is fetched again; full pauses, and a sync fails only so often."""
    data = content(8 * MIB)
    world = network(data, sources=1)
    call = begun(world)
    setattr(world.disks["asker"], fault, True)
    world.advance(4.0)
    assert [row.state for row in rows(world)] == ["paused"]
    world.advance(60.0)
    if fault == "full":
        assert [(row.state, row.reason) for row in rows(world)] == [
            ("paused", "The disk is full. Make room.")
        ]
    else:
        failed = world.outcome(call)
        assert isinstance(failed, Fail)
        assert (failed.code, failed.message) == (Exit.DISK, "It broke.")
    setattr(world.disks["asker"], fault, False)
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(10.0)
    assert [row.state for row in rows(world)] == ["done"]
    assert world.disks["asker"].files["/downloads/blue note.mp3"] == data


def test_a_pause_with_data_in_flight_accuses_nobody() -> None:
    """The only, honest source is fetched from again, whatever was on its way."""
    world = network(content(10 * MIB), sources=1)
    call = begun(world)
    for _ in range(5):
        world.ask("asker", "leaf.pause", Chosen())
        world.ask("asker", "leaf.resume", Chosen())
        world.advance(0.003)
    world.advance(20.0)
    assert isinstance(world.outcome(call), GetResult)
    assert not [each for each in world.all(Notify, "asker") if each.name == "source_dropped"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("when", ["under way", "paused", "next life"])
def test_rm_deletes_the_part_only_if_asked_to(when: str) -> None:
    """With `delete_data` the partial file goes, open or not; without it stays."""
    for delete in (True, False):
        world = network(content(10 * MIB), sources=1)
        begun(world)
        (download,) = rows(world)
        if when == "paused":
            world.ask("asker", "leaf.pause", Chosen())
            world.advance(1.0)
        elif when == "next life":
            world.ask("asker", "leaf.pause", Chosen())
            world.kill("asker")
            restored = Restored(downloads=tuple(world.disks["asker"].records.values()))
            world.leaf("asker", seed_of(world), restored=restored, epoch=2)
        world.ask("asker", "leaf.rm", Remove(download.id, delete_data=delete))
        world.advance(1.0)
        assert rows(world) == []
        assert bool(world.disks["asker"].parts) is not delete


def test_rm_of_nothing_is_refused() -> None:
    """An empty id never means all of them."""
    world = network(content(MIB), sources=1)
    begun(world)
    failed = world.outcome(world.ask("asker", "leaf.rm", Remove("")))
    assert isinstance(failed, Fail)
    assert failed.code is Exit.USAGE
    assert len(rows(world)) == 1


@pytest.mark.parametrize("gave", [True, False])
def test_patience_begins_with_the_last_byte(gave: bool) -> None:
    """A get that had bytes a moment ago waits its whole time for another source; one of whose
    source nothing has come does not wait for longer because that is gone."""
    world = network(content(10 * MIB), sources=1)
    if not gave:
        world.mute["source0"] = None
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", timeout=10.0))
    while gave and not world.disks["asker"].written_bytes:
        world.advance(0.01)
    world.advance(0.0 if gave else 5.0)
    world.kill("source0")
    world.advance(9.5 if gave else 4.5)
    assert world.outcome(call) is None
    world.advance(1.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE


def test_a_renamed_download_is_found_again() -> None:
    """The second get names the path it got and receives nothing; if it is gone it is fetched."""
    data = content(MIB)
    world = network(data, sources=1)
    disk = world.disks["asker"]
    disk.files["/downloads/blue note.mp3"] = b"mine"
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    for bytes_received in (0, len(data)):
        call = world.ask("asker", "leaf.get", Get("1"))
        world.advance(5.0)
        result = world.outcome(call)
        assert isinstance(result, GetResult)
        assert (result.path, result.verified) == ("/downloads/blue note (1).mp3", True)
        assert result.bytes_received == bytes_received
        assert len(rows(world)) == 1
        disk.files.pop("/downloads/blue note (1).mp3")


def test_who_waits_for_a_look_is_answered() -> None:
    """Even if the download is removed, or the leaf stops, before the disk has looked."""
    for removed in (True, False):
        world = network(content(MIB), sources=1)
        found(world)
        world.ask("asker", "leaf.get", Get("1"))
        world.advance(5.0)
        (download,) = rows(world)
        call = world.ask("asker", "leaf.get", Get("1"))
        if removed:
            world.ask("asker", "leaf.rm", Remove(download.id))
        else:
            world.feed("asker", Stopped(5.0))
        failed = world.outcome(call)
        assert isinstance(failed, Fail)
        assert failed.code is Exit.UNFINISHED


def test_another_place_for_what_is_under_way_is_refused() -> None:
    """It goes to one place; the sentence names it, and no name joins it."""
    world = network(content(3 * MIB), sources=1)
    first = begun(world)
    failed = world.outcome(world.ask("asker", "leaf.get", Get("1", to="/elsewhere/x.mp3")))
    assert isinstance(failed, Fail)
    assert failed.code is Exit.REFUSED
    assert "/downloads/blue note.mp3" in failed.message
    same = world.ask("asker", "leaf.get", Get("1", to="/downloads", into=True))
    world.advance(10.0)
    assert isinstance(world.outcome(first), GetResult)
    assert isinstance(world.outcome(same), GetResult)
    call = world.ask("asker", "leaf.get", Get("1", to="/elsewhere/x.mp3"))
    world.advance(10.0)
    assert isinstance(world.outcome(call), GetResult)
    assert "/elsewhere/x.mp3" in world.disks["asker"].files


def test_sources_named_while_it_rests_are_kept() -> None:
    """A paused download knows, when it goes on, who was named meanwhile."""
    data = content(3 * MIB)
    what = file_id(tree_of(data).root, len(data))
    world = network(b"something else", sources=1)
    world.ask("asker", "leaf.get", Get(what, detach=True))
    world.advance(1.0)
    world.ask("asker", "leaf.pause", Chosen())
    world.leaf("late", seed_of(world), files={"music/blue note.mp3": data})
    world.advance(3.0)
    found(world)
    world.kill("s")  # nobody else can be asked
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(10.0)
    assert [row.state for row in rows(world)] == ["done"]


def test_a_restored_download_is_copied_from_our_own_share() -> None:
    """What is found in a share of ours later needs nobody else, nor a parent."""
    data = content(3 * MIB)
    world = World()
    record = DownloadRecord(
        1, tree_of(data).root, len(data), "/downloads/b.mp3", "rename", "queued"
    )
    world.leaf("alone", files={"a.mp3": data}, restored=Restored(downloads=(record,)))
    world.advance(5.0)
    assert world.disks["alone"].files == {"/downloads/b.mp3": data}


def hits_of(world: World, name: str) -> list[HitRow]:
    """What a leaf finds under a word of the file."""
    call = world.ask(name, "leaf.search", Search(["blue"]))
    world.advance(1.0)
    result = world.outcome(call)
    assert isinstance(result, SearchResult)
    return result.hits


def finished_and_removed() -> World:
    """Only the asker had fetched the file, and it is deleted there; 'third' has found it."""
    world = network(content(MIB), sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    world.kill("source0")
    world.advance(10.0)  # its lease is over
    world.leaf("third", seed_of(world))
    world.advance(3.0)
    (hit,) = hits_of(world, "third")
    assert hit.sources == 1
    world.disks["asker"].files.clear()
    return world


def test_a_fetched_file_that_was_deleted_is_withdrawn() -> None:
    """Who reads it in vain is the last: it is found no more, and shown as gone."""
    world = finished_and_removed()
    call = world.ask("third", "leaf.get", Get("1", timeout=8.0))
    world.advance(7.0)
    assert hits_of(world, "third") == []
    assert [(row.state, row.reason) for row in rows(world)] == [("done", "the file is gone")]
    status = world.outcome(world.ask("asker", "leaf.status", Nothing()))
    assert isinstance(status, Status)
    assert status.fetched_files == 0
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE


def test_a_fetched_file_with_another_date_is_looked_at_and_served() -> None:
    """The disk does not read what was touched before it has looked: it is the same."""
    world = finished_and_removed()
    files = world.disks["asker"].files
    feed = PartFailed(1, "changed", "/downloads/blue note.mp3 changed.", "")
    files["/downloads/blue note.mp3"] = content(MIB)
    world.feed("asker", feed)
    world.advance(1.0)
    call = world.ask("third", "leaf.get", Get("1"))
    world.advance(10.0)
    assert isinstance(world.outcome(call), GetResult)
    assert [(row.state, row.reason) for row in rows(world)] == [("done", "")]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_sources_that_only_refuse_are_no_reason_to_wait(kind: str) -> None:
    """Each names the file and never gives a byte: who asked is let go in time."""
    world = network(content(MIB), sources=1)
    if kind == "folder":
        world.disks["source0"].shares["/s/music"] = {"a.bin": content(MIB, 2)}
        world.ask("source0", "leaf.share", Share(["/s/music"], as_folder=True, wait=True))
        world.advance(5.0)
        words = ["music", "folder"]
    else:
        words = ["blue", "music"]
    world.ask("asker", "leaf.search", Search(words))
    world.advance(2.0)
    for files in world.disks["source0"].shares.values():
        files.clear()  # and nobody tells the leaf
    call = world.ask("asker", "leaf.get", Get("1", timeout=20.0))
    world.advance(19.0)
    assert world.outcome(call) is None
    world.advance(1.5)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code in (Exit.UNREACHABLE, Exit.TIMED_OUT)


def test_a_finished_file_that_is_gone_is_not_served() -> None:
    """After a restart it is still listed, with the reason; nothing is made in its place."""
    for there in (True, False):
        data = content(MIB)
        world = network(data, sources=1)
        found(world)
        world.ask("asker", "leaf.get", Get("1"))
        world.advance(5.0)
        disk = world.disks["asker"]
        world.kill("asker")
        if not there:
            disk.files.clear()
        restored = Restored(downloads=tuple(disk.records.values()))
        world.leaf("asker", seed_of(world), restored=restored, epoch=2)
        world.advance(3.0)
        (row,) = rows(world)
        assert (row.state, row.reason) == ("done", "" if there else "the file is gone")
        call = world.ask("asker", "leaf.search", Search(["blue"]))
        world.advance(1.0)
        result = world.outcome(call)
        assert isinstance(result, SearchResult)
        assert [hit.sources for hit in result.hits] == [1 + there]
        assert disk.parts == {}
