"""One simulated host: a machine that runs the node, as `common.shell` does on a real one.

It feeds the very `Node` and performs what that orders, in the order of the real driver: an event,
all its effects, then one timer. A host has a clock of its own that runs too fast or too slow, a
processor that may be slow, a disk that outlives the process, and lives: a process that was killed
is gone with all that was under way for it. Nothing here decides anything of the protocol.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from common.addresses import Address
from common.core import (
    Answer,
    Asked,
    Bound,
    CloseLink,
    Effect,
    Event,
    Exited,
    Fail,
    Notify,
    OpenLink,
    SendDatagram,
    SendFrame,
    Stopped,
    Tell,
    Woke,
)
from common.doors import Door
from common.ids import Identity
from common.node import Node
from common.storage import Restored
from deploy.sim.dialect import PLAIN, Dialect
from deploy.sim.draws import Draws
from deploy.sim.inbox import Inbox
from deploy.sim.paths import Access
from deploy.sim.schedule import Schedule
from deploy.sim.wires import Sending, Wire, Wires

Performer = Callable[[Any], None]
EPOCH_S = 1_700_000_000  # the wall clock when virtual time begins


class Storage(Protocol):
    """The disk of one life of a host."""

    def performers(self) -> Mapping[type[Effect], Performer]:
        """What it can do, by effect."""

    def restored(self) -> Restored:
        """What earlier lives left."""

    def close(self) -> None:
        """The process ends in order."""

    def die(self) -> None:
        """The process is gone: what it had open is let go of, nothing more is fed."""


class Watcher(Protocol):
    """Who sees everything that hosts do: checkers, probes and the trace."""

    def fed(self, host: "Host", event: Event, effects: list[Effect]) -> None:
        """A host took in an event, and this is what it wants done."""

    def noted(self, host: "Host", note: Notify) -> None:
        """A node noted something for the log."""

    def failed(self, host: "Host", error: Exception) -> None:
        """A node raised instead of answering."""

    def dying(self, host: "Host") -> None:
        """A process is to die now."""

    def exited(self, host: "Host", unheard: list[int]) -> None:
        """A process has ended by itself, before it heard of these calls."""


class Host:
    """A machine by number; `build` makes the node of its next life, `equip` its disk."""

    __slots__ = (
        *("number", "name", "identity", "access", "control", "bulk", "node", "life", "turns"),
        *("wires", "dialect", "clock_rate", "clock_offset_s", "wall_jump_s", "fragile", "views"),
        *("cost_s", "frame_cost_s", "frozen_at", "slow_until", "thawed_at"),
        *(
            "is_firewalled",
            "is_frozen",
            "has_no_power",
            "storage",
            "_schedule",
            "_wires",
            "_draws",
            "_watcher",
        ),
        *("_people", "_build", "_equip", "_performers", "_inbox", "_busy", "_busy_until"),
        *("_late", "_resumes_at"),
        *("_armed_for", "_out"),
    )

    def __init__(
        self,
        number: int,
        name: str,
        identity: Identity,
        address: Address,
        *,
        schedule: Schedule,
        wires: Wires,
        draws: Draws,
        watcher: Watcher,
        people: Callable[["Host", Effect], None],
        build: Callable[["Host"], Node],
        equip: Callable[["Host"], Storage],
        access: Access | None = None,
        has_bulk: bool = True,
    ) -> None:
        self.number = number
        self.name = name
        self.identity = identity
        self.access = access or Access()  # may be shared by hosts without limits
        self.control = address
        self.bulk = address.at(address.port + 1) if has_bulk else None
        self.node: Node | None = None
        self.life = 0
        self.turns = 0
        self.wires: dict[int, Wire] = {}
        self.dialect: Dialect = PLAIN
        self.clock_rate = 1.0
        self.clock_offset_s = 0.0  # what its monotonic clock showed when the world began
        self.wall_jump_s = 0.0
        self.frozen_at = 0.0
        self.slow_until = self.thawed_at = -math.inf  # when its last trouble of that kind ended
        self.cost_s = 0.0  # of processor time for an event; 0: too little to matter
        self.frame_cost_s = 0.0  # ... and more for each message that it sends, where events cost
        self.is_firewalled = False  # nobody can dial it
        self.is_frozen = False
        self.has_no_power = False
        self.fragile = 0.0  # how likely it dies in the middle of what it does
        self._schedule, self._wires, self._draws = schedule, wires, draws
        self._watcher, self._people = watcher, people
        self._build, self._equip = build, equip
        self.storage: Storage | None = None
        self._performers: Mapping[type[Effect], Performer] = {}
        self._inbox: list[Event] = []  # to be fed now
        self._late = Inbox()  # what the processor has not come to
        self._busy = False
        self._busy_until = self._resumes_at = 0.0
        self._armed_for: float | None = None
        self._out: dict[int, list[Sending]] = {}
        self.views: dict[str, Any] | None = None  # of this life's node, for who looks inside

    @property
    def doors(self) -> dict[Door, Address]:
        """Where it listens."""
        doors = {Door.CONTROL: self.control}
        if self.bulk is not None:
            doors[Door.BULK] = self.bulk
        return doors

    @property
    def curve_key(self) -> bytes:
        """What a handshake proves."""
        return self.identity.curve_public

    @property
    def is_running(self) -> bool:
        """Whether its process lives; a frozen one does."""
        return self.node is not None

    @property
    def clock(self) -> float:
        """Its own monotonic seconds."""
        return self._schedule.now * self.clock_rate + self.clock_offset_s

    @property
    def wall(self) -> float:
        """Its own wall clock, in Unix seconds."""
        return EPOCH_S + self._schedule.now * self.clock_rate + self.wall_jump_s

    # --- lives ------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process: what the disk remembers, then open doors."""
        if self.node is not None:
            return
        self.life += 1
        self.has_no_power = False
        self._armed_for = None
        self._resumes_at = 0.0
        self.views = None
        self._draws.turn(self.number, self.turns)
        self.node = self._build(self)
        self.storage = self._equip(self)
        self._performers = self.storage.performers()
        self.take(self.storage.restored())
        self.take(Bound(self.control, self.bulk))

    def stop(self, grace_s: float) -> None:
        """Ask it to end, as SIGTERM does; what has not ended by then is killed."""
        self.take(Stopped(grace_s))
        self._schedule.after(2 * grace_s, self._overdue, self.life)

    def _overdue(self, life: int) -> None:
        if self.life == life and self.node is not None:
            self._watcher.dying(self)

    def kill(self, *, power: bool = False) -> None:
        """The process is gone at once; without power nobody is told."""
        if self.node is None:
            return
        self.has_no_power = power
        self._end(power=power)
        if self.storage is not None:
            self.storage.die()

    def _die(self, life: int) -> None:
        """Of its last turn only the beginning was done."""
        if life == self.life:
            self._watcher.dying(self)

    def _end(self, *, power: bool) -> None:
        self.node = None
        self.is_frozen = False
        self._inbox.clear()
        self._late.clear()
        self._out.clear()
        self._wires.lose(self, power=power)

    def _exit(self, _effect: Exited) -> None:
        storage = self.storage
        waiting = (*self._inbox, *self._late.all())
        unheard = [event.call for event in waiting if isinstance(event, Asked)]
        self._flush()
        self._end(power=False)
        if storage is not None:
            storage.close()
        self._watcher.exited(self, unheard)

    def freeze(self) -> None:
        """It stands still, as by SIGSTOP; what comes waits."""
        if self.node is not None and not self.is_frozen:
            self.is_frozen, self.frozen_at = True, self._schedule.now

    def thaw(self) -> None:
        """It goes on: first with what came, then with what is due."""
        if not self.is_frozen:
            return
        self.is_frozen = False
        self.thawed_at = self._schedule.now
        self._armed_for = None
        self._drain()
        if self.node is not None:
            self._arm()

    # --- events -----------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Feed the node, now or when it comes to it."""
        if self.node is None:
            return
        (self._late if self.cost_s or self._late else self._inbox).append(event)
        if not (self._busy or self.is_frozen):
            self._drain()

    def _drain(self, _argument: object = None) -> None:
        self._busy = True
        try:
            while (self._inbox or self._late) and not self.is_frozen:
                if self.cost_s and not self._has_time():
                    return
                self._feed(self._inbox.pop(0) if self._inbox else self._late.pop())
                if self.node is None:
                    return
        finally:
            self._busy = False
        self._arm()

    def _has_time(self) -> bool:
        """Whether the processor is free, which it is not any more then; else it comes back."""
        now = self._schedule.now
        if now >= self._busy_until:
            self._busy_until = now + self.cost_s
            return True
        if self._resumes_at != self._busy_until:  # once, whatever comes meanwhile
            self._resumes_at = self._busy_until
            self._schedule.at(self._busy_until, self._go_on, self.life)
        return False

    def _go_on(self, life: int) -> None:
        if life == self.life and self.node is not None and not self._busy:
            self._drain()

    def _feed(self, event: Event) -> None:
        node = self.node
        if node is None:
            return
        self.turns += 1
        self._draws.turn(self.number, self.turns)
        try:
            effects = node.handle(event, self.clock)
        except Exception as error:  # a mistake of ours, to be told with the seed
            self._watcher.failed(self, error)
            self.kill()
            return
        self._watcher.fed(self, event, effects)
        if self.fragile and self._draws.random() < self.fragile:
            effects = effects[: self._draws.randrange(len(effects) + 1)]
            self._schedule.at(self._schedule.now, self._die, self.life)
        if self.frame_cost_s:
            messages = sum(type(effect) is SendFrame for effect in effects)
            self._busy_until += messages * self.frame_cost_s
        for effect in effects:
            self._perform(effect)
            if self.node is None:
                return
        self._flush()

    def _perform(self, effect: Effect) -> None:
        kind = type(effect)
        if kind is SendFrame:
            sending = (effect.message, effect.data)  # type: ignore[attr-defined]
            self._out.setdefault(effect.link, []).append(sending)  # type: ignore[attr-defined]
            return
        own = _OWN.get(kind)
        if own is not None:
            own(self, effect)
        else:
            self._performers[kind](effect)

    def _flush(self) -> None:
        """What one turn sends over one link leaves together."""
        if self._out:
            out, self._out = self._out, {}
            for link, sendings in out.items():
                self._wires.send(self, link, sendings)

    def _close_link(self, effect: CloseLink) -> None:
        sendings = self._out.pop(effect.link, None)
        if sendings:
            self._wires.send(self, effect.link, sendings)
        self._wires.close(self, effect.link, effect.reason)

    def _open_link(self, effect: OpenLink) -> None:
        self._wires.dial(self, effect)

    def _send_datagram(self, effect: SendDatagram) -> None:
        self._wires.datagram(self, effect)

    def _note(self, effect: Notify) -> None:
        self._watcher.noted(self, effect)

    def _tell(self, effect: Effect) -> None:
        self._people(self, effect)

    # --- the one timer ----------------------------------------------------------------------

    def _arm(self) -> None:
        if self.node is None:
            return
        when = self.node.wakeup()
        if when is None:
            self._armed_for = None
            return
        when = self._moment_of(when)
        if when != self._armed_for:
            self._armed_for = when
            self._schedule.at(when, self._wake, (self.life, when))

    def _moment_of(self, clock: float) -> float:
        """The first moment at which its own clock shows this, or a little more."""
        moment = (clock - self.clock_offset_s) / self.clock_rate
        while moment * self.clock_rate + self.clock_offset_s < clock:
            moment = math.nextafter(moment, math.inf)
        return moment

    def _wake(self, armed: tuple[int, float]) -> None:
        life, when = armed
        if life != self.life or when != self._armed_for or self.is_frozen or self._busy:
            return
        self._armed_for = None
        self.take(Woke())


_OWN: dict[type[Effect], Callable[[Host, Any], None]] = {
    CloseLink: Host._close_link,
    OpenLink: Host._open_link,
    SendDatagram: Host._send_datagram,
    Notify: Host._note,
    Tell: Host._tell,
    Answer: Host._tell,
    Fail: Host._tell,
    Exited: Host._exit,
}
