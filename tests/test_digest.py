"""A digest never denies a key that is there, and its patches carry exactly what changed."""

import zlib
from array import array
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common.digest import (
    BITS_MIN,
    FULL,
    PATCH_PLACES_MAX,
    SPARSE,
    CountedPlaces,
    OwnDigest,
    may_have,
    pack_places,
    place_of_root,
    place_of_word,
    unpack_places,
)
from common.errors import RemoteProtocolError
from common.limits import CONTROL_FRAME_BYTES_MAX, DIGEST_BITS_MAX

PLACES = st.integers(0, 2**DIGEST_BITS_MAX - 1)


def random_places(count: int) -> BitMap:
    """As many as asked for, spread as hashes are."""
    return BitMap(Random(1).sample(range(2**DIGEST_BITS_MAX), count))


def test_a_word_stands_where_it_always_stood() -> None:
    """Places are part of the protocol: other versions must find the same."""
    assert [place_of_word(word) for word in ("linux", "é", "東京")] == [
        62063444,
        39130387,
        49687169,
    ]
    assert place_of_root(bytes.fromhex("ffffffc0") + bytes(28)) == 2**DIGEST_BITS_MAX - 1
    assert place_of_root(bytes.fromhex("0000003f") + bytes(28)) == 0


def test_a_word_that_is_no_unicode_has_a_place() -> None:
    """A lone surrogate cannot end a search."""
    assert 0 <= place_of_word("\udc80") < 2**DIGEST_BITS_MAX


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
    assert unpack_places(pack_places(BitMap(places)), DIGEST_BITS_MAX) == BitMap(places)


def test_a_full_patch_fits_into_a_frame() -> None:
    """Also where nothing of it can be deflated."""
    assert len(pack_places(random_places(PATCH_PLACES_MAX))) < CONTROL_FRAME_BYTES_MAX * 3 / 4


def digest_of(count: int) -> OwnDigest:
    """Of an index with so many keys."""
    counted = CountedPlaces()
    for place in random_places(count):
        counted.add(place)
    digest = OwnDigest(counted)
    digest.update()
    return digest


@pytest.mark.parametrize("count", [1, 100, 8_000, 300_000])
def test_a_digest_is_sparse_and_costs_a_good_byte_a_key(count: int) -> None:
    """1 to 4 % of its places are set, unless it is the smallest."""
    digest = digest_of(count)
    fill = len(digest.places) / (1 << digest.bits)
    assert fill <= FULL
    assert fill >= SPARSE or digest.bits == BITS_MIN
    patch = BitMap(list(digest.places)[:PATCH_PLACES_MAX])
    if count > 1_000:
        assert len(pack_places(patch)) < 1.3 * len(patch)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=80),
    st.integers(1, 9),
    st.sampled_from([1, 600, 4_096, 1_000_003]),
)
def test_changes_make_a_copy_of_any_size(
    steps: list[tuple[bool, int]], every: int, apart: int
) -> None:
    """Who applies the changes, and starts afresh when told to, never denies a key that is there."""
    counted = CountedPlaces()
    digest, copy, there = OwnDigest(counted), BitMap(), [0] * 31
    for number, (add, key) in enumerate(steps):
        if add:
            counted.add(key * apart)
            there[key] += 1
        elif there[key]:
            counted.discard(key * apart)
            there[key] -= 1
        if number % every == 0:
            changes = digest.update()
            copy = digest.places if changes is None else (copy | changes[0]) - changes[1]
            assert copy == digest.places
            for known, count in enumerate(there):
                assert may_have(copy, digest.bits, [known * apart]) or not count
    cut = DIGEST_BITS_MAX - digest.bits
    digest.update()
    assert digest.places == BitMap([n * apart >> cut for n, count in enumerate(there) if count])


def test_a_digest_grows_and_shrinks_with_its_index() -> None:
    """It is told afresh each time, and not at every key more or less."""
    counted = CountedPlaces()
    digest = OwnDigest(counted)
    places, sizes = list(random_places(20_000)), []
    for at in range(0, len(places), 100):
        for place in places[at : at + 100]:
            counted.add(place)
        if digest.update() is None:
            sizes.append(digest.bits)
    for at in range(0, len(places), 100):
        for place in places[at : at + 100]:
            counted.discard(place)
        if digest.update() is None:
            sizes.append(digest.bits)
    grown = list(range(BITS_MIN + 1, max(sizes) + 1))
    assert sizes == grown + grown[-2::-1] + [BITS_MIN]


def deflated(numbers: list[int]) -> bytes:
    """Gaps packed by somebody who does not keep to the limits."""
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
        deflated([1, 2**DIGEST_BITS_MAX - 1]),
        deflated([2**32 - 1] * 9),
        deflated([1] * (PATCH_PLACES_MAX + 1)),
    ],
)
def test_forged_places_are_refused(packed: bytes) -> None:
    """Rubbish, what ends early or late, a bomb, a place beyond all, too many."""
    with pytest.raises(RemoteProtocolError):
        unpack_places(packed, DIGEST_BITS_MAX)
