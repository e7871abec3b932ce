"""Any node serves as a way in: a leaf that is pinged answers with its parent (DESIGN §4)."""

from random import Random

from common.addresses import may_tell
from common.core import DatagramReceived, Effect, Event
from common.ids import NodeId
from common.meeting import Facts, Meeting
from common.messages.link import Ping
from common.network import Network
from leaf.parent.parent import Parent


class WayIn:
    """Answers pings, within the scope of who asks; `parent` is read as it is at the moment."""

    __slots__ = ("_began", "_me", "_meeting", "_parent")

    def __init__(self, me: NodeId, network: Network, parent: Parent, rng: Random) -> None:
        self._me = me
        self._meeting = Meeting(network, rng)
        self._parent = parent
        self._began: float | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Our doors are open, or somebody asks who is here."""
        if self._began is None:
            self._began = now
        if not isinstance(event, DatagramReceived) or not isinstance(event.message, Ping):
            return []
        contact = self._parent.contact
        if contact is not None and not may_tell(contact.address, event.address):
            contact = None
        return [*self._meeting.answer(event, Facts(self._me, contact, 0, 0, now - self._began))]

    def wakeup(self) -> float | None:
        """Never."""
        return None
