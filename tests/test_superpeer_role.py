"""The super-peer as a whole: status, limits of its leaves, the end, and nothing left behind."""

import pytest

from common.addresses import Address
from common.config import ClusterConfig, Config
from common.core import Asked, Bound, Exited, Fail, HostMeasured, LinkMeasured, Stopped
from common.doors import Door
from common.errors import Exit
from common.ids import node_text
from common.messages.cluster import (
    Busy,
    Coverage,
    Forget,
    Locate,
    ReHome,
    SearchDone,
    Sources,
)
from common.messages.fields import Contact
from common.messages.link import Bye
from common.messages.overlay import Prune, Unlinked
from common.messages.swarm import Interested
from superpeer.methods import METHODS, Drain, Drained, Listing, Nothing, Status
from superpeer.search.credit import SLACK
from tests.overlay_world import World


def pair(config: Config | None = None) -> World:
    """Two neighbours with a leaf each."""
    world = World()
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")], config)
    for number in (1, 2):
        world.leaf(f"leaf{number}")
        world.join(f"leaf{number}", f"sp{number}")
    world.advance(1.0)
    return world


def test_status_tells_what_it_is_and_does() -> None:
    """Where it listens, its load, its files, and what the host says of it."""
    world = pair()
    world.publish("leaf1", "sp1", {"hello.txt": 1, "moon.txt": 2})
    world.advance(1.0)
    world.feed("sp1", HostMeasured(123))
    (status,) = world.ask("sp1", "superpeer.status")
    assert status == Status(
        node=node_text(world.identities["sp1"].node),
        listen=str(world.addresses["sp1"]),
        uptime_s=world.now,
        leaves=1,
        leaves_max=150,
        files=2,
        neighbours=1,
        searches=0,
        queries_evaluated=0,
        queries_forwarded=0,
        queries_duplicate=0,
        rss_bytes=123,
        version="",
        network="test",
        dropped={},
        heirs=1,
        copies=1,
    )


def test_every_method_of_the_table_is_answered() -> None:
    """With the type that the table promises; an unknown one fails as a usage error."""
    world = pair()
    for method in METHODS:
        answers = world.ask(method=method, name="sp1")
        if method == "superpeer.drain":  # which answers when the leaves have gone, or stayed
            before = len(world.answers("sp1"))
            world.advance(6.0)
            answers = world.answers("sp1")[before:]
        assert len(answers) == 1
    world.feed("sp1", Asked(1, "superpeer.dance", Nothing()))
    _, failed = world.effects[-1]
    assert isinstance(failed, Fail)
    assert failed.code is Exit.USAGE


def test_leaf_rows_show_round_trips_and_files() -> None:
    """As measured on the link, null before."""
    world = pair()
    (rows,) = world.ask("sp1", "superpeer.leaves")
    assert isinstance(rows, list)
    assert rows[0].rtt_s is None
    world.feed("sp1", LinkMeasured(world.identities["leaf1"].node, Door.CONTROL, 0.02))
    world.feed("sp1", LinkMeasured(world.identities["sp2"].node, Door.CONTROL, 0.03))
    (rows,) = world.ask("sp1", "superpeer.leaves", sort="rtt_s")
    assert isinstance(rows, list)
    assert (rows[0].rtt_s, rows[0].files) == (0.02, 0)
    assert world.texts[rows[0].node] == "leaf1"


def test_an_unknown_sort_key_is_a_usage_error() -> None:
    """It names the keys there are."""
    world = pair()
    world.feed("sp1", Asked(1, "superpeer.leaves", Listing(sort="beauty")))
    _, failed = world.effects[-1]
    assert isinstance(failed, Fail)
    assert "uptime_s" in failed.hint


