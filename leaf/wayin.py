"""A leaf as a way in: it answers pings with its parent, so any node serves others as `--super`."""

from common.addresses import may_tell
from common.core import DatagramReceived, Effect, Event
from common.ids import NodeId
from common.meeting import Facts, Meeting
from common.messages.link import Ping
from common.storage import Restored
from leaf.parent import Parent


class WayIn:
    """Tells who asks whom we hang on, within the asker's scope."""

    __slots__ = ("_began", "_me", "_meeting", "_parent")

    def __init__(self, me: NodeId, meeting: Meeting, parent: Parent) -> None:
        self._me = me
        self._meeting = meeting
        self._parent = parent
        self._began: float | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if isinstance(event, Restored) and self._began is None:
            self._began = now
        if not isinstance(event, DatagramReceived) or not isinstance(event.message, Ping):
            return []
        contact = self._parent.contact
        if contact is not None and not may_tell(contact.address, event.address):
            contact = None
        uptime_s = now - (now if self._began is None else self._began)
        return [*self._meeting.answer(event, Facts(self._me, contact, 0, 0, uptime_s))]

    def wakeup(self) -> float | None:
        """Never."""
        return None
