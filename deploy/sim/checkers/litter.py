"""17, 21: a disk that says no leaves nothing behind: no descriptor that stays open, no file.

Between two events a leaf has open what its downloads need and the shared files that it read last.
A journal that says nothing at all belongs to a download that could not begin; only a power cut, or
a disk on which nothing can be removed either, may leave one.
"""

from collections.abc import Callable
from typing import Final

from common.core import Effect, Event
from common.shell.disk.journal import replay
from common.shell.disk.pairs import JOURNAL
from common.storage import (
    BytesRead,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    ReadFailed,
    ShareSettled,
)
from deploy.sim.chaos.truth import Truth
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.inside import disk_of
from deploy.sim.nodes import DOWNLOADS

FDS_OF_PART: Final = 3  # part, journal, folder
_ENDS = (PartOpened, PartFailed, PartFinished, PartSkipped, BytesRead, ReadFailed, ShareSettled)


class Litter:
    """Looks at descriptors and names after a disk has done something."""

    def __init__(
        self, violate: Callable[[str, str], None], truth: Truth, files: dict[int, FileSystem]
    ) -> None:
        self._violate, self._truth, self._files = violate, truth, files
        self._known: dict[int, list[str]] = {}  # by host

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in."""
        if isinstance(event, _ENDS):
            self._descriptors(host)
        if isinstance(event, PartFailed):
            fresh = [name for name in self._mute(host) if name not in self._known[host.number]]
            if fresh and host.number not in self._truth.clumsy:
                what = f"{host.name} leaves {fresh[0]} behind: {event.reason}"
                self._violate("21: what could not begin leaves nothing", what)

    def darkened(self, host: Host) -> None:
        """The power is gone: what lies there now is nobody's fault."""
        self._known[host.number] = self._mute(host)

    def _mute(self, host: Host) -> list[str]:
        """The journals in which nothing stands."""
        files = self._files[host.number]
        self._known.setdefault(host.number, [])
        names = files.names(DOWNLOADS) if files.exists(DOWNLOADS) else []
        journals = [name for name in names if name.endswith(JOURNAL)]
        return [name for name in journals if replay(files.read(f"{DOWNLOADS}/{name}")) is None]

    def _descriptors(self, host: Host) -> None:
        disk = disk_of(host)
        if disk is None:
            return
        needed = FDS_OF_PART * len(disk._parts) + len(disk._files)
        count = disk._calls.open_count  # type: ignore[attr-defined]
        if count > needed:
            what = f"{host.name} has {count} descriptors open and needs {needed}"
            self._violate("17: nothing stays open", what)
