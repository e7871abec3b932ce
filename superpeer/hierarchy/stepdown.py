"""Ceasing to be a super-peer: only a promoted node does, and nothing is lost by it.

    IDLE --not needed for long, the lot falls on us--> ASKING --enough neighbours agree--> EMPTYING
    ASKING --a better one is to come--> YIELDING --it is our neighbour--> EMPTYING
    EMPTYING --no leaf is left, or it takes too long--> PARTING --no neighbour is left--> Demote

Of two that ask at the same time the lower lot goes first; who has agreed to one agrees to no other
for a while, so one goes at a time in any neighbourhood. A neighbour that refuses for ever holds
nobody: a share of them may. While it empties everything is answered as before; while it parts
nothing new comes, and what is under way ends.
"""

import enum
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from common.config import PromotionConfig
from common.core import Demote, Effect, LetGo, Notify, Send
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from common.messages.fields import Contact
from common.messages.hierarchy import Outdone, Reserve, Reserved, Yielded
from superpeer.hierarchy.drift import Drift, leave_chance, shares
from superpeer.hierarchy.moves import Moves
from superpeer.overlay.neighbour import Neighbour, staying

LOT_BITS: Final = 48
REST_TIMES: Final = 10.0  # times the word that was not used: so long it is given to others
BEST_TIMES: Final = 2.0  # so much longer who is better than all near waits; wild guess
STEPPED_DOWN: Final = "it is no super-peer any more"
_ASKED: Final = "asked"
_EMPTY: Final = "empty"
_PART: Final = "part"
_YIELD: Final = "yield"


class _Successor(NamedTuple):
    by: NodeId  # whose leaf it is
    leaf: NodeId


class Phase(enum.Enum):
    """How far it is."""

    IDLE = "idle"
    ASKING = "asking"
    YIELDING = "yielding"
    EMPTYING = "emptying"
    PARTING = "parting"


