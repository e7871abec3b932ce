"""What an index can answer, as a set of numbers: a Bloom filter of one hash.

Each key has a place; a place that is not set proves that no entry has the key, one that is set
proves nothing. The digest of an index has `bits` so that 1 to 4 % of its 2^bits places are set; so
sparse a filter is best sent as the places that are set, a good byte each (compressed Bloom filters,
Mitzenmacher 2002). The place in a smaller digest is the beginning of that in a larger one. Who
sends what to whom is `superpeer.digests.digests`.
"""

import struct
import zlib
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from itertools import accumulate, chain
from operator import sub
from typing import Final

from pyroaring import BitMap

from common.errors import RemoteProtocolError
from common.limits import DIGEST_BITS_MAX

PATCH_PLACES_MAX: Final = 12_288  # that cannot be compressed: three quarters of a frame
BITS_MIN: Final = 14
FULL: Final = 1 / 25  # more than 4 % of the places are set: twice as many are better
FULLEST: Final = 1 / 8  # what is told is never so full: half a patch may be ahead of the other
SPARSE: Final = 1 / 100  # less than 1 %: half as many will do
_GROWTH: Final = 9 / 8  # of places, after which they are packed
_PLACE: Final = struct.Struct(">I")
_PLACE_BYTES: Final = _PLACE.size
_PLACE_SHIFT: Final = 8 * _PLACE_BYTES - DIGEST_BITS_MAX
_STATED: Final = b"superpeer digest 1\0"
_SWAPPED: Final = array("I", (1,)).tobytes()[0] == 0  # a big-endian machine

Changes = tuple[BitMap, BitMap]  # places that were set, and cleared


def place_of_word(word: str) -> int:
    """Where a search word stands in the largest digest."""
    return _place(blake2b(word.encode(errors="surrogatepass"), digest_size=_PLACE_BYTES).digest())


def place_of_root(root: bytes) -> int:
    """Where the content with this root stands in the largest digest; a root is a hash already."""
    return _place(root)


class CountedPlaces:
    """The places of keys that come and go, in the largest digest, and what of them has changed.

    How many keys beyond the first stand at a place is counted in binary, one set of places for each
    digit: many files that many leaves have cost a few bytes each.
    """

    __slots__ = ("_added", "_cleared", "_digits", "_packed", "places")

    def __init__(self) -> None:
        self.places = BitMap()
        """Where a key stands now; to be read only."""
        self._digits: list[BitMap] = []  # of the number of keys beyond the first, the lowest first
        self._packed = 0  # how many places there were when they were packed last
        self._added = BitMap()  # since the changes were taken last
        self._cleared = BitMap()

    @property
    def changed(self) -> bool:
        """Whether there are changes to take."""
        return bool(self._added or self._cleared)

    def add(self, place: int) -> bool:
        """One more key stands there; whether it is the first."""
        if place in self.places:
            self._count_up(place)
            return False
        self.places.add(place)
        if place in self._cleared:  # a change that undoes another is none
            self._cleared.remove(place)
        else:
            self._added.add(place)
        return True

    def discard(self, place: int) -> bool:
        """Undo an `add` of the same place; whether no key is left there."""
        if any(place in digit for digit in self._digits):
            self._count_down(place)
            return False
        self.places.remove(place)
        if place in self._added:
            self._added.remove(place)
        else:
            self._cleared.add(place)
        return True

    def _count_up(self, place: int) -> None:
        for digit in self._digits:
            if place not in digit:
                digit.add(place)
                return
            digit.remove(place)
        self._digits.append(BitMap((place,)))

    def _count_down(self, place: int) -> None:
        for digit in self._digits:
            if place in digit:
                digit.remove(place)
                return
            digit.add(place)

    def take_changes(self) -> Changes:
        """The places that were set and cleared since this was asked last."""
        changes = self._added, self._cleared
        self._added, self._cleared = BitMap(), BitMap()
        if len(self.places) > self._packed * _GROWTH:
            self._packed = len(self.places)
            self.places = BitMap.deserialize(self.places.serialize())  # no larger than it must be
        return changes


