"""A network of super-peers in virtual time, with puppets for leaves.

Everything that a core sends is encoded, delayed by a draw from the seed, decoded and delivered in
order per link; a killed node takes its links with it. Only the cores decide anything: a puppet
says what the test tells it to, and remembers what it is told.
"""

import heapq
import itertools
from collections.abc import Callable
from random import Random

import msgspec
from msgspec.structs import replace as replaced

from common import wire
from common.addresses import Address
from common.config import Config
from common.content.catalogue import Catalogue, Entry, statement
from common.content.merkle import EMPTY_ROOT
from common.core import (
    Answer,
    Asked,
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
    Notify,
    Received,
    Send,
    SendDatagram,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId, node_text
from common.meeting import Seed
from common.messages.cluster import Join, Publish, Put
from common.messages.cluster import Search as SearchMessage
from common.messages.fields import Message
from common.messages.link import Ping
from common.network import Network
from common.storage import RememberPin, RememberSuperPeer, Restored
from common.terms import parse
from superpeer.methods import METHODS
from superpeer.role import SuperPeer

NETWORK = Network("test")
Sent = tuple[str, str, Message]


class Puppet:
    """A leaf that does what it is told; `heard` is what it was sent, in order."""

    def __init__(self, identity: Identity, epoch: int = 1) -> None:
        self.identity = identity
        self.epoch = epoch
        self.catalogue = Catalogue()
        self.generation = 0
        self.joins = 0
        self.heard: list[Message] = []

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Remember messages."""
        if isinstance(event, Received):
            self.heard.append(event.message)
        return []

    def wakeup(self) -> float | None:
        """Never."""
        return None


class World:
    """The nodes by name, the links between them, and what is on its way."""

    def __init__(self, seed: int = 0, delay_s: tuple[float, float] = (0.001, 0.05)) -> None:
        self.rng = Random(seed)
        self.delay_s = delay_s
        self.now = 0.0
        self.nodes: dict[str, SuperPeer | Puppet] = {}
        self.identities: dict[str, Identity] = {}
        self.names: dict[NodeId, str] = {}
        self.addresses: dict[str, Address] = {}
        self.sent: list[Sent] = []  # every message, as it leaves
        self.effects: list[tuple[str, Effect]] = []  # what no network performs
        self.story: list[Sent | tuple[str, Effect]] = []  # both, in order
        self.texts: dict[str, str] = {}  # keys and addresses as people see them -> names
        self.pings: list[bytes] = []  # nonces
        self._dials: list[tuple[str, str]] = []
        self._links: dict[tuple[str, str], float] = {}  # (from, to) -> arrival of the last message
        self._made: dict[tuple[str, str], None] = {}  # of those, from who dialled last
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    # --- nodes ------------------------------------------------------------------------------

    def superpeer(
        self,
        name: str,
        *,
        config: Config | None = None,
        seeds: tuple[Seed, ...] = (),
        pins: tuple[tuple[str, NodeId], ...] = (),
        starts: bool = True,
        mends: bool = False,
        measures: bool = False,
    ) -> SuperPeer:
        """A new super-peer; with `starts` its doors are open at once, without `mends` it has no
        neighbours but its seeds and who comes, and without `measures` it looks at no leaf."""
        identity, config = self._place(name), config or Config()
        if not measures:
            vitals = replaced(config.vitals, dialback_first_s=0.0, records_s=0.0)
            promotion = replaced(config.promotion, look_s=0.0)
            config = replaced(config, vitals=vitals, promotion=promotion)
        if not mends:
            config = replaced(config, overlay=replaced(config.overlay, degree_wanted=0))
        core = SuperPeer(
            identity,
            config=config,
            network=NETWORK,
            rng=Random(f"{name}"),
            seeds=seeds,
        )
        self.nodes[name] = core
        self.feed(name, Restored(pins=pins))
        if starts:
            self.start(name)
        return core

    def start(self, name: str) -> None:
        """Open the doors."""
        self.feed(name, Bound(self.addresses[name], None))

    def leaf(self, name: str, epoch: int = 1) -> Puppet:
        """A new puppet."""
        puppet = Puppet(self._place(name), epoch)
        self.nodes[name] = puppet
        return puppet

    def seed(self, name: str, *, keyed: bool = True) -> Seed:
        """Where `name` is, or will be."""
        node = self._place(name).node
        return Seed(name, self.addresses[name], node if keyed else None)

    def superpeers(
        self, names: list[str], edges: list[tuple[str, str]], config: Config | None = None
    ) -> None:
        """Super-peers joined to one another along `edges`, and time for it to happen."""
        for name in names:
            seeds = tuple(self.seed(other) for one, other in edges if one == name)
            self.superpeer(name, config=config, seeds=seeds, starts=False)
        for name in names:
            self.start(name)
        self.advance(1.0)

    def kill(self, name: str) -> None:
        """Gone without a word; the other ends see their links break."""
        self.nodes.pop(name)
        for one, other in [link for link in self._links if name in link]:
            del self._links[one, other]
            if other != name:
                down = LinkDown(self.identities[name].node, Door.CONTROL, "lost")
                self._later(0.002, lambda to=other, event=down: self.feed(to, event))  # type: ignore[misc]

    def connect(self, one: str, other: str) -> None:
        """A link, up at both ends."""
        self._links[one, other] = self._links[other, one] = self.now
        self._made.pop((other, one), None)
        self._made[one, other] = None
        for name, peer, inbound in ((one, other, False), (other, one, True)):
            address, observed = self.addresses[peer], self.addresses[name]
            node = self.identities[peer].node
            self.feed(name, LinkUp(node, Door.CONTROL, address, observed, inbound, bulk_port=1215))

    def hang_up(self, one: str, other: str, reason: str) -> None:
        """End a link; both ends learn of it at once."""
        for name, peer in ((one, other), (other, one)):
            if self._links.pop((name, peer), None) is not None:
                self.feed(name, LinkDown(self.identities[peer].node, Door.CONTROL, reason))

    def deafen(self, name: str) -> None:
        """From now on nothing reaches this node, though its links stay."""
        self.nodes[name] = Puppet(self.identities[name])

    def core(self, name: str) -> SuperPeer:
        """The super-peer of this name."""
        core = self.nodes[name]
        assert isinstance(core, SuperPeer)
        return core

    def puppet(self, name: str) -> Puppet:
        """The leaf of this name."""
        puppet = self.nodes[name]
        assert isinstance(puppet, Puppet)
        return puppet

    # --- what people do ---------------------------------------------------------------------

    def ask(self, name: str, method: str, **params: object) -> list[object]:
        """Call a method of a super-peer; its answers."""
        before = len(self.answers(name))
        kind = METHODS[method].params
        self.feed(name, Asked(1, method, msgspec.convert(params, kind)))
        return self.answers(name)[before:]

    def answers(self, name: str) -> list[object]:
        """All results of calls so far."""
        return [e.result for one, e in self.effects if one == name and isinstance(e, Answer)]

    @property
    def dials(self) -> int:
        """How often anybody dialled."""
        return len(self._dials)

    def dialled(self, name: str, to: str) -> int:
        """How often one dialled another."""
        return self._dials.count((name, to))

    # --- what leaves do ---------------------------------------------------------------------

    def join(self, leaf: str, parent: str) -> None:
        """Dial the parent if there is no link, and join."""
        puppet = self.puppet(leaf)
        if (leaf, parent) not in self._links:
            self.connect(leaf, parent)
        puppet.joins += 1
        self._send(
            *(leaf, parent),
            Join(puppet.epoch, puppet.generation, len(puppet.catalogue), joins=puppet.joins),
        )

    def publish(self, leaf: str, parent: str, files: dict[str, int], afresh: bool = False) -> None:
        """Put files (name -> size) into fresh slots, and sign; `afresh` sends all slots."""
        puppet = self.puppet(leaf)
        first = len(puppet.catalogue)
        for slot, name in enumerate(files, first):
            puppet.catalogue.put(slot, entry_of(name, files[name]))
        puppet.generation += 1
        puts = [Put(*item) for item in puppet.catalogue.items() if afresh or item[0] >= first]
        self._send(leaf, parent, signed(puppet, tuple(puts), afresh=afresh))

    def search(
        self,
        leaf: str,
        parent: str,
        words: str,
        *,
        guid: bytes = bytes(16),
        wanted: int = 50,
        ttl: int = 10,
        strategy: str = "ring",
    ) -> None:
        """Ask the parent."""
        how = msgspec.convert(strategy, SearchMessage.__annotations__["strategy"])
        self._send(leaf, parent, SearchMessage(guid, parse([words]), wanted, ttl, how))

    def say(self, sender: str, receiver: str, message: Message) -> None:
        """Send anything over a link that is there."""
        self._send(sender, receiver, message)

    # --- time -------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.now + seconds
        while True:
            when, name = min(self._wakeups(), default=(float("inf"), ""))
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
        if name in self.nodes:
            for effect in self.nodes[name].handle(event, self.now):
                self._perform(name, effect)

    # --- the network ------------------------------------------------------------------------

    def _perform(self, name: str, effect: Effect) -> None:
        match effect:
            case Send(peer=peer, message=message):
                self._send(name, self.names[peer], message)
            case Dial(peer=peer):
                self._dials.append((name, self.names[peer]))
                self._later(self._delay(), lambda: self._dialled(name, self.names[peer]))
            case LetGo() if not self._may_end(name, effect):
                pass
            case Hangup(peer=peer, reason=reason) | LetGo(peer=peer, reason=reason):
                last = self._links.get((name, self.names[peer]), self.now)  # what was sent arrives
                after_s = max(self._delay(), last - self.now)
                self._later(after_s, lambda: self.hang_up(name, self.names[peer], reason))
            case SendDatagram(address=address, message=message):
                if isinstance(message, Ping):
                    self.pings.append(message.nonce)
                to = [one for one, place in self.addresses.items() if place == address]
                event = DatagramReceived(self.addresses[name], message)
                for one in to:
                    self._later(self._delay(), lambda one=one: self.feed(one, event))  # type: ignore[misc]
            case Notify() | Answer() | Fail() | Exited() | RememberPin() | RememberSuperPeer():
                self.effects.append((name, effect))
                self.story.append((name, effect))
            case _:
                raise AssertionError(f"no world performs {effect}")

    def _may_end(self, name: str, effect: LetGo) -> bool:
        """Whether a link is of no more use to this node, and its to end, as a `Node` finds."""
        core, to = self.nodes[name], self.names[effect.peer]
        needed = isinstance(core, SuperPeer) and core.needs(effect.peer, Door.CONTROL)
        return (effect.refuses or (name, to) in self._made) and not needed

    def _send(self, sender: str, receiver: str, message: Message) -> None:
        """In order per direction; lost where there is no link now or at the time of arrival."""
        if (sender, receiver) not in self._links:
            return
        (again,) = wire.decode(wire.frame([wire.encode(message)]))
        self.sent.append((sender, receiver, again))
        self.story.append((sender, receiver, again))
        arrival = max(self._links[sender, receiver], self.now + self._delay())
        self._links[sender, receiver] = arrival
        event = Received(self.identities[sender].node, again)

        def deliver() -> None:
            if (sender, receiver) in self._links:
                self.feed(receiver, event)

        self._later(arrival - self.now, deliver)

    def _dialled(self, name: str, to: str) -> None:
        if name not in self.nodes or (name, to) in self._links:
            return
        if to in self.nodes:
            self.connect(name, to)
        else:
            self.feed(name, LinkDown(self.identities[to].node, Door.CONTROL, "refused"))

    def _place(self, name: str) -> Identity:
        if name not in self.identities:
            number = len(self.identities) + 1
            self.identities[name] = identity = Identity(number.to_bytes(32, "big"))
            self.names[identity.node] = name
            self.texts[node_text(identity.node)] = name
            self.addresses[name] = Address.of(f"10.0.{number // 250}.{number % 250 + 1}", 1214)
        return self.identities[name]

    def _wakeups(self) -> list[tuple[float, str]]:
        times = [(node.wakeup(), name) for name, node in self.nodes.items()]
        return [(when, name) for when, name in times if when is not None]

    def _delay(self) -> float:
        return self.rng.uniform(*self.delay_s)

    def _later(self, delay_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay_s, next(self._count), happen))


def neighbours(world: World, name: str) -> list[str]:
    """The names of its neighbours, sorted."""
    (answer,) = world.ask(name, "superpeer.neighbours")
    assert isinstance(answer, list)
    return sorted(world.texts[row.node] for row in answer)


def reached(world: World, start: str) -> list[str]:
    """The names of all that are linked with it, by whatever way, sorted."""
    found, ring = {start: None}, [start]
    while ring:
        beyond = [other for name in ring for other in neighbours(world, name)]
        ring = list(dict.fromkeys(name for name in beyond if name not in found))
        found |= dict.fromkeys(ring)
    return sorted(found)


def entry_of(name: str, size: int = 1) -> Entry:
    """An entry whose content is named by its name, unless it is empty."""
    root = name.encode().ljust(32, b"\0")[:32] if size else EMPTY_ROOT
    return Entry(root, size, name)


def signed(puppet: Puppet, puts: tuple[Put, ...], *, afresh: bool = False) -> Publish:
    """The publication of a leaf's present generation."""
    me, root = puppet.identity, puppet.catalogue.root()
    stated = statement(NETWORK.name, me.node, puppet.generation, root)
    return Publish(puppet.generation, puts, (), me.sign(stated), afresh=afresh)