def test_open_searches_of_a_leaf_are_limited() -> None:
    """Those beyond wait for their turn, and every one ends exactly once."""
    world = pair(Config(cluster=ClusterConfig(searches_max=1)))
    for number in (1, 2):
        world.search("leaf1", "sp1", "x", guid=bytes([number]) * 16, strategy="flood")
    world.say("leaf1", "sp1", Locate(b"l" * 16, bytes(32), 1, 10))
    world.advance(1.0)
    heard = world.puppet("leaf1").heard
    ends = {message.guid: message.refused for message in heard if isinstance(message, SearchDone)}
    assert ends == {bytes([1]) * 16: "", bytes([2]) * 16: ""}
    assert heard[-1] == Sources(b"l" * 16, (), done=True)


def test_who_ignores_its_credit_is_hung_up() -> None:
    """A leaf that asks on and on although nothing is answered loses its link; others do not."""
    world = pair()
    world.deafen("sp2")
    world.leaf("leaf2")
    world.join("leaf2", "sp1")
    for number in range(64 + SLACK):
        world.search("leaf1", "sp1", "x", guid=number.to_bytes(16, "big"), strategy="flood")
        world.search("leaf2", "sp1", "x", guid=bytes(16), strategy="flood")
    world.advance(0.1)
    assert len(world.core("sp1")._cluster.members) == 2
    world.search("leaf1", "sp1", "x", guid=b"z" * 16, strategy="flood")
    world.advance(0.1)
    assert list(world.core("sp1")._cluster.members) == [world.puppet("leaf2").identity.node]
    assert world.core("sp1").snapshot().dropped["credit_ignored"] == 1


def test_a_search_that_is_open_already_is_not_begun_again() -> None:
    """The same GUID twice is counted and asked once."""
    world = pair()
    world.deafen("sp2")
    world.search("leaf1", "sp1", "x", strategy="flood")
    world.search("leaf1", "sp1", "x", strategy="flood")
    world.advance(0.5)
    status = world.core("sp1").snapshot()
    assert (status.searches, status.dropped) == (1, {"search_twice": 1})


def test_strangers_cannot_search() -> None:
    """Without a join a search is refused with a reason."""
    world = pair()
    world.leaf("stranger")
    world.connect("stranger", "sp1")
    world.search("stranger", "sp1", "x")
    world.advance(1.0)
    (done,) = world.puppet("stranger").heard
    assert isinstance(done, SearchDone)
    assert done.refused
    assert done.coverage == Coverage(0, None, 0, 0.0, complete=False)


@pytest.mark.parametrize("how", ["forgets", "is lost"])
def test_a_search_that_nobody_waits_for_is_pruned(how: str) -> None:
    """When the leaf forgets it or is lost, those that work for it are told."""
    world = pair()
    world.deafen("sp2")
    world.search("leaf1", "sp1", "x", strategy="flood")
    world.advance(0.2)
    assert world.core("sp1").snapshot().searches == 1
    before = len(world.sent)
    if how == "forgets":
        world.say("leaf1", "sp1", Forget(bytes(16)))
    else:
        world.kill("leaf1")
    world.advance(0.5)
    assert world.core("sp1").snapshot().searches == 0
    assert [type(message) for _, to, message in world.sent[before:] if to == "sp2"][:1] == [Prune]


def test_a_neighbour_that_unlinks_is_not_waited_for() -> None:
    """What it owed is lost at once, though the link stays."""
    world = pair()
    world.deafen("sp2")
    world.search("leaf1", "sp1", "x", strategy="flood")
    world.advance(0.2)
    world.say("sp2", "sp1", Unlinked())
    world.advance(0.2)
    (done,) = [m for m in world.puppet("leaf1").heard if isinstance(m, SearchDone)]
    assert (done.coverage.reached, done.coverage.complete) == (1, True)


def test_nothing_is_left_behind() -> None:
    """After a search, and a lease, no deadline is set: nothing is remembered but GUIDs."""
    world = pair()
    world.publish("leaf2", "sp2", {"hello.txt": 1})
    world.advance(1.0)
    world.search("leaf1", "sp1", "hello")
    world.search("leaf1", "sp1", "hello", guid=b"2" * 16, ttl=0)
    world.advance(100.0)
    assert world.core("sp1").wakeup() is None
    assert world.core("sp2").wakeup() is None


