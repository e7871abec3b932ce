"""How a search spreads: in one wave, ring by ring, or by as few as seem to be enough.

A strategy says what to ask first and, each time all that was asked has been answered, what to ask
next; whether that is needed at all, the origin decides (`superpeer.search.search`). *flood* is the
baseline: everybody within depth at once. *ring* asks everybody that a digest does not rule out, one
link further each time, so what it has covered is exact. *dynamic* does the same in portions: a few
of our neighbours first, then as many more as the hits so far promise to be enough (dynamic query:
Fisk 2003, who had to guess what digests tell).
"""

import math
from typing import Final, NamedTuple, Protocol

PROBED_LINKS: Final = 3  # dynamic query's
GROWTH: Final = 2  # of a portion after one without a hit; wild guess


class Step(NamedTuple):
    """What a search does next: ask one link deeper or not, and how many more of our neighbours."""

    deeper: bool
    links: int | None  # None: all


class Progress(NamedTuple):
    """What has come of a search so far."""

    wanted: int  # hits that are still wanted
    found: int  # hits of the last step
    put_off: bool  # some of our neighbours were not asked that might have something


class Strategy(Protocol):
    """One search's way; `guided` by digests or blind."""

    guided: bool

    def first_level(self, depth: int) -> int:
        """How far the first wave goes; beyond it `next` leads, up to `depth`."""

    def next(self, progress: Progress) -> Step | None:
        """What to ask now; None: that was all."""


class Flood:
    """Everybody at once."""

    guided = False

    def first_level(self, depth: int) -> int:
        """As deep as was asked for."""
        return depth

    def next(self, _progress: Progress) -> Step | None:
        """Nothing: there is one wave."""
        return None


class Rings:
    """One link further each time."""

    guided = True

    def first_level(self, _depth: int) -> int:
        """Our own index."""
        return 0

    def next(self, _progress: Progress) -> Step:
        """The next ring."""
        return Step(deeper=True, links=None)


class Dynamic:
    """As many neighbours as promise to be enough, and deeper when all have been asked."""

    guided = True

    def __init__(self) -> None:
        self._links = 0  # of the last portion

    def first_level(self, _depth: int) -> int:
        """Our own index."""
        return 0

    def next(self, progress: Progress) -> Step:
        """A portion at this depth while there are any left, else the first one link deeper."""
        if not progress.put_off:
            self._links = PROBED_LINKS
        elif progress.found:
            self._links = math.ceil(progress.wanted * self._links / progress.found)
        else:
            self._links *= GROWTH
        return Step(deeper=not progress.put_off, links=self._links)
