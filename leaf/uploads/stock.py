"""What this leaf can serve: its shared files first, then its downloads, whole or partial."""

from common.content.merkle import piece_size_bytes
from common.core import Effect
from common.messages.swarm import Reason
from common.storage import ReadPart, ReadShared, SharedFile
from leaf.downloads.downloads import Downloads
from leaf.library.library import Library
from leaf.swarm.download import Download, State


class Stock:
    """A view on the library and the downloads; it changes neither."""

    __slots__ = ("_downloads", "_library")

    def __init__(self, library: Library, downloads: Downloads) -> None:
        self._library = library
        self._downloads = downloads

    def find(self, root: bytes, size: int) -> SharedFile | Download | None:
        """Something that has the file, or pieces of it, or soon will: who begins together meets."""
        shared = self._library.find(root, size)
        return shared if shared is not None else self._downloads.find(root, size)

    def read(
        self, number: int, root: bytes, size: int, offset: int, length: int
    ) -> Effect | Reason:
        """The order to read this span under that number, or why it cannot be read."""
        held = self.find(root, size)
        if held is None:
            return "gone"
        if isinstance(held, SharedFile):
            return ReadShared(number, held, offset, length)
        piece_bytes = piece_size_bytes(size)
        pieces = range(offset // piece_bytes, -(-(offset + length) // piece_bytes))
        if not all(held.has(piece) for piece in pieces):
            return "not_here"
        return ReadPart(number, held.record.number, offset, length)

    def has_all(self, root: bytes, size: int) -> bool:
        """Whether every piece is there: a file may vanish, and be fetched again."""
        held = self.find(root, size)
        return isinstance(held, SharedFile) or (held is not None and held.marks() is None)

    def whole(self, root: bytes) -> SharedFile | Download | None:
        """Something that has all of a file with this root."""
        shared = self._library.find(root)
        if shared is not None:
            return shared
        download = self._downloads.find(root)
        return download if download is not None and download.state is State.DONE else None
