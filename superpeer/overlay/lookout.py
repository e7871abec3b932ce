"""The steps of the ladder beyond the host cache: whom they name is tried as a neighbour.

The LAN is told of us and goes on telling us of others, so that two networks of one name on it
become one. Lists and the name service are asked only while we have no neighbour, ever more rarely.
All that they name is hearsay to `superpeer.overlay.joining`: a few dials, and no promise.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

from common.config import OverlayConfig
from common.core import Effect, Notify
from common.deadlines import Deadlines
from common.ladder import LAN, Announce, Found, Seek
from common.messages.fields import Contact
from superpeer.overlay.overlay import Overlay

ENDLESS_S: Final = float("inf")
_LISTS: Final = "lists"


class Lookout:
    """What `steps` name is given to `overlay`, whose neighbours tell whether we are alone."""

    def __init__(
        self, steps: Sequence[str], overlay: Overlay, config: OverlayConfig, rng: Random
    ) -> None:
        self._config = config
        self._rng = rng
        self._on_lan = LAN in steps
        self._lists = [step for step in steps if step != LAN]
        self._neighbours = overlay.neighbours
        self._cache = overlay.cache
        self._joining = overlay.joining
        self._pause_s = config.lists_s
        self._deadlines = Deadlines()
        self._problems: dict[str, str] = {}  # the last one of a step, so that each is told once
        self.named: Counter[str] = Counter()
        """How many super-peers each step has named."""

    def start(self, now: float, *, is_told: bool) -> list[Effect]:
        """Our doors are open; `is_told`: others are known already, and may do."""
        if self._lists:
            wait_s = self._config.alone_s if is_told or len(self._cache) else 0.0
            self._deadlines.set(_LISTS, now + wait_s)
        return [Announce(), Seek(LAN, ENDLESS_S)] if self._on_lan else []

    def stop(self) -> list[Effect]:
        """Nobody shall come any more."""
        self._deadlines.cancel(_LISTS)
        return [Announce(on=False)] if self._on_lan else []

    def found(self, event: Found, now: float) -> list[Effect]:
        """A step names some: those with a key are remembered, and all are tried."""
        effects: list[Effect] = []
        self.named[event.step] += len(event.seeds)
        if event.problem and self._problems.get(event.step) != event.problem:
            fields: dict[str, object] = {"step": event.step, "reason": event.problem}
            effects.append(Notify("ladder_step_failed", fields, "warning"))
        self._problems[event.step] = event.problem
        if event.seeds:
            named: dict[str, object] = {"step": event.step, "named": len(event.seeds)}
            effects.append(Notify("super_peers_named", named, "debug"))
        for seed in self._rng.sample(event.seeds, len(event.seeds)):
            if seed.node is not None:
                contact = Contact(seed.node, seed.address)
                self._cache.hear((contact,), contact)
            effects += self._joining.want_place(seed, now)
        return effects

    def due(self, now: float) -> list[Effect]:
        """Ask the lists while we are alone."""
        if not self._deadlines.pop_due(now):
            return []
        pause_s = self._pause_s * self._rng.uniform(1.0, 1.5)
        self._deadlines.set(_LISTS, now + pause_s)
        if self._neighbours:
            self._pause_s = self._config.lists_s
            return []
        self._pause_s = min(2 * self._pause_s, self._config.lists_max_s)
        return [Seek(step) for step in self._lists]

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()
