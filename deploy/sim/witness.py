"""Who is shown what happens: the calls of all watchers, by what they want to see.

A watcher is any object with some of these methods: `fed(host, event, effects)` after each event,
`sent(host, there, message, data)` for each message as it leaves, `noted(host, note)`,
`asked(host, call, method, params)`, `ended(host, call, outcome)` for what people ask, and
`darkened(host)` when a host has lost its power and all that was not synced.
"""

from collections.abc import Callable
from typing import Any

KINDS = ("fed", "sent", "noted", "asked", "ended", "darkened")

Calls = list[Callable[..., Any]]


class Witness:
    """The lists of calls."""

    def __init__(self) -> None:
        self.fed: Calls = []
        self.sent: Calls = []
        self.noted: Calls = []
        self.asked: Calls = []
        self.ended: Calls = []
        self.darkened: Calls = []

    def add(self, watcher: object) -> None:
        """Show it what it has methods for."""
        for kind in KINDS:
            call = getattr(watcher, kind, None)
            if call is not None:
                getattr(self, kind).append(call)
