"""A leaf that publishes what is not there, under the words that people look for.

Most of it is made up and duly signed: popular names over random roots, true roots with wrong sizes,
hostile names. Between that it tries what a super-peer must refuse: foreign and missing signatures,
slots out of range, generations that stand still or fall, staged changes without an end. After each
it comes back with a good catalogue, so that it always has something in the index.
"""

from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Final

from common.content.catalogue import Entry
from common.core import Bound, Effect, Event, Received, Send, Woke
from common.deadlines import Deadlines
from common.limits import FILE_SIZE_MAX
from common.messages.cluster import Join, Publish, Put
from common.messages.fields import Message
from common.messages.swarm import Bitfield, Interested, Reject, Unchoke
from common.names import words
from deploy.sim.hostile.foothold import Membership
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Ware, Wares

ENTRIES: Final = 90  # fewer than a search of all takes, so that others still have room
BURIES_OTHERS: Final = False  # see `_claims`
BURYING: Final = 1_000
HOLDS_TURNS: Final = False  # see `Poisoner._received`
GAME_S: Final = (0.7, 2.5)
WORDS: Final = ("blue", "night", "train", "river", "stone", "list", "en", "größe", "夜", "new")
NAMES: Final = ("../../etc/passwd", "con.txt", ".hidden", "a\u202egnp.exe", "\u2028", "x" * 255)
SIZES: Final = (1, 16_384, 16_385, 2**31, FILE_SIZE_MAX)


class Poisoner:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._nature = nature
        self._rng = nature.rng
        self._wares = Wares(nature)
        self._claims()
        self._membership = Membership(nature, self._wares)
        self._deadlines = Deadlines()
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._membership.handle(event, now)
        if isinstance(event, Bound):
            self._deadlines.set("game", now + self._rng.uniform(*GAME_S))
        elif isinstance(event, Received):
            effects += self._received(event)
        elif isinstance(event, Woke) and self._deadlines.pop_due(now):
            self._deadlines.set("game", now + self._rng.uniform(*GAME_S))
            effects += self._play()
        return effects

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._membership.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    # --- what it claims ---------------------------------------------------------------------

    def _claims(self) -> None:
        """Bogus entries. With `BURIES_OTHERS` so many of each word that no other leaf of the same
        super-peer is found by it: hits go in the order in which they were published, up to what
        is wanted, and nothing keeps a share for others."""
        rng = self._rng
        popular = [*WORDS, *[word for path in self._nature.contents for word in words(path)]]
        for number in range(BURYING if BURIES_OTHERS else ENTRIES):
            name = " ".join(rng.sample(popular, min(3, len(popular)))) + f" {number}.ogg"
            size = rng.choice((rng.randrange(1, 10**6), rng.choice(SIZES)))
            self._wares.claim(Entry(rng.randbytes(32), size, name, rng.choice(popular)))
        for path, data in self._nature.contents.items():
            wrong = max(len(data) + rng.choice((-1, 1, 16_384)), 0)
            self._wares.claim(Entry(Ware(data).tree.root, wrong, path.rpartition("/")[2]))
        for name in NAMES:
            self._wares.claim(Entry(rng.randbytes(32), 1, name[:120], "/".join(["d"] * 32)))

    # --- what it tries ----------------------------------------------------------------------

    def _play(self) -> list[Effect]:
        """One game, and in most cases the good catalogue behind it."""
        parent = self._membership.parent
        if parent is None:
            return []
        name = self._rng.choice(list(self._GAMES))
        self.done[name] += 1
        said = self._GAMES[name](self)
        if self._rng.random() < 0.7:
            said += self._wares.publish()
        return [Send(parent, message) for message in said]

    def _entry(self) -> Entry:
        return Entry(self._rng.randbytes(32), 1, f"{self._rng.choice(WORDS)} game.txt")

    def _forged(self) -> list[Message]:
        self._wares.generation += 1
        put = (Put(0, self._entry()),)
        return [Publish(self._wares.generation, put, signature=self._rng.randbytes(64))]

    def _foreign(self) -> list[Message]:
        """A signature of ours, over another catalogue."""
        signature = self._wares.signature()
        put = (Put(self._rng.randrange(3), self._entry()),)
        return [Publish(self._wares.generation + 1, put, signature=signature)]

    def _unsigned(self) -> list[Message]:
        slots = range(300, 300 + self._rng.randint(1, 40))
        puts = tuple(Put(slot, self._entry()) for slot in slots)
        return [Publish(self._wares.generation + 1, puts) for _ in range(3)]

    def _beyond(self) -> list[Message]:
        return [Publish(self._wares.generation + 1, (Put(19_999, self._entry()),), (19_998,))]

    def _far_beyond(self) -> list[Message]:
        """Not even the wire takes that slot."""
        return [Publish(self._wares.generation + 1, (Put(20_000, self._entry()),))]

    def _deep(self) -> list[Message]:
        entry = Entry(bytes(32), 1, "deep.txt", "/".join(["d"] * 33))
        return [Publish(self._wares.generation + 1, (Put(0, entry),))]

    def _hollow(self) -> list[Message]:
        """Nothing at all, under the root of something."""
        self._wares.generation += 1
        put = Put(0, Entry(self._rng.randbytes(32), 0, f"{self._rng.choice(WORDS)} hollow.txt"))
        return [Publish(self._wares.generation, (put,), signature=self._wares.signature())]

    def _standing(self) -> list[Message]:
        return [Publish(self._wares.generation, signature=self._wares.signature())]

    def _falling(self) -> list[Message]:
        return [Publish(self._rng.choice((0, 1, 2**20)), signature=self._wares.signature())]

    def _topmost(self) -> list[Message]:
        return [Publish(2**53, drops=(0, 1), signature=self._rng.randbytes(64))]

    def _emptied(self) -> list[Message]:
        drops = tuple(slot for slot, _ in self._wares.catalogue.items())
        return [Publish(self._wares.generation + 1, drops=drops)]

    def _reborn(self) -> list[Message]:
        """Another life, or the same with less than it had."""
        epoch = self._rng.choice((0, self._nature.epoch, self._nature.epoch + 1, 2**53))
        return [Join(epoch, self._rng.choice((0, 2**53)), self._rng.choice((0, 2**53)))]

    # --- who comes to fetch -----------------------------------------------------------------

    def _received(self, event: Received) -> list[Effect]:
        """Who believed it is turned away; with `HOLDS_TURNS` it is kept hoping.

        A download that is linked with anybody takes one of the few turns, whatever comes of the
        link, so wishes for what is not there would keep those for what is there waiting.
        """
        message, peer = event.message, event.peer
        if isinstance(message, Interested):
            self.done["wanted"] += 1
            root = message.root
            if not HOLDS_TURNS:
                return [Send(peer, Reject(root, self._rng.choice(("gone", "not_here", "disk"))))]
            return [Send(peer, Bitfield(root)), Send(peer, Unchoke(root))]
        return []

    _GAMES: ClassVar[dict[str, Callable[["Poisoner"], list[Message]]]] = {
        "forged signature": _forged,
        "foreign signature": _foreign,
        "unsigned": _unsigned,
        "slot beyond": _beyond,
        "slot far beyond": _far_beyond,
        "folder too deep": _deep,
        "hollow": _hollow,
        "generation stands": _standing,
        "generation falls": _falling,
        "generation at the top": _topmost,
        "emptied unsigned": _emptied,
        "reborn": _reborn,
    }
