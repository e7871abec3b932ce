"""2: a journal never claims what the disk does not hold, even after the power went.

Looked at when a host has lost its power, before anything is opened again: each piece that a journal
enters must be there, whole and true. That the program would prove it again changes nothing.
"""

from collections.abc import Callable

from common.shell.disk.journal import replay
from deploy.sim.chaos.truth import Truth
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.nodes import DOWNLOADS

JOURNAL = ".journal"


class JournalsAreTrue:
    """Reads journals as a restart would, and holds their claims against the part beside them."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        files: dict[int, FileSystem],
    ) -> None:
        self._violate, self._truth, self._files = violate, truth, files

    def darkened(self, host: Host) -> None:
        """The power is gone, and with it what was not synced."""
        files = self._files[host.number]
        if not files.exists(DOWNLOADS) or host.number in self._truth.rotten:
            return
        for name in files.names(DOWNLOADS):
            if name.endswith(JOURNAL):
                self._look(host, files, f"{DOWNLOADS}/{name}")

    def _look(self, host: Host, files: FileSystem, path: str) -> None:
        found = replay(files.read(path))
        part = path.removesuffix(JOURNAL)
        content = self._truth.contents.get((found.root, found.size)) if found else None
        if found is None or content is None or not files.exists(part):
            return
        data = files.read(part)
        for index in found.pieces:
            begin = index * found.piece_size
            end = min(begin + found.piece_size, found.size)
            if data[begin:end] != content[begin:end]:
                self._violate(
                    "2: what is claimed is durable",
                    f"{host.name}: {path} claims piece {index}, which is not on the disk",
                )
