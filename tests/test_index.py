"""The index answers as a scan over everything would, whatever came and went before."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.content.catalogue import Entry
from common.digest import CountedPlaces, place_of_word
from common.limits import FILE_SIZE_MAX
from common.terms import Terms, matches
from superpeer.index.index import SWEEP_SLACK_DOCS, Index

ANY = 10_000
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def entry(name: str, size: int = 10, folder: str = "", root: bytes = bytes(32)) -> Entry:
    """An entry where only what the test is about is given."""
    return Entry(root, size, name, folder)


def names(index: Index, terms: Terms) -> list[str]:
    """What a searcher would see."""
    return [index.entry(doc).name for doc in everything(index, terms)]


def everything(index: Index, terms: Terms, limit: int = ANY) -> list[int]:
    """All pages of an answer."""
    docs: list[int] = []
    place: int | None = 0
    while place is not None:
        page = index.search(terms, limit, place)
        assert len(page.docs) <= limit
        docs += page.docs
        place = page.then
    return docs


def holders(index: Index, docs: list[int]) -> list[bytes]:
    """Whose they are."""
    return [index.where(doc)[0] for doc in docs]


def some_index() -> Index:
    """Two leaves with a few files between them."""
    index = Index(1, CountedPlaces())
    index.add(A, 0, entry("red apple.txt", 100))
    index.add(A, 1, entry("green apple.jpg", 1_000, root=b"r" * 32))
    index.add(B, 7, entry("cider.mp3", 1_023, "apple songs", root=b"r" * 32))
    return index


@pytest.mark.parametrize(
    ("terms", "hits"),
    [
        (Terms(("apple",)), ["red apple.txt", "green apple.jpg", "cider.mp3"]),
        (Terms(("apple", "green")), ["green apple.jpg"]),
        (Terms(("apple", "pear")), []),
        (Terms(("apple",), ("songs",)), ["red apple.txt", "green apple.jpg"]),
        (Terms(("apple",), (), "audio"), ["cider.mp3"]),
        (Terms(("apple",), (), "", ("txt", "jpg")), ["red apple.txt", "green apple.jpg"]),
        (Terms(("apple",), size_min=1_000, size_max=1_022), ["green apple.jpg"]),
        (Terms(("apple",), size_min=1_023), ["cider.mp3"]),
        (Terms(("apple",), size_max=100), ["red apple.txt"]),
    ],
)
def test_search_finds_by_words_and_filters(terms: Terms, hits: list[str]) -> None:
    """All words, none of the excluded, of the kind, an extension and the sizes asked for."""
    assert names(some_index(), terms) == hits


@pytest.mark.parametrize(
    "terms",
    [
        Terms(()),
        Terms((), (), "audio"),
        Terms(("kind audio",)),
        Terms(("apple",), (), "no such kind"),
        Terms(("apple",), size_min=FILE_SIZE_MAX, size_max=0),
        Terms(("apple",), size_min=1_001, size_max=1_000),
    ],
)
def test_odd_terms_find_nothing(terms: Terms) -> None:
    """Terms that no `parse` gives and a hostile neighbour sends are answered, with nothing."""
    assert everything(some_index(), terms) == []


def test_a_slot_holds_one_entry() -> None:
    """What is added to a filled slot takes the place of what was there."""
    index = some_index()
    index.add(A, 0, entry("yellow pear.txt"))
    assert names(index, Terms(("red",))) == []
    assert names(index, Terms(("pear",))) == ["yellow pear.txt"]
    assert (index.files, index.leaves) == (3, 2)


def test_sources_are_leaves_with_the_very_content() -> None:
    """Root and size must both be right; a removed copy is no source."""
    index = some_index()
    both = index.sources(b"r" * 32, 1_000, ANY)
    assert [index.where(doc) for doc in both] == [(A, 1)]
    index.add(C, 3, entry("copy.jpg", 1_000, root=b"r" * 32))
    assert holders(index, index.sources(b"r" * 32, 1_000, ANY)) == [A, C]
    assert holders(index, index.sources(b"r" * 32, 1_000, 1)) == [A]
    index.remove(A, 1)
    assert holders(index, index.sources(b"r" * 32, 1_000, ANY)) == [C]


def test_a_dropped_leaf_is_gone_at_once_and_may_come_back() -> None:
    """Nothing of it is found before any sweep, and what it adds anew is."""
    index = some_index()
    index.drop_leaf(A)
    index.drop_leaf(A)
    assert names(index, Terms(("apple",))) == ["cider.mp3"]
    assert (index.files, index.leaves, index.dead) == (1, 1, 2)
    index.add(A, 0, entry("red apple.txt"))
    assert names(index, Terms(("red",))) == ["red apple.txt"]


def test_what_is_not_there_can_be_removed() -> None:
    """An unknown leaf, an empty slot, one beyond all: nothing happens."""
    index = some_index()
    for leaf, slot in ((C, 0), (A, 5), (B, 0)):
        index.remove(leaf, slot)
    assert (index.files, index.leaves, index.dead) == (3, 2, 0)


def test_a_leaf_without_files_is_not_kept() -> None:
    """Removing the last entry forgets the leaf."""
    index = some_index()
    index.remove(B, 7)
    assert index.leaves == 1


def test_the_limit_gives_the_first_hits() -> None:
    """A limited answer is the beginning of the whole one."""
    index = Index(1, CountedPlaces())
    for slot in range(300):
        index.add(A, slot, entry(f"apple {slot}", slot))
    whole = everything(index, Terms(("apple",), size_min=100))
    assert [index.where(doc)[1] for doc in whole] == list(range(100, 300))
    assert index.search(Terms(("apple",), size_min=100), 5).docs == whole[:5]


def test_contents_are_told_apart_by_all_of_their_roots() -> None:
    """Roots that are alike for most of their length fall into rows like any others."""
    index = Index(1, CountedPlaces())
    rows = [index._contents._place(b"r" * 28 + slot.to_bytes(4, "big"))[0] for slot in range(1_000)]
    assert max(Counter(rows).values()) < 10


def test_thousands_of_copies_come_and_go() -> None:
    """Of one content, at two leaves of which one is gone and not swept yet."""
    index = Index(1, CountedPlaces())
    for leaf in (A, B):
        for slot in range(2_000):
            index.add(leaf, slot, entry(f"apple {slot}", root=b"r" * 32))
    index.drop_leaf(A)
    assert len(index.sources(b"r" * 32, 10, ANY)) == 2_000
    index.add(C, 0, entry("apple", root=b"r" * 32))
    while index.sweep(5_000):
        pass
    for slot in range(2_000):
        index.remove(B, slot)
    assert holders(index, index.sources(b"r" * 32, 10, ANY)) == [C]
    assert holders(index, everything(index, Terms(("apple",)))) == [C]


def test_another_copy_takes_the_place_of_one_that_goes() -> None:
    """By removal at once, and with its leaf when it is swept."""
    index = Index(1, CountedPlaces())
    for leaf in (A, B, C):
        index.add(leaf, 0, entry("apple", root=b"r" * 32))
    for slot in range(1, 9):
        index.add(C, slot, entry("apple", root=bytes([slot]) * 32))
    index.remove(A, 0)
    assert holders(index, list(index.search(Terms(("apple",)), 1).docs)) == [B]
    index.drop_leaf(B)
    while index.sweep(1_000):
        pass
    docs = list(index.search(Terms(("apple",)), 8).docs)
    assert [index.where(doc) for doc in docs] == [(C, slot) for slot in range(8)]


def test_changes_are_counted() -> None:
    """While the count stays, a document says what it said."""
    index = some_index()
    before = index.changes
    index.search(Terms(("apple",)), ANY)
    assert index.changes == before
    index.add(C, 0, entry("pear"))
    index.remove(C, 0)
    assert index.changes == before + 2


def test_sweep_works_in_slices_and_gives_numbers_back() -> None:
    """Each call takes out at most its budget; after the last nothing of the dead is held."""
    index = Index(1, CountedPlaces())
    keys = max([index.add(A, slot, entry(f"apple {slot}")) for slot in range(10)])
    held = [(index.where(doc)[1], index.entry(doc)) for doc in everything(index, Terms(("apple",)))]
    index.drop_leaf(A)
    assert index.sweep(4 * keys)
    assert index.dead == 6
    assert not index.sweep(100)
    assert not index.sweep(100)
    for slot, again in held:
        index.add(B, slot, again)
    assert index.files == len(everything(index, Terms(("apple",)))) == 10


def test_the_dead_stay_bounded_without_any_sweep() -> None:
    """A leaf that replaces one slot for ever holds a bounded number of documents."""
    index = Index(1, CountedPlaces())
    for count in range(SWEEP_SLACK_DOCS + 500):
        index.add(A, 0, entry(f"a{count}"))
    assert index.dead <= SWEEP_SLACK_DOCS + 2
    assert names(index, Terms((f"a{SWEEP_SLACK_DOCS + 499}",))) != []


def test_what_is_hidden_is_in_the_digest_and_in_no_answer() -> None:
    """Its words and contents stand in the digest all the while; waking shows all of it at once."""
    digest = CountedPlaces()
    index = Index(1, digest)
    index.hide(A)
    index.add(A, 0, entry("red apple.txt", root=b"r" * 32))
    index.add(B, 0, entry("green apple.txt", root=b"r" * 32))
    places = digest.places.copy()
    assert place_of_word("red") in places
    assert names(index, Terms(("apple",))) == ["green apple.txt"]
    assert holders(index, index.sources(b"r" * 32, 10, ANY)) == [B]
    assert (index.files, index.hidden) == (1, 1)
    index.wake(A)
    assert sorted(names(index, Terms(("apple",)))) == ["green apple.txt", "red apple.txt"]
    assert (index.files, index.hidden) == (2, 0)
    index.hide(A)
    assert names(index, Terms(("apple",))) == ["green apple.txt"]
    assert digest.places == places


WORDS = ["red", "green", "apple", "appear", "pear", "pie", "東京", "京都タワー", "???"]
ASKED = ["red", "apple", "pear", "東京", "京都", "タワ", "???"]
leaves = st.sampled_from([A, B, C])
slots = st.integers(0, 12)
sizes = st.sampled_from([0, 1, 2, 3, 4, 1_000, 1_023, 1_024, FILE_SIZE_MAX])
some_words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True)
shared = st.builds(
    lambda words, ext, folder, size, root: Entry(root, size, " ".join(words) + ext, folder),
    some_words,
    st.sampled_from(["", ".txt", ".mp3", ".ogg"]),
    st.sampled_from(["", "red", "pear pie/apple"]),
    sizes,
    st.sampled_from([b"1" * 32, b"2" * 32]),
)
asked = st.builds(
    Terms,
    st.lists(st.sampled_from(ASKED), max_size=3, unique=True).map(tuple),
    st.lists(st.sampled_from(ASKED), max_size=1).map(tuple),
    st.sampled_from(["", "", "audio", "document", "other"]),
    st.sampled_from([(), (), ("mp3",), ("mp3", "txt")]),
    st.just(0) | sizes,
    st.none() | sizes,
    st.sampled_from([(), (), (), ("app",), ("p", "re"), ("京",), ("ー",)]),
    st.sampled_from([(), (), (), ("red apple",), ("pear pie", "red"), ("京都 都タ",)]),
    st.sampled_from([(), (), (), ("red apple",), ("東京",)]),
)


class IndexAgainstScan(RuleBasedStateMachine):
    """The index beside a plain dict that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(1, CountedPlaces())
        self.held: dict[tuple[bytes, int], Entry] = {}
        self.hidden: dict[bytes, None] = {}

    @property
    def shown(self) -> dict[tuple[bytes, int], Entry]:
        """What is not hidden."""
        return {key: entry for key, entry in self.held.items() if key[0] not in self.hidden}

    def scan(self, hit: Callable[[Entry], bool]) -> list[tuple[tuple[bytes, int], Entry]]:
        """All that `hit` takes, in one order."""
        return sorted((key, entry) for key, entry in self.shown.items() if hit(entry))

    def told(self, docs: list[int]) -> list[tuple[tuple[bytes, int], Entry]]:
        """What the index says, in the same order."""
        return sorted((self.index.where(doc), self.index.entry(doc)) for doc in docs)

    @rule(leaf=leaves, slot=slots, entry=shared)
    def add(self, leaf: bytes, slot: int, entry: Entry) -> None:
        """A leaf publishes or replaces."""
        self.index.add(leaf, slot, entry)
        self.held[leaf, slot] = entry

    @rule(leaf=leaves, slot=slots)
    def remove(self, leaf: bytes, slot: int) -> None:
        """A leaf withdraws, or tries to."""
        self.index.remove(leaf, slot)
        self.held.pop((leaf, slot), None)

    @rule(leaf=leaves)
    def drop_leaf(self, leaf: bytes) -> None:
        """A leaf goes."""
        self.index.drop_leaf(leaf)
        self.hidden.pop(leaf, None)
        self.held = {key: entry for key, entry in self.held.items() if key[0] != leaf}

    @rule(leaf=leaves)
    def hide(self, leaf: bytes) -> None:
        """What a leaf has is in no answer from now on, nor what it adds."""
        self.index.hide(leaf)
        self.hidden[leaf] = None

    @rule(leaf=leaves)
    def wake(self, leaf: bytes) -> None:
        """It is found again."""
        self.index.wake(leaf)
        self.hidden.pop(leaf, None)

    @rule(budget=st.integers(1, 8))
    def sweep(self, budget: int) -> None:
        """Some of the dead are taken out."""
        assert self.index.sweep(budget) is (self.index.dead > 0)

    @rule(terms=asked, limit=st.integers(1, 10))
    def search(self, terms: Terms, limit: int) -> None:
        """A search finds what a scan finds, once each, in one page or in many."""
        expected = self.scan(lambda entry: matches(terms, entry))
        assert self.told(everything(self.index, terms)) == expected
        assert self.told(everything(self.index, terms, limit)) == expected

    @rule(terms=asked, limit=st.integers(1, 10))
    def contents_first(self, terms: Terms, limit: int) -> None:
        """A page that could not hold all has each content once while there are others."""
        page = self.index.search(terms, limit)
        roots = [self.index.entry(doc).root for doc in page.docs]
        if page.then is not None and not terms.without and terms.is_plain and not terms.phrases:
            assert len(dict.fromkeys(roots)) in (len(roots), self.roots_of(terms))

    def roots_of(self, terms: Terms) -> int:
        """How many contents match."""
        return len(dict.fromkeys(e.root for e in self.shown.values() if matches(terms, e)))

    @rule(root=st.sampled_from([b"1" * 32, b"2" * 32, b"3" * 32]), size=sizes)
    def sources(self, root: bytes, size: int) -> None:
        """Sources are those that hold root and size."""
        found = self.index.sources(root, size, ANY)
        expected = self.scan(lambda entry: (entry.root, entry.size) == (root, size))
        assert self.told(found) == expected

    @invariant()
    def counts(self) -> None:
        """The counts are those of the plain dict."""
        assert self.index.files == len(self.shown)
        assert self.index.hidden == len(self.held) - len(self.shown)
        with_files = dict.fromkeys(leaf for leaf, _ in self.held)
        assert self.index.leaves == len({**with_files, **self.hidden})


TestIndexAgainstScan = IndexAgainstScan.TestCase
TestIndexAgainstScan.settings = settings(stateful_step_count=60, deadline=None)
