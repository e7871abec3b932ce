"""A leaf and its heir: a warm link, the way there, and who is accused of silence."""

import pytest

from common.addresses import Address
from common.core import (
    Dial,
    Effect,
    LetGo,
    LinkDown,
    LinkMeasured,
    Promoted,
    Send,
    Woke,
)
from common.doors import Door
from common.messages.cluster import Busy, Heir, Join, Leave, ReHome, Unreached, Welcome
from common.messages.fields import Contact
from leaf.parent.heir import NAMED_BURST
from leaf.signals import Inherits, Joined, Orphaned
from tests.test_leaf_parent import CONFIG, KEYS, Seeking, at, dialled, seed

WELCOME = Welcome(7, 5.0, 100)


def contact(number: int) -> Contact:
    """A super-peer, as others name it."""
    return Contact(KEYS[number], at(number))


def warm() -> Seeking:
    """A leaf whose parent is 1, and that has a link to its heir 2."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    assert seeking.hears(1, Heir(contact(2))) == [Dial(KEYS[2], at(2), Door.CONTROL)]
    assert seeking.link_up(2) == [Inherits(contact(2))]
    return seeking


def echo(seeking: Seeking, number: int) -> None:
    """A sign of life."""
    seeking.feed(LinkMeasured(KEYS[number], Door.CONTROL, 0.01))


def sent(effects: list[Effect]) -> list[tuple[bytes, object]]:
    """What is said to whom."""
    return [(each.peer, each.message) for each in effects if isinstance(each, Send)]


def test_a_lost_parent_is_followed_by_its_heir_at_once() -> None:
    """One message over the link that is there; what is asked meanwhile may wait."""
    seeking = warm()
    effects = seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "lost"))
    assert sent(effects) == [(KEYS[2], Join(1, 1 << 11, 0, joins=2))]
    assert [each.soon for each in effects if isinstance(each, Orphaned)] == [True]
    assert dialled(effects) == []
    effects = seeking.hears(2, WELCOME)
    assert Joined(KEYS[2], at(2), 7, 100) in effects
    assert seeking.core.contact == contact(2)
    assert seeking.core.heir.contact is None


def test_an_heir_that_is_not_linked_yet_is_dialled() -> None:
    """It is the first all the same."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    seeking.hears(1, Heir(contact(2)))
    effects = seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "lost"))
    assert Dial(KEYS[2], at(2), Door.CONTROL) in effects
    assert sent(seeking.link_up(2)) == [(KEYS[2], Join(1, 1 << 11, 0, joins=2))]


