"""Which shares are published as one thing too, and when the manifest of each is made.

A manifest is made once all that a share holds is hashed, at once for the first one, and for a new
version GATHER_S after the scan that found a change, so that many changes in a row make few. One is
made at a time; what changes meanwhile makes the next. The old manifest stays valid until then: it
goes when the new one is there. The files themselves are the library's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from common.core import Effect
from common.deadlines import soonest
from common.folders import MakeManifest
from common.storage import SharedFile

GATHER_S: Final = 2.0  # wild guess: a copied album makes one new version, not one a file
MANIFEST: Final = ""  # among the files of a share: no path inside one is empty


@dataclass(slots=True)
class _Folder:
    """One share that is a folder."""

    changing: bool = False  # something was reported since the last scan that is over
    stale: bool = True  # what is there is in no manifest that was ordered
    making: bool = False
    made: bool = False
    due: float | None = None


class FolderShares:
    """The shares that are folders, by their path; manifests are kept below `place`."""

    __slots__ = ("_folders", "_place")

    def __init__(self, place: str) -> None:
        self._place = place
        self._folders: dict[str, _Folder] = {}

    def __contains__(self, share: object) -> bool:
        return share in self._folders

    def wakeup(self) -> float | None:
        """When the next manifest is to be made."""
        folders = self._folders.values()
        return soonest([each.due for each in folders if each.due and _is_ready(each)])

    def is_behind(self, share: str) -> bool:
        """Whether files of this share are in no manifest yet that will be."""
        folder = self._folders.get(share)
        return folder is not None and (folder.stale or folder.making)

    def add(self, share: str) -> None:
        """It is a folder from now on; twice is once."""
        self._folders.setdefault(share, _Folder())

    def remove(self, share: str) -> None:
        """It is none any more."""
        self._folders.pop(share, None)

    def changed(self, share: str) -> None:
        """A scan under way has reported something of it."""
        if share in self._folders:
            self._folders[share].changing = True

    def settled(self, share: str, files: Mapping[str, SharedFile], now: float) -> list[Effect]:
        """A scan of it is over."""
        folder = self._folders.get(share)
        if folder is None:
            return []
        folder.stale = folder.stale or folder.changing
        folder.changing = False
        if folder.stale and folder.due is None and not folder.making:
            folder.due = now + GATHER_S if folder.made else now
        return self._make(share, folder, files, now)

    def woke(self, shares: Mapping[str, Mapping[str, SharedFile]], now: float) -> list[Effect]:
        """Make what is due."""
        effects: list[Effect] = []
        for share, folder in self._folders.items():
            effects += self._make(share, folder, shares.get(share, {}), now)
        return effects

    def ended(self, share: str, now: float) -> bool:
        """The manifest was made, or could not be; False where nobody waits for one."""
        folder = self._folders.get(share)
        if folder is None or not folder.making:
            return False
        folder.making, folder.made = False, True
        if folder.stale:
            folder.due = now + GATHER_S
        return True

    def _make(
        self, share: str, folder: _Folder, files: Mapping[str, SharedFile], now: float
    ) -> list[Effect]:
        if not _is_ready(folder) or folder.due is None or folder.due > now:
            return []
        folder.due, folder.stale, folder.making = None, False, True
        within = tuple(file for place, file in files.items() if place != MANIFEST)
        return [MakeManifest(share, self._place, within)]


def _is_ready(folder: _Folder) -> bool:
    return folder.stale and not folder.changing and not folder.making
