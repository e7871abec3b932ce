"""A leaf that promises and never brings: it costs others their links and their patience.

It shares true contents and takes everybody in. To each wish it is one of: mute, unchoking without
an answer, choking for ever, without a piece, changing its mind all the time, or honest at one piece
in a long while. And it names leaves that are not there, as many as a message holds.
"""

from collections import Counter
from random import Random
from typing import Final

from common.addresses import Address
from common.content.merkle import piece_count
from common.core import Effect, Event, LinkDown, Received, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from common.limits import PEERS_TOLD_MAX
from common.messages.fields import Contact
from common.messages.swarm import (
    Bitfield,
    Choke,
    Interested,
    NotInterested,
    Peers,
    Piece,
    Reject,
    Request,
    TreeHashes,
    TreeRequest,
    Unchoke,
)
from deploy.sim.hostile.foothold import Membership
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Wares

DRIP_S: Final = (15.0, 60.0)  # between two pieces
WAVER_S: Final = 1.5  # between choke and unchoke
HOLDS_LINKS: Final = False  # see `Staller._interested`
WAYS: Final = ("mute", "never", "never", "drip")
HOLDING: Final = ("choking", "empty", "wavering")

NETWORKS: Final = ("10.250", "93.184")  # private and public

Wish = tuple[NodeId, bytes]


class Staller:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._rng = nature.rng
        self._wares = Wares(nature)
        self._membership = Membership(nature, self._wares)
        self._ways: dict[Wish, str] = {}
        self._asked: dict[Wish, Request] = {}  # the last of each that drips
        self._unchoked: dict[Wish, bool] = {}  # of those that waver
        self._deadlines = Deadlines()
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._membership.handle(event, now)
        if isinstance(event, Received):
            effects += self._received(event.peer, event, now)
        elif isinstance(event, LinkDown) and event.door is Door.BULK:
            for wish in [wish for wish in self._ways if wish[0] == event.peer]:
                self._forget(wish)
        elif isinstance(event, Woke):
            for due in self._deadlines.pop_due(now):
                effects += self._due(due, now) if isinstance(due, tuple) else []
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._membership.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    def _forget(self, wish: Wish) -> None:
        self._ways.pop(wish, None)
        self._asked.pop(wish, None)
        self._unchoked.pop(wish, None)
        self._deadlines.cancel(wish)

    def _received(self, peer: NodeId, event: Received, now: float) -> list[Effect]:
        message = event.message
        if isinstance(message, Interested):
            return self._interested(peer, message, now)
        if isinstance(message, NotInterested):
            self._forget((peer, message.root))
        elif isinstance(message, TreeRequest):
            return self._tree(peer, message)
        elif isinstance(message, Request):
            self._asked[peer, message.root] = message
            self.done["request ignored"] += 1
        return []

    def _interested(self, peer: NodeId, message: Interested, now: float) -> list[Effect]:
        """Take the wish in, one way or another.

        With `HOLDS_LINKS` also so that the other end has no claim that could run out: a source that
        chokes, shows no piece, or changes its mind is never given up, and where a download may have
        one link or two, it reaches no other source.
        """
        root, wish = message.root, (peer, message.root)
        if not self._wares.has(root, message.size):
            return [Send(peer, Reject(root, "not_here"))]
        way = self._ways[wish] = self._rng.choice((*WAYS, *HOLDING) if HOLDS_LINKS else WAYS)
        self.done[way] += 1
        if way == "mute":
            return []
        named = Send(peer, Peers(root, _nobody(peer + root)))
        if way == "choking":
            return [Send(peer, Bitfield(root)), Send(peer, Choke(root)), named]
        if way == "empty":
            nothing = bytes(-(-piece_count(message.size) // 8))
            return [Send(peer, Bitfield(root, nothing)), Send(peer, Unchoke(root))]
        if way != "never":
            self._unchoked[wish] = True
            pause_s = WAVER_S if way == "wavering" else self._rng.uniform(*DRIP_S)
            self._deadlines.set(wish, now + pause_s)
        return [Send(peer, Bitfield(root)), Send(peer, Unchoke(root)), named]

    def _tree(self, peer: NodeId, message: TreeRequest) -> list[Effect]:
        ware = self._wares.wares.get(message.root)
        true = ware.hashes(message.first, message.count) if ware else None
        if true is None or self._ways.get((peer, message.root)) == "mute":
            return []
        if self._rng.random() < 0.2:
            self.done["hashes ignored"] += 1
            return []
        return [Send(peer, TreeHashes(message.root, message.first, true[1]), true[0])]

    def _due(self, wish: Wish, now: float) -> list[Effect]:
        peer, root = wish
        if self._ways.get(wish) == "wavering":
            self._deadlines.set(wish, now + WAVER_S)
            unchoked = self._unchoked[wish] = not self._unchoked[wish]
            return [Send(peer, Unchoke(root) if unchoked else Choke(root))]
        self._deadlines.set(wish, now + self._rng.uniform(*DRIP_S))
        request, ware = self._asked.pop(wish, None), self._wares.wares.get(root)
        if request is None or ware is None:
            return []
        self.done["piece at last"] += 1
        data = ware.data[request.offset : request.offset + request.length]
        return [Send(peer, Piece(root, request.offset), data)]


def _nobody(seed: bytes) -> tuple[Contact, ...]:
    """Leaves that are not there, in two scopes; the same ones for the same wish."""
    rng, named = Random(seed), []
    for _ in range(PEERS_TOLD_MAX):
        place = f"{rng.choice(NETWORKS)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        named.append(Contact(rng.randbytes(32), Address.of(place, 1214)))
    return tuple(named)
