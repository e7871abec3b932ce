"""Those who wait for downloads, and what people are told of them.

Each `get` in the foreground is one asker: it hears of progress a few times a second and is answered
exactly once: when the file is there, when it failed or was removed, when the leaf stops, or when
nothing has come for as long as it would wait. That time runs only while the download fetches, from
the last byte on: sources that come and go bring nothing by that, nor do some that are linked and
silent. Only where one of them has told our place in its line, that is a reason to wait. A download
goes on without its askers; nothing here changes one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common.content.torrent import file_id
from common.core import Answer, Effect, Fail, Tell
from common.deadlines import Deadlines
from common.errors import Exit, UserError
from common.ids import NodeId
from leaf.methods import DownloadRow, GetProgress, GetResult
from leaf.signals import Wanted
from leaf.swarm.download import CORRUPT_REASON, Download, State

SKIPPED: Final = "skipped"  # what is done with a download whose place a file of the user has
STILL_HINT: Final = "The download goes on; `leaf why` shows what it waits for."
STOPPED_HINT: Final = "It goes on when the leaf runs again."
RATE_SHOWN_MIN: Final = 100.0  # bytes/s: below it is what is left of a mean of the past
PROGRESS_S: Final = 0.25  # between two tellings; wild guess: a bar that moves


@dataclass(slots=True)
class _Asker:
    download: Download
    began: float
    timeout_s: float
    told: GetProgress | None = None
    came_bytes: int = 0
    came_at: float = 0.0  # when that last grew, or waiting had another reason

    def stands_still(self, now: float) -> bool:
        """Whether nothing has come for as long as it would wait, and nobody said when it will."""
        download = self.download
        came_bytes, before = download.received_bytes, self.came_bytes
        waits = download.state is not State.FETCHING or has_place(download)
        if waits or came_bytes != before:
            self.came_bytes, self.came_at = came_bytes, now
        return now - self.came_at >= self.timeout_s


class Askers:
    """Everybody who waits for a download; as many as there are calls open."""

    __slots__ = ("_askers", "_me", "deadlines")

    def __init__(self, me: NodeId) -> None:
        self._askers: dict[int, _Asker] = {}  # by call
        self._me = me
        self.deadlines = Deadlines()

    def add(self, call: int, download: Download, timeout_s: float, now: float) -> None:
        """This call waits for this download."""
        self._askers[call] = _Asker(download, now, timeout_s, came_at=now)
        self.deadlines.set("progress", now)

    def leave(self, call: int) -> None:
        """Nobody waits in this call any more."""
        self._askers.pop(call, None)

    def hand_over(self, download: Download) -> tuple[tuple[int, float], ...]:
        """Nobody waits here for this download any more: the calls that did, and their patience."""
        found = [(call, each) for call, each in self._askers.items() if each.download is download]
        for call, _ in found:
            self.leave(call)
        return tuple((call, each.timeout_s) for call, each in found)

    def dismiss(self, download: Download) -> list[Effect]:
        """The download was removed."""
        calls = [call for call, asker in self._askers.items() if asker.download is download]
        for call in calls:
            self.leave(call)
        return [Fail(call, Exit.UNFINISHED, "The download was removed.") for call in calls]

    def answer(self, now: float) -> list[Effect]:
        """Tell those whose download has ended."""
        effects: list[Effect] = []
        for call, asker in list(self._askers.items()):
            download = asker.download
            if download.state is State.DONE:
                self.leave(call)
                effects.append(Answer(call, result_of(download, now - asker.began, self._me)))
            elif download.state is State.FAILED:
                self.leave(call)
                reason, hint = download.record.reason, "`leaf resume` tries again."
                effects.append(Fail(call, download.code, reason, hint))
            elif download.is_short_of_space:
                self.leave(call)
                effects.append(Fail(call, Exit.DISK, download.record.reason))
        return effects

    def stop(self) -> list[Effect]:
        """The program ends: only a file that is just being given its name is waited for."""
        effects: list[Effect] = []
        for call, asker in list(self._askers.items()):
            if asker.download.state is not State.FINISHING:
                self.leave(call)
                reason = "The leaf stops before the file is there."
                effects.append(Fail(call, Exit.UNFINISHED, reason, STOPPED_HINT))
        return effects

    def woke(self, now: float) -> list[Effect]:
        """Tell of progress, and let those go who have waited long enough."""
        if not self.deadlines.pop_due(now):
            return []
        if self._askers:
            self.deadlines.set("progress", now + PROGRESS_S)
        effects: list[Effect] = []
        for call, asker in list(self._askers.items()):
            if asker.stands_still(now):
                effects += self._give_up(call, asker)
                continue
            told = progress_of(asker.download, now, self._me)
            if told != asker.told:
                asker.told = told
                effects.append(Tell(call, told))
        return effects

    def _give_up(self, call: int, asker: _Asker) -> list[Effect]:
        """Nothing has come for so long; the download goes on all the same."""
        self.leave(call)
        if asker.download.is_supplied:
            message = f"Nothing of it came within {asker.timeout_s:g} s."
            return [Fail(call, Exit.TIMED_OUT, message, STILL_HINT)]
        if asker.download.lied_to:
            return [Fail(call, Exit.CORRUPT, f"Not fetched: {CORRUPT_REASON}.")]
        message = f"No source of it was reachable within {asker.timeout_s:g} s."
        hint = "The download stays in the queue and goes on as soon as there is one."
        return [Fail(call, Exit.UNREACHABLE, message, hint)]


def check_joins(download: Download, wanted: Wanted, target: str) -> None:
    """Raise UserError where this wish cannot wait for the download that is under way."""
    if download.record.size != wanted.size:
        hint = f"If its size is wrong: `leaf rm {id_of(download)}`."
        raise UserError(Exit.USAGE, "This root is being fetched with another size.", hint)
    if wanted.params.to and target != download.record.target:
        message = f"This file is being fetched already, to {download.record.target}."
        hint = f"Wait until it is there, or end that with `leaf rm {id_of(download)}`."
        raise UserError(Exit.REFUSED, message, hint)


def id_of(download: Download) -> str:
    """The file's id."""
    return file_id(download.record.root, download.record.size)