class OwnDigest:
    """The digest of an index: the places of its keys, to as many bits as they need."""

    __slots__ = ("_counted", "bits", "places")

    def __init__(self, counted: CountedPlaces) -> None:
        self._counted = counted
        self.bits = BITS_MIN
        self.places = BitMap()

    @property
    def changed(self) -> bool:
        """Whether keys have come or gone since `update`."""
        return self._counted.changed

    def update(self) -> Changes | None:
        """Take in what has changed; the changes, or None where it has other bits now."""
        changes = self._coarser(self._counted.take_changes())
        added, cleared = changes
        self.places = (self.places | added) - cleared
        bits = self._bits_needed()
        if bits == self.bits:
            return changes
        self.bits = bits
        self.places = BitMap(array("I", [place >> self._cut for place in self._counted.places]))
        return None

    def _coarser(self, changes: Changes) -> Changes:
        """What these changes in the largest digest are in ours: a place is cleared with its last
        key."""
        cut, counted = self._cut, self._counted.places
        added = BitMap([place >> cut for place in changes[0]])
        cleared = [
            place
            for place in BitMap([place >> cut for place in changes[1]])
            if not counted.range_cardinality(place << cut, place + 1 << cut)
        ]
        return added - self.places, BitMap(cleared) & self.places

    def _bits_needed(self) -> int:
        """As many as ours, while that makes neither too many places set nor too few."""
        bits, count = self.bits, len(self._counted.places)
        while count > FULL * (1 << bits) and bits < DIGEST_BITS_MAX:
            bits += 1
        while count < SPARSE * (1 << bits) and bits > BITS_MIN:
            bits -= 1
        return bits

    @property
    def _cut(self) -> int:
        return DIGEST_BITS_MAX - self.bits


def fullest(bits: int) -> int:
    """How many of its places may be set in a digest of `bits` that somebody tells."""
    return int(FULLEST * (1 << bits))


def may_have(places: BitMap, bits: int, wanted: Iterable[int]) -> bool:
    """Whether all the places that are wanted, of the largest digest, are set in one of `bits`."""
    cut = DIGEST_BITS_MAX - bits
    return all(place >> cut in places for place in wanted)


def pack_places(places: "BitMap | array[int]") -> bytes:
    """At most PATCH_PLACES_MAX, in order, as bytes: each as what it is more than the last, the four
    bytes of each apart, deflated. Nothing is no bytes."""
    if not places:
        return b""
    plain = _plain(map(sub, places, chain((0,), places)))
    return zlib.compress(b"".join(plain[byte::_PLACE_BYTES] for byte in range(_PLACE_BYTES)))


def unpack_places(packed: bytes, bits: int) -> BitMap:
    """The inverse, for a digest of `bits`. Raises RemoteProtocolError for what it cannot be."""
    if not packed:
        return BitMap()
    inflater, most = zlib.decompressobj(), PATCH_PLACES_MAX * _PLACE_BYTES
    try:
        apart = inflater.decompress(packed, most)
    except zlib.error as error:
        raise RemoteProtocolError(f"places that cannot be inflated: {error}") from error
    if not inflater.eof or inflater.unused_data or len(apart) % _PLACE_BYTES:
        raise RemoteProtocolError("places of a wrong length")
    count = len(apart) // _PLACE_BYTES
    plain = bytearray(len(apart))
    for byte in range(_PLACE_BYTES):
        plain[byte::_PLACE_BYTES] = apart[byte * count : (byte + 1) * count]
    gaps = array("I", bytes(plain))
    if _SWAPPED:
        gaps.byteswap()
    places = list(accumulate(gaps))
    if places and places[-1] >= 1 << bits:
        raise RemoteProtocolError("a place beyond the last")
    there = BitMap(places)
    if len(there) < count:
        raise RemoteProtocolError("a place that is told twice")
    return there


def statement(network: str, bits: int, places: BitMap) -> bytes:
    """What the owner of a digest signs: its size and all its places, sorted, as hashed."""
    hashed = blake2b(_plain(places.to_array())).digest()
    return _STATED + network.encode() + b"\0" + bytes([bits]) + hashed


def _plain(numbers: Iterable[int]) -> bytes:
    """Four bytes each, the least significant first."""
    plain = numbers if isinstance(numbers, array) else array("I", numbers)
    if _SWAPPED:
        plain.byteswap()
    return plain.tobytes()


def _place(hashed: bytes) -> int:
    """Where the beginning of a hash says."""
    place: int = _PLACE.unpack_from(hashed)[0] >> _PLACE_SHIFT
    return place
