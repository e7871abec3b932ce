"""How fast something goes, and how fast it may go.

`Rate` is bytes per second, forgetting what is long past: an exponentially weighted mean in three
numbers, so that it costs the same whether bytes come in ten pieces a second or in ten thousand. It
starts without bias: one megabyte in the first second is one megabyte a second. `Bucket` says
whether something may happen now. What becomes of what may not is its owner's business.
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


class Bucket:
    """A token bucket that starts full: `burst` at once, `rate_per_s` in the long run."""

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token, if there is one; `now` never goes back."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate_per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def spend(self, count: float) -> None:
        """Take so many more after a `take`: what is not there is taken from those to come."""
        self._tokens -= count

    @property
    def wait_s(self) -> float:
        """How long after the last `take` the next token is there."""
        return max(0.0, (1 - self._tokens) / self._rate_per_s)
