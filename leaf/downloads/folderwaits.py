"""Those who wait for a folder, and what people are told of one.

As with a single file (`leaf.downloads.askers`): progress a few times a second, one answer, and
patience that runs from the last byte on while files are being fetched, unless a source has told our
place in its line. A folder goes on without its askers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from common.core import Answer, Effect, Fail, Tell
from common.deadlines import Deadlines
from common.errors import Exit
from common.ids import NodeId
from leaf.downloads.askers import PROGRESS_S, STILL_HINT, STOPPED_HINT, has_place, rows_of
from leaf.downloads.fetchedfolder import FetchedFolder
from leaf.methods import DownloadRow, GetProgress, GetResult
from leaf.signals import FolderWanted
from leaf.swarm.download import Download, State


@dataclass(slots=True)
class _Waiting:
    wish: FolderWanted
    folder: FetchedFolder
    began: float
    received_before: int
    told: GetProgress | None = None
    came: tuple[int, int] = (0, 0)  # files that are there, and bytes of those under way
    came_at: float = 0.0  # when that changed last, or waiting had another reason

    def stands_still(self, files: list[Download], now: float) -> bool:
        """Whether nothing has come for as long as it would wait, and nobody said when it will."""
        came, before = (self.folder.done_files, sum(f.received_bytes for f in files)), self.came
        states = {each.state for each in files}
        waits = self.folder.state is not State.FETCHING or State.FETCHING not in states
        waits = waits or bool(states & {State.PAUSED, State.FINISHING})
        if waits or came != before or any(map(has_place, files)):
            self.came, self.came_at = came, now
        return now - self.came_at >= self.wish.params.timeout


class FolderWaits:
    """Everybody who waits for a folder; as many as there are calls open."""

    __slots__ = ("_me", "_waiting", "deadlines")

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._waiting: dict[int, _Waiting] = {}  # by call
        self.deadlines = Deadlines()

    @property
    def folders(self) -> list[FetchedFolder]:
        """Those that somebody waits for."""
        return list({each.folder.id: each.folder for each in self._waiting.values()}.values())

    def add(self, wish: FolderWanted, folder: FetchedFolder, now: float) -> None:
        """Who wished this waits for this folder."""
        self._waiting[wish.call] = _Waiting(wish, folder, now, folder.received_bytes, came_at=now)
        self.deadlines.set("progress", now)

    def leave(self, call: int) -> None:
        """Nobody waits in this call any more."""
        self._waiting.pop(call, None)

    def release(self, folder: FetchedFolder) -> list[FolderWanted]:
        """The wishes of those who waited for it; nobody does any more."""
        return [each.wish for each in self._released(folder)]

    def _released(self, folder: FetchedFolder, streams: bool = False) -> list[_Waiting]:
        found = [each for each in self._waiting.values() if each.folder is folder]
        found = [each for each in found if each.wish.params.stream or not streams]
        for each in found:
            self.leave(each.wish.call)
        return found

    def done(self, folder: FetchedFolder, now: float) -> list[Effect]:
        """It is there."""
        effects: list[Effect] = []
        for each in self._released(folder):
            received = folder.received_bytes - each.received_before
            effects.append(Answer(each.wish.call, result_of(folder, now - each.began, received)))
        return effects

    def fail(
        self,
        folder: FetchedFolder,
        code: Exit,
        message: str,
        hint: str = "",
        *,
        streams: bool = False,
    ) -> list[Effect]:
        """It does not come, or not for who waits now; with `streams` only for who would stream."""
        released = self._released(folder, streams)
        return [Fail(each.wish.call, code, message, hint) for each in released]

    def stop(self) -> list[Effect]:
        """The program ends."""
        calls, self._waiting = list(self._waiting), {}
        reason = "The leaf stops before the folder is there."
        return [Fail(call, Exit.UNFINISHED, reason, STOPPED_HINT) for call in calls]

    def tell(self, under_way: "dict[str, list[Download]]", now: float) -> list[Effect]:
        """Progress, by the files of each folder that are under way; who has waited long enough is
        let go."""
        if self._waiting:
            self.deadlines.set("progress", now + PROGRESS_S)
        effects: list[Effect] = []
        for call, each in list(self._waiting.items()):
            files = under_way.get(each.folder.id, [])
            told = progress_of(each.folder, files, now, self._me)
            if told != each.told:
                each.told = told
                effects.append(Tell(call, told))
            if each.stands_still(files, now):
                effects += self._give_up(call, each, files)
        return effects

    def _give_up(self, call: int, each: _Waiting, files: list[Download]) -> list[Effect]:
        """Nothing has come for so long; the folder goes on all the same."""
        self.leave(call)
        timeout_s = each.wish.params.timeout
        if any(file.is_supplied for file in files):
            message = f"Nothing of it came within {timeout_s:g} s."
            return [Fail(call, Exit.TIMED_OUT, message, STILL_HINT)]
        message = f"No source of it was reachable within {timeout_s:g} s."
        hint = "The folder stays in the queue and goes on as soon as there is one."
        return [Fail(call, Exit.UNREACHABLE, message, hint)]


# --- what people see ------------------------------------------------------------------------


def row_of(folder: FetchedFolder, files: Iterable[Download], now: float) -> DownloadRow:
    """A folder as a list of downloads shows it; `files` are those under way."""
    record, under_way = folder.record, list(files)
    wanted = [each for each in under_way if each.record.root != record.root]
    done = record.bytes if folder.state is State.DONE else folder.done_bytes
    done += sum(each.done_bytes for each in wanted)
    rate = sum((row.rate for row in rows_of(under_way, now)), 0.0)
    left = record.bytes - done
    troubles = [each.record.reason for each in under_way if each.record.reason]
    reason = record.reason or next(iter(troubles), "") or _patience_of(folder, under_way)
    return DownloadRow(
        id=folder.id,
        path=record.target,
        size=record.bytes,
        done_bytes=done,
        rate=round(rate, 1),
        eta_s=round(left / rate, 1) if rate >= 1.0 and left > 0 else None,
        state=record.state,
        reason=reason,
        files=record.files,
    )


def progress_of(
    folder: FetchedFolder, files: Iterable[Download], now: float, me: NodeId
) -> GetProgress:
    """A folder as a bar shows it; `me` copies and is no source."""
    under_way = list(files)
    row = row_of(folder, under_way, now)
    swarms = [each.fetch.sources for each in under_way if each.fetch is not None]
    linked = {each.peer: None for swarm in swarms for each in swarm.linked if each.peer != me}
    return GetProgress(
        id=row.id,
        path=row.path,
        size=row.size,
        done_bytes=row.done_bytes,
        rate=row.rate,
        eta_s=row.eta_s,
        sources=len(linked),
        state=row.state,
        reason=row.reason,
        files=row.files,
        files_done=folder.done_files,
    )


def result_of(folder: FetchedFolder, elapsed_s: float, received_bytes: int) -> GetResult:
    """A finished folder, or one that was begun."""
    is_done = folder.state is State.DONE
    return GetResult(
        path=folder.record.target,
        id=folder.id,
        size=folder.record.bytes,
        elapsed_s=round(elapsed_s, 6),
        bytes_received=received_bytes,
        sources=len(folder.givers),
        verified=is_done and folder.verified,
        files=folder.record.files,
        renamed=folder.renamed or None,
        beside=folder.beside or None,
        first_beside=folder.first_beside,
        copied=folder.copied or None,
    )


def _patience_of(folder: FetchedFolder, under_way: list[Download]) -> str:
    """Why it waits, where nothing has gone wrong."""
    if folder.state is not State.FETCHING:
        return ""
    if under_way and not any(each.is_supplied for each in under_way):
        return "no source is reachable yet"
    return "" if folder.is_loaded else "the list of its files is on its way"
