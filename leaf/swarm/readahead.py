"""How far ahead a file is fetched in order, for who reads it while it comes.

The window begins with the first piece that is not proven and is as wide as what comes in a few
seconds: wide enough that no source waits for another at its end, and no wider, since what is
fetched in order by everybody is soon rare at its end.
"""

from typing import Final

from common.content.merkle import piece_size_bytes
from leaf.swarm.pieces import Pieces

AHEAD_S: Final = 5.0  # of the measured rate: several times what a source may owe; wild guess
AHEAD_BYTES_MIN: Final = 2 * 1024 * 1024  # before anything is measured: what players read first


def window(pieces: Pieces, size: int, bytes_per_s: float) -> range:
    """The pieces that come before all others."""
    first = pieces.prefix
    ahead_bytes = max(int(bytes_per_s * AHEAD_S), AHEAD_BYTES_MIN)
    count = max(ahead_bytes // piece_size_bytes(size), 1)
    return range(first, min(first + count, len(pieces)))
