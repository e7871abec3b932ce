"""Answers from our own index: hits found and proven one by one, as they are taken."""

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Final

from common.ids import NodeId
from common.limits import HITS_PER_QUERY_MAX, SOURCES_PER_ANSWER_MAX
from common.messages.cluster import Hit
from common.messages.overlay import QueryBody
from common.terms import Terms, matches
from superpeer.cluster.proven import Proven
from superpeer.flood.query import Gap
from superpeer.index.index import Index
from superpeer.index.share import Share

SEARCH_SLICE: Final = 50  # documents that the index is asked for at a time; wild guess
SHORT_PAGES_MAX: Final = 200  # of the index, for one query: 10,000 entries looked at, 20 ms in all


class Findable:
    """What can be found here; `share_of` tells what a leaf has signed, where we may show it."""

    def __init__(
        self, index: Index, rng: Random, share_of: Callable[[NodeId], Share | None]
    ) -> None:
        self._index = index
        self._rng = rng
        self._share_of = share_of
        self._proven = Proven()
        self.forget = self._proven.forget
        """Something of this leaf changed."""

    def evaluate(self, body: QueryBody) -> Iterator[Hit | Gap]:
        """What there is for a query, at most `wanted`; of a file's sources a random part.

        Each hit is found and proven when it is asked for, by what is shared then.
        """
        if body.terms is not None:
            return self._matching(body.terms, body.wanted)
        found = iter(()) if body.root is None else iter(self._some_sources(body.root, body.size))
        return islice(filter(None, map(self._hit, found)), body.wanted)

    def _matching(self, terms: Terms, wanted: int) -> Iterator[Hit | Gap]:
        """The first that match and are there when they are taken. A page with less than it could
        have has cost as much as one that is full: the others come first then."""
        place: int | None = 0
        short_pages, whole = 0, True
        while place is not None and wanted > 0:
            most = min(SEARCH_SLICE, wanted)
            page, seen = self._index.search(terms, most, place), self._index.changes
            for doc in page.docs:
                if seen == self._index.changes or matches(terms, self._index.entry(doc)):
                    hit = self._hit(doc)
                    if hit is not None:
                        wanted -= 1
                        yield hit
            place, whole = page.then, whole and page.whole
            if place is not None and len(page.docs) < most:
                short_pages += 1
                if short_pages == SHORT_PAGES_MAX:
                    break
                yield Gap.LATER
        if wanted > 0 and (place is not None or not whole):
            yield Gap.LEFT_OUT

    def _some_sources(self, root: bytes, size: int) -> list[int]:
        """As many as anybody may want of those that have a file, and one for the asker itself."""
        everyone = self._index.sources(root, size, HITS_PER_QUERY_MAX)
        one_each = list({self._index.where(doc)[0]: doc for doc in everyone}.values())
        return self._rng.sample(one_each, min(SOURCES_PER_ANSWER_MAX + 1, len(one_each)))

    def _hit(self, doc: int) -> Hit | None:
        return self._proven.get(doc) or self._prove(doc)

    def _prove(self, doc: int) -> Hit | None:
        node, slot = self._index.where(doc)
        share = self._share_of(node)
        hit = share.holding.hit(slot, self._index.entry(doc), share.source) if share else None
        if hit is not None:
            self._proven.keep(doc, hit)
        return hit
