"""How many super-peers there are, and how many of them a query has covered.

The branches of a query overlap in what they rule out, so sums would count twice. Instead each
report carries a sample: of all super-peers known on the way those with the smallest ids, and of
each whether it was covered, that is, asked or ruled out (k minimum values: Bar-Yossef et al. 2002).
Samples of branches merge into the sample of the whole. Up to SAMPLE_MAX super-peers the sample is
everybody and all is exact; beyond, the error of an estimate is 1 / sqrt(SAMPLE_MAX), 6 %.

Ids are keys cut short, as they are: who makes up keys can stand in the sample, and gains a number.
"""

from array import array
from collections.abc import Iterable
from typing import Final

from common.ids import NodeId
from common.limits import ID_SAMPLE_MAX

_ID_BYTES: Final = 4
_COVERED: Final = 1  # the lowest bit tells
_LITTLE: Final = array("H", (1,)).tobytes()[0] == 1  # this machine
_SPAN: Final = 1 << 8 * _ID_BYTES


def short_id(node: NodeId) -> int:
    """The number of a super-peer in a sample."""
    return int.from_bytes(node[:_ID_BYTES], "big") & ~_COVERED


def sampled(ids: Iterable[int]) -> tuple[int, ...]:
    """The smallest of these, each once."""
    return tuple(sorted(set(ids))[:ID_SAMPLE_MAX])


def pack(ids: Iterable[int]) -> bytes:
    """Ids as they are sent."""
    numbers = array("I", ids)
    if _LITTLE:
        numbers.byteswap()
    return numbers.tobytes()


def unpack(packed: bytes) -> list[int]:
    """The inverse; what is left over at the end is no id."""
    numbers = array("I", packed[: len(packed) // _ID_BYTES * _ID_BYTES])
    if _LITTLE:
        numbers.byteswap()
    return numbers.tolist()


class Reach:
    """Super-peers, and whether they are covered."""

    __slots__ = ("_covered",)

    def __init__(self, packed: bytes = b"") -> None:
        self._covered: dict[int, bool] = {}
        self.merge(packed)

    def know(self, ids: Iterable[int]) -> None:
        """These exist."""
        for number in ids:
            self._covered.setdefault(number, False)

    def cover(self, ids: Iterable[int]) -> None:
        """These were asked or ruled out."""
        self._covered.update(dict.fromkeys(ids, True))

    def merge(self, packed: bytes) -> None:
        """What a branch reported."""
        for number in unpack(packed):
            if number & _COVERED:
                self._covered[number & ~_COVERED] = True
            else:
                self._covered.setdefault(number, False)

    def packed(self) -> bytes:
        """The sample, to report."""
        return pack(number | self._covered[number] for number in self._sample())

    def missing(self) -> list[int]:
        """Those of the sample that are not covered."""
        return [number for number in self._sample() if not self._covered[number]]

    def counts(self) -> tuple[int, int]:
        """How many are covered, and how many there are; both are estimates in a large network."""
        sample = self._sample()
        covered = sum(self._covered[number] for number in sample)
        if len(sample) < ID_SAMPLE_MAX:
            return covered, len(sample)
        known = (len(sample) - 1) * _SPAN // max(sample[-1], 1)
        return known * covered // len(sample), known

    def _sample(self) -> list[int]:
        return sorted(self._covered)[:ID_SAMPLE_MAX]
