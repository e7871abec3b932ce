"""What our neighbours and theirs have, by their own word: whom a query can spare.

Every super-peer signs the digest of its index and tells it to its neighbours, who tell it on to
theirs and no further. So before anything is sent we know which neighbour has nothing to say, and
behind which there is nothing; and whoever lies about a digest lies about nobody's files but its
own. The invariant: what we do not know, or not wholly, or what is not signed, rules nothing out; so
a digest may cost a message, never a result. Who tells on can hold back what is new, not more.

What changes is told at once, or together with what else changes within a moment; what is told on is
passed on as it came. Nothing here knows what a query asks.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, Protocol

from pyroaring import BitMap

from common.config import DigestConfig
from common.core import Effect, Hangup, Send
from common.deadlines import Deadlines
from common.digest import PATCH_PLACES_MAX, Changes, CountedPlaces, OwnDigest, statement
from common.doors import Door
from common.errors import RemoteProtocolError
from common.ids import Identity, NodeId
from common.limits import CONTROL_FRAME_BYTES_MAX, DEGREE_MAX, PATCHES_MAX
from common.messages.overlay import Patch, Patches
from superpeer.digests.copies import Copy, Whole, patch_bytes, patches, reading_pace, voiding

TOLD_BYTES_MAX: Final = CONTROL_FRAME_BYTES_MAX * 3 // 4  # in one message, or a single patch
LAG_MAX: Final = 8  # patches of one digest, beside those of all of it, that wait for a neighbour
PLACES_MAX: Final = 1 << 25  # of all large digests that one neighbour tells: 2 bytes each
_TELLINGS: Final = 3  # gathered, told, told on: each waits for the one before
_OWN: Final = b""  # instead of a neighbour, in a deadline: our own index


class Watcher(Protocol):
    """Who wants to hear what changes within two links."""

    def __len__(self) -> int:
        """Whether it does at the moment."""

    def digest_changed(self, before: Whole | None, after: Whole, now: float) -> None:
        """A digest is whole, and was otherwise before, as far as anybody looked."""


class _Neighbour:
    """What a neighbour tells us, by owner, and what waits to be told to it."""

    __slots__ = ("afresh", "copies", "pace", "told_at", "waiting")

    def __init__(self, peer: NodeId, network: str, now: float) -> None:
        self.pace = reading_pace(now)
        self.copies = {peer: Copy(peer, network, self.pace)}
        self.waiting: dict[NodeId, deque[Patch]] = {}
        self.afresh: dict[NodeId, None] = {}  # of these it is to hear all, and nothing else
        self.told_at = float("-inf")

    def bound(self, copy: Copy) -> None:
        """Forget this one, where all that it has told takes too much memory."""
        is_large = len(copy) > PLACES_MAX // DEGREE_MAX
        if is_large and sum(map(len, self.copies.values())) > PLACES_MAX:
            copy.void()

    def tell(self, owner: NodeId, told: Iterable[Patch], places: int) -> None:
        """These patches of a digest, which has so many `places`, are next; with too many of them
        all of it is."""
        if owner in self.afresh:
            return
        waiting = self.waiting.setdefault(owner, deque())
        for patch in told:
            if patch.afresh:
                waiting.clear()
            waiting.append(patch)
        if len(waiting) > LAG_MAX + places // PATCH_PLACES_MAX:
            self.afresh[owner] = None

    def next(self) -> list[Patch]:
        """As many of the waiting patches as go into one message, taken off."""
        taken: list[Patch] = []
        left = TOLD_BYTES_MAX
        for owner, waiting in list(self.waiting.items()):
            while waiting and len(taken) < PATCHES_MAX:
                left -= patch_bytes(waiting[0])
                if left < 0 and taken:
                    return taken
                taken.append(waiting.popleft())
            if not waiting:
                del self.waiting[owner]
        return taken


class Digests:
    """The digests of our neighbours and theirs, and ours for them. `own` is that of our index.

    `watcher`, while it is one, hears of each digest that has changed.
    """

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: DigestConfig,
        own: CountedPlaces,
        watcher: Watcher | None = None,
    ) -> None:
        self._watcher = watcher
        self._identity = identity
        self._me = identity.node
        self._network = network
        self._config = config
        self._own = OwnDigest(own)
        self._neighbours: dict[NodeId, _Neighbour] = {}
        self._deadlines = Deadlines()
        self._gathered_at = float("-inf")
        self.dropped: Counter[str] = Counter()

    # --- questions --------------------------------------------------------------------------

    def may_have(self, owner: NodeId, by: NodeId, places: Iterable[int], now: float) -> bool:
        """Whether a super-peer may have something with all of these keys; `by` is itself, or the
        neighbour of ours that it is a neighbour of."""
        for teller in (owner, by):
            neighbour = self._neighbours.get(teller)
            if neighbour is not None and self._rules_out(neighbour, owner, places, now):
                return False
        return True

    def spread_s(self) -> float:
        """How long it may take until what is new here is known two links away."""
        return _TELLINGS * self._config.tell_s if self._neighbours else 0.0

    # --- what happened ----------------------------------------------------------------------

    def neighbour_linked(self, peer: NodeId, now: float) -> None:
        """It has not been told anything, nor told us."""
        self._gather(now)  # it starts with what is there now, and hears what changes from now on
        linked = _Neighbour(peer, self._network, now)
        linked.afresh[self._me] = None
        for other, neighbour in self._neighbours.items():
            if not neighbour.copies[other].is_void:
                linked.afresh[other] = None
        self._neighbours[peer] = linked
        self._tell_soon([peer], now)

    def neighbour_lost(self, peer: NodeId, now: float) -> None:
        """What it told is not told on any more."""
        if self._neighbours.pop(peer, None) is None:
            return
        self._deadlines.cancel(peer)
        for other in self._neighbours.values():
            other.afresh[peer] = None
        self._tell_soon(self._neighbours, now)

    def on_patches(self, peer: NodeId, message: Patches, now: float) -> list[Effect]:
        """Patches of digests; a neighbour whose own is none is hung up."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            self.dropped["digest_of_stranger"] += 1
            return []
        try:
            for patch in message.patches:
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

    def _take(self, peer: NodeId, neighbour: _Neighbour, patch: Patch, now: float) -> None:
        owner = patch.owner
        if owner == self._me:
            return
        copy = neighbour.copies.get(owner)
        if copy is None:
            if len(neighbour.copies) > DEGREE_MAX:
                raise RemoteProtocolError("digests of more neighbours than anybody has")
            copy = neighbour.copies[owner] = Copy(owner, self._network, neighbour.pace)
        before = copy.whole
        copy.take(patch)
        if owner == peer:
            copy.look(now)
            neighbour.bound(copy)
            self._tell_on(peer, copy, patch, now)
        elif patch.afresh and patch.signature is None and not patch.added:
            del neighbour.copies[owner]  # they are neighbours no more
        if self._watcher or copy.lags:
            self._look(neighbour, copy, now)
        if self._watcher and copy.whole is not None and copy.whole is not before:
            self._watcher.digest_changed(before, copy.whole, now)

    def _rules_out(
        self, neighbour: _Neighbour, owner: NodeId, places: Iterable[int], now: float
    ) -> bool:
        copy = neighbour.copies.get(owner)
        if copy is None:
            return False
        self._look(neighbour, copy, now)
        return copy.rules_out(places)

    def _look(self, neighbour: _Neighbour, copy: Copy, now: float) -> None:
        """What turns out to be no digest, or not its owner's, tells nothing."""
        try:
            copy.look(now)
        except RemoteProtocolError:
            self.dropped["digest_void"] += 1
        neighbour.bound(copy)

    def _gather(self, now: float) -> None:
        """Every neighbour is to hear of what changed in our index."""
        self._gathered_at = now
        if not self._own.changed:
            return
        changes = self._own.update()
        if self._neighbours:
            told = self._own_patches(changes)
            for neighbour in self._neighbours.values():
                neighbour.tell(self._me, told, len(self._own.places))
            self._tell_soon(self._neighbours, now)

    def _own_patches(self, changes: Changes | None) -> list[Patch]:
        """These changes, or (None) all of it."""
        own = self._own
        signature = self._identity.sign(statement(self._network, own.bits, own.places))
        added, cleared = changes or (own.places, BitMap())
        return patches(self._me, own.bits, added, cleared, signature, afresh=changes is None)

    def _all_of(self, owner: NodeId) -> list[Patch]:
        """A digest afresh; who is our neighbour no more has none."""
        if owner == self._me:
            return self._own_patches(None)
        neighbour = self._neighbours.get(owner)
        return [voiding(owner)] if neighbour is None else neighbour.copies[owner].patches()

    def _tell_on(self, owner: NodeId, copy: Copy, patch: Patch, now: float) -> None:
        """Every other neighbour is to hear of what changed at this one, as it came."""
        others = [other for other in self._neighbours if other != owner]
        for other in others:
            self._neighbours[other].tell(owner, [patch], len(copy))
        self._tell_soon(others, now)

    def _tell(self, peer: NodeId, now: float) -> list[Effect]:
        """One message; the next a moment later."""
        neighbour = self._neighbours[peer]
        neighbour.told_at = now
        for owner in list(neighbour.afresh):
            neighbour.waiting[owner] = deque(self._all_of(owner))
        neighbour.afresh.clear()
        told = neighbour.next()
        if neighbour.waiting:
            self._deadlines.set(peer, now + self._config.more_s)
        return [Send(peer, Patches(tuple(told)))] if told else []

    def _tell_soon(self, peers: Iterable[NodeId], now: float) -> None:
        """Now, or a moment after it was told last."""
        for peer in peers:
            if self._deadlines.get(peer) is None:
                told_at = self._neighbours[peer].told_at
                self._deadlines.set(peer, max(now, told_at + self._config.tell_s))
