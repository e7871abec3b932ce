"""The leaf as a whole: its status, its errors, its end."""

import pytest

from common.core import Answer, Asked, Bound, Exited, Fail, HostMeasured, Promoted, Stopped, Woke
from common.errors import Exit
from common.messages.link import Bye
from common.messages.table import TABLE, To
from leaf import tables
from leaf.methods import (
    METHODS,
    Get,
    GetResult,
    Nothing,
    Search,
    SearchResult,
    Share,
    Status,
    Stop,
)
from leaf.role import STOP_GRACE_S
from tests.leaf_scene import MIB, begun, content, found, network
from tests.leaf_world import World


def status(world: World, name: str) -> Status:
    """What `status` shows."""
    result = world.outcome(world.ask(name, "leaf.status", Nothing()))
    assert isinstance(result, Status)
    return result


def test_status_tells_what_it_is_and_has() -> None:
    """Identity, parent, shares, and what the host measured."""
    world = network(content(1000), sources=1)
    world.feed("source0", HostMeasured(123))
    shown = status(world, "source0")
    assert (shown.roles, shown.listen, shown.network) == (["leaf"], "10.0.0.2:1214", "test")
    assert shown.parent is not None
    assert shown.parent.address == "10.0.0.1:1214"
    assert (shown.shared_files, shown.shared_bytes, shown.rss_bytes) == (1, 1000, 123)
    assert (shown.parent_reason, shown.version, shown.heir) == ("", "1", None)
    world.feed("source0", Promoted(world.node("source0")))
    assert status(world, "source0").roles == ["leaf", "superpeer"]


def test_status_says_why_there_is_no_parent() -> None:
    """One sentence."""
    world = World()
    world.leaf("lonely")
    assert status(world, "lonely").parent is None
    assert status(world, "lonely").parent_reason == "no super-peer is given or known"


def test_what_a_person_cannot_have_is_a_failed_call() -> None:
    """A wrong wish is answered with one sentence and its exit code."""
    world = World()
    world.leaf("lonely")
    failed = world.outcome(world.ask("lonely", "leaf.search", Search(["blue"])))
    assert isinstance(failed, Fail)
    assert failed.code is Exit.UNREACHABLE
    assert status(world, "lonely").parent_reason in failed.message  # the present one
    failed = world.outcome(world.ask("lonely", "leaf.get", Get("3")))
    assert isinstance(failed, Fail)
    assert failed.code is Exit.USAGE


def test_every_method_and_message_has_a_taker() -> None:
    """The tables of the role are as long as those of the protocol."""
    own = {"leaf.status", "leaf.stop"}
    assert own | set(tables.METHODS) == set(METHODS)
    assert set(tables.MESSAGES) == {row.message for row in TABLE if row.to is To.LEAF}


def test_stop_ends_at_once_when_nothing_is_owed() -> None:
    """The call is answered, the parent hears goodbye, and the program may end."""
    world = network(content(1000), sources=1)
    call = world.ask("asker", "leaf.stop", Stop())
    assert isinstance(world.outcome(call), Nothing)
    assert world.all(Exited, "asker") == [Exited()]
    world = network(content(1000), sources=1)
    world.feed("source0", Stopped(5.0))
    assert "source0" not in world.nodes


@pytest.mark.parametrize("disk_answers", [True, False])
def test_a_file_being_finished_is_waited_for_within_the_grace(disk_answers: bool) -> None:
    """It gets its name before the end, unless the disk takes too long."""
    world = network(content(MIB), sources=1)
    call = begun(world)
    leaf = world.nodes["asker"]
    while world.disks["asker"].parts:
        world.advance(0.0005)
    assert world.outcome(call) is None  # finished on the disk, but the leaf does not know yet
    effects = leaf.handle(Stopped(STOP_GRACE_S), world.now)
    assert not any(isinstance(effect, Exited) for effect in effects)
    if disk_answers:
        world.advance(1.0)
        assert isinstance(world.outcome(call), GetResult)
    else:
        due = leaf.wakeup()
        assert due is not None
        failed, exited = leaf.handle(Woke(), due)
        assert isinstance(failed, Fail)
        assert (failed.call, failed.code, exited) == (call, Exit.UNFINISHED, Exited())
        assert leaf.wakeup() is None


def test_who_asks_after_the_end_is_refused() -> None:
    """A leaf that is leaving opens nothing any more, and says so; stopping it twice is fine."""
    world = network(content(MIB), sources=1)
    found(world)
    leaf = world.nodes["asker"]
    leaf.handle(Stopped(1.0), world.now)
    (refused,) = leaf.handle(Asked(91, "leaf.get", Get("1")), world.now)
    assert isinstance(refused, Fail)
    assert (refused.call, refused.code) == (91, Exit.REFUSED)
    assert leaf.handle(Asked(92, "leaf.stop", Stop()), world.now) == [Answer(92, Nothing())]
    assert leaf.handle(Bound(world.address("asker"), None), world.now) == []


def test_whoever_waits_is_answered_before_the_end() -> None:
    """A get and a share hear that they are unfinished, a search what it has found so far."""
    world = network(content(3 * MIB), sources=1)
    get = begun(world)
    share = world.ask("asker", "leaf.share", Share(["/nothing heard of"], wait=True))
    search = world.ask("asker", "leaf.search", Search(["blue"]))
    world.feed("asker", Stopped(STOP_GRACE_S))
    for call in (get, share):
        failed = world.outcome(call)
        assert isinstance(failed, Fail)
        assert failed.code is Exit.UNFINISHED
    found_so_far = world.outcome(search)
    assert isinstance(found_so_far, SearchResult)
    assert not found_so_far.coverage.complete
    assert world.effects[-1] == ("asker", Exited())


def test_the_parent_hears_a_goodbye() -> None:
    """`Bye` is sent before the end, so that nobody takes it for a crash."""
    world = network(content(1), sources=1)
    effects = world.nodes["asker"].handle(Stopped(1.0), world.now)
    assert [e.message for e in effects if hasattr(e, "message")] == [Bye("leaving")]
