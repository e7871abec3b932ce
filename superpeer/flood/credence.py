"""Which hits from others may fill the quota of a query: forged ones leave room for true ones.

Of the hits that an origin wants, half are passed on as they come: most searches find fewer, and pay
nothing for proofs that the asker checks anyway. The other half is for those only that answer the
query, are proven, and did not come before. What a liar signs itself is proven as well: it is a leaf
then, and what it shares is false; that is not found out here.
"""

from collections.abc import Callable, Sequence
from typing import Final

from common.messages.cluster import Hit
from common.messages.overlay import QueryBody
from common.terms import matches

FREE: Final = 0.5  # of what is wanted


class Credence:
    """The hits of one query at one super-peer."""

    __slots__ = ("_body", "_free", "_is_proven", "_seen", "wanted")

    def __init__(self, body: QueryBody, is_proven: Callable[[Hit], bool]) -> None:
        self._body = body
        self._is_proven = is_proven
        self.wanted = body.wanted
        self._free = int(FREE * body.wanted)
        self._seen: dict[tuple[bytes, int, bytes], None] = {}  # of those that were looked at

    def picked(self, hits: Sequence[Hit]) -> list[Hit]:
        """Those that count."""
        free, hits = list(hits[: self._free]), hits[self._free :]
        self._free -= len(free)
        return free + [hit for hit in hits if self._counts(hit)]

    def _counts(self, hit: Hit) -> bool:
        key = (hit.source.node, hit.slot, hit.entry.root)
        if key in self._seen or not self._answers(hit) or not self._is_proven(hit):
            return False
        self._seen[key] = None
        return True

    def _answers(self, hit: Hit) -> bool:
        if self._body.terms is not None:
            return matches(self._body.terms, hit.entry)
        return (hit.entry.root, hit.entry.size) == (self._body.root, self._body.size)
