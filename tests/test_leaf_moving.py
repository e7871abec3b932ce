"""A leaf that moves, measures who gives, and answers offers: each machine by itself."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ParentConfig, PromotionConfig, VitalsConfig
from common.content.catalogue import Entry
from common.core import (
    Bound,
    Demoted,
    Dial,
    Effect,
    LetGo,
    LinkDown,
    LinkUp,
    Notify,
    Promote,
    Promoted,
    Received,
    Send,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId
from common.meeting import Meeting, Seed
from common.messages.cluster import Busy, Heir, Join, Leave, Published, ReHome, Welcome
from common.messages.fields import Contact
from common.messages.hierarchy import Home, Offer, OfferAnswer, Receipts
from common.messages.swarm import Interested
from common.network import Network
from common.storage import Restored
from common.vitals import is_receipt
from leaf.library.publish import Publisher
from leaf.parent.moving import ASKED, LEAVE_TIMES
from leaf.parent.parent import Parent
from leaf.parent.rounds import Rounds
from leaf.ranks.promotion import SEEDS_MAX, Offers
from leaf.ranks.receipts import GIVERS_MAX, ReceiptBook
from leaf.signals import Acknowledged, Given, Joined, Offered

ME = Identity(bytes(32))
OLD, NEW, STRANGER = (Identity(bytes([n]) * 32).node for n in (1, 2, 3))
AT = Address.of("10.0.0.1", 1214)
NEW_AT = Address.of("10.0.0.2", 1214)
CONFIG = ParentConfig()
WELCOME = Welcome(0, 5.0, 100)
ENTRY = Entry(b"r" * 32, 1, "a", "", 0)


def up(peer: NodeId, *, inbound: bool = False) -> LinkUp:
    """A control link."""
    address = NEW_AT if peer == NEW else AT
    return LinkUp(peer, Door.CONTROL, address, AT, inbound, 1215)


class Moving:
    """A leaf whose parent is `OLD`, over a link of its own making; it shares a file."""

    def __init__(self) -> None:
        published = Publisher(ME, "test", CONFIG, 1)
        seeds = (Seed("old", AT, OLD),)
        meeting = Meeting(Network("test"), Random(1))
        rounds = Rounds(ME.node, meeting, CONFIG, seeds, (), rng=Random(1), promotes=True)
        self.core = Parent(ME.node, CONFIG, rounds, published, epoch=7, promotes=True)
        self.now = 0.0
        self.feed(Bound(AT, AT.at(1215)), Restored(), up(OLD), Received(OLD, WELCOME))
        published.handle(Joined(OLD, AT, 0, 100), 0.0)
        published.handle(Received(OLD, Published(published.generation)), 0.0)
        published.handle(Offered((("a", ENTRY),), revision=1), 0.0)
        published.handle(Woke(), 1.0)

    def feed(self, *events: object) -> list[Effect]:
        """What the last of these events causes."""
        effects: list[Effect] = []
        for event in events:
            effects = self.core.handle(event, self.now)  # type: ignore[arg-type]
        return effects

    def move(self, by: NodeId = OLD, to: Contact | None = None) -> list[Effect]:
        """Somebody sends us away."""
        return self.feed(Received(by, ReHome(to or Contact(NEW, NEW_AT))))

    def wait(self) -> list[Effect]:
        """What the next deadline brings."""
        due = self.core.wakeup()
        assert due is not None
        self.now = due
        return self.feed(Woke())


def left(leaf: Moving, effects: list[Effect]) -> bool:
    """Whether the old parent is left, and by which link."""
    return Send(OLD, Leave(2)) in effects


def test_the_old_parent_is_left_when_all_is_found_at_the_new_one() -> None:
    """Dial, join, welcome, published there: only then `Leave`; the link ends when it is no heir."""
    leaf = Moving()
    assert leaf.move() == [Dial(NEW, NEW_AT, Door.CONTROL)]
    (join,) = leaf.feed(up(NEW))
    assert isinstance(join, Send)
    assert isinstance(join.message, Join)
    assert (join.peer, join.message.joins, join.message.promotes) == (NEW, 2, True)
    moved = leaf.feed(Received(NEW, WELCOME))
    assert Joined(NEW, NEW_AT, 0, 100) in moved
    (said,) = [each for each in moved if isinstance(each, Notify) and each.name == "parent_moved"]
    assert said.fields["reason"] == ASKED
    assert not left(leaf, moved)
    assert leaf.core.contact == Contact(NEW, NEW_AT)
    assert left(leaf, leaf.feed(Acknowledged(1)))
    assert leaf.core.heir.warm == Contact(OLD, AT)
    named = leaf.feed(Received(NEW, Heir(Contact(STRANGER, AT))))
    assert [each.peer for each in named if isinstance(each, LetGo)] == [OLD]
    assert leaf.feed(Acknowledged(2)) == []


def test_a_new_parent_that_never_confirms_is_believed_after_a_while() -> None:
    """The old link does not stay for ever."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW), Received(NEW, WELCOME))
    assert left(leaf, leaf.wait())
    assert leaf.now == LEAVE_TIMES * CONFIG.join_s


