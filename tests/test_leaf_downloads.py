"""Downloads as people meet them: waiting, pausing, going on, ending."""

import pytest

from common.content.torrent import file_id
from common.core import Exited, Fail, Stopped
from common.errors import Exit
from common.storage import Restored
from leaf.methods import (
    Chosen,
    Get,
    GetProgress,
    GetResult,
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


def test_resumes_after_a_crash() -> None:
    """A killed leaf goes on where it was, and asks for nothing twice."""
    data = content(10 * MIB)
    world = network(data, sources=1)
    begun(world)
    assert world.disks["asker"].written_bytes < len(data)
    world.kill("asker")
    restored = Restored(downloads=tuple(world.disks["asker"].records.values()))
    world.leaf("asker", seed_of(world), restored=restored, epoch=2)
    world.advance(60.0)
    assert [row.state for row in rows(world)] == ["done"]
    assert world.disks["asker"].files["/downloads/blue note.mp3"] == data
    assert world.disks["asker"].written_bytes == len(data)


def test_pause_and_resume() -> None:
    """A paused download rests until it is resumed, and its asker hears of it."""
    data = content(10 * MIB)
    world = network(data, sources=1)
    call = begun(world)
    world.ask("asker", "leaf.pause", Chosen())
    world.advance(1.0)
    before = world.disks["asker"].written_bytes
    world.advance(300.0)
    assert [row.state for row in rows(world)] == ["paused"]
    assert world.disks["asker"].written_bytes == before
    assert world.outcome(call) is None
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(10.0)
    assert isinstance(world.outcome(call), GetResult)
    states = [each.state for each in world.told(call) if isinstance(each, GetProgress)]
    assert "paused" in states
    assert len(states) < 20  # it is told of changes only


def test_who_only_wants_the_same_is_no_source() -> None:
    """Two that want what nobody has know one another, and are let go as if nobody were there."""
    data = content(MIB)
    world = network(b"something else", sources=1)
    what = file_id(tree_of(data).root, len(data))
    world.leaf("other", seed_of(world))
    world.advance(2.0)
    world.ask("other", "leaf.get", Get(what, timeout=50.0))
    world.advance(1.0)
    call = world.ask("asker", "leaf.get", Get(what, timeout=5.0))
    world.advance(3.0)
    assert [row.reason for row in rows(world)] == ["nobody who can be reached has it yet"]
    world.advance(3.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE


def test_no_source_ends_the_wait_but_not_the_download() -> None:
    """Without a source the asker is let go with exit code 6; one that comes later is used."""
    data = content(MIB)
    world = network(b"something else", sources=1)
    what = file_id(tree_of(data).root, len(data))
    call = world.ask("asker", "leaf.get", Get(what, timeout=5.0))
    world.advance(4.0)
    assert world.outcome(call) is None
    world.advance(2.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE
    assert "queue" in failed.hint
    assert [row.reason for row in rows(world)] == ["no source is reachable yet"]
    world.leaf("late", seed_of(world), files={"late.bin": data})
    world.advance(60.0)
    assert [row.state for row in rows(world)] == ["done"]


def test_finished_downloads_are_shared_until_removed() -> None:
    """What was fetched is found at the fetcher too; `rm` ends that and keeps the file."""
    data = content(MIB)
    world = network(data, sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    world.kill("source0")
    world.advance(10.0)  # its lease is over
    call = world.ask("asker", "leaf.search", Search(["blue"]))
    world.advance(1.0)
    result = world.outcome(call)
    assert isinstance(result, SearchResult)
    assert [hit.sources for hit in result.hits] == [1]
    world.ask("asker", "leaf.rm", Remove(result.hits[0].id, delete_data=True))
    world.advance(2.0)
    call = world.ask("asker", "leaf.search", Search(["blue"]))
    world.advance(1.0)
    result = world.outcome(call)
    assert isinstance(result, SearchResult)
    assert result.hits == []
    assert world.disks["asker"].files == {"/downloads/blue note.mp3": data}


def test_what_was_fetched_is_counted_as_shared() -> None:
    """Until `rm`: apart from the files of shares, so that both numbers are true."""
    data = content(MIB)
    world = network(data, sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)

    def counted() -> tuple[int, int, int]:
        status = world.outcome(world.ask("asker", "leaf.status", Nothing()))
        assert isinstance(status, Status)
        return status.shared_files, status.fetched_files, status.fetched_bytes

    assert counted() == (0, 1, len(data))
    world.ask("asker", "leaf.rm", Remove(rows(world)[0].id))
    assert counted() == (0, 0, 0)


def test_a_full_disk_pauses_and_goes_on_by_itself() -> None:
    """Who waits is told, exit 8; the download is paused with the reason and ends by itself."""
    data = content(8 * MIB)
    world = network(data, sources=1)
    found(world)
    world.disks["asker"].full = True
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(20.0)
    assert [(row.state, row.reason) for row in rows(world)] == [
        ("paused", "The disk is full. Make room.")
    ]
    told = world.outcome(call)
    assert isinstance(told, Fail)
    assert told.code == Exit.DISK
    world.disks["asker"].full = False
    world.advance(10.0)
    assert [row.state for row in rows(world)] == ["done"]


def test_the_same_content_at_the_target_needs_no_byte() -> None:
    """A second get of a finished file is done at once with nothing received."""
    world = network(content(MIB), sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.path, result.bytes_received) == ("/downloads/blue note.mp3", 0)
    assert len(rows(world)) == 1


def test_what_is_in_the_way_fails_only_if_asked_to() -> None:
    """Another file at the target: `fail` exits 8, `skip` leaves it, `rename` takes another name."""
    data = content(MIB)
    world = network(data, sources=1)
    target = "/downloads/blue note.mp3"
    world.disks["asker"].files[target] = b"mine"
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", exists="fail"))
    world.advance(5.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.DISK
    call = world.ask("asker", "leaf.get", Get("1", exists="skip"))
    world.advance(5.0)
    skipped = world.outcome(call)
    assert isinstance(skipped, GetResult)
    assert (skipped.path, skipped.verified) == (target, False)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    renamed = world.outcome(call)
    assert isinstance(renamed, GetResult)
    assert renamed.path == "/downloads/blue note (1).mp3"
    assert world.disks["asker"].files == {target: b"mine", renamed.path: data}


@pytest.mark.parametrize("to", ["", "/d/", "/d/own.bin"])
def test_a_file_by_its_id_is_called_as_its_sources_call_it(to: str) -> None:
    """Unless a name was given; the same again is there already."""
    data = content(MIB)
    world = network(data, sources=1)
    what = file_id(tree_of(data).root, len(data))
    path = to if to.endswith(".bin") else f"{to.rstrip('/') or '/downloads'}/blue note.mp3"
    for received in (len(data), 0):
        call = world.ask("asker", "leaf.get", Get(what, to, into=to.endswith("/")))
        world.advance(10.0)
        result = world.outcome(call)
        assert isinstance(result, GetResult)
        assert (result.path, result.bytes_received) == (path, received)
    assert world.disks["asker"].files == {path: data}


def test_what_was_skipped_is_shown_as_that() -> None:
    """Nothing of it is here, also after a restart; wanted in another way, it is fetched."""
    data = content(MIB)
    world = network(data, sources=1)
    disk = world.disks["asker"]
    disk.files["/downloads/blue note.mp3"] = b"mine"
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", exists="skip"))
    world.advance(5.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.verified, result.bytes_received) == (False, 0)
    for _ in range(2):
        ((state, done),) = [(row.state, row.done_bytes) for row in rows(world)]
        assert (state, done) == ("skipped", 0)
        world.kill("asker")
        restored = Restored(downloads=tuple(disk.records.values()))
        world.leaf("asker", seed_of(world), restored=restored, epoch=2)
        world.advance(5.0)
    world.ask("asker", "leaf.get", Get(result.id, to="/downloads/blue note.mp3"))
    world.advance(10.0)
    assert [row.state for row in rows(world)] == ["done"]
    assert disk.files["/downloads/blue note.mp3"] == b"mine"


def test_a_size_that_is_known_to_be_wrong_is_refused() -> None:
    """At once, with the right id; nothing blocks the file then."""
    data = content(MIB)
    world = network(data, sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    root = tree_of(data).root
    call = world.ask("asker", "leaf.get", Get(file_id(root, len(data) + 1), "/d/x"))
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert (failed.code, failed.hint) == (Exit.USAGE, f"Its id is {file_id(root, len(data))}.")
    call = world.ask("asker", "leaf.get", Get(file_id(root, len(data)), "/d/x"))
    world.advance(5.0)
    assert isinstance(world.outcome(call), GetResult)


def test_two_askers_of_one_file_wait_for_one_download() -> None:
    """A get of what is being fetched joins it."""
    data = content(8 * MIB)
    world = network(data, sources=1)
    found(world)
    calls = [world.ask("asker", "leaf.get", Get("1")) for _ in range(2)]
    world.advance(10.0)
    results = [world.outcome(call) for call in calls]
    assert all(isinstance(result, GetResult) for result in results)
    assert world.disks["asker"].written_bytes == len(data)


def test_detached_and_left_downloads_go_on() -> None:
    """Neither a detached asker nor one that leaves stops the fetching."""
    world = network(content(8 * MIB), sources=1)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", to="/elsewhere", into=True, detach=True))
    begun = world.outcome(call)
    assert isinstance(begun, GetResult)
    assert (begun.path, begun.verified) == ("/elsewhere/blue note.mp3", False)
    left = world.ask("asker", "leaf.get", Get("1"))
    world.leave("asker", left)
    world.advance(10.0)
    assert world.outcome(left) is None
    assert [row.state for row in rows(world)] == ["done"]


def test_stopping_says_goodbye_and_keeps_the_part() -> None:
    """A stopped leaf ends at once, and the next life goes on from its partial file."""
    data = content(10 * MIB)
    world = network(data, sources=1)
    begun(world)
    world.feed("asker", Stopped(5.0))
    assert world.all(Exited, "asker") == [Exited()]
    world.advance(1.0)
    before = world.disks["asker"].written_bytes
    restored = Restored(downloads=tuple(world.disks["asker"].records.values()))
    world.leaf("asker", seed_of(world), restored=restored, epoch=2)
    world.advance(10.0)
    assert before > 0
    assert world.disks["asker"].written_bytes == len(data)
    assert world.disks["asker"].files["/downloads/blue note.mp3"] == data


def test_share_and_wait_answers_when_the_parent_knows() -> None:
    """`share --wait` answers once all is hashed and acknowledged; without a parent it waits."""
    world = World()
    world.leaf("lonely", files={"a.txt": b"a"})
    call = world.ask("lonely", "leaf.share", Share([], wait=True))
    world.advance(30.0)
    assert world.outcome(call) is None
    at = world.superpeer("s")
    world.leaf("sharer", at)
    world.disks["sharer"].shares["/more"] = {"b/c.txt": b"c"}
    world.advance(2.0)
    call = world.ask("sharer", "leaf.share", Share(["/more"], wait=True))
    world.advance(2.0)
    answer = world.outcome(call)
    assert isinstance(answer, list)
    assert [(row.path, row.size) for row in answer] == [("/more/b/c.txt", 1)]
    hits = world.ask("sharer", "leaf.search", Search(["b", "txt"]))
    world.advance(1.0)
    result = world.outcome(hits)
    assert isinstance(result, SearchResult)
    assert len(result.hits) == 1


def test_a_download_that_stands_still_ends_the_wait_too() -> None:
    """Sources that are linked and send nothing are waited for no longer than none at all."""
    data = content(10 * MIB)
    world = network(data, sources=1)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", timeout=5.0))
    while not world.disks["asker"].written_bytes:
        world.advance(0.01)
    world.mute["source0"] = None
    world.advance(4.0)
    assert world.outcome(call) is None
    world.advance(2.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert (failed.code, failed.message) == (Exit.TIMED_OUT, "Nothing of it came within 5 s.")
    assert [row.state for row in rows(world)] == ["fetching"]
