"""What can be wrong with a download on the disk, and which pieces that concerns."""

from collections.abc import Sequence
from pathlib import Path

from common.errors import Exit, UserError
from common.shell.disk.diskcalls import DiskError


class NotProvenError(LookupError):
    """Bytes were asked for that are not (or no longer) proven."""


class PartClosedError(LookupError):
    """The part was finished, closed or removed."""


class SyncFailedError(DiskError):
    """The disk did not take `pieces`, which had been written: they must be fetched again."""

    def __init__(self, path: Path, number: int, pieces: Sequence[int]) -> None:
        super().__init__("sync", path, number)
        self.pieces = tuple(pieces)


class PiecesLostError(UserError):
    """`pieces` of a part are not what the journal said; they are forgotten and must be fetched."""

    def __init__(self, path: Path, pieces: Sequence[int]) -> None:
        text = f"{len(pieces)} pieces of {path} were damaged on the disk."
        super().__init__(Exit.CORRUPT, text, "They are fetched again.")
        self.pieces = tuple(pieces)
