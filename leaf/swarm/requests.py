"""Who is asked for which pieces of one download, and what that costs.

Invariant: what was asked for and is not yet stored stays within the bytes allotted. While pieces
are missing nobody is asked for what another owes; once none is (the endgame), an idle source may
be asked for what another has owed for long. Of a file that is read while it comes
(`leaf.swarm.readahead`) the same goes for what is needed next, at any time. What comes back or is
given back is entered here, so that states of pieces and books of sources always agree.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from common.content.merkle import piece_span
from common.core import Effect, Send
from common.ids import NodeId
from common.limits import REQUEST_BYTES_MAX
from common.messages.swarm import Cancel, Request
from leaf.links.caps import Gate
from leaf.swarm.picker import NO_WINDOW, Picker, Run
from leaf.swarm.pieces import Pieces, State
from leaf.swarm.readahead import window
from leaf.swarm.source import Asked, Source
from leaf.swarm.sources import Sources

ENDGAME_SHARE: Final = 0.1  # of request_s: so old must a request be to be asked of another too
TAIL_S: Final = 0.25  # ... once, where its owner has more to bring than it can in `SLOW_S`: where
SLOW_S: Final = 0.5  # all end with what they asked of one leaf, others have it and nothing to do
COPIES_FEW: Final = 2  # linked leaves with a piece: a clique has one, the seed; fewer are too few
OWERS_MAX: Final = 4  # leaves that one piece is asked of, the next each time as much has gone by


@dataclass(slots=True)
class Written:
    """What the disk made of pieces that were awaited."""

    proven: list[int] = field(default_factory=list)
    given: dict[NodeId, int] = field(default_factory=dict)  # good bytes by who sent them
    liars: list[NodeId] = field(default_factory=list)  # who sent wrong ones


class Requests:
    """The pieces of one file and the requests for them."""

    def __init__(
        self, root: bytes, size: int, pieces: Pieces, request_s: float, rng: Random, gate: Gate
    ) -> None:
        self._root = root
        self._size = size
        self.lateness_s: Final = request_s * ENDGAME_SHARE
        """Who owes something for so long is late with it."""
        self.is_streamed = False
        """Whether it comes in order, for somebody who reads it meanwhile."""
        self.pieces = pieces
        self.picker = Picker(size, rng)
        self.bytes_max = 0
        """How much may be asked for and not yet be stored."""
        self.gate = gate
        """What the cap for all downloads lets this one ask for."""
        self._writing_bytes = 0

    @property
    def endgame(self) -> bool:
        """Whether all that is not done is asked for or on its way to the disk."""
        return not self.pieces.complete and not self.pieces.count(State.MISSING)

    @property
    def writing_bytes(self) -> int:
        """How much came and is not stored yet."""
        return self._writing_bytes

    @property
    def patience_s(self) -> float | None:
        """When another source may be asked too for what one is late with; None: not at all."""
        if self.endgame:
            return TAIL_S
        return self.lateness_s if self.is_streamed else None

    def fill(
        self, source: Source, sources: Iterable[Source], bytes_per_s: float, now: float
    ) -> list[Effect]:
        """Ask `source` for as much as it and the allotment have room for; so fast does it come."""
        if not (source.ready and source.room) or source.is_full(now) or self.gate.is_shut(now):
            return []
        everybody = list(sources)
        soon = window(self.pieces, self._size, bytes_per_s) if self.is_streamed else NO_WINDOW
        effects: list[Effect] = []
        while source.room and self._bytes_left(everybody) > 0:
            request_bytes = min(source.request_bytes, self.gate.grain_bytes or REQUEST_BYTES_MAX)
            run = self._late(source, everybody, soon, now) or self.picker.choose(
                self.pieces.missing, source.has, request_bytes, soon
            )
            run = run or self._owed_for_long(source, everybody, now)
            if run is None or not self.gate.may_pass(self._span(run)[1], now):
                break
            effects.append(self._ask(source, run, now))
        return effects

    def has_nothing(self, source: Source) -> bool:
        """Whether a source has shown what it has, and we have that."""
        if source.has is None or not source.shown or source.requests:
            return False
        return not any(self.pieces.state(piece) < State.WRITING for piece in source.has)

    def is_scarce(self, linked: Iterable[Source]) -> bool:
        """Whether a piece that is missing is with one of these at most; a seed that shows its
        pieces one by one has those that it showed."""
        full = sum(each.shown and each.has is None for each in linked)
        return full + self.picker.copies(self.pieces.missing) < COPIES_FEW

    def take_back(self, source: Source) -> list[int]:
        """It owes nothing more; the offsets of what it owed."""
        offsets = list(source.requests)
        for offset in offsets:
            self.returned(source, source.take_back(offset))
        return offsets

    def returned(self, source: Source, request: Asked | None) -> None:
        """`source` does not bring this: it is missing, unless it was asked of another too."""
        if request is None:
            return
        self.gate.give_back(request.length, request.at)
        for piece in range(request.first, request.first + request.count):
            self.pieces.give_back(piece, source.peer)

    def came(self, source: Source, offset: int, length: int) -> list[tuple[int, int]]:
        """`source` sent whole pieces: the spans (offset, length) that are new and to be written."""
        piece_bytes = piece_span(self._size, 0)[1]
        first, count = offset // piece_bytes, -(-length // piece_bytes)
        spans = [self._span(run) for run in self.pieces.came(first, count, source.peer)]
        self._writing_bytes += sum(length for _, length in spans)
        return spans

    def cancel_others(
        self, source: Source, offset: int, length: int, sources: Sources
    ) -> list[Effect]:
        """The same was asked of several: what `source` brings is enough."""
        effects: list[Effect] = []
        for peer in self.pieces.owners(offset // piece_span(self._size, 0)[1]):
            other = sources.get(peer)
            request = other.requests.get(offset) if other is not None else None
            if other is None or other is source or request is None or request.length != length:
                continue
            other.take_back(offset)
            self.gate.give_back(length, request.at)
            effects.append(Send(peer, Cancel(self._root, offset)))
        return effects

    def written(self, good: Iterable[int], bad: Iterable[int]) -> Written:
        """The disk has proven these, and found those wrong."""
        outcome = Written()
        for piece in good:
            sender = self.stored(piece)
            if sender is not None:
                length = piece_span(self._size, piece)[1]
                outcome.given[sender] = outcome.given.get(sender, 0) + length
                outcome.proven.append(piece)
        senders = [self.wrong(piece) for piece in bad]
        outcome.liars += [sender for sender in senders if sender is not None]
        return outcome

    def stored(self, piece: int) -> NodeId | None:
        """The disk has it; who sent it, if it was awaited."""
        sender = self.pieces.owners(piece)
        if not self.pieces.stored(piece):
            return None
        self._writing_bytes -= piece_span(self._size, piece)[1]
        return sender[0]

    def wrong(self, piece: int) -> NodeId | None:
        """The disk found it wrong; who sent it, if it was awaited."""
        sender = self.pieces.wrong(piece)
        if sender is not None:
            self._writing_bytes -= piece_span(self._size, piece)[1]
        return sender

    def _ask(self, source: Source, run: Run, now: float) -> Effect:
        first, count = run
        for piece in range(first, first + count):
            self.pieces.ask(piece, source.peer)
        offset, length = self._span(run)
        source.asked(offset, Asked(first, count, length, now))
        return Send(source.peer, Request(self._root, offset, length))

    def _late(self, source: Source, everybody: list[Source], soon: range, now: float) -> Run | None:
        """The next that is needed, where another owes it for long: that, or what else it owes."""
        owners = self.pieces.owners(soon[0]) if soon else ()
        if not owners:
            return None
        for other in everybody:
            if other is source or other.peer not in owners:
                continue
            late = [
                each
                for each in other.requests.values()
                if each.first in soon and (other.snubs or now - each.at >= self.lateness_s)
            ]
            for request in sorted(late, key=lambda each: each.first):
                if self._may_double(source, request, 1):
                    return request.first, request.count
        return None

    def _owed_for_long(self, source: Source, everybody: list[Source], now: float) -> Run | None:
        """In the endgame, for an idle source: what another has owed for long."""
        if not self.endgame or source.requests:
            return None
        for other in everybody:
            for request in other.requests.values():
                age_s = now - request.at
                is_slow = age_s >= TAIL_S and other.takes_s(now) >= SLOW_S
                others_max = min(max(int(age_s / self.lateness_s), is_slow), OWERS_MAX - 1)
                if other is not source and self._may_double(source, request, others_max):
                    return request.first, request.count
        return None

    def _may_double(self, source: Source, request: Asked, owers_max: int) -> bool:
        """Whether `source` has all of it, all of it is still owed, and by no more leaves."""
        return all(
            self.pieces.state(piece) is State.ASKED
            and len(self.pieces.owners(piece)) <= owers_max
            and (source.has is None or piece in source.has)
            for piece in range(request.first, request.first + request.count)
        )

    def _bytes_left(self, everybody: list[Source]) -> int:
        return self.bytes_max - self._writing_bytes - sum(each.owed_bytes for each in everybody)

    def _span(self, run: Run) -> tuple[int, int]:
        """A run of pieces as (offset, length) in bytes."""
        first, count = run
        offset = piece_span(self._size, first)[0]
        last_offset, last_length = piece_span(self._size, first + count - 1)
        return offset, last_offset + last_length - offset
