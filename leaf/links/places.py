"""Which places rest: one that was dialled under one key is not soon dialled under another.

Nobody proves where a leaf is before it answers. Whoever names many made-up ones at the place of
somebody else would have it dialled for each of them, by each download of each leaf that hears it;
so a place where nobody answered rests for a while, for all downloads of a leaf. They share a dial
that has just begun. Who answered there is not kept waiting by those who are said to be there too.
"""

from typing import Final, NamedTuple

from common.addresses import Address
from common.ids import NodeId

PLACES_MAX: Final = 2_000  # remembered, the latest: ten downloads' sources; wild guess
SHARED_S: Final = 1.0  # so long a dial is taken to be under way; wild guess


class _Dialled(NamedTuple):
    peer: NodeId
    at: float


class Places:
    """Where the downloads of one leaf dialled, and who answered."""

    __slots__ = ("_answered", "_dialled", "_rest_s")

    def __init__(self, rest_s: float) -> None:
        """A place rests so long after a dial."""
        self._rest_s = rest_s
        self._dialled: dict[Address, _Dialled] = {}
        self._answered: dict[Address, NodeId] = {}

    def __len__(self) -> int:
        return max(len(self._dialled), len(self._answered))

    def take(self, peer: NodeId, address: Address, now: float) -> float | None:
        """None: this leaf is dialled there now. Else until when the place rests."""
        last = self._dialled.get(address)
        if last is not None and now < last.at + self._rest_s:
            is_shared = peer == last.peer and now < last.at + SHARED_S
            if is_shared or peer == self._answered.get(address):
                return None
            return last.at + self._rest_s
        self._dialled.pop(address, None)
        self._dialled[address] = _Dialled(peer, now)
        if len(self._dialled) > PLACES_MAX:
            del self._dialled[next(iter(self._dialled))]
        return None

    def answered(self, peer: NodeId, address: Address) -> None:
        """This leaf was reached there."""
        self._dialled.pop(address, None)
        self._answered.pop(address, None)
        self._answered[address] = peer
        if len(self._answered) > PLACES_MAX:
            del self._answered[next(iter(self._answered))]
