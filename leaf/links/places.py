"""Which places rest: one that was dialled under one key is not soon dialled under another.

Nobody proves where a leaf is before it answers. Whoever names many made-up ones at the place of
somebody else would have it dialled for each of them, by each download of each leaf that hears it;
so all downloads of a leaf together dial a place once in a while. Who answered there is not kept
waiting by those who are said to be there too.
"""

from typing import Final

from common.addresses import Address
from common.ids import NodeId

PLACES_MAX: Final = 2_000  # that are remembered; the one dialled or reached longest ago is not


class Places:
    """Where the downloads of one leaf dialled, and who answered."""

    __slots__ = ("_answered", "_dialled", "_rest_s")

    def __init__(self, rest_s: float) -> None:
        """A place rests so long after each dial."""
        self._rest_s = rest_s
        self._dialled: dict[Address, tuple[NodeId, float]] = {}  # whom last, and until when
        self._answered: dict[Address, NodeId] = {}

    def take(self, peer: NodeId, address: Address, now: float) -> float | None:
        """None: this leaf is dialled there now. Else until when the place rests."""
        last, until = self._dialled.get(address, (peer, now))
        if now < until and peer not in (last, self._answered.get(address)):
            return until
        self._dialled.pop(address, None)
        self._dialled[address] = peer, now + self._rest_s
        if len(self._dialled) > PLACES_MAX:
            del self._dialled[next(iter(self._dialled))]
        return None

    def answered(self, peer: NodeId, address: Address) -> None:
        """This leaf was reached there."""
        self._answered.pop(address, None)
        self._answered[address] = peer
        if len(self._answered) > PLACES_MAX:
            del self._answered[next(iter(self._answered))]
