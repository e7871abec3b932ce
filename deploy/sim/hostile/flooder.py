"""A leaf that asks without end: searches, locates, joins, publishes, and requests for pieces.

What it says is well-formed and far too much: above its credit, with GUIDs that it used before,
words that nobody has, limits everywhere. As a downloader it asks of whoever has something more
requests than are kept, and such that are no whole pieces.
"""

from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Final

from common.core import Bound, Dial, Effect, Event, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import Guid, NodeId, new_guid
from common.messages.cluster import (
    Forget,
    Locate,
    Publish,
    Published,
    Search,
    SearchHits,
    Sources,
    Strategy,
    Unwish,
    Wish,
)
from common.messages.fields import Contact, Message
from common.messages.swarm import (
    Cancel,
    Have,
    Interested,
    NotInterested,
    Piece,
    Reject,
    Request,
    TreeRequest,
    Unchoke,
)
from common.names import words
from common.terms import Terms
from deploy.sim.hostile.foothold import Membership
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Wares

TURN_S: Final = (0.2, 0.8)
BURST: Final = 12  # messages of a turn, at most
FLOOD: Final = 230  # searches at once, above the largest burst of credit; once in a life
FLOOD_S: Final = 12.0
REMEMBERED_MAX: Final = 40
ASK_S: Final = 0.5


