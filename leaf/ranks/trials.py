"""Transfer tests that our parent arranged: giving bytes to witnesses, and being one.

The parent of the tested leaf tells it the name of the test, and asks other super-peers for
witnesses; each of those is told by its own parent where to go. Whoever names a test that our own
parent announced is given bytes that mean nothing, within the cap of our uplink and so many a day; a
witness counts what came in each second, at most so many in a test and a day. Nobody else is given
anything.
"""

import math
from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import VitalsConfig
from common.core import (
    Dial,
    Effect,
    Event,
    LetGo,
    LinkDown,
    LinkUp,
    Received,
    Send,
    Sent,
    Woke,
)
from common.deadlines import Deadlines, soonest
from common.doors import Door
from common.ids import Guid, NodeId
from common.limits import TEST_S_MAX
from common.messages.hierarchy import Errand, ErrandDone, Trial, TrialData
from leaf.links.caps import Cap, Gate
from leaf.ranks.window import Window
from leaf.signals import Joined, Orphaned

BLOCK: Final = 16 * 1024  # of test data in one message at most
SMALL_BLOCK: Final = 4 * 1024  # ... at least: its head is a fortieth
GRAIN: Final = 32  # of what a witness was given a block is this part: each second has many of them
DAY_S: Final = 86_400.0
LEAD_S: Final = 2.0  # from the errand to the first second that counts: a dial, a slow start
TESTED: Final = "the test is over"
TAKERS_MAX: Final = 32  # witnesses of one test


class _Taking:
    """One errand: what came in each second. The seconds of all witnesses are the same, counted
    from when they were sent: else a leaf could serve them one after the other, and look faster."""

    __slots__ = ("began", "counts", "guid", "peer", "taken")

    def __init__(self, guid: Guid, peer: NodeId, seconds: int, began: float) -> None:
        self.guid, self.peer, self.began = guid, peer, began
        self.counts = [0] * seconds
        self.taken = 0


class _Giving:
    """What one witness of a test of us gets, in bytes."""

    __slots__ = ("given", "left", "owed")

    def __init__(self, owed: int, given: int) -> None:
        self.owed = owed  # what is still to be given
        self.given = given  # since the seconds count, or as much as others when it came later
        self.left = 0  # what has left for it in all