@pytest.mark.parametrize("event", [Received(NEW, Busy(1.0)), LinkDown(NEW, Door.CONTROL, "lost")])
def test_where_nothing_comes_of_it_all_stays(event: object) -> None:
    """Full or gone: the parent never changed, and a later move is tried."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    assert not [each for each in leaf.feed(event) if isinstance(each, Send)]
    leaf.feed(LinkDown(NEW, Door.CONTROL, "lost"))
    assert leaf.core.contact == Contact(OLD, AT)
    leaf.now += CONFIG.redial_s
    assert leaf.move() == [Dial(NEW, NEW_AT, Door.CONTROL)]


def test_nobody_aims_our_dials_at_a_victim() -> None:
    """A parent names a place again and again, as where to go and as our heir: one dial an hour
    where nobody of our network answers (THREATS T3), and few in all."""
    leaf = Moving()
    dials = 0
    for number in range(600):
        leaf.now = float(number)
        victim = Contact(bytes([number % 256]) * 32, Address.of("10.0.0.66", 80))
        said = [*leaf.move(to=victim), *leaf.feed(Received(OLD, Heir(victim)))]
        dials += sum(isinstance(each, Dial) for each in said)
        leaf.feed(LinkDown(victim.node, Door.CONTROL, "refused"))
    assert dials == 1


def test_silence_ends_a_move() -> None:
    """And the link that was made for it."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    again, undone, hangup = leaf.wait()
    assert isinstance(again, Send)
    assert isinstance(again.message, Join)
    assert (again.peer, again.message.joins) == (OLD, 3)  # a welcome may be on its way
    assert undone == Send(NEW, Leave(3))
    assert hangup == LetGo(NEW, Door.CONTROL, "it does not take us")
    assert leaf.core.contact == Contact(OLD, AT)


def test_only_the_parent_sends_a_leaf_and_within_its_scope() -> None:
    """Not a stranger, not to where it may not speak of, not to itself while it is none."""
    leaf = Moving()
    assert leaf.move(by=STRANGER) == []
    assert leaf.move(to=Contact(NEW, Address.of("127.0.0.1", 1214))) == []
    assert leaf.move(to=Contact(ME.node, NEW_AT)) == []
    assert leaf.move(to=Contact(OLD, AT)) == []


def test_a_promoted_node_hangs_on_itself() -> None:
    """It dials its own door; whether the overlay wants the old link is for that to say."""
    leaf = Moving()
    leaf.feed(Promoted(ME.node))
    (dial,) = leaf.move(to=Contact(ME.node, NEW_AT))
    assert dial == Dial(ME.node, AT, Door.CONTROL)
    leaf.feed(up(ME.node), Received(ME.node, WELCOME))
    assert left(leaf, leaf.feed(Acknowledged(1)))


def test_the_old_parent_that_is_our_heir_by_then_is_wanted() -> None:
    """The new one names it while what we share is not found there yet: it is left, its link not."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW), Received(NEW, WELCOME), Received(NEW, Heir(Contact(OLD, AT))))
    assert Send(OLD, Leave(2)) in leaf.feed(Acknowledged(1))
    assert leaf.core.needs(OLD)


def test_an_orphan_gives_up_its_move() -> None:
    """Its parent died meanwhile: it looks for another as any orphan."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    lost = leaf.feed(LinkDown(OLD, Door.CONTROL, "lost"))
    assert LetGo(NEW, Door.CONTROL, "it does not take us") in lost
    assert Send(NEW, Leave(3)) in lost
    assert leaf.feed(Received(NEW, WELCOME)) == []


# --- offers -------------------------------------------------------------------------------------


def offered(offers: Offers, now: float = 0.0, by: NodeId = OLD) -> list[Effect]:
    """The answer to an offer."""
    named = tuple(Contact(bytes([n]) * 32, Address.of("10.0.1.1", n + 1)) for n in range(20))
    return offers.handle(Received(by, Offer(named)), now)


def test_who_may_says_yes_and_begins_with_its_parent() -> None:
    """And with a few of those that it names."""
    offers = Offers(PromotionConfig(), promotes=True)
    offers.handle(Joined(OLD, AT, 0, 100), 0.0)
    answer, _, promote = offered(offers)
    assert answer == Send(OLD, OfferAnswer(True))
    assert isinstance(promote, Promote)
    assert promote.seeds[0] == (OLD, AT)
    assert len(promote.seeds) == 1 + SEEDS_MAX
    assert offered(offers, by=STRANGER) == []


