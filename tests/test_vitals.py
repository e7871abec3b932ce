"""The books of a super-peer: receipts that count, receipts that do not, and how they travel."""

from random import Random
from types import SimpleNamespace

from common.addresses import Address
from common.config import VitalsConfig
from common.ids import Identity, NodeId
from common.limits import RECORDS_MAX
from common.messages.fields import Contact
from common.messages.hierarchy import Carried, Receipts, Records
from common.vitals import (
    Receipt,
    Record,
    is_receipt,
    is_record,
    is_vouched,
    sign_receipt,
    sign_record,
    vouch,
)
from superpeer.vitals.books import RECEIVERS_MAX, Book
from superpeer.vitals.vitals import BOOKS_MAX, RECORDS_PER_S, Vitals
from tests.overlay_world import World

NETWORK = "test"
MB = 1_000_000
NOBODY = bytes(32)


def receipt(
    giver: Identity, receiver: Identity, *, rate: int = MB, number: int = 1, span_s: float = 2.0
) -> Receipt:
    """Of a transfer at this rate."""
    return sign_receipt(receiver, NETWORK, giver.node, int(rate * span_s), span_s, number)


class Scene:
    """Three super-peers in a row, leaves at the ends."""

    def __init__(self, leaves: int = 4) -> None:
        self.world = World()
        self.world.superpeers(["a", "b", "c"], [("a", "b"), ("b", "c")])
        self.world.leaf("giver")
        self.world.join("giver", "c")
        self.receivers = [f"taker{number}" for number in range(leaves)]
        for name in self.receivers:
            self.world.leaf(name)
            self.world.join(name, "a")
        self.world.advance(10.0)
        self.giver = self.world.identities["giver"]

    def books(self, name: str) -> Vitals:
        """Of a super-peer."""
        return self.world.core(name)._hierarchy.vitals

    def rate(self, of: str = "giver", at: str = "c") -> float | None:
        """What is believed of a leaf."""
        return self.books(at).up_rate(self.world.identities[of].node, self.world.now)

    def report(self, by: str, parent: str = "a", home: str = "c", **fields: int) -> None:
        """A leaf tells its parent what it was given."""
        made = receipt(self.giver, self.world.identities[by], **fields)
        homes = (self.world.identities[home].node,)
        self.world.say(by, parent, Receipts((made,), homes))
        self.world.advance(1.0)


def vitals_of(me: Identity, leaves: dict[NodeId, Contact], *neighbours: Identity) -> Vitals:
    """The books of a super-peer that has these leaves and neighbours."""
    there: dict[NodeId, object] = {each.node: SimpleNamespace(leaves=0) for each in neighbours}
    return Vitals(
        me,
        NETWORK,
        VitalsConfig(),
        Random(1),
        links={},
        leaves=leaves,
        neighbours=there,  # type: ignore[arg-type]
        around=frozenset,
        rtt_s=lambda _node: None,
    )


def test_receipts_reach_the_parent_of_the_giver() -> None:
    """Two links away; three groups are needed, and the median of them counts."""
    scene = Scene()
    for name, rate in zip(scene.receivers, (MB, 2 * MB, 50 * MB), strict=False):
        assert scene.rate() is None
        scene.report(name, rate=rate)
    assert scene.rate() == 2 * MB


def test_a_receipt_counts_once() -> None:
    """Said again it is not newer; a newer one takes the place of the old."""
    scene = Scene()
    for name in scene.receivers[:3]:
        scene.report(name, rate=MB)
    book = scene.books("c").book(scene.giver.node)
    scene.report(scene.receivers[0], rate=90 * MB)
    assert sorted(each.rate for each in book.received.values()) == [MB] * 3
    scene.report(scene.receivers[0], rate=90 * MB, number=2)
    assert max(each.rate for each in book.received.values()) == 90 * MB
    assert scene.rate() == MB


