"""What an index can answer, as a set of numbers: a Bloom filter of one hash and 2^26 places.

So sparse a filter is best sent as the places that are set, a good two bytes each (compressed Bloom
filters, Mitzenmacher 2002), it needs no size that would have to double, and the union of several is
one too. A place that is not set proves that no entry has the key; one that is set proves nothing.
With 700,000 keys 1 % of the places are set. Who sends what to whom is `superpeer.digests`.
"""

import zlib
from array import array
from collections import Counter
from hashlib import blake2b
from typing import Final

from pyroaring import BitMap

from common.errors import RemoteProtocolError

PLACE_BITS: Final = 26
PATCH_PLACES_MAX: Final = 12_288  # that cannot be compressed: three quarters of a frame
_PLACE_BYTES: Final = 4
_STATED: Final = b"superpeer digest 1\0"
_SWAPPED: Final = array("I", (1,)).tobytes()[0] == 0  # a big-endian machine


def place_of_word(word: str) -> int:
    """Where a search word stands."""
    return _place(blake2b(word.encode(errors="surrogatepass"), digest_size=_PLACE_BYTES).digest())


def place_of_root(root: bytes) -> int:
    """Where the content with this root stands; a root is a hash already."""
    return _place(root[:_PLACE_BYTES])


class CountedPlaces:
    """The places of keys that come and go, and what of them has changed."""

    __slots__ = ("_added", "_cleared", "_more", "places")

    def __init__(self) -> None:
        self.places = BitMap()
        """Where a key stands now; to be read only."""
        self._more: Counter[int] = Counter()  # keys beyond the first, by place
        self._added = BitMap()  # since the changes were taken last
        self._cleared = BitMap()

    @property
    def changed(self) -> bool:
        """Whether there are changes to take."""
        return bool(self._added or self._cleared)

    def add(self, place: int) -> None:
        """One more key stands there."""
        if place in self.places:
            self._more[place] += 1
        else:
            self.places.add(place)
            _note(place, self._added, self._cleared)

    def discard(self, place: int) -> None:
        """Undo an `add` of the same place."""
        if place not in self._more:
            self.places.remove(place)
            _note(place, self._cleared, self._added)
        elif self._more[place] > 1:
            self._more[place] -= 1
        else:
            del self._more[place]

    def take_changes(self) -> tuple[BitMap, BitMap]:
        """The places that were set and cleared since this was asked last."""
        changes = self._added, self._cleared
        self._added, self._cleared = BitMap(), BitMap()
        return changes


def pack_places(places: BitMap) -> bytes:
    """At most PATCH_PLACES_MAX of them as bytes: sorted, the four bytes of each apart, deflated.

    Nothing is no bytes.
    """
    if not places:
        return b""
    plain = _plain(places)
    return zlib.compress(b"".join(plain[byte::_PLACE_BYTES] for byte in range(_PLACE_BYTES)))


def unpack_places(packed: bytes) -> BitMap:
    """The inverse of `pack_places`. Raises RemoteProtocolError for what it cannot have made."""
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
    numbers = array("I", bytes(plain))
    if _SWAPPED:
        numbers.byteswap()
    places = BitMap(numbers)
    if places and places.max() >= 1 << PLACE_BITS:
        raise RemoteProtocolError("a place beyond the last")
    return places


def statement(network: str, places: BitMap) -> bytes:
    """What the owner of a digest signs: all its places, sorted, as hashed."""
    return _STATED + network.encode() + b"\0" + blake2b(_plain(places)).digest()


def _plain(places: BitMap) -> bytes:
    """Sorted, four bytes each, the least significant first."""
    numbers = array("I", places)
    if _SWAPPED:
        numbers.byteswap()
    return numbers.tobytes()


def _note(place: int, happened: BitMap, opposite: BitMap) -> None:
    """A change that undoes another is none."""
    if place in opposite:
        opposite.remove(place)
    else:
        happened.add(place)


def _place(hashed: bytes) -> int:
    return int.from_bytes(hashed, "big") >> (8 * _PLACE_BYTES - PLACE_BITS)
