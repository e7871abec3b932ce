"""A place that is dialled under one key rests for all downloads, but for who answers there."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.core import Dial, Effect, LinkUp
from common.doors import Door
from common.messages.fields import Contact
from leaf.links.links import BulkLinks
from leaf.links.places import PLACES_MAX, Places
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
    assert dials == 10


def test_all_downloads_may_want_the_same_leaf_at_once() -> None:
    """Its link is one, whoever asks for it first."""
    links = BulkLinks(CONFIG)
    for _ in range(3):
        sources = Sources(ROOT, 2**20, links, CONFIG, Random(1))
        sources.links_max = 50
        sources.add([Contact(A, VICTIM)])
        assert dialled(sources.reach(0.0)) == [A]


def test_who_answered_there_does_not_wait_for_those_who_are_said_to_be_there() -> None:
    """Its link broke; a made-up one had its place just now."""
    links = BulkLinks(CONFIG)
    links.handle(LinkUp(A, Door.BULK, VICTIM, VICTIM, inbound=False), 0.0)
    assert links.places.take(B, VICTIM, 1.0) is None
    assert links.places.take(MADE_UP[0], VICTIM, 1.5) == 1.0 + REST_S
    assert links.places.take(A, VICTIM, 1.5) is None
    assert links.places.take(B, VICTIM, 2.0) == 1.5 + REST_S


def test_who_dialled_us_has_not_answered_at_the_place_it_tells() -> None:
    """That is its word alone."""
    links = BulkLinks(CONFIG)
    links.handle(LinkUp(A, Door.BULK, VICTIM, VICTIM, inbound=True), 0.0)
    assert links.places.take(B, VICTIM, 1.0) is None
    assert links.places.take(A, VICTIM, 1.0) == 1.0 + REST_S


def test_places_are_bounded() -> None:
    """Those that were dialled longest ago are forgotten; those that rest are many fewer."""
    places = Places(REST_S)
    for number in range(2 * PLACES_MAX):
        address = Address.of(f"10.1.{number // 250}.{number % 250 + 1}", 5000)
        assert places.take(A, address, number * REST_S) is None
        places.answered(A, address)
    assert len(places._dialled) == len(places._answered) == PLACES_MAX


@given(st.lists(st.tuples(st.sampled_from(MADE_UP[:5]), st.floats(0.0, 3.0)), max_size=50))
def test_two_keys_are_never_dialled_in_one_place_within_its_rest(
    dials: list[tuple[bytes, float]],
) -> None:
    """And who is turned away is told the moment from which it may."""
    places, now = Places(REST_S), 0.0
    last: tuple[bytes, float] | None = None
    for peer, pause_s in dials:
        now += pause_s
        until = places.take(peer, VICTIM, now)
        if until is None:
            assert last is None or last[0] == peer or now >= last[1] + REST_S
            last = peer, now
        else:
            assert last is not None
            assert until == last[1] + REST_S > now
