"""Manifests of folders as files of ours: made for shares, read when they were fetched.

One that is made lies in a folder named after its share and its own root, below the node's own
place: `PLACE/SHARE-ROOT/NAME.folder`. So a new version never replaces an old one under those who
read it: it is written beside it, and then the old one goes. Each is one job in a worker thread,
since a hundred thousand files take a second to write down or to read. What is in a manifest is the
business of `common.content.manifest`.
"""

import errno
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from common.content.manifest import (
    MAGIC,
    FolderFile,
    ManifestError,
    chooser,
    manifest_name,
    manifest_of,
    parse_manifest,
    places,
)
from common.content.merkle import FileHasher, FileTree
from common.core import Event
from common.errors import Exit
from common.folders import (
    DropManifest,
    MakeManifest,
    ManifestFailed,
    ManifestMade,
    ManifestRead,
    ManifestUnread,
    ReadManifest,
)
from common.limits import MANIFEST_BYTES_MAX
from common.shell.disk.diskcalls import DiskCalls, DiskError, naming
from common.shell.disk.files import FileStamp
from common.shell.disk.placing import make_folders
from common.shell.disk.remembered import Hashes
from common.storage import SharedFile

KEY_CHARS: Final = 16  # of a hash in a name: 64 bits
_NEW: Final = "manifest.new"


class Manifests:
    """Makes, reads and removes them; each method is one job of a worker thread."""

    def __init__(self, calls: DiskCalls, store: Hashes | None) -> None:
        self._calls = calls
        self._store = store

    # --- shares -----------------------------------------------------------------------------

    def made(self, effect: MakeManifest) -> Event:
        """The manifest of a share as a file; the very file that was there if nothing changed."""
        files = [FolderFile(file.relpath, file.size, file.root) for file in effect.files]
        name = manifest_name(effect.share.rpartition("/")[2])
        place, key = Path(effect.place), _key(effect.share.encode())
        try:
            data = manifest_of(files)
            tree = _tree(data)
            folder = place / f"{key}-{tree.root.hex()[:KEY_CHARS]}"
            path = folder / name
            stamp = self._there(path, data) or self._write(path, data)
            if self._store is not None:
                self._store.remember_hashes(folder, {name: (stamp, tree)})
            self._tidy(folder)
            self._drop_others(place, f"{key}-", folder.name)
        except ManifestError as error:
            reason = f"{effect.share} is not shared as one folder: {error}."
            return ManifestFailed(effect.share, reason, "Its files are.", Exit.REFUSED)
        except DiskError as error:
            return ManifestFailed(effect.share, error.message, error.hint)
        size, root = len(data), tree.root
        made = SharedFile(str(path), name, size, stamp.mtime_ns, stamp.inode, root, lone=True)
        return ManifestMade(effect.share, made)

    def _there(self, path: Path, data: bytes) -> FileStamp | None:
        """The stamp of a file with just this content."""
        with naming("open", path):
            status = self._calls.look(path)
            if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != len(data):
                return None
            stamp = FileStamp.of(status)
        return stamp if self._read(path, len(data)) == data else None

    def _write(self, path: Path, data: bytes) -> FileStamp:
        """Under another name first, so that a crash leaves a whole manifest or none."""
        calls = self._calls
        with naming("write", path):
            make_folders(calls, path.parent)
            folder = calls.open_folder(path.parent)
            try:
                for name in (_NEW, path.name):  # of a run that died right here, or damaged
                    with suppress(FileNotFoundError):
                        calls.unlink(name, folder)
                fd = calls.create(_NEW, folder)
                try:
                    calls.write(fd, data, 0)
                    calls.sync(fd)
                    calls.rename_new(_NEW, path.name, folder)
                    return FileStamp.of(calls.fstat(fd))
                finally:
                    calls.close(fd)
            finally:
                calls.close(folder)

    def _tidy(self, folder: Path) -> None:
        """What a run left that died between two names for one file."""
        with suppress(OSError):
            fd = self._calls.open_folder(folder)
            try:
                self._calls.unlink(_NEW, fd)
            finally:
                self._calls.close(fd)

    def _drop_others(self, place: Path, prefix: str, but: str) -> None:
        """Older versions of one share; what cannot be removed stays, and harms nobody."""
        with suppress(OSError, DiskError):
            with self._calls.scandir(place) as entries:
                old = [each.name for each in entries if each.name.startswith(prefix)]
            for folder in old:
                if folder != but:
                    with self._calls.scandir(place / folder) as entries:
                        names = [each.name for each in entries]
                    self._drop(place / folder, names)

    def dropped(self, effect: DropManifest) -> None:
        """One manifest, and its folder if nothing else is in it."""
        path = Path(effect.path)
        with suppress(OSError, DiskError):
            self._drop(path.parent, [path.name])

    def _drop(self, folder: Path, names: list[str]) -> None:
        calls = self._calls
        fd = calls.open_folder(folder)
        try:
            for name in names:
                calls.unlink(name, fd)
        finally:
            calls.close(fd)
        if self._store is not None:
            self._store.forget_hashes(folder, names)
        calls.remove_folder(folder)

    # --- fetched ----------------------------------------------------------------------------

    def read(self, effect: ReadManifest) -> Event:
        """The files of a fetched manifest that are wanted, and where they go."""
        path = Path(effect.path)
        try:
            data = self._read(path, MANIFEST_BYTES_MAX)
            if not data.startswith(MAGIC):
                reason = f"{path.name} is not the manifest of a folder, as its name says"
                return ManifestUnread(effect.folder, "ordinary", reason)
            files = parse_manifest(data)
            wanted = chooser(effect.only)
        except ManifestError as error:
            reason = f"{path.name} is not fetched as a folder: {error}"
            return ManifestUnread(effect.folder, "bad", reason)
        except DiskError as error:
            return ManifestUnread(effect.folder, "disk", error.message.rstrip("."))
        at = zip(files, places(files), strict=True)
        chosen = [(file, place) for file, place in at if wanted(file.path)]
        moved = sum(file.path != place for file, place in chosen)
        found = tuple(FolderFile(place, file.size, file.root) for file, place in chosen)
        return ManifestRead(effect.folder, found, moved, len(files) - len(found))

    def _read(self, path: Path, bytes_max: int) -> bytes:
        """All of a file of ours that is not larger."""
        with naming("read", path):
            folder = self._calls.open_folder(path.parent)
            try:
                fd = self._calls.open_to_read(path.name, folder)
            finally:
                self._calls.close(folder)
            try:
                if self._calls.fstat(fd).st_size > bytes_max:
                    raise OSError(errno.EFBIG, "too large", str(path))
                return self._calls.contents(fd)
            finally:
                self._calls.close(fd)


def _tree(data: bytes) -> FileTree:
    hasher = FileHasher(len(data))
    hasher.update(data)
    return hasher.finish()


def _key(text: bytes) -> str:
    return sha256(text).hexdigest()[:KEY_CHARS]
