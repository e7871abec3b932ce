"""Which bulk links are up, and the questions for sources."""

from random import Random

from common.addresses import Address
from common.config import SwarmConfig
from common.core import Effect, Hangup, LinkDown, LinkUp, Received, Send, Woke
from common.doors import Door
from common.messages.cluster import Forget, Locate, Sources
from common.messages.fields import Contact
from common.messages.swarm import NotInterested
from leaf.links.links import STRANGERS_PER_SLOT, BulkLinks
from leaf.signals import Joined, Orphaned, SourcesFound, SourcesUnwanted, SourcesWanted
from leaf.swarm.locate import QUESTIONS_MAX, Locator

CONFIG = SwarmConfig()
HERE = Address.of("10.0.0.1", 1214)
ROOT = b"r" * 32
PARENT, OTHER = b"p" * 32, b"o" * 32


def up(peer: bytes) -> LinkUp:
    """A bulk link to `peer`."""
    return LinkUp(peer, Door.BULK, HERE, HERE, inbound=True)


def test_what_is_up_and_silent() -> None:
    """A link is silent since the last word of the swarm came over it."""
    links = BulkLinks(CONFIG)
    links.handle(up(b"a"), 0.0)
    links.handle(up(b"b"), 0.0)
    links.handle(Received(b"b", NotInterested(ROOT)), 5.0)
    assert links.silent_since(4.0) == [b"a"]
    links.handle(LinkDown(b"a", Door.BULK, "idle"), 6.0)
    assert (links.is_up(b"a"), links.is_up(b"b"), len(links)) == (False, True, 1)


def test_links_are_bounded() -> None:
    """One more than there may be is hung up on."""
    links = BulkLinks(CONFIG)
    most = CONFIG.links_max + STRANGERS_PER_SLOT * CONFIG.upload_slots
    for number in range(most):
        assert links.handle(up(number.to_bytes(2, "big")), 0.0) == []
    over = most.to_bytes(2, "big")
    assert links.handle(up(over), 0.0) == [Hangup(over, Door.BULK, "too many links")]


def located(effects: list[Effect]) -> list[Locate]:
    """The questions to the parent."""
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    return [message for message in sent if isinstance(message, Locate)]


def test_asks_while_sources_are_wanted() -> None:
    """At once, again every while, at once of a new parent, and no more when there are enough."""
    locator = Locator(CONFIG, Random(1))
    assert locator.handle(SourcesWanted(ROOT, 5), 0.0) == []
    (first,) = located(locator.handle(Joined(PARENT, HERE, 0, 10), 1.0))
    assert (first.root, first.size, first.ttl) == (ROOT, 5, CONFIG.locate_ttl)
    due = locator.wakeup()
    assert due is not None
    assert 0.75 * CONFIG.locate_s <= due - 1.0 <= 1.25 * CONFIG.locate_s  # no answer: given up
    again = locator.handle(Woke(), due)
    assert again[0] == Send(PARENT, Forget(first.guid))
    assert len(located(again)) == 1
    locator.handle(Orphaned(), 40.0)
    assert locator.handle(Woke(), 99.0) == []
    (second,) = located(locator.handle(Joined(OTHER, HERE, 0, 10), 100.0))
    assert locator.handle(SourcesUnwanted(ROOT), 101.0) == [Send(OTHER, Forget(second.guid))]
    assert locator.wakeup() is None


def test_those_who_begin_together_soon_hear_of_one_another() -> None:
    """The first repeats come soon and go no further than the parent; pauses double to the full
    one, and a new parent is asked like the first."""
    locator, now = Locator(CONFIG, Random(1)), 0.0
    locator.handle(Joined(PARENT, HERE, 0, 10), now)
    (asked,) = located(locator.handle(SourcesWanted(ROOT, 5), now))
    pauses, depths = [], [asked.ttl]
    for _ in range(9):
        locator.handle(Received(PARENT, Sources(asked.guid, (), done=True)), now)
        due = locator.wakeup()
        assert due is not None
        pauses.append(due - now)
        now = due
        (asked,) = located(locator.handle(Woke(), now))
        depths.append(asked.ttl)
    doubling = [min(CONFIG.locate_first_s * 2**step, CONFIG.locate_s) for step in range(9)]
    assert all(
        0.75 * right <= pause <= 1.25 * right for pause, right in zip(pauses, doubling, strict=True)
    )
    assert depths == [CONFIG.locate_ttl, *[0] * 7, *[CONFIG.locate_ttl] * 2]
    (asked,) = located(locator.handle(Joined(OTHER, HERE, 0, 10), now))
    assert asked.ttl == CONFIG.locate_ttl


def test_sources_are_passed_on_within_their_scope() -> None:
    """Only from the parent, only what was asked, only addresses that it may speak of."""
    locator = Locator(CONFIG, Random(1))
    locator.handle(Joined(PARENT, HERE, 0, 10), 0.0)
    (asked,) = located(locator.handle(SourcesWanted(ROOT, 5), 0.0))
    near, far = Contact(b"n" * 32, HERE), Contact(b"f" * 32, Address.of("127.0.0.1", 1))
    told = Sources(asked.guid, (near, far))
    assert locator.handle(Received(OTHER, told), 0.0) == []
    assert locator.handle(Received(PARENT, Sources(bytes(16), (near,))), 0.0) == []
    assert locator.handle(Received(PARENT, told), 0.0) == [SourcesFound(ROOT, (near,))]
    done = Received(PARENT, Sources(asked.guid, (), done=True))
    assert locator.handle(done, 0.0) == [SourcesFound(ROOT, (), done=True)]
    assert locator.handle(done, 0.0) == []
    assert sum(locator.dropped.values()) == 3


def test_more_questions_than_a_parent_allows_take_turns() -> None:
    """Few are open at once; the next is asked when one is answered, and each comes up again."""
    locator = Locator(CONFIG, Random(1))
    locator.handle(Joined(PARENT, HERE, 0, 10), 0.0)
    roots = [bytes((number,)) * 32 for number in range(5)]
    asked = [one for root in roots for one in located(locator.handle(SourcesWanted(root, 5), 0.0))]
    assert [one.root for one in asked] == roots[:QUESTIONS_MAX]
    for one in asked:
        done = Received(PARENT, Sources(one.guid, (), done=True))
        asked += located(locator.handle(done, 1.0))
    assert [one.root for one in asked] == roots
