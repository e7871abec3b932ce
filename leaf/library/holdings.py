"""Every shared file by its path and by its root, whichever shares it lies in.

Invariant: a path that lies in overlapping shares counts once, and stands for the file as the first
of them reported it, until the last has given it up.
"""

from common.storage import SharedFile
from leaf.library.shared import path_of


class Holdings:
    """The files of all shares of a leaf."""

    __slots__ = ("_by_path", "_by_root", "bytes")

    def __init__(self) -> None:
        self._by_path: dict[str, dict[str, SharedFile]] = {}  # path -> share -> the file there
        self._by_root: dict[bytes, dict[str, SharedFile]] = {}  # root -> path -> one of them
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_path)

    def at(self, path: str) -> SharedFile | None:
        """The file that a path stands for."""
        return next(iter(self._by_path.get(path, {}).values()), None)

    def find(self, root: bytes, size: int | None = None) -> SharedFile | None:
        """A file with this content."""
        for file in self._by_root.get(root, {}).values():
            if size in (None, file.size):
                return file
        return None

    def add(self, file: SharedFile) -> bool:
        """Whether its share is the first with this path, so that its entry is the one to offer."""
        path = path_of(file)
        owners = self._by_path.setdefault(path, {})
        if not owners:
            self.bytes += file.size
        owners[file.share] = file
        first = next(iter(owners.values()))
        self._by_root.setdefault(first.root, {})[path] = first
        return first is file

    def remove(self, file: SharedFile) -> None:
        """Its share has it no more."""
        path = path_of(file)
        owners = self._by_path.get(path, {})
        owners.pop(file.share, None)
        paths = self._by_root.get(file.root, {})
        paths.pop(path, None)
        if not paths:
            self._by_root.pop(file.root, None)
        if owners:
            first = next(iter(owners.values()))
            self._by_root.setdefault(first.root, {})[path] = first
        elif self._by_path.pop(path, None) is not None:
            self.bytes -= file.size
