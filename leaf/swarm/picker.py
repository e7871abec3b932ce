"""Which pieces to ask a source for next: a few at random, then the rarest, in long runs.

A piece is as rare as few partial sources have it; full sources add the same to every piece and are
not counted. Among the rarest the draw is random: those who take the first of a list all take the
same, and then have nothing to give one another (eight that did took 2.5 times as long). A run is
what is missing side by side around the piece that was drawn, inside a block of its length. Lengths
are powers of two, so that blocks of one lie within blocks of another, and who is asked for little
is asked for more of what was begun: each crumb that is left costs a request of its own later, from
everybody who fetches the file. Where a window is given, its pieces come before all others and in
order: for who reads the file while it is fetched (`leaf.swarm.readahead`). A decider: it returns a
run and changes nothing but its own books.
"""

from random import Random
from typing import Final

from pyroaring import BitMap

from common.content.merkle import piece_count, piece_size_bytes
from common.limits import REQUEST_BYTES_MAX

RANDOM_FIRST: Final = 4  # runs before rarest first begins (libtorrent: 4 pieces)

NO_WINDOW: Final = range(0)

Run = tuple[int, int]  # first piece, how many


class Picker:
    """The pieces of one file by how many partial sources have them."""

    def __init__(self, size: int, rng: Random) -> None:
        self._rng = rng
        self._piece_bytes = piece_size_bytes(size)
        self._block = REQUEST_BYTES_MAX // self._piece_bytes
        self._by_copies = [BitMap(range(piece_count(size)))]  # none, one, two, ...
        self._begun = BitMap()  # in the largest blocks of which something was asked for
        self._chosen = 0

    def choose(
        self,
        missing: BitMap,
        has: BitMap | None,
        request_bytes: int = REQUEST_BYTES_MAX,
        window: range = NO_WINDOW,
    ) -> Run | None:
        """A run of missing pieces that a source has (None: all of them), or None.

        The run is one piece at least, and else no longer than `request_bytes`. While a piece of
        `window` is wanted it is the first of these, and what follows it inside the window.
        """
        wanted = missing if has is None else missing & has
        if not wanted:
            return None
        count_max = power_below(request_bytes // self._piece_bytes, self._block)
        soon = wanted & BitMap(window) if window else None
        if soon:
            return run_from(soon, soon.min(), count_max)
        rarest = self._rarest(wanted) if self._chosen >= RANDOM_FIRST else wanted
        if count_max < self._block:
            rarest = rarest & self._begun or rarest
        self._chosen += 1
        piece = rarest[self._rng.randrange(len(rarest))]
        begin = piece - piece % self._block
        self._begun.add_range(begin, begin + self._block)
        return run_around(wanted, piece, count_max)

    def copies(self, missing: BitMap) -> int:
        """How many partial sources have the rarest of these pieces; more than have any, where these
        are none."""
        ways = (
            copies for copies, pieces in enumerate(self._by_copies) if pieces.intersect(missing)
        )
        return next(ways, len(self._by_copies))

    def source_came(self, has: BitMap) -> None:
        """A partial source has these pieces, or has them now too."""
        for copies in reversed(range(len(self._by_copies))):
            has = has - self._move(has, copies, copies + 1)
            if not has:
                return

    def source_left(self, has: BitMap) -> None:
        """A partial source that had these pieces is gone."""
        for copies in range(1, len(self._by_copies)):
            self._move(has, copies, copies - 1)

    def _rarest(self, wanted: BitMap) -> BitMap:
        for pieces in self._by_copies:
            rarest = pieces & wanted
            if rarest:
                return rarest
        return wanted

    def _move(self, has: BitMap, before: int, after: int) -> BitMap:
        moved = self._by_copies[before] & has
        if moved:
            self._by_copies[before] -= moved
            self._with(after).update(moved)
        return moved

    def _with(self, copies: int) -> BitMap:
        if copies == len(self._by_copies):
            self._by_copies.append(BitMap())
        return self._by_copies[copies]


def power_below(count: int, count_max: int) -> int:
    """The largest power of two that is neither above `count` nor above `count_max`; 1 at least."""
    return 1 << (max(min(count, count_max), 1).bit_length() - 1)


def run_around(pieces: BitMap, piece: int, count_max: int) -> Run:
    """Of these pieces those side by side around one, in its block of `count_max`."""
    begin = piece - piece % count_max
    first, beyond = piece, piece + 1
    while first > begin and first - 1 in pieces:
        first -= 1
    while beyond < begin + count_max and beyond in pieces:
        beyond += 1
    return first, beyond - first


def run_from(pieces: BitMap, first: int, count_max: int) -> Run:
    """Of these pieces those side by side from the first on, at most `count_max`."""
    beyond = first + 1
    while beyond < first + count_max and beyond in pieces:
        beyond += 1
    return first, beyond - first
