"""Asking the parent who has a file, for as long as a download wants more sources.

One question per file is under way at most, and two of all: a parent refuses what is too many, and
all at once would be refused in the same order for ever. Those who begin together have nothing to
name yet; so the first repeats come soon, and go no further than the parent, with pauses that double
up to `locate_s`. Of a new parent each is asked as soon as its turn comes. What the parent names is
passed on only within the scope in which it may speak. Whom of them to link with is the download's
choice.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import SwarmConfig
from common.core import Effect, Event, Received, Send, Woke
from common.deadlines import Deadlines
from common.hearsay import as_seen
from common.ids import Guid, NodeId, new_guid
from common.limits import PUSHED_MAX
from common.messages.cluster import Forget, Locate, Sources
from leaf.signals import (
    Joined,
    Orphaned,
    PushWanted,
    SourcesFound,
    SourcesUnwanted,
    SourcesWanted,
)

QUESTIONS_MAX: Final = 2  # open at once: a parent refuses what is too much, always the same ones


class Locator:
    """The open questions for sources; no more than there are downloads."""

    __slots__ = (
        *("_asked", "_config", "_deadlines", "_due", "_parent", "_parent_address", "_pauses"),
        *("_pushed", "_rng", "_wanted", "dropped"),
    )

    def __init__(self, config: SwarmConfig, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._wanted: dict[bytes, int] = {}  # root -> size
        self._pauses: dict[bytes, float] = {}  # root -> until it is asked for again
        self._asked: dict[bytes, Guid] = {}  # root -> the question under way
        self._pushed: dict[bytes, dict[NodeId, None]] = {}  # root -> sources that are to dial us
        self._due: dict[bytes, None] = {}  # roots to ask for, as soon as it is their turn
        self._deadlines = Deadlines()
        self.dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When the next question is repeated."""
        return self._deadlines.earliest()

    def asks_at(self, root: bytes) -> float | None:
        """When it is asked for the next time, at the latest; None where that is not wanted."""
        return self._deadlines.get(root) if root in self._wanted else None

    def is_asking(self, root: bytes) -> bool:
        """Whether the parent is just being asked for it."""
        return root in self._asked

    def _joined(self, event: Joined, now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        self._asked.clear()
        self._due = dict.fromkeys(self._wanted)
        self._pauses = dict.fromkeys(self._wanted, 0.0)
        return self._ask_next(now)

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        self._asked.clear()
        self._due.clear()
        return []

    def _sources_wanted(self, event: SourcesWanted, now: float) -> list[Effect]:
        if event.root in self._wanted:
            return []
        self._wanted[event.root] = event.size
        self._pauses[event.root] = 0.0
        self._due[event.root] = None
        return self._ask_next(now)

    def _sources_unwanted(self, event: SourcesUnwanted, now: float) -> list[Effect]:
        self._wanted.pop(event.root, None)
        self._pauses.pop(event.root, None)
        self._pushed.pop(event.root, None)
        self._due.pop(event.root, None)
        self._deadlines.cancel(event.root)
        return self._forget(event.root) + self._ask_next(now)

    def _push_wanted(self, event: PushWanted, now: float) -> list[Effect]:
        """With the next question, which is due soon: others that cannot be dialled share it."""
        if event.root not in self._wanted:
            return []
        pushed = self._pushed.setdefault(event.root, {})
        if len(pushed) >= PUSHED_MAX:
            return []
        pushed[event.peer] = None
        due = self._deadlines.get(event.root)
        soon = now + self._config.locate_first_s
        if event.root not in self._due and (due is None or due > soon):
            self._deadlines.set(event.root, soon)
        return []

    def _ask_next(self, now: float) -> list[Effect]:
        """Ask for those whose turn it is, while few questions are open."""
        effects: list[Effect] = []
        while self._due and self._parent is not None and len(self._asked) < QUESTIONS_MAX:
            root = next(iter(self._due))
            del self._due[root]
            guid = self._asked[root] = new_guid(self._rng)
            self._again(root, self._config.locate_s, now)
            is_early = 0.0 < self._pauses[root] < self._config.locate_s
            push = tuple(self._pushed.pop(root, ()))
            ttl = 0 if is_early and not push else self._config.locate_ttl
            effects.append(Send(self._parent, Locate(guid, root, self._wanted[root], ttl, push)))
        return effects

    def _answered(self, root: bytes, now: float) -> None:
        """It is asked for again after a pause, the next one twice as long."""
        del self._asked[root]
        pause_s = 2 * self._pauses[root] or self._config.locate_first_s
        self._pauses[root] = min(pause_s, self._config.locate_s)
        self._again(root, self._pauses[root], now)

    def _again(self, root: bytes, pause_s: float, now: float) -> None:
        self._deadlines.set(root, now + pause_s * self._rng.uniform(0.75, 1.25))

    def _forget(self, root: bytes) -> list[Effect]:
        guid = self._asked.pop(root, None)
        if guid is None or self._parent is None:
            return []
        return [Send(self._parent, Forget(guid))]

    def _received(self, event: Received, now: float) -> list[Effect]:
        message = event.message
        if not isinstance(message, Sources) or event.peer != self._parent:
            return self._drop("sources from a stranger")
        root = next((root for root, guid in self._asked.items() if guid == message.guid), None)
        if root is None or self._parent_address is None:
            return self._drop("sources nobody asked for")
        if message.done:
            self._answered(root, now)
        teller = self._parent_address
        seen = [as_seen(each, event.peer, teller) for each in message.sources]
        told = tuple(each for each in seen if may_tell(each.address, teller))
        found = SourcesFound(root, told, message.done, name=message.name)
        return [found, *(self._ask_next(now) if message.done else [])]

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for root in self._deadlines.pop_due(now):
            if isinstance(root, bytes) and root in self._wanted:
                effects += self._forget(root)
                self._due[root] = None
        return effects + self._ask_next(now)

    def _drop(self, reason: str) -> list[Effect]:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Joined: _joined,
        Orphaned: _orphaned,
        SourcesWanted: _sources_wanted,
        SourcesUnwanted: _sources_unwanted,
        PushWanted: _push_wanted,
        Received: _received,
        Woke: _woke,
    }
