"""From terms to the documents that match, a page at a time, each page for bounded work.

The documents of the rarest word are met with those of the others strip by strip
(`superpeer.index.strips`) until there are as many as are wanted, or looked up one by one where they
are few. What no bitmap can tell (phrases, sizes inside a power of two) is looked up entry by entry,
so many for a page, which may then hold less than it could, or nothing.

Where more match than are wanted, the first document with each content comes before those with the
same: one file that a thousand leaves have hides no other. Within that the order is that of document
numbers: deterministic, but no ranking; who asked ranks what it gets (`common.terms.fit`).
"""

from array import array
from collections.abc import Sequence
from itertools import islice
from operator import itemgetter
from typing import Final

import msgspec
from pyroaring import BitMap

from common.terms import Terms
from superpeer.index.postings import (
    Counted,
    Postings,
    counted,
    few,
    part,
    side_by_side,
    those_in,
)
from superpeer.index.prefixes import Prefixes
from superpeer.index.shelves import Shelves
from superpeer.index.strips import CONTAINER_BITS, STRIPS, numbers_in
from superpeer.index.tags import Tags

LOOKS_MAX: Final = 50  # entries that are looked at for a page: 0.1 ms
PREFIX_WORDS_MAX: Final = 4_096  # words that the beginnings of a search stand for: 2 ms in all
UNIONS_MAX: Final = 16  # documents of beginnings that are kept: 128 KiB each among a million
FEW_DOCS_MAX: Final = 4_000  # so many are sooner made numbers all at once than fifty one by one

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
        self._unions: dict[tuple[str, int], tuple[int, Counted, bool]] = {}  # when, which, if all

    def page(self, terms: Terms, limit: int, place: int = 0) -> Page:
        """The first `limit` documents from `place` on that match."""
        needed = self._words.rarest_first(terms.words)
        if terms.prefixes and (needed or not terms.words):
            return self._with_prefixes(terms, needed, limit, place)
        return self._page(terms, needed, limit, place) if needed else NOTHING_FOUND

    def _with_prefixes(self, terms: Terms, needed: list[Counted], limit: int, place: int) -> Page:
        most = PREFIX_WORDS_MAX // len(terms.prefixes)
        unions = [self._union(prefix, most) for prefix in terms.prefixes]
        needed += [docs for docs, _ in unions]
        needed.sort(key=itemgetter(0))
        if not needed[0][0]:
            return NOTHING_FOUND
        page = self._page(terms, needed, limit, place)
        return Page(page.docs, page.then, all(whole for _, whole in unions))

    def _page(self, terms: Terms, needed: list[Counted], limit: int, place: int) -> Page:
        if place or not terms.is_plain:
            return self._in_strips(terms, needed, limit, place)
        rarest = few(needed[0][1])
        if rarest is None:
            return self._at_once(needed, limit)
        docs = sorted(rarest)
        for _, others in needed[1:]:
            docs = those_in(others, docs)
        return self._of_few(docs, limit)

    def _of_few(self, docs: list[int], limit: int) -> Page:
        """A page of these, which match."""
        if self._gone:
            docs = [doc for doc in docs if doc not in self._gone]
        if len(docs) <= limit:
            return Page(docs, None)
        copies = [doc for doc in docs if doc in self._copies]
        own = [doc for doc in docs if doc not in self._copies] if copies else docs
        return _with_copies(own, copies, limit)

    def _at_once(self, needed: list[Counted], limit: int) -> Page:
        """A first page where bitmaps tell all."""
        docs = array("I")
        met = []
        for sets in side_by_side(needed):
            strip = _common(sets)
            if self._gone:
                strip -= self._gone
            if self._copies:
                met.append(strip)
                strip = strip - self._copies
            docs += _first_of(strip, limit + 1)
            if len(docs) > limit:
                return Page(docs[:limit], docs[limit])
        copies = array("I")
        for strip in met:
            if len(docs) + len(copies) <= limit:
                copies += _first_of(strip & self._copies, limit + 1)
        return _with_copies(docs, copies, limit)

    def _in_strips(self, terms: Terms, needed: list[Counted], limit: int, place: int) -> Page:
        """A page from `place` on."""
        found: list[int] = []
        plain = terms.is_plain
        looked_at = None if plain else self._looked_at(terms)
        total = self._shelves.docs
        in_copies, first = place >> _PASS_BITS, place & _DOCS
        while first < total or (not in_copies and self._copies):
            if first >= total:
                in_copies, first = 1, 0
            strip = STRIPS[first >> CONTAINER_BITS]
            beyond = numbers_in(strip).stop
            docs = _common([part(docs, strip) for _, docs in needed])
            docs &= BitMap(range(first, beyond))
            if self._gone:
                docs -= self._gone
            if not plain:
                docs = self._narrowed(docs, terms, strip)
            if self._copies:
                docs = docs & self._copies if in_copies else docs - self._copies
            if looked_at is None:
                then = _take(docs, found, limit)
            else:
                then = self._look(docs, terms, looked_at, found, limit)
            if then is not None or len(found) == limit:
                return Page(found, in_copies << _PASS_BITS | (then or min(beyond, total)))
            first = beyond
        return Page(found, None)

    def _narrowed(self, docs: BitMap, terms: Terms, strip: int) -> BitMap:
        """What the excluded words and the filters leave of one strip, sizes to their power of
        two."""
        for word in terms.without:
            docs = docs - self._words.strip(word, strip)
        for group in self._tags.groups(terms, strip):
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

    def _union(self, prefix: str, most: int) -> tuple[Counted, bool]:
        """The documents with one of at most so many words that begin so, and whether that is all of
        them."""
        known = self._unions.get((prefix, most))
        if known is None or known[0] != self._shelves.changes:
            words = self._prefixes.find(prefix, most + 1)
            docs = counted(self._words.union(words[:most]))
            known = self._shelves.changes, docs, len(words) <= most
            while len(self._unions) >= UNIONS_MAX:
                del self._unions[next(iter(self._unions))]
            self._unions[prefix, most] = known
        return known[1:]


def _common(sets: Sequence[BitMap]) -> BitMap:
    """The documents in all of them, the fewest first."""
    docs = sets[0] & sets[-1]
    for others in sets[1:-1]:
        docs &= others
    return docs


def _with_copies(own: Sequence[int], copies: Sequence[int], limit: int) -> Page:
    """A page of those that match and are no copies, then of the copies."""
    docs = [*own, *copies] if copies else own
    if len(docs) <= limit:
        return Page(docs, None)
    return Page(docs[:limit], int(limit >= len(own)) << _PASS_BITS | docs[limit])


def _first_of(docs: BitMap, count: int) -> "array[int]":
    """The first so many, or more."""
    return docs.to_array() if len(docs) <= FEW_DOCS_MAX else array("I", islice(docs, count))


def _take(docs: BitMap, found: list[int], limit: int) -> int | None:
    """Find as many of `docs` as are wanted; where to go on, if that is here."""
    room = limit - len(found)
    if len(docs) <= room:
        found.extend(docs.to_array())
        return None
    found.extend(_first_of(docs, room)[:room])
    return found[-1] + 1
