"""What our neighbours and theirs have, by their own word: whom a query can spare.

Every super-peer signs the digest of its index and tells it to its neighbours, who tell it on to
theirs and no further. So before anything is sent we know which neighbour has nothing to say, and
behind which there is nothing; and whoever lies about a digest lies about nobody's files but its
own. The invariant: what we do not know, or not wholly, or what is not signed, rules nothing out; so
a digest may cost a message, never a result. Who tells on can hold back what is new, not more.

What changes is told at once, or together with what else changes within a moment. Nothing here knows
what a query asks.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from pyroaring import BitMap

from common.config import DigestConfig
from common.core import Effect, Hangup, Send
from common.deadlines import Deadlines
from common.digest import (
    PATCH_PLACES_MAX,
    Changes,
    CountedPlaces,
    OwnDigest,
    may_have,
    pack_places,
    statement,
    unpack_places,
)
from common.doors import Door
from common.errors import RemoteProtocolError
from common.ids import Identity, NodeId, is_signed
from common.limits import DEGREE_MAX
from common.messages.overlay import Digest

_TELLINGS: Final = 3  # gathered, told, told on: each waits for the one before
Whole = tuple[int, BitMap]  # bits and places of a digest that is whole

_OWN: Final = b""  # instead of a neighbour, in a deadline: our own index


class _Copy:
    """The digest of one super-peer, as a neighbour tells it; whole while it has a signature."""

    __slots__ = ("bits", "places", "signature", "whole")

    def __init__(self) -> None:
        self.bits = 0
        self.places = BitMap()
        self.signature: bytes | None = None
        self.whole: Whole | None = None  # as of the last signature

    def take(self, patch: Digest, network: str) -> Changes | None:
        """Apply a patch; what it set and cleared, or None where it begins afresh. Raises
        RemoteProtocolError."""
        if patch.afresh:
            self.bits, self.places = patch.bits, BitMap()
        elif patch.bits != self.bits:
            raise RemoteProtocolError("a digest that changes its size half-way")
        added, cleared = (unpack_places(each, self.bits) for each in (patch.added, patch.cleared))
        added, cleared = added - self.places - cleared, cleared & self.places
        self.places = (self.places | added) - cleared  # another one: `whole` stays as it is
        self.signature = patch.signature
        if patch.signature is not None:
            stated = statement(network, self.bits, self.places)
            if not is_signed(patch.owner, stated, patch.signature):
                self.signature = None
                raise RemoteProtocolError("a digest that its owner has not signed")
        return None if patch.afresh else (added, cleared)

    def rules_out(self, wanted: Iterable[int]) -> bool:
        """Whether one of the places that a hit must have is surely not set."""
        return self.signature is not None and not may_have(self.places, self.bits, wanted)


class _Telling:
    """The digest of one super-peer, as we tell it to a neighbour: what is still to be told."""

    __slots__ = ("_added", "_afresh", "_bits", "_cleared", "_told")

    def __init__(self, bits: int = 0, places: BitMap | None = None) -> None:
        self._bits = bits
        self._added = BitMap() if places is None else places
        self._cleared = BitMap()
        self._afresh = True
        self._told: bytes | None = None  # the signature of the last patch

    def change(self, changes: Changes) -> None:
        """These were set and cleared since; what was not told yet may cancel out."""
        added, cleared = changes
        undone, redone = self._added & cleared, self._cleared & added
        self._added = (self._added - cleared) | (added - redone)
        self._cleared = (self._cleared - added) | (cleared - undone)

    def patch(self, owner: NodeId, signature: bytes | None) -> Digest | None:
        """The next patch, if there is one; `signature`: of all that is to be told."""
        if not (self.waiting or self._afresh or signature != self._told):
            return None
        added, self._added = _parted(self._added, PATCH_PLACES_MAX)
        cleared, self._cleared = _parted(self._cleared, PATCH_PLACES_MAX - len(added))
        afresh, self._afresh = self._afresh, False
        self._told = None if self.waiting else signature
        packed = pack_places(added), pack_places(cleared)
        return Digest(owner, self._bits, *packed, afresh, self._told)

    @property
    def waiting(self) -> bool:
        """Whether something is left to tell."""
        return bool(self._added or self._cleared)


class _Neighbour:
    """What a neighbour tells us, by owner, and what we have to tell it."""

    __slots__ = ("copies", "tellings", "told_at")

    def __init__(self, peer: NodeId, tellings: dict[NodeId, _Telling]) -> None:
        self.copies = {peer: _Copy()}
        self.tellings = tellings
        self.told_at = float("-inf")


class Digests:
    """The digests of our neighbours and theirs, and ours for them. `own` is that of our index.

    `news` hears of each digest that is whole, and what it was before.
    """

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: DigestConfig,
        own: CountedPlaces,
        news: Callable[[Whole | None, Whole, float], None] = lambda _before, _after, _now: None,
    ) -> None:
        self._news = news
        self._identity = identity
        self._me = identity.node
        self._network = network
        self._config = config
        self._own = OwnDigest(own)
        self._signature = self._signed()
        self._neighbours: dict[NodeId, _Neighbour] = {}
        self._deadlines = Deadlines()
        self._gathered_at = float("-inf")
        self.dropped: Counter[str] = Counter()

    # --- questions --------------------------------------------------------------------------

    def may_have(self, owner: NodeId, by: NodeId, places: Iterable[int]) -> bool:
        """Whether a super-peer may have something with all of these keys; `by` is itself, or the
        neighbour of ours that it is a neighbour of."""
        for teller in (owner, by):
            neighbour = self._neighbours.get(teller)
            copy = neighbour.copies.get(owner) if neighbour is not None else None
            if copy is not None and copy.rules_out(places):
                return False
        return True

    def spread_s(self) -> float:
        """How long it may take until what is new here is known two links away."""
        return _TELLINGS * self._config.tell_s if self._neighbours else 0.0

    # --- what happened ----------------------------------------------------------------------

    def neighbour_linked(self, peer: NodeId, now: float) -> None:
        """It has not been told anything, nor told us."""
        self._gather(now)  # it starts with what is there now, and hears what changes from now on
        tellings = {self._me: _Telling(self._own.bits, self._own.places)}
        for other, neighbour in self._neighbours.items():
            copy = neighbour.copies[other]
            if copy.bits:  # it has told something
                tellings[other] = _Telling(copy.bits, copy.places)
        self._neighbours[peer] = _Neighbour(peer, tellings)
        self._tell_soon([peer], now)

    def neighbour_lost(self, peer: NodeId, now: float) -> None:
        """What it told is not told on any more."""
        neighbour = self._neighbours.pop(peer, None)
        if neighbour is None:
            return
        self._deadlines.cancel(peer)
        for other in self._neighbours.values():
            if peer in other.tellings:
                other.tellings[peer] = _Telling()  # told as nothing that is whole
        self._tell_soon(self._neighbours, now)

    def on_digest(self, peer: NodeId, patch: Digest, now: float) -> list[Effect]:
        """A patch of a digest; who sends what is none is hung up."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            self.dropped["digest_of_stranger"] += 1
            return []
        try:
            self._take(peer, neighbour, patch, now)
        except RemoteProtocolError as error:
            self.dropped["digest_refused"] += 1
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

    def _take(self, peer: NodeId, neighbour: _Neighbour, patch: Digest, now: float) -> None:
        if patch.owner == self._me:
            return
        copy = neighbour.copies.get(patch.owner)
        if copy is None:
            if len(neighbour.copies) > DEGREE_MAX:
                raise RemoteProtocolError("digests of more neighbours than anybody has")
            copy = neighbour.copies[patch.owner] = _Copy()
        changes = copy.take(patch, self._network)
        if patch.signature is not None:
            before, copy.whole = copy.whole, (copy.bits, copy.places)
            self._news(before, copy.whole, now)
        if patch.owner == peer:
            self._tell_on(peer, copy, changes, now)
        elif patch.afresh and patch.signature is None and not copy.places:
            del neighbour.copies[patch.owner]  # they are neighbours no more

    def _gather(self, now: float) -> None:
        """Every neighbour is to hear of what changed in our index."""
        self._gathered_at = now
        if not self._own.changed:
            return
        changes = self._own.update()
        self._signature = self._signed()
        for neighbour in self._neighbours.values():
            _tell(neighbour, self._me, self._own, changes)
        self._tell_soon(self._neighbours, now)

    def _tell_on(self, owner: NodeId, copy: _Copy, changes: Changes | None, now: float) -> None:
        """Every other neighbour is to hear of what changed at this one."""
        others = [other for other in self._neighbours if other != owner]
        for other in others:
            _tell(self._neighbours[other], owner, copy, changes)
        self._tell_soon(others, now)

    def _tell(self, peer: NodeId, now: float) -> list[Effect]:
        """One patch of each digest; more of them a moment later."""
        neighbour = self._neighbours[peer]
        neighbour.told_at = now
        effects: list[Effect] = []
        for owner, telling in list(neighbour.tellings.items()):
            patch = telling.patch(owner, self._signature_of(owner))
            if patch is not None:
                effects.append(Send(peer, patch))
            if telling.waiting:
                self._deadlines.set(peer, now + self._config.more_s)
            elif owner != self._me and owner not in self._neighbours:
                del neighbour.tellings[owner]
        return effects

    def _signed(self) -> bytes:
        stated = statement(self._network, self._own.bits, self._own.places)
        return self._identity.sign(stated)

    def _signature_of(self, owner: NodeId) -> bytes | None:
        if owner == self._me:
            return self._signature
        neighbour = self._neighbours.get(owner)
        return neighbour.copies[owner].signature if neighbour is not None else None

    def _tell_soon(self, peers: Iterable[NodeId], now: float) -> None:
        """Now, or a moment after it was told last."""
        for peer in peers:
            if self._deadlines.get(peer) is None:
                told_at = self._neighbours[peer].told_at
                self._deadlines.set(peer, max(now, told_at + self._config.tell_s))


def _tell(
    neighbour: _Neighbour, owner: NodeId, digest: _Copy | OwnDigest, changes: Changes | None
) -> None:
    """A neighbour is to hear of what changed, or (None) of all of it."""
    telling = neighbour.tellings.get(owner)
    if telling is None or changes is None:
        neighbour.tellings[owner] = _Telling(digest.bits, digest.places)
    else:
        telling.change(changes)


def _parted(places: BitMap, count: int) -> tuple[BitMap, BitMap]:
    """The first `count`, and the rest."""
    if len(places) <= count:
        return places, BitMap()
    first = BitMap(islice(places, count))
    return first, places - first
