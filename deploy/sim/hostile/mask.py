"""A node that looks honest on the wire: true hellos, echoes, pongs; behind it a harm acts.

It is to a host what `common.node.Node` is, and owes it no code: links are kept in the simplest way
that works, the newest of a peer on a door counts, and one that is silent is dropped. Nothing here
does harm; that an honest node finds no fault with a hello is what lets the harm in.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from common.addresses import Address
from common.core import (
    Bound,
    CloseLink,
    DatagramReceived,
    Dial,
    DialFailed,
    Effect,
    Event,
    Exited,
    FrameReceived,
    FrameRejected,
    Hangup,
    LinkClosed,
    LinkDown,
    LinkOpened,
    LinkUp,
    OpenLink,
    Received,
    Send,
    SendDatagram,
    SendFrame,
    Stopped,
    Woke,
)
from common.doors import Door
from common.hello import Greeter
from common.ids import NodeId, curve_key
from common.messages.fields import Contact
from common.messages.link import Bye, Echo, Hello, Ping, Pong, Refused
from common.messages.table import BY_MESSAGE
from common.wire import Unknown
from deploy.sim.hostile.nature import Harm, Nature, Shown

SAYS_NOTHING: Final = 0.1  # of the links that it dials
SOMEBODY_ELSE: Final = 0.1  # of its hellos
SHORT_PING: Final = 0.2  # of its sweeps
SWEEP_S: Final = 0.9  # between two echoes on each link
SILENT_S: Final = 4.0  # after which a link is dropped
SUPER_PEERS: Final = ("forger", "silent")  # the kinds that are super-peers to others

Key = tuple[NodeId, Door]


class _Link:
    """One link; `peer` is known once its hello came."""

    def __init__(self, event: LinkOpened, now: float) -> None:
        self.number = event.link
        self.door = event.door
        self.curve_key = event.curve_key
        self.address = event.address
        self.by_us = event.dial is not None
        self.heard_at = now
        self.peer: NodeId | None = None


class Book:
    """The links of a mask: all by number, those that are up by peer and door."""

    def __init__(self) -> None:
        self.all: dict[int, _Link] = {}
        self.up: dict[Key, _Link] = {}

    def snapshot(self) -> dict[Key, float | None]:
        """Every link that is up, as honest links show them."""
        return dict.fromkeys(self.up)


class Mask:
    """A core for a host; `harm` is what it hides."""

    def __init__(self, kind: str, nature: Nature, harm: Harm) -> None:
        self._kind = kind
        self._nature = nature
        self._harm = harm
        self._greeter = Greeter(nature.identity.node, nature.network, "simulated")
        self._links = Book()
        self._roles: dict[str, Any] = {}  # it plays none: who looks inside finds nothing
        self._dials: dict[int, Key] = {}
        self._last_dial = 0
        self._sweep_at: float | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""
        on_event = self._HANDLERS.get(type(event))
        return on_event(self, event, now) if on_event else []

    def wakeup(self) -> float | None:
        """The next sweep, or what the harm is up to."""
        times = (self._sweep_at, self._harm.wakeup())
        return min((time for time in times if time is not None), default=None)

    def snapshot(self) -> Shown:
        """How many links, and what was done."""
        return Shown(self._kind, len(self._links.up), dict(self._harm.done))

    # --- the harm ---------------------------------------------------------------------------

    def _give(self, event: Event, now: float) -> list[Effect]:
        effects: list[Effect] = []
        inbox: deque[Event] = deque([event])
        while inbox:
            for order in self._harm.handle(inbox.popleft(), now):
                self._perform(order, effects, inbox)
        return effects

    def _perform(self, order: Effect, effects: list[Effect], inbox: deque[Event]) -> None:
        if isinstance(order, Send):
            door = BY_MESSAGE[type(order.message)].door or Door.CONTROL
            link = self._links.up.get((order.peer, door))
            if link is not None:
                effects.append(SendFrame(link.number, order.message, order.data))
        elif isinstance(order, Dial):
            effects += self._dial((order.peer, order.door), order.address)
        elif isinstance(order, Hangup):
            link = self._links.up.get((order.peer, order.door))
            if link is not None:
                effects.append(CloseLink(link.number, order.reason))
                inbox.extend(self._drop(link))
        else:
            effects.append(order)

    def _dial(self, key: Key, address: Address) -> list[Effect]:
        if key in self._links.up or key in self._dials.values():
            return []
        try:
            curve = curve_key(key[0])
        except ValueError:
            return []
        self._last_dial += 1
        self._dials[self._last_dial] = key
        return [OpenLink(self._last_dial, key[1], address, curve)]

    # --- links ------------------------------------------------------------------------------

    def _bound(self, event: Bound, now: float) -> list[Effect]:
        self._greeter.control_port = event.control.port
        self._greeter.bulk_port = event.bulk.port if event.bulk else 0
        self._sweep_at = now + SWEEP_S
        return self._give(event, now)

    def _opened(self, event: LinkOpened, now: float) -> list[Effect]:
        link = self._links.all[event.link] = _Link(event, now)
        self._dials.pop(event.dial or 0, None)
        if not link.by_us or self._nature.rng.random() < SAYS_NOTHING:
            return []  # they speak first, or nobody ever does
        return [self._hello(link)]

    def _hello(self, link: _Link) -> Effect:
        """Who we are; now and then somebody else, of whom we were told."""
        hello = self._greeter.hello(link.curve_key, link.address, by_us=link.by_us)
        others = [seed.node for seed in self._nature.told if seed.node is not None]
        if others and self._nature.rng.random() < SOMEBODY_ELSE:
            hello = msgspec.structs.replace(hello, node=self._nature.rng.choice(others))
        return SendFrame(link.number, hello)

    def _dial_failed(self, event: DialFailed, now: float) -> list[Effect]:
        key = self._dials.pop(event.dial, None)
        return [] if key is None else self._give(LinkDown(*key, event.reason), now)

    def _frame(self, event: FrameReceived, now: float) -> list[Effect]:
        link, message = self._links.all.get(event.link), event.message
        if link is None:
            return []
        link.heard_at = now
        if isinstance(message, Bye | Refused):
            return [CloseLink(link.number, "goodbye"), *self._lost(link, now)]
        if isinstance(message, Hello):
            return self._greeted(link, message, now)
        if isinstance(message, Echo | Unknown) or link.peer is None:
            return []
        return self._give(Received(link.peer, message, event.data), now)

    def _greeted(self, link: _Link, hello: Hello, now: float) -> list[Effect]:
        effects = [] if link.by_us else [self._hello(link)]
        old = self._links.up.get((hello.node, link.door))
        if old is not None:
            effects += [CloseLink(old.number, "replaced"), *self._lost(old, now)]
        link.peer = hello.node
        self._links.up[hello.node, link.door] = link
        port = hello.control_port if link.door is Door.CONTROL else hello.bulk_port
        up = LinkUp(
            hello.node,
            link.door,
            link.address.at(port),
            hello.observed,
            inbound=not link.by_us,
            bulk_port=hello.bulk_port,
        )
        return effects + self._give(up, now)

    def _closed(self, event: LinkClosed | FrameRejected, now: float) -> list[Effect]:
        link = self._links.all.get(event.link)
        return [] if link is None else self._lost(link, now)

    def _lost(self, link: _Link, now: float) -> list[Effect]:
        return [effect for down in self._drop(link) for effect in self._give(down, now)]

    def _drop(self, link: _Link) -> list[LinkDown]:
        """Forget a link; what the harm is to be told."""
        self._links.all.pop(link.number, None)
        if link.peer is None or self._links.up.get((link.peer, link.door)) is not link:
            return []
        del self._links.up[link.peer, link.door]
        return [LinkDown(link.peer, link.door, "gone")]

    # --- time, and strangers ----------------------------------------------------------------

    def _woke(self, event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if self._sweep_at is not None and self._sweep_at <= now:
            self._sweep_at = now + SWEEP_S
            for link in list(self._links.all.values()):
                effects += self._sweep(link, now)
            effects += self._ping()
        due_at = self._harm.wakeup()
        if due_at is not None and due_at <= now:
            effects += self._give(event, now)
        return effects

    def _sweep(self, link: _Link, now: float) -> list[Effect]:
        if link.peer is not None and now - link.heard_at > SILENT_S:
            return [CloseLink(link.number, "silent"), *self._lost(link, now)]
        return [SendFrame(link.number, Echo(int(now * 1e6)))] if link.peer else []

    def _ping(self) -> list[Effect]:
        """A ping that is shorter than its pong would be."""
        nature = self._nature
        if not nature.told or nature.rng.random() > SHORT_PING:
            return []
        ping = Ping(nature.rng.randbytes(16), nature.network.name)
        return [SendDatagram(nature.rng.choice(nature.told).address, ping)]

    def _datagram(self, event: DatagramReceived, _now: float) -> list[Effect]:
        ping = event.message
        if not isinstance(ping, Ping):
            return []
        me = self._nature.identity.node
        there = Contact(me, self._nature.address) if self._kind in SUPER_PEERS else None
        pong = Pong(ping.nonce, ping.network, me, there, 0, 150, 1, event.address)
        return [SendDatagram(event.address, pong)]

    def _stopped(self, _event: Stopped, _now: float) -> list[Effect]:
        return [Exited()]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Bound: _bound,
        LinkOpened: _opened,
        DialFailed: _dial_failed,
        FrameReceived: _frame,
        FrameRejected: _closed,
        LinkClosed: _closed,
        DatagramReceived: _datagram,
        Stopped: _stopped,
        Woke: _woke,
    }
