"""Peer exchange: what is believed, and what a namer of dead addresses can do."""

import pytest

from common.addresses import Address
from common.config import Config, SwarmConfig
from common.core import LinkUp, Received
from common.doors import Door
from common.limits import PEERS_TOLD_MAX
from common.messages.fields import Contact
from common.messages.swarm import Bitfield, Peers, Request
from leaf.role import Leaf
from leaf.swarm.source import Phase
from leaf.uploads.exchange import EARLY_SHARE, HEARSAY_MAX, STRIKES_MAX, TRIED_S
from leaf.uploads.upload import Uploads
from tests.exchange_scene import (
    DATA,
    ROOT,
    SWARM,
    dials,
    dropped,
    fetching,
    known,
    says,
    strangers,
    stuck,
)
from tests.leaf_scene import network, seed_of


def test_who_was_named_is_dialled_and_asked() -> None:
    """By a leaf that we fetch from, and only while sources are wanted."""
    world = stuck()
    fetching(world, "asker")
    world.leaf("giver", seed_of(world), files={"b.bin": DATA})
    world.advance(2.0)
    says(
        world, "source0", "asker", [Contact(world.node("giver"), world.address("giver", Door.BULK))]
    )
    world.advance(5.0)
    assert any(m for a, to, m in world.sent if isinstance(m, Request) and to == "giver")
    assert world.disks["asker"].files


def test_a_stranger_is_not_listened_to() -> None:
    """Neither one without a link, nor of a file that we do not fetch from it."""
    world = stuck()
    fetching(world, "asker")
    world.leaf("stranger", seed_of(world))
    says(world, "stranger", "asker", strangers(5))
    says(world, "source0", "asker", strangers(5), root=b"\x01" * 32)
    says(world, "asker", "source0", strangers(5))  # which has the file and fetches nothing
    assert dials(world, "asker", 20.0) == dials(world, "source0", 20.0) == 0
    assert dropped(world, "asker") == {"peers from who exchanges nothing with us": 2}


