"""A place that is dialled under one key rests for all downloads, but for who answers there."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.core import Dial, Effect, LinkUp
from common.doors import Door
from common.messages.fields import Contact
from leaf.links.links import BulkLinks
from leaf.links.places import PLACES_MAX, SHARED_S, Places
from leaf.swarm.sources import Sources
from tests.test_swarm_fetch import CONFIG, ROOT, A, B, at

REST_S = CONFIG.redial_s
VICTIM = at(A)
MADE_UP = [bytes([number]) * 32 for number in range(100, 200)]


def dialled(effects: list[Effect]) -> list[bytes]:
    """Whom these dial."""
    return [each.peer for each in effects if isinstance(each, Dial)]


def test_all_downloads_together_dial_a_place_once_in_a_while() -> None:
    """However many leaves are said to be there, of however many files."""
    links = BulkLinks(CONFIG)
    downloads = [Sources(ROOT, 2**20, links, CONFIG, Random(number)) for number in range(8)]
    for number, each in enumerate(downloads):
        each.links_max = 50
        each.add([Contact(node, VICTIM) for node in MADE_UP[number::8]])
    dials, now = 0, 0.0
    while now < 10 * REST_S:
        for each in downloads:
            each.deadlines.pop_due(now)
            dials += len(dialled(each.reach(now)))
        now += REST_S / 8
    assert 5 < dials <= 10


@pytest.mark.parametrize("seed", range(5))
def test_who_is_there_is_dialled_though_another_download_was_told_lies(seed: int) -> None:
    """A download with many made-up ones at a place, asked first each time, does not keep it."""
    links, sources = BulkLinks(CONFIG), list[Sources]()
    for number, there in enumerate((MADE_UP, [A])):
        each = Sources(ROOT, 2**20, links, CONFIG, Random(seed + number))
        each.links_max = 50
        each.add([Contact(node, VICTIM) for node in there])
        sources.append(each)
    now, peers = 0.0, list[bytes]()
    while A not in peers and now < 20 * REST_S:
        for each in sources:
            each.deadlines.pop_due(now)
            peers += dialled(each.reach(now))
        now += REST_S / 50
    assert A in peers


def test_all_downloads_share_a_dial_that_has_just_begun() -> None:
    """The link is one, whoever asks for it first; later it is another dial, and does not put off
    the end of the rest."""
    links = BulkLinks(CONFIG)
    for _ in range(3):
        sources = Sources(ROOT, 2**20, links, CONFIG, Random(1))
        sources.links_max = 50
        sources.add([Contact(A, VICTIM)])
        assert dialled(sources.reach(0.0)) == [A]
    assert links.places.take(A, VICTIM, SHARED_S) == REST_S
    assert links.places.take(A, VICTIM, REST_S) is None


def test_who_answered_there_does_not_wait_for_those_who_are_said_to_be_there() -> None:
    """Its link broke; a made-up one had its place just now."""
    links = BulkLinks(CONFIG)
    links.handle(LinkUp(A, Door.BULK, VICTIM, VICTIM, inbound=False), 0.0)
    assert links.places.take(B, VICTIM, 1.0) is None
    assert links.places.take(MADE_UP[0], VICTIM, 1.5) == 1.0 + REST_S
    assert links.places.take(A, VICTIM, 1.5) is None
    assert links.places.take(MADE_UP[0], VICTIM, 2.0) == 1.0 + REST_S


def test_a_place_where_somebody_answers_rests_no_more() -> None:
    """Several may be there: the web servers of a download have one place."""
    links = BulkLinks(CONFIG)
    assert links.places.take(A, VICTIM, 0.0) is None
    links.handle(LinkUp(A, Door.BULK, VICTIM, VICTIM, inbound=False), 0.1)
    assert links.places.take(B, VICTIM, 0.2) is None


def test_who_dialled_us_has_not_answered_at_the_place_it_tells() -> None:
    """That is its word alone."""
    links = BulkLinks(CONFIG)
    assert links.places.take(B, VICTIM, 0.0) is None
    links.handle(LinkUp(A, Door.BULK, VICTIM, VICTIM, inbound=True), 0.5)
    assert links.places.take(A, VICTIM, 1.0) == REST_S


def test_places_are_bounded() -> None:
    """However many are dialled, and reached."""
    dialled_only, reached = Places(REST_S), Places(REST_S)
    for number in range(2 * PLACES_MAX):
        address = Address.of(f"10.1.{number // 250}.{number % 250 + 1}", 5000)
        assert dialled_only.take(A, address, number * REST_S) is None
        reached.answered(A, address)
    assert len(dialled_only) == len(reached) == PLACES_MAX


@given(st.lists(st.tuples(st.sampled_from(MADE_UP[:5]), st.floats(0.0, 3.0)), max_size=50))
def test_a_place_where_nobody_answers_rests_after_each_dial(
    dials: list[tuple[bytes, float]],
) -> None:
    """But for a moment in which its dial is shared; who is turned away is told until when."""
    places, now = Places(REST_S), 0.0
    last: tuple[bytes, float] | None = None
    for peer, pause_s in dials:
        now += pause_s
        until = places.take(peer, VICTIM, now)
        rests = last is not None and now < last[1] + REST_S
        if until is not None:
            assert rests and last is not None
            assert until == last[1] + REST_S
        elif rests and last is not None:
            assert peer == last[0] and now < last[1] + SHARED_S
        else:
            last = peer, now
