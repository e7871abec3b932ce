"""Whose the data is that leaves: of a transfer test, or of anything else that we give.

The shell tells how much has left for a peer, not what. It leaves in the order in which it was
handed over, so that order is kept here until it has left or the link is gone.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from common.core import Effect, Event, LinkDown, LinkUp, Send, Sent
from common.doors import Door
from common.ids import NodeId
from common.messages.hierarchy import TrialData
from leaf.tables import EVENTS, TEST_SENT, Names

_LINK_ENDS: Final = (LinkUp, LinkDown)


@dataclass(slots=True)
class _Lot:
    """Bytes of one kind, one after the other."""

    is_test: bool
    length: int


class Handed:
    """What was handed over for each peer and has not left."""

    __slots__ = ("_lots",)

    def __init__(self) -> None:
        self._lots: dict[NodeId, deque[_Lot]] = {}

    def over(self, send: Effect) -> None:
        """This is ordered now; only data that is sent counts."""
        if not isinstance(send, Send) or not send.data:
            return
        lots, is_test = self._lots.setdefault(send.peer, deque()), type(send.message) is TrialData
        if not lots or lots[-1].is_test != is_test:
            lots.append(_Lot(is_test, 0))
        lots[-1].length += len(send.data)

    def parts(self, event: Event) -> list[tuple[Event, Names]]:
        """What has left, in parts for the machines that gave it; nothing for any other event."""
        if not isinstance(event, Sent):
            if isinstance(event, _LINK_ENDS) and event.door is Door.BULK:
                self._lots.pop(event.peer, None)
            return []
        lots, left = self._lots.get(event.peer, deque()), event.length
        parts: list[tuple[Event, Names]] = []
        while lots and left:
            lot = lots[0]
            length = min(lot.length, left)
            lot.length, left = lot.length - length, left - length
            takers = TEST_SENT if lot.is_test else EVENTS[Sent]
            parts.append((Sent(event.peer, length), takers))
            if not lot.length:
                lots.popleft()
        if not lots:
            self._lots.pop(event.peer, None)
        return [*parts, (Sent(event.peer, left), EVENTS[Sent])] if left or not parts else parts
