"""Receipts: how fast each leaf that gives to us gives, measured here and signed for its parent.

Only proven bytes count, and only in steady transfer: a window begins with a delivery, and what
comes from then on, over a second and 256 KiB at least, is one measurement; a pause begins a new
one. Now and then they go to our parent. Who gives tells us its own parent, so that the receipt
finds it; one that tells none gets none. We tell those that take from us the same.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.config import VitalsConfig
from common.core import Effect, Event, LinkDown, Received, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import Identity, NodeId
from common.limits import RECEIPTS_MAX
from common.messages.hierarchy import Home, Receipts
from common.vitals import Receipt, sign_receipt
from leaf.signals import Given, Joined, Orphaned

PAUSE_WINDOWS: Final = 2.0  # lengths of a window without a byte: the transfer was not steady
GIVERS_MAX: Final = 256  # followed at a time
_REPORT: Final = "report"


class _Window:
    """Steady transfer of one giver: closed windows, and the one that is open."""

    __slots__ = ("at", "began", "length", "span_s", "sum")

    def __init__(self, now: float) -> None:
        self.began = self.at = now
        self.sum = 0  # since `began`, without the delivery that began it
        self.length, self.span_s = 0, 0.0  # of those that are closed, since the last report


class ReceiptBook:
    """What others gave us since the last report; `epoch` is this life's beginning in wall ms."""

    __slots__ = (
        *("_began", "_config", "_deadlines", "_homes", "_identity", "_network", "_epoch"),
        *("_parent", "_takers", "_windows"),
    )

    def __init__(self, identity: Identity, network: str, config: VitalsConfig, epoch: int) -> None:
        self._identity, self._network, self._config = identity, network, config
        self._epoch = epoch
        self._began: float | None = None  # by `now`, which goes back when the machine boots
        self._parent: NodeId | None = None
        self._windows: dict[NodeId, _Window] = {}
        self._homes: dict[NodeId, NodeId] = {}  # parents of givers, as they say
        self._takers: dict[NodeId, None] = {}  # who was told our parent over its link
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if self._began is None:
            self._began = now
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When receipts go out."""
        return self._deadlines.earliest()

    # --- measuring --------------------------------------------------------------------------

    def _given(self, event: Given, now: float) -> list[Effect]:
        window = self._windows.get(event.peer)
        if window is None:
            if len(self._windows) >= GIVERS_MAX:
                return []
            self._windows[event.peer] = _Window(now)
            if self._deadlines.get(_REPORT) is None:  # which drops those that give no more, too
                self._deadlines.set(_REPORT, now + self._config.receipts_s)
            return []
        config = self._config
        if now - window.at > PAUSE_WINDOWS * config.window_s:
            window.began, window.sum = now, 0
        else:
            window.sum += event.length
        window.at = now
        span_s = now - window.began
        if span_s >= config.window_s and window.sum >= config.window_bytes:
            window.length += window.sum
            window.span_s += span_s
            window.began, window.sum = now, 0
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        if not self._deadlines.pop_due(now):
            return []
        receipts: list[Receipt] = []
        homes: list[NodeId] = []
        for giver, window in list(self._windows.items()):
            home = self._homes.get(giver)
            if window.length and home is not None and len(receipts) < RECEIPTS_MAX:
                receipts.append(self._receipt(giver, window, now))
                homes.append(home)
            window.length, window.span_s = 0, 0.0
            if now - window.at > PAUSE_WINDOWS * self._config.window_s:
                del self._windows[giver]
        if self._windows:
            self._deadlines.set(_REPORT, now + self._config.receipts_s)
        if self._parent is None or not receipts:
            return []
        return [Send(self._parent, Receipts(tuple(receipts), tuple(homes)))]

    def _receipt(self, giver: NodeId, window: _Window, now: float) -> Receipt:
        lived_s = now - (now if self._began is None else self._began)
        number = self._epoch + int(lived_s * 1000)
        span_s = window.span_s
        return sign_receipt(self._identity, self._network, giver, window.length, span_s, number)

    # --- whose parent is whose --------------------------------------------------------------

    def _received(self, event: Received, _now: float) -> list[Effect]:
        """A giver tells its parent; or somebody wants pieces of ours, and is told ours."""
        if isinstance(event.message, Home):
            self._homes.pop(event.peer, None)
            self._homes[event.peer] = event.message.parent
            if len(self._homes) > GIVERS_MAX:
                del self._homes[next(iter(self._homes))]
            return []
        if self._parent is None or event.peer in self._takers:
            return []
        self._takers[event.peer] = None
        return [Send(event.peer, Home(self._parent))]

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is Door.BULK:
            self._takers.pop(event.peer, None)
        return []

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent = event.parent
        return [Send(peer, Home(event.parent)) for peer in self._takers]

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Given: _given,
        Received: _received,
        Joined: _joined,
        Orphaned: _orphaned,
        LinkDown: _link_down,
        Woke: _woke,
    }