class Flooder:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._nature = nature
        self._rng = nature.rng
        self._wares = Wares(nature)
        self._membership = Membership(nature, self._wares)
        self._words = [word for path in nature.contents for word in words(path)] or ["nothing"]
        self._guids: list[Guid] = []
        self._asked_at: dict[NodeId, float] = {}
        self._files: list[tuple[bytes, int]] = []  # that it heard of
        self._deadlines = Deadlines()
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._membership.handle(event, now)
        if isinstance(event, Bound):
            self._deadlines.set("turn", now + 1.0)
            self._deadlines.set("flood", now + FLOOD_S)
        elif isinstance(event, Received):
            effects += self._received(event.peer, event.message, now)
        elif isinstance(event, LinkUp):
            if event.door is Door.CONTROL:  # before it is anybody's leaf
                return [Send(event.peer, self._search(ttl=0)), *effects]
            effects += self._fetch(event.peer)
        elif isinstance(event, Woke):
            for what in self._deadlines.pop_due(now):
                effects += self._flood() if what == "flood" else self._turn(now)
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._membership.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    # --- towards the parent -----------------------------------------------------------------

    def _turn(self, now: float) -> list[Effect]:
        self._deadlines.set("turn", now + self._rng.uniform(*TURN_S))
        said: list[Message] = []
        for _ in range(self._rng.randint(1, BURST)):
            name = self._rng.choice(list(self._SAYINGS))
            self.done[name] += 1
            said += self._SAYINGS[name](self)
        return self._say(said)

    def _flood(self) -> list[Effect]:
        """As much at once as no credit allows; it goes nowhere but to the parent."""
        self.done["flood"] += 1
        return self._say([self._search(ttl=0) for _ in range(FLOOD)])

    def _say(self, said: list[Message]) -> list[Effect]:
        parent = self._membership.parent
        return [] if parent is None else [Send(parent, message) for message in said]

    def _guid(self) -> Guid:
        guid = new_guid(self._rng)
        self._guids = [*self._guids, guid][-REMEMBERED_MAX:]
        return guid

    def _terms(self) -> Terms:
        garbage = tuple(self._rng.randbytes(4).hex() for _ in range(3))
        asked = self._rng.choice((("x" * 64,) * 64, garbage, (self._rng.choice(self._words),)))
        return Terms(asked, without=self._rng.choice(((), garbage)))

    def _search(self, ttl: int) -> Search:
        strategy: Strategy = "flood" if self._rng.random() < 0.5 else "ring"
        wanted = self._rng.choice((1, 7, 5_000))
        return Search(self._guid(), self._terms(), wanted, ttl, strategy)

    def _searches(self) -> list[Message]:
        return [self._search(self._rng.choice((0, 1, 10)))]

    def _replays(self) -> list[Message]:
        """A GUID that may still be open: with other words, or as a locate."""
        search = self._search(10)
        again = Search(search.guid, self._terms(), 5_000, 10, "flood")
        return [search, again, Locate(search.guid, bytes(32), 0, 10)]

    def _locates(self) -> list[Message]:
        files = [*self._files, (self._rng.randbytes(32), 1), (bytes(32), 0), (bytes(32), 2**53)]
        root, size = self._rng.choice(files)
        return [Locate(self._guid(), root, size, self._rng.choice((0, 10)))]

    def _forgets(self) -> list[Message]:
        """What is open, what is over, what was never ours."""
        return [Forget(self._rng.choice([*self._guids, new_guid(self._rng)])) for _ in range(2)]

    def _joins(self) -> list[Message]:
        return [self._membership.join() for _ in range(self._rng.randint(1, 3))]

    def _publishes(self) -> list[Message]:
        return [*self._wares.publish(), Publish(self._wares.generation)]

    # --- towards other leaves ---------------------------------------------------------------

    def _received(self, peer: NodeId, message: Message, now: float) -> list[Effect]:
        if isinstance(message, Interested):
            return [Send(peer, Reject(message.root, "too_many"))]
        if isinstance(message, SearchHits):
            heard = [(hit.entry.root, hit.entry.size) for hit in message.hits]
            self._files = list(dict.fromkeys([*self._files, *heard]))[-REMEMBERED_MAX:]
            return self._meet([hit.source for hit in message.hits])
        if isinstance(message, Sources):
            return self._meet(list(message.sources))
        if isinstance(message, Unchoke):
            if self._is_time(peer, now):
                return self._ask(peer, message.root)
            return []  # it keeps its slot for as long as it is let
        if isinstance(message, Published) or self._rng.random() < 0.98:
            return []
        return [Send(peer, NotInterested(bytes(32)))]

    def _meet(self, contacts: list[Contact]) -> list[Effect]:
        """Go to somebody who has something, now and then."""
        others = [each for each in contacts if each.node != self._nature.identity.node]
        if not others or self._rng.random() < 0.9:
            return []
        chosen = self._rng.choice(others)
        self.done["leaf dialled"] += 1
        return [Dial(chosen.node, chosen.address, Door.BULK)]

    def _fetch(self, peer: NodeId) -> list[Effect]:
        """Want all that was heard of, and more than there is."""
        files = [*self._files[-8:], (self._rng.randbytes(32), 1)]
        first: Effect = Send(peer, Request(files[0][0], 0, 16_384))  # without a slot
        return [first, *[Send(peer, Interested(root, size)) for root, size in files]]

    def _is_time(self, peer: NodeId, now: float) -> bool:
        """Once a while of each: two that answer at once would go on without time passing."""
        if now < self._asked_at.get(peer, 0.0) + ASK_S:
            return False
        self._asked_at[peer] = now
        return True

    def _ask(self, peer: NodeId, root: bytes) -> list[Effect]:
        """Requests of all kinds; sometimes it goes away then, and mostly it stays."""
        self.done["requests without end"] += 1
        rng, odd = self._rng, self._rng.random()
        said: list[Message] = [Request(root, 16_384 * (n % 60), 16_384) for n in range(80)]
        said += [Cancel(root, 0), Have(root, 2**20 - 1), TreeRequest(root, 0, 1)]
        if odd < 0.3:
            said = [Request(root, rng.choice((1, 2**53)), 2**20)]
        elif odd < 0.5:
            said = [TreeRequest(root, 3, 16_384), TreeRequest(root, 2**20 - 1, 2)]
        if rng.random() < 0.3:
            said.append(NotInterested(root))
        effects: list[Effect] = [Send(peer, each) for each in said]
        if odd > 0.9:
            effects.append(Send(peer, Piece(root, 0), rng.randbytes(100)))
        return effects

    def _wishes(self) -> list[Message]:
        """More than are kept, some under one name, some gone at once."""
        wishes = [Wish(self._guid(), self._terms(), self._rng.random() < 0.5) for _ in range(8)]
        again = Wish(wishes[0].wish, self._terms())
        return [*wishes, again, Unwish(self._rng.choice(self._guids)), Unwish(bytes(16))]

    _SAYINGS: ClassVar[dict[str, Callable[["Flooder"], list[Message]]]] = {
        "search": _searches,
        "replay": _replays,
        "locate": _locates,
        "forget": _forgets,
        "join": _joins,
        "publish": _publishes,
        "wish": _wishes,
    }
