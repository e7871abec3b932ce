"""Leaves that fetch from one another, through a real super-peer, in virtual time."""

import pytest

from common.config import Config, SwarmConfig
from common.core import Fail, Notify
from common.errors import Exit
from common.ids import node_text
from common.limits import REQUEST_BYTES_MAX
from common.messages.swarm import Piece, Request
from leaf.methods import Get, GetProgress, GetResult, WhyOf
from leaf.reasons import Why
from tests.leaf_scene import MIB, begun, content, found, network, rows, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, MIB + 1, 5 * MIB + 77])
def test_fetches_a_found_file(size: int) -> None:
    """A file of any size is found, fetched by its number, and is what was shared."""
    data = content(size)
    world = network(data, sources=1)
    hits = found(world).hits
    assert [(hit.name, hit.size, hit.sources) for hit in hits] == [("blue note.mp3", size, 1)]
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(10.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.path, result.verified) == ("/downloads/blue note.mp3", True)
    assert result.bytes_received == size
    assert world.disks["asker"].files[result.path] == data


def test_a_liar_among_three_sources_is_dropped() -> None:
    """With one of three sources sending wrong bytes the file is right, and the liar is named."""
    data = content(12 * MIB)
    world = network(data, sources=3)
    world.liars["source1"] = None
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(60.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert world.disks["asker"].files[result.path] == data
    assert result.sources == 2
    drops = [each for each in world.all(Notify, "asker") if each.name == "source_dropped"]  # type: ignore[attr-defined]
    assert len(drops) == 1
    asked = [m for a, to, m in world.sent if to == "source1" and isinstance(m, Request)]
    assert sum(each.length for each in asked) <= 4 * REQUEST_BYTES_MAX


def test_only_liars_is_content_that_failed_verification() -> None:
    """Where every source lies the asker is told so, with exit code 5."""
    world = network(content(3 * MIB), sources=1)
    world.liars["source0"] = None
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(60.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.CORRUPT
    assert not world.disks["asker"].files


def test_several_sources_share_the_work() -> None:
    """No piece is sent twice while all sources are well, and each sends some."""
    data = content(10 * MIB)
    world = network(data, sources=3)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(30.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert (result.sources, result.bytes_received) == (3, len(data))
    assert world.disks["asker"].written_bytes == len(data)


def test_a_source_that_dies_is_replaced() -> None:
    """When a source dies in the middle, the others send what it owed."""
    data = content(10 * MIB)
    world = network(data, sources=2)
    call = begun(world)
    world.kill("source0")
    world.advance(60.0)
    assert isinstance(world.outcome(call), GetResult)
    assert tree_of(world.disks["asker"].files["/downloads/blue note.mp3"]) == tree_of(data)


def test_a_silent_source_loses_what_it_owes() -> None:
    """A source that sends nothing keeps nothing from the others, nor them from the end."""
    data = content(10 * MIB)
    world = network(data, sources=2)
    call = begun(world)
    world.mute["source0"] = None
    world.advance(30.0)
    assert isinstance(world.outcome(call), GetResult)


def test_partial_holders_serve() -> None:
    """Two leaves that fetch the same file give one another what the only source sent once."""
    data = content(10 * MIB)
    world = network(data, sources=1)
    world.leaf("other", seed_of(world))
    world.advance(2.0)
    for name in ("asker", "other"):
        begun(world, name)
    world.advance(60.0)
    assert [rows(world, name)[0].state for name in ("asker", "other")] == ["done", "done"]
    between = [m for a, to, m in world.sent if isinstance(m, Piece) and a in ("asker", "other")]
    assert between


def test_our_own_file_is_copied_by_the_same_way() -> None:
    """A leaf that shares a file can get it into its downloads, from itself; it is told so, once."""
    data = content(2 * MIB)
    world = network(data, sources=1)
    found(world, "source0")
    call = world.ask("source0", "leaf.get", Get("1"))
    world.advance(10.0)
    got = world.outcome(call)
    assert isinstance(got, GetResult)
    assert (got.sources, got.bytes_received, got.verified, got.copied) == (0, 0, True, 1)
    again = world.ask("source0", "leaf.get", Get("1"))
    world.advance(10.0)
    there = world.outcome(again)
    assert isinstance(there, GetResult)
    assert (there.path, there.copied) == (got.path, None)
    assert {told.sources for told in world.told(call) if isinstance(told, GetProgress)} <= {0}


def test_why_names_ourselves_no_source() -> None:
    """A file that is here is listed by who else has it, not by our own key."""
    world = network(content(2 * MIB), sources=1)
    what = found(world).hits[0].id
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(10.0)
    told = world.outcome(world.ask("asker", "leaf.why", WhyOf(what)))
    assert isinstance(told, Why)
    assert node_text(world.node("asker")) not in [row.node for row in told.sources]
    assert told.counts.known == len(told.sources)


def test_a_file_that_changed_is_not_served() -> None:
    """A shared file edited after hashing is rejected, and nothing wrong is stored."""
    world = network(content(4 * MIB), sources=1)
    found(world)
    world.disks["source0"].shares["/share"]["music/blue note.mp3"] = content(4 * MIB, seed=2)
    call = world.ask("asker", "leaf.get", Get("1", timeout=10.0))
    world.advance(40.0)
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE
    assert world.disks["asker"].written_bytes == 0


def test_what_is_on_its_way_stays_within_the_allotment() -> None:
    """Bytes asked for and not yet stored never exceed what the settings allow."""
    data = content(10 * MIB)
    world = World()
    at = world.superpeer("s")
    for number in range(3):
        world.leaf(f"source{number}", at, files={"music/blue note.mp3": data})
    swarm = SwarmConfig(writes_bytes_max=4 * MIB)
    world.leaf("asker", at, config=Config(swarm=swarm))
    world.advance(3.0)
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    most = 0
    for _ in range(400):
        world.advance(0.001)
        asked = sum(m.length for a, _, m in world.sent if isinstance(m, Request))
        most = max(most, asked - world.disks["asker"].written_bytes)
    world.advance(10.0)
    assert isinstance(world.outcome(call), GetResult)
    assert most <= 4 * MIB + REQUEST_BYTES_MAX


def test_the_same_seed_plays_the_same() -> None:
    """A run is a function of its seed."""

    def story(seed: int) -> list[str]:
        world = network(content(6 * MIB), sources=2, seed=seed)
        found(world)
        world.ask("asker", "leaf.get", Get("1"))
        world.advance(5.0)
        return [repr(each) for each in world.sent]

    assert story(3) == story(3)
