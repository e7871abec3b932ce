"""What lies between hosts: how long a byte takes, and whether it gets through at all.

A host's access link has a delay and a rate each way. Control messages share the rate without
waiting; bulk data waits for its turn (`deploy.sim.uplink`). A pair of hosts may be cut
in one direction or both, or clogged: what was sent meanwhile arrives when that is over, as over
TCP.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from deploy.sim.uplink import Uplink

LOCAL_S: Final = 0.00005  # between two hosts that have no delay of their own
TAIL_S: Final = 10.0  # the longest spike of a network in trouble: THREATS §3


class Access:
    """One host's link to the network; rates in bytes/s, 0 for no limit."""

    __slots__ = ("delay_s", "down_free", "down_rate", "up_rate", "uplink")

    def __init__(self, delay_s: float = 0.0, up_rate: float = 0.0, down_rate: float = 0.0) -> None:
        self.delay_s = delay_s
        self.up_rate, self.down_rate = up_rate, down_rate
        self.down_free = 0.0  # when all that is on its way here has come
        self.uplink: Uplink | None = None  # made when something has to wait

    def down_s(self, now: float, begins: float, size: int) -> float:
        """How much longer `size` bytes take than from `begins` to now, for the downlink's sake."""
        if not self.down_rate:
            return 0.0
        self.down_free = max(self.down_free, begins) + size / self.down_rate
        return max(self.down_free - now, 0.0)


class Paths:
    """The ways between hosts by number. `extra` is the delay of a link that has one of its own."""

    def __init__(self, rng: Random, extra: dict[tuple[int, int], float] | None = None) -> None:
        self.rng = rng
        self.jitter_s = 0.0  # mean; exponential
        self.spikes = 0.0  # the share of messages that are late by up to TAIL_S
        self._extra = extra or {}
        self._cut: dict[tuple[int, int], int] = {}  # how many cuts lie on a direction
        self.late_until = -1.0  # when the network was last in trouble
        self.healed: dict[tuple[int, int], float] = {}  # when a direction was last free again
        self.on_heal: Callable[[int, int], None] = lambda _a, _b: None

    def delay(self, a: int, b: int, here: Access, there: Access) -> float:
        """How long one byte takes now from `a` to `b`."""
        delay_s = LOCAL_S + here.delay_s + there.delay_s
        if self._extra:
            delay_s += self._extra.get((a, b) if a < b else (b, a), 0.0)
        if self.jitter_s:
            delay_s += self.rng.expovariate(1 / self.jitter_s)
        if self.spikes and self.rng.random() < self.spikes:
            delay_s += TAIL_S * self.rng.random() ** 4
        return delay_s

    # --- cuts -------------------------------------------------------------------------------

    def is_cut(self, a: int, b: int) -> bool:
        """Whether nothing gets from `a` to `b` now."""
        return bool(self._cut) and (a, b) in self._cut

    def cut(self, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Let nothing through in these directions; what to give to `heal`."""
        directions = list(pairs)
        for pair in directions:
            self._cut[pair] = self._cut.get(pair, 0) + 1
        return directions

    def heal(self, directions: Iterable[tuple[int, int]], now: float = 0.0) -> None:
        """Take these cuts away; what waited goes on where none is left."""
        for pair in directions:
            self._cut[pair] -= 1
            if not self._cut[pair]:
                del self._cut[pair]
                self.healed[pair] = now
                self.on_heal(*pair)
