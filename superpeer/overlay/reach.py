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
from typing import Final

from pyroaring import BitMap

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


def unpack(packed: bytes, id_bytes: int = _FINE_BYTES) -> "array[int]":
    """The inverse; what is left over at the end is no id."""
    numbers = array(_CODES[id_bytes], packed[: len(packed) // id_bytes * id_bytes])
    if _LITTLE:
        numbers.byteswap()
    return array("I", numbers)  # which bitmaps take


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
    """Super-peers, and whether they are covered.

    Ids of two bytes are in bitmaps, for every report of a large network is made of thousands.
    """

    __slots__ = ("_covered", "_is_coarse", "_known")

    def __init__(self, extent: Extent | None = None) -> None:
        self._known: set[int] | BitMap = set()  # and those that are covered
        self._covered: set[int] | BitMap = set()
        self._is_coarse = False
        if extent is not None:
            self.merge(extent)

    def copy(self) -> "Reach":
        """Another one that begins with the same."""
        other = Reach()
        other._known, other._covered = self._known.copy(), self._covered.copy()
        other._is_coarse = self._is_coarse
        return other

    def know(self, ids: Iterable[int]) -> None:
        """These exist."""
        self._known.update(self._cut(ids))
        self._coarsen_if_many()

    def cover(self, ids: Iterable[int]) -> None:
        """These were asked or ruled out."""
        ids = self._cut(ids)
        self._covered.update(ids)
        self._known.update(ids)
        self._coarsen_if_many()

    def merge(self, extent: Extent) -> None:
        """What a branch reported."""
        if extent.id_bytes == _COARSE_BYTES:
            self._coarsen()
            covered = unpack(extent.covered, _COARSE_BYTES)
            self._covered.update(covered)
            self._known.update(covered, unpack(extent.missed, _COARSE_BYTES))
        else:
            self.know(unpack(extent.missed))
            self.cover(unpack(extent.covered))

    def extent(self) -> Extent:
        """What to report."""
        known, covered = self._known, self._covered
        if isinstance(known, BitMap) and isinstance(covered, BitMap):
            known = known[:REACH_IDS_MAX]
            missed = pack((known - covered).to_array(), _COARSE_BYTES)
            return Extent(pack((known & covered).to_array(), _COARSE_BYTES), missed, _COARSE_BYTES)
        missed = pack(sorted(set(known) - set(covered)), _FINE_BYTES)
        return Extent(pack(sorted(covered), _FINE_BYTES), missed, _FINE_BYTES)

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

    def _coarsen_if_many(self) -> None:
        if len(self._known) > FINE_IDS_MAX:
            self._coarsen()

    def _coarsen(self) -> None:
        if not self._is_coarse:
            self._is_coarse = True
            self._known, self._covered = _coarse(self._known), _coarse(self._covered)

    def _cut(self, ids: Iterable[int]) -> Iterable[int]:
        return _coarse(ids) if self._is_coarse else tuple(ids)


def _coarse(ids: Iterable[int]) -> BitMap:
    """Ids cut to two bytes."""
    return BitMap(array("I", [number >> _COARSER for number in sorted(ids)]))
