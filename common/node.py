"""Node: one identity, its links, and one or two roles; the only core that the shell drives.

It feeds the links, gives what they let through to the role that the message table names, turns
what roles order about peers into orders about links, and starts and stops the second role. What
a role sends to its own node loops in here, so a promoted leaf hangs on its own super-peer without
a special case. It knows no message of any role.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import ClassVar

import msgspec

from common.config import LinkConfig
from common.core import (
    Asked,
    Bound,
    Core,
    DatagramReceived,
    Demote,
    Demoted,
    Dial,
    Effect,
    Event,
    Exited,
    Hangup,
    LinkDown,
    LinkUp,
    Promote,
    Promoted,
    Received,
    Send,
    Woke,
)
from common.doors import Door
from common.ids import NodeId
from common.links import Links
from common.messages.link import Ping
from common.messages.table import BY_MESSAGE, To
from common.network import Network

RoleFactory = Callable[[Random], Core]

LEAF = "leaf"
SUPERPEER = "superpeer"

_ROLE_OF = {To.LEAF: LEAF, To.SUPERPEER: SUPERPEER}


class NodeSnapshot(msgspec.Struct):
    """What a node shows: its roles' snapshots, its links, and what it dropped."""

    roles: dict[str, msgspec.Struct]
    links: int
    dropped: dict[str, int]


class Node:
    """One identity with its links and roles; see the contract in `common.core`."""

    def __init__(
        self,
        me: NodeId,
        network: Network,
        config: LinkConfig,
        *,
        factories: dict[str, RoleFactory],
        start: tuple[str, ...],
        rng: Random,
        agent: str = "",
    ) -> None:
        self._me = me
        self._links = Links(me, network, config, agent)
        self._factories = factories
        self._rng = rng
        self._bound: Bound | None = None
        self._own_doors: dict[Door, None] = {}  # doors by which a role hangs on ourselves
        self._roles: dict[str, Core] = {name: factories[name](rng) for name in start}
        self._exited: dict[str, None] = {}
        self._dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event of the shell; say what the shell is to do."""
        effects: list[Effect] = []
        inbox: deque[tuple[str | None, Event]] = deque()
        if isinstance(event, Bound):
            self._bound = event
        if type(event) in self._links.handles:
            self._sort(self._links.handle(event, now), effects, inbox)
        for name in self._takers(event, now):
            inbox.append((name, event))
        while inbox:
            taker, inner = inbox.popleft()
            for name in [taker] if taker else list(self._roles):
                if name in self._roles:
                    ordered = self._roles[name].handle(inner, now)
                    self._perform(name, ordered, effects, inbox, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline of the links and the roles."""
        times = [self._links.wakeup(), *[role.wakeup() for role in self._roles.values()]]
        return min((time for time in times if time is not None), default=None)

    def snapshot(self) -> NodeSnapshot:
        """What status and checkers may see."""
        return NodeSnapshot(
            {name: role.snapshot() for name, role in self._roles.items()},
            len(self._links.snapshot()),
            {**self._links.dropped, **self._dropped},
        )

    # --- who takes what ---------------------------------------------------------------------

    def _takers(self, event: Event, now: float) -> list[str]:
        """The roles that an event of the shell is for."""
        if isinstance(event, Woke):
            return [
                name
                for name, role in self._roles.items()
                if (due := role.wakeup()) is not None and due <= now
            ]
        if isinstance(event, Asked):
            return [event.method.partition(".")[0]]
        if isinstance(event, DatagramReceived) and isinstance(event.message, Ping):
            return [SUPERPEER if SUPERPEER in self._roles else LEAF]
        if type(event) in self._links.handles and not isinstance(event, Bound):
            return []
        return list(self._roles)

    def _sort(
        self,
        outs: list[Effect | Event],
        effects: list[Effect],
        inbox: deque[tuple[str | None, Event]],
    ) -> None:
        """Effects go to the shell, events to the roles; a message to the one its row names."""
        for out in outs:
            if isinstance(out, Effect):
                effects.append(out)
            elif isinstance(out, Received):
                self._deliver(out, inbox)
            else:
                inbox.append((None, out))

    def _deliver(self, received: Received, inbox: deque[tuple[str | None, Event]]) -> None:
        role = _ROLE_OF.get(BY_MESSAGE[type(received.message)].to)
        if role in self._roles:
            inbox.append((role, received))
        else:
            self._count("no such role")

    # --- what roles order -------------------------------------------------------------------

    def _perform(
        self,
        name: str,
        ordered: list[Effect],
        effects: list[Effect],
        inbox: deque[tuple[str | None, Event]],
        now: float,
    ) -> None:
        for effect in ordered:
            handler = self._ORDERS.get(type(effect))
            if handler is None:
                effects.append(effect)
            else:
                self._sort(handler(self, name, effect, now), effects, inbox)

    def _dial(self, _name: str, dial: Dial, now: float) -> list[Effect | Event]:
        if dial.peer != self._me:
            return self._links.dial(dial.peer, dial.address, dial.door, now)
        if dial.door in self._own_doors:
            return []
        self._own_doors[dial.door] = None
        bulk = self._bound.bulk.port if self._bound and self._bound.bulk else 0
        return [LinkUp(self._me, dial.door, dial.address, dial.address, False, bulk)]

    def _send(self, _name: str, send: Send, now: float) -> list[Effect | Event]:
        door = BY_MESSAGE[type(send.message)].door or Door.CONTROL
        if send.peer != self._me:
            return self._links.send(send.peer, door, send.message, send.data, now)
        if door not in self._own_doors:
            return []
        data = None if send.data is None else memoryview(send.data)
        return [Received(self._me, send.message, data)]

    def _hang_up(self, _name: str, hangup: Hangup, _now: float) -> list[Effect | Event]:
        if hangup.peer != self._me:
            return self._links.hang_up(hangup.peer, hangup.door, hangup.reason)
        if self._own_doors.pop(hangup.door, self) is self:
            return []
        return [LinkDown(self._me, hangup.door, hangup.reason)]

    def _promote(self, _name: str, _promote: Promote, _now: float) -> list[Effect | Event]:
        if SUPERPEER in self._roles or SUPERPEER not in self._factories:
            return []
        self._roles[SUPERPEER] = self._factories[SUPERPEER](self._rng)
        bound: list[Effect | Event] = [self._bound] if self._bound else []
        return [*bound, Promoted(self._me)]

    def _demote(self, _name: str, _demote: Demote, _now: float) -> list[Effect | Event]:
        if len(self._roles) < 2 or self._roles.pop(SUPERPEER, None) is None:
            return []
        return [Demoted()]

    def _exit(self, name: str, _exited: Exited, _now: float) -> list[Effect | Event]:
        """The program may end when every role has said so."""
        self._exited[name] = None
        done = all(role in self._exited for role in self._roles)
        return [Exited()] if done else []

    def _count(self, what: str) -> None:
        self._dropped[what] = self._dropped.get(what, 0) + 1

    _ORDERS: ClassVar[dict[type[Effect], Callable[..., list[Effect | Event]]]] = {
        Dial: _dial,
        Send: _send,
        Hangup: _hang_up,
        Promote: _promote,
        Demote: _demote,
        Exited: _exit,
    }
