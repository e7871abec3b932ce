"""One followed share in a thread of its own: scan, wait, scan again.

It waits for the file system to report a change, for somebody to ask, or for the rescan that stays
the truth. A share that is not there is looked for again; one that may not be shared is the end.
What a scan is stands in `scanning.py`; what is told carries the number of its scan, and who may
still hear it is up to `shares.py`.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from common.content.merkle import FileTree
from common.core import Event
from common.shell.disk.changes import Changes
from common.shell.disk.files import check_share
from common.shell.disk.forgetting import forget_share
from common.shell.disk.remembered import Hashes
from common.shell.disk.scanning import PROGRESS_S, HashJob, Scanner

RESCAN_S: Final = 300  # events can be lost; a changed file is refused at its first read anyway
RETRY_S: Final = 10  # a share that could not be read, a file that was changing


class Follower:
    """One share, in its own thread."""

    def __init__(
        self,
        share: str,
        private: tuple[Path, ...],
        store: Hashes | None,
        hashers: ThreadPoolExecutor,
        tell: Callable[["Follower", Event, int], None],
        retry_s: float,
        after: tuple[threading.Thread, ...] = (),
    ) -> None:
        self.share = share
        self.asked = 0
        """How often a scan was asked for; counted in the loop."""
        self.thread = threading.Thread(target=self._run, name="share", daemon=True)
        self._private = private
        self._store = store
        self._hashers = hashers
        self._retry_s = retry_s
        self._after = after
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._forget_beside: tuple[Path, ...] | None = None
        self._changes: Changes | None = None
        self._scanner = Scanner(
            share,
            store,
            self._look,
            lambda event, scan: tell(self, event, scan),
            stopped=self._stopped.is_set,
            hash_all=self._hash_all,
        )

    @property
    def path(self) -> Path:
        """Where the share really is, once that was looked at."""
        return self._scanner.path

    def ask(self) -> None:
        """Scan now, or once more after the scan that is under way."""
        self.asked += 1
        self._woken.set()

    def stop(self, forget_beside: tuple[Path, ...] | None = None) -> None:
        """End soon; with the other shares in `forget_beside`, what only this one needs is
        forgotten."""
        self._forget_beside = forget_beside
        self._stopped.set()
        self._woken.set()

    def _run(self) -> None:
        """Scan, wait, scan again, until stopped or refused."""
        for thread in self._after:
            thread.join()  # it may be forgetting what this one looks up
        while not self._stopped.is_set() and not self._scanner.refused:
            self._woken.clear()
            if self._stopped.is_set():
                break  # `stop` came just before the clear
            try:
                self._scanner.turn(self.asked)
            except RuntimeError:
                if not self._stopped.is_set():
                    raise
                break  # the hash threads are gone: the program ends
            self._wait()
        self._unwatch()
        if self._store is not None and self._forget_beside is not None:
            forget_share(self._store, self.path, self._forget_beside)

    def _wait(self) -> None:
        if self._scanner.failed:
            self._unwatch()
        if self._scanner.refused:
            return
        if self._changes is None:
            self._woken.wait(self._retry_s)
        else:  # a file that was changing is worth a second look soon
            self._changes.wait(self._woken, RETRY_S if self._scanner.changing else RESCAN_S)

    def _look(self, share: Path) -> Path:
        """See what changes from now on; a share that came back is another folder."""
        path = check_share(share, self._private)
        if self._changes is None or path != self.path:
            self._unwatch()
            self._changes = Changes(path)
        return path

    def _unwatch(self) -> None:
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _hash_all(self, jobs: Sequence[HashJob], show: Callable[[], None]) -> list[FileTree | None]:
        hashing = [self._hashers.submit(job) for job in jobs]
        waiting = set(hashing)
        while waiting:
            _done, waiting = wait(waiting, PROGRESS_S)
            show()
        return [None if each.cancelled() else each.result() for each in hashing]
