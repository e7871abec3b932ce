"""How a search goes on: what each strategy asks next."""

from superpeer.search.strategies import PROBED_LINKS, Dynamic, Flood, Progress, Rings, Step

DEEPER = Step(deeper=True, links=None)


def test_a_flood_is_one_wave() -> None:
    """As deep as was asked for, blind, and nothing after it."""
    flood = Flood()
    assert (flood.guided, flood.first_level(7)) == (False, 7)
    assert flood.next(Progress(50, 0, put_off=False)) is None


def test_rings_go_one_link_further_each_time() -> None:
    """From our own index on, whatever was found."""
    rings = Rings()
    assert (rings.guided, rings.first_level(7)) == (True, 0)
    assert [rings.next(Progress(50, found, put_off=False)) for found in (0, 9)] == [DEEPER] * 2


def test_dynamic_asks_as_many_as_promise_to_be_enough() -> None:
    """Three first; then by what those brought, or twice as many if nothing; then deeper."""
    dynamic = Dynamic()
    assert (dynamic.guided, dynamic.first_level(7)) == (True, 0)
    assert dynamic.next(Progress(50, 0, put_off=False)) == Step(deeper=True, links=PROBED_LINKS)
    assert dynamic.next(Progress(10, 6, put_off=True)) == Step(deeper=False, links=5)
    assert dynamic.next(Progress(10, 0, put_off=True)) == Step(deeper=False, links=10)
    assert dynamic.next(Progress(10, 0, put_off=False)) == Step(deeper=True, links=PROBED_LINKS)
