"""What a leaf may ask its parent at a time: credit, and a queue for what is beyond it.

The parent says how many searches and locates may be open (`Welcome`, `Credit`). Those beyond wait
here in order and go out as answers come; who is asked to forget one that still waits never hears of
it. The machines that ask know nothing of this: it stands between them and the link.
"""

from typing import Final

from common.core import Effect, Event, Notify, Received, Send
from common.ids import Guid, NodeId
from common.messages.cluster import Credit, Forget, Locate, Search, SearchDone, Sources, Welcome

WAITING_MAX: Final = 256  # more than all searches and downloads of a leaf ask at once


class Asking:
    """The questions to one parent: those that are open, and those that wait."""

    __slots__ = ("_credit", "_open", "_parent", "_waiting", "dropped")

    def __init__(self) -> None:
        self._parent: NodeId | None = None
        self._credit = 0
        self._open: dict[Guid, None] = {}
        self._waiting: dict[Guid, Send] = {}
        self.dropped: dict[str, int] = {}

    def passed(self, event: Event, effects: list[Effect]) -> list[Effect]:
        """Of what the machines want done after `event`, what is to be done now."""
        if isinstance(event, Received):
            self._hear(event)
        if not self._waiting and not any(type(each) is Send for each in effects):
            return effects
        now: list[Effect] = []
        for effect in effects:
            now += self._sorted(effect) if isinstance(effect, Send) else [effect]
        return now + self._released()

    def _hear(self, event: Received) -> None:
        message = event.message
        if isinstance(message, Welcome):
            self._parent, self._credit = event.peer, message.credit
            self._open.clear()
            self._waiting.clear()
        elif event.peer != self._parent:
            return
        elif isinstance(message, Credit):
            self._credit = message.open
        elif isinstance(message, SearchDone) or (isinstance(message, Sources) and message.done):
            self._open.pop(message.guid, None)

    def _sorted(self, send: Send) -> list[Effect]:
        message = send.message
        if isinstance(message, Forget):
            self._open.pop(message.guid, None)
            return [] if self._waiting.pop(message.guid, None) is not None else [send]
        if not isinstance(message, Search | Locate) or send.peer != self._parent:
            return [send]
        if len(self._waiting) >= WAITING_MAX:
            self.dropped["questions beyond credit"] = (
                self.dropped.get("questions beyond credit", 0) + 1
            )
            return []
        self._waiting[message.guid] = send
        if len(self._open) < self._credit or len(self._waiting) > 1:
            return []  # it goes out in a moment, or has been told of
        return [Notify("searches_wait", {"open": len(self._open), "credit": self._credit})]

    def _released(self) -> list[Effect]:
        released: list[Effect] = []
        while self._waiting and len(self._open) < self._credit:
            guid = next(iter(self._waiting))
            self._open[guid] = None
            released.append(self._waiting.pop(guid))
        return released
