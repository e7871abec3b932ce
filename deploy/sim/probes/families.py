"""Probes that need no hand: one for each message, note, outcome, reason and state that there is.

Their names are a family and what it is about: `sent-query`, `dropped-hits-unasked`. They are found
by looking, so what is new in the protocol has its probe at once.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from common.core import Effect, Event, Exited, Fail, FrameReceived, Notify
from common.messages.fields import Message
from common.messages.swarm import Reject
from common.storage import (
    PartFailed,
    PiecesWritten,
    ReadFailed,
    RememberDownload,
    ShareFailed,
)
from deploy.sim.host import Host
from deploy.sim.people import GONE

FAMILIES: Final = {
    "sent": "A message of this type was sent: {}.",
    "heard": "An honest node received a message of this type: {}.",
    "rejected": "Something was rejected with this reason: {}.",
    "note": "A node noted this for the log: {}.",
    "ended": "A call ended like this: {}.",
    "dropped": "A node dropped something for this reason: {}.",
    "download": "A download came into this state: {}.",
    "moved": "A download went from one state to another: {}.",
    "disk": "The disk told this: {}.",
}
LOOK_EVENTS: Final = 64  # of a host between two looks at what it dropped

Hit = Callable[[str], None]


class Families:
    """A room."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self._names: dict[type, str] = {}
        self._turns: dict[int, int] = {}
        self._dropped: dict[tuple[int, int, str], int] = {}
        self._methods: dict[int, str] = {}
        self._states: dict[tuple[int, int], str] = {}

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if isinstance(event, FrameReceived):
            self._hit(f"heard-{self._name(type(event.message))}")
        else:
            self._of_disk(event)
        for effect in effects:
            if isinstance(effect, RememberDownload):
                self._state(host, effect)
        turns = self._turns[host.number] = self._turns.get(host.number, 0) + 1
        if turns % LOOK_EVENTS == 0 or (effects and isinstance(effects[-1], Exited)):
            self.look(host)

    def sent(
        self, _host: Host, _there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        self._hit(f"sent-{self._name(type(message))}")
        if isinstance(message, Reject):
            what = "all" if message.offset is None else "one"
            self._hit(f"rejected-{what}-{kebab(message.reason)}")

    def noted(self, _host: Host, note: Notify) -> None:
        """A line for the log."""
        self._hit(f"note-{kebab(note.name)}")

    def asked(self, _host: Host, call: int, method: str, _params: msgspec.Struct) -> None:
        """Somebody asks."""
        self._methods[call] = method.replace(".", "-")

    def ended(self, _host: Host, call: int, outcome: object) -> None:
        """A call has ended."""
        method = self._methods.pop(call, "unknown")
        how = "done"
        if outcome is GONE:
            how = "gone"
        elif isinstance(outcome, Fail):
            how = f"failed-{outcome.code.name.lower()}"
        self._hit(f"ended-{kebab(method)}-{kebab(how)}")

    def look(self, host: Host) -> None:
        """See what a node has dropped since the last look."""
        if host.node is None:
            return
        shown = host.node.snapshot()
        dropped = dict(shown.dropped)
        for role in shown.roles.values():
            dropped.update(getattr(role, "dropped", {}))
        for reason, count in dropped.items():
            key = (host.number, host.life, reason)
            if count > self._dropped.get(key, 0):
                self._dropped[key] = count
                self._hit(f"dropped-{kebab(reason)}")

    # --- one family each --------------------------------------------------------------------

    def _of_disk(self, event: Event) -> None:
        if isinstance(event, PartFailed):
            self._hit(f"disk-part-failed-{kebab(event.kind)}")
        elif isinstance(event, ReadFailed):
            self._hit(f"disk-read-failed-{kebab(event.kind)}")
        elif isinstance(event, PiecesWritten):
            self._hit("disk-pieces-bad" if event.bad else "disk-pieces-good")
        elif isinstance(event, ShareFailed):
            self._hit("disk-share-failed")

    def _state(self, host: Host, effect: RememberDownload) -> None:
        key = (host.number, effect.record.number)
        before = self._states.pop(key, None)
        if effect.forget:
            self._hit("download-forgotten")
            return
        state = self._states[key] = effect.record.state
        self._hit(f"download-{state}")
        if before is not None and before != state:
            self._hit(f"moved-{before}-to-{state}")

    def _name(self, kind: type) -> str:
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = kebab(kind.__name__)
        return name


def kebab(text: str) -> str:
    """A name in the form of a probe's: words in lower case, joined by `-`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")
