"""Leaves under caps in virtual time, and what came when: the scene of tests and of a bench.

Links here have no limits of their own, so what is measured is the caps alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from common.content.torrent import file_id
from common.core import Event, Received
from common.messages.swarm import Piece
from leaf.methods import Get, Limit, LimitRow
from tests.leaf_world import World
from tests.memory_disk import tree_of

WINDOW_S = 10.0


@dataclass
class Arrivals:
    """Content that came, by time."""

    times: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def rate(self, begin: float) -> float:
        """Bytes a second from `begin` until the last came."""
        return sum(self.lengths) / (self.times[-1] - begin)

    def worst(self, rate: float, begin: float) -> float:
        """By how much of `rate` any ten seconds between `begin` and the end are off at most."""
        end, worst, step = self.times[-1] - WINDOW_S, 0.0, 0
        while (at := begin + step * 0.1) <= end:
            came = sum(
                length
                for time, length in zip(self.times, self.lengths, strict=True)
                if at < time <= at + WINDOW_S
            )
            worst = max(worst, abs(came / WINDOW_S / rate - 1))
            step += 1
        return worst


class CappedWorld(World):
    """A world that notes what content comes to whom, and from whom."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.arrivals: dict[tuple[str, str], Arrivals] = {}

    def feed(self, name: str, event: Event) -> None:
        """As any world, and with a note."""
        if isinstance(event, Received) and isinstance(event.message, Piece):
            sender = next(each for each in self.nodes if self.node(each) == event.peer)
            came = self.arrivals.setdefault((sender, name), Arrivals())
            came.times.append(self.now)
            came.lengths.append(len(event.data or b""))
        super().feed(name, event)

    def limit(self, name: str, change: Limit) -> LimitRow:
        """What `leaf limit` answers."""
        call = self.ask(name, "leaf.limit", change)
        self.advance(0.01)
        row = self.outcome(call)
        assert isinstance(row, LimitRow), row
        return row

    def fetch(self, name: str, contents: Sequence[bytes]) -> None:
        """Begin to get these, by what they are."""
        for data in contents:
            what = file_id(tree_of(data).root, len(data))
            self.ask(name, "leaf.get", Get(what, detach=True))

    def came(self, node: str) -> Arrivals:
        """What this node sent, or what it got, in order."""
        together = sorted(
            (time, length)
            for ends, each in self.arrivals.items()
            if node in ends
            for time, length in zip(each.times, each.lengths, strict=True)
        )
        return Arrivals([time for time, _ in together], [length for _, length in together])


def capped_world(contents: Sequence[bytes], sources: int, fetchers: int) -> CappedWorld:
    """Leaves `source0`... that share all contents, and `fetcher0`... that have none."""
    world = CappedWorld()
    at = world.superpeer("s")
    files = {f"{number}.bin": data for number, data in enumerate(contents)}
    for number in range(sources):
        world.leaf(f"source{number}", at, files=files)
    for number in range(fetchers):
        world.leaf(f"fetcher{number}", at)
    world.advance(3.0)
    return world
