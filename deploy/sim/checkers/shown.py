"""9: what people are shown matches what they asked for, and exists.

Whoever is shown as a source once had the content, unless he is hostile himself; and under one of
the names that it ever had a content is what was asked for: every word, none that was excluded, of
that kind and that size.
"""

from collections.abc import Callable

import msgspec

from common.content.torrent import file_id
from common.ids import NodeId
from common.names import is_lone_letter, media_type, words
from deploy.sim.chaos.truth import Truth
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of
from leaf.methods import Search, SearchResult
from leaf.search.hits import Row


class Shown:
    """Holds the rows of every search against the truth."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        by_node: dict[NodeId, Host],
    ) -> None:
        self._violate, self._truth, self._by_node = violate, truth, by_node
        self._asked: dict[int, Search] = {}

    def asked(self, _host: Host, call: int, _method: str, params: msgspec.Struct) -> None:
        """Somebody asks."""
        if isinstance(params, Search):
            self._asked[call] = params

    def ended(self, host: Host, call: int, outcome: object) -> None:
        """A call ended."""
        inside = leaf_of(host)
        asked = self._asked.pop(call, None)
        if isinstance(outcome, SearchResult) and inside is not None and asked is not None:
            shown = {hit.id: None for hit in outcome.hits}
            for row in inside.searches._last.rows:  # of another search, where two ended at once
                if file_id(*row.content) not in shown:
                    return
            for row in inside.searches._last.rows:
                self._look(host, asked, row)

    def _look(self, host: Host, asked: Search, row: Row) -> None:
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
        fits = any(_fits(asked, name) for name in names) and row.content[1] >= asked.min_size
        if honest and len(honest) == len(sources) and not fits:
            self._tell(host, f"is shown {row.name!r} for {asked}")

    def _tell(self, host: Host, what: str) -> None:
        self._violate("9: what is shown is there and was asked for", f"{host.name} {what}")


def _fits(asked: Search, name: str) -> bool:
    """Whether a file of this name is one that was asked for."""
    there = words(name)
    without = [part for word in asked.words if word.startswith("-") for part in words(word)]
    wanted = [part for word in asked.words if not word.startswith("-") for part in words(word)]
    return (
        all(
            any(
                other == word or (is_lone_letter(word) and other.startswith(word))
                for other in there
            )
            for word in wanted
        )
        and not any(word in there for word in without)
        and asked.type in ("", media_type(name))
    )
