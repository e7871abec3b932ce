"""What tells somebody who waits for a download, where no bar does, why nothing comes yet.

One line at most for each `get`: why it waits after the first seconds without a source, asked of the
daemon on a link of its own, since the other one waits. A source that comes before makes it silent.
"""

import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from common.errors import UserError
from common.shell.desk.options import Invocation
from leaf.commands.node import client

if TYPE_CHECKING:
    from leaf.methods import GetProgress
    from leaf.reasons import Why

TOLD_S: Final = 3.0  # a super-peer that is there has been asked by then
JOIN_S: Final = 1.0


class Patience:
    """A context manager around one wait; `follow` hears of its progress."""

    def __init__(self, invocation: Invocation, *, shown: bool, after_s: float = TOLD_S) -> None:
        """Nothing is said unless `shown`, nor on a terminal."""
        self._invocation = invocation
        self._shown = shown and not sys.stderr.isatty()
        self._after_s = after_s
        self._timer: threading.Timer | None = None
        self._has_source = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_source.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join(JOIN_S)

    def follow(self, progress: "GetProgress") -> None:
        """It has come so far."""
        if progress.sources:
            self._has_source.set()
        elif self._shown and self._timer is None:
            self._timer = threading.Timer(self._after_s, self._tell, (progress.id,))
            self._timer.daemon = True
            self._timer.start()

    def _tell(self, download: str) -> None:
        if self._has_source.is_set():
            return
        with suppress(UserError), client(self._invocation) as leaf:
            text = reason_of(leaf.why(download))
            if not self._has_source.is_set():
                self._invocation.output().talk(f"Waiting: {text.rstrip('.')}.")


def reason_of(why: "Why") -> str:
    """Why it waits, in one line: that there is no super-peer goes before what follows from it."""
    causes = [*why.causes, *(cause for file in why.files or () for cause in file.causes)]
    return next((each.text for each in causes if each.cause == "parent"), why.waits_for)
