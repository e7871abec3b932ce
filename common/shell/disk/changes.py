"""Whether something below a folder changed, as far as the file system tells.

Watching begins when the object is made, so that what changes while a scan runs is seen by the
wait after it. `watchfiles.watch` begins with its first wait instead, which is why its backend is
used here. Where the system has no watches left, waiting is all that remains; the caller's rescan
stays the truth.
"""

import threading
from pathlib import Path
from typing import Any, Final

from common.shell.disk.scan import UNFINISHED

DEBOUNCE_MS: Final = 400
STEP_MS: Final = 50
NOTICE_MS: Final = 1000  # one slice; `woken` is looked at in each step


class Changes:
    """The watch of one share."""

    def __init__(self, share: Path) -> None:
        folder = share if share.is_dir() else share.parent
        self._watcher: Any = None
        try:
            from watchfiles._rust_notify import RustNotify  # 6 MiB that an idle leaf does not need

            self._watcher = RustNotify([str(folder)], False, False, 300, folder == share, True)
        except (OSError, ImportError):
            pass

    def wait(self, woken: threading.Event, slices: int) -> bool:
        """Until something changed, `woken` is set or `slices` seconds are over; False if it cannot
        be watched."""
        if self._watcher is None:
            woken.wait(slices)
            return False
        for _ in range(slices):
            found = self._watcher.watch(DEBOUNCE_MS, STEP_MS, NOTICE_MS, woken)
            if found == "stop" or (found != "timeout" and any(_matters(path) for _, path in found)):
                break
        return True

    def close(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.close()


def _matters(path: str) -> bool:
    """Our own unfinished downloads write all the time, and are no part of a share."""
    return not path.endswith(UNFINISHED)
