"""The line for our slots over our own restarts: how long each has waited is stored now and then."""

from typing import Final

from common.core import Effect
from common.deadlines import Deadlines
from common.storage import RememberLine, Restored
from leaf.uploads.slots import Slots

_SAVE: Final = "save"


class RememberedLine:
    """When the line is stored, and that it is taken up again."""

    __slots__ = ("_save_s", "_slots", "deadlines")

    def __init__(self, slots: Slots, save_s: float) -> None:
        self._slots = slots
        self._save_s = save_s
        self.deadlines = Deadlines()
        """When to `save` without anything having happened."""

    def begin(self, now: float) -> None:
        """Some wait: before long that is stored."""
        if self.deadlines.get(_SAVE) is None:
            self.deadlines.set(_SAVE, now + self._save_s)

    def restore(self, event: Restored, now: float) -> None:
        """These waited in our last run."""
        self._slots.keep(event.line, now)
        self.begin(now)  # or they come back at each start

    def save(self, now: float, *, at_once: bool = False) -> list[Effect]:
        """Store it where it is time for that, or where the program ends with something to store."""
        waits = self.deadlines.get(_SAVE) is not None
        if not (waits and at_once) and not list(self.deadlines.pop_due(now)):
            return []
        self.deadlines.cancel(_SAVE)
        line = self._slots.waited(now)
        if line:
            self.begin(now)
        return [RememberLine(line)]