def test_forged_receipts_count_for_nothing() -> None:
    """Signed by another, for another receiver than who brings it, of oneself, or too short."""
    scene = Scene()
    taker = scene.world.identities[scene.receivers[0]]
    other = scene.world.identities[scene.receivers[1]]
    good = receipt(scene.giver, taker)
    forged = [
        Receipt(*(good.giver, other.node, good.length, good.span_us, 1), good.signature),
        Receipt(*(good.giver, good.receiver, 9 * good.length, good.span_us, 1), good.signature),
        receipt(scene.giver, other),
        receipt(taker, taker),
        receipt(scene.giver, taker, span_s=0.5),
    ]
    home = scene.world.identities["c"].node
    for made in forged:
        scene.world.say(scene.receivers[0], "a", Receipts((made,), (home,)))
    scene.world.advance(1.0)
    assert scene.books("a").dropped["receipt_false"] == len(forged)
    assert not scene.books("c").book(scene.giver.node).received


def test_a_pair_that_deals_with_itself_wins_nothing() -> None:
    """One friend, however often and however fast: it is one group."""
    scene = Scene()
    for number in range(1, 20):
        scene.report(scene.receivers[0], rate=1000 * MB, number=number)
    assert scene.rate() is None


def test_a_super_peer_out_of_sight_is_not_believed() -> None:
    """Whoever makes up a parent must be seen around by us."""
    scene = Scene()
    stranger, taker = Identity(b"x" * 32), Identity(b"y" * 32)
    vouched = vouch(stranger, NETWORK, receipt(scene.giver, taker), b"g")
    target = scene.world.identities["c"].node
    scene.world.say("b", "c", Carried(target, stranger.node, 1, (vouched,)))
    scene.world.advance(1.0)
    assert scene.books("c").dropped["receipts_out_of_sight"] == 1
    assert not scene.books("c").book(scene.giver.node).received


def test_what_may_go_no_further_goes_no_further() -> None:
    """Nothing is made of it that the next one would end our link for, though that one is its
    super-peer."""
    scene = Scene()
    home = scene.world.identities["c"].node
    before = len(scene.world.sent)
    scene.world.say("a", "b", Carried(home, scene.world.identities["a"].node, 0, ()))
    scene.world.advance(1.0)
    assert not [
        to for _, to, each in scene.world.sent[before:] if to == "c" and type(each) is Carried
    ]
    assert scene.books("b").dropped["receipts_without_way"] == 1
    scene.world.say("a", "b", Carried(home, scene.world.identities["a"].node, 1, ()))
    scene.world.advance(1.0)
    passed = [each for _, to, each in scene.world.sent if to == "c" and type(each) is Carried]
    assert [each.ttl for each in passed] == [0]


def test_what_a_neighbour_passes_on_it_cannot_change() -> None:
    """Receiver and parent signed; another group or another parent breaks that."""
    scene = Scene()
    parent, taker = scene.world.identities["a"], scene.world.identities["taker0"]
    vouched = vouch(parent, NETWORK, receipt(scene.giver, taker), b"group")
    assert is_vouched(vouched, parent.node, NETWORK)
    assert not is_vouched(vouched, scene.giver.node, NETWORK)
    assert not is_vouched(vouched, parent.node, "other network")
    assert not is_receipt(vouched.receipt, "other network")
    other = vouch(taker, NETWORK, vouched.receipt, b"other")
    assert not is_vouched(other, parent.node, NETWORK)


def test_a_flood_of_receipts_is_bounded() -> None:
    """A leaf is heard at its pace, and a book holds so many receivers."""
    scene = Scene(1)
    book = scene.books("c").book(scene.giver.node)
    for number in range(2 * RECEIVERS_MAX):
        taker = Identity(number.to_bytes(32, "big"))
        book.enter_receipt(receipt(scene.giver, taker), b"g", 1.0)
    assert len(book.received) == RECEIVERS_MAX
    made = tuple(
        receipt(scene.giver, scene.world.identities["taker0"], number=n) for n in range(1, 33)
    )
    for _ in range(4):
        scene.world.say("taker0", "a", Receipts(made, (NOBODY,) * 32))
    scene.world.advance(0.5)
    assert scene.books("a").dropped["receipts_too_many"] >= 1


