"""Nodes that do harm, one kind at a time in a tiny world: the harm is done, and nobody falls."""

from random import Random
from typing import Any

import pytest

from common.addresses import Address
from common.config import Config, FloodConfig, SwarmConfig
from common.content.merkle import verify_layer
from common.content.torrent import file_id
from common.core import Bound, Event, FrameReceived, LinkOpened, LinkUp, Received, SendFrame
from common.doors import Door
from common.hello import Greeter
from common.ids import Identity
from common.messages.cluster import Publish, Welcome
from common.messages.link import Echo, Hello
from common.messages.swarm import Interested, Piece, Request, TreeHashes, TreeRequest
from common.node import LEAF, SUPERPEER
from deploy.sim import hostile
from deploy.sim.chaos.run import run
from deploy.sim.disk import SimulatedDisk
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.hostile.corrupter import Corrupter
from deploy.sim.hostile.mask import Mask
from deploy.sim.hostile.nature import Nature, Shown
from deploy.sim.hostile.wares import Wares
from deploy.sim.inside import leaf_of, superpeer_of
from deploy.sim.nodes import DOWNLOADS, NETWORK, SHARE, Plan, builder, seed_to
from deploy.sim.store import MemoryStore
from deploy.sim.world import World
from leaf.methods import Get, GetResult, Search, SearchResult
from superpeer.methods import Status

PATH = "music/blue river.ogg"
DATA = Random(7).randbytes(100_000)
CONFIG = Config(
    swarm=SwarmConfig(request_s=2.0, locate_s=2.0, redial_s=0.5, redial_max_s=1.0),
    flood=FloodConfig(ring_s=1.0, silent_s=30.0),
)


class Tiny:
    """Two super-peers, an honest leaf that has a file, one that has none, and one harm."""

    def __init__(self, kind: str, seed: int = 1) -> None:
        self.world = World(seed)
        self.files: dict[int, FileSystem] = {}
        self.supers = [self._add(Plan((SUPERPEER,), CONFIG), bulk=False)]
        told = tuple(seed_to(host) for host in self.supers)
        self.supers.append(self._add(Plan((SUPERPEER,), CONFIG, joins=told), bulk=False))
        self.holder = self._leaf(self.supers[0])
        self.asker = self._leaf(self.supers[1])
        self.files[self.holder.number].put(f"{SHARE}/{PATH}", DATA)
        told = tuple(seed_to(host) for host in self.supers)
        address = Address.of("10.0.0.9", 1214)
        self.harm = hostile.add(self.world, kind, address, told, {PATH: DATA})
        for host in self.world.hosts:
            host.start()
        self.world.run(6.0)

    def _leaf(self, parent: Host) -> Host:
        plan = Plan((LEAF,), CONFIG, supers=(seed_to(parent),), shares=(SHARE,))
        return self._add(plan, bulk=True)

    def _add(self, plan: Plan, *, bulk: bool) -> Host:
        number = len(self.world.hosts)
        files = self.files[number] = FileSystem(Random(number), lambda: self.world.now)
        files.make_folder(SHARE)
        return self.world.add(
            f"host {number}",
            Address.of(f"10.0.0.{number + 1}", 1214),
            build=builder(plan, self.world.draws),
            equip=lambda host: SimulatedDisk(
                files,
                MemoryStore(),
                schedule=self.world.schedule.later,
                now=lambda: host.wall,
                feed=host.take,
            ),
            has_bulk=bulk,
        )

    def ask(self, method: str, params: Any, within_s: float = 60.0) -> Any:
        """What a person at the asker hears."""
        heard: list[object] = []
        self.world.people.ask(self.asker, method, params, heard.append)
        self.world.run(self.world.now + within_s, enough=lambda: bool(heard))
        assert heard and not self.world.violations
        return heard[0]

    def search(self, *words: str) -> SearchResult:
        """A search that ended."""
        result = self.ask("leaf.search", Search(list(words)))
        assert isinstance(result, SearchResult), result
        return result

    def fetch(self) -> GetResult:
        """The file, whole and true."""
        result = self.ask("leaf.get", Get(self.id, to=f"{DOWNLOADS}/it"), within_s=120.0)
        assert isinstance(result, GetResult), result
        assert self.files[self.asker.number].read(result.path) == DATA
        return result

    def indexed(self) -> int:
        """How many entries can be found."""
        inside = [superpeer_of(host) for host in self.supers]
        return sum(each.cluster.files for each in inside if each is not None)

    @property
    def id(self) -> str:
        ware = Wares(_nature({PATH: DATA})).wares
        root = next(iter(ware))
        return file_id(root, len(DATA))

    def done(self) -> dict[str, int]:
        """What the harm did."""
        shown = self.harm.node.snapshot() if self.harm.node else None
        assert isinstance(shown, Shown)
        return shown.done


