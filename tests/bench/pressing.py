"""A process of raw leaves that press one super-peer with searches, as the bench tells it.

`press` keeps a number of searches open for each leaf (a closed loop: what the super-peer can do),
`pace` sends at a rate whatever comes back (an open loop: how long answers take; the time counts
from when a search was due). Between two orders the leaves echo.
"""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import zmq

from common import wire
from common.addresses import Address
from common.content.catalogue import Entry
from common.limits import WORD_CHARS_MAX
from common.messages.cluster import SearchDone, SearchHits
from common.terms import Terms, entry_words
from tests.bench.rawleaf import RawLeaf, body

ECHO_S: Final = 0.8
JOINING: Final = 25  # leaves between two echoes of the others
LAST_S: Final = 5.0  # for the last answers
SOCKETS: Final = 4_096
SEEN_EVERY: Final = 64  # frames of which one is decoded, for the number of hits


class Order(NamedTuple):
    """What the leaves of a process are to do; `rate` 0 is a closed loop."""

    leaves: int  # of this process, the first
    seconds: float
    per_frame: int
    wanted: int
    window: int = 16  # frames open for each leaf
    rate: float = 0.0  # searches a second of this process
    kind: str = "words"  # or "rare"


Figures = dict[str, Any]


class Pressers:
    """The leaves of one process, and the searches that they draw from."""

    def __init__(self, node: bytes, place: Address, leaves: int, names: str, seed: int) -> None:
        self._files = entries(names)  # before the links, which want their hello at once
        self._context = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, SOCKETS)
        self.leaves = [RawLeaf(self._context, node, place, os.urandom(32)) for _ in range(leaves)]
        self._parent = (node, place)
        self._rng = Random(seed)
        self._bodies: dict[tuple[str, int], list[bytes]] = {}

    def join(self, entries_of: int) -> None:
        """All of them, one after the other; each waits for its welcome."""
        for leaf in self.leaves:
            leaf.greet(entries_of)
        for leaf in self.leaves:
            leaf.welcomed()

    def more(self, leaves: int) -> None:
        """So many leaves more, which share nothing."""
        for first in range(0, leaves, JOINING):
            added = []
            for _ in range(first, min(first + JOINING, leaves)):
                added.append(RawLeaf(self._context, *self._parent, os.urandom(32)))
                added[-1].greet(0)
            for leaf in added:
                leaf.welcomed()
            self.leaves += added
            self.echo()

    def less(self, leaves: int) -> None:
        """So many of them go, those that came last."""
        for leaf in self.leaves[-leaves:]:
            leaf.close()
        del self.leaves[-leaves:]

    def publish(self, files: int) -> int:
        """Each leaf its share of the names."""
        for number, leaf in enumerate(self.leaves):
            leaf.publish(self._files[number * files : (number + 1) * files])
            self.echo()
        return len(self._files)

    def echo(self) -> None:
        """All of them; they also hear what their credit is now."""
        for leaf in self.leaves:
            leaf.listen()
            leaf.echo()

    def bodies(self, kind: str, wanted: int, count: int = 4_000) -> list[bytes]:
        """Searches for two words of a file that is there; `rare`: of which one seldom stands."""
        key = (kind, wanted)
        if key not in self._bodies:
            made: list[bytes] = []
            while len(made) < count:
                there = [
                    word for word in entry_words(self._rng.choice(self._files)) if word.isascii()
                ]
                if len(there) >= 2:
                    pair = self._rng.sample(there, 2)
                    if kind == "rare":
                        pair[1] = pair[1][: WORD_CHARS_MAX - 2] + "zq"
                    made.append(body(Terms(tuple(pair)), wanted))
            self._bodies[key] = made
        return self._bodies[key]

    def carry_out(self, order: Order) -> Figures:
        """Press or pace; what came of it."""
        bodies = self.bodies(order.kind, order.wanted)
        run = _Run(self.leaves[: order.leaves], bodies, order, self._rng)
        for leaf in self.leaves[order.leaves :]:
            leaf.echo()
        return run.figures(self.leaves[order.leaves :])


