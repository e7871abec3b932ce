"""What our leaves share: words and filters -> files, file root -> sources.

Every entry is a document with a number (`superpeer.index.shelves`). One bitmap says which documents
are of leaves that are gone, and every answer is without them; so a leaf with thousands of files
goes in microseconds, and its postings are taken out later in slices (`sweep`). Numbers are given
out again only after their postings are gone. Another bitmap says whose content somebody had before:
the copies, which come last. Answers are documents; what they say is read when it is needed. How
they are found is `superpeer.index.matching`. Neither leases nor signatures are looked at here.

The documents of a leaf may be hidden: they are in the postings and the digest and in no answer,
until they are woken. That is a range of bits, like being gone.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pyroaring import BitMap

from common.content.catalogue import Entry
from common.digest import CountedPlaces, place_of_root, place_of_word
from common.terms import Terms, entry_words
from superpeer.index.contents import DOCS_MAX, Contents
from superpeer.index.matching import Matcher, Page
from superpeer.index.postings import Postings
from superpeer.index.prefixes import Prefixes
from superpeer.index.shelves import Shelf, Shelves
from superpeer.index.tags import TAGS_MAX, Tags

SWEEP_SLACK_DOCS: Final = 10_000  # dead documents that nobody needs to hurry for
_SAME_MAX: Final = 64  # documents with one content, of which one that is not gone is sought
_KEYS_BESIDE_WORDS: Final = TAGS_MAX + 1  # and the root


class Index:
    """The searchable sum of our leaves' catalogues. Slots are trusted to be within their limit."""

    def __init__(self, secret: int, digest: CountedPlaces) -> None:
        """`secret` is a number that nobody outside knows; `digest` is kept up to date: where the
        words and contents stand, of what is gone too until it is swept."""
        self._shelves: dict[bytes, Shelf] = {}
        self._places = Shelves()
        self._files = 0
        self._hidden = 0
        self._dead = BitMap()  # of leaves that are gone
        self._gone = BitMap()  # ... or hidden
        self._copies = BitMap()  # whose content another had before
        self._dropped: deque[Shelf] = deque()  # of leaves that are gone, not swept yet
        self.dead = 0
        """How many entries of leaves that are gone wait for `sweep`."""
        self._words: Postings[str] = Postings()
        self._prefixes = Prefixes()
        self._tags = Tags()
        self._digest = digest
        self._contents = Contents(self._root, secret)
        self._matcher = Matcher(
            self._words,
            self._prefixes,
            self._tags,
            self._places,
            gone=self._gone,
            copies=self._copies,
        )

    @property
    def files(self) -> int:
        """How many entries can be found."""
        return self._files

    def has_room(self, docs_max: int = DOCS_MAX) -> bool:
        """Whether one more entry can be added, whosever it is: each leaf uses up numbers by 64
        side by side, and there are `docs_max` or fewer."""
        return self._places.has_room(min(docs_max, DOCS_MAX))

    @property
    def hidden(self) -> int:
        """How many entries are in no answer until they are woken."""
        return self._hidden

    @property
    def leaves(self) -> int:
        """How many leaves share something."""
        return len(self._shelves)

    def keys(self, leaf: bytes) -> int:
        """By how many keys the entries of `leaf` are found: what they cost in memory and time."""
        shelf = self._shelves.get(leaf)
        return 0 if shelf is None else shelf.keys

    def add(self, leaf: bytes, slot: int, entry: Entry) -> int:
        """Make `entry` findable as what `leaf` has in `slot`, in place of what it had there; while
        there is room.

        By how many keys: 0.5 to 1 us each.
        """
        if self.dead > self._files + SWEEP_SLACK_DOCS:
            self.sweep(1)  # the dead stay bounded even where nobody else sweeps
        shelf = self._shelves.get(leaf)
        if shelf is None:
            shelf = self._shelves[leaf] = Shelf(leaf)
        self._take_out(shelf, slot)
        words = entry_words(entry)
        doc, keys = self._places.put(shelf, slot, entry), len(words) + _KEYS_BESIDE_WORDS
        shelf.keys += keys
        self._count(shelf, 1)
        for word in self._words.add(words, doc):
            self._digest.add(place_of_word(word))
            self._prefixes.add(word)
        self._tags.add(entry, doc)
        if not self._digest.add(place_of_root(entry.root)) and self._is_copy(shelf, entry.root):
            self._copies.add(doc)
        if shelf.hidden:
            self._gone.add(doc)
        self._contents.add(entry.root, doc)
        return keys

    def remove(self, leaf: bytes, slot: int) -> int:
        """Forget what `leaf` has in `slot`, if anything; by how many keys it was found."""
        shelf = self._shelves.get(leaf)
        if shelf is None:
            return 0
        keys = self._take_out(shelf, slot)
        if not shelf.files and not shelf.hidden:
            self.drop_leaf(leaf)
        return keys

    def hide(self, leaf: bytes) -> None:
        """Keep what `leaf` has, and what it adds from now on, out of all answers; in
        microseconds."""
        shelf = self._shelves.get(leaf)
        if shelf is None:
            shelf = self._shelves[leaf] = Shelf(leaf)
        if shelf.hidden:
            return
        self._count(shelf, -shelf.files)
        shelf.hidden = True
        self._count(shelf, shelf.files)
        for first, beyond in self._places.ranges(shelf):
            self._gone.add_range(first, beyond)

    def wake(self, leaf: bytes) -> None:
        """Let what `leaf` has be found, if it was hidden; in microseconds."""
        shelf = self._shelves.get(leaf)
        if shelf is None or not shelf.hidden:
            return
        self._count(shelf, -shelf.files)
        shelf.hidden = False
        self._count(shelf, shelf.files)
        for first, beyond in self._places.ranges(shelf):
            self._gone.remove_range(first, beyond)
        if not shelf.files:
            self.drop_leaf(leaf)

    def drop_leaf(self, leaf: bytes) -> None:
        """Forget all that `leaf` has, in microseconds whatever the number of its files."""
        shelf = self._shelves.pop(leaf, None)
        if shelf is not None:
            for first, beyond in self._places.ranges(shelf):
                self._dead.add_range(first, beyond)
                self._gone.add_range(first, beyond)
            self._dropped.append(shelf)
            self._count(shelf, -shelf.files)
            self.dead += shelf.files

    @property
    def changes(self) -> int:
        """How often a document has come or gone: while it stays, a document says what it said."""
        return self._places.changes

    def search(self, terms: Terms, limit: int, place: int = 0) -> Page:
        """The first `limit` documents that match as `common.terms.matches` defines it, from `place`
        on, which a page before this one told.

        10 to 30 us among a million entries; a page that could need more work holds less.
        """
        return self._matcher.page(terms, limit, place)

    def sources(self, root: bytes, size: int, limit: int) -> list[int]:
        """The first `limit` documents with this very content."""
        same = (doc for doc in self._contents.find(root) if doc not in self._gone)
        return list(islice((doc for doc in same if self._places.entry(doc).size == size), limit))

    def entry(self, doc: int) -> Entry:
        """What a document says; where it is free by now, nothing that any leaf has."""
        return self._places.entry(doc)

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
            first, beyond = self._places.give_back(shelf)
            self._dead.remove_range(first, beyond)
            self._gone.remove_range(first, beyond)
        return self.dead > 0

    def _take_out(self, shelf: Shelf, slot: int) -> int:
        """Empty a slot at once: its number is the next one's; by how many keys it was found."""
        there = self._places.get(shelf, slot)
        if there is None:
            return 0
        doc, entry = there
        keys = self._unpost(doc, entry)
        self._count(shelf, -1)
        self._places.free(shelf, doc)
        shelf.keys -= keys
        return keys

    def _count(self, shelf: Shelf, files: int) -> None:
        """So many more or fewer of a leaf can be found, or are hidden."""
        if shelf.hidden:
            self._hidden += files
        else:
            self._files += files

    def _root(self, doc: int) -> bytes:
        return self._places.entry(doc).root

    def _unpost(self, doc: int, entry: Entry) -> int:
        words = entry_words(entry)
        for word in words:
            if self._words.discard(word, doc):
                self._digest.discard(place_of_word(word))
                self._prefixes.discard(word)
        self._tags.discard(entry, doc)
        self._contents.discard(entry.root, doc)
        is_last = self._digest.discard(place_of_root(entry.root))
        if doc in self._copies:
            self._copies.remove(doc)
        elif not is_last:
            self._promote_copy(entry.root)
        return len(words) + _KEYS_BESIDE_WORDS

    def _is_copy(self, shelf: Shelf, root: bytes) -> bool:
        """Whether somebody had this content before; what can be found goes before what is hidden,
        and of all that is not dead one is no copy."""
        for doc in self._some_with(root):
            if doc in self._dead:
                continue
            if shelf.hidden or doc not in self._gone:
                return True
            self._copies.add(doc)
        return False

    def _promote_copy(self, root: bytes) -> None:
        """The first with this content goes: the next one, if there is any, is no copy any more."""
        living = [doc for doc in self._some_with(root) if doc not in self._dead]
        first = next((doc for doc in living if doc not in self._gone), None)
        if living:
            self._copies.discard(living[0] if first is None else first)

    def _some_with(self, root: bytes) -> Iterator[int]:
        """Some documents with this content: looking at all, most of them gone, has no bound."""
        return islice(self._contents.find(root), _SAME_MAX)
