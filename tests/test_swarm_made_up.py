"""Sources that were made up: at no place, or all at somebody's."""

import pytest

from common.core import Dial, Effect, LinkDown, Send
from common.doors import Door
from common.messages.fields import Contact
from common.messages.swarm import Interested, NotInterested
from leaf.signals import Allotted, SourcesFound
from leaf.swarm.sources import OVERDUE_MAX, PUSH_S
from tests.test_swarm_fetch import CONFIG, DATA, ROOT, A, Fetching, at

MADE_UP = tuple(bytes([number]) * 32 for number in range(1, 31))


def dialled(effects: list[Effect]) -> list[bytes]:
    """Whom these dial."""
    return [each.peer for each in effects if isinstance(each, Dial)]


def test_those_that_never_answer_do_not_starve_who_has_the_file() -> None:
    """Heard of before it, and more than there are links: it has its turn within seconds."""
    fetching = Fetching()
    fetching.feed(Allotted(2, 2**20))
    effects = fetching.find(*MADE_UP) + fetching.find(A)
    effects += fetching.wait(PUSH_S * (len(MADE_UP) + 1) / 2)
    assert A in dialled(effects)


@pytest.mark.parametrize("made_up", [10, 2 * OVERDUE_MAX])
def test_no_more_are_waited_for_than_there_may_be(made_up: int) -> None:
    """Beyond the links that are allotted."""
    fetching = Fetching()
    fetching.feed(Allotted(2, 2**20))
    nobody = tuple(bytes([number]) * 32 for number in range(1, made_up + 1))
    effects = fetching.find(*nobody) + fetching.wait(100.0)
    assert len(set(dialled(effects))) == min(made_up, OVERDUE_MAX + 2)


def test_who_answers_late_gives_its_place_to_who_came_sooner() -> None:
    """Its link is let go of, unless there is room for it."""
    fetching = Fetching()
    fetching.feed(Allotted(1, 2**20))
    late = dialled(fetching.find(*MADE_UP[:2]))[0]
    (sooner,) = dialled(fetching.wait(PUSH_S))
    assert fetching.link(sooner) == [Send(sooner, Interested(ROOT, len(DATA)))]
    assert fetching.link(late) == [Send(late, NotInterested(ROOT))]
    assert not fetching.core.sources.is_linked(late)


def test_one_place_is_not_dialled_on_and_on_under_many_keys() -> None:
    """Whose place it is never asked for this: a leaf dials it once in `redial_s`."""
    fetching = Fetching()
    victim = at(A)
    effects = fetching.feed(SourcesFound(ROOT, tuple(Contact(each, victim) for each in MADE_UP)))
    dials = 0
    while fetching.now < 60.0:
        for peer in dialled(effects):
            dials += 1
            fetching.feed(LinkDown(peer, Door.BULK, "refused"))
        effects = fetching.wait(0.5)
    assert 1 < dials <= 60.0 / CONFIG.redial_s + 1


def test_who_is_dialled_first_is_drawn() -> None:
    """Who names many before others do wins nothing by it."""
    fetching = Fetching()
    fetching.feed(Allotted(0, 2**20))
    fetching.find(*MADE_UP)
    drawn = dialled(fetching.feed(Allotted(5, 2**20)))
    assert len(drawn) == 5
    assert tuple(drawn) != MADE_UP[:5]


def test_a_leaf_that_was_not_reached_is_looked_for_where_else_it_is_said_to_be() -> None:
    """The first that tells of it may lie about its address, which nobody signs."""
    fetching = Fetching()
    fetching.feed(SourcesFound(ROOT, (Contact(A, at(MADE_UP[0])),)))
    fetching.find(A)  # the dial is under way
    fetching.feed(LinkDown(A, Door.BULK, "refused"))
    fetching.find(A)
    effects = fetching.wait(2 * CONFIG.redial_s)
    assert [each.address for each in effects if isinstance(each, Dial)] == [at(A)]
