"""The people of a simulated world: they ask nodes, wait, and hear one answer.

A call ends with its result, a `Fail`, `GONE` where the node died before, or `LATE` where whoever
asked has given up. That it ends only once
is for a checker to say; here a second answer is nobody's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from common.core import Answer, Asked, AskerLeft, Effect, Fail, Tell

if TYPE_CHECKING:
    from deploy.sim.host import Host
    from deploy.sim.world import World


class Gone:
    """The node died before it answered."""


class Late:
    """Whoever asked waits no longer."""


GONE: Final = Gone()
LATE: Final = Late()

Ending = Callable[[object], None]
Telling = Callable[[object], None]


@dataclass(slots=True)
class _Call:
    host: "Host"
    method: str
    on_end: Ending
    on_tell: Telling | None


class People:
    """All calls that are not answered yet."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._calls: dict[int, _Call] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._calls)

    def ask(
        self,
        host: "Host",
        method: str,
        params: msgspec.Struct,
        on_end: Ending,
        on_tell: Telling | None = None,
    ) -> int:
        """Call a method of a node; `on_end` hears what came of it, once."""
        self._count += 1
        call = self._count
        if not host.is_running:
            on_end(GONE)
            return call
        self._calls[call] = _Call(host, method, on_end, on_tell)
        for show in self._world.witness.asked:
            show(host, call, method, params)
        host.take(Asked(call, method, params))
        return call

    def open_methods(self) -> list[str]:
        """What is asked and not answered yet."""
        return [call.method for call in self._calls.values()]

    def leave(self, call: int) -> None:
        """Nobody waits for this any more."""
        left = self._calls.pop(call, None)
        if left is not None:
            left.host.take(AskerLeft(call))

    def give_up(self, call: int) -> None:
        """Whoever asked waits no longer, and his node hears so."""
        waiting = self._calls.get(call)
        if waiting is not None:
            self.leave(call)
            waiting.on_end(LATE)

    def perform(self, host: "Host", effect: Effect) -> None:
        """A node tells something, or how a call ended."""
        if isinstance(effect, Tell):
            open_call = self._calls.get(effect.call)
            if open_call is not None and open_call.on_tell is not None:
                open_call.on_tell(effect.event)
        elif isinstance(effect, Answer):
            self._end(host, effect.call, effect.result)
        elif isinstance(effect, Fail):
            self._end(host, effect.call, effect)

    def abandon(self, host: "Host") -> int:
        """The node is gone, with all that was asked of it; how many calls that were."""
        calls = [call for call, each in self._calls.items() if each.host is host]
        for call in calls:
            self._end(host, call, GONE)
        return len(calls)

    def _end(self, host: "Host", call: int, outcome: object) -> None:
        ended = self._calls.pop(call, None)
        for show in self._world.witness.ended:
            show(host, call, outcome)
        if ended is not None:
            ended.on_end(outcome)