class Trials:
    """Tests of us and by us. `cap` is that of our uplink."""

    __slots__ = (
        *("_block", "_config", "_deadlines", "_gate", "_given_today", "_giving", "_links", "_me"),
        *("_open", "_parent", "_parent_address", "_taken_today", "_taking"),
        *("_today_ends", "_window"),
    )

    def __init__(self, me: NodeId, config: VitalsConfig, cap: Cap, rng: Random) -> None:
        self._me, self._config = me, config
        self._gate = Gate(cap)
        self._block = rng.randbytes(BLOCK)
        self._links: dict[NodeId, None] = {}  # bulk links that are up, whoever made them
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._open: tuple[Guid, float] | None = None  # the test of us, and until when
        self._giving: dict[NodeId, _Giving] = {}  # the witnesses
        self._window = Window(0.0)
        self._taking: _Taking | None = None
        self._given_today = self._taken_today = 0
        self._today_ends = 0.0
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline, and when the cap lets more pass."""
        times = [self._deadlines.earliest(), self._gate.opens_at if self._giving else None]
        return soonest(times)

    def needs(self, peer: NodeId) -> bool:
        """Whether a test wants the bulk link to `peer`."""
        return peer in self._giving or (self._taking is not None and self._taking.peer == peer)

    # --- messages ---------------------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        message = event.message
        if isinstance(message, Errand):
            return self._on_errand(event.peer, message, now)
        if isinstance(message, Trial):
            return self._on_test(event.peer, message, now)
        if isinstance(message, TrialData) and event.data is not None:
            return self._on_data(event.peer, len(event.data), now)
        return []

    def _on_errand(self, peer: NodeId, errand: Errand, now: float) -> list[Effect]:
        """Our parent announces a test of us, or sends us to be a witness of another."""
        if peer != self._parent or not errand.seconds or self._parent_address is None:
            return []
        if errand.contact.node == self._me:
            self._open = errand.guid, now + 2 * TEST_S_MAX
            self._deadlines.set("counted", now + LEAD_S)
            return []
        self._new_day(now)
        is_spent = self._taken_today >= self._config.test_bytes_day
        may = may_tell(errand.contact.address, self._parent_address)
        if self._taking is not None or is_spent or not may:
            return [Send(peer, ErrandDone(errand.guid, None))]
        begins = now + LEAD_S
        taking = _Taking(errand.guid, errand.contact.node, errand.seconds, begins)
        self._taking = taking
        self._deadlines.set("taking", begins + errand.seconds)
        if taking.peer in self._links:
            return [self._ask(taking)]
        return [Dial(taking.peer, errand.contact.address, Door.BULK)]

    def _ask(self, taking: _Taking) -> Effect:
        return Send(taking.peer, Trial(self._config.test_bytes, taking.guid))

    # --- being a witness --------------------------------------------------------------------

    def _on_data(self, peer: NodeId, length: int, now: float) -> list[Effect]:
        taking = self._taking
        if taking is None or taking.peer != peer:
            return []
        taking.taken += length
        self._taken_today += length
        at = math.floor(now - taking.began)
        if 0 <= at < len(taking.counts):
            taking.counts[at] += length
        return []

    def _end_taking(self, *, reached: bool) -> list[Effect]:
        taking, self._taking = self._taking, None
        self._deadlines.cancel("taking")
        if taking is None:
            return []
        saturated = taking.taken >= self._config.test_bytes - BLOCK
        rates = _seen(taking, saturated=saturated)
        effects: list[Effect] = []
        if self._parent is not None:
            done = ErrandDone(taking.guid, reached, rates, saturated)
            effects.append(Send(self._parent, done))
        if taking.peer in self._links:
            effects += [Send(taking.peer, Trial(0, taking.guid))]
            effects += [LetGo(taking.peer, Door.BULK, TESTED)]
        return effects

    # --- being tested -----------------------------------------------------------------------

    def _on_test(self, peer: NodeId, test: Trial, now: float) -> list[Effect]:
        is_ours = self._open is not None and self._open[0] == test.guid and now < self._open[1]
        if not test.length or not is_ours or len(self._giving) >= TAKERS_MAX:
            self._stop_giving(peer)
            return []
        self._new_day(now)
        if not self._giving:
            self._window = Window(now)
        given = min((each.given for each in self._giving.values()), default=0)
        self._giving[peer] = _Giving(min(test.length, self._config.test_bytes), given)
        return self._pump(now)

    def _pump(self, now: float) -> list[Effect]:
        """Give what the window and the cap take, next to who was given least: the reports of those
        who were given most count for nothing (`superpeer.vitals.estimates`)."""
        effects: list[Effect] = []
        while self._giving and not self._window.is_full:
            peer = self._next()
            if peer is None:
                break
            giving = self._giving[peer]
            length = min(max(SMALL_BLOCK, giving.left // GRAIN), BLOCK, giving.owed)
            if self._given_today >= self._config.test_bytes_day or not length:
                self._stop_giving(peer)
                continue
            if not self._gate.may_pass(length, now):
                break
            giving.owed -= length
            giving.given += length
            self._given_today += length
            self._window.give(peer, length, now)
            effects.append(Send(peer, TrialData(giving.owed), self._block[:length]))
        return effects

    def _next(self) -> NodeId | None:
        """Whose turn it is. Nobody is a quarter ahead of the slowest that count, so that flows
        which lose a packet on a full uplink catch up while the others wait; as many as may lie may
        be slow and hold nobody."""
        given = sorted(each.given for each in self._giving.values())
        slow = int(self._config.liars_share * len(given))
        slowest = given[min(slow, len(given) - 1)]
        most = slowest + slowest // 4 + 2 * SMALL_BLOCK
        share = max(2 * SMALL_BLOCK, self._window.share(len(given)))
        ready = (
            peer
            for peer, each in self._giving.items()
            if each.given < most and self._window.of(peer) < share
        )
        return min(ready, key=lambda peer: self._giving[peer].given, default=None)

    def _stop_giving(self, peer: NodeId) -> None:
        self._giving.pop(peer, None)
        self._window.forget(peer)
        if not self._giving:
            self._gate.leave()

    def _sent(self, event: Sent, now: float) -> list[Effect]:
        giving = self._giving.get(event.peer)
        if giving is None:
            return []
        giving.left += event.length
        self._window.left(event.peer, event.length, now)
        return self._pump(now)

    # --- links, parent, time ----------------------------------------------------------------

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._links[event.peer] = None
        taking = self._taking
        if taking is None or taking.peer != event.peer or taking.taken:
            return []
        return [self._ask(taking)]

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._links.pop(event.peer, None)
        self._stop_giving(event.peer)
        if self._taking is None or self._taking.peer != event.peer:
            return []
        return self._end_taking(reached=self._taking.taken > 0)

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        """Who sent us is told nothing more, but whom we test need not go on giving."""
        self._parent = self._open = None
        return self._end_taking(reached=False)

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        due = set(self._deadlines.pop_due(now))
        if "counted" in due:  # what came before it no witness counts
            for each in self._giving.values():
                each.given = 0
        if "taking" in due and self._taking is not None:
            effects += self._end_taking(reached=self._taking.taken > 0)
        return [*effects, *self._pump(now)] if self._gate.opened(now) else effects

    def _new_day(self, now: float) -> None:
        if now >= self._today_ends:
            self._today_ends = now + DAY_S
            self._given_today = self._taken_today = 0

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        Sent: _sent,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Joined: _joined,
        Orphaned: _orphaned,
        Woke: _woke,
    }


def _seen(taking: _Taking, *, saturated: bool) -> tuple[int, ...]:
    """What came in each second. A fast leaf has given all that a witness may take before the first
    second that counts, or soon after: then it is what came in all, spread over the whole time, for
    all witnesses the same; so much it can send at least."""
    if not taking.taken:
        return ()
    seconds = len(taking.counts)
    mean = int(taking.taken / (LEAD_S + seconds))
    if saturated and mean * seconds > sum(taking.counts):
        return (mean,) * seconds
    return tuple(taking.counts)
