"""`leaf why`: one download or folder explained, with what its parent and others have to do with it.

A view on the machines of the leaf; it changes none. What is measured of one download by itself
stands in `leaf.swarm.why`.
"""

from collections.abc import Callable
from typing import ClassVar

from common.config import SwarmConfig
from common.core import Answer, Asked, Effect, Event
from common.ids import NodeId, node_text
from leaf.downloads.askers import row_of
from leaf.downloads.downloads import Downloads
from leaf.downloads.fetchedfolder import FILES_ACTIVE_MAX, FetchedFolder
from leaf.downloads.foldergets import FolderGets
from leaf.downloads.folderwaits import row_of as folder_row_of
from leaf.methods import DownloadRow
from leaf.parent.parent import Parent
from leaf.reasons import Cause, Counts, SourceRow, Why
from leaf.swarm.download import Download, State
from leaf.swarm.locate import Locator
from leaf.swarm.why import causes_of, counts_of, left_s, sources_of


class Whys:
    """Explains downloads to people."""

    __slots__ = ("_config", "_downloads", "_gets", "_locator", "_me", "_parent")

    def __init__(
        self,
        me: NodeId,
        downloads: Downloads,
        gets: FolderGets,
        parent: Parent,
        locator: Locator,
        config: SwarmConfig,
    ) -> None:
        self._me = node_text(me)
        self._downloads = downloads
        self._gets = gets
        self._parent = parent
        self._locator = locator
        self._config = config

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for a download that there is not."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """Nothing here is due by itself."""
        return None

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        what = str(getattr(event.params, "id", ""))
        folders = self._gets.chosen(what) if what else []
        if folders:
            return [Answer(event.call, self._of_folder(folders[0], now))]
        return [Answer(event.call, self._of_file(self._meant(what), now))]

    def _meant(self, what: str) -> Download:
        """Of several with one content the one under way, else the latest."""
        chosen = self._downloads.roster.chosen(what or " ")  # empty is no id
        under_way = self._downloads.roster.under_way
        busy = (each for each in chosen if under_way.get(each.record.root) is each)
        return next(busy, chosen[-1])

    def _of_file(self, download: Download, now: float) -> Why:
        causes = causes_of(download, now)
        if download.state is State.QUEUED:
            causes = [self._turn()]
        elif download.state is State.FETCHING:
            causes += self._of_parent(download.record.root, now)
        counts, sources = counts_of(download), sources_of(download, now)
        others = [row for row in sources if row.node != self._me]  # a copy of ours is no source
        counts.known -= len(sources) - len(others)
        return self._why(row_of(download, now), causes, counts, others)

    def _of_folder(self, folder: FetchedFolder, now: float) -> Why:
        under_way = self._gets.under_way(folder)
        row = folder_row_of(folder, under_way, now)
        files = [self._of_file(each, now) for each in under_way[:FILES_ACTIVE_MAX]]
        if folder.state is not State.FETCHING:
            text = row.reason or _REASONS[folder.state]
        elif not folder.is_loaded:
            text = "the list of its files is on its way"
        else:
            text = f"{folder.done_files} of {row.files} files are here"
        causes = [Cause("folder", text)]
        if folder.state is State.FETCHING and files:
            slowest = min(files, key=lambda each: each.rate)
            causes.append(Cause("file", f"{slowest.path}: {slowest.waits_for}"))
        why = self._why(row, causes, Counts(), [])
        why.files = files
        return why

    def _why(
        self, row: DownloadRow, causes: list[Cause], counts: Counts, sources: list[SourceRow]
    ) -> Why:
        contact = self._parent.contact
        return Why(
            id=row.id,
            path=row.path,
            state=row.state,
            waits_for=causes[0].text,
            size=row.size,
            done_bytes=row.done_bytes,
            rate=row.rate,
            causes=causes,
            counts=counts,
            sources=sources,
            parent=None if contact is None else node_text(contact.node),
            parent_reason=self._parent.reason,
        )

    def _turn(self) -> Cause:
        """How many go before a queued one."""
        under_way = self._downloads.roster.under_way.values()
        busy = sum(each.linked > 0 for each in under_way)
        turns = self._config.downloads_active_max
        text = f"other downloads go first: {busy} fetch, and {turns} may at once"
        return Cause("turn", text, busy)

    def _of_parent(self, root: bytes, now: float) -> list[Cause]:
        """How more sources are looked for."""
        if self._parent.contact is None:
            reason = self._parent.reason.removesuffix(".")
            return [Cause("parent", f"there is no super-peer to ask who has it: {reason}")]
        if self._locator.is_asking(root):
            return [Cause("locate", "the super-peer is being asked who has it")]
        at = self._locator.asks_at(root)
        if at is None:
            return []
        return [Cause("locate", "the super-peer is asked again who has it", None, left_s(at, now))]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {Asked: _asked}


_REASONS = {
    State.PAUSED: "it was paused; `leaf resume` goes on with it",
    State.DONE: "all of it is there",
    State.FAILED: "it failed; `leaf resume` tries again",
}