def test_a_flood_of_records_is_paced_and_wipes_out_nothing() -> None:
    """A neighbour is heard at its pace; what only others tell of gives way before what was seen
    here, though it came later."""
    me, talker, gone, here = (Identity(bytes([number]) * 32) for number in range(1, 5))
    leaves = {here.node: Contact(here.node, Address.of("10.0.0.1", 1214))}
    books = vitals_of(me, leaves, talker)
    books.arrived(here.node, 0.0)
    books.book(gone.node).hold_back(600.0, 61_200.0, 0.0)
    record = Record(gone.node, talker.node, None, None, 0, 7, 0, 0, 0, bytes(64))
    full = Records((sign_record(talker, NETWORK, record),) * RECORDS_MAX)
    for _ in range(4):
        books.on_records(talker.node, full, 1.0)
    assert books.dropped["records_too_many"] == 2
    books.on_records(talker.node, full, 1.0 + RECORDS_MAX / RECORDS_PER_S)
    assert books.dropped["records_too_many"] == 2
    for number in range(2 * BOOKS_MAX):
        books.book(number.to_bytes(32, "big")).enter_record(record, 1.0)
    assert len(books._books) == BOOKS_MAX
    assert books.known(gone.node) is not None
    assert books.known(here.node) is not None


def test_one_word_makes_nobody_steady() -> None:
    """How long a leaf was elsewhere counts when two say so, by the lower of them, and no longer
    than a measurement counts; one that says it twice is one."""
    leaf, tellers = b"l" * 32, (b"a" * 32, b"b" * 32)
    config, long = VitalsConfig(), 10**9

    def told(*words: tuple[NodeId, int]) -> float:
        book = Book()
        book.arrive(0.0)
        for by, uptime_s in words:
            bare = Record(leaf, by, None, None, 0, uptime_s, 0, 0, 0, bytes(64))
            book.enter_record(bare, 50.0)
        return book.inputs(
            config,
            me=b"m" * 32,
            bulk_door=True,
            groups_there=3,
            rtt_s=None,
            need=False,
            now=60.0,
        ).uptime_s

    assert told((tellers[0], long), (tellers[0], long)) == 60.0
    assert told((tellers[0], long), (tellers[1], 300)) == 360.0
    assert told((tellers[0], long), (tellers[1], long)) == 60.0 + config.kept_s


def test_what_we_are_worth_is_what_neighbours_measured() -> None:
    """Nobody's word, no worth; the median of those that had witnesses enough."""
    me, one, two = (Identity(bytes([number]) * 32) for number in range(1, 4))
    ours = vitals_of(me, {}, one, two)
    assert ours.ourselves(10.0) is None
    for by, rate, witnesses in ((one, MB, 3), (two, 9 * MB, 2)):
        bare = Record(me.node, by.node, True, rate, witnesses, 0, 0, 0, 0, bytes(64))
        ours.on_records(by.node, Records((sign_record(by, NETWORK, bare),)), 10.0)
    found = ours.ourselves(20.0)
    assert found is not None
    assert found.up_rate == MB


def test_records_tell_the_next_parent_how_long_it_was_there() -> None:
    """The words of neighbours, signed, add to what we saw; a stranger's do not."""
    teller, second, me, leaf = (Identity(bytes([number]) * 32) for number in range(1, 5))
    leaves = {leaf.node: Contact(leaf.node, Address.of("10.0.0.1", 1214))}
    old, new = vitals_of(teller, leaves, me), vitals_of(me, leaves, me, teller, second)
    old.arrived(leaf.node, 0.0)
    record = old._record(leaf.node, 5000.0)
    assert is_record(record, NETWORK)
    assert not is_record(record, "other")
    new.arrived(leaf.node, 5000.0)
    new.on_records(Identity(b"s" * 32).node, Records((record,)), 5000.0)
    assert new.dropped["records_of_stranger"] == 1
    new.on_records(me.node, Records((record,)), 5000.0)
    assert new.dropped["record_false"] == 1
    new.on_records(teller.node, Records((record,)), 5000.0)
    assert new.inputs(leaf.node, 5010.0, need=False).uptime_s == 10.0
    other = vitals_of(second, leaves, me)
    other.arrived(leaf.node, 2000.0)
    new.on_records(second.node, Records((other._record(leaf.node, 5000.0),)), 5000.0)
    assert new.inputs(leaf.node, 5010.0, need=False).uptime_s == 3010.0
