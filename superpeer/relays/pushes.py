"""Push: a leaf that nobody can dial is told to dial the one that wants its file.

Who cannot reach a source asks for the file once more and names the sources meant; that question
goes as every other one, and whoever has such a leaf tells it. So a push needs no way of its own
through the overlay, and reaches a leaf wherever it hangs by now. The address to dial is where its
own super-peer sees the asker; a leaf is told of so many in a while and no more (THREATS T3).
"""

from collections.abc import Mapping
from typing import Final

from common.addresses import Address, may_tell
from common.core import Effect, Send
from common.ids import NodeId
from common.messages import cluster
from common.messages.fields import Contact
from common.messages.overlay import QueryBody
from common.rates import Bucket

PER_S: Final = 1.0  # that one leaf is told of; wild guess
BURST: Final = 16


class Pushes:
    """What our leaves were told; `leaves` are read as they are at the moment."""

    __slots__ = ("_credit", "_leaves", "told")

    def __init__(self, leaves: Mapping[NodeId, Contact]) -> None:
        self._leaves = leaves
        self._credit: dict[NodeId, Bucket] = {}
        self.told = 0
        """How often a leaf was told to dial another."""

    def of(self, body: QueryBody, now: float, teller: Address | None = None) -> list[Effect]:
        """Tell those of our leaves that a question names; who passed it on is believed within its
        scope only (`teller`; None: the asker is ours)."""
        asker, relay = body.asker, body.relay
        if asker is None or not asker.address.is_a_place:
            return []
        if teller is not None and not may_tell(asker.address, teller):
            return []
        if teller is not None and relay is not None and not may_tell(relay.address, teller):
            relay = None
        named = [leaf for leaf in body.push if leaf in self._leaves and leaf != asker.node]
        allowed = [leaf for leaf in named if self._may(leaf, now)]
        self.told += len(allowed)
        return [Send(leaf, cluster.Push(asker, relay)) for leaf in allowed]

    def _may(self, leaf: NodeId, now: float) -> bool:
        credit = self._credit.get(leaf)
        if credit is None:
            self._credit = {one: each for one, each in self._credit.items() if one in self._leaves}
            credit = self._credit[leaf] = Bucket(PER_S, BURST, now)
        return credit.take(now)