def _nature(contents: dict[str, bytes]) -> Nature:
    return Nature(
        identity=Identity(bytes(31) + b"\x01"),
        network=NETWORK,
        address=Address.of("10.0.0.9", 1214),
        told=(),
        contents=contents,
        epoch=1_700_000_000,
        rng=Random(3),
    )


# --- one kind each ------------------------------------------------------------------------------


def test_a_corrupter_is_found_and_the_file_comes_from_another() -> None:
    """Wrong bytes are sent, none is kept, and the download ends whole."""
    tiny = Tiny("corrupter")
    assert [hit.sources for hit in tiny.search("river").hits] == [2]
    assert tiny.fetch().verified
    assert any(name.startswith(("piece", "hashes")) for name in tiny.done())


def test_a_staller_is_given_up_and_the_file_comes_from_another() -> None:
    """Requests are ignored, and the download ends all the same."""
    tiny = Tiny("staller")
    assert tiny.fetch().verified
    assert tiny.done()


def test_a_poisoner_is_found_too_and_hides_nobody() -> None:
    """Bogus entries are hits, true ones as well, and what is not signed never is."""
    tiny = Tiny("poisoner")
    tiny.world.run(tiny.world.now + 30.0, enough=lambda: tiny.indexed() > 3)
    hits = tiny.search("blue").hits
    assert tiny.id in [hit.id for hit in hits] and len(hits) > 3
    tiny.world.run(tiny.world.now + 30.0)
    assert len(tiny.done()) > 5
    assert tiny.id in [hit.id for hit in tiny.search("river").hits]
    assert not [hit for hit in tiny.search("game").hits if hit.size == 1]


def test_a_flooder_is_hung_up_and_others_are_answered() -> None:
    """It is above its credit; an honest search finds what there is."""
    tiny = Tiny("flooder")
    tiny.world.run(20.0)
    dropped: dict[str, int] = {}
    for host in tiny.supers:
        status = host.node.snapshot().roles["superpeer"] if host.node else None
        dropped.update(status.dropped if isinstance(status, Status) else {})
    assert dropped["credit_ignored"]
    assert tiny.done()["flood"] == 1
    assert tiny.id in [hit.id for hit in tiny.search("river").hits]


def test_a_forger_is_not_believed() -> None:
    """What it makes up is dropped where it is held against a signature."""
    tiny = Tiny("forger", seed=2)
    for _ in range(12):
        for hit in tiny.search("river").hits:
            assert hit.id == tiny.id or hit.sources == 1
    inside = leaf_of(tiny.asker)
    assert inside is not None
    assert inside.searches.dropped["hit not proven"]
    assert tiny.done()["hit forged"]


