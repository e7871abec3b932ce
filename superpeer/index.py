"""What our leaves share: words and filters -> files, file root -> sources.

Every entry is a document with a number (`superpeer.shelves`). One bitmap says which documents are
alive, and every answer is masked with it; so a leaf with thousands of files goes in microseconds,
and its postings are taken out later in slices (`sweep`). Numbers are given out again only after
their postings are gone. Answers come in the order of document numbers: deterministic, but no
ranking. Neither leases nor signatures are looked at here.
"""

import math
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from pyroaring import BitMap

from common.catalogue import Entry
from common.digest import CountedPlaces, place_of_root, place_of_word
from common.limits import FILE_SIZE_MAX
from common.names import extension, media_type
from common.terms import Terms, entry_words
from superpeer.contents import Contents
from superpeer.postings import Postings
from superpeer.shelves import Found, Shelf, Shelves

SWEEP_SLACK_DOCS: Final = 10_000  # dead documents that nobody needs to hurry for
WINDOW_DOCS: Final = 1 << 16  # looked at in any case: one container of a Roaring bitmap
_KEYS_BESIDE_WORDS: Final = 4  # kind, extension, size and root


class Index:
    """The searchable sum of our leaves' catalogues. Slots are trusted to be within their limit."""

    def __init__(self, secret: int, digest: CountedPlaces) -> None:
        """`secret` is a number that nobody outside knows; `digest` is kept up to date: where the
        words and contents stand, of what is gone too until it is swept."""
        self._shelves: dict[bytes, Shelf] = {}
        self._places = Shelves()
        self._alive = BitMap()
        self._dropped: deque[Shelf] = deque()  # of leaves that are gone, not swept yet
        self.dead = 0
        """How many entries of leaves that are gone wait for `sweep`."""
        self._words: Postings[str] = Postings()
        self._tags: Postings[str] = Postings()  # apart, so that no word of a query can name one
        self._digest = digest
        self._contents = Contents(self._root, secret)

    @property
    def files(self) -> int:
        """How many entries can be found."""
        return len(self._alive)

    @property
    def leaves(self) -> int:
        """How many leaves share something."""
        return len(self._shelves)

    def keys(self, leaf: bytes) -> int:
        """By how many keys the entries of `leaf` are found: what they cost in memory and time."""
        shelf = self._shelves.get(leaf)
        return 0 if shelf is None else shelf.keys

    def add(self, leaf: bytes, slot: int, entry: Entry) -> int:
        """Make `entry` findable as what `leaf` has in `slot`, in place of what it had there.

        By how many keys: 0.5 to 1 us each.
        """
        if self.dead > len(self._alive) + SWEEP_SLACK_DOCS:
            self.sweep(1)  # the dead stay bounded even where nobody else sweeps
        shelf = self._shelves.get(leaf)
        if shelf is None:
            shelf = self._shelves[leaf] = Shelf(leaf)
        self._take_out(shelf, slot)
        words = entry_words(entry)
        doc, keys = self._places.put(shelf, slot, entry), len(words) + _KEYS_BESIDE_WORDS
        shelf.keys += keys
        self._alive.add(doc)
        for word in words:
            if self._words.add(word, doc):
                self._digest.add(place_of_word(word))
        for tag in _tags(entry):
            self._tags.add(tag, doc)
        self._contents.add(entry.root, doc)
        self._digest.add(place_of_root(entry.root))
        return keys

    def remove(self, leaf: bytes, slot: int) -> int:
        """Forget what `leaf` has in `slot`, if anything; by how many keys it was found."""
        shelf = self._shelves.get(leaf)
        if shelf is None:
            return 0
        keys = self._take_out(shelf, slot)
        if not shelf.files:
            self.drop_leaf(leaf)
        return keys

    def drop_leaf(self, leaf: bytes) -> None:
        """Forget all that `leaf` has, in microseconds whatever the number of its files."""
        shelf = self._shelves.pop(leaf, None)
        if shelf is not None:
            for first, beyond in self._places.ranges(shelf):
                self._alive.remove_range(first, beyond)
            self._dropped.append(shelf)
            self.dead += shelf.files

    def search(self, terms: Terms, limit: int, beyond: int = -1) -> list[Found]:
        """The first `limit` entries that match as `common.terms.matches` defines it.

        `beyond` is the `doc` after which to go on, so that an answer can be taken in parts.

        Takes some 10 us where a word is rare or all are common, and 200 us where common words
        seldom meet, among a million entries. A size bound costs more: 0.1 us for each entry it
        refuses of its own power of two.
        """
        docs: Iterator[int] = chain.from_iterable(self._matching(terms, beyond + 1, limit))
        if terms.size_min or terms.size_max is not None:
            size = self._size
            docs = (doc for doc in docs if terms.takes_size(size(doc)))
        return self._places.read(islice(docs, limit))

    def sources(self, root: bytes, size: int, limit: int) -> list[Found]:
        """The first `limit` entries with this very content."""
        same = (doc for doc in self._contents.find(root) if doc in self._alive)
        return self._places.read(islice((doc for doc in same if self._size(doc) == size), limit))

    def where(self, doc: int) -> tuple[bytes, int]:
        """Whose document it is or was, and in which slot of the catalogue."""
        return self._places.where(doc)

    def sweep(self, budget: int) -> bool:
        """Take dead entries of `budget` keys, or one, out of the postings; whether some are left.

        As long as it took to put them in.
        """
        while self._dropped and budget > 0:
            shelf = self._dropped[0]
            if not shelf.pages:
                self._dropped.popleft()
                continue
            for doc, entry in self._places.last_page(shelf):
                budget -= self._unpost(doc, entry)
                self._places.free(shelf, doc)
                self.dead -= 1
                if budget <= 0:
                    return self.dead > 0
            self._places.give_back(shelf)
        return self.dead > 0

    def _take_out(self, shelf: Shelf, slot: int) -> int:
        """Empty a slot at once: its number is the next one's; by how many keys it was found."""
        there = self._places.get(shelf, slot)
        if there is None:
            return 0
        doc, entry = there
        keys = self._unpost(doc, entry)
        self._alive.discard(doc)
        self._places.free(shelf, doc)
        shelf.keys -= keys
        return keys

    def _size(self, doc: int) -> int:
        return self._places.entry(doc).size

    def _root(self, doc: int) -> bytes:
        return self._places.entry(doc).root

    def _unpost(self, doc: int, entry: Entry) -> int:
        words = entry_words(entry)
        for word in words:
            if self._words.discard(word, doc):
                self._digest.discard(place_of_word(word))
        for tag in _tags(entry):
            self._tags.discard(tag, doc)
        self._contents.discard(entry.root, doc)
        self._digest.discard(place_of_root(entry.root))
        return len(words) + _KEYS_BESIDE_WORDS

    def _matching(self, terms: Terms, first: int, wanted: int) -> Iterator[BitMap]:
        """The live documents from `first` on that match, exactly but for the size, which is right
        to its power; in parts, the first of which should do for as many as are `wanted`."""
        words = self._words.rarest_first(terms.words)
        without = [self._words.bitmap(word) for word in terms.without]
        tags = [[self._tags.bitmap(tag) for tag in group] for group in _tags_wanted(terms)]
        size = self._window(words, wanted)
        while words and first < self._places.docs:
            window = BitMap(range(first, first + size))
            docs = words[0] & window
            for others in words[1:]:
                docs &= others
            docs &= self._alive
            for others in without:
                docs -= others
            for group in tags:
                docs = BitMap().union(*[docs & tagged for tagged in group])
            yield docs
            first, size = first + size, self._places.docs

    def _window(self, words: list[BitMap], wanted: int) -> int:
        """Among how many documents as many as are wanted carry all words, if chance had its way."""
        share = math.prod(len(docs) / self._places.docs for docs in words)
        return min(WINDOW_DOCS + int(wanted / max(share, 1e-9)), self._places.docs)


def _tags(entry: Entry) -> list[str]:
    """What the filters go by: the kind, the extension, and the size to its power of two."""
    return [
        f"kind {media_type(entry.name)}",
        f"extension {extension(entry.name)}",
        f"size {entry.size.bit_length()}",
    ]


def _tags_wanted(terms: Terms) -> list[list[str]]:
    """Groups of tags: a hit has one of each group."""
    groups = []
    if terms.kind:
        groups.append([f"kind {terms.kind}"])
    if terms.extensions:
        groups.append([f"extension {text}" for text in terms.extensions])
    if terms.size_min or terms.size_max is not None:
        powers = range(terms.size_min.bit_length(), _size_max(terms).bit_length() + 1)
        groups.append([f"size {power}" for power in powers])
    return groups


def _size_max(terms: Terms) -> int:
    return FILE_SIZE_MAX if terms.size_max is None else terms.size_max
