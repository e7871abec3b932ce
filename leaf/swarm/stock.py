"""What this leaf can serve: its shared files first, then its downloads, whole or partial."""

from common.storage import SharedFile
from leaf.downloads import Downloads
from leaf.library import Library
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

    def whole(self, root: bytes) -> SharedFile | Download | None:
        """Something that has all of a file with this root."""
        shared = self._library.find(root)
        if shared is not None:
            return shared
        download = self._downloads.find(root)
        return download if download is not None and download.state is State.DONE else None