def test_the_parent_hears_of_an_heir_that_cannot_be_reached() -> None:
    """It may name another one, and that is dialled."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    seeking.hears(1, Heir(contact(2)))
    effects = seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "refused"))
    assert sent(effects) == [(KEYS[1], Unreached(KEYS[2]))]
    assert dialled(seeking.hears(1, Heir(contact(3)))) == [KEYS[3]]


def test_an_heir_whose_link_broke_is_dialled_before_anybody_is_told() -> None:
    """Then it is told that it is not there; whom it may not dial again, at once."""
    seeking = warm()
    assert sent(seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "lost"))) == []
    assert dialled(seeking.wait(2 * CONFIG.redial_s)) == [KEYS[2]]
    effects = seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "refused"))
    assert sent(effects) == [(KEYS[1], Unreached(KEYS[2]))]
    seeking.hears(1, Heir(contact(3)))
    seeking.feed(LinkDown(KEYS[3], Door.CONTROL, "refused"))
    seeking.hears(1, Heir(None))
    effects = seeking.hears(1, Heir(contact(3)))
    assert sent(effects) == [(KEYS[1], Unreached(KEYS[3]))]


@pytest.mark.parametrize("how", ["busy", "silent", "gone"])
def test_an_heir_that_does_not_take_us_ends_in_a_round(how: str) -> None:
    """All that we know are asked again, without a pause."""
    seeking = warm()
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "lost"))
    if how == "busy":
        effects = seeking.hears(2, Busy(10.0))
    elif how == "gone":
        effects = seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "lost"))
    else:
        effects = seeking.wait(CONFIG.heir_s)
    assert KEYS[1] in dialled(effects)
    assert [each.soon for each in effects if isinstance(each, Orphaned)] == [False]


def test_who_is_sent_elsewhere_leaves_when_it_is_welcome_there() -> None:
    """Make before break: until then the parent stays, and may stay for good."""
    seeking = warm()
    assert sent(seeking.hears(1, ReHome(contact(2)))) == [(KEYS[2], Join(1, 1 << 11, 0, joins=2))]
    assert seeking.core.contact == contact(1)
    effects = seeking.hears(2, WELCOME)
    assert sent(effects) == [(KEYS[1], Leave(2))]
    assert LetGo(KEYS[1], Door.CONTROL, "we have another parent") in effects
    kinds = [type(each) for each in effects if isinstance(each, Orphaned | Joined)]
    assert kinds == [Orphaned, Joined]
    assert seeking.core.contact == contact(2)


def test_who_is_sent_to_an_heir_that_is_just_dialled_goes_there() -> None:
    """One dial is enough for both; once it has come to nothing the budget counts again."""
    for comes in (True, False):
        seeking = Seeking(seed(1, strict=True))
        seeking.join(1)
        seeking.hears(1, Heir(contact(2)))
        if comes:
            seeking.hears(1, ReHome(contact(2)))
            assert sent(seeking.link_up(2)) == [(KEYS[2], Join(1, 1 << 11, 0, joins=2))]
        else:
            seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "refused"))
            assert dialled(seeking.hears(1, ReHome(contact(2)))) == []


def test_who_is_not_taken_elsewhere_stays() -> None:
    """It keeps the parent that it has, and its heir."""
    seeking = warm()
    seeking.hears(1, ReHome(contact(2)))
    assert seeking.ended(seeking.hears(2, Busy(1.0))) == []
    assert seeking.core.contact == contact(1)
    assert seeking.core.heir.warm == contact(2)


def test_a_move_to_another_than_the_heir_lets_go_of_it() -> None:
    """The new parent names the next one."""
    seeking = warm()
    assert dialled(seeking.hears(1, ReHome(contact(3)))) == [KEYS[3]]
    seeking.link_up(3)
    effects = seeking.hears(3, WELCOME)
    assert LetGo(KEYS[2], Door.CONTROL, "it is our heir no longer") in effects
    assert seeking.core.contact == contact(3)


@pytest.mark.parametrize("how", ["named", "moved", "busy"])
def test_who_is_parent_or_heir_no_longer_is_let_go(how: str) -> None:
    """Promoted or not: what our super-peer wants of it is for that one to say."""
    for promoted in (True, False):
        seeking = warm()
        if promoted:
            seeking.feed(Promoted(KEYS[0], ((KEYS[1], at(1)), (KEYS[2], at(2)))))
        if how == "named":
            effects = seeking.hears(1, Heir(contact(3)))
        elif how == "moved":
            seeking.hears(1, ReHome(contact(3)))
            seeking.link_up(3)
            effects = seeking.hears(3, WELCOME)
        else:
            effects = seeking.hears(1, Busy(10.0))
        assert KEYS[1 if how == "busy" else 2] in seeking.ended(effects)


def test_an_heir_that_becomes_our_parent_is_wanted_all_the_while() -> None:
    """It is our heir no longer, and yet nothing ends."""
    seeking = warm()
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "lost"))
    assert seeking.ended(seeking.hears(2, WELCOME)) == []
    assert seeking.core.needs(KEYS[2])


def test_who_sends_us_away_is_our_heir_until_the_new_parent_names_one() -> None:
    """It still has what we share: should the new one die at once, we go back."""
    seeking = warm()
    seeking.hears(1, ReHome(contact(2)))
    assert seeking.ended(seeking.hears(2, WELCOME)) == []
    assert seeking.core.heir.warm == contact(1)
    assert seeking.ended(seeking.hears(2, Heir(contact(1)))) == []
    assert seeking.ended(seeking.hears(2, Heir(contact(3)))) == [KEYS[1]]


def test_a_silent_parent_is_left_for_an_heir_that_is_not() -> None:
    """Within a second beyond the pause of echoes, and before the link counts as dead."""
    seeking = warm()
    effects: list[Effect] = []
    for _ in range(20):
        echo(seeking, 2)
        effects += seeking.wait(0.1)
    assert sent(effects) == [(KEYS[2], Join(1, 1 << 11, 0, joins=2))]
    assert seeking.core.contact == contact(1)
    assert seeking.ended(seeking.hears(2, WELCOME)) == [KEYS[1]]
    assert seeking.core.contact == contact(2)


def test_nobody_is_accused_where_all_are_silent() -> None:
    """Then it is our own network, or ourselves."""
    seeking = warm()
    echo(seeking, 1)
    echo(seeking, 2)
    assert sent(seeking.wait(10.0)) == []


def test_who_was_asleep_accuses_nobody() -> None:
    """A look that comes late gives both another chance."""
    seeking = warm()
    seeking.now += 60.0
    echo(seeking, 2)
    assert sent(seeking.feed(Woke())) == []
    echo(seeking, 1)
    assert sent(seeking.wait(1.0)) == []


def test_a_parent_that_is_heard_of_is_not_silent() -> None:
    """Echoes as they come from an idle parent, the slowest."""
    seeking = warm()
    for _ in range(40):
        assert sent(seeking.wait(1.25)) == []
        echo(seeking, 1)
        echo(seeking, 2)


def test_an_heir_that_never_takes_us_is_not_asked_all_the_time() -> None:
    """A parent that stays silent and an heir that is full cost some messages a minute."""
    seeking = warm()
    joins = 0
    for _ in range(600):
        echo(seeking, 2)
        joins += len(sent(seeking.wait(0.1)))
        seeking.hears(2, Busy(1.0))
    assert 0 < joins <= 60 / CONFIG.silent_s + 1


@pytest.mark.parametrize("place", ["8.8.8.8", "127.0.0.1"])
def test_a_parent_names_heirs_within_its_scope(place: str) -> None:
    """A host on our network sends us nowhere else (T3)."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    elsewhere = Contact(KEYS[2], Address.of(place, 1214))
    expected = place == "8.8.8.8"  # public addresses may be told by anybody
    assert bool(dialled(seeking.hears(1, Heir(elsewhere)))) is expected
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    assert bool(dialled(seeking.hears(1, ReHome(elsewhere)))) is expected


