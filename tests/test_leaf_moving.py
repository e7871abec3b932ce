"""A leaf that moves, measures who gives, and answers offers: each machine by itself."""

import pytest

from common.addresses import Address
from common.config import ParentConfig, PromotionConfig, VitalsConfig
from common.core import (
    Bound,
    Demoted,
    Dial,
    Effect,
    Hangup,
    LinkDown,
    LinkUp,
    Promote,
    Promoted,
    Received,
    Send,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId
from common.messages.cluster import Busy, Join, Welcome
from common.messages.fields import Contact
from common.messages.hierarchy import Home, Left, Move, Offer, OfferAnswer, Receipts
from common.messages.swarm import Interested
from common.vitals import is_receipt
from leaf.moving import MOVED, NOT_MOVED, Mover
from leaf.promotion import SEEDS_MAX, Offers
from leaf.publish import Publisher
from leaf.receipts import ReceiptBook
from leaf.signals import Acknowledged, Given, Joined, Orphaned, Rehomed

ME = Identity(bytes(32))
OLD, NEW, STRANGER = (Identity(bytes([n]) * 32).node for n in (1, 2, 3))
AT = Address.of("10.0.0.1", 1214)
NEW_AT = Address.of("10.0.0.2", 1214)
CONFIG = ParentConfig()
WELCOME = Welcome(0, 5.0, 100)


def up(peer: NodeId, *, inbound: bool = False) -> LinkUp:
    """A control link."""
    return LinkUp(peer, Door.CONTROL, AT, AT, inbound, 1215)


class Moving:
    """A leaf whose parent is `OLD`, over a link of its own making."""

    def __init__(self) -> None:
        self.mover = Mover(ME.node, CONFIG, Publisher(ME, "test", CONFIG, 1), 7, promotes=True)
        self.now = 0.0
        self.feed(Bound(AT, AT.at(1215)), up(OLD), Joined(OLD, AT, 0, 100))

    def feed(self, *events: object) -> list[Effect]:
        """What the last of these events causes."""
        effects: list[Effect] = []
        for event in events:
            effects = self.mover.handle(event, self.now)  # type: ignore[arg-type]
        return effects

    def move(self, by: NodeId = OLD, to: Contact | None = None) -> list[Effect]:
        """Somebody sends us away."""
        return self.feed(Received(by, Move(to or Contact(NEW, NEW_AT))))


def test_the_old_parent_is_left_when_all_is_found_at_the_new_one() -> None:
    """Dial, join, welcome, published there: only then `Left` and the end of the link."""
    leaf = Moving()
    assert leaf.move() == [Dial(NEW, NEW_AT, Door.CONTROL)]
    (join,) = leaf.feed(up(NEW))
    assert isinstance(join, Send)
    assert isinstance(join.message, Join)
    assert (join.peer, join.message.epoch, join.message.promotes) == (NEW, 7, True)
    (rehomed,) = leaf.feed(Received(NEW, WELCOME))
    assert isinstance(rehomed, Rehomed)
    assert rehomed.dialled
    assert leaf.feed(Orphaned("moves"), Joined(NEW, NEW_AT, 0, 100)) == []
    assert leaf.feed(Acknowledged(1)) == [Send(OLD, Left()), Hangup(OLD, Door.CONTROL, MOVED)]


def test_a_new_parent_that_never_confirms_is_believed_after_a_while() -> None:
    """The old link does not stay for ever."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW), Received(NEW, WELCOME), Joined(NEW, NEW_AT, 0, 100))
    due = leaf.mover.wakeup()
    assert due is not None
    leaf.now = due
    assert Send(OLD, Left()) in leaf.feed(Woke())


@pytest.mark.parametrize("event", [Received(NEW, Busy(1.0)), LinkDown(NEW, Door.CONTROL, "lost")])
def test_where_nothing_comes_of_it_all_stays(event: object) -> None:
    """Full or gone: the parent never changed, and a later move is tried."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    assert not [each for each in leaf.feed(event) if isinstance(each, Rehomed | Joined)]
    leaf.feed(LinkDown(NEW, Door.CONTROL, "lost"))
    assert leaf.move() == [Dial(NEW, NEW_AT, Door.CONTROL)]


def test_silence_ends_a_move() -> None:
    """And the link that was made for it."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    leaf.now = 2 * CONFIG.join_s
    assert leaf.feed(Woke()) == [Send(NEW, Left()), Hangup(NEW, Door.CONTROL, NOT_MOVED)]


def test_only_the_parent_sends_a_leaf_and_within_its_scope() -> None:
    """Not a stranger, not to where it may not speak of, not to itself while it is none."""
    leaf = Moving()
    assert leaf.move(by=STRANGER) == []
    assert leaf.move(to=Contact(NEW, Address.of("127.0.0.1", 1214))) == []
    assert leaf.move(to=Contact(ME.node, NEW_AT)) == []
    assert leaf.move(to=Contact(OLD, AT)) == []


def test_a_promoted_node_hangs_on_itself_and_keeps_the_link() -> None:
    """It dials its own door; the old link is one of the overlay now."""
    leaf = Moving()
    leaf.feed(Promoted(ME.node))
    (dial,) = leaf.move(to=Contact(ME.node, NEW_AT))
    assert dial == Dial(ME.node, AT, Door.CONTROL)
    leaf.feed(up(ME.node), Received(ME.node, WELCOME), Joined(ME.node, AT, 0, 100))
    assert leaf.feed(Acknowledged(1)) == [Send(OLD, Left())]


def test_an_orphan_gives_up_its_move() -> None:
    """Its parent died meanwhile: the search for another is `leaf.parent`'s."""
    leaf = Moving()
    leaf.move()
    leaf.feed(up(NEW))
    ended = [Send(NEW, Left()), Hangup(NEW, Door.CONTROL, NOT_MOVED)]
    assert leaf.feed(Orphaned("lost")) == ended
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


def receipts(gifts: list[tuple[float, int]], *, home: bool = True) -> list[Receipts]:
    """What is reported of one giver that gave so much at these times."""
    book = ReceiptBook(ME, "test", VitalsConfig(), epoch=1000)
    book.handle(Joined(OLD, AT, 0, 100), 0.0)
    if home:
        book.handle(Received(NEW, Home(STRANGER)), 0.0)
    said: list[Effect] = []
    for at, length in [*gifts, (1000.0, 0)]:
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


def test_what_is_not_steady_or_has_no_home_is_not_told() -> None:
    """One burst, a trickle, pauses; or a giver that tells no parent."""
    assert not receipts([(0.0, 50_000_000)])
    assert not receipts([(float(at), 1000) for at in range(60)])
    assert not receipts([(10.0 * at, 5_000_000) for at in range(10)])
    assert not receipts([(at / 10, 1_000_000) for at in range(60)], home=False)


def test_who_takes_is_told_our_parent_once() -> None:
    """And again when it changes."""
    book = ReceiptBook(ME, "test", VitalsConfig(), epoch=1000)
    book.handle(Joined(OLD, AT, 0, 100), 0.0)
    wants = Received(NEW, Interested(bytes(32), 5))
    assert book.handle(wants, 0.0) == [Send(NEW, Home(OLD))]
    assert book.handle(wants, 0.0) == []
    assert book.handle(Joined(STRANGER, AT, 0, 100), 0.0) == [Send(NEW, Home(STRANGER))]
