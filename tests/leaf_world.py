"""Leaves and super-peers in virtual time, with disks in memory.

The cores are the real ones of both roles. What they send is encoded, delayed, decoded and delivered
in order; a killed node takes its links with it. A `MemoryDisk` answers the effects of storage as
the shell would, from bytes in a dict. A test may make a leaf lie about the bytes it sends.
"""

import heapq
import itertools
from collections.abc import Callable
from random import Random

import msgspec

from common import wire
from common.addresses import Address
from common.config import Config
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Bound,
    DatagramReceived,
    Dial,
    Effect,
    Event,
    Exited,
    Fail,
    Hangup,
    LetGo,
    LinkDown,
    LinkUp,
    Received,
    Send,
    SendDatagram,
    Sent,
    Tell,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId
from common.meeting import Seed
from common.messages.fields import Message
from common.messages.link import Bye
from common.messages.table import BY_MESSAGE
from common.network import Network
from common.schedule import NOTHING_SET, AskTime, LimitsRecord, TimeTold
from common.storage import Restored
from leaf.role import Leaf
from superpeer.role import SuperPeer
from tests.memory_disk import MemoryDisk

NETWORK = Network("test")
DELAY_S = 0.002
WEEK_S = 7 * 86_400.0
Link = tuple[str, str, Door]  # from, to


