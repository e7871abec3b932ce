"""Peer exchange: who is told whom, what is believed, and what a namer of dead addresses can do."""

from collections.abc import Iterable

import pytest

from common.addresses import Address
from common.config import Config, SwarmConfig
from common.core import Dial, Effect, LinkUp, Received
from common.doors import Door
from common.limits import PEERS_TOLD_MAX
from common.messages.fields import Contact
from common.messages.swarm import Bitfield, Have, Interested, Peers, Request
from common.torrent import file_id
from leaf.methods import Get, GetResult
from leaf.role import Leaf
from leaf.swarm.exchange import EARLY_SHARE, STRIKES_MAX
from leaf.swarm.source import Phase
from leaf.swarm.upload import Uploads
from tests.leaf_scene import MIB, content, network, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of

DATA = content(4 * MIB)
ROOT, SIZE = tree_of(DATA).root, len(DATA)
WHAT = file_id(ROOT, SIZE)
SWARM = SwarmConfig()
SLOW = Config(swarm=SwarmConfig(locate_first_s=1000.0, locate_s=1000.0))  # asks its parent once


def told(world: World, name: str = "", to: str = "") -> list[Peers]:
    """What was named, by whom and to whom."""
    return [
        message
        for sender, taker, message in world.sent
        if isinstance(message, Peers) and name in ("", sender) and to in ("", taker)
    ]


def names(world: World, message: Peers) -> list[str]:
    """The leaves in a message."""
    return sorted(world._names[each.node] for each in message.contacts)


def fetching(world: World, name: str, config: Config = SLOW) -> None:
    """A new leaf begins to fetch the file."""
    world.leaf(name, seed_of(world), config=config)
    world.advance(2.0)
    world.ask(name, "leaf.get", Get(WHAT))
    world.advance(0.5)


def stuck(sources: int = 1, links_max: int = SWARM.links_max) -> "Watched":
    """Sources that choke everybody: who fetches stays with them and gets nothing."""
    world = Watched()
    at = world.superpeer("s")
    config = Config(swarm=SwarmConfig(upload_slots=0, links_max=links_max))
    for number in range(sources):
        world.leaf(f"source{number}", at, files={"a.bin": DATA}, config=config)
    world.advance(3.0)
    return world


def known(world: World, name: str) -> dict[str, Phase]:
    """The sources of a leaf's only download."""
    leaf = world.nodes[name]
    assert isinstance(leaf, Leaf)
    (download,) = leaf._downloads.roster.by_number.values()
    sources = download.fetch.sources if download.fetch else ()
    return {world._names.get(each.peer, "?"): each.phase for each in sources}


def dropped(world: World, name: str) -> dict[str, int]:
    """What a leaf did not believe, by reason."""
    leaf = world.nodes[name]
    assert isinstance(leaf, Leaf)
    return {reason: n for reason, n in leaf.snapshot().dropped.items() if "peers" in reason}


def says(world: World, by: str, to: str, contacts: Iterable[Contact], root: bytes = ROOT) -> None:
    """One leaf names others to another, whatever is true."""
    world.feed(to, Received(world.node(by), Peers(root, tuple(contacts)), None))


def strangers(count: int, first: int = 0, network: str = "10.9") -> list[Contact]:
    """Leaves that are not there, each on a host of its own."""
    numbers = range(first, first + count)
    return [
        Contact(
            number.to_bytes(32, "big"),
            Address.of(f"{network}.{number // 250}.{number % 250 + 1}", 5000),
        )
        for number in numbers
    ]


class Watched(World):
    """A world that notes who dials leaves which are not there."""

    def __init__(self) -> None:
        super().__init__()
        self.dialled: list[str] = []

    def _perform(self, name: str, effect: Effect) -> None:
        if isinstance(effect, Dial) and effect.peer not in self._names:
            self.dialled.append(name)
        super()._perform(name, effect)


def dials(world: Watched, name: str, seconds: float) -> int:
    """How many strangers a leaf has dialled since the last look, when this much time has passed."""
    world.advance(seconds)
    count = world.dialled.count(name)
    world.dialled.clear()
    return count


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
    assert leaf._exchange._partners == leaf._exchange._numbers == {}


# --- what it is good for --------------------------------------------------------------------


def test_a_download_whose_parent_is_gone_finds_new_sources() -> None:
    """Two leaves know one source, which serves nobody; then the only super-peer dies. A third
    that knows another source is named by the first, and the file comes."""
    world = stuck()
    fetching(world, "asker")
    assert list(known(world, "asker")) == ["source0"]
    world.leaf("giver", seed_of(world), files={"b.bin": DATA})
    world.advance(2.0)
    fetching(world, "other")
    world.advance(1.0)
    world.kill("s")
    before = world.now
    while not world.disks["asker"].files:
        world.advance(0.5)
        assert world.now < before + 3 * SWARM.exchange_s
    assert world.disks["asker"].files["/downloads/" + WHAT.replace(":", "_")] == DATA
    assert told(world, "source0", "asker")


def test_without_it_the_download_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scene where nobody names anybody: nothing comes."""
    monkeypatch.setattr("leaf.swarm.exchange.Exchange._tell", lambda *_: [])
    world = stuck()
    fetching(world, "asker")
    world.leaf("giver", seed_of(world), files={"b.bin": DATA})
    world.advance(2.0)
    fetching(world, "other")
    world.advance(1.0)
    world.kill("s")
    world.advance(3 * SWARM.exchange_s)
    assert not world.disks["asker"].files


# --- what is believed -----------------------------------------------------------------------


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


def test_many_namers_do_not_aim_us_at_a_victim() -> None:
    """One host in public scope, named at thousands of ports under thousands of keys by all that we
    fetch from, is dialled once an hour (THREATS T3)."""
    world = stuck(sources=8)
    fetching(world, "asker")
    assert len(known(world, "asker")) == 8
    victim, count = Address.of("8.8.4.4", 5000), 0
    key = 0
    for _ in range(100):  # 50 minutes
        for number in range(8):
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
