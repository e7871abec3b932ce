"""Downloads in order as people ask for them: what is told, kept, joined and left alone."""

import pytest

from common.content.torrent import file_id
from common.core import Fail
from common.errors import Exit
from common.storage import Restored
from leaf.methods import Chosen, Get, GetProgress, GetResult
from leaf.role import Leaf
from leaf.swarm.download import Download
from leaf.swarm.readahead import AHEAD_BYTES_MIN, AHEAD_S
from tests.leaf_scene import MIB, content, found, network, rows, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of

DATA = content(10 * MIB)
PART = "/downloads/blue note.mp3.part"
TARGET = "/downloads/blue note.mp3"


def the_download(world: World) -> Download:
    """The only one of the asker."""
    leaf = world.nodes["asker"]
    assert isinstance(leaf, Leaf)
    (download,) = leaf._downloads.roster.by_number.values()
    return download


def ready(world: World) -> int:
    """How many bytes can be read from the first on; they are what was shared."""
    path, count = the_download(world).readable
    disk = world.disks["asker"]
    if path:
        assert path == PART
        part = disk.parts.get(TARGET)  # or it has just got its name
        assert (part.data if part else disk.files[TARGET])[:count] == DATA[:count]
    return count


def streaming(world: World) -> int:
    """A get in order, when some of it can be read."""
    found(world)
    call = world.ask("asker", "leaf.get", Get("1", stream=True))
    while not ready(world):
        world.advance(0.001)
    return call


def test_what_can_be_read_grows_in_order() -> None:
    """Never a byte that is not proven, never fewer than before, and soon after the first piece."""
    world = network(DATA, sources=3)
    call = streaming(world)
    counts = [ready(world)]
    while world.outcome(call) is None:
        download = the_download(world)
        if download.readable[0]:
            counts.append(ready(world))
            ahead = max(AHEAD_BYTES_MIN, download.rate(world.now) * AHEAD_S)
            assert download.done_bytes - counts[-1] <= ahead
        world.advance(0.001)
    assert counts == sorted(counts)
    assert len(set(counts)) > 2  # it came in several steps
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.path, result.verified, result.bytes_received) == (TARGET, True, len(DATA))
    assert world.disks["asker"].files[TARGET] == DATA


def test_only_who_streams_is_told_where_to_read() -> None:
    """With the path of the part and how far it is proven; others hear of neither."""
    for stream in (True, False):
        world = network(DATA, sources=1)
        found(world)
        call = world.ask("asker", "leaf.get", Get("1", stream=stream))
        while not the_download(world).done_bytes:
            world.advance(0.001)
        world.mute["source0"] = None
        world.advance(1.0)
        (*_, told) = [each for each in world.told(call) if isinstance(each, GetProgress)]
        assert 0 < told.done_bytes < told.size
        shown = the_download(world).readable if stream else ("", 0)
        assert (told.part, told.ready_bytes) == shown


def test_it_comes_in_order_after_a_restart_too() -> None:
    """What was begun in order goes on in order, from where it was."""
    world = network(DATA, sources=1)
    streaming(world)
    before = ready(world)
    world.kill("asker")
    restored = Restored(downloads=tuple(world.disks["asker"].records.values()))
    assert [each.is_streamed for each in restored.downloads] == [True]
    world.leaf("asker", seed_of(world), restored=restored, epoch=2)
    while ready(world) <= before:
        world.advance(0.001)
    download = the_download(world)
    assert download.done_bytes - ready(world) <= AHEAD_BYTES_MIN
    world.advance(60.0)
    assert world.disks["asker"].files[TARGET] == DATA


@pytest.mark.parametrize("detach", [True, False])
def test_what_is_under_way_can_be_streamed_from_then_on(detach: bool) -> None:
    """Who joins a download with --stream has it come in order for all, over restarts too; who
    joins one without changes nothing."""
    world = network(DATA, sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    assert not the_download(world).record.is_streamed
    world.ask("asker", "leaf.get", Get("1", stream=True, detach=detach))
    world.ask("asker", "leaf.get", Get("1"))
    assert the_download(world).record.is_streamed
    assert world.disks["asker"].records[1].is_streamed
    world.advance(30.0)
    assert world.disks["asker"].files[TARGET] == DATA


def test_a_file_that_is_there_needs_no_part() -> None:
    """The answer names it at once, proven."""
    world = network(content(MIB), sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(10.0)
    call = world.ask("asker", "leaf.get", Get("1", stream=True))
    world.advance(1.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.path, result.verified, result.bytes_received) == (TARGET, True, 0)


def test_who_reads_may_leave() -> None:
    """The download goes on; without any source the wait for the first byte ends as always."""
    world = network(DATA, sources=1)
    call = streaming(world)
    world.leave("asker", call)
    world.advance(30.0)
    assert world.outcome(call) is None
    assert [row.state for row in rows(world)] == ["done"]
    nowhere = file_id(tree_of(b"x").root, 1)
    call = world.ask("asker", "leaf.get", Get(nowhere, stream=True, timeout=5.0))
    world.advance(6.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE


def test_a_pause_keeps_what_can_be_read() -> None:
    """What is proven stays proven, and it goes on from there."""
    world = network(DATA, sources=1)
    call = streaming(world)
    before = ready(world)
    world.ask("asker", "leaf.pause", Chosen())
    world.advance(20.0)
    assert ready(world) >= before
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(20.0)
    assert isinstance(world.outcome(call), GetResult)
