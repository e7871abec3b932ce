"""Links: from an encrypted connection to a peer that proved who it is, and whether it lives.

Invariant: at most one link per (peer, door) is up, and nothing of a link reaches a role before
its `Hello` was checked: the Ed25519 key must convert to the CURVE key of the handshake, the
network must match and be proven, and the version ranges must overlap. The dialler speaks first.

Liveness is an echo between cores: a sweep twice per `echo_s` sends `Echo` where nothing else was
sent, and ends links that brought nothing for `dead_s`. A sweep that comes late means that we
were asleep; it accuses nobody. This machine does not know what the links are for.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from common.addresses import Address
from common.config import LinkConfig
from common.core import (
    Bound,
    CloseLink,
    DataSent,
    DialFailed,
    Effect,
    Event,
    FrameReceived,
    FrameRejected,
    LinkClosed,
    LinkDown,
    LinkHeard,
    LinkMeasured,
    LinkOpened,
    LinkStuck,
    LinkUp,
    Notify,
    OpenLink,
    Received,
    SendFrame,
    Sent,
    Woke,
)
from common.deadlines import Deadlines
from common.doors import Door
from common.hello import Greeter
from common.ids import NodeId, curve_key, twin
from common.messages.fields import Message
from common.messages.link import Bye, Echo, Hello, Refused
from common.messages.table import BY_MESSAGE
from common.network import Network
from common.pulse import Pulse
from common.wire import Unknown

Out = Effect | Event
Key = tuple[NodeId, Door]
Data = memoryview | bytes | None

_DUPLICATE = "duplicate link"


class Phase(enum.Enum):
    """How far a link has come."""

    GREETING = "greeting"  # open, no hello from them yet
    UP = "up"
    CLOSING = "closing"  # we asked the shell to hang up


@dataclass(slots=True)
class _Link:
    number: int
    door: Door
    curve_key: bytes
    address: Address
    dial: int | None
    dialled: NodeId | None  # whom we meant to reach, where we dialled
    opened_at: float
    pulse: Pulse
    phase: Phase = Phase.GREETING
    peer: NodeId | None = None
    up: LinkUp | None = None  # as the roles were told


class Links:
    """All links of one node. `handle` gives effects for the shell and events for the roles."""

    def __init__(self, me: NodeId, network: Network, config: LinkConfig, agent: str) -> None:
        self._me = me
        self._config = config
        self._greeter = Greeter(me, network, agent)
        self._links: dict[int, _Link] = {}
        self._up: dict[Key, _Link] = {}
        self._dials: dict[int, Key] = {}  # asked of the shell, not open yet
        self._dialling: dict[Key, float] = {}  # until when a dial may still come up
        self._next_dial = 0
        self._deadlines = Deadlines()
        self.dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Out]:
        """Take in one of the shell's events about links, or a `Woke`."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next sweep; None while there is nothing to watch."""
        return self._deadlines.earliest()

    def snapshot(self) -> dict[Key, float | None]:
        """Every link that is up, and its round trip in seconds where measured."""
        return {key: link.pulse.rtt_s for key, link in self._up.items()}

    def links_up(self) -> list[LinkUp]:
        """What a role that begins now has missed."""
        return [link.up for link in self._up.values() if link.up is not None]

    def is_ours(self, peer: NodeId, door: Door) -> bool:
        """Whether a link is up that we dialled: the other end leaves it to us to end it."""
        link = self._up.get((peer, door))
        return link is not None and link.dial is not None

    # --- what roles order -------------------------------------------------------------------

    def dial(self, peer: NodeId, address: Address, door: Door, now: float) -> list[Out]:
        """Make a link unless there is one or one is coming."""
        key = (peer, door)
        if key in self._up or key in self._dialling:
            return []
        try:
            curve = curve_key(peer)
        except ValueError:
            return [LinkDown(peer, door, "not a node's key")]
        if (twin(peer), door) in self._up or (twin(peer), door) in self._dialling:
            return [LinkDown(peer, door, "another node has this CURVE key")]
        beside = self._up.get((peer, door.other))
        if beside and beside.up and beside.up.address == address:  # it would take us for newer
            return [LinkDown(peer, door, "that is its other door")]
        self._next_dial += 1
        self._dials[self._next_dial] = key
        self._dialling[key] = now + self._config.dial_s + self._config.hello_s
        self._watch(now)
        return [OpenLink(self._next_dial, door, address, curve)]

    def send(self, peer: NodeId, door: Door, message: Message, data: Data, now: float) -> list[Out]:
        """Send over the link that is up; without one the message is dropped and counted."""
        if (link := self._up.get((peer, door))) is None:
            self._count("no link")
            return []
        link.pulse.sent_at = now
        return [SendFrame(link.number, message, data)]

    def hang_up(self, peer: NodeId, door: Door, reason: str) -> list[Out]:
        """End the link to `peer` on this door, if there is one."""
        link = self._up.get((peer, door))
        return self._end(link, reason, tell="hung up: " + reason) if link else []

    # --- what the shell reports -------------------------------------------------------------

    def _bound(self, event: Bound, _now: float) -> list[Out]:
        self._greeter.control_port = event.control.port
        self._greeter.bulk_port = event.bulk.port if event.bulk else 0
        return []

    def _opened(self, event: LinkOpened, now: float) -> list[Out]:
        meant = self._dials.pop(event.dial, None) if event.dial is not None else None
        if meant is None and event.dial is not None:
            return [CloseLink(event.link, _DUPLICATE)]  # it gave way
        link = _Link(
            number=event.link,
            door=event.door,
            curve_key=event.curve_key,
            address=event.address,
            dial=event.dial,
            dialled=meant[0] if meant else None,
            opened_at=now,
            pulse=Pulse(self._config, now),
        )
        self._links[event.link] = link
        self._watch(now)
        return [] if event.dial is None else [self._say_hello(link)]

    def _dial_failed(self, event: DialFailed, _now: float) -> list[Out]:
        key = self._dials.pop(event.dial, None)
        if key is None or key in self._up or self._dialling.pop(key, None) is None:
            return []
        return [LinkDown(key[0], key[1], event.reason)]

    def _closed(self, event: LinkClosed, _now: float) -> list[Out]:
        link = self._links.get(event.link)
        if link is None:
            return []
        return [out for out in self._end(link, event.reason) if not isinstance(out, CloseLink)]

    def _rejected(self, event: FrameRejected, _now: float) -> list[Out]:
        self._count("malformed frame")
        link = self._links.get(event.link)
        return self._end(link, event.reason) if link else [CloseLink(event.link, event.reason)]

    def _heard(self, event: LinkHeard, now: float) -> list[Out]:
        if (link := self._links.get(event.link)) is not None:
            link.pulse.heard_at = now
        return []

    def _data_sent(self, event: DataSent, now: float) -> list[Out]:
        if (link := self._links.get(event.link)) is None or link.peer is None:
            return []
        link.pulse.sent_at = now
        return [Sent(link.peer, event.length)]

    def _stuck(self, event: LinkStuck, _now: float) -> list[Out]:
        self._count("link that takes nothing")
        link = self._links.get(event.link)
        return self._end(link, "it takes nothing of what we send") if link else []

    def _frame(self, event: FrameReceived, now: float) -> list[Out]:
        link = self._links.get(event.link)
        if link is None or link.phase is Phase.CLOSING:
            self._count("closed link")
            return []
        link.pulse.heard_at = now
        if link.phase is Phase.GREETING:
            return self._greet(link, event.message, now)
        handler = self._MESSAGES.get(type(event.message))
        if handler is not None:
            return handler(self, link, event.message, now)
        if BY_MESSAGE[type(event.message)].door is not link.door:
            self._count("message at the wrong door")
            return []
        return [Received(link.peer, event.message, event.data)] if link.peer else []

    # --- hello ------------------------------------------------------------------------------

    def _greet(self, link: _Link, message: Message, now: float) -> list[Out]:
        if isinstance(message, Refused) and link.dial is not None:
            return self._was_refused(link, message.reason)
        if not isinstance(message, Hello):
            return self._end(link, "no hello")
        fault = self._greeter.fault(message, link.curve_key, by_us=link.dial is not None)
        if link.dialled is not None and message.node != link.dialled:
            fault = "not the node that was dialled"  # two keys can share one CURVE form
        if fault is None and link.dial is None and self._keeps_its_own(message.node, link.door):
            fault = _DUPLICATE
        if fault is not None:
            self._count("refused hello")
            refusal: list[Out] = [SendFrame(link.number, Refused(fault))]
            return refusal + self._end(link, fault)
        return self._come_up(link, message, now)

    def _say_hello(self, link: _Link) -> SendFrame:
        by_us = link.dial is not None
        hello = self._greeter.hello(link.curve_key, link.address, by_us=by_us)
        return SendFrame(link.number, hello)

    def _keeps_its_own(self, peer: NodeId, door: Door) -> bool:
        """Of two simultaneous dials the lower key keeps its link: is that ours? A dial that is not
        open yet gives way: before a firewall it never will be."""
        key, is_lower = (peer, door), self._me < peer
        if is_lower and (waiting := [n for n, each in self._dials.items() if each == key]):
            del self._dials[waiting[0]]
            self._dialling.pop(key, None)  # the shell may still try what we gave up
        return is_lower and (key in self._dialling or self.is_ours(peer, door))

    def _come_up(self, link: _Link, hello: Hello, now: float) -> list[Out]:
        key = (hello.node, link.door)
        out: list[Out] = []
        if link.dial is None:
            out.append(self._say_hello(link))
        old = self._up.get(key)
        if old is not None:
            out += self._end(old, "replaced by a newer link")
        self._dialling.pop(key, None)
        link.phase, link.peer, link.pulse.sent_at = Phase.UP, hello.node, now
        self._up[key] = link
        port = hello.control_port if link.door is Door.CONTROL else hello.bulk_port
        link.up = LinkUp(
            hello.node,
            link.door,
            link.address.at(port),
            hello.observed,
            inbound=link.dial is None,
            bulk_port=hello.bulk_port,
        )
        return [*out, link.up]

    def _was_refused(self, link: _Link, reason: str) -> list[Out]:
        """They said no. A duplicate means that their own link to us is on its way."""
        if reason == _DUPLICATE:
            self._links.pop(link.number, None)
            return [CloseLink(link.number, reason)]
        return self._end(link, "refused: " + reason)

    # --- messages of links ------------------------------------------------------------------

    def _on_echo(self, link: _Link, echo: Echo, now: float) -> list[Out]:
        measured = link.pulse.on_echo(echo, now)
        if not measured or link.peer is None or link.pulse.rtt_s is None:
            return []
        return [LinkMeasured(link.peer, link.door, link.pulse.rtt_s)]

    def _on_bye(self, link: _Link, bye: Bye, _now: float) -> list[Out]:
        return self._end(link, "bye: " + bye.reason)

    def _on_refused(self, link: _Link, refused: Refused, _now: float) -> list[Out]:
        return self._end(link, "refused: " + refused.reason)

    def _on_second_hello(self, link: _Link, _hello: Hello, _now: float) -> list[Out]:
        return self._end(link, "a second hello")

    def _on_unknown(self, _link: _Link, _unknown: Unknown, _now: float) -> list[Out]:
        """A newer node says what we do not understand: a sign of life all the same."""
        self._count("unknown message")
        return []

    # --- liveness ---------------------------------------------------------------------------

    def _watch(self, now: float) -> None:
        if self._deadlines.get("sweep") is None:
            self._deadlines.set("sweep", now + self._config.echo_s / 2)

    def _woke(self, _event: Woke, now: float) -> list[Out]:
        due_at = self._deadlines.get("sweep")
        if due_at is None or not self._deadlines.pop_due(now):
            return []
        out: list[Out] = []
        overslept = now - due_at > self._config.stall_s
        for link in list(self._links.values()):
            if overslept:  # our own silence, not theirs
                link.pulse.forgive(now)
                link.opened_at = max(link.opened_at, now - self._config.hello_s / 2)
            out += self._sweep(link, now)
        for key, until in list(self._dialling.items()):
            if until <= now:
                del self._dialling[key]
                out.append(LinkDown(key[0], key[1], "no answer"))
        if self._links or self._dialling:
            self._watch(now)
        return out

    def _sweep(self, link: _Link, now: float) -> list[Out]:
        config = self._config
        if link.phase is Phase.GREETING and now - link.opened_at > config.hello_s:
            return self._end(link, "no hello in time")
        if link.phase is not Phase.UP:
            return []
        if link.pulse.is_dead(now):
            return self._end(link, f"silent for {now - link.pulse.heard_at:.1f} s")
        echo = link.pulse.echo_due(now)
        return [] if echo is None else [SendFrame(link.number, echo)]

    # --- the end ----------------------------------------------------------------------------

    def _end(self, link: _Link, reason: str, tell: str = "") -> list[Out]:
        """Hang up once, and tell the roles where they knew of the link."""
        self._links.pop(link.number, None)
        if link.phase is Phase.CLOSING:
            return []
        was_up = link.phase is Phase.UP
        link.phase = Phase.CLOSING
        out: list[Out] = [CloseLink(link.number, reason)]
        if was_up and link.peer is not None:
            if self._up.get((link.peer, link.door)) is link:
                del self._up[link.peer, link.door]
            out.append(LinkDown(link.peer, link.door, tell or reason))
        elif link.dialled is not None:
            out += self._dial_ended(link.dialled, link.door, reason)
        else:
            out.append(
                Notify("link_refused", {"address": str(link.address), "reason": reason}, "debug")
            )
        return out

    def _dial_ended(self, peer: NodeId, door: Door, reason: str) -> list[Out]:
        """A dial of ours opened, but never came up: who dialled waits for a word."""
        if self._dialling.pop((peer, door), None) is None:
            return []
        return [LinkDown(peer, door, reason)]

    def _count(self, what: str) -> None:
        self.dropped[what] = self.dropped.get(what, 0) + 1

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Out]]]] = {
        Bound: _bound,
        LinkOpened: _opened,
        DialFailed: _dial_failed,
        LinkClosed: _closed,
        FrameReceived: _frame,
        FrameRejected: _rejected,
        LinkHeard: _heard,
        DataSent: _data_sent,
        LinkStuck: _stuck,
        Woke: _woke,
    }

    handles: ClassVar[frozenset[type[Event]]] = frozenset(_HANDLERS)  # the events that are ours

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Out]]]] = {
        Echo: _on_echo,
        Bye: _on_bye,
        Refused: _on_refused,
        Hello: _on_second_hello,
        Unknown: _on_unknown,
    }
