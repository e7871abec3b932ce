"""Hits of a search: which of them to believe, and how they are gathered into what people see.

A hit is believed if it matches the query, comes from an address that its teller may speak of, and
is proven: the path of hashes leads from the entry to a root that the leaf itself signed. Rows
group hits by content; a leaf counts once for each. Nothing is asked for here.

The score of a row: how well its best name fits (`common.terms.fit`: 1 for one that says nothing but
what was asked for), plus a tenth for each doubling of its sources.
"""

import math
from collections.abc import Sequence
from typing import Final

from common.addresses import Address, may_tell
from common.calendar import utc_text
from common.content.merkle import EMPTY_ROOT
from common.content.torrent import file_id
from common.ids import NodeId
from common.messages.cluster import Hit
from common.messages.fields import Contact
from common.names import safe_name
from common.proofs import Proofs
from common.terms import Terms, fit, matches
from leaf.methods import HitRow

NAMES_SHOWN_MAX: Final = 20  # different names of one content; wild guess
SOURCES_KEPT_MAX: Final = 200  # leaves of one content, as many as a list of hosts has
SOURCES_WEIGHT: Final = 0.1
MODIFIED_MAX_S: Final = 253_402_300_799  # the last second that RFC 3339 can write

Content = tuple[bytes, int]  # root and size


class Verifier:
    """Checks hits; a leaf's signature over one generation is checked once."""

    __slots__ = ("_proofs",)

    def __init__(self, network: str) -> None:
        self._proofs = Proofs(network)

    def fault(self, hit: Hit, terms: Terms, teller: Address) -> str:
        """Why this hit is not believed; '' where it is."""
        if not matches(terms, hit.entry):
            return "hit does not match"
        if (hit.entry.size == 0) != (hit.entry.root == EMPTY_ROOT):
            return "hit of a file that cannot be"
        if not may_tell(hit.source.address, teller):
            return "hit out of scope"
        return "" if self._proofs.hold(hit) else "hit not proven"


class Row:
    """All hits with one content."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.sources: dict[NodeId, Address] = {}
        self._names: dict[str, int] = {}  # how many leaves call it so
        self._fit = 0.0
        self._modified_s = 0  # 0: nobody has told

    def add(self, hit: Hit, terms: Terms) -> None:
        """Count one more leaf; a second hit of the same leaf changes nothing."""
        if hit.source.node in self.sources or len(self.sources) >= SOURCES_KEPT_MAX:
            return
        self.sources[hit.source.node] = hit.source.address
        name = safe_name(hit.entry.name)
        if name in self._names or len(self._names) < NAMES_SHOWN_MAX:
            self._names[name] = self._names.get(name, 0) + 1
        self._fit = max(self._fit, fit(terms, hit.entry))
        told_s = hit.entry.modified_s
        if 0 < told_s <= MODIFIED_MAX_S:
            self._modified_s = min(self._modified_s or told_s, told_s)

    @property
    def name(self) -> str:
        """What most leaves call it."""
        return min(self._names, key=lambda name: (-self._names[name], name))

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Who has it."""
        return tuple(Contact(node, address) for node, address in self.sources.items())

    def shown(self) -> HitRow:
        """As people and scripts see it."""
        root, size = self.content
        score = self._fit + SOURCES_WEIGHT * math.log2(max(len(self.sources), 1))
        return HitRow(
            file_id(root, size),
            self.name,
            sorted(self._names),
            size,
            len(self.sources),
            round(score, 3),
            utc_text(self._modified_s) if self._modified_s else None,
        )


def best_first(rows: Sequence[Row]) -> list[Row]:
    """The order of a finished search: by score, then by name, then by content."""
    shown = [(row.shown(), row) for row in rows]
    shown.sort(key=lambda pair: (-pair[0].score, pair[0].name, pair[0].id))
    return [row for _, row in shown]
