"""Counting a network by a sample: exact while it is small, near enough beyond, however merged."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.limits import ID_SAMPLE_MAX
from superpeer.reach import Reach, pack, sampled, short_id, unpack

IDS = st.sets(st.integers(0, 2**31 - 1).map(lambda number: 2 * number), max_size=50)


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
    reach = Reach(below.packed())
    reach.know(known)
    reach.cover(covered)
    everybody, all_covered = known | covered | known_below | covered_below, covered | covered_below
    assert reach.counts() == (len(all_covered), len(everybody))
    assert reach.missing() == sorted(everybody - all_covered)
    assert Reach(reach.packed()).counts() == reach.counts()


@pytest.mark.parametrize("count", [ID_SAMPLE_MAX - 1, 1_000, 10_000])
def test_a_large_network_is_estimated(count: int) -> None:
    """Within four standard errors; what a report carries stays small."""
    ids = [short_id(key) for key in keys(count)]
    reach = Reach()
    reach.know(ids)
    reach.cover(ids[: count // 2])
    covered, known = reach.counts()
    error = 4 / ID_SAMPLE_MAX**0.5 if count >= ID_SAMPLE_MAX else 0.0
    assert abs(known - count) <= error * count
    assert abs(covered - count // 2) <= error * count
    assert len(reach.packed()) <= 4 * ID_SAMPLE_MAX
    assert reach.missing()
    reach.cover(ids)
    assert not reach.missing()


def test_a_sample_has_the_smallest_ids_once() -> None:
    """So samples of overlapping parts are of one kind."""
    ids = [short_id(key) for key in keys(1_000)]
    assert list(sampled(ids + ids)) == sorted(ids)[:ID_SAMPLE_MAX]


@given(st.binary(max_size=64))
def test_whatever_a_neighbour_sends_is_a_sample(packed: bytes) -> None:
    """What is left over at the end is no id, and nothing is told on that was not there."""
    assert unpack(pack(unpack(packed))) == unpack(packed)
    covered, known = Reach(packed).counts()
    assert 0 <= covered <= known <= len(packed) // 4