def has_place(download: Download) -> bool:
    """Whether a source has told how long its line before us is, and one has something."""
    linked = download.fetch.sources.linked if download.fetch and download.is_supplied else []
    return any(source.choking and source.place for source in linked)


def rows_of(downloads: Iterable[Download], now: float) -> list[DownloadRow]:
    """Downloads as a list shows them."""
    return [row_of(each, now) for each in downloads]


def row_of(download: Download, now: float) -> DownloadRow:
    """One download as a list shows it."""
    record, rate = download.record, download.rate(now)
    rate = rate if rate >= RATE_SHOWN_MIN else 0.0
    left = record.size - download.done_bytes
    return DownloadRow(
        id=id_of(download),
        path=record.path or record.target,
        size=record.size,
        done_bytes=download.done_bytes,
        rate=round(rate, 1),
        eta_s=round(left / rate, 1) if rate >= 1.0 and left else None,
        state=SKIPPED if record.is_skipped else record.state,
        reason=record.reason or _patience_of(download),
    )


def progress_of(download: Download, now: float, me: NodeId) -> GetProgress:
    """One download as a bar shows it; `me` copies and is no source."""
    row = row_of(download, now)
    part, ready_bytes = download.readable if download.record.is_streamed else ("", 0)
    return GetProgress(
        id=row.id,
        path=row.path,
        size=row.size,
        done_bytes=row.done_bytes,
        rate=row.rate,
        eta_s=row.eta_s,
        sources=download.linked - download.fetches_from(me),
        state=row.state,
        reason=row.reason,
        part=part,
        ready_bytes=ready_bytes,
    )


def result_of(download: Download, elapsed_s: float, me: NodeId) -> GetResult:
    """A finished download, or one that was begun; what `me` had already came from nobody."""
    record, given_by = download.record, download.given_by
    others = [node for node in given_by if node != me]
    return GetResult(
        path=record.path or record.target,
        id=id_of(download),
        size=record.size,
        elapsed_s=round(elapsed_s, 6),
        bytes_received=download.received_bytes if others or not given_by else 0,
        sources=len(others),
        verified=download.state is State.DONE and download.can_be_served,
        copied=1 if download.state is State.DONE and given_by and not others else None,
    )


def _patience_of(download: Download) -> str:
    """Why it waits, where nothing has gone wrong."""
    if download.state is State.QUEUED:
        return "other downloads go first"
    if download.state is State.FETCHING and not download.is_supplied:
        who = "nobody who can be reached has it" if download.linked else "no source is reachable"
        return f"{who} yet"
    fetch = download.fetch
    if fetch is not None and all(map(fetch.requests.has_nothing, fetch.sources.linked)):
        return "nobody who can be reached has the rest"
    return ""