class World:
    """The nodes by name, the links between them, and what is on its way."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.clock_s = 0.0  # what the clocks on the wall show more than `now`
        self.nodes: dict[str, Leaf | SuperPeer] = {}
        self.disks: dict[str, MemoryDisk] = {}
        self.effects: list[tuple[str, Effect]] = []  # what nobody performs, in order
        self.sent: list[tuple[str, str, Message]] = []
        self.links: dict[Link, None] = {}
        self.made: dict[Link, None] = {}  # of those, from who dialled last
        self.liars: dict[str, None] = {}  # their pieces are wrong
        self.firewalled: dict[str, None] = {}  # nobody can dial them at their bulk doors
        self.mute: dict[str, None] = {}  # nothing that they send over a bulk link arrives
        self.identities: dict[str, Identity] = {}
        self._names: dict[NodeId, str] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._calls = itertools.count(1)

    # --- nodes ------------------------------------------------------------------------------

    def superpeer(self, name: str, config: Config | None = None) -> Seed:
        """A new super-peer, and how a leaf is told of it (without its key)."""
        me, config = self._identity(name), config or Config()
        core = SuperPeer(me, config=config, network=NETWORK, rng=self.rng, version="1")
        self.nodes[name] = core
        self.feed(name, Restored())
        self.feed(name, Bound(self.address(name), None))
        return Seed(f"{name}.example:1214", self.address(name))

    def leaf(
        self,
        name: str,
        *seeds: Seed,
        files: dict[str, bytes] | None = None,
        config: Config | None = None,
        restored: Restored | None = None,
        epoch: int = 1,
        flags: LimitsRecord = NOTHING_SET,
    ) -> Leaf:
        """A new leaf, or the next life of one; `files` are in its share."""
        disk = self.disks.setdefault(name, MemoryDisk())
        disk.let_go()
        if files is not None:
            disk.shares["/share"] = files
        core = Leaf(
            identity=self._identity(name),
            config=config or Config(),
            network=NETWORK,
            rng=Random(self.rng.random()),
            supers=seeds,
            epoch=epoch,
            shares=tuple(disk.shares),
            downloads_dir="/downloads",
            version="1",
            limits=(NOTHING_SET, flags),
        )
        self.nodes[name] = core
        self.feed(name, restored or Restored())
        self.feed(name, Bound(self.address(name), self.address(name, Door.BULK)))
        return core

    def kill(self, name: str) -> None:
        """The node is gone at once; its disk stays."""
        del self.nodes[name]
        for link in [link for link in self.links if name in link[:2]]:
            if link in self.links:
                self._hang_up(*link, "gone")

    def node(self, name: str) -> NodeId:
        """The key of a node."""
        return self._identity(name).node

    def address(self, name: str, door: Door = Door.CONTROL) -> Address:
        """Where a node's door is."""
        number = list(self.identities).index(name) + 1
        return Address.of(f"10.0.0.{number}", 1214 if door is Door.CONTROL else 1215)

    def _identity(self, name: str) -> Identity:
        if name not in self.identities:
            self.identities[name] = Identity(Random(name).randbytes(32))
            self._names[self.identities[name].node] = name
        return self.identities[name]

    # --- people -----------------------------------------------------------------------------

    def ask(self, name: str, method: str, params: msgspec.Struct) -> int:
        """Call a method; the number by which its answer is found."""
        call = next(self._calls)
        self.feed(name, Asked(call, method, params))
        return call

    def leave(self, name: str, call: int) -> None:
        """Nobody waits for this call any more."""
        self.feed(name, AskerLeft(call))

    def outcome(self, call: int) -> object:
        """The result of a call, its `Fail`, or None while there is neither; there is only one."""
        ends: list[object] = []
        for _, effect in self.effects:
            if isinstance(effect, Answer) and effect.call == call:
                ends.append(effect.result)
            elif isinstance(effect, Fail) and effect.call == call:
                ends.append(effect)
        assert len(ends) <= 1
        return ends[0] if ends else None

    def told(self, call: int) -> list[msgspec.Struct]:
        """What a call streamed."""
        tells = [effect for _, effect in self.effects if isinstance(effect, Tell)]
        return [tell.event for tell in tells if tell.call == call]

    def all(self, kind: type[Effect], name: str = "") -> list[Effect]:
        """What nobody performed of this kind, of this node."""
        return [each for who, each in self.effects if isinstance(each, kind) and name in ("", who)]

    # --- time -------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.now + seconds
        while True:
            due = [(core.wakeup(), name) for name, core in self.nodes.items()]
            wakes = [(when, name) for when, name in due if when is not None]
            when, name = min(wakes, default=(float("inf"), ""))
            arrives = self._heap[0][0] if self._heap else float("inf")
            if min(when, arrives) > end:
                break
            if arrives <= when:
                self.now, _, happen = heapq.heappop(self._heap)
                happen()
            else:
                self.now = max(self.now, when)
                self.feed(name, Woke())
        self.now = end

    def feed(self, name: str, event: Event) -> None:
        """Give an event to a node, if it lives, and perform what it wants done."""
        core = self.nodes.get(name)
        if core is not None:
            for effect in core.handle(event, self.now):
                self._perform(name, effect)

    def _later(self, happen: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + DELAY_S, next(self._count), happen))

    # --- effects ----------------------------------------------------------------------------

    def _perform(self, name: str, effect: Effect) -> None:
        disk = self.disks.get(name)
        if isinstance(effect, Send):
            self._send(name, self._names[effect.peer], effect)
        elif isinstance(effect, Dial):
            self._later(lambda: self._dial(name, effect))
        elif isinstance(effect, LetGo) and not self._may_end(name, effect):
            pass
        elif isinstance(effect, Hangup | LetGo):
            self._later(
                lambda: self._hang_up(name, self._names[effect.peer], effect.door, effect.reason)
            )
        elif isinstance(effect, SendDatagram):
            self._later(lambda: self._datagram(name, effect))
        elif isinstance(effect, AskTime):
            self._later(lambda: self.feed(name, TimeTold((self.now + self.clock_s) % WEEK_S)))
        elif disk is not None and disk.performs(effect):
            core = self.nodes[name]
            for event in disk.perform(effect):
                self._later(lambda event=event: self._disk_event(name, core, event))  # type: ignore[misc]
        else:
            self.effects.append((name, effect))
            if isinstance(effect, Exited):
                self.kill(name)

    def _may_end(self, name: str, effect: LetGo) -> bool:
        """Whether a link is of no more use to this node, and its to end, as a `Node` finds."""
        needed = self.nodes[name].needs(effect.peer, effect.door)
        made = (name, self._names[effect.peer], effect.door) in self.made
        return (effect.refuses or made) and not needed

    def _disk_event(self, name: str, core: Leaf | SuperPeer, event: Event) -> None:
        if self.nodes.get(name) is core:  # not what an earlier life asked for
            self.feed(name, event)

    def _datagram(self, name: str, effect: SendDatagram) -> None:
        for to in list(self.nodes):
            if self.address(to) == effect.address:
                self.feed(to, DatagramReceived(self.address(name), effect.message))

    def _dial(self, name: str, dial: Dial) -> None:
        to, door = self._names.get(dial.peer, ""), dial.door
        if name not in self.nodes or (name, to, door) in self.links:
            return
        if to not in self.nodes or (to in self.firewalled and door is Door.BULK):
            self.feed(name, LinkDown(dial.peer, door, "connection refused"))
            return
        self.made.pop((to, name, door), None)
        self.made[name, to, door] = None
        for here, there, inbound in ((name, to, False), (to, name, True)):
            self.links[here, there, door] = None
            bulk = 1215 if isinstance(self.nodes[there], Leaf) else 0
            at, seen = self.address(there, door), self.address(here)
            self.feed(here, LinkUp(self.node(there), door, at, seen, inbound, bulk))
            if here == there:
                return

    def _hang_up(self, name: str, to: str, door: Door, reason: str) -> None:
        for here, there in dict.fromkeys([(name, to), (to, name)]):
            if self.links.pop((here, there, door), self) is None:
                self.feed(here, LinkDown(self.node(there), door, reason))

    def _send(self, name: str, to: str, send: Send) -> None:
        if isinstance(send.message, Bye):
            reason = f"bye: {send.message.reason}"
            self._later(lambda: self._hang_up(name, to, Door.CONTROL, reason))
            return
        door = BY_MESSAGE[type(send.message)].door or Door.CONTROL
        if (name, to, door) not in self.links:
            return
        self.sent.append((name, to, send.message))
        has_data = send.data is not None
        body = wire.frame([wire.encode(send.message)])
        (message,) = wire.decode(body, has_data=has_data)
        data = bytearray(send.data) if send.data is not None else None
        if data is not None and name in self.liars and type(message).__name__ == "Piece":
            data[:: 16 * 1024] = bytes(byte ^ 1 for byte in data[:: 16 * 1024])  # no piece holds
        event = Received(self.node(name), message, None if data is None else memoryview(data))
        self._later(lambda: self._arrive(name, to, door, event))
        if data is not None:
            left = Sent(self.node(to), len(data))
            self._later(lambda: self.feed(name, left))

    def _arrive(self, name: str, to: str, door: Door, event: Received) -> None:
        if (to, name, door) in self.links and not (door is Door.BULK and name in self.mute):
            self.feed(to, event)
