"""How often an address that others named may be looked at: nobody can aim our dials at a victim.

A target is a host in public scope, and a host with its port elsewhere, where one host is many
nodes. One that never proved to be of our network is dialled at most once in `target_s`, whoever
names it under whatever key; one that did only waits for `again_s`. All together are a few a second.
What a budget does not allow is not dialled later by itself: somebody has to want it again (THREATS
T3: 1,000 peers that are told of a victim 10,000 times connect to it once an hour each).
"""

from typing import Final

from common.addresses import Address, Scope
from common.rates import Bucket

TARGETS_MAX: Final = 10_000  # remembered: 2 a second for an hour, and then some

_Target = tuple[bytes, int]


class DialBudget:
    """The dials of one node to what it knows by hearsay only."""

    def __init__(self, *, per_s: float, burst: int, target_s: float, again_s: float) -> None:
        self._target_s = target_s
        self._again_s = again_s
        self._credit = Bucket(per_s, burst, 0.0)
        self._dialled: dict[_Target, float] = {}  # when, oldest first
        self._spent_at = float("-inf")

    def __len__(self) -> int:
        return len(self._dialled)

    def is_spent(self, now: float) -> bool:
        """Whether somebody was refused just now because there were too many before."""
        return self._spent_at == now

    def allows(self, address: Address, now: float, *, proven: bool = False) -> bool:
        """Whether enough time has passed since it was dialled; `proven`: one of our network was
        met at this very address."""
        pause_s = self._again_s if proven else self._target_s
        return now >= self._dialled.get(target(address), float("-inf")) + pause_s

    def take(self, address: Address, now: float, *, proven: bool = False) -> bool:
        """Whether it may be dialled now; that it is, is noted."""
        self._forget(now)
        if not self.allows(address, now, proven=proven) or len(self._dialled) >= TARGETS_MAX:
            return False
        if not self._credit.take(now):
            self._spent_at = now
            return False
        self._dialled.pop(target(address), None)
        self._dialled[target(address)] = now
        return True

    def _forget(self, now: float) -> None:
        """What lies too far back to matter."""
        longest_s = max(self._target_s, self._again_s)
        while self._dialled:
            oldest = next(iter(self._dialled))
            if now < self._dialled[oldest] + longest_s:
                return
            del self._dialled[oldest]


def target(address: Address) -> _Target:
    """Who would suffer: the host in public scope, elsewhere this one door of it."""
    return address.ip, 0 if address.scope is Scope.PUBLIC else address.port
