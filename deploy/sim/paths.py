"""What lies between hosts: how long a byte takes, and whether it gets through at all.

A host's access link has a delay and a rate each way. Control messages share the rate without
waiting; bulk data queues, as many flows at one bottleneck do on average. A pair of hosts may be cut
in one direction or both, or clogged: what was sent meanwhile arrives when that is over, as over
TCP.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final, NamedTuple

LOCAL_S: Final = 0.00005  # between two hosts that have no delay of their own
TAIL_S: Final = 10.0  # the longest spike of a network in trouble: THREATS §3


class Access:
    """One host's link to the network; rates in bytes/s, 0 for no limit."""

    __slots__ = ("delay_s", "down_free", "down_rate", "up_free", "up_rate")

    def __init__(self, delay_s: float = 0.0, up_rate: float = 0.0, down_rate: float = 0.0) -> None:
        self.delay_s = delay_s
        self.up_rate, self.down_rate = up_rate, down_rate
        self.up_free = self.down_free = 0.0


class Transit(NamedTuple):
    """When something has left its sender, when its first byte arrives and when it is there."""

    left: float
    begins: float
    arrives: float


class Paths:
    """The ways between hosts by number. `extra` is the delay of a link that has one of its own."""

    def __init__(self, rng: Random, extra: dict[tuple[int, int], float] | None = None) -> None:
        self.rng = rng
        self.jitter_s = 0.0  # mean; exponential
        self.spikes = 0.0  # the share of messages that are late by up to TAIL_S
        self._extra = extra or {}
        self._cut: dict[tuple[int, int], int] = {}  # how many cuts lie on a direction
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

    def transit(
        self, now: float, delay_s: float, size: int, here: Access, there: Access, *, bulk: bool
    ) -> Transit:
        """When `size` bytes that are sent now have left and are there."""
        up_s = size / here.up_rate if here.up_rate else 0.0
        down_s = size / there.down_rate if there.down_rate else 0.0
        if not bulk:
            return Transit(now + up_s, now + delay_s, now + delay_s + up_s + down_s)
        begins = max(now, here.up_free)
        left = here.up_free = begins + up_s
        reached = max(begins + delay_s, there.down_free)
        arrives = there.down_free = max(left + delay_s, reached + down_s)
        return Transit(left, begins + delay_s, arrives)

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

    def heal(self, directions: Iterable[tuple[int, int]]) -> None:
        """Take these cuts away; what waited goes on where none is left."""
        for pair in directions:
            self._cut[pair] -= 1
            if not self._cut[pair]:
                del self._cut[pair]
                self.on_heal(*pair)