def test_heirs_are_dialled_at_a_pace_whoever_names_them() -> None:
    """A parent that names another one each time makes us dial no more than a few."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    dials = 0
    for number in range(100):
        named = Contact(KEYS[2 + number % 2], Address.of(f"10.0.1.{number + 1}", 1214))
        dials += len(dialled(seeking.hears(1, Heir(named))))
    assert dials <= NAMED_BURST


def test_a_link_to_the_heir_is_made_again() -> None:
    """With pauses that double; what the parent takes back is forgotten."""
    seeking = warm()
    effects = seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "lost"))
    assert Inherits(None) in effects
    assert dialled(seeking.wait(1.0)) == [KEYS[2]]
    seeking.link_up(2)
    effects = seeking.hears(1, Heir(None))
    assert LetGo(KEYS[2], Door.CONTROL, "it is our heir no longer") in effects
    assert Inherits(None) in effects


def test_a_link_that_is_there_is_the_heirs_too() -> None:
    """The heir may have dialled us: it is a super-peer, and so may our node be."""
    seeking = Seeking(seed(1, strict=True))
    seeking.join(1)
    seeking.link_up(2)
    assert dialled(seeking.hears(1, Heir(contact(2)))) == []
    assert seeking.core.needs(KEYS[2])
    assert seeking.ended(seeking.hears(1, Heir(None))) == [KEYS[2]]
