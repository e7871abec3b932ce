"""A source that nobody can dial is told to dial us."""

from random import Random

from common.addresses import Address
from common.config import SwarmConfig
from common.core import Dial, LinkUp, Received, Send, Woke
from common.doors import Door
from common.ids import Identity
from common.limits import PUSHED_MAX
from common.messages import cluster
from common.messages.cluster import Locate, Push
from common.messages.fields import Contact
from common.messages.overlay import QueryBody
from deploy.report import Tally
from deploy.scenario import Content, Overlay, Phase, Scenario
from deploy.sim.acts import Acts
from deploy.sim.stage import Stage
from leaf.links.links import BulkLinks
from leaf.links.pushed import Pushed
from leaf.methods import Get, GetResult
from leaf.signals import Joined, Orphaned, PushWanted, SourcesWanted
from leaf.swarm.locate import Locator
from superpeer.relays.pushes import BURST, Pushes
from tests.leaf_scene import MIB, content, found, network

CONFIG = SwarmConfig()
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 30)]
ME, PARENT = KEYS[0], KEYS[1]
ROOT = b"r" * 32


def at(number: int) -> Address:
    """Where the node of this number is."""
    return Address.of(f"10.0.0.{number}", 1215)


def contact(number: int) -> Contact:
    """It, there."""
    return Contact(KEYS[number], at(number))


def test_a_file_comes_from_a_source_that_nobody_can_dial() -> None:
    """Its parent tells it, it dials, and the download takes the link as its own."""
    data = content(3 * MIB)
    world = network(data, sources=1)
    world.firewalled["source0"] = None
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(5.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert world.disks["asker"].files[result.path] == data
    asked = [m.push for a, _, m in world.sent if a == "asker" and isinstance(m, Locate)]
    assert asked.count((world.node("source0"),)) == 1
    assert [to for _, to, m in world.sent if isinstance(m, Push)] == ["source0"]


def test_a_crowd_fetches_from_a_source_that_nobody_can_dial() -> None:
    """Whichever super-peer each of them hangs on; in the end all have it."""
    scenario = Scenario(
        super_peers=4,
        leaves=16,
        seed=3,
        overlay=Overlay(graph="line"),
        content=Content(files=1, size_min=90_000, size_max=100_000),
        phases=(Phase("all fetch", crowd=12),),
    )
    stage, tally = Stage(scenario), Tally()
    (file,) = stage.data
    for leaf in stage.oracle.holders(file):
        stage.leaves[leaf].is_firewalled = True
    Acts(stage, tally, lambda _text: None).run()
    assert not tally.violations
    assert (tally.downloads, tally.downloads_complete) == (12, 12)


class Telling:
    """A `Pushed` under a parent."""

    def __init__(self) -> None:
        self.links = BulkLinks(CONFIG)
        self.core = Pushed(ME, self.links, CONFIG)
        self.core.handle(Joined(PARENT, at(1), 0, 100), 0.0)

    def tells(self, asker: Contact, now: float = 10.0, by: bytes = PARENT) -> list[object]:
        """What comes of a push."""
        return list(self.core.handle(Received(by, Push(asker)), now))


def test_only_our_parent_has_us_dial_and_each_address_once() -> None:
    """A victim that is named a thousand times is dialled once in an hour (THREATS T3); who proved
    to be one of us may be needed again."""
    leaf = Telling()
    assert leaf.tells(contact(5), by=KEYS[9]) == []
    assert leaf.tells(contact(5)) == [Dial(KEYS[5], at(5), Door.BULK)]
    assert leaf.tells(Contact(KEYS[6], at(5)), 20.0) == []
    leaf.core.handle(LinkUp(KEYS[5], Door.BULK, at(5), at(0), inbound=False), 20.0)
    assert leaf.tells(contact(5), 30.0) == [Dial(KEYS[5], at(5), Door.BULK)]
    leaf.core.handle(Orphaned(), 40.0)
    assert leaf.tells(contact(7), 50.0) == []


def test_nobody_dials_itself_or_out_of_scope_or_too_much() -> None:
    """A link that is there serves; a parent on the LAN names none of our own doors."""
    leaf = Telling()
    assert leaf.tells(contact(0)) == []
    assert leaf.tells(Contact(KEYS[5], Address.of("127.0.0.1", 80))) == []
    leaf.links.handle(LinkUp(KEYS[5], Door.BULK, at(5), at(0), inbound=True), 0.0)
    assert leaf.tells(contact(5)) == []
    dialled = [leaf.tells(contact(number)) for number in range(6, 26)]
    assert sum(map(bool, dialled)) == CONFIG.hearsay_dials_burst


def test_a_parent_tells_its_own_leaves_and_each_so_often() -> None:
    """Whoever asks, for whatever: no leaf is made to dial without end."""
    leaves = {KEYS[5]: contact(5), KEYS[6]: contact(6)}
    pushes = Pushes(leaves)
    body = QueryBody(1, root=ROOT, size=1, push=(KEYS[5], KEYS[7]), asker=contact(6))
    assert pushes.of(body, 0.0) == [Send(KEYS[5], Push(contact(6)))]
    assert pushes.of(QueryBody(1, root=ROOT, push=(KEYS[5],)), 0.0) == []
    itself = QueryBody(1, root=ROOT, push=(KEYS[6],), asker=contact(6))
    assert pushes.of(itself, 0.0) == []
    assert sum(len(pushes.of(body, 0.0)) for _ in range(100)) == BURST - 1
    far = QueryBody(1, root=ROOT, push=(KEYS[6],), asker=contact(9), relay=contact(8))
    assert pushes.of(far, 50.0, Address.of("8.8.8.8", 1214)) == []  # not its scope to speak of
    asker = Contact(KEYS[9], Address.of("9.9.9.9", 1215))
    open_ = QueryBody(1, root=ROOT, push=(KEYS[6],), asker=asker, relay=contact(8))
    (told,) = pushes.of(open_, 50.0, Address.of("8.8.8.8", 1214))
    assert told == Send(KEYS[6], Push(asker))
    nowhere = QueryBody(1, root=ROOT, push=(KEYS[5],), asker=Contact(KEYS[6], at(6).at(0)))
    assert pushes.of(nowhere, 100.0) == []


def test_those_that_cannot_be_dialled_share_a_question() -> None:
    """It comes soon after the first, goes as far as any, and names no more than it may."""
    locator = Locator(CONFIG, Random(1))
    locator.handle(Joined(PARENT, at(1), 0, 100), 0.0)
    (first,) = locator.handle(SourcesWanted(ROOT, 7), 0.0)
    assert isinstance(first, Send)
    for number in range(2, 2 + 2 * PUSHED_MAX):
        locator.handle(PushWanted(ROOT, KEYS[number]), 1.0)
    due = locator.wakeup()
    assert due is not None
    assert due <= 1.0 + CONFIG.locate_first_s
    orders = locator.handle(Woke(), due)
    (asked,) = [
        each.message
        for each in orders
        if isinstance(each, Send) and isinstance(each.message, cluster.Locate)
    ]
    assert asked.push == tuple(KEYS[2 : 2 + PUSHED_MAX])
    assert asked.ttl == CONFIG.locate_ttl
    assert locator.handle(PushWanted(b"x" * 32, KEYS[2]), 2.0) == []
