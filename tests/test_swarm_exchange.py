"""Peer exchange: who is told whom, and what it is good for."""

import pytest

from common.addresses import Address
from common.core import LinkUp, Received
from common.doors import Door
from common.limits import PEERS_TOLD_MAX
from common.messages.link import Echo
from common.messages.swarm import Have, Interested, Peers, Piece, Request
from leaf.methods import Get, GetResult
from leaf.role import Leaf
from tests.exchange_scene import (
    DATA,
    ROOT,
    SIZE,
    SLOW,
    SWARM,
    WHAT,
    Watched,
    dropped,
    fetching,
    known,
    names,
    stuck,
    told,
)
from tests.leaf_scene import network, seed_of

# --- telling --------------------------------------------------------------------------------


def test_those_who_fetch_from_one_hear_of_one_another() -> None:
    """The source names each to the others, some seconds after they came and no sooner; nobody is
    told of itself or of the source, and the source, which has all, is told nothing."""
    world, all_three = stuck(), ["one", "three", "two"]
    for name in all_three:
        world.leaf(name, seed_of(world), config=SLOW)
    world.advance(2.0)
    for name in all_three:
        world.ask(name, "leaf.get", Get(WHAT))
    world.advance(SWARM.exchange_first_s - 0.1)
    assert told(world) == []
    world.advance(0.2)
    for name in all_three:
        (message,) = told(world, "source0", name)
        assert names(world, message) == [each for each in all_three if each != name]
    assert told(world, to="source0") == []


def test_news_are_told_once_a_minute_at_most() -> None:
    """And nothing where nobody came."""
    world = stuck()
    fetching(world, "one")
    fetching(world, "two")
    world.advance(SWARM.exchange_first_s + 1.0)
    before = len(told(world, "source0", "one"))
    fetching(world, "three")
    world.advance(SWARM.exchange_s - SWARM.exchange_first_s - 6.0)
    assert len(told(world, "source0", "one")) == before
    world.advance(0.3 * SWARM.exchange_s + SWARM.exchange_first_s)
    (news,) = told(world, "source0", "one")[before:]
    assert names(world, news) in (["three"], ["three", "two"])
    world.advance(10 * SWARM.exchange_s)
    assert len(told(world, "source0", "one")) == before + 1


def test_no_more_than_fifty_are_named_at_once() -> None:
    """However many came; some of them at random."""
    world = stuck(links_max=100)
    for number in range(PEERS_TOLD_MAX + 10):
        peer = (number + 1).to_bytes(32, "big")
        at = Address.of(f"10.1.0.{number + 1}", 5000)
        world._names[peer] = f"far{number}"
        world.feed("source0", LinkUp(peer, Door.BULK, at, at, inbound=True))
        world.feed("source0", Received(peer, Interested(ROOT, SIZE), None))
    fetching(world, "one")
    world.advance(SWARM.exchange_first_s)
    (message,) = told(world, "source0", "one")
    assert len(message.contacts) == len({each.node for each in message.contacts}) == PEERS_TOLD_MAX


def test_an_address_is_told_within_its_scope_only() -> None:
    """Who is in public scope hears nothing of the private network behind us."""
    world = stuck()
    far, at = b"f" * 32, Address.of("8.8.8.8", 5000)
    world._names[far] = "far"
    world.feed("source0", LinkUp(far, Door.BULK, at, at, inbound=True))
    world.links["source0", "far", Door.BULK] = None
    world.feed("source0", Received(far, Interested(ROOT, SIZE), None))
    fetching(world, "one")
    fetching(world, "two")
    world.advance(SWARM.exchange_first_s)
    assert told(world, "source0", "far") == []
    assert names(world, told(world, "source0", "two")[0]) == ["far", "one"]


def test_who_left_is_told_nothing_and_named_no_more() -> None:
    """With its link all that was kept of it goes."""
    world = stuck()
    fetching(world, "one")
    world.kill("one")
    fetching(world, "two")
    world.advance(SWARM.exchange_first_s + 1.0)
    assert told(world) == []
    leaf = world.nodes["source0"]
    assert isinstance(leaf, Leaf)
    assert list(leaf._exchange._partners[ROOT]) == [world.node("two")]
    world.kill("two")
    world.advance(2 * SWARM.exchange_s)
    assert not leaf._exchange._partners
    assert not leaf._exchange._numbers


# --- what it is good for --------------------------------------------------------------------


def orphaned(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Two leaves know one source, which serves nobody; one of them another too. Then the only
    super-peer dies, before anybody has named anybody: it names no seekers, as if each had its own.
    """
    monkeypatch.setattr("superpeer.search.seekers.Seekers.meet", lambda *_: ())
    world = stuck()
    for name in ("asker", "other"):
        world.leaf(name, seed_of(world), config=SLOW)
    world.advance(2.0)
    world.ask("asker", "leaf.get", Get(WHAT))
    world.advance(0.5)
    world.leaf("giver", seed_of(world), files={"b.bin": DATA})
    world.advance(2.0)
    world.ask("other", "leaf.get", Get(WHAT))
    world.advance(0.2)
    world.kill("s")
    world.sent.clear()
    assert list(known(world, "asker")) == ["source0"]
    assert not world.disks["asker"].files
    return world


def test_a_download_whose_parent_is_gone_finds_new_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The source that serves nobody names the other leaf, which has the file by now or names who
    has it: the file comes within seconds."""
    world = orphaned(monkeypatch)
    world.advance(10.0)
    assert world.disks["asker"].files["/downloads/a.bin"] == DATA  # as its first source calls it
    assert told(world, "source0", "asker")


def test_the_conversation_of_an_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word what the asker hears and says, but for the pieces themselves."""
    world = orphaned(monkeypatch)
    world.advance(10.0)
    quiet = (Request, Piece, Have)
    story = [
        f"{sender} -> {taker}: {type(message).__name__}"
        + (f" {' '.join(names(world, message))}" if isinstance(message, Peers) else "")
        for sender, taker, message in world.sent
        if "asker" in (sender, taker) and not isinstance(message, (*quiet, Echo))
    ]
    assert story == [
        "source0 -> asker: Peers other",
        "asker -> other: Interested",
        "other -> asker: Bitfield",
        "other -> asker: Unchoke",
        "asker -> other: TreeRequest",
        "other -> asker: TreeHashes",
        "asker -> source0: NotInterested",
        "asker -> other: NotInterested",
    ]


def test_without_it_the_download_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scene where nobody names anybody: nothing comes."""
    monkeypatch.setattr("leaf.uploads.exchange.Exchange._tell", lambda *_: [])
    world = orphaned(monkeypatch)
    world.advance(10 * SWARM.exchange_s)
    assert not world.disks["asker"].files


def test_the_whole_swarm_still_finishes() -> None:
    """Ten leaves that fetch at once, long enough for names to go round: all finish, and each only
    dials leaves that are there."""
    world = network(DATA, sources=1)
    calls = {}
    for number in range(10):
        world.leaf(f"taker{number}", seed_of(world))
    world.advance(2.0)
    for number in range(10):
        name = f"taker{number}"
        calls[name] = world.ask(name, "leaf.get", Get(WHAT))
    world.advance(60.0)
    assert all(isinstance(world.outcome(call), GetResult) for call in calls.values())
    assert not any(dropped(world, name) for name in calls)
    assert any(isinstance(m, Have) for _, _, m in world.sent)
