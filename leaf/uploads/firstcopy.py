"""The first copy of a whole file: each piece is shown to one leaf before any is shown to two.

Whoever has a file alone sends the swarm as much as it can, and what it sends twice too early is
missing elsewhere: then its link, not the sum of all, says how long it takes (super-seeding, BEP
16). So while several want the file each sees pieces of its own, a few more than it asks for at a
time. When all pieces have been asked for everybody sees everything. So does the first to come, as
long as it is alone, and who asks for nothing for a while, not even for hashes, and waits for
nothing either: it may have got elsewhere what it was shown, and lack the rest. What it was shown in
vain is shown to another. When the first copy is out it goes round in a crowd without us, where we
are one of many that send it: then we rest for a small part of the time that it took.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from pyroaring import BitMap

from common.content.merkle import piece_count, piece_size_bytes
from common.ids import NodeId
from common.limits import REQUEST_BYTES_MAX
from common.rates import Rate
from leaf.swarm.picker import Run, power_below, run_around

SHOWN_BYTES_FIRST: Final = 64 * 1024  # to a leaf of which nothing is known yet; wild guess
PATIENCE_S: Final = 2.0  # without a question before everything is seen; wild guess
REST_SHARE: Final = 0.05  # of the time that the first copy took
REST_S_MAX: Final = 10.0  # what was asked for and never sent is missing so long; wild guess
SHARE: Final = 4  # a leaf is shown no more at a time than this part of its even share ...
SHORT_S: Final = 0.2  # ... unless it takes that in so short a time: crumbs cost more than they even


@dataclass(slots=True)
class _Seer:
    """One leaf that sees only what it is shown."""

    asked_at: float
    rate: Rate  # of pieces that it asks for
    shown: BitMap = field(default_factory=BitMap)


class FirstCopy:
    """Who sees what of one file; those who are not in it see everything."""

    __slots__ = (
        *("_asked_at", "_begun", "_block", "_hidden", "_piece_bytes", "_pieces", "_rng"),
        *("_seers", "_unasked", "rests_until", "size"),
    )

    def __init__(self, size: int, rng: Random) -> None:
        self.size = size
        self._rng = rng
        self._piece_bytes = piece_size_bytes(size)
        self._block = REQUEST_BYTES_MAX // self._piece_bytes
        self._begun = BitMap()  # in the largest blocks of which something was shown
        self._pieces = piece_count(size)
        self._hidden = BitMap(range(self._pieces))  # nobody asked for these, or will
        self._unasked = BitMap(self._hidden)  # nobody asked for these, shown or not
        self._seers: dict[NodeId, _Seer] = {}
        self._asked_at: float | None = None  # when somebody asked for the first piece
        self.rests_until = -math.inf
        """Until when a crowd is left alone with the first copy; set when that is over."""

    @property
    def is_over(self) -> bool:
        """Whether all pieces have been asked for."""
        return not self._unasked

    def join(self, peer: NodeId, now: float) -> None:
        """From now on this leaf sees what it is shown."""
        self._seers[peer] = _Seer(now, Rate(now))

    def narrow(self, peer: NodeId, now: float) -> BitMap:
        """This leaf came first and saw everything, and is not alone any more: what it sees now,
        which is what was asked for so far."""
        self.join(peer, now)
        return BitMap(range(self._pieces)) - self._unasked

    def leave(self, peer: NodeId) -> None:
        """This leaf wants nothing more, or sees everything."""
        seer = self._seers.pop(peer, None)
        if seer is not None:
            self._hidden |= seer.shown & self._unasked

    def sees_all(self, peer: NodeId) -> bool:
        """Whether this leaf sees everything."""
        return peer not in self._seers

    def begin(self, peer: NodeId) -> list[Run]:
        """This leaf may ask from now on: what it is shown first."""
        return self._show(peer, SHOWN_BYTES_FIRST // self._piece_bytes, 0)

    def asked(self, peer: NodeId, run: Run, now: float) -> list[Run]:
        """A leaf asks for these pieces: what it is shown in their place."""
        first, count = run
        self._hidden.remove_range(first, first + count)
        self._unasked.remove_range(first, first + count)
        self._asked_at = now if self._asked_at is None else self._asked_at
        if self.is_over:
            self.rests_until = now + min(REST_SHARE * (now - self._asked_at), REST_S_MAX)
        soon = 0
        if (seer := self._seers.get(peer)) is not None:
            seer.asked_at = now
            seer.rate.add(count, now)
            soon = int(seer.rate.per_s(now) * SHORT_S)
        return self._show(peer, 2 * count, soon)

    def asked_for_hashes(self, peer: NodeId, now: float) -> None:
        """This leaf cannot ask for pieces yet: that is no reason to show it everything."""
        if (seer := self._seers.get(peer)) is not None:
            seer.asked_at = now

    def released(self, waits: Callable[[NodeId], bool], now: float) -> list[NodeId]:
        """Those who see everything only now: all where all was asked for, else who asks for nothing
        and does not wait for bytes: one in the line for a slot sees that there is a file."""
        freed = []
        for peer, seer in self._seers.items():
            if not self.is_over and waits(peer):
                seer.asked_at = now
            if self.is_over or now >= seer.asked_at + PATIENCE_S:
                freed.append(peer)
        for peer in freed:
            self.leave(peer)
        return freed

    def wakeup(self) -> float | None:
        """When somebody will have asked for nothing for long."""
        times = (seer.asked_at + PATIENCE_S for seer in self._seers.values())
        return min(times, default=None)

    def _show(self, peer: NodeId, wanted: int, soon: int) -> list[Run]:
        """Show `wanted` more where it has few left that nobody has asked for; it takes `soon` in a
        short time."""
        if self.sees_all(peer):
            return []
        shown, pool = self._seers[peer].shown, self._hidden
        share = len(self._unasked) // (SHARE * len(self._seers))
        count = power_below(min(wanted, max(share, soon)), self._block)
        if not pool or 2 * shown.intersection_cardinality(self._unasked) > count:
            return []
        if count < self._block:  # of what was begun: crumbs of it are asked for again and again
            pool = pool & self._begun or pool
        piece = pool[self._rng.randrange(len(pool))]
        first, length = run_around(self._hidden, piece, count)
        self._hidden.remove_range(first, first + length)
        begin = piece - piece % self._block
        self._begun.add_range(begin, begin + self._block)
        shown.add_range(first, first + length)
        return [(first, length)]
