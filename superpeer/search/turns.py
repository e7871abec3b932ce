"""Whose turn it is: a queue for each asker, served a few questions each in turn.

So whoever asks much waits for itself, and nobody else does; and what one is answered in a row
leaves as one frame, which costs as much as a search. Within a queue the oldest comes first;
where the oldest has waited `late_s` we are behind, and the newest comes first: it can still be
answered in time, and the old ones hardly (a stack under overload). Each question says how long its
asker waits; beyond that it comes out `given up`, to be told so. Memory is bounded by the credit of
those who ask. What a question is and costs is not known here.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from common.deadlines import Deadlines
from common.ids import NodeId

IN_A_ROW: Final = 16  # answers in half a millisecond, and in one frame

Question = TypeVar("Question")


class Waiting(msgspec.Struct, Generic[Question], frozen=True, gc=False):
    """One question that waits since `since`, at most until `until`."""

    asker: NodeId
    question: Question
    since: float
    until: float


class Turns(Generic[Question]):
    """The questions that wait; an asker without any has no queue."""

    def __init__(self, late_s: float) -> None:
        self._late_s = late_s
        self._queues = OrderedDict[NodeId, deque[Waiting[Question]]]()  # whose turn is next: first
        self._held: dict[NodeId, deque[Waiting[Question]]] = {}  # who must pause
        self._pauses = Deadlines()
        self._row: tuple[NodeId, int] = (b"", 0)  # whose turn it was last, and how many it had

    def __len__(self) -> int:
        return sum(map(len, [*self._queues.values(), *self._held.values()]))

    @property
    def ready(self) -> bool:
        """Whether somebody has a turn now."""
        return bool(self._queues)

    def count(self, asker: NodeId) -> int:
        """How many questions of one asker wait."""
        return len(self._queues.get(asker) or self._held.get(asker) or ())

    def add(self, waiting: Waiting[Question]) -> None:
        """It waits behind those of the same asker."""
        queue = self._held.get(waiting.asker)
        if queue is None:
            queue = self._queues.setdefault(waiting.asker, deque())
        queue.append(waiting)

    def next(self, now: float) -> Waiting[Question] | None:
        """The question whose turn it is."""
        if not self._queues:
            return None
        asker = next(iter(self._queues))
        queue = self._queues[asker]
        oldest = queue[0]
        is_late = now - oldest.since >= self._late_s and now < oldest.until
        taken = queue.pop() if is_late else queue.popleft()
        served = 1 + (self._row[1] if self._row[0] == asker else 0)
        self._row = asker, served
        if not queue:
            self._forget(asker)
        elif served == IN_A_ROW:
            self._row = b"", 0
            self._queues.move_to_end(asker)  # behind all others
        return taken

    def hold(self, waiting: Waiting[Question], until: float) -> None:
        """It was not served, and its asker has no turn before `until`."""
        queue = self._queues.pop(waiting.asker, None) or deque()
        queue.appendleft(waiting)
        self._held[waiting.asker] = queue
        self._pauses.set(waiting.asker, until)

    def release(self, now: float) -> None:
        """Who has paused long enough has turns again."""
        for asker in list(self._pauses.pop_due(now)):
            if isinstance(asker, bytes):
                self._queues[asker] = self._held.pop(asker)

    def wakeup(self) -> float | None:
        """When the next pause ends."""
        return self._pauses.earliest()

    def take_back(self, asker: NodeId, is_it: Callable[[Question], bool]) -> bool:
        """The asker wants no answer to this any more; whether it waited."""
        for queues in (self._queues, self._held):
            queue = queues.get(asker, deque())
            for waiting in queue:
                if is_it(waiting.question):
                    queue.remove(waiting)
                    if not queue:
                        self._forget(asker)
                    return True
        return False

    def leave(self, asker: NodeId) -> None:
        """The asker is gone, and all that it still had to ask."""
        self._forget(asker)

    def _forget(self, asker: NodeId) -> None:
        self._queues.pop(asker, None)
        self._held.pop(asker, None)
        self._pauses.cancel(asker)
        if self._row[0] == asker:
            self._row = b"", 0
