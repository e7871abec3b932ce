"""The leaf from Python: every method of its table as a typed function.

    with LeafClient("~/node") as leaf:
        found = leaf.search(["blue", "note"])
        print(leaf.get(found.hits[0].id).path)

Each call goes to the daemon that runs in the home and blocks until it is done; what goes wrong is
a `UserError` with an exit code. The commands of `leaf` are written with it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from common.shell.desk.calls import Calls
from common.shell.desk.home import Home, home_at
from leaf.methods import (
    Chosen,
    DownloadRow,
    Exists,
    Get,
    GetProgress,
    GetResult,
    HashProgress,
    HitRow,
    Limit,
    LimitRow,
    Nothing,
    PinReset,
    Remove,
    Search,
    SearchResult,
    Share,
    SharedRow,
    Status,
    Stop,
    TraceOf,
    TraceResult,
    Unshare,
    WhyOf,
    WishAdd,
    WishChosen,
    WishedRow,
    WishRow,
)
from leaf.reasons import Why

ANSWER_S: Final = 30.0  # for what a daemon knows at once; a busy disk may hold it up
GET_GRACE_S: Final = 0.5  # the daemon knows better why a download is not there in time
STOP_S: Final = 12.0  # a daemon ends within 10 s


class LeafClient:
    """A link to the leaf of a home; a context manager."""

    def __init__(self, home: Home | Path | str | None = None, timeout_s: float | None = None):
        """`timeout_s` bounds every call; without it those that wait for work wait for ever."""
        if not isinstance(home, Home):
            home = home_at("leaf", Path(home) if home is not None else None)
        self._timeout_s = timeout_s
        self._soon_s = ANSWER_S if timeout_s is None else timeout_s
        self._calls = Calls(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.close()

    def status(self) -> Status:
        """What this leaf is and does."""
        return self._calls.call("leaf.status", Nothing(), Status, timeout_s=self._soon_s)

    def share(
        self,
        paths: Iterable[Path],
        *,
        wait: bool = False,
        as_folder: bool = False,
        on_progress: Callable[[HashProgress], None] | None = None,
    ) -> list[SharedRow]:
        """Share files and folders, over restarts; `wait` until the parent knows all of them.

        With `as_folder` each path, a folder, is published as one thing too.
        """
        return self._calls.call(
            "leaf.share",
            Share([str(path) for path in paths], wait=wait, as_folder=as_folder),
            list[SharedRow],
            event=HashProgress,
            on_event=on_progress,
            timeout_s=self._timeout_s if wait else self._soon_s,
        )

    def unshare(self, path: Path) -> list[SharedRow]:
        """Stop sharing a file or folder; the files that it had."""
        return self._calls.call(
            "leaf.unshare", Unshare(str(path)), list[SharedRow], timeout_s=self._soon_s
        )

    def ls(self) -> list[SharedRow]:
        """Everything that is shared."""
        return self._calls.call("leaf.ls", Nothing(), list[SharedRow], timeout_s=self._soon_s)

    def search(
        self,
        query: Search | Iterable[str],
        *,
        on_hit: Callable[[HitRow], None] | None = None,
    ) -> SearchResult:
        """Find files by words, or by a `Search` with filters; `on_hit` sees hits as they come."""
        params = query if isinstance(query, Search) else Search(list(query))
        limit_s = params.wait + ANSWER_S if self._timeout_s is None else self._timeout_s
        return self._calls.call(
            "leaf.search",
            params,
            SearchResult,
            event=HitRow,
            on_event=on_hit,
            timeout_s=limit_s,
        )

    def trace(self, search: str = "") -> TraceResult:
        """Which way a search went that was asked for with `trace`; the last one without an id."""
        return self._calls.call("leaf.trace", TraceOf(search), TraceResult, timeout_s=self._soon_s)

    def get(
        self,
        what: Get | str,
        *,
        on_progress: Callable[[GetProgress], None] | None = None,
        exists: Exists = "rename",
    ) -> GetResult:
        """Fetch by id, link or number of the last search; `Get` says where to. Takes its time."""
        params = what if isinstance(what, Get) else Get(what, exists=exists)
        return self._calls.call(
            "leaf.get",
            params,
            GetResult,
            event=GetProgress,
            on_event=on_progress,
            timeout_s=self._timeout_s,
            grace_s=GET_GRACE_S,
            late_hint="The download goes on; `leaf downloads` shows how far it is.",
        )

    def downloads(self) -> list[DownloadRow]:
        """All downloads."""
        return self._calls.call(
            "leaf.downloads", Nothing(), list[DownloadRow], timeout_s=self._soon_s
        )

    def why(self, download: str) -> Why:
        """Why one download, by its id, waits or is slow."""
        return self._calls.call("leaf.why", WhyOf(download), Why, timeout_s=self._soon_s)

    def pause(self, download: str = "") -> list[DownloadRow]:
        """Pause one download by its id, or all."""
        return self._calls.call(
            "leaf.pause", Chosen(download), list[DownloadRow], timeout_s=self._soon_s
        )

    def resume(self, download: str = "") -> list[DownloadRow]:
        """Go on with one download, or all."""
        return self._calls.call(
            "leaf.resume", Chosen(download), list[DownloadRow], timeout_s=self._soon_s
        )

    def remove(self, download: str, *, delete_data: bool = False) -> list[DownloadRow]:
        """Forget a download; `delete_data` removes its unfinished part, never a finished file."""
        return self._calls.call(
            "leaf.rm", Remove(download, delete_data), list[DownloadRow], timeout_s=self._soon_s
        )

    def wish_add(self, wish: WishAdd | Iterable[str]) -> WishRow:
        """Look for this from now on; the same words again change only what is fetched."""
        params = wish if isinstance(wish, WishAdd) else WishAdd(list(wish))
        return self._calls.call("leaf.wish_add", params, WishRow, timeout_s=self._soon_s)

    def wish_ls(self, wish: int = 0) -> list[WishRow]:
        """All wishes, or one by its id."""
        return self._calls.call(
            "leaf.wish_ls", WishChosen(wish), list[WishRow], timeout_s=self._soon_s
        )

    def wish_rm(self, wish: int) -> list[WishRow]:
        """Look for it no longer; the wishes that are left."""
        return self._calls.call(
            "leaf.wish_rm", WishChosen(wish), list[WishRow], timeout_s=self._soon_s
        )

    def wish_watch(self, wish: int = 0, *, on_found: Callable[[WishedRow], None]) -> None:
        """Tell of what is found, so far and from now on, as long as the client was told to wait."""
        self._calls.call(
            "leaf.wish_watch",
            WishChosen(wish),
            list[WishRow],
            event=WishedRow,
            on_event=on_found,
            timeout_s=self._timeout_s,
        )

    def limit(self, change: Limit | None = None) -> LimitRow:
        """The limits, after this change of them."""
        params = change or Limit()
        return self._calls.call("leaf.limit", params, LimitRow, timeout_s=self._soon_s)

    def pins_reset(self, place: str) -> None:
        """Forget the key pinned for HOST:PORT."""
        self._calls.call("leaf.pins_reset", PinReset(place), Nothing, timeout_s=self._soon_s)

    def stop(self, *, wait: bool = True) -> bool:
        """End the daemon; with `wait`, whether its process was gone in time."""
        self._calls.call("leaf.stop", Stop(), Nothing, timeout_s=self._soon_s)
        return not wait or self._calls.wait_gone(self._timeout_s or STOP_S)
