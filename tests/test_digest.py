"""A digest never denies a key that is there, and its patches carry exactly what changed."""

import zlib
from array import array
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common.digest import (
    PATCH_PLACES_MAX,
    PLACE_BITS,
    CountedPlaces,
    pack_places,
    place_of_root,
    place_of_word,
    unpack_places,
)
from common.errors import RemoteProtocolError
from common.limits import CONTROL_FRAME_BYTES_MAX

PLACES = st.integers(0, 2**PLACE_BITS - 1)


def random_places(count: int) -> BitMap:
    """As many as asked for, spread as hashes are."""
    return BitMap(Random(1).sample(range(2**PLACE_BITS), count))


def test_a_word_stands_where_it_always_stood() -> None:
    """Places are part of the protocol: other versions must find the same."""
    assert [place_of_word(word) for word in ("linux", "é", "東京")] == [
        62063444,
        39130387,
        49687169,
    ]
    assert place_of_root(bytes.fromhex("ffffffc0") + bytes(28)) == 2**PLACE_BITS - 1
    assert place_of_root(bytes.fromhex("0000003f") + bytes(28)) == 0


def test_a_word_that_is_no_unicode_has_a_place() -> None:
    """A lone surrogate cannot end a search."""
    assert 0 <= place_of_word("\udc80") < 2**PLACE_BITS


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60), st.integers(1, 9))
def test_patches_make_a_copy(steps: list[tuple[bool, int]], every: int) -> None:
    """Whatever keys came and went, who applies each patch has what stands, and no more."""
    counted, copy, there = CountedPlaces(), BitMap(), [0] * 6
    for number, (add, place) in enumerate(steps):
        if add:
            counted.add(place)
            there[place] += 1
        elif there[place]:
            counted.discard(place)
            there[place] -= 1
        if number % every == 0:
            added, cleared = counted.take_changes()
            assert not added & copy
            assert cleared <= copy
            copy = (copy | added) - cleared
            assert copy == counted.places
    assert counted.places == BitMap([place for place, count in enumerate(there) if count])


@given(st.sets(PLACES, max_size=200))
def test_places_survive_the_wire(places: set[int]) -> None:
    """What is packed is what is unpacked."""
    assert unpack_places(pack_places(BitMap(places))) == BitMap(places)


def test_a_full_patch_fits_into_a_frame() -> None:
    """Also where nothing of it can be deflated."""
    assert len(pack_places(random_places(PATCH_PLACES_MAX))) < CONTROL_FRAME_BYTES_MAX * 3 / 4


def test_a_key_costs_a_good_two_bytes() -> None:
    """The digest of a common super-peer, 8,000 words, and of a large part of a big one."""
    for count in (8_000, PATCH_PLACES_MAX):
        assert len(pack_places(random_places(count))) < 2.5 * count


def deflated(numbers: list[int]) -> bytes:
    """Numbers packed by somebody who does not keep to the limits."""
    plain = array("I", numbers).tobytes()
    return zlib.compress(b"".join(plain[byte::4] for byte in range(4)))


@pytest.mark.parametrize(
    "packed",
    [
        b"not deflated",
        zlib.compress(b"123"),
        zlib.compress(b"1234")[:-1],
        zlib.compress(b"1234") + b"more",
        zlib.compress(bytes(100_000_000)),
        deflated([1, 2**PLACE_BITS]),
        deflated(list(range(PATCH_PLACES_MAX + 1))),
    ],
)
def test_forged_places_are_refused(packed: bytes) -> None:
    """Rubbish, what ends early or late, a bomb, a place beyond all, too many."""
    with pytest.raises(RemoteProtocolError):
        unpack_places(packed)
