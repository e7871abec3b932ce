"""How many questions a leaf may have open: its credit, the more the fewer leaves ask.

All credits together are about what we answer in a quarter of a second, so a question waits no
longer because many ask. A leaf hears its credit with its welcome, and of each change; one that
shrinks is held against a leaf only after it must have heard of it.
"""

from collections.abc import Mapping
from typing import Final

from common.core import Effect, Send
from common.ids import NodeId
from common.messages import cluster as messages

OPEN_TOTAL: Final = 8_192  # questions of all leaves: 0.25 s at 32,000 searches a second
CREDIT_MIN: Final = 4  # so that round trips hide behind one another
SLACK: Final = 16  # questions beyond a credit that are forgiven; wild guess
HEARD_S: Final = 5.0  # after this everybody has heard: twice the silence that a link survives
CHANGE_S: Final = 5.0  # between two changes for the better, so that it does not flap


class Credit:
    """The credit of each leaf, `most` while there are few."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._askers = 0
        self._before = most  # the most that was granted before
        self._until = 0.0  # and how long it still counts
        self._changed_at = 0.0
        self.value = most

    def look(self, leaves: Mapping[NodeId, object], now: float) -> list[Effect]:
        """Tell all if another credit is right for so many; to be asked after each event."""
        askers = len(leaves)
        if askers == self._askers:
            return []
        fit = max(CREDIT_MIN, OPEN_TOTAL // max(askers, 1))
        fit = min(self._most, 1 << fit.bit_length() - 1)  # in powers of two: few changes
        if fit > self.value and now < self._changed_at + CHANGE_S:
            return []
        self._askers = askers
        if fit == self.value:
            return []
        if fit < self.value:
            self._before = max(self.value, self._before if now < self._until else 0)
            self._until = now + HEARD_S
        self.value, self._changed_at = fit, now
        return [Send(leaf, messages.Credit(fit)) for leaf in leaves]

    def limit(self, now: float) -> int:
        """Whoever has more open than this ignores its credit."""
        return SLACK + max(self.value, self._before if now < self._until else 0)
