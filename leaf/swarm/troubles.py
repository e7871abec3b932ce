"""Whether trouble of the disk passes: how often a download has met it without getting on.

A full disk is waited for however long that takes. What is broken or busy may pass a few times; then
it is for good. Every new piece that is there when the part is opened again is a new beginning.
"""

from typing import Final

RETRY_S: Final = 5.0  # a disk in trouble is looked at again this often; wild guess
FAILURES_MAX: Final = 3  # of the kinds that may pass, without a new piece in between
FULL: Final = "full"
_PASSING: Final = ("broken", "busy")


class Troubles:
    """What the disk did to one download."""

    __slots__ = ("_durable", "_failures")

    def __init__(self) -> None:
        self._durable = 0  # pieces that were there when the part was opened last
        self._failures = 0

    def forget(self) -> None:
        """A person wants it tried again."""
        self._failures = 0

    def opened(self, durable: int) -> None:
        """The part is open, with so many pieces."""
        if durable > self._durable:
            self._failures = 0
        self._durable = durable

    def passes(self, kind: str) -> bool:
        """The disk failed in this way: whether it is to be tried again by itself."""
        self._failures += kind in _PASSING
        return kind == FULL or (kind in _PASSING and self._failures <= FAILURES_MAX)
