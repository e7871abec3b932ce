"""What our neighbours have, and what lies beyond them: whom a query can spare.

Every super-peer tells its neighbours the digest of its index, and tells each of them the union of
what the others told (an attenuated digest of depth two: Rhea and Kubiatowicz 2002). So before
anything is sent we know which neighbour has nothing to say, and behind which there is nothing. The
invariant: what we do not know, or not wholly, rules nothing out; so a digest may cost a message,
never a result.

What changes is told at once, or together with what else changes within a moment. Nothing here knows
what a query asks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from pyroaring import BitMap

from common.config import DigestConfig
from common.core import Effect, Hangup, Send
from common.deadlines import Deadlines
from common.digest import PATCH_PLACES_MAX, CountedPlaces, pack_places, unpack_places
from common.doors import Door
from common.errors import RemoteProtocolError
from common.ids import NodeId
from common.messages.overlay import Digest

_TELLINGS: Final = 3  # gathered, told, told on: each waits for the one before
_OWN: Final = b""  # instead of a neighbour, in a deadline: our own index


class _Told:
    """One digest, as a neighbour tells it to us."""

    __slots__ = ("places", "whole")

    def __init__(self) -> None:
        self.places = BitMap()
        self.whole = False

    def take(self, message: Digest) -> tuple[BitMap, BitMap]:
        """Apply a patch; what it set and cleared. Raises RemoteProtocolError."""
        before = self.places
        kept = BitMap() if message.afresh else before
        self.places = (kept | unpack_places(message.added)) - unpack_places(message.cleared)
        self.whole = not message.more
        return self.places - before, before - self.places

    def rules_out(self, places: Iterable[int]) -> bool:
        """Whether one of the places that a hit must have is surely not set."""
        return self.whole and not all(place in self.places for place in places)


class _Telling:
    """One digest, as we tell it to a neighbour: what it has not been told yet."""

    __slots__ = ("_added", "_afresh", "_beyond", "_cleared", "_more")

    def __init__(self, places: BitMap, *, beyond: bool) -> None:
        self._beyond = beyond
        self._added = places
        self._cleared = BitMap()
        self._afresh = True
        self._more = True  # what the last patch said

    def change(self, added: BitMap, cleared: BitMap) -> None:
        """These were set and cleared since; what was not told yet may cancel out."""
        undone, redone = self._added & cleared, self._cleared & added
        self._added = (self._added - cleared) | (added - redone)
        self._cleared = (self._cleared - added) | (cleared - undone)

    def patch(self, *, whole: bool) -> Digest | None:
        """The next patch, if there is one; `whole`: we know all that the digest is made of."""
        added, self._added = _parted(self._added, PATCH_PLACES_MAX)
        cleared, self._cleared = _parted(self._cleared, PATCH_PLACES_MAX - len(added))
        more = bool(self._added) or not whole  # what is still to be cleared costs messages only
        if not (added or cleared or self._afresh or more != self._more):
            return None
        afresh, self._afresh, self._more = self._afresh, False, more
        return Digest(self._beyond, pack_places(added), pack_places(cleared), afresh, more)

    @property
    def waiting(self) -> bool:
        """Whether something is left to tell."""
        return bool(self._added or self._cleared)


class _Neighbour:
    """What a neighbour has, what is beyond it, and what we have to tell it."""

    __slots__ = ("beyond", "has", "telling", "told_at")

    def __init__(self, own: BitMap, others: BitMap) -> None:
        self.has = _Told()
        self.beyond = _Told()
        self.telling = (_Telling(own, beyond=False), _Telling(others, beyond=True))
        self.told_at = float("-inf")


class Digests:
    """The digests of our neighbours, and ours for them. `own` is that of our index."""

    def __init__(self, config: DigestConfig, own: CountedPlaces) -> None:
        self._config = config
        self._own = own
        self._neighbours: dict[NodeId, _Neighbour] = {}
        self._deadlines = Deadlines()
        self._gathered_at = float("-inf")
        self.dropped: Counter[str] = Counter()

    # --- questions --------------------------------------------------------------------------

    def may_have(self, peer: NodeId, places: Iterable[int]) -> bool:
        """Whether a neighbour may have something with all of these keys."""
        neighbour = self._neighbours.get(peer)
        return neighbour is None or not neighbour.has.rules_out(places)

    def may_lead(self, peer: NodeId, places: Iterable[int]) -> bool:
        """Whether one of its other neighbours may."""
        neighbour = self._neighbours.get(peer)
        return neighbour is None or not neighbour.beyond.rules_out(places)

    def spread_s(self) -> float:
        """How long it may take until what is new here is known two links away."""
        return _TELLINGS * self._config.tell_s if self._neighbours else 0.0

    # --- what happened ----------------------------------------------------------------------

    def neighbour_linked(self, peer: NodeId, now: float) -> None:
        """It has not been told anything, nor told us."""
        self._gather(now)  # it starts with what is there now, and hears what changes from now on
        others = BitMap().union(*[each.has.places for each in self._neighbours.values()])
        self._neighbours[peer] = _Neighbour(self._own.places.copy(), others)
        self._tell_soon([peer], now)
        self._tell_soon(self._all_but(peer), now)  # what is beyond us is not whole now

    def neighbour_lost(self, peer: NodeId, now: float) -> None:
        """What it had is not beyond us any more."""
        neighbour = self._neighbours.pop(peer, None)
        if neighbour is not None:
            self._deadlines.cancel(peer)
            self._spread(peer, BitMap(), neighbour.has.places, now)
            self._tell_soon(self._all_but(peer), now)

    def on_digest(self, peer: NodeId, message: Digest, now: float) -> list[Effect]:
        """A patch of one of a neighbour's digests; who sends what is none is hung up."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            self.dropped["digest_of_stranger"] += 1
            return []
        try:
            self._take(peer, neighbour, message, now)
        except RemoteProtocolError as error:
            self.dropped["digest_undecodable"] += 1
            return [Hangup(peer, Door.CONTROL, str(error))]
        return []

    def look(self, now: float) -> None:
        """Has our index gained or lost keys? To be asked after each event."""
        if self._own.changed and self._neighbours and self._deadlines.get(_OWN) is None:
            self._deadlines.set(_OWN, max(now, self._gathered_at + self._config.tell_s))

    def due(self, now: float) -> list[Effect]:
        """Tell what has changed."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if key == _OWN:
                self._gather(now)
            elif isinstance(key, bytes):
                effects += self._tell(key, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- the steps they share ---------------------------------------------------------------

    def _take(self, peer: NodeId, neighbour: _Neighbour, message: Digest, now: float) -> None:
        if message.beyond:
            neighbour.beyond.take(message)
            return
        was_whole = neighbour.has.whole
        self._spread(peer, *neighbour.has.take(message), now)
        if neighbour.has.whole != was_whole:
            self._tell_soon(self._all_but(peer), now)

    def _gather(self, now: float) -> None:
        """Every neighbour is to hear of what changed in our index."""
        self._gathered_at = now
        added, cleared = self._own.take_changes()
        for neighbour in self._neighbours.values():
            neighbour.telling[0].change(added, cleared)
        self._tell_soon(self._neighbours, now)

    def _spread(self, source: NodeId, added: BitMap, cleared: BitMap, now: float) -> None:
        """Every other neighbour is to hear of what `source` gained and lost, unless that changes
        nothing of what it is told: another one has it as well."""
        gained, lost = self._only_of(source, added), self._only_of(source, cleared)
        for peer in self._all_but(source):
            neighbour = self._neighbours[peer]
            neighbour.telling[1].change(gained.before(neighbour), lost.before(neighbour))
        if added or cleared:
            self._tell_soon(self._all_but(source), now)

    def _only_of(self, source: NodeId, places: BitMap) -> "_Spread":
        """Of these places, those that at most one of the others has."""
        once, often = BitMap(), BitMap()
        for peer in self._all_but(source):
            here = places & self._neighbours[peer].has.places
            often |= once & here
            once |= here
        return _Spread(places - once, once - often)

    def _tell(self, peer: NodeId, now: float) -> list[Effect]:
        """One patch of each digest; more of them a moment later."""
        neighbour = self._neighbours[peer]
        others = self._all_but(peer)
        wholes = (True, all(self._neighbours[other].has.whole for other in others))
        effects: list[Effect] = []
        neighbour.told_at = now
        for telling, whole in zip(neighbour.telling, wholes, strict=True):
            patch = telling.patch(whole=whole)
            if patch is not None:
                effects.append(Send(peer, patch))
            if telling.waiting:
                self._deadlines.set(peer, now + self._config.more_s)
        return effects

    def _tell_soon(self, peers: Iterable[NodeId], now: float) -> None:
        """Now, or a moment after it was told last."""
        for peer in peers:
            if self._deadlines.get(peer) is None:
                told_at = self._neighbours[peer].told_at
                self._deadlines.set(peer, max(now, told_at + self._config.tell_s))

    def _all_but(self, peer: NodeId) -> Iterator[NodeId]:
        return (other for other in self._neighbours if other != peer)


class _Spread:
    """Places that nobody else has, and those that just one other neighbour has."""

    __slots__ = ("_nobody", "_one")

    def __init__(self, nobody: BitMap, one: BitMap) -> None:
        self._nobody = nobody
        self._one = one

    def before(self, neighbour: _Neighbour) -> BitMap:
        """Those that no neighbour but the source and this one has: news to it."""
        return self._nobody | (self._one & neighbour.has.places)


def _parted(places: BitMap, count: int) -> tuple[BitMap, BitMap]:
    """The first `count`, and the rest."""
    if len(places) <= count:
        return places, BitMap()
    first = BitMap(islice(places, count))
    return first, places - first
