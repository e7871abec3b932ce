"""Can a super-peer be surrounded? The overlay of one, in a world where many want it: one JSON line.

    python -m tests.bench.eclipse [--trials 100] [--days 7] [--seed 1] [--refusing 0.3]

THREATS T6: a quarter of all addresses is hostile and lies in 32 networks of the size /16. Hostile
nodes never leave, accept everybody, ask the victim for a link all the time and say that they have
nobody; they name one another, and each day thousands that do not exist. Honest nodes come and go as
measured in Gnutella (`deploy.churn`), each in a network of its own; `--refusing` of them have been
filled up by the attacker and take nobody; some ask the victim by themselves, and nearly always find
it full. The victim starts again every day with what it remembers.

The victim is the real `superpeer.overlay.overlay`; only the world around it is modelled.
`p_surrounded` is the share of trials in which all its neighbours were hostile at any look (one a
minute, from two minutes after a start on). As that may never happen, `p_model` says how likely it
is if the links by its own lot were independent: the hostile share of them, to the power of how many
there are, averaged over all looks.
"""

import argparse
import heapq
import itertools
import json
import time
from bisect import bisect_right
from collections.abc import Callable
from random import Random
from typing import Final

from common.addresses import Address
from common.config import OverlayConfig
from common.core import DatagramReceived, Dial, Effect, LetGo, LinkUp, Send, SendDatagram
from common.doors import Door
from common.hostcache import ANCHORS, GROUP_MAX
from common.ids import NodeId
from common.meeting import Meeting
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.messages.overlay import Link, Linked, Neighbourhood, Unlinked
from common.network import Network
from common.shell.disk.store import SUPER_PEERS_MAX
from common.storage import RememberSuperPeer
from deploy.churn import timeline
from superpeer.overlay.overlay import Overlay

NETWORK: Final = Network("public")
ME: Final = Contact(b"\xff" * 32, Address.of("9.9.9.9", 1214))
HOSTILE: Final = 250
HOSTILE_GROUPS: Final = 32
ONLINE: Final = 750  # honest ones, on average
PROFILE: Final = "gnutella"
DAY_S: Final = 86_400.0
GOSSIP_S: Final = 1800.0  # between two lists of a neighbour: they change as others come and go
BESIEGE_S: Final = 3600.0  # how often each hostile node asks for a link
VISIT_S: Final = 300.0  # between two honest ones that ask
HOSTILE_AMONG_NAMED: Final = 0.4  # of whom an honest one names: more than the hostile share
RELUCTANT: Final = 0.8  # of honest ones with enough neighbours take nobody that has enough
KNOWN_AT_FIRST: Final = SUPER_PEERS_MAX  # of all addresses, up or not: of the days before
LOOK_S: Final = 60.0
CALM_S: Final = 120.0  # from a start to the first look


class Honest:
    """One that comes and goes; up at first, or not, and then changing at these times."""

    def __init__(self, number: int, contact: Contact, rng: Random, until_s: float) -> None:
        changes = timeline(PROFILE, rng, until_s)
        self.number = number
        self.contact = contact
        self._up_first = changes[0].comes
        self._times = [change.at_s for change in changes[1:]]

    def is_up(self, now: float) -> bool:
        """Whether it is there."""
        return self._up_first == (bisect_right(self._times, now) % 2 == 0)

    def goes_at(self, now: float) -> float:
        """When the session ends that is on."""
        place = bisect_right(self._times, now)
        return self._times[place] if place < len(self._times) else float("inf")


def contact_of(number: int, host: str) -> Contact:
    """A node of this number there."""
    return Contact(number.to_bytes(32, "big"), Address.of(host, 1214))


