"""From terms to documents in pages: what comes first, and how much is looked at."""

import pytest

from common.content.catalogue import Entry
from common.digest import CountedPlaces
from common.terms import Terms, matches
from superpeer.index.index import Index
from superpeer.index.matching import LOOKS_MAX, PREFIX_WORDS_MAX, UNIONS_MAX
from tests.test_index import ANY, A, B, C, entry, everything, some_index


def test_a_content_that_many_have_hides_no_other() -> None:
    """Of 500 copies one comes first, and the others when nothing else is left."""
    index = Index(1, CountedPlaces())
    for slot in range(500):
        index.add(A, slot, entry(f"apple {slot}", root=b"r" * 32))
    for slot in range(30):
        index.add(B, slot, entry(f"apple {slot}", root=bytes([slot]) * 32))
    page = index.search(Terms(("apple",)), 50)
    roots = [index.entry(doc).root for doc in page.docs]
    assert len(dict.fromkeys(roots)) == 31
    assert roots[31:] == [b"r" * 32] * 19
    assert len(everything(index, Terms(("apple",)), 50)) == 530


@pytest.mark.parametrize(
    "terms",
    [
        Terms(("apple",), size_min=1_000, size_max=1_000),
        Terms(("apple", "pie"), phrases=("apple pie",)),
        Terms(("apple",), without_phrases=("pie apple",)),
    ],
)
def test_a_page_looks_at_so_many_entries_and_no_more(terms: Terms) -> None:
    """Sizes and phrases that seldom fit: a page may be empty, all of them together have all."""
    index = Index(1, CountedPlaces())
    for slot in range(10 * LOOKS_MAX):
        index.add(A, slot, entry(f"pie apple {slot}", 600, root=slot.to_bytes(32, "little")))
    index.add(A, 10 * LOOKS_MAX, entry("apple pie", 1_000, root=b"r" * 32))
    place: int | None = 0
    pages = []
    while place is not None:
        page = index.search(terms, 5, place)
        pages.append(len(page.docs))
        place = page.then
    assert pages == [0] * 10 + [1]


def test_sizes_of_a_power_of_two_are_told_without_a_look() -> None:
    """Only the powers in which a bound lies are looked at, entry by entry."""
    index = Index(1, CountedPlaces())
    for slot in range(10 * LOOKS_MAX):
        index.add(A, slot, entry(f"apple {slot}", 1_024 + slot, root=slot.to_bytes(32, "little")))
    for terms in (Terms(("apple",), size_min=1_024), Terms(("apple",), size_min=1_000)):
        assert len(index.search(terms, ANY).docs) == 10 * LOOKS_MAX
    assert not index.search(Terms(("apple",), size_max=1_023), ANY).docs


def test_a_beginning_of_too_many_words_is_said_not_to_be_whole() -> None:
    """So many words are looked up, and the page tells that there are more."""
    index = Index(1, CountedPlaces())
    for slot in range(PREFIX_WORDS_MAX):
        index.add(A, slot, entry(f"ap{slot} pear"))
    few, many = Terms(("pear",), prefixes=("ap1",)), Terms(("pear",), prefixes=("ap",))
    assert index.search(many, 10).whole
    index.add(B, 0, entry("apple pear"))
    page = index.search(many, ANY)
    assert not page.whole
    assert len(page.docs) == PREFIX_WORDS_MAX
    assert index.search(few, ANY).whole


def test_the_beginnings_of_a_search_share_a_bound() -> None:
    """Eight of them make nobody look up more words than one does."""
    index = Index(1, CountedPlaces())
    for slot in range(PREFIX_WORDS_MAX // 2 + 1):
        index.add(A, slot, entry(f"ap{slot} pear"))
    assert index.search(Terms(prefixes=("ap",)), ANY).whole
    page = index.search(Terms(prefixes=("ap", "pe")), ANY)
    assert not page.whole
    assert len(page.docs) == PREFIX_WORDS_MAX // 2


def test_a_beginning_is_looked_up_anew_after_a_change() -> None:
    """What is remembered of it is of one state of the index."""
    index = some_index()
    assert len(everything(index, Terms(prefixes=("app",)))) == 3
    index.add(C, 0, entry("appetite.txt"))
    assert len(everything(index, Terms(prefixes=("app",)))) == 4
    for number in range(2 * UNIONS_MAX):
        index.search(Terms(prefixes=(f"app{number}",)), ANY)
    index.remove(C, 0)
    assert len(everything(index, Terms(prefixes=("app",)))) == 3


def test_common_words_are_met_in_windows() -> None:
    """An answer that is taken in pages is the same as a whole one, where words are common."""
    index = Index(1, CountedPlaces())
    for slot in range(20_000):
        index.add(A, slot, numbered(slot))
    for terms in (Terms(("apple", "pie")), Terms(("apple",)), Terms(("apple", "pear", "5"))):
        expected = [slot for slot in range(20_000) if matches(terms, numbered(slot))]
        assert [index.where(doc)[1] for doc in everything(index, terms, 70)] == expected


@pytest.mark.parametrize("copied", [1, 3])
def test_what_lies_in_both_strips_is_found_in_pages_of_every_size(copied: int) -> None:
    """Also filtered, hidden, gone, and where some are copies: those come last."""
    index, there = Index(1, CountedPlaces()), []
    for number in range(4_000):  # each leaf uses up 64 numbers
        leaf, file = number.to_bytes(32, "big"), numbered(number // copied)
        index.add(leaf, 0, file)
        there.append((leaf, file))
    for leaf, _ in there[::10]:
        index.drop_leaf(leaf)
    for leaf, _ in there[5::10]:
        index.hide(leaf)
    left = [(leaf, file) for number, (leaf, file) in enumerate(there) if number % 5]
    for terms in (
        *(
            Terms(("apple",)),
            Terms(("apple", "pie")),
            Terms(("pear", "apple")),
            Terms(("pie", "7")),
        ),
        *(Terms(("apple",), ("pie",)), Terms(("apple", "pear"), extensions=("jpg",))),
        *(Terms(("apple",), phrases=("apple pear",)), Terms(("apple",), prefixes=("pe",))),
    ):
        expected = sorted(leaf for leaf, file in left if matches(terms, file))
        for limit in (7, 50, 3_000, ANY):
            docs = everything(index, terms, limit)
            assert sorted(index.where(doc)[0] for doc in docs) == expected
        first = index.search(terms, 50).docs
        assert copied > 1 or len(first) < 2 or list(first) == sorted(first)
        assert len({index.entry(doc).root for doc in first}) == len(first) or copied > 1


def numbered(slot: int) -> Entry:
    """A name with common words and one of its own; each a content of its own."""
    kind = "pie" if slot % 3 else "pear"
    return entry(f"apple {kind} {slot}", root=slot.to_bytes(32, "little"))
