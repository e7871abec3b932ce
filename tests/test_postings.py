"""The three shapes of a posting list behave as one set."""

import random
from array import array

from pyroaring import BitMap

from superpeer.postings import ARRAY_DOCS_MAX, BITMAP_DOCS_MIN, Postings


def filled(count: int) -> Postings[str]:
    """One key with the documents 0 .. count - 1, put in without order."""
    postings: Postings[str] = Postings()
    for doc in random.Random(count).sample(range(count), count):
        postings.add("word", doc)
    return postings


def test_a_key_holds_exactly_what_was_added_at_every_size() -> None:
    """Number, array and bitmap give the same answer, also on both sides of a change of shape."""
    for count in (0, 1, 2, 3, ARRAY_DOCS_MAX, ARRAY_DOCS_MAX + 1, ARRAY_DOCS_MAX + 2, 5000):
        postings = filled(count)
        assert postings.count("word") == count
        assert postings.bitmap("word") == BitMap(range(count))


def test_discarding_goes_back_through_all_shapes_to_nothing() -> None:
    """Every size on the way down is right, and a key without documents is not kept."""
    postings = filled(ARRAY_DOCS_MAX + 40)
    left = random.Random(7).sample(range(ARRAY_DOCS_MAX + 40), ARRAY_DOCS_MAX + 40)
    while left:
        postings.discard("word", left.pop())
        assert postings.bitmap("word") == BitMap(left)
        assert postings.count("word") == len(left)
    assert len(postings) == 0


def test_a_list_at_the_border_does_not_change_shape_with_every_document() -> None:
    """Shrinking back to an array happens well below where the bitmap began."""
    assert BITMAP_DOCS_MIN < ARRAY_DOCS_MAX
    postings = filled(ARRAY_DOCS_MAX + 1)
    held = postings.bitmap("word")
    postings.discard("word", 0)
    assert postings.bitmap("word") is held


def test_numbers_up_to_32_bits_are_kept() -> None:
    """The largest number survives every shape."""
    postings: Postings[str] = Postings()
    last = 2**32 - 1
    postings.add("word", last)
    assert list(postings.bitmap("word")) == [last]
    for doc in range(ARRAY_DOCS_MAX + 1):
        postings.add("word", doc)
        assert last in postings.bitmap("word")
    assert array("I").itemsize == 4
