"""19: everything that is asked ends exactly once, of people and of sources.

A call has one answer or one failure, and none after its asker has left. A request for pieces is
answered by at most one `Piece` or `Reject`, and only if it was made.
"""

from collections.abc import Callable

import msgspec

from common.core import Answer, Asked, AskerLeft, Effect, Event, Exited, Fail
from common.messages.fields import Message
from common.messages.swarm import Piece, Reject, Request
from deploy.sim.host import Host
from deploy.sim.people import GONE

Place = tuple[int, int, int, bytes, int]  # asker, its life, source, root, offset
RULE = "19: every request ends exactly once"


class Answers:
    """Counts questions and answers."""

    def __init__(
        self, violate: Callable[[str, str], None], hostile: dict[int, str] | None = None
    ) -> None:
        self._violate = violate
        self._hostile = {} if hostile is None else hostile
        self._ended: dict[int, None] = {}
        self._methods: dict[int, str] = {}
        self._requests: dict[Place, int] = {}
        self._waiting: dict[tuple[int, int], dict[int, str]] = {}  # host, life: what it was asked

    def asked(self, _host: Host, call: int, method: str, _params: msgspec.Struct) -> None:
        """Somebody asks."""
        self._methods[call] = method

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in: who ends in order leaves nobody waiting."""
        waiting = self._waiting.setdefault((host.number, host.life), {})
        if isinstance(event, Asked):
            waiting[event.call] = event.method
        elif isinstance(event, AskerLeft):
            waiting.pop(event.call, None)
        for effect in effects:
            if isinstance(effect, Answer | Fail):
                waiting.pop(effect.call, None)
            elif isinstance(effect, Exited) and waiting:
                self._tell(host, f"ends, and does not answer {', '.join(waiting.values())}")

    def ended(self, host: Host, call: int, outcome: object) -> None:
        """A call has ended, or the node thinks so."""
        if call in self._ended and outcome is not GONE:
            self._tell(host, f"answers {self._methods.get(call)} again: {outcome!r:.80}")
        if call not in self._methods:
            self._tell(host, f"answers call {call}, which nobody made")
        self._ended[call] = None

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        if isinstance(message, Request):
            place = (host.number, host.life, there.number, message.root, message.offset)
            self._requests[place] = self._requests.get(place, 0) + 1
            return
        if host.number in self._hostile:
            return
        offset = message.offset if isinstance(message, Piece | Reject) else None
        if not isinstance(message, Piece | Reject) or offset is None:
            return
        place = (there.number, there.life, host.number, message.root, offset)
        owed = self._requests.get(place, 0)
        if owed <= 0 and there.is_running and there.number not in self._hostile:
            kind = type(message).__name__
            self._tell(host, f"sends {there.name} a {kind} for {offset} that is not owed")
        self._requests[place] = owed - 1

    def _tell(self, host: Host, what: str) -> None:
        self._violate(RULE, f"{host.name} {what}")
