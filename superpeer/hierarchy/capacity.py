"""How many leaves this super-peer should have: what it was told to aim at, and what it learned.

The aim is a setting, cut to a share of the most that it takes. Where questions of leaves had to
wait in the meantime, so many leaves were too many: the aim goes below them at once, and comes back
in small steps while nothing waits.
"""

from typing import Final

from common.config import PromotionConfig

BACK_OFF: Final = 0.85  # of the leaves that were too many; wild guess
RECOVER: Final = 1.05  # at a time; wild guess
OVERLOADED: Final = 4  # times in a row that questions waited: two minutes; wild guess
NEARLY: Final = 0.8  # who has fewer of its aim learns nothing from a quiet time


class Capacity:
    """The target of one super-peer, in leaves."""

    def __init__(self, config: PromotionConfig, leaves_max: int) -> None:
        self._config = config
        share = config.target_share * leaves_max
        self.most = max(1.0, min(float(config.leaves_target), share))
        self.target = self.most
        self._learn_at = 0.0
        self.waited_s = 0.0  # the longest since we learned last
        self._busy_times = 0  # in a row

    def is_overloaded(self, leaves: int) -> bool:
        """Whether questions wait all the time although leaves are no more than we should have."""
        return self._busy_times >= OVERLOADED and leaves <= self.most

    def look(self, leaves: int, waited_s: float, now: float) -> None:
        """Take in how long questions waited since the last look."""
        self.waited_s = max(self.waited_s, waited_s)
        if now < self._learn_at:
            return
        self._learn_at = now + self._config.learn_s
        least = min(float(self._config.leaves_min), self.most)
        self._busy_times = self._busy_times + 1 if self.waited_s > self._config.busy_s else 0
        if self.waited_s > self._config.busy_s:
            self.target = max(least, min(self.target, leaves * BACK_OFF))
        elif leaves >= NEARLY * self.target:
            self.target = min(self.most, self.target * RECOVER)
        self.waited_s = 0.0
