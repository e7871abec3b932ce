"""The credit of links between super-peers: who owes whom how many answers.

A neighbour has `QUERIES_OPEN_MAX` questions of ours (`Query`, `Extend`) to answer at most; what
is beyond waits here. Each `QueryDone` makes room for the next, the newest first: the tree of an old
one has less time left. Nothing waits longer than its tree lives. What we owe is counted, to be held
against who asks (`superpeer.search.questions`).
"""

from collections import Counter

from common.ids import Guid, NodeId
from common.limits import QUERIES_OPEN_MAX
from common.messages.overlay import Extend, Query

Question = Query | Extend


class _Lane:
    """What one neighbour was asked and has not answered, and what it will be asked."""

    __slots__ = ("open", "waiting")

    def __init__(self) -> None:
        self.open: dict[Guid, None] = {}
        self.waiting: dict[Guid, Question] = {}


class Lanes:
    """The neighbours that we ask something, and those that ask us."""

    def __init__(self) -> None:
        self._lanes: dict[NodeId, _Lane] = {}
        self._owed: Counter[NodeId] = Counter()  # answers of ours

    def owe(self, peer: NodeId) -> None:
        """It asked us something."""
        self._owed[peer] += 1

    def paid(self, peer: NodeId) -> None:
        """It has its answer, or nobody waits for it any more."""
        self._owed[peer] -= 1
        if not self._owed[peer]:
            del self._owed[peer]

    def owed(self, peer: NodeId) -> int:
        """How many answers it waits for."""
        return self._owed[peer]

    def may_ask(self, peer: NodeId, question: Question) -> bool:
        """Whether to send this now; else it waits, and comes out of `answered`."""
        lane = self._lanes.setdefault(peer, _Lane())
        if len(lane.open) < QUERIES_OPEN_MAX:
            lane.open[question.guid] = None
            return True
        lane.waiting[question.guid] = question
        return False

    def answered(self, peer: NodeId, guid: Guid) -> Question | None:
        """It answered, or need not any more: what to send it now. What it answers before it was
        asked does not wait on: it would come out when its tree is gone."""
        lane = self._lanes.get(peer)
        if lane is None:
            return None
        lane.open.pop(guid, None)
        lane.waiting.pop(guid, None)
        if lane.waiting and len(lane.open) < QUERIES_OPEN_MAX:
            newest, question = lane.waiting.popitem()
            lane.open[newest] = None
            return question
        if not lane.open:
            del self._lanes[peer]
        return None

    def take_back(self, peer: NodeId, guid: Guid) -> bool:
        """The question is not wanted any more: whether it had not been sent yet."""
        lane = self._lanes.get(peer)
        return lane is not None and lane.waiting.pop(guid, None) is not None

    def waiting(self, peer: NodeId) -> int:
        """How many questions for this neighbour wait."""
        lane = self._lanes.get(peer)
        return 0 if lane is None else len(lane.waiting)

    def leave(self, peer: NodeId) -> None:
        """The neighbour is gone."""
        self._lanes.pop(peer, None)
