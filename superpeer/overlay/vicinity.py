"""Who is near us: our neighbours, theirs, and those that they say are near them.

Searches end where all of these are covered, so one that is gone keeps them going in vain until
everybody near has told so. Whose link we lost is therefore not near by what others said before: for
`gone_s` it counts only where they reach it themselves.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from common.deadlines import Deadlines
from common.ids import NodeId
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.reach import nearby, short_id


class Vicinity:
    """The ids of who is near; `neighbours` are read as they are at the moment."""

    def __init__(self, neighbours: Mapping[NodeId, Neighbour], gone_s: float) -> None:
        """`gone_s`: how long the others may take to tell what they have lost."""
        self._neighbours = neighbours
        self._gone_s = gone_s
        self._gone = Deadlines()  # by id: until when others are not believed
        self._around: frozenset[int] | None = None  # as long as nothing changes

    def around(self) -> frozenset[int]:
        """The ids of who is three links away or less."""
        if self._around is None:
            theirs = [neighbour.nearby for neighbour in self._neighbours.values()]
            self._around = frozenset(self._there(chain(self._two_links(), *theirs)))
        return self._around

    def told(self) -> bytes:
        """The ids of who is two links away or less, as neighbours are told."""
        return nearby(self._two_links())

    def changed(self) -> None:
        """A neighbour came, or told who is near it."""
        self._around = None

    def lost(self, peer: NodeId, now: float) -> None:
        """The link to a neighbour broke."""
        self._gone.set(short_id(peer), now + self._gone_s)
        self._around = None

    def linked(self, peer: NodeId) -> None:
        """It is there."""
        self._gone.cancel(short_id(peer))
        self._around = None

    def due(self, now: float) -> bool:
        """Whether somebody is near again, if others still say so."""
        if not self._gone.pop_due(now):
            return False
        self._around = None
        return True

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._gone.earliest()

    def _two_links(self) -> Iterator[int]:
        for peer, neighbour in self._neighbours.items():
            yield short_id(peer)
            yield from self._there(neighbour.beyond())

    def _there(self, ids: Iterator[int] | list[int]) -> Iterator[int]:
        return (one for one in ids if self._gone.get(one) is None)