class StepDown:
    """Of one super-peer. `leaves` and `neighbours` are read as they are at the moment; `close` has
    no leaf and no copy taken in any more, `leave` parts from all neighbours in peace, `want` makes
    one."""

    def __init__(
        self,
        me: NodeId,
        config: PromotionConfig,
        rng: Random,
        *,
        leaves: Mapping[NodeId, Contact],
        neighbours: Mapping[NodeId, Neighbour],
        moves: Moves,
        leaves_max: int,
        close: Callable[[float], list[Effect]],
        leave: Callable[[float], list[Effect]],
        want: Callable[[Contact, float], list[Effect]] = lambda _contact, _now: [],
    ) -> None:
        self._me, self._config, self._rng = me, config, rng
        self._leaves, self._neighbours, self._moves = leaves, neighbours, moves
        self._leaves_max, self._close, self._leave = leaves_max, close, leave
        self._want = want
        self._successor: _Successor | None = None  # who is to take our place
        self._pressed_since: float | None = None
        self.promoted_at: float | None = None  # None: we were started as a super-peer, and stay
        self._phase = Phase.IDLE
        self._idle_since: float | None = None
        self._lot = 0
        self._granted: dict[NodeId, bool] = {}
        self._agreed: tuple[NodeId, float, int] | None = None  # whom, until when, and its lot
        self.demotions = 0  # neighbours that went, we agreeing
        self._deadlines = Deadlines()

    @property
    def is_under_way(self) -> bool:
        """Whether we are about to go."""
        return self._phase is not Phase.IDLE

    @property
    def phase(self) -> Phase:
        """How far it is."""
        return self._phase

    def may(self, now: float) -> bool:
        """Whether we could if we are none to be one: promoted, and long enough ago."""
        return self.promoted_at is not None and now >= self.promoted_at + self._config.flip_s

    def patience_s(self, better_than: float, now: float) -> float | None:
        """How long we are one too many before we go: three times as long if we are better than all
        near, so that the worst goes first, and longer if we were promoted a short time ago. But
        not for ever: where exchanges brought all of us, all are young, and half of the load may be
        gone. None: we were started as a super-peer, and stay."""
        if self.promoted_at is None:
            return None
        config = self._config
        left_s = max(0.0, self.promoted_at + config.flip_s - now)
        return config.idle_s * (1.0 + BEST_TIMES * better_than) + config.young_share * left_s

    # --- deciding ---------------------------------------------------------------------------

    def look(self, seen: Drift, better_than: float, now: float) -> list[Effect]:
        """Ask the neighbours, if we are not needed for long and the lot falls on us. `better_than`:
        of which share of them we are the better super-peer."""
        chance, patience_s = leave_chance(seen, self._config), self.patience_s(better_than, now)
        if not chance or patience_s is None:
            self._idle_since = None
            return []
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since < patience_s or self._is_taken(now):
            return []
        return self._ask(now) if self._rng.random() < chance else []

    def pressed(self, why: str, now: float) -> list[Effect]:
        """We are none to be a super-peer, or '': go after a while, if others have room."""
        if not why or not self.may(now):
            self._pressed_since = None
            return []
        if self._pressed_since is None:
            self._pressed_since = now
        waited = now - self._pressed_since >= self._config.idle_s
        if not waited or self._phase is not Phase.IDLE or self._is_taken(now):
            return []
        beside = staying(self._neighbours).values()
        if sum(max(0, self._leaves_max - each.leaves) for each in beside) < len(self._leaves):
            return []
        self._pressed_since = now  # if they refuse
        return [Notify("unfit", {"reason": why}), *self._ask(now)]

    # --- giving way to a better one ---------------------------------------------------------

    def on_outdone(self, peer: NodeId, message: Outdone, now: float) -> list[Effect]:
        """A neighbour has a better one, or that one has come. It can lie; but who is to take our
        place must be our neighbour before we go, and the others must agree."""
        if peer not in self._neighbours:
            return []
        successor, leaf = _Successor(peer, message.leaf.node), message.leaf.node
        if message.is_there:
            is_ours = self._phase is Phase.YIELDING and self._successor == successor
            return [*self._want(message.leaf, now), *self.settle(now)] if is_ours else []
        since = self.promoted_at
        may = since is not None and now >= since + self._config.swap_s
        free = self._phase is Phase.IDLE and not self._is_taken(now)
        if not may or not free or leaf in (self._me, peer) or leaf in self._neighbours:
            return [Send(peer, Yielded(leaf, False))]
        self._successor = successor
        return self._ask(now)

    def _answer(self, yields: bool) -> list[Effect]:
        """Tell whoever asked us to go whether we do."""
        successor = self._successor
        if not yields:
            self._successor = None
        return [] if successor is None else [Send(successor.by, Yielded(successor.leaf, yields))]

    def _ask(self, now: float) -> list[Effect]:
        self._phase, self._lot = Phase.ASKING, self._rng.getrandbits(LOT_BITS)
        self._granted = {}
        self._deadlines.set(_ASKED, now + self._config.reserve_s)
        return [Send(peer, Reserve(self._lot)) for peer in staying(self._neighbours)]

    def on_reserve(self, peer: NodeId, message: Reserve, now: float) -> list[Effect]:
        """A neighbour wants to go."""
        if peer not in self._neighbours:
            return []
        before_us = self._phase is Phase.ASKING and (message.lot, peer) < (self._lot, self._me)
        is_free = self._phase is Phase.IDLE or before_us
        granted = is_free and not self._is_taken(now, but=peer)
        effects: list[Effect] = [Send(peer, Reserved(message.lot, granted))]
        if granted:
            until = now + self._config.reserved_s
            if self._agreed is not None and self._agreed[0] == peer:
                until = self._agreed[1]  # who asks again has no more time
            self._agreed = (peer, until, message.lot)
            if before_us:
                effects += self._give_up()
        return effects

    def on_reserved(self, peer: NodeId, message: Reserved, now: float) -> list[Effect]:
        """A neighbour agrees, or does not; or it gives back our word, as it does not go."""
        agreed = self._agreed
        if agreed is not None and (agreed[0], agreed[2]) == (peer, message.lot):
            self._agreed = (peer, min(now, agreed[1]), message.lot)  # for others: it had its turn
            return []
        if self._phase is Phase.IDLE and message.granted:  # it came too late
            return [Send(peer, Reserved(message.lot, False))]
        if self._phase is not Phase.ASKING or message.lot != self._lot:
            return []
        if peer in self._neighbours:
            self._granted[peer] = message.granted
        if len(self._granted) < len(staying(self._neighbours)):
            return []
        return self._counted(now)

    def _counted(self, now: float) -> list[Effect]:
        """All have answered, or the time is over: silence is no refusal, the dead are silent."""
        refused = sum(not each for each in self._granted.values())
        agreed = sum(self._granted.values())
        refusals_max = max(1.0, self._config.refusals_share * len(self._neighbours))
        if not agreed or refused > refusals_max:
            return self._give_up()
        self._deadlines.cancel(_ASKED)
        if self._successor is None:
            return self._empty(now)
        self._phase = Phase.YIELDING
        self._deadlines.set(_YIELD, now + self._config.reserved_s)
        return self._answer(yields=True)

    def _give_up(self) -> list[Effect]:
        """We stay for now. How long we were one too many stands: who agreed has given us its word
        for a while, and gives it no second time for long."""
        asked, self._phase = self._phase is Phase.ASKING, Phase.IDLE
        self._deadlines.cancel(_ASKED)
        agreed = [peer for peer, each in self._granted.items() if each and peer in self._neighbours]
        effects: list[Effect] = [Send(peer, Reserved(self._lot, False)) for peer in agreed]
        self._granted = {}
        if asked:
            return [*effects, *self._answer(yields=False)]
        self._successor = None
        return effects

    def _is_taken(self, now: float, but: NodeId = b"") -> bool:
        """Whether another has our word. Who did not go within its time has no other for long, so
        that nobody keeps all others from going."""
        agreed, reserved_s = self._agreed, self._config.reserved_s
        if agreed is not None and now >= agreed[1] + REST_TIMES * reserved_s:
            agreed = self._agreed = None
        if agreed is None:
            return False
        return now < agreed[1] if agreed[0] != but else now >= agreed[1]

    # --- going ------------------------------------------------------------------------------

    def _empty(self, now: float) -> list[Effect]:
        """Send all leaves to the neighbours, in proportion to the room they have."""
        self._phase, self._successor = Phase.EMPTYING, None
        self._deadlines.cancel(_YIELD)
        closed = self._close(now)
        self._moves.cancel()
        self._deadlines.set(_EMPTY, now + self._config.drain_s)
        told = Notify("stepping_down", {"leaves": len(self._leaves)})
        return [told, *closed, *self._send_off(now), *self.settle(now)]

    def _send_off(self, now: float) -> list[Effect]:
        beside = list(staying(self._neighbours).items())
        rooms = [max(0.0, float(self._leaves_max - each.leaves)) for _, each in beside]
        leaves = [leaf for leaf in self._leaves if leaf != self._me]
        self._rng.shuffle(leaves)
        effects: list[Effect] = []
        with_room = [one for one, room in zip(beside, rooms, strict=True) if room > 0] or beside
        if with_room and self._me in self._leaves:  # the oldest link there is carries our own leaf
            peer, each = min(with_room, key=lambda one: (one[1].since, one[0]))
            effects += self._moves.tell(self._me, Contact(peer, each.address), now)
        for (peer, each), number in zip(beside, shares(len(leaves), rooms), strict=True):
            there, leaves = leaves[:number], leaves[number:]
            stays = [leaf for leaf in there if leaf == peer]  # it is a super-peer itself
            there = [leaf for leaf in there if leaf != peer]
            effects += self._moves.send(there, Contact(peer, each.address), now)
            for leaf in stays:
                effects += self._moves.tell(leaf, Contact(peer, each.address), now)
        return effects

    def settle(self, now: float) -> list[Effect]:
        """Something may be over: leaves have gone, or neighbours."""
        if self._agreed is not None and self._agreed[0] not in self._neighbours:
            self.demotions += now < self._agreed[1] + self._config.drain_s  # else it died later
            self._agreed = None
        successor = self._successor
        is_there = successor is not None and successor.leaf in staying(self._neighbours)
        if self._phase is Phase.YIELDING and is_there:
            return self._empty(now)
        if self._phase is Phase.EMPTYING and not self._leaves:
            return self._part(now)
        if self._phase is Phase.PARTING and not self._neighbours:
            return self._end()
        return []

    def _part(self, now: float) -> list[Effect]:
        self._phase = Phase.PARTING
        self._deadlines.cancel(_EMPTY)
        self._deadlines.set(_PART, now + self._config.drain_s)
        return [*self._leave(now), *self.settle(now)]

    def _end(self) -> list[Effect]:
        self._phase = Phase.IDLE
        self.promoted_at = None
        self._deadlines.cancel(_PART)
        left = [leaf for leaf in self._leaves if leaf != self._me]  # who would hang on nothing
        hung_up = [LetGo(leaf, Door.CONTROL, STEPPED_DOWN, refuses=True) for leaf in left]
        return [*hung_up, Notify("stepped_down"), Demote()]

    # --- time -------------------------------------------------------------------------------

    def due(self, now: float) -> list[Effect]:
        """What did not come in time."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if key == _ASKED:
                effects += self._counted(now)
            elif key == _YIELD:
                effects += self._give_up()
            elif key == _EMPTY:
                effects += self._part(now)
            elif key == _PART:
                effects += self._end()
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()