class Siege:
    """One trial."""

    def __init__(self, seed: str, days: float, refusing: float) -> None:
        self._rng = rng = Random(seed)
        self.now = 0.0
        self._until = days * DAY_S
        groups = rng.sample([(a, b) for a in range(11, 100) for b in range(256)], 8_000)
        self._hostile = [self._of(1 + n, groups[n % HOSTILE_GROUPS]) for n in range(HOSTILE)]
        self._fakes = itertools.count(1_000_000)
        self._honest: list[Honest] = []
        online = 0.0
        for number, group in enumerate(groups[HOSTILE_GROUPS:], 10_000):
            if online >= ONLINE:
                break
            self._honest.append(Honest(number, self._of(number, group), rng, self._until))
            online += self._honest[-1].is_up(0.0)
        self._by_node = {each.contact.node: each for each in self._honest}
        self._hostile_nodes = {each.node: None for each in self._hostile}
        full = rng.sample(self._honest, int(refusing * len(self._honest)))
        self._full = {each.contact.node: None for each in full}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        first = rng.sample([*self._hostile, *(h.contact for h in self._honest)], KNOWN_AT_FIRST)
        self._known: dict[NodeId, Address] = {each.node: each.address for each in first}
        self._life = 0
        self._woken_at = float("inf")
        self.links: dict[NodeId, LinkUp] = {}
        self.overlay: Overlay = self._made()
        self.looks = self.surrounded = self.starts_surrounded = 0
        self.chosen = self.chosen_hostile = self.model = 0.0
        self.degree_max = 0

    def _of(self, number: int, group: tuple[int, int]) -> Contact:
        host = f"{group[0]}.{group[1]}.{self._rng.randrange(256)}.{self._rng.randrange(1, 255)}"
        return contact_of(number, host)

    def _up(self) -> list[Honest]:
        return [each for each in self._honest if each.is_up(self.now)]

    # --- time -------------------------------------------------------------------------------

    def run(self) -> None:
        """All days."""
        day_s = 0.0
        while day_s < self._until:
            self._later(day_s - self.now, self._start)
            day_s += DAY_S
        while self._heap and self._heap[0][0] <= self._until:
            self.now, _, happen = heapq.heappop(self._heap)
            happen()

    def _later(self, pause_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + pause_s, next(self._count), happen))

    def _start(self) -> None:
        """The victim starts, with what it remembers of earlier lives."""
        if self._life:
            self._perform(self.overlay.stop())
        self._life += 1
        self._woken_at = float("inf")
        self.links = {}
        self.overlay = self._made()
        self.overlay.cache.restore(list(reversed(self._known.items())))
        self._perform(self.overlay.start(self.now))
        life = self._life
        for each in self._hostile:  # they wait for it
            self._repeat(life, self._rng.uniform(0.0, 1.0), BESIEGE_S, self._besieger(each))
        self._repeat(life, self._rng.uniform(0.0, VISIT_S), VISIT_S, self._visit)
        self._repeat(life, CALM_S, LOOK_S, self._look)

    def _made(self) -> Overlay:
        rng = Random(self._rng.random())
        return Overlay(
            ME.node,
            config=OverlayConfig(),
            rng=rng,
            links=self.links,
            meeting=Meeting(NETWORK, rng),
            seeds=(),
            on_linked=lambda _peer, _now: [],
            on_parted=lambda _peer, _now: [],
        )

    def _repeat(self, life: int, first_s: float, pause_s: float, do: Callable[[], None]) -> None:
        """Again and again as long as this life lasts."""

        def again() -> None:
            if life == self._life:
                do()
                self._later(pause_s * self._rng.uniform(0.8, 1.2), again)

        self._later(first_s, again)

    # --- the others ---------------------------------------------------------------------------

    def _besieger(self, each: Contact) -> Callable[[], None]:
        def besiege() -> None:
            if each.node not in self.overlay.neighbours:
                self._connect(each, inbound=True)
                self._tell(self.overlay.on_link(each.node, Link(0, (), b"", 0, 1), self.now))
                self._gossip_later(each)

        return besiege

    def _visit(self) -> None:
        """An honest one asks; it says truly that it has enough, or that it has not."""
        each = self._rng.choice(self._up()).contact
        if each.node not in self.links:
            self._connect(each, inbound=True)
            chosen = self._rng.choice((3, 6))
            self._tell(
                self.overlay.on_link(each.node, Link(0, self._named(each), b"", chosen), self.now)
            )
            self._gossip_later(each)

    def _named(self, teller: Contact) -> tuple[Contact, ...]:
        """Whom it says are its neighbours."""
        rng = self._rng
        if teller.node in self._hostile_nodes:
            fakes = [next(self._fakes) for _ in range(12)]
            made = [self._of(n, (rng.randrange(11, 100), rng.randrange(256))) for n in fakes]
            return tuple(rng.sample([*rng.sample(self._hostile, 20), *made], 32))
        count = sum(rng.random() < HOSTILE_AMONG_NAMED for _ in range(12))
        honest = rng.sample(self._honest, 40)
        up = [each.contact for each in honest if each.is_up(self.now)][: 12 - count]
        return (*rng.sample(self._hostile, count), *up)

    def _gossip_later(self, each: Contact) -> None:
        life = self._life

        def gossip() -> None:
            if life == self._life and each.node in self.overlay.neighbours:
                news = Neighbourhood(0, self._named(each))
                self._tell(self.overlay.on_neighbourhood(each.node, news, self.now))
                self._later(GOSSIP_S, gossip)

        self._later(GOSSIP_S * self._rng.random(), gossip)

    def _connect(self, each: Contact, *, inbound: bool) -> None:
        if each.node in self.links:
            return
        link = LinkUp(each.node, Door.CONTROL, each.address, ME.address, inbound, bulk_port=0)
        self.links[each.node] = link
        honest, life = self._by_node.get(each.node), self._life
        if honest is not None:
            goes_s = honest.goes_at(self.now) - self.now
            self._later(goes_s, lambda: self._cut(each.node, life))
        self._tell(self.overlay.linked(link, self.now))

    def _cut(self, node: NodeId, life: int) -> None:
        if life == self._life and self.links.pop(node, None) is not None:
            self._tell(self.overlay.link_lost(node, self.now, was_up=True))

    # --- the victim ---------------------------------------------------------------------------

    def _tell(self, effects: list[Effect]) -> None:
        """Do what the victim wants done."""
        self._perform(effects)
        self._wake_later()

    def _wake_later(self) -> None:
        when, life = self.overlay.wakeup(), self._life
        if when is not None and when < self._woken_at:
            self._woken_at = when
            self._later(max(when - self.now, 0.0), lambda: self._wake(life, when))

    def _wake(self, life: int, meant: float) -> None:
        if life == self._life and meant == self._woken_at:
            self._woken_at = float("inf")
            self._tell(self.overlay.due(self.now))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Dial(peer=peer, address=address):
                    contact, life = Contact(peer, address), self._life
                    self._later(0.1, lambda c=contact, n=life: self._dialled(c, n))  # type: ignore[misc]
                case Send(peer=peer, message=Link() as link):
                    life = self._life
                    self._later(0.1, lambda p=peer, m=link, n=life: self._asked(p, m, n))  # type: ignore[misc]
                case LetGo(peer=peer) if peer in self.links:
                    if not self.links[peer].inbound and not self.overlay.needs(peer):
                        del self.links[peer]
                        self._tell(self.overlay.link_lost(peer, self.now, was_up=True))
                case Send(peer=peer, message=Unlinked(leaving=False)):
                    inbound = peer in self.links and self.links[peer].inbound
                    if inbound and peer not in self.overlay.neighbours:
                        self._later(0.1, lambda p=peer, n=self._life: self._cut(p, n))  # type: ignore[misc]
                case SendDatagram(address=address, message=Ping(nonce=nonce)):
                    self._pinged(address, nonce)
                case RememberSuperPeer(node=node, address=address):
                    self._known.pop(node, None)
                    self._known[node] = address
                    if len(self._known) > SUPER_PEERS_MAX:
                        del self._known[next(iter(self._known))]
                case _:
                    pass
        if effects:
            self._wake_later()

    def _is_there(self, node: NodeId) -> bool:
        honest = self._by_node.get(node)
        return node in self._hostile_nodes or (honest is not None and honest.is_up(self.now))

    def _dialled(self, contact: Contact, life: int) -> None:
        if life != self._life:
            return
        if self._is_there(contact.node):
            self._connect(contact, inbound=False)
        else:
            self._tell(self.overlay.link_lost(contact.node, self.now, was_up=False))

    def _asked(self, peer: NodeId, link: Link, life: int) -> None:
        """One that the victim asked answers."""
        if life != self._life or peer not in self.links:
            return
        contact = Contact(peer, self.links[peer].address)
        if peer in self._hostile_nodes or self._takes(peer, link):
            linked = Linked(0, self._named(contact))
            self._tell(self.overlay.on_linked(peer, linked, self.now))
            self._gossip_later(contact)
        else:
            named = self._named(contact)
            self._tell(self.overlay.on_unlinked(peer, Unlinked(named), self.now))

    def _takes(self, peer: NodeId, link: Link) -> bool:
        """Whether an honest one takes the victim, by the rule of `superpeer.overlay.places`."""
        if peer in self._full:
            return False
        chose_few = link.chosen is not None and link.chosen < OverlayConfig().degree_min
        return chose_few or self._rng.random() >= RELUCTANT

    def _pinged(self, address: Address, nonce: bytes) -> None:
        """Hostile ones are always nearer."""
        node = next((n for n, a in self._known.items() if a == address), None)
        if node is None or not self._is_there(node):
            return
        pong = Pong(nonce, "public", node, Contact(node, address), 0, 0, 0, ME.address)
        after_s, life = 0.01 if node in self._hostile_nodes else 0.1, self._life

        def arrive() -> None:
            if life == self._life:
                self._tell(self.overlay.on_pong(DatagramReceived(address, pong), self.now))

        self._later(after_s, arrive)

    def _look(self) -> None:
        """How does the victim stand?"""
        neighbours = self.overlay.neighbours
        hostile = [peer in self._hostile_nodes for peer in neighbours]
        chosen = [peer in self._hostile_nodes for peer, each in neighbours.items() if each.chosen]
        self.looks += 1
        self.surrounded += all(hostile)
        self.chosen += len(chosen)
        self.chosen_hostile += sum(chosen)
        self.degree_max = max(self.degree_max, len(neighbours))


