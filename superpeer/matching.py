"""From terms to the documents that match, a page at a time, each page for bounded work.

The fewest documents that carry one of the words are met with those of the others: all at once
where they are few, else in windows of documents, the first of which should do for as many as are
wanted and each next one is larger. What no bitmap can tell (phrases, sizes inside a power of two)
is looked up entry by entry, so many for a page, which may then hold less than it could, or nothing.

Where more match than are wanted, the first document with each content comes before those with the
same: one file that a thousand leaves have hides no other. Within that the order is that of document
numbers: deterministic, but no ranking; who asked ranks what it gets (`common.terms.fit`).
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec
from pyroaring import BitMap

from common.terms import Terms
from superpeer.postings import Postings
from superpeer.prefixes import Prefixes
from superpeer.shelves import Shelves
from superpeer.tags import Tags

LOOKS_MAX: Final = 50  # entries that are looked at for a page: 0.1 ms
PREFIX_WORDS_MAX: Final = 4_096  # words that one beginning stands for: 2 ms
UNIONS_MAX: Final = 16  # documents of beginnings that are kept: 128 KiB each among a million
WHOLE_DOCS_MAX: Final = 4_000  # so few are met with the others all at once
WINDOW_DOCS_MIN: Final = 1_024
WINDOW_CAUTION: Final = (
    8  # words meet more often than by chance: the first window is so much smaller
)
WINDOW_GROWTH: Final = 4

_PASS_BITS: Final = 32  # a place: whether it is among the copies, and the document
_DOCS: Final = (1 << _PASS_BITS) - 1
_EVERYTHING: Final = BitMap((0,))  # known by identity


class Page(msgspec.Struct, frozen=True, gc=False):
    """Documents that match, and the place to go on from; None where no more do.

    `whole` is false where a beginning stands for more words than are looked up.
    """

    docs: Sequence[int]
    then: int | None
    whole: bool = True


NOTHING_FOUND: Final = Page([], None)


class Matcher:
    """Finds documents in what the index holds; changes nothing."""

    __slots__ = ("_copies", "_gone", "_prefixes", "_shelves", "_tags", "_unions", "_words")

    def __init__(
        self,
        words: Postings[str],
        prefixes: Prefixes,
        tags: Tags,
        shelves: Shelves,
        *,
        gone: BitMap,
        copies: BitMap,
    ) -> None:
        """`gone` are of leaves that are gone; of `copies` another document has the content."""
        self._words = words
        self._prefixes = prefixes
        self._tags = tags
        self._shelves = shelves
        self._gone = gone
        self._copies = copies
        self._unions: dict[str, tuple[int, BitMap, bool]] = {}  # when, documents, whether all

    def page(self, terms: Terms, limit: int, place: int = 0) -> Page:
        """The first `limit` documents from `place` on that match."""
        needed = self._words.bitmaps(terms.words)
        if terms.prefixes:
            if terms.words and not needed:
                return NOTHING_FOUND
            return self._with_prefixes(terms, needed, limit, place)
        return self._page(terms, needed, limit, place) if needed else NOTHING_FOUND

    def _with_prefixes(self, terms: Terms, needed: list[BitMap], limit: int, place: int) -> Page:
        unions = [self._union(prefix) for prefix in terms.prefixes]
        needed = sorted([*needed, *[docs for docs, _ in unions]], key=len)
        page = self._page(terms, needed, limit, place)
        return Page(page.docs, page.then, all(whole for _, whole in unions))

    def _page(self, terms: Terms, needed: list[BitMap], limit: int, place: int) -> Page:
        found: list[int] = []
        is_narrow, looked_at = terms.is_narrow, self._looked_at(terms)
        for in_copies, first, beyond in self._windows(place, self._first_window(needed, limit)):
            docs = self._between(needed, first, beyond)
            if is_narrow:
                docs = self._narrowed(docs, terms)
            is_whole = beyond - first == self._shelves.docs
            if is_whole and looked_at is None and len(docs) <= limit and not in_copies:
                return Page(docs.to_array(), None)  # these are all, copies or not
            if self._copies:
                docs = docs & self._copies if in_copies else docs - self._copies
            if looked_at is None:
                then = _take(docs, found, limit)
            else:
                then = self._look(docs, terms, looked_at, found, limit)
            if then is None and len(found) == limit:
                then = beyond
            if then is not None:
                return Page(found, in_copies << _PASS_BITS | then)
        return Page(found, None)

    def _windows(self, place: int, size: int) -> Iterator[tuple[int, int, int]]:
        """Whether it is about copies, the first document, and the one beyond the last."""
        in_copies, first = place >> _PASS_BITS, place & _DOCS
        while True:
            while first < self._shelves.docs:
                beyond = min(first + size, self._shelves.docs)
                yield in_copies, first, beyond
                first, size = beyond, size * WINDOW_GROWTH
            if in_copies or not self._copies:
                return
            in_copies, first = 1, 0

    def _first_window(self, needed: list[BitMap], limit: int) -> int:
        """Among how many documents as many as are wanted carry all words, if they meet more often
        than by chance."""
        total = self._shelves.docs
        fewest = len(needed[0])
        if fewest <= WHOLE_DOCS_MAX:
            return total
        share = fewest / total
        for docs in needed[1:]:
            share *= len(docs) / total
        return WINDOW_DOCS_MIN + int(limit / share / WINDOW_CAUTION)

    def _between(self, needed: list[BitMap], first: int, beyond: int) -> BitMap:
        """The live documents in a window that carry all words."""
        if beyond - first == self._shelves.docs:
            docs = needed[0] & needed[-1]
        else:
            docs = needed[0] & BitMap(range(first, beyond))
            if len(needed) > 1:
                docs &= needed[-1]
        for others in needed[1:-1]:
            docs &= others
        if self._gone:
            docs -= self._gone
        return docs

    def _narrowed(self, docs: BitMap, terms: Terms) -> BitMap:
        """What the excluded words and the filters leave, sizes to their power of two."""
        for word in terms.without:
            docs = docs - self._words.bitmap(word)
        for group in self._tags.groups(terms):
            docs = BitMap().union(*[docs & tagged for tagged in group])
        return docs

    def _looked_at(self, terms: Terms) -> BitMap | None:
        """Those that must be looked at; None where bitmaps tell all."""
        if terms.phrases or terms.without_phrases:
            return _EVERYTHING
        unsure = self._tags.unsure(terms) if terms.has_size else None
        return unsure or None

    def _look(
        self, docs: BitMap, terms: Terms, looked_at: BitMap, found: list[int], limit: int
    ) -> int | None:
        """Find as many of `docs` as may be looked at; where to go on, if that is here."""
        looks = 0
        for doc in docs:
            if len(found) == limit or looks == LOOKS_MAX:
                return doc
            if looked_at is _EVERYTHING or doc in looked_at:
                looks += 1
                entry = self._shelves.entry(doc)
                if not (terms.takes_size(entry.size) and terms.takes_phrases(entry)):
                    continue
            found.append(doc)
        return None

    def _union(self, prefix: str) -> tuple[BitMap, bool]:
        """The documents with a word that begins so, and whether that is all of them."""
        known = self._unions.get(prefix)
        if known is None or known[0] != self._shelves.changes:
            words = self._prefixes.find(prefix, PREFIX_WORDS_MAX + 1)
            docs = self._words.union(words[:PREFIX_WORDS_MAX])
            known = self._shelves.changes, docs, len(words) <= PREFIX_WORDS_MAX
            while len(self._unions) >= UNIONS_MAX:
                del self._unions[next(iter(self._unions))]
            self._unions[prefix] = known
        return known[1:]


def _take(docs: BitMap, found: list[int], limit: int) -> int | None:
    """Find as many of `docs` as are wanted; where to go on, if that is here."""
    room = limit - len(found)
    if len(docs) <= room:
        found.extend(docs)
        return None
    found.extend(islice(docs, room))
    return found[-1] + 1
