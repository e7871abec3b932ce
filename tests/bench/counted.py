"""The program `leaf` with counters that outlive it: what came over the network, and to what end.

    python -m tests.bench.counted FILE leaf-arguments…

FILE is mapped into memory, so that what was counted up to the very instant of a SIGKILL is in it.
One download in one run is what it can tell of.
"""

import mmap
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

from common.core import Event
from common.ids import NodeId
from common.messages.swarm import Piece
from common.storage import PartFinished, PartOpened, PartSkipped
from leaf.swarm.download import Download
from leaf.swarm.fetch import Fetch
from leaf.swarm.source import Source

ACTIVE_S = 1.0
_LAYOUT = struct.Struct("<4Q")


class Counts(NamedTuple):
    """What one run of a leaf counted."""

    opened: int = 0  # pieces that were there when the part was opened, and one; 0: it was not
    received: int = 0  # bytes of pieces that came
    active: int = 0  # sources that owed something or had sent it in the second before the last came
    done: int = 0  # 1: the file has its name

    @classmethod
    def read(cls, file: Path) -> "Counts":
        """What is in the file."""
        return cls(*_LAYOUT.unpack(file.read_bytes()))

    def write(self, file: Path) -> None:
        """Begin with this."""
        file.write_bytes(_LAYOUT.pack(*self))


class Counter:
    """Counts beside the handlers of every download."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _LAYOUT.size)
        self._counts = Counts()
        self._sent_at: dict[NodeId, float] = {}
        self._on_piece = Fetch._MESSAGES[Piece]
        self._handlers = dict(Download._HANDLERS)
        Fetch._MESSAGES[Piece] = self.piece
        for event in (PartOpened, PartFinished, PartSkipped):
            Download._HANDLERS[event] = self.told

    def piece(self, fetch: Fetch, source: Source, event: Any, now: float) -> Any:
        """Something came."""
        effects = self._on_piece(fetch, source, event, now)
        self._sent_at[source.peer] = now
        late = now - ACTIVE_S
        owing = sum(
            bool(each.requests) or self._sent_at.get(each.peer, -1.0) > late
            for each in fetch.sources
        )
        received = self._counts.received + len(event.data or b"")
        self._write(self._counts._replace(received=received, active=owing))
        return effects

    def told(self, download: Download, event: Event, now: float) -> Any:
        """The disk says how far the download is."""
        if isinstance(event, PartOpened):
            self._write(self._counts._replace(opened=event.done.count(1) + 1))
        else:
            self._write(self._counts._replace(done=1))
        return self._handlers[type(event)](download, event, now)

    def _write(self, counts: Counts) -> None:
        self._counts = counts
        self._shared[:] = _LAYOUT.pack(*counts)


def main() -> None:
    """Run the leaf's own command line."""
    Counter(Path(sys.argv[1]))
    sys.argv = ["leaf", *sys.argv[2:]]
    from leaf.cli import main as leaf

    leaf()


if __name__ == "__main__":
    main()
