"""What leaves next of all that waits to be sent: by turns, within the budget, under the cap.

Invariant: what passes here counts in all three until it has left or was given back, and there is a
place in the line before the cap only while something waits. What waits, requests or piece hashes,
and how long it is, `leaf.uploads.upload` knows.
"""

from collections.abc import Callable

from common.ids import NodeId
from leaf.links.caps import Cap, Gate
from leaf.uploads.budget import Budget
from leaf.uploads.turns import Turn, Turns


class Outlet:
    """The one way out for content."""

    __slots__ = ("_budget", "_gate", "_turns", "_weight")

    def __init__(self, cap: Cap, weight: Callable[[NodeId], float]) -> None:
        """`weight` tells how much of the uplink a leaf has beside others."""
        self._turns = Turns()
        self._budget = Budget()
        self._gate = Gate(cap)
        self._weight = weight

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def opens_at(self) -> float | None:
        """When the cap lets pass what waits, where it waits for that."""
        return self._gate.opens_at

    def opened(self, now: float) -> bool:
        """Whether that time has come; told once."""
        return self._gate.opened(now)

    def put(self, turn: Turn) -> None:
        """This waits from now on."""
        self._turns.put(turn)

    def waiting_of(self, peer: NodeId) -> int:
        """How much of this leaf waits."""
        return self._turns.waiting_of(peer)

    def cancel(self, turn: Turn) -> None:
        """This does not wait any more."""
        self._turns.cancel(turn)
        self._leave_if_empty()

    def forget(self, peer: NodeId) -> None:
        """Nothing of this leaf waits any more."""
        self._turns.forget(peer)
        self._leave_if_empty()

    def _leave_if_empty(self) -> None:
        if not self._turns:
            self._gate.leave()

    def next(self, length_of: Callable[[Turn], int], now: float) -> tuple[Turn, int] | None:
        """What passes now and how long it is, if anything does; it is on its way from then on.

        Where `length_of` says 0 it is not wanted any more.
        """
        while self._turns and not self._budget.is_spent(now) and not self._gate.is_shut(now):
            turn = self._turns.next(lambda peer: self._budget.has_room(peer, now))
            if turn is None:
                return None
            length, peer = length_of(turn), turn[0][0]
            if not length:
                self._leave_if_empty()
                continue
            if not self._gate.may_pass(length, now):
                self._turns.put_back(turn)
                return None
            self._budget.take(peer, length, now)
            self._turns.took(peer, length, self._weight(peer))
            return turn, length
        return None

    def give_back(self, peer: NodeId, length: int, passed_at: float) -> None:
        """So much for this leaf, which passed then, is not on its way after all."""
        self._budget.give_back(peer, length)
        self._gate.give_back(length, passed_at)

    @property
    def bytes_on_their_way(self) -> int:
        """Read, or being read, and not gone."""
        return self._budget.bytes_on_their_way

    def is_under_way(self, peer: NodeId) -> bool:
        """Whether something for this leaf has not left yet."""
        return self._budget.is_under_way(peer)

    def left(self, peer: NodeId, length: int, now: float) -> None:
        """So much has left."""
        self._budget.left(peer, length, now)

    def drop(self, peer: NodeId) -> None:
        """Its link is gone, and all that was meant for it."""
        self._budget.forget(peer)

    def stalled(self, for_s: float, now: float) -> list[NodeId]:
        """Those to whom nothing has left for so long, although something is on its way."""
        return self._budget.stalled(for_s, now)
