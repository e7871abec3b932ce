"""What goes wrong with a simulated disk: operations that fail, and power that goes in one of them.

Operations are counted over all kinds, so that a test can meet each in turn. Nothing here knows
what an operation does.
"""

import os
from random import Random
from typing import Final, NamedTuple

ANY: Final = "any"
KINDS: Final = (
    *("open", "create", "read", "write", "allocate", "extend", "sync"),
    *("sync_folder", "link", "rename", "unlink", "mkdir", "stat"),
)
CHANGING: Final = ("create", "write", "allocate", "extend", "link", "rename", "unlink", "mkdir")


class PowerCutError(BaseException):
    """The power went while a program was in a call: it does not come back from it."""


class Fault(NamedTuple):
    """A kind of operation that fails: the one at this count, or each with this chance."""

    at: int
    chance: float
    number: int


class DiskFaults:
    """The faults of one disk."""

    __slots__ = ("_counts", "_cut_at", "_faults", "_rng", "operations")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._counts: dict[str, int] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._cut_at = 0
        self.operations = 0

    def fail(self, kind: str, nth: int, chance: float, number: int) -> None:
        """Have operations fail; without `nth` and `chance` none of this kind does any more."""
        if kind != ANY and kind not in KINDS:
            raise ValueError(f"no kind of operation: {kind}")
        if not nth and not chance:
            self._faults.pop(kind, None)
            return
        done = self.operations if kind == ANY else self._counts.get(kind, 0)
        at = done + nth if nth else 0
        self._faults.setdefault(kind, []).append(Fault(at, chance, number))

    def cut_after(self, operations: int) -> None:
        """The power goes in that operation from now; 0: not any more."""
        self._cut_at = self.operations + operations if operations else 0

    def begin(self, kind: str) -> bool:
        """An operation begins: OSError if it fails. True if the power goes when it has changed
        what it changes; PowerCutError if it changes nothing."""
        self.operations += 1
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._faults:
            self._check(self._faults.get(kind, ()), count)
            self._check(self._faults.get(ANY, ()), self.operations)
        if not self._cut_at or self.operations < self._cut_at:
            return False  # one that was refused is no end: the next is
        if kind not in CHANGING:
            raise PowerCutError
        return True

    def _check(self, faults: "list[Fault] | tuple[()]", count: int) -> None:
        for fault in faults:
            if count == fault.at or (fault.chance and self._rng.random() < fault.chance):
                raise OSError(fault.number, os.strerror(fault.number))