class _Run:
    """One order while it is carried out."""

    def __init__(
        self, leaves: list[RawLeaf], bodies: list[bytes], order: Order, rng: Random
    ) -> None:
        self._leaves = leaves
        self._bodies = bodies
        self._order = order
        self._rng = rng
        self._took: list[float] = []
        self._ended = self._sent = self._size = 0
        self._hits: list[int] = []
        self._frames = 0
        self._echoed = 0.0
        self._presses = False  # whether each answer is followed by the next search
        self._by_socket = {leaf.socket: leaf for leaf in leaves}
        self._poller = zmq.Poller()
        for leaf in leaves:
            self._poller.register(leaf.socket, zmq.POLLIN)

    def figures(self, idle: list[RawLeaf]) -> Figures:
        """Until the time is over, and a little more for what is still open."""
        order, began = self._order, time.perf_counter()
        self._echo(idle)
        self._presses = not order.rate
        for leaf in self._leaves if self._presses else ():
            self._fill(leaf, began)
        while (now := time.perf_counter()) - began < order.seconds:
            if order.rate:
                self._pace(now, began)
            self._take(1 if order.rate else 20)
            if now - self._echoed > ECHO_S:
                self._echo(idle)
        cut_at = self._ended
        self._presses = False
        while any(leaf.open for leaf in self._leaves) and time.perf_counter() - now < LAST_S:
            self._take(50)
            if time.perf_counter() - self._echoed > ECHO_S:
                self._echo(idle)
        return {
            "sent": self._sent,
            "ended": cut_at,
            "unanswered": sum(len(leaf.open) for leaf in self._leaves),
            "seconds": now - began,
            "bytes": self._size,
            "took": sorted(self._took),
            "hits": self._hits,
        }

    def _echo(self, idle: list[RawLeaf]) -> None:
        self._echoed = time.perf_counter()
        for leaf in [*self._leaves, *idle]:
            leaf.echo()

    def _fill(self, leaf: RawLeaf, now: float) -> None:
        """As many frames as its credit and the order allow."""
        per_frame = self._order.per_frame
        most = min(self._order.window, leaf.credit // per_frame)
        for _ in range(most - -(-len(leaf.open) // per_frame)):
            self._ask(leaf, now)

    def _pace(self, now: float, began: float) -> None:
        order = self._order
        while (due := began + self._sent / order.rate) <= now:
            leaf = self._leaves[self._sent // order.per_frame % len(self._leaves)]
            if len(leaf.open) + order.per_frame > leaf.credit:
                return  # it waits, as a leaf does; the time counts from when it was due
            self._ask(leaf, due)

    def _ask(self, leaf: RawLeaf, due: float) -> None:
        leaf.ask(self._rng.choices(self._bodies, k=self._order.per_frame), due)
        self._sent += self._order.per_frame

    def _take(self, wait_ms: int) -> None:
        for socket, _ in self._poller.poll(wait_ms):
            leaf, now = self._by_socket[socket], time.perf_counter()
            ended, size, frame = leaf.taken(now, self._took)
            if self._presses:
                self._fill(leaf, now)
            self._ended += ended
            self._size += size
            self._frames += 1
            if self._frames % SEEN_EVERY == 0 and ended:
                self._hits.append(_hits(frame))


def _hits(frame: bytes) -> int:
    """How many hits stand in a frame, for each search that ends in it."""
    messages = wire.decode(frame)
    found = sum(len(each.hits) for each in messages if isinstance(each, SearchHits))
    return found // max(1, sum(isinstance(each, SearchDone) for each in messages))


def entries(names: str) -> list[Entry]:
    """Files at the paths that stand in a file; each a content of its own."""
    files = []
    for number, path in enumerate(Path(names).read_text().splitlines()):
        folder, _, name = path.rpartition("/")
        files.append(
            Entry(sha256(path.encode()).digest(), 1_000 + number, name, folder, 1_700_000_000)
        )
    return files


def process(
    pipe: Connection, node: bytes, place: Address, leaves: int, names: str, seed: int
) -> None:
    """One process of them: obeys until it is told None."""
    pressers = Pressers(node, place, leaves, names, seed)
    orders: dict[str, Callable[..., Any]] = {
        "join": pressers.join,
        "more": pressers.more,
        "less": pressers.less,
        "publish": pressers.publish,
        "search": pressers.carry_out,
    }
    while True:
        if not pipe.poll(ECHO_S):
            if pressers.leaves[0].credit:
                pressers.echo()
            continue
        told = pipe.recv()
        if told is None:
            return
        pipe.send(orders[told[0]](*told[1:]))
