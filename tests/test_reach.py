"""Counting a network: exact while it is small, near enough beyond, however merged."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.limits import NEARBY_IDS_MAX, REACH_IDS_MAX
from common.messages.overlay import Extent
from superpeer.overlay.reach import FINE_IDS_MAX, Reach, nearby, short_id, unpack

IDS = st.sets(st.integers(0, 2**32 - 1), max_size=50)


def keys(count: int, seed: int = 1) -> list[bytes]:
    """Keys as they are: random."""
    rng = Random(seed)
    return [rng.randbytes(32) for _ in range(count)]


@given(IDS, IDS, IDS, IDS)
def test_branches_merge_into_the_whole(
    known: set[int], covered: set[int], known_below: set[int], covered_below: set[int]
) -> None:
    """What two branches both know counts once; who is covered in one of them is covered."""
    below = Reach()
    below.know(known_below)
    below.cover(covered_below)
    reach = Reach(below.extent())
    reach.know(known)
    reach.cover(covered)
    everybody, all_covered = known | covered | known_below | covered_below, covered | covered_below
    assert reach.counts() == (len(all_covered), len(everybody))
    assert reach.is_whole == (everybody == all_covered)
    assert Reach(reach.extent()).counts() == reach.counts()


@pytest.mark.parametrize("count", [FINE_IDS_MAX, 1_000, REACH_IDS_MAX - 500, 20_000])
def test_a_large_network_is_estimated(count: int) -> None:
    """Within four standard errors, and exactly while all ids are whole; a report stays small."""
    ids = [short_id(key) for key in keys(count)]
    reach = Reach()
    reach.know(ids)
    reach.cover(ids[: count // 2])
    extent = reach.extent()
    covered, known = Reach(extent).counts()
    error = 4 / REACH_IDS_MAX**0.5 if count > FINE_IDS_MAX else 0.0
    assert abs(known - count) <= error * count
    assert abs(covered - count // 2) <= error * count
    assert len(extent.covered) + len(extent.missed) <= 2 * REACH_IDS_MAX
    assert not reach.is_whole
    reach.cover(ids)
    assert reach.is_whole


@pytest.mark.parametrize("count", [300, 1_000, REACH_IDS_MAX - 500])
def test_one_that_is_missed_is_seen(count: int) -> None:
    """Of a network of some thousands nobody stands for others: who is missed alone is told of, but
    for the few that share an id with one that is covered."""
    ids = [short_id(key) for key in keys(count)]
    unseen = 0
    for missed in ids[:200]:
        below = Reach()
        below.know(ids)
        reach = Reach()
        reach.cover(number for number in ids if number != missed)
        reach.merge(below.extent())
        unseen += reach.is_whole
    assert unseen <= 200 * count / 2**16 + 4 * (200 * count / 2**16) ** 0.5


def test_parts_of_both_widths_merge_in_any_order() -> None:
    """A branch that knows few reports whole ids, one that knows many reports short ones."""
    ids = [short_id(key) for key in keys(1_000)]
    few, many = Reach(), Reach()
    few.cover(ids[:100])
    many.know(ids)
    many.cover(ids[50:900])
    one = Reach(few.extent())
    one.merge(many.extent())
    other = Reach(many.extent())
    other.merge(few.extent())
    assert one.extent() == other.extent()
    covered, known = one.counts()
    assert abs(known - 1_000) <= 10
    assert abs(covered - 900) <= 10


def test_the_smallest_are_told_to_neighbours_once() -> None:
    """So what is told of overlapping parts is of one kind."""
    ids = [short_id(key) for key in keys(1_000)]
    assert list(unpack(nearby(ids + ids))) == sorted(ids)[:NEARBY_IDS_MAX]


@given(st.binary(max_size=64), st.binary(max_size=64), st.sampled_from([2, 4]))
def test_whatever_a_neighbour_sends_is_an_extent(covered: bytes, missed: bytes, width: int) -> None:
    """What is left over at the end is no id, and nothing is told on that was not there."""
    reach = Reach(Extent(covered, missed, 4 if width == 4 else 2))
    told = reach.extent()
    assert len(told.covered) + len(told.missed) <= len(covered) + len(missed)
    assert Reach(told).counts() == reach.counts()
    assert 0 <= reach.counts()[0] <= reach.counts()[1]
