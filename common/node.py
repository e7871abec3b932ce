"""Node: one identity, its links, and one or two roles; the only core that the shell drives.

It feeds the links, gives what they let through to the role that the message table names, turns
what roles order about peers into orders about links, and starts and stops the second role. What
a role sends to its own node loops in here, so a promoted leaf hangs on its own super-peer without
a special case. It knows no message of any role.

Here alone it is decided that a link has served. Nobody owns one: whoever wants a peer orders `Dial`
and says so when asked (`Role.needs`), and whoever wants it no longer orders `LetGo`. A link that we
dialled ends when no role needs it; one that the other end dialled is left to that end. Which of the
two it is the link itself tells (`LinkUp.inbound`), also where both ends dialled at once. Nothing is
counted, so nothing can be counted wrong: a `LetGo` only makes us look, when the turn is over and
all roles have had their say. We look as well at a link that comes up, for nobody may want it any
more, at all of them when a role ends, and twice per `echo_s`, so that none stays for ever that
somebody forgot. Who is refused loses also what it made itself (`LetGo.refuses`), unless we need it;
`Hangup` is for faults, and asks nobody.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import ClassVar

import msgspec

from common.config import LinkConfig
from common.core import (
    Asked,
    Bound,
    DatagramReceived,
    Demote,
    Demoted,
    Dial,
    Effect,
    Event,
    Exited,
    Fail,
    FrameReceived,
    Hangup,
    LetGo,
    LinkDown,
    LinkUp,
    Promote,
    Promoted,
    Received,
    Role,
    Send,
    Sent,
    Stop,
    Stopped,
    Woke,
)
from common.deadlines import soonest
from common.doors import Door
from common.errors import Exit
from common.ids import NodeId
from common.links import Links
from common.messages.link import Ping
from common.messages.table import TABLE, To
from common.network import Network
from common.storage import Restored

RoleFactory = Callable[[Random], Role]

LEAF = "leaf"
SUPERPEER = "superpeer"

_ROLES = {To.LEAF: LEAF, To.SUPERPEER: SUPERPEER}
_ROLE_OF = {row.message: _ROLES.get(row.to) for row in TABLE}
_DOOR_OF = {row.message: row.door or Door.CONTROL for row in TABLE}
_TOLD_FIRST = (Bound, Restored)  # what a role must know before all else
_UNNEEDED = "nobody needs it any more"  # why a link ends that nobody let go in so many words


class NodeSnapshot(msgspec.Struct):
    """What a node shows: its roles' snapshots, its links, and what it dropped."""

    roles: dict[str, msgspec.Struct]
    links: int
    dropped: dict[str, int]


