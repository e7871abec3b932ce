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
from leaf.signals import Joined, Orphaned
from leaf.uploads.budget import Budget

BLOCK: Final = 16 * 1024  # of test data in one message at most
SMALL_BLOCK: Final = 2 * 1024  # ... at least
SLOW_SHARE: Final = 0.3  # of the witnesses, which may be slow and hold nobody: as many as may lie
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


class Trials:
    """Tests of us and by us. `cap` is that of our uplink."""

    __slots__ = (
        *(
            "_block",
            "_budget",
            "_config",
            "_deadlines",
            "_gate",
            "_given",
            "_left",
            "_out",
            "_given_today",
            "_giving",
        ),
        *("_links", "_me", "_now", "_open", "_parent", "_parent_address", "_taken_today"),
        *("_taking", "_today_ends"),
    )

    def __init__(self, me: NodeId, config: VitalsConfig, cap: Cap, rng: Random) -> None:
        self._me, self._config = me, config
        self._gate = Gate(cap)
        self._block = rng.randbytes(BLOCK)
        self._budget = Budget()
        self._links: dict[NodeId, None] = {}  # bulk links that are up, whoever made them
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._open: tuple[Guid, float] | None = None  # the test of us, and until when
        self._giving: dict[NodeId, int] = {}  # bytes still to give to each witness
        self._out: dict[NodeId, int] = {}  # of that, what has not left yet
        self._left: dict[NodeId, int] = {}  # ... and what has
        self._given: dict[NodeId, int] = {}  # what it was given, for whose turn it is
        self._taking: _Taking | None = None
        self._given_today = self._taken_today = 0
        self._today_ends = 0.0
        self._now = 0.0
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        self._now = now
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
        self._giving[peer] = min(test.length, self._config.test_bytes)
        self._given[peer] = min(self._given.values(), default=0)
        return self._pump(now)

    def _pump(self, now: float) -> list[Effect]:
        """Give what the links and the cap take, next to who was given least: the reports of those
        who were given most count for nothing (`superpeer.vitals.estimates`), and what lies in the
        links beyond what soon leaves is shared among them by lot."""
        effects: list[Effect] = []
        while self._giving and not self._budget.is_spent(now):
            most = self._even()
            ready = [
                peer
                for peer in self._giving
                if self._given[peer] < most and self._has_room(peer, now)
            ]
            if not ready:
                break
            peer = min(ready, key=self._given.__getitem__)
            block = min(max(SMALL_BLOCK, self._given[peer] // GRAIN), BLOCK)
            length = min(block, self._giving[peer])
            if self._given_today >= self._config.test_bytes_day or not length:
                self._stop_giving(peer)
                continue
            if not self._gate.may_pass(length, now):
                break
            self._giving[peer] -= length
            self._given[peer] += length
            self._out[peer] = self._out.get(peer, 0) + length
            self._given_today += length
            self._budget.take(peer, length, now)
            effects.append(Send(peer, TrialData(self._giving[peer]), self._block[:length]))
        return effects

    def _even(self) -> int:
        """What a witness may have been given: a quarter more than the slowest that count, so that
        flows which lose a packet on a full uplink catch up while the others wait."""
        given = sorted(self._given[peer] for peer in self._giving)
        slowest = given[int(SLOW_SHARE * len(given))]
        return slowest + slowest // 4 + 2 * SMALL_BLOCK

    def _has_room(self, peer: NodeId, now: float) -> bool:
        """Whether it may be given more: one whose link stands still, as it may on a full uplink,
        must not hold what the others could have."""
        taken, left = self._out.get(peer, 0), self._left.get(peer, 0)
        return taken < 4 * SMALL_BLOCK + left // 4 and self._budget.has_room(peer, now)

    def _stop_giving(self, peer: NodeId) -> None:
        self._giving.pop(peer, None)
        for counts in (self._given, self._out, self._left):
            counts.pop(peer, None)
        self._budget.forget(peer)
        if not self._giving:
            self._gate.leave()

    def _sent(self, event: Sent, now: float) -> list[Effect]:
        if event.peer not in self._giving:
            return []
        self._budget.left(event.peer, event.length, now)
        self._out[event.peer] = max(0, self._out.get(event.peer, 0) - event.length)
        self._left[event.peer] = self._left.get(event.peer, 0) + event.length
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
        if self._deadlines.pop_due(now) and self._taking is not None:
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