def test_a_narrower_scope_than_its_own_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A private leaf says nothing about loopback, a public one nothing about private addresses; and
    nobody about well-known ports of the internet, groups, or no place at all."""
    world = stuck()
    fetching(world, "asker")
    places = ("127.0.0.1", 5000), ("224.0.0.1", 5000), ("0.0.0.0", 5000), ("8.8.8.8", 443)
    wrong = [
        Contact(bytes([number]) * 32, Address.of(*place)) for number, place in enumerate(places)
    ]
    says(world, "source0", "asker", wrong)
    assert dials(world, "asker", 5.0) == 0
    assert dropped(world, "asker") == {"peers out of scope": len(wrong)}

    far, at = b"f" * 32, Address.of("8.8.8.8", 5000)
    world._names[far] = "far"
    world.feed("asker", LinkUp(far, Door.BULK, at, at, inbound=True))
    world.feed("asker", Received(far, Bitfield(ROOT), None))
    monkeypatch.setattr(Uploads, "is_asked_by", lambda *_: True)
    world.feed("asker", Received(far, Peers(ROOT, tuple(strangers(3))), None))
    assert dials(world, "asker", 5.0) == 0
    assert dropped(world, "asker") == {"peers out of scope": len(wrong) + 3}


def test_what_comes_too_often_is_dropped() -> None:
    """Twice in half a minute is once too often."""
    world = stuck()
    fetching(world, "asker")
    for first in (0, 50):
        says(world, "source0", "asker", strangers(1, first))
    assert dropped(world, "asker") == {"peers named too often": 1}
    world.advance(SWARM.exchange_s * EARLY_SHARE)
    says(world, "source0", "asker", strangers(1, 100))
    assert dropped(world, "asker") == {"peers named too often": 1}


def test_a_namer_of_dead_addresses_is_soon_not_listened_to() -> None:
    """Fifty of them cost a handful of dials, and whatever it names later none."""
    world = stuck()
    fetching(world, "asker")
    says(world, "source0", "asker", strangers(PEERS_TOLD_MAX))
    cost = dials(world, "asker", SWARM.exchange_s)
    assert STRIKES_MAX <= cost <= STRIKES_MAX + SWARM.hearsay_dials_burst
    for turn in range(1, 20):
        says(world, "source0", "asker", strangers(PEERS_TOLD_MAX, 1000 * turn))
        assert dials(world, "asker", SWARM.exchange_s) == 0
    assert known(world, "asker") == {"source0": Phase.LINKED}
    world.advance(SWARM.hearsay_s)
    says(world, "source0", "asker", strangers(PEERS_TOLD_MAX, 50_000))
    assert dials(world, "asker", SWARM.exchange_s) >= STRIKES_MAX  # it may have learned


def test_many_namers_do_not_aim_us_at_a_victim() -> None:
    """One host in public scope, named at 10,000 ports and under as many keys by all that we
    fetch from, is dialled once an hour (THREATS T3)."""
    world = stuck(sources=2)
    fetching(world, "asker")
    assert len(known(world, "asker")) == 2
    victim, count = Address.of("8.8.4.4", 5000), 0
    key = 0
    for _ in range(100):  # 50 minutes
        for number in range(2):
            named = []
            for _ in range(PEERS_TOLD_MAX):
                key += 1
                named.append(Contact(key.to_bytes(32, "big"), victim.at(5000 + key % 50_000)))
            says(world, f"source{number}", "asker", named)
        count += dials(world, "asker", 30.0)
    assert count == 1


def test_dials_of_hearsay_are_a_few_a_second_in_all() -> None:
    """Whoever names how many: within the budget of all namers."""
    world = stuck(sources=20)
    fetching(world, "asker")
    for number in range(20):
        says(world, f"source{number}", "asker", strangers(PEERS_TOLD_MAX, 100 * number))
    burst = SWARM.hearsay_dials_burst
    assert dials(world, "asker", 10.0) <= burst + 10.0 * 2 + 1


def test_a_hearsay_source_is_tried_once() -> None:
    """It is not there: it is forgotten, not tried thrice as one that the parent named."""
    world = stuck()
    fetching(world, "asker")
    says(world, "source0", "asker", strangers(1))
    assert dials(world, "asker", 600.0) <= 1
    assert list(known(world, "asker")) == ["source0"]


def test_nobody_is_dialled_who_is_not_wanted() -> None:
    """With as many links as a download may have, names are kept for later, a bounded number."""
    swarm = SwarmConfig(locate_first_s=1000.0, locate_s=1000.0, links_max=2)
    world = stuck(sources=2)
    fetching(world, "asker", Config(swarm=swarm))
    assert len(known(world, "asker")) == 2
    for number in range(2):
        says(world, f"source{number}", "asker", strangers(PEERS_TOLD_MAX, 100 * number))
    assert dials(world, "asker", 20.0) == 0
    leaf = world.nodes["asker"]
    assert isinstance(leaf, Leaf)
    assert len(leaf._exchange._hearsay[ROOT]) == 2 * PEERS_TOLD_MAX
    world.kill("source1")
    assert dials(world, "asker", 2.0) > 0


def test_names_end_with_the_download() -> None:
    """Nothing is kept of a file that is there."""
    world = network(DATA, sources=1)
    fetching(world, "taker", Config())
    leaf = world.nodes["taker"]
    assert isinstance(leaf, Leaf)
    says(world, "source0", "taker", strangers(3))
    world.advance(30.0)
    assert not leaf._exchange._hearsay
    assert leaf._exchange._tried == {}


def test_names_that_nobody_dialled_are_forgotten() -> None:
    """What was given to a download that had no use for it takes no room for ever."""
    world = stuck()
    fetching(world, "asker")
    leaf = world.nodes["asker"]
    assert isinstance(leaf, Leaf)
    exchange = leaf._exchange
    namer = world.node("source0")
    for each in strangers(HEARSAY_MAX):
        exchange._tried[each.node] = namer, world.now
    says(world, "source0", "asker", strangers(3, 5_000))
    assert dials(world, "asker", TRIED_S - 5.0) == 0
    assert dials(world, "asker", 10.0) == 3
    assert len(exchange._tried) <= 3
