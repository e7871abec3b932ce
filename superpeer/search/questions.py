"""The way in for questions: searches and locates of leaves, queries of neighbours.

Answering costs a thousand times what asking does. So each asker has credit, how many of its
questions may be open; within it a question is never refused, it waits: for its turn
(`superpeer.search.turns`) and for its asker's pace. Who goes beyond its credit by more than a slack
has not heard of it or does not care, and is hung up. Only so many questions are answered in one
turn of the loop, so that everything else a node does (echoes, joins, publishing, digests) comes
between them; and where more than a few come at once they wait for the end of the turn, so that the
answers of one asker share a frame. What waited longer than its asker waits is told so. How a
question is answered is the business of `superpeer.search.search` and `superpeer.flood.flood`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from common.core import Effect, Hangup
from common.doors import Door
from common.ids import Guid, NodeId
from common.messages.cluster import Locate, Search
from common.messages.overlay import Query
from superpeer.search.turns import Turns, Waiting

WORK_PER_TURN: Final = 128  # questions and messages of answers: 3 to 5 ms, then others have theirs
AT_ONCE_MAX: Final = 8  # questions of a turn that are answered as they come; wild guess
PAUSE_MIN_S: Final = 0.001  # a shorter one would not be later than now, in floating point
TURN_S: Final = 0.005  # without a turn of the loop in between, as many again after this

Question: TypeAlias = Search | Locate | Query


class Desk(NamedTuple):
    """How one kind of asker is served.

    `waits_s` is how long one waits for an answer, `open` how many of its questions are being
    answered, `limit` above how many open ones it ignores its credit; `pause_s` is how long it must
    pause before this one, 0.0 if not at all; `answer` does it, and `give_up` tells that it came too
    late.
    """

    waits_s: float
    limit: Callable[[float], int]
    open: Callable[[NodeId], int]
    pause_s: Callable[[NodeId, float], float]
    answer: Callable[[NodeId, Any, float], list[Effect]]
    give_up: Callable[[NodeId, Any, float], list[Effect]]


class Questions:
    """The questions that wait at each desk, by message."""

    def __init__(self, desks: Mapping[type[Question], Desk], late_s: float) -> None:
        self._desks = desks
        self._turns: Turns[Question] = Turns(late_s)
        self._left = WORK_PER_TURN
        self._at_once = AT_ONCE_MAX
        self._turn_ends = 0.0
        self._woken_at: float | None = None  # when more may be answered
        self._waited_s = 0.0
        self.dropped: Counter[str] = Counter()

    def waited_s(self) -> float:
        """The longest that one of them had to wait for its turn since this was asked last."""
        waited_s, self._waited_s = self._waited_s, 0.0
        return waited_s

    def __len__(self) -> int:
        return len(self._turns)

    def on_question(self, peer: NodeId, question: Question, now: float) -> list[Effect]:
        """Answer it, or let it wait; hang up on who ignores its credit."""
        desk = self._desks[type(question)]
        if now >= self._turn_ends:
            self._begin_turn(now)
        waiting = self._turns.count(peer)
        if waiting + desk.open(peer) >= desk.limit(now):
            self.dropped["credit_ignored"] += 1
            return [Hangup(peer, Door.CONTROL, "it asks for more than its credit allows")]
        may_go = self._at_once > 0 and not waiting and not self._turns.ready
        if may_go and not desk.pause_s(peer, now):
            self._at_once -= 1
            return self._answer(desk, peer, question, now)
        self._turns.add(Waiting(peer, question, now, now + desk.waits_s))
        if self._woken_at is None:
            self._woken_at = now
        return []

    def take_back(self, peer: NodeId, guid: Guid) -> bool:
        """Its asker wants no answer to this question any more; whether it still waited."""
        return self._turns.take_back(peer, lambda question: question.guid == guid)

    def peer_lost(self, peer: NodeId) -> None:
        """What it asked nobody waits for."""
        self._turns.leave(peer)

    def due(self, now: float) -> list[Effect]:
        """Answer as many as are one turn's work."""
        if self._turns.wakeup() is not None:
            self._turns.release(now)
        self._begin_turn(now)
        effects: list[Effect] = []
        while self._left > 0 and (waiting := self._turns.next(now)) is not None:
            effects += self._serve(waiting, now)
        self._woken_at = now if self._turns.ready else None
        return effects

    def wakeup(self) -> float | None:
        """Now, while somebody has a turn; else when somebody's pause is over."""
        return self._woken_at if self._woken_at is not None else self._turns.wakeup()

    def _serve(self, waiting: Waiting[Question], now: float) -> list[Effect]:
        desk = self._desks[type(waiting.question)]
        self._waited_s = max(self._waited_s, now - waiting.since)
        if now >= waiting.until:
            self._left -= 1
            self.dropped["question_too_late"] += 1
            return desk.give_up(waiting.asker, waiting.question, now)
        pause_s = desk.pause_s(waiting.asker, now)
        if pause_s:
            self._turns.hold(waiting, now + max(pause_s, PAUSE_MIN_S))
            return []
        return self._answer(desk, waiting.asker, waiting.question, now)

    def _answer(self, desk: Desk, asker: NodeId, question: Question, now: float) -> list[Effect]:
        effects = desk.answer(asker, question, now)
        self._left -= 1 + len(effects)
        return effects

    def _begin_turn(self, now: float) -> None:
        self._left, self._at_once = WORK_PER_TURN, AT_ONCE_MAX
        self._turn_ends = now + TURN_S
