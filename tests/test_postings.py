"""The four shapes of a posting list behave as one set."""

import random
from array import array

import pytest
from pyroaring import BitMap

from superpeer.index.postings import ARRAY_DOCS_MAX, FRESH_DOCS_MAX, PACKED_DOCS_MAX, Postings


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
    assert postings.bitmap("word") == postings.union(["word", "no"]) == BitMap(range(count))
    assert [docs for _, docs in postings.rarest_first(["word"])] == [BitMap(range(count))][:count]


def test_discarding_goes_back_through_all_shapes_to_nothing() -> None:
    """Every size on the way down is right, and a key without documents is not kept."""
    count = PACKED_DOCS_MAX + 500
    postings = filled(count)
    left = BitMap(range(count))
    for doc in random.Random(7).sample(range(count), count):
        left.discard(doc)
        assert postings.discard("word", doc) is (not left)
        if len(left) % 61 < 2 or len(left) < 10:
            assert postings.bitmap("word") == left
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
        assert postings.bitmap("word") == BitMap(range(border))


def test_the_rarest_comes_first_and_one_that_nobody_carries_ends_it() -> None:
    """In whatever order they are asked for."""
    postings: Postings[str] = Postings()
    for key, count in (("many", 9_000), ("some", 700), ("few", 50), ("one", 1)):
        for doc in range(count):
            postings.add([key], doc)
    ordered = postings.rarest_first(["many", "one", "some", "few"])
    assert [(count, len(docs)) for count, docs in ordered] == [
        *((1, 1), (50, 50), (700, 700), (9_000, 9_000)),
    ]
    assert postings.rarest_first(["many", "none"]) == []
    assert postings.union(["many", "one", "none"]) == BitMap(range(9_000))


def test_numbers_up_to_32_bits_are_kept() -> None:
    """The largest number survives every shape."""
    postings: Postings[str] = Postings()
    last = 2**32 - 1
    postings.add(["word"], last)
    assert list(postings.bitmap("word")) == [last]
    for doc in range(PACKED_DOCS_MAX + 200):
        postings.add(["word"], doc)
        assert last in postings.bitmap("word")
    assert array("I").itemsize == 4
