"""How many super-peers there are, and how many of them a query has covered.

The branches of a query overlap in what they rule out, so sums would count twice. Instead each
report carries the ids of all super-peers known on the way, those that are covered (asked or ruled
out) apart from the others; those of branches merge into those of the whole. An id is a key cut
short: to four bytes while they are few, so all is exact; to two where they are more than
FINE_IDS_MAX, so a report stays small. Then some share an id. How many there are is told by how
full the numbers are (linear counting: Whang et al. 1990), within 1 %; and who shares the id of one
that is covered is taken for covered: one in sixty of those that are missed among 1,000 super-peers.
Beyond REACH_IDS_MAX the smallest ids stand for all (k minimum values: Bar-Yossef et al. 2002), and
the error is 6 % at most.

Ids are keys cut short, as they are: who makes up keys can share the id of another.
"""

import math
from array import array
from collections.abc import Iterable
from typing import Final, Literal

from common.ids import NodeId
from common.limits import NEARBY_IDS_MAX, REACH_IDS_MAX
from common.messages.overlay import Extent

FINE_IDS_MAX: Final = 256  # 1 KiB
_FINE_BYTES: Final = 4
_COARSE_BYTES: Final = 2
_COARSER: Final = 8 * (_FINE_BYTES - _COARSE_BYTES)
_COARSE_SPAN: Final = 1 << 8 * _COARSE_BYTES
_CODES: Final = {_FINE_BYTES: "I", _COARSE_BYTES: "H"}
_LITTLE: Final = array("H", (1,)).tobytes()[0] == 1  # this machine


def short_id(node: NodeId) -> int:
    """The id of a super-peer."""
    return int.from_bytes(node[:_FINE_BYTES], "big")


def nearby(ids: Iterable[int]) -> bytes:
    """Ids as a neighbour is told them, each once; of too many the smallest."""
    return pack(sorted(set(ids))[:NEARBY_IDS_MAX], _FINE_BYTES)


def pack(ids: Iterable[int], id_bytes: int) -> bytes:
    """Ids as they are sent."""
    numbers = array(_CODES[id_bytes], ids)
    if _LITTLE:
        numbers.byteswap()
    return numbers.tobytes()


def unpack(packed: bytes, id_bytes: int = _FINE_BYTES) -> list[int]:
    """The inverse; what is left over at the end is no id."""
    numbers = array(_CODES[id_bytes], packed[: len(packed) // id_bytes * id_bytes])
    if _LITTLE:
        numbers.byteswap()
    return numbers.tolist()


def within(extent: Extent, near: Iterable[int]) -> Extent:
    """The same, but who is covered and not among those `near` is missed."""
    is_coarse = extent.id_bytes == _COARSE_BYTES
    there = frozenset(_coarse(near) if is_coarse else near)
    covered = unpack(extent.covered, extent.id_bytes)
    far = [number for number in covered if number not in there]
    if not far:
        return extent
    believed = pack([number for number in covered if number in there], extent.id_bytes)
    return Extent(believed, extent.missed + pack(far, extent.id_bytes), extent.id_bytes)


class Reach:
    """Super-peers, and whether they are covered."""

    __slots__ = ("_covered", "_is_coarse", "_known")

    def __init__(self, extent: Extent | None = None) -> None:
        self._known: set[int] = set()  # and those that are covered
        self._covered: set[int] = set()
        self._is_coarse = False
        if extent is not None:
            self.merge(extent)

    def know(self, ids: Iterable[int]) -> None:
        """These exist."""
        self._known.update(self._cut(ids))

    def cover(self, ids: Iterable[int]) -> None:
        """These were asked or ruled out."""
        self._covered.update(self._cut(ids))
        self._known |= self._covered

    def merge(self, extent: Extent) -> None:
        """What a branch reported."""
        covered = unpack(extent.covered, extent.id_bytes)
        missed = unpack(extent.missed, extent.id_bytes)
        if extent.id_bytes == _COARSE_BYTES:
            self._coarsen()
        elif self._is_coarse:
            covered, missed = list(_coarse(covered)), list(_coarse(missed))
        self._covered.update(covered)
        self._known.update(covered, missed)

    def extent(self) -> Extent:
        """What to report."""
        if len(self._known) > FINE_IDS_MAX:
            self._coarsen()
        id_bytes: Literal[4, 2] = 2 if self._is_coarse else 4
        known = set(sorted(self._known)[:REACH_IDS_MAX])
        covered = pack(sorted(known & self._covered), id_bytes)
        return Extent(covered, pack(sorted(known - self._covered), id_bytes), id_bytes)

    @property
    def is_whole(self) -> bool:
        """Whether nobody is known that is not covered."""
        return len(self._covered) == len(self._known)

    def counts(self) -> tuple[int, int]:
        """How many are covered, and how many there are."""
        covered, known = len(self._covered), len(self._known)
        if not self._is_coarse:
            return covered, known
        span = _COARSE_SPAN if known < REACH_IDS_MAX else max(self._known) + 1
        empty = max(span - known, 1) / span
        estimate = round(-math.log(empty) * _COARSE_SPAN)
        return estimate * covered // max(known, 1), estimate

    def _coarsen(self) -> None:
        if not self._is_coarse:
            self._is_coarse = True
            self._known, self._covered = set(_coarse(self._known)), set(_coarse(self._covered))

    def _cut(self, ids: Iterable[int]) -> Iterable[int]:
        return _coarse(ids) if self._is_coarse else ids


def _coarse(ids: Iterable[int]) -> Iterable[int]:
    return (number >> _COARSER for number in ids)
