"""2: a journal never claims what the disk does not hold, even after the power went.

Looked at as pieces are stored, when a host has lost its power, and when a download is taken up
again: each piece that a journal enters must be there, durable, whole and true. That the program
would prove it again before the end changes nothing. What a medium lost in silence nobody can know;
what a person changed between two lives is seen by its stamp.
"""

from collections.abc import Callable
from typing import Final

from common.core import Effect, Event
from common.shell.disk.journal import Replay, replay
from common.shell.disk.pairs import JOURNAL
from common.storage import PartFailed, PartOpened, PiecesWritten
from deploy.sim.chaos.truth import Truth
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.inside import parts_of
from deploy.sim.nodes import DOWNLOADS

RULE: Final = "2: what is claimed is durable"


class JournalsAreTrue:
    """Reads journals as a restart would, and holds their claims against the part beside them."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        files: dict[int, FileSystem],
    ) -> None:
        self._violate, self._truth, self._files = violate, truth, files
        self._seen: dict[tuple[int, int, int], dict[int, None]] = {}  # host, life, download

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in: has a download been taken up again, or got further?"""
        if isinstance(event, PartOpened | PiecesWritten | PartFailed):
            part = parts_of(host).get(event.download)
            if part is None or host.number in self._truth.rotten:
                return
            files, path = self._files[host.number], str(part.path)
            found = replay(files.read(path + JOURNAL)) if files.exists(path + JOURNAL) else None
            if found is None or not files.exists(path):
                return
            if isinstance(event, PartOpened):
                self._taken_up(host, event, found, files.read(path))
            elif isinstance(event, PiecesWritten) and found.pieces:
                self._got_further(host, event.download, found, files.durable(path))
            else:
                self._seen.pop((host.number, host.life, event.download), None)

    def darkened(self, host: Host) -> None:
        """The power is gone, and with it what was not synced."""
        files = self._files[host.number]
        excused = host.number in self._truth.rotten or host.number in self._truth.meddled
        if not files.exists(DOWNLOADS) or excused:
            return
        for name in files.names(DOWNLOADS):
            path = f"{DOWNLOADS}/{name.removesuffix(JOURNAL)}"
            if name.endswith(JOURNAL) and files.exists(path):
                found = replay(files.read(path + JOURNAL))
                if found is not None:
                    self._look(host, path, found, found.pieces, files.read(path))

    def _taken_up(self, host: Host, opened: PartOpened, found: Replay, data: bytes) -> None:
        """What is said to be done is true, and the journal claims no more than that."""
        done = {n: None for n, mark in enumerate(opened.done) if mark}
        self._seen[host.number, host.life, opened.download] = done
        path = f"download {opened.download}"
        self._look(host, path, found, done, data)
        beyond = [piece for piece in found.pieces if piece not in done]
        if beyond:
            self._violate(RULE, f"{host.name}: the journal of {path} still claims {beyond[0]}")

    def _got_further(self, host: Host, download: int, found: Replay, data: bytes) -> None:
        seen = self._seen.setdefault((host.number, host.life, download), {})
        fresh = {piece: None for piece in found.pieces if piece not in seen}
        seen.update(fresh)
        self._look(host, f"download {download}", found, fresh, data)

    def _look(
        self,
        host: Host,
        what: str,
        found: Replay,
        pieces: dict[int, None] | dict[int, float],
        data: bytes,
    ) -> None:
        content = self._truth.contents.get((found.root, found.size))
        for piece in pieces if content is not None else ():
            begin = piece * found.piece_size
            end = min(begin + found.piece_size, found.size)
            if content is not None and data[begin:end] != content[begin:end]:
                text = f"{host.name}: piece {piece} of {what} is claimed, and not on the disk"
                self._violate(RULE, text)
                return