def test_drain_parts_from_all_and_ends() -> None:
    """Leaves are told where to go, then comes the answer, then goodbyes, then the exit; nobody is
    admitted meanwhile."""
    world = pair()
    world.feed("sp1", Asked(7, "superpeer.drain", Drain(1.0)))
    world.leaf("late")
    world.join("late", "sp1")
    world.advance(1.1)
    assert ReHome(Contact(world.identities["sp2"].node, world.addresses["sp2"])) in (
        world.puppet("leaf1").heard
    )
    assert world.answers("sp1") == [Drained(0)]  # this leaf does not go
    assert Bye("stopping") in world.puppet("leaf1").heard
    assert isinstance(world.puppet("late").heard[0], Busy)
    assert ("sp1", Exited()) in world.effects


def test_stopped_ends_at_its_grace_whoever_stays() -> None:
    """Links that do not go down cannot hold it; with nobody there it ends at once."""
    world = pair()
    effects = world.core("sp1").handle(Stopped(2.0), world.now)
    assert Exited() not in effects
    world.advance(2.0)
    assert ("sp1", Exited()) in world.effects
    alone = World()
    alone.superpeer("sp1")
    alone.feed("sp1", Stopped(5.0))
    assert ("sp1", Exited()) in alone.effects


def test_a_drained_superpeer_takes_no_neighbours_and_looks_for_none() -> None:
    """It answers `Unlinked` and dials nobody."""
    world = World()
    world.superpeer("sp1", seeds=(world.seed("sp2"),))
    world.leaf("one")
    world.join("one", "sp1")
    world.advance(0.5)
    world.core("sp1").handle(Stopped(100.0), world.now)
    before = world.dials
    world.superpeer("sp2", seeds=(world.seed("sp1"),))
    world.advance(50.0)
    assert world.dials == before + world.dialled("sp2", "sp1")
    assert any(isinstance(message, Unlinked) for _, to, message in world.sent if to == "sp2")


def test_bound_again_is_harmless() -> None:
    """A second `Bound` begins the joins anew without doubling neighbours."""
    world = pair()
    world.feed("sp1", Bound(world.addresses["sp1"], None))
    world.advance(5.0)
    assert world.core("sp1").snapshot().neighbours == 1


@pytest.mark.parametrize(("host", "burst"), [("10.7.7.7", 200), ("93.184.216.34", 10)])
def test_searches_of_a_leaf_are_limited_in_rate(host: str, burst: int) -> None:
    """A storm of searches that are forgotten at once is begun no faster than the leaf may ask."""
    world = pair()
    world.addresses["far"] = Address.of(host, 1214)
    world.leaf("far")
    world.addresses["far"] = Address.of(host, 1214)
    world.join("far", "sp1")
    world.advance(1.0)
    before = world.core("sp1").snapshot().queries_evaluated
    for number in range(300):
        guid = number.to_bytes(16, "big")
        world.search("far", "sp1", "x", guid=guid)
        world.say("far", "sp1", Forget(guid))
    world.say("far", "sp1", Locate(b"l" * 16, bytes(32), 1, 10))
    world.advance(0.2)
    begun = world.core("sp1").snapshot().queries_evaluated - before
    assert 0 < begun <= burst * 1.2 + 1
    world.advance(5.0)
    world.puppet("far").heard.clear()
    world.search("far", "sp1", "x", guid=b"z" * 16)
    world.advance(5.0)
    (done,) = world.puppet("far").heard
    assert isinstance(done, SearchDone)
    assert done.coverage.complete


def test_status_counts_from_its_own_beginning() -> None:
    """Its time up is its own, and what is not meant for it is counted."""
    world = World()
    world.advance(50.0)
    world.superpeers(["sp1", "sp2"], [("sp1", "sp2")])
    world.leaf("leaf1")
    world.join("leaf1", "sp1")
    began = world.now - 1.0
    world.say("leaf1", "sp1", Interested(bytes(32), 1))
    world.advance(3.0)
    (status,) = world.ask("sp1", "superpeer.status")
    assert isinstance(status, Status)
    assert status.uptime_s <= world.now - began + 1.0
    assert status.dropped == {"not_for_us": 1}
