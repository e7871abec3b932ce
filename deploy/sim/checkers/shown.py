"""9: what people are shown matches what they asked for, and exists.

Whoever is shown as a source once had the content, unless he is hostile himself; and under one of
the names that it ever had a content has every word that was asked for.
"""

from collections.abc import Callable

import msgspec

from common.ids import NodeId
from common.names import words
from common.torrent import file_id
from deploy.sim.chaos.truth import Truth
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of
from leaf.hits import Row
from leaf.methods import Search, SearchResult


class Shown:
    """Holds the rows of every search against the truth."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        by_node: dict[NodeId, Host],
    ) -> None:
        self._violate, self._truth, self._by_node = violate, truth, by_node
        self._asked: dict[int, tuple[str, ...]] = {}

    def asked(self, _host: Host, call: int, _method: str, params: msgspec.Struct) -> None:
        """Somebody asks."""
        if isinstance(params, Search):
            self._asked[call] = tuple(
                part for word in params.words if not word.startswith("-") for part in words(word)
            )

    def ended(self, host: Host, call: int, outcome: object) -> None:
        """A call ended."""
        inside = leaf_of(host)
        if isinstance(outcome, SearchResult) and inside is not None:
            shown = {hit.id: None for hit in outcome.hits}
            for row in inside.searches._last:  # of another search, where two ended at once
                if file_id(*row.content) not in shown:
                    return
            for row in inside.searches._last:
                self._look(host, self._asked.get(call, ()), row)

    def _look(self, host: Host, asked: tuple[str, ...], row: Row) -> None:
        sources = [self._by_node.get(node) for node in row.sources]
        truth = self._truth
        honest = [
            each
            for each in sources
            if each is not None
            and each.number not in truth.hostile
            and each.number not in truth.decayed
        ]
        for source in honest:
            if (source.number, row.content) not in truth.held:
                self._tell(host, f"is shown that {source.name} has {row.name!r}")
        names = truth.named.get(row.content, {})
        fits = any(all(word in words(name) for word in asked) for name in names)
        if honest and len(honest) == len(sources) and not fits:
            self._tell(host, f"is shown {row.name!r} for {asked}")

    def _tell(self, host: Host, what: str) -> None:
        self._violate("9: what is shown is there and was asked for", f"{host.name} {what}")
