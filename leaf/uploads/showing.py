"""What those who want a file are told that we have of it, and when.

A bit field when they come and `Have` for what we get later, unless we know that they have it. What
comes quickly is told in one message a while, since messages cost, and a tenth of a second is
little beside what a piece takes. Of a file that we have whole each at first sees a part of its own
(`leaf.uploads.firstcopy`). Who may ask for what it sees, and what it is sent, stands in
`leaf.uploads.upload`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from pyroaring import BitMap

from common.content.merkle import piece_count, piece_size_bytes
from common.core import Effect, Send
from common.deadlines import Deadlines
from common.ids import NodeId
from common.messages.swarm import Bitfield
from common.storage import SharedFile
from leaf.signals import PiecesProven
from leaf.swarm.download import Download
from leaf.swarm.picker import Run
from leaf.swarm.pieces import haves, pack
from leaf.uploads.firstcopy import FirstCopy

SEERS_MIN: Final = 2  # with one there is nobody to share the first copy with
CROWD_MIN: Final = 30  # that want one file: our uplink is little beside all theirs; wild guess
TOLD_S: Final = 0.1  # between two messages with news of one file to one leaf; wild guess


@dataclass(slots=True)
class News:
    """What we have got of one file, and not told yet."""

    held: Download
    pieces: BitMap = field(default_factory=BitMap)
    told_at: float = -math.inf


class Showing:
    """What each leaf was told of each file that it wants."""

    __slots__ = (
        *("_begun_anew", "_first_copies", "_has_all", "_news", "_rng", "_told", "_waits"),
        "deadlines",
    )

    def __init__(
        self,
        rng: Random,
        waits: Callable[[NodeId], bool],
        has_all: Callable[[bytes, int], bool],
    ) -> None:
        """`waits` tells whether a leaf waits for bytes of ours, `has_all` whether we have all of
        the file with this root and size."""
        self._rng = rng
        self._has_all = has_all
        self._waits = waits
        self._told: dict[bytes, dict[NodeId, None]] = {}  # by root
        self._first_copies: dict[bytes, FirstCopy] = {}  # of files that we have whole
        self._begun_anew: dict[tuple[NodeId, bytes], None] = {}  # may have lost what they told us
        self._news: dict[bytes, News] = {}
        self.deadlines = Deadlines()
        """By root: when its news are told; by `(root,)`: when to look who asks for nothing."""

    def begin(
        self, peer: NodeId, root: bytes, size: int, held: SharedFile | Download, now: float
    ) -> list[Effect]:
        """It wants this file: what we have of it; over the same link perhaps once more."""
        told = self._told.setdefault(root, {})
        is_anew = peer in told
        if is_anew:
            self._begun_anew[peer, root] = None
        told[peer] = None
        marks = None if isinstance(held, SharedFile) else held.marks()
        if marks is not None:
            return [Send(peer, Bitfield(root, pack(marks)))]
        first_copy = self._first_copies.setdefault(root, FirstCopy(size, self._rng))
        if first_copy.is_over or is_anew or len(told) == 1:
            first_copy.leave(peer)
            return [Send(peer, Bitfield(root))]
        first_copy.join(peer, now)
        answer: list[Effect] = [Send(peer, Bitfield(root, pack(bytes(piece_count(size)))))]
        if len(told) == SEERS_MIN:
            answer += self._narrow(next(iter(told)), root, size, now)
        self._look_again(root, first_copy)
        return answer

    def _narrow(self, first: NodeId, root: bytes, size: int, now: float) -> list[Effect]:
        """Who was alone so far sees no more than it is shown, like all others."""
        first_copy = self._first_copies[root]
        if not first_copy.sees_all(first) or (first, root) in self._begun_anew:
            return []
        marks = bytearray(piece_count(size))
        for piece in first_copy.narrow(first, now):
            marks[piece] = 1
        shown = first_copy.begin(first)
        return [Send(first, Bitfield(root, pack(bytes(marks)))), *self._haves(first, root, shown)]

    def may_ask(self, peer: NodeId, root: bytes, now: float) -> list[Effect]:
        """It has a slot now."""
        first_copy = self._first_copy(root)
        return self._shown(peer, root, first_copy.begin(peer), now) if first_copy else []

    def asked(
        self, peer: NodeId, root: bytes, size: int, offset: int, length: int, now: float
    ) -> list[Effect]:
        """It asked for whole pieces."""
        first_copy = self._first_copy(root)
        if first_copy is None or first_copy.is_over:
            return []
        piece_bytes = piece_size_bytes(size)
        run = (offset // piece_bytes, -(-length // piece_bytes))
        return self._shown(peer, root, first_copy.asked(peer, run, now), now)

    def rests(self, root: bytes, now: float) -> bool:
        """Whether a crowd has just got the first copy of this file, which goes round in it now."""
        first_copy = self._first_copies.get(root)
        if first_copy is None or now >= first_copy.rests_until:
            return False
        return len(self._told.get(root, {})) >= CROWD_MIN

    def asked_for_hashes(self, peer: NodeId, root: bytes, now: float) -> None:
        """It cannot ask for pieces yet."""
        if (first_copy := self._first_copies.get(root)) is not None:
            first_copy.asked_for_hashes(peer, now)

    def proven(self, event: PiecesProven, held: Download, now: float) -> list[Effect]:
        """What we have just got ourselves, to all who lack it, soon."""
        if event.root not in self._told:
            return []
        news = self._news.setdefault(event.root, News(held))
        news.pieces.update(event.pieces)
        if self.deadlines.get(event.root) is None:
            self.deadlines.set(event.root, max(now, news.told_at + TOLD_S))
        return self.due(now)

    def due(self, now: float) -> list[Effect]:
        """Tell what it is time for."""
        effects: list[Effect] = []
        for due in self.deadlines.pop_due(now):
            if isinstance(due, bytes) and (news := self._news.get(due)) is not None:
                effects += self._tell(due, news)
                news.told_at, news.pieces = now, BitMap()
            elif isinstance(due, tuple) and self._first_copy(due[0]) is not None:
                effects += self._release(due[0], now)
        return effects

    def _tell(self, root: bytes, news: News) -> list[Effect]:
        effects: list[Effect] = []
        for peer in self._told.get(root, {}):
            tell_all = (peer, root) in self._begun_anew
            lacked = news.pieces if tell_all else news.held.lacked(peer, news.pieces)
            effects += [Send(peer, have) for have in haves(root, lacked)]
        return effects

    def leave(self, peer: NodeId, root: bytes) -> None:
        """It does not want this file any more."""
        self._begun_anew.pop((peer, root), None)
        told = self._told.get(root, {})
        told.pop(peer, None)
        if root in self._first_copies:
            self._first_copies[root].leave(peer)
        if not told:
            self._told.pop(root, None)
            self._first_copies.pop(root, None)
            self._news.pop(root, None)
            self.deadlines.cancel(root)
            self.deadlines.cancel((root,))

    def _first_copy(self, root: bytes) -> FirstCopy | None:
        """Who sees what of a file that we have whole; none where we do not any more."""
        first_copy = self._first_copies.get(root)
        if first_copy is not None and not self._has_all(root, first_copy.size):
            del self._first_copies[root]
            self.deadlines.cancel((root,))
            return None
        return first_copy

    def _shown(self, peer: NodeId, root: bytes, shown: list[Run], now: float) -> list[Effect]:
        return self._haves(peer, root, shown) + self._release(root, now)

    def _haves(self, peer: NodeId, root: bytes, shown: list[Run]) -> list[Effect]:
        return [
            Send(peer, have)
            for first, count in shown
            for have in haves(root, BitMap(range(first, first + count)))
        ]

    def _release(self, root: bytes, now: float) -> list[Effect]:
        """Who sees everything only now."""
        first_copy = self._first_copies[root]
        freed = first_copy.released(self._waits, now)
        self._look_again(root, first_copy)
        return [Send(peer, Bitfield(root)) for peer in freed]

    def _look_again(self, root: bytes, first_copy: FirstCopy) -> None:
        when = first_copy.wakeup()
        if when is None:
            self.deadlines.cancel((root,))
        elif self.deadlines.get((root,)) is None:
            self.deadlines.set((root,), when)
