"""The first copy of a whole file: each piece is shown to one leaf before any is shown to two.

Whoever has a file alone sends the swarm as much as it can, and what it sends twice too early is
missing elsewhere: then its link, not the sum of all, says how long it takes (super-seeding, BEP
16). So while several want the file each sees runs of pieces of its own, and gets another run for
each one it asks for; the longer, the more it asks for at a time. When all pieces have been shown
everybody sees everything. The first to come, alone, sees everything at once; and so does who asks
for nothing for a while: it may have got elsewhere what it was shown, and wait for the rest.
"""

from random import Random
from typing import Final

from pyroaring import BitMap

from common.ids import NodeId
from common.limits import REQUEST_BYTES_MAX
from common.merkle import piece_count, piece_size_bytes
from leaf.swarm.picker import Run, run_around

SHOWN_BYTES_FIRST: Final = 64 * 1024  # to a leaf of which nothing is known yet; wild guess
PATIENCE_S: Final = 2.0  # without a question before everything is seen; wild guess
SHARE: Final = 4  # a leaf is shown no more at a time than this part of its even share


class FirstCopy:
    """Who sees what of one file; those who are not in it see everything."""

    __slots__ = ("_hidden", "_piece_bytes", "_rng", "_seers")

    def __init__(self, size: int, rng: Random) -> None:
        self._rng = rng
        self._piece_bytes = piece_size_bytes(size)
        self._hidden = BitMap(range(piece_count(size)))  # nobody was shown these
        self._seers: dict[NodeId, float] = {}  # who sees what they were shown, and since when

    @property
    def is_over(self) -> bool:
        """Whether all pieces have been shown."""
        return not self._hidden

    def join(self, peer: NodeId, now: float) -> None:
        """From now on this leaf sees what it is shown."""
        self._seers[peer] = now

    def leave(self, peer: NodeId) -> None:
        """This leaf wants nothing more, or sees everything."""
        self._seers.pop(peer, None)

    def sees_all(self, peer: NodeId) -> bool:
        """Whether this leaf sees everything."""
        return peer not in self._seers

    def begin(self, peer: NodeId) -> list[Run]:
        """This leaf may ask from now on: what it is shown first."""
        return self._show(peer, SHOWN_BYTES_FIRST)

    def asked(self, peer: NodeId, run: Run, now: float) -> list[Run]:
        """A leaf asks for these pieces: what it is shown in their place."""
        if peer in self._seers:
            self._seers[peer] = now
        first, count = run
        self._hidden.remove_range(first, first + count)
        return self._show(peer, 2 * count * self._piece_bytes)

    def released(self, now: float) -> list[NodeId]:
        """Those who see everything only now: all where all was shown, else who asks for nothing."""
        freed = [
            peer
            for peer, asked_at in self._seers.items()
            if self.is_over or now >= asked_at + PATIENCE_S
        ]
        for peer in freed:
            del self._seers[peer]
        return freed

    def wakeup(self) -> float | None:
        """When somebody will have asked for nothing for long."""
        return min((asked_at + PATIENCE_S for asked_at in self._seers.values()), default=None)

    def _show(self, peer: NodeId, size: int) -> list[Run]:
        if self.sees_all(peer) or not self._hidden:
            return []
        share = len(self._hidden) // (SHARE * len(self._seers))
        count = max(
            1, min(size // self._piece_bytes, REQUEST_BYTES_MAX // self._piece_bytes, share)
        )
        piece = self._hidden[self._rng.randrange(len(self._hidden))]
        first, shown = run_around(self._hidden, piece, count)
        self._hidden.remove_range(first, first + shown)
        return [(first, shown)]