def main() -> None:
    """Run the trials and print the figures."""
    asked = argparse.ArgumentParser(description="Can a super-peer be surrounded?")
    asked.add_argument("--trials", type=int, default=100)
    asked.add_argument("--days", type=float, default=7.0)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--refusing", type=float, default=0.3)
    options = asked.parse_args()
    began = time.monotonic()
    sieges = []
    for trial in range(options.trials):
        siege = Siege(f"{options.seed}/{trial}", options.days, options.refusing)
        siege.run()
        sieges.append(siege)
    looks = sum(each.looks for each in sieges)
    chosen = sum(each.chosen for each in sieges)
    share = sum(each.chosen_hostile for each in sieges) / max(chosen, 1.0)
    links = chosen / max(looks, 1)
    figures = {
        "bench": "eclipse",
        "trials": options.trials,
        "days": options.days,
        "refusing": options.refusing,
        "p_surrounded": sum(each.surrounded > 0 for each in sieges) / options.trials,
        "share_of_time": sum(each.surrounded for each in sieges) / max(looks, 1),
        "looks": looks,
        "hostile_share_of_chosen": round(share, 4),
        "chosen_links": round(links, 2),
        "p_model": share**links,
        "degree_max": max(each.degree_max for each in sieges),
        "anchors": ANCHORS,
        "group_max": GROUP_MAX,
        "wall_s": round(time.monotonic() - began, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
