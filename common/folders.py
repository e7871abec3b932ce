"""Events and effects about folders that are shared or fetched as one thing.

The shell makes and reads manifests in worker threads and keeps them among the node's own things;
which files a folder has, and what becomes of them, is decided in cores. See
`common.content.manifest`.
"""

from common.content.manifest import FolderFile
from common.core import Effect, Event
from common.errors import Exit
from common.storage import FolderRecord, SharedFile


class MakeManifest(Effect, frozen=True):
    """Write down these files of a share as one folder, below `place`: `ManifestMade` or
    `ManifestFailed`. Older versions of this share's manifest go."""

    share: str
    place: str
    files: tuple[SharedFile, ...]


class ManifestMade(Event, frozen=True):
    """The manifest of a share, a file of ours with its stamp, to be shared as such."""

    share: str
    file: SharedFile


class ManifestFailed(Event, frozen=True):
    """The files of a share cannot be one folder, or the disk said no."""

    share: str
    reason: str
    hint: str = ""
    code: Exit = Exit.DISK


class DropManifest(Effect, frozen=True):
    """Remove a manifest of ours, made or fetched."""

    path: str


class ReadManifest(Effect, frozen=True):
    """Read a fetched manifest for the files that `only` chooses."""

    folder: int
    path: str
    only: tuple[str, ...]


class ManifestRead(Event, frozen=True):
    """The chosen files of a folder, each with the path below the target where it goes.

    So many of them go elsewhere than the folder says (`moved`), as their names mean others on some
    disk, and so many were not chosen (`left`).
    """

    folder: int
    files: tuple[FolderFile, ...]
    moved: int = 0
    left: int = 0


class ManifestUnread(Event, frozen=True):
    """It is `ordinary` (another file of that name), `bad` (no manifest all the same) or `disk`."""

    folder: int
    kind: str
    reason: str


class RememberFolder(Effect, frozen=True):
    """This fetched folder survives restarts; or (`forget`) does not."""

    record: FolderRecord
    forget: bool = False