def test_who_may_not_or_just_stepped_down_declines() -> None:
    """The pause doubles each time."""
    offers = Offers(PromotionConfig(), promotes=False)
    offers.handle(Joined(OLD, AT, 0, 100), 0.0)
    assert offered(offers) == [Send(OLD, OfferAnswer(False, "it may not"))]
    offers = Offers(PromotionConfig(flip_s=100.0), promotes=True)
    offers.handle(Joined(OLD, AT, 0, 100), 0.0)
    offers.handle(Promoted(ME.node), 0.0)
    assert offered(offers)[0] == Send(OLD, OfferAnswer(False, "it is one already"))
    for pause_s in (100.0, 200.0, 400.0):
        offers.handle(Demoted(), 0.0)
        assert len(offered(offers, pause_s - 1.0)) == 1
        assert len(offered(offers, pause_s)) == 3
        offers.handle(Promoted(ME.node), 0.0)


# --- receipts -----------------------------------------------------------------------------------


def receipts(
    gifts: list[tuple[float, int]], *, home: bool = True, epoch: int = 1000, boot_s: float = 0.0
) -> list[Receipts]:
    """What is reported of one giver that gave so much at these times after the life's beginning,
    which was at `epoch`, when the machine was up for `boot_s`."""
    book = ReceiptBook(ME, "test", VitalsConfig(), epoch=epoch)
    book.handle(Joined(OLD, AT, 0, 100), boot_s)
    if home:
        book.handle(Received(NEW, Home(STRANGER)), boot_s)
    said: list[Effect] = []
    for at, length in [(boot_s + at, length) for at, length in [*gifts, (1000.0, 0)]]:
        while (due := book.wakeup()) is not None and due <= at:
            said += book.handle(Woke(), due)
        if length:
            said += book.handle(Given(NEW, length), at)
    return [
        each.message
        for each in said
        if isinstance(each, Send) and isinstance(each.message, Receipts)
    ]


def test_steady_transfer_is_measured_without_its_first_delivery() -> None:
    """A megabyte each tenth of a second is ten a second."""
    (report, *_) = receipts([(at / 10, 1_000_000) for at in range(60)])
    (made,) = report.receipts
    assert made.rate == pytest.approx(10e6, rel=0.02)
    assert report.homes == (STRANGER,)
    assert is_receipt(made, "test")


def test_numbers_of_receipts_go_on_over_a_boot_of_the_machine() -> None:
    """It was up for a month; after the boot the clock of `now` begins anew."""
    gifts, hour_ms = [(at / 10, 1_000_000) for at in range(60)], 3_600_000
    (before, *_) = receipts(gifts, epoch=hour_ms, boot_s=30 * 86_400.0)
    (after, *_) = receipts(gifts, epoch=2 * hour_ms, boot_s=60.0)
    assert hour_ms <= before.receipts[0].number < 2 * hour_ms <= after.receipts[0].number


def test_what_is_not_steady_or_has_no_home_is_not_told() -> None:
    """One burst, a trickle, pauses; or a giver that tells no parent."""
    assert not receipts([(0.0, 50_000_000)])
    assert not receipts([(float(at), 1000) for at in range(60)])
    assert not receipts([(10.0 * at, 5_000_000) for at in range(10)])
    assert not receipts([(at / 10, 1_000_000) for at in range(60)], home=False)


def test_givers_of_one_small_file_each_leave_room_for_others() -> None:
    """As many as are followed, none of which gives long enough to be measured."""
    book = ReceiptBook(ME, "test", VitalsConfig(), epoch=1000)
    book.handle(Joined(OLD, AT, 0, 100), 0.0)
    for number in range(GIVERS_MAX):
        book.handle(Given(number.to_bytes(32, "big"), 50_000), 0.0)
    book.handle(Received(NEW, Home(STRANGER)), 0.0)
    said: list[Effect] = []
    for number in range(250, 600):
        while (due := book.wakeup()) is not None and due <= number / 10:
            said += book.handle(Woke(), due)
        book.handle(Given(NEW, 1_000_000), number / 10)
    assert [type(each.message) for each in said if isinstance(each, Send)] == [Receipts] * 3


def test_who_takes_is_told_our_parent_once() -> None:
    """And again when it changes."""
    book = ReceiptBook(ME, "test", VitalsConfig(), epoch=1000)
    book.handle(Joined(OLD, AT, 0, 100), 0.0)
    wants = Received(NEW, Interested(bytes(32), 5))
    assert book.handle(wants, 0.0) == [Send(NEW, Home(OLD))]
    assert book.handle(wants, 0.0) == []
    assert book.handle(Joined(STRANGER, AT, 0, 100), 0.0) == [Send(NEW, Home(STRANGER))]
