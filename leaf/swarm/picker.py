"""Which pieces to ask a source for next: a few at random, then the rarest, in long runs.

The file is cut into spans, each as long as the widest request or a multiple of it, so that requests
are contiguous and there are never more than `SPANS_MAX` to choose from. A span weighs as many
pieces as partial sources have of it; the lightest is the rarest. Full sources add the same to every
span and are not counted. Spans of equal weight come in an order shuffled once. A decider: it
returns a run of missing pieces and changes nothing but its own books.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from common.limits import REQUEST_BYTES_MAX
from common.merkle import piece_count, piece_size_bytes
from leaf.swarm.pieces import Pieces, State

SPANS_MAX: Final = 4_096  # of one file: up to 4 GiB a span is one request
RANDOM_FIRST: Final = 4  # requests before rarest first begins (libtorrent: 4 pieces)

Run = tuple[int, int]  # first piece, how many


class Picker:
    """The spans of one file that may still have missing pieces, by weight."""

    def __init__(self, size: int, rng: Random) -> None:
        self._rng = rng
        self._count = piece_count(size)
        self._piece_bytes = piece_size_bytes(size)
        widest = max(REQUEST_BYTES_MAX // self._piece_bytes, 1)
        requests = -(-self._count // widest)
        self._span = widest * max(-(-requests // SPANS_MAX), 1)
        spans = list(range(-(-self._count // self._span)))
        rng.shuffle(spans)
        self._weights = [0] * len(spans)
        self._open: dict[int, dict[int, None]] = {0: dict.fromkeys(spans)}
        self._chosen = 0

    def choose(
        self,
        pieces: Pieces,
        has: bytes | bytearray | None,
        request_bytes: int = REQUEST_BYTES_MAX,
    ) -> Run | None:
        """A run of missing pieces that a source has (None: all of them), or None.

        The run is one piece at least, and else no longer than `request_bytes`.
        """
        count_max = max(min(request_bytes, REQUEST_BYTES_MAX) // self._piece_bytes, 1)
        found: Run | None = None
        closed = []
        for span in self._in_order():
            begin = span * self._span
            end = min(begin + self._span, self._count)
            first = pieces.first_missing(begin, end)
            if first < 0:
                closed.append(span)
                continue
            found = self._run(pieces, has, first, end, count_max)
            if found is not None:
                break
        for span in closed:
            self._close(span)
        self._chosen += found is not None
        return found

    def reopen(self, piece: int) -> None:
        """This piece is missing again."""
        span = piece // self._span
        self._open.setdefault(self._weights[span], {})[span] = None

    def gained(self, piece: int) -> None:
        """A partial source has this piece."""
        self._weigh(piece // self._span, 1)

    def source_came(self, marks: bytes | bytearray) -> None:
        """A partial source has these pieces."""
        for span in range(len(self._weights)):
            begin = span * self._span
            self._weigh(span, marks.count(1, begin, begin + self._span))

    def source_left(self, marks: bytes | bytearray) -> None:
        """A partial source that had these pieces is gone."""
        for span in range(len(self._weights)):
            begin = span * self._span
            self._weigh(span, -marks.count(1, begin, begin + self._span))

    def _in_order(self) -> Iterator[int]:
        """Open spans, rarest first; at the beginning in random order."""
        if self._chosen < RANDOM_FIRST:
            spans = [span for weight in sorted(self._open) for span in self._open[weight]]
            self._rng.shuffle(spans)
            yield from spans
            return
        for weight in sorted(self._open):
            yield from self._open[weight]

    def _run(
        self,
        pieces: Pieces,
        has: bytes | bytearray | None,
        first: int,
        end: int,
        count_max: int,
    ) -> Run | None:
        """From `first` on: the first missing pieces side by side that the source has."""
        while first >= 0 and has is not None and not has[first]:
            first = pieces.first_missing(first + 1, end)
        if first < 0:
            return None
        beyond = first + 1
        end = min(end, first + count_max)
        while (
            beyond < end and pieces.state(beyond) is State.MISSING and (has is None or has[beyond])
        ):
            beyond += 1
        return first, beyond - first

    def _weigh(self, span: int, change: int) -> None:
        if not change:
            return
        before = self._weights[span]
        self._weights[span] = before + change
        if span in self._open.get(before, {}):
            self._close_at(before, span)
            self._open.setdefault(before + change, {})[span] = None

    def _close(self, span: int) -> None:
        self._close_at(self._weights[span], span)

    def _close_at(self, weight: int, span: int) -> None:
        spans = self._open.get(weight, {})
        spans.pop(span, None)
        if not spans:
            self._open.pop(weight, None)