class Node:
    """One identity with its links and roles; see the contract in `common.core`."""

    __slots__ = (
        *("_doubted", "_dropped", "_exited", "_factories", "_first", "_inbox", "_links", "_me"),
        *("_own_doors", "_rng", "_roles"),
    )

    def __init__(
        self,
        me: NodeId,
        network: Network,
        config: LinkConfig,
        *,
        factories: Mapping[str, RoleFactory],
        start: tuple[str, ...],
        rng: Random,
        agent: str = "",
    ) -> None:
        self._me = me
        self._links = Links(me, network, config, agent)
        self._factories = factories
        self._rng = rng
        self._inbox: list[tuple[str | None, Event]] = []  # a role, or None for all
        self._first: dict[type[Event], Event] = {}  # what a role must know before all else
        self._doubted: dict[tuple[NodeId, Door], LetGo] = {}  # links to look at when a turn ends
        self._own_doors: dict[Door, str] = {}  # doors of ours that a role dialled, and which
        self._roles: dict[str, Role] = {name: factories[name](rng) for name in start}
        self._exited: dict[str, None] = {}
        self._dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event of the shell; say what the shell is to do."""
        effects: list[Effect] = []
        kind = type(event)
        if kind in _TOLD_FIRST:
            self._first[kind] = event
        sweep_at = self._links.wakeup() if kind is Woke else None
        if sweep_at is not None and sweep_at <= now:
            self._doubt_all(_UNNEEDED)
        if kind in self._links.handles:
            self._sort(self._links.handle(event, now), effects)
        if kind is not FrameReceived:  # what comes over links is the links' to tell
            takers = self._takers(event, now)
            if isinstance(event, Asked) and takers[0] not in self._roles:
                refused = "This node does not play that role now."
                hint = f"It is a {' and a '.join(self._roles)}; ask with that program."
                return [*effects, Fail(event.call, Exit.REFUSED, refused, hint)]
            self._inbox.extend((name, event) for name in takers)
        while self._inbox or self._doubted:
            if not self._inbox:
                self._end_unneeded(effects)
                continue
            taker, inner = self._inbox.pop(0)
            for name in (taker,) if taker else list(self._roles):
                if name in self._roles:
                    self._perform(name, self._roles[name].handle(inner, now), effects, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline of the links and the roles."""
        return soonest([self._links.wakeup(), *[role.wakeup() for role in self._roles.values()]])

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
            if len(self._roles) == 1:  # only what is due is done there
                return list(self._roles)
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

    def _sort(self, outs: list[Effect | Event], effects: list[Effect]) -> None:
        """Effects go to the shell, events to the roles; a message to the one its row names."""
        for out in outs:
            if isinstance(out, Effect):
                effects.append(out)
            elif isinstance(out, Received):
                self._deliver(out)
            else:
                if isinstance(out, LinkUp) and not out.inbound:
                    self._doubt(LetGo(out.peer, out.door, _UNNEEDED))
                self._inbox.append((None, out))

    def _deliver(self, received: Received) -> None:
        role = _ROLE_OF[type(received.message)]
        if role in self._roles:
            self._inbox.append((role, received))
        else:
            self._count("no such role")

    # --- links that have served -------------------------------------------------------------

    def _doubt(self, let_go: LetGo) -> None:
        """Look at this one too; if a role has said why it may end, for that reason."""
        self._doubted.setdefault((let_go.peer, let_go.door), let_go)

    def _doubt_all(self, reason: str) -> None:
        """Look at every control link of ours; bulk links may come in handy until they are silent
        for long (`leaf.uploads.idle`)."""
        ups = self._links.links_up()
        ours = [up.peer for up in ups if not up.inbound and up.door is Door.CONTROL]
        for peer in (*ours, self._me):
            self._doubt(LetGo(peer, Door.CONTROL, reason))

    def _end_unneeded(self, effects: list[Effect]) -> None:
        doubted, self._doubted = self._doubted, {}
        for let_go in doubted.values():
            if self._may_end(let_go):
                self._sort(self._end(let_go.peer, let_go.door, let_go.reason), effects)

    def _may_end(self, let_go: LetGo) -> bool:
        """Whether it is ours to say, and nobody here needs the link. At a door of our own only the
        role that dialled counts: the other one is its other end."""
        peer, door = let_go.peer, let_go.door
        if peer == self._me:
            role = self._roles.get(self._own_doors.get(door, ""))
            return role is not None and not role.needs(peer, door)
        needed = any(role.needs(peer, door) for role in self._roles.values())
        return (let_go.refuses or self._links.is_ours(peer, door)) and not needed

    def _end(self, peer: NodeId, door: Door, reason: str) -> list[Effect | Event]:
        if peer != self._me:
            return self._links.hang_up(peer, door, reason)
        return [LinkDown(peer, door, reason)] if self._own_doors.pop(door, None) else []

    # --- what roles order -------------------------------------------------------------------

    def _perform(self, name: str, ordered: list[Effect], effects: list[Effect], now: float) -> None:
        for effect in ordered:
            handler = self._ORDERS.get(type(effect))
            if handler is None:
                effects.append(effect)
            else:
                self._sort(handler(self, name, effect, now), effects)

    def _dial(self, name: str, dial: Dial, now: float) -> list[Effect | Event]:
        if dial.peer != self._me:
            return self._links.dial(dial.peer, dial.address, dial.door, now)
        if dial.door in self._own_doors:
            return []
        bound = self._first.get(Bound)
        if not isinstance(bound, Bound):
            return [LinkDown(self._me, dial.door, "our own doors are not open yet")]
        self._own_doors[dial.door] = name
        bulk = bound.bulk.port if bound.bulk else 0
        return [LinkUp(self._me, dial.door, dial.address, dial.address, False, bulk)]

    def _send(self, _name: str, send: Send, now: float) -> list[Effect | Event]:
        door = _DOOR_OF[type(send.message)]
        if send.peer != self._me:
            return self._links.send(send.peer, door, send.message, send.data, now)
        if door not in self._own_doors:
            return []
        if send.data is None:
            return [Received(self._me, send.message)]
        data = memoryview(send.data)
        return [Received(self._me, send.message, data), Sent(self._me, len(data))]

    def _hang_up(self, _name: str, hangup: Hangup, _now: float) -> list[Effect | Event]:
        return self._end(hangup.peer, hangup.door, hangup.reason)

    def _let_go(self, _name: str, let_go: LetGo, _now: float) -> list[Effect | Event]:
        known = self._doubted.get((let_go.peer, let_go.door))
        if known is None or not known.refuses:
            self._doubted[let_go.peer, let_go.door] = let_go
        return []

    def _promote(self, _name: str, promote: Promote, _now: float) -> list[Effect | Event]:
        """Start the second role; it is told what it missed, then all that it is there."""
        if SUPERPEER in self._roles or SUPERPEER not in self._factories:
            return []
        self._roles[SUPERPEER] = self._factories[SUPERPEER](self._rng)
        missed = [*self._first.values(), *self._links.links_up()]
        self._inbox.extend((SUPERPEER, event) for event in missed)
        return [Promoted(self._me, promote.seeds)]

    def _demote(self, _name: str, _demote: Demote, _now: float) -> list[Effect | Event]:
        """End the second role, and with it the links that hang on it here."""
        if len(self._roles) < 2 or self._roles.pop(SUPERPEER, None) is None:
            return []
        doors, self._own_doors = self._own_doors, {}
        lost: list[Effect | Event] = [LinkDown(self._me, door, "stepped down") for door in doors]
        self._doubt_all("it is a super-peer no longer")
        return [*lost, Demoted()]

    def _stop(self, _name: str, stop: Stop, _now: float) -> list[Effect | Event]:
        return [Stopped(stop.grace_s)]

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
        LetGo: _let_go,
        Promote: _promote,
        Demote: _demote,
        Stop: _stop,
        Exited: _exit,
    }
