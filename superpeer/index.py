"""What our leaves share: words and filters -> files, file root -> sources.

Every entry that was ever added is a document with a number. One bitmap says which documents are
alive, and every answer is masked with it; so a leaf with thousands of files goes in microseconds,
and its postings are taken out later in slices (`sweep`). A number is given out again only after
its postings are gone. Answers come in the order of document numbers: deterministic, but no
ranking. Neither leases nor signatures are looked at here.
"""

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
from pyroaring import BitMap

from common.catalogue import Entry
from common.limits import FILE_SIZE_MAX
from common.names import extension, media_type
from common.terms import Terms, entry_words
from superpeer.postings import Postings

SWEEP_SLACK_DOCS: Final = 10_000  # dead documents that nobody needs to hurry for
_NO_DOC: Final = 2**32 - 1
_KEYS_BESIDE_WORDS: Final = 4  # kind, extension, size and root


class Found(msgspec.Struct, frozen=True, gc=False):
    """An entry, whose it is, and its slot in that leaf's catalogue.

    `doc` is its place among all answers, `keys` by how many keys it is found.
    """

    leaf: bytes
    slot: int
    entry: Entry
    doc: int
    keys: int


class _Shelf:
    """The documents of one leaf: which are alive, and which slot each of them fills."""

    __slots__ = ("docs", "keys", "leaf", "slots")

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf
        self.docs = BitMap()
        self.keys = 0
        self.slots = array("I")

    def get(self, slot: int) -> int:
        """The document in `slot`, or _NO_DOC."""
        return self.slots[slot] if slot < len(self.slots) else _NO_DOC

    def set(self, slot: int, doc: int) -> None:
        """Fill `slot`, which may lie beyond all earlier ones."""
        missing = slot + 1 - len(self.slots)
        if missing > 0:
            self.slots.extend([_NO_DOC] * missing)
        self.slots[slot] = doc


class Index:
    """The searchable sum of our leaves' catalogues. Slots are trusted to be within their limit."""

    def __init__(self) -> None:
        self._shelves: dict[bytes, _Shelf] = {}
        self._alive = BitMap()
        self._dead = BitMap()
        self._free: list[int] = []
        self._found: list[Found | None] = []  # by document; a dead one stays until it is swept
        self._words: Postings[str] = Postings()
        self._tags: Postings[str] = Postings()  # apart, so that no word of a query can name one
        self._roots: Postings[bytes] = Postings()

    @property
    def files(self) -> int:
        """How many entries can be found."""
        return len(self._alive)

    @property
    def leaves(self) -> int:
        """How many leaves share something."""
        return len(self._shelves)

    @property
    def dead(self) -> int:
        """How many removed entries wait for `sweep`."""
        return len(self._dead)

    def keys(self, leaf: bytes) -> int:
        """By how many keys the entries of `leaf` are found: what they cost in memory and time."""
        shelf = self._shelves.get(leaf)
        return 0 if shelf is None else shelf.keys

    def add(self, leaf: bytes, slot: int, entry: Entry) -> int:
        """Make `entry` findable as what `leaf` has in `slot`, in place of what it had there.

        By how many keys: 0.5 to 1 us each.
        """
        if len(self._dead) > len(self._alive) + SWEEP_SLACK_DOCS:
            self.sweep(1)  # the dead stay bounded even where nobody else sweeps
        shelf = self._shelves.get(leaf)
        if shelf is None:
            shelf = self._shelves[leaf] = _Shelf(leaf)
        self._bury(shelf, slot)
        words = entry_words(entry)
        keys = len(words) + _KEYS_BESIDE_WORDS
        doc = self._free.pop() if self._free else len(self._found)
        found = Found(shelf.leaf, slot, entry, doc, keys)
        self._found[doc : doc + 1] = [found]
        shelf.set(slot, doc)
        shelf.docs.add(doc)
        shelf.keys += keys
        self._alive.add(doc)
        for word in words:
            self._words.add(word, doc)
        for tag in _tags(entry):
            self._tags.add(tag, doc)
        self._roots.add(entry.root, doc)
        return keys

    def remove(self, leaf: bytes, slot: int) -> None:
        """Forget what `leaf` has in `slot`; nothing happens where that is nothing."""
        shelf = self._shelves.get(leaf)
        if shelf is None:
            return
        self._bury(shelf, slot)
        if not shelf.docs:
            del self._shelves[leaf]

    def drop_leaf(self, leaf: bytes) -> None:
        """Forget all that `leaf` has, in microseconds whatever the number of its files."""
        shelf = self._shelves.pop(leaf, None)
        if shelf is not None:
            self._alive -= shelf.docs
            self._dead |= shelf.docs

    def search(self, terms: Terms, limit: int, beyond: int = -1) -> list[Found]:
        """The first `limit` entries that match as `common.terms.matches` defines it.

        `beyond` is the `doc` after which to go on, so that an answer can be taken in parts.

        Takes some 10 us where a word is rare and 200 us where all are common, among a million
        entries. A size bound costs more: 0.1 us for each entry it refuses of its own power of two.
        """
        low, high = terms.size_min, _size_max(terms)
        hits = self._hits(self._matching(terms), beyond)
        return list(islice((hit for hit in hits if low <= hit.entry.size <= high), limit))

    def sources(self, root: bytes, size: int, limit: int) -> list[Found]:
        """The first `limit` entries with this very content."""
        hits = self._hits(self._roots.bitmap(root) & self._alive)
        return list(islice((hit for hit in hits if hit.entry.size == size), limit))

    def sweep(self, budget: int) -> bool:
        """Take dead entries of `budget` keys, or one, out of the postings; whether some are left.

        As long as it took to put them in.
        """
        while self._dead and budget > 0:
            doc = self._dead.pop()
            found = self._found[doc]
            if found is not None:
                self._unpost(doc, found.entry)
                budget -= found.keys
            self._found[doc] = None
            self._free.append(doc)
        return bool(self._dead)

    def _bury(self, shelf: _Shelf, slot: int) -> None:
        doc = shelf.get(slot)
        if doc == _NO_DOC:
            return
        found = self._found[doc]
        shelf.keys -= found.keys if found else 0
        shelf.set(slot, _NO_DOC)
        shelf.docs.discard(doc)
        self._alive.discard(doc)
        self._dead.add(doc)

    def _unpost(self, doc: int, entry: Entry) -> None:
        for word in entry_words(entry):
            self._words.discard(word, doc)
        for tag in _tags(entry):
            self._tags.discard(tag, doc)
        self._roots.discard(entry.root, doc)

    def _matching(self, terms: Terms) -> BitMap:
        """The live documents that match, exactly but for the size, which is right to its power."""
        rarest_first = sorted(terms.words, key=self._words.count)
        if not rarest_first or not self._words.count(rarest_first[0]):
            return BitMap()
        docs = self._words.bitmap(rarest_first[0]) & self._alive
        for word in rarest_first[1:]:
            docs &= self._words.bitmap(word)
        for word in terms.without:
            docs -= self._words.bitmap(word)
        for tags in _tags_wanted(terms):
            docs = BitMap().union(*[docs & self._tags.bitmap(tag) for tag in tags])
        return docs

    def _hits(self, docs: BitMap, beyond: int = -1) -> Iterator[Found]:
        for doc in docs.iter_equal_or_larger(beyond + 1):
            found = self._found[doc]
            if found is not None:
                yield found


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
