"""The four shapes of a posting list behave as one set."""

import random
from array import array

import pytest
from pyroaring import BitMap

from superpeer.index.postings import (
    ARRAY_DOCS_MAX,
    FRESH_DOCS_MAX,
    PACKED_DOCS_MAX,
    Postings,
    side_by_side,
    those_in,
    whole,
)
from superpeer.index.strips import CONTAINER_BITS, DOC_BITS, STRIPS, numbers_in


def filled(count: int, key: str = "word") -> Postings[str]:
    """One key with the documents 0 .. count - 1, put in without order."""
    postings: Postings[str] = Postings()
    for doc in random.Random(count).sample(range(count), count):
        postings.add([key], doc)
    return postings


@pytest.mark.parametrize(
    "count",
    [
        *(0, 1, 2, 3, ARRAY_DOCS_MAX, ARRAY_DOCS_MAX + 1, ARRAY_DOCS_MAX + FRESH_DOCS_MAX),
        *(ARRAY_DOCS_MAX + FRESH_DOCS_MAX + 2, PACKED_DOCS_MAX, PACKED_DOCS_MAX + 200, 20_000),
    ],
)
def test_a_key_holds_exactly_what_was_added_at_every_size(count: int) -> None:
    """All shapes give the same answer, also on both sides of a change of shape."""
    postings = filled(count)
    assert postings.union(["word", "no"]) == BitMap(range(count))
    assert [whole(docs) for _, docs in postings.rarest_first(["word"])] == [BitMap(range(count))][
        :count
    ]


def test_discarding_goes_back_through_all_shapes_to_nothing() -> None:
    """Every size on the way down is right, and a key without documents is not kept."""
    count = PACKED_DOCS_MAX + 500
    postings = filled(count)
    left = BitMap(range(count))
    for doc in random.Random(7).sample(range(count), count):
        left.discard(doc)
        assert postings.discard("word", doc) is (not left)
        if len(left) % 61 < 2 or len(left) < 10:
            assert postings.union(["word"]) == left
    assert len(postings) == 0


@pytest.mark.parametrize("border", [ARRAY_DOCS_MAX, PACKED_DOCS_MAX + 200])
def test_coming_and_going_at_a_border_loses_nothing(border: int) -> None:
    """Whatever shape it has by then."""
    postings = filled(border)
    for _ in range(3):
        for doc in range(border, border + 40):
            postings.add(["word"], doc)
        for doc in range(border, border + 40):
            postings.discard("word", doc)
        assert postings.union(["word"]) == BitMap(range(border))


def test_the_rarest_comes_first_and_one_that_nobody_carries_ends_it() -> None:
    """In whatever order they are asked for."""
    postings: Postings[str] = Postings()
    for key, count in (("many", 9_000), ("some", 700), ("few", 50), ("one", 1)):
        for doc in range(count):
            postings.add([key], doc)
    ordered = postings.rarest_first(["many", "one", "some", "few"])
    assert [(count, len(whole(docs))) for count, docs in ordered] == [
        *((1, 1), (50, 50), (700, 700), (9_000, 9_000)),
    ]
    assert postings.rarest_first(["many", "none"]) == []
    assert postings.union(["many", "one", "none"]) == BitMap(range(9_000))


def test_numbers_up_to_24_bits_are_kept() -> None:
    """The largest number survives every shape."""
    postings: Postings[str] = Postings()
    last = 2**DOC_BITS - 1
    postings.add(["word"], last)
    assert list(postings.union(["word"])) == [last]
    for doc in range(PACKED_DOCS_MAX + 200):
        postings.add(["word"], doc)
        assert last in postings.union(["word"])
    assert array("I").itemsize == 4


def test_each_number_lies_in_one_strip() -> None:
    """The strips follow one another without a hole, to the largest number."""
    numbers = [numbers_in(strip) for strip in range(STRIPS[-1] + 1)]
    assert [each.start for each in numbers] == [0, *[each.stop for each in numbers[:-1]]]
    assert numbers[-1].stop == 2**DOC_BITS
    for strip, each in enumerate(numbers):
        assert {STRIPS[doc >> CONTAINER_BITS] for doc in (each[0], each[-1])} == {strip}


@pytest.mark.parametrize("count", [ARRAY_DOCS_MAX, PACKED_DOCS_MAX, 2 * PACKED_DOCS_MAX])
def test_what_lies_in_several_strips_is_there_in_every_shape(count: int) -> None:
    """Also after a part has gone; and each strip has all that lie in it."""
    step = 3_000_000 // count
    docs, postings = BitMap(range(0, count * step, step)), Postings[str]()
    for doc in docs:
        postings.add(["word"], doc)
    for doc in list(docs)[::7]:
        postings.discard("word", doc)
        docs.remove(doc)
    for strip in (0, 1, 3, 4, 5, 6):
        numbers = BitMap(numbers_in(strip))
        assert postings.strip("word", strip) & numbers == docs & numbers
    needed = postings.rarest_first(["word"])
    assert [whole(each) for _, each in needed] == [docs]
    assert BitMap().union(*[strip for (strip,) in side_by_side(needed)]) == docs
    some = list(range(0, 4_000_000, 1_001))
    assert those_in(needed[0][1], some) == [doc for doc in some if doc in docs]
