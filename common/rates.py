"""How fast something goes: bytes per second, forgetting what is long past.

An exponentially weighted mean in three numbers, so that a rate costs the same whether bytes come
in ten pieces a second or in ten thousand. It starts without bias: one megabyte in the first second
is one megabyte a second. Limiting a rate is not done here.
"""

import math
from typing import Final

MEMORY_S: Final = 3.0  # wild guess: steady enough to read, quick enough to believe


class Rate:
    """Bytes per second over the last few seconds."""

    def __init__(self, now: float, memory_s: float = MEMORY_S) -> None:
        self._memory_s = memory_s
        self._began = now
        self._at = now
        self._sum = 0.0  # of bytes, each weighted by its age

    def add(self, count: int, now: float) -> None:
        """Count `count` bytes at `now`, which never goes back."""
        self._sum = self._sum * self._weight(now - self._at) + count
        self._at = now

    def per_s(self, now: float) -> float:
        """Bytes per second at `now`; 0 before any time has passed."""
        seen = 1.0 - self._weight(now - self._began)
        if seen <= 0.0:
            return 0.0
        return self._sum * self._weight(now - self._at) / (self._memory_s * seen)

    def _weight(self, age_s: float) -> float:
        return math.exp(-age_s / self._memory_s)