def test_a_silent_super_peer_costs_a_ring_once() -> None:
    """The first search waits for it, later ones leave it out and say so."""
    tiny = Tiny("silent")
    first, second = tiny.search("river"), tiny.search("river")
    assert [hit.id for hit in second.hits] == [tiny.id]
    assert first.coverage.elapsed_s > 0.9 > second.coverage.elapsed_s
    assert not second.coverage.complete
    assert tiny.done()["query unanswered"]


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_chaos_with_one_kind_holds_every_rule(kind: str) -> None:
    """A small world with faults and one harm has no violation."""
    assert run(5, hostile=(kind,)).violations == []


@pytest.mark.soak
def test_chaos_with_every_kind_is_the_same_each_time() -> None:
    """What hostile nodes do hangs on the seed alone."""
    one, other = [run(11, hostile=hostile.KINDS) for _ in range(2)]
    assert one.violations == [] and one.trace_sha256 == other.trace_sha256


# --- the mask, and what is behind it ------------------------------------------------------------


def test_a_mask_greets_as_an_honest_node_does() -> None:
    """Who dials it gets a hello without a fault."""
    nature = _nature({})
    mask = Mask("corrupter", nature, Corrupter(nature))
    there = Identity(bytes(32))
    greeter = Greeter(there.node, NETWORK, "test")
    mask.handle(Bound(nature.address, nature.address.at(1215)), 0.0)
    mask.handle(LinkOpened(1, Door.BULK, there.curve_public, Address.of("10.0.0.1", 4)), 0.0)
    hello = greeter.hello(nature.identity.curve_public, nature.address, by_us=True)
    (sent,) = mask.handle(FrameReceived(1, hello), 0.0)
    assert isinstance(sent, SendFrame) and isinstance(sent.message, Hello)
    assert greeter.fault(sent.message, nature.identity.curve_public, by_us=True) is None
    assert mask.snapshot().links == 1
    assert mask.handle(FrameReceived(1, Echo(1)), 0.1) == []


def test_wares_are_proven_as_others_prove_theirs() -> None:
    """True hashes lead to the root, so that what follows is believed to be worth asking for."""
    wares = Wares(_nature({PATH: DATA}))
    ((root, ware),) = wares.wares.items()
    assert verify_layer(root, len(DATA), 0, *(ware.hashes(0, 8) or (b"", ())))
    assert ware.hashes(3, 8) is None
    *_, last = wares.publish()
    assert isinstance(last, Publish) and last.signature


def test_a_corrupter_answers_each_request_and_seldom_truly() -> None:
    """Of a hundred pieces most are wrong, and some are right."""
    nature = _nature({PATH: DATA})
    corrupter = Corrupter(nature)
    peer, events = b"p" * 32, _requests(nature)
    pieces = [out for event in events for out in corrupter.handle(Received(peer, event), 1.0)]
    data = [each.data for each in pieces if isinstance(each.message, Piece)]  # type: ignore[attr-defined]
    assert DATA[:16_384] in data and len(data) - data.count(DATA[:16_384]) > 40
    assert any(isinstance(each.message, TreeHashes) for each in pieces)  # type: ignore[attr-defined]


def _requests(nature: Nature) -> list[Any]:
    root = next(iter(Wares(nature).wares))
    asked = [Request(root, 0, 16_384)] * 100
    return [Interested(root, len(DATA)), TreeRequest(root, 0, 8), *asked]


def test_a_leaf_publishes_when_it_is_welcome() -> None:
    """Claims go to whoever takes it in."""
    nature = _nature({PATH: DATA})
    corrupter = Corrupter(nature)
    sent = corrupter.handle(Received(b"p" * 32, Welcome(0, 5.0, 100)), 1.0)
    assert [type(each.message) for each in sent] == [Publish]  # type: ignore[attr-defined]


def test_links_of_strangers_are_no_foothold() -> None:
    """Only who was told of is joined."""
    corrupter = Corrupter(_nature({}))
    place = Address.of("10.0.0.1", 1)
    up: Event = LinkUp(b"p" * 32, Door.CONTROL, place, place, inbound=True)
    assert corrupter.handle(up, 0.0) == []
