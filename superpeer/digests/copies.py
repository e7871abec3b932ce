"""The digest of one super-peer, as a neighbour of ours tells it.

Patches come as their owner made them and are looked at no sooner than somebody asks: most of those
from two links away are void before any query needs them. A copy is whole while the owner's
signature stands over it; what is not whole rules nothing out, and what cannot be read, was not
signed or is fuller than any digest has reason to be is void until it begins afresh.

A patch of a hundred bytes may have 12,288 places, and its signature stands over millions: 0.1 s of
hashing. So what one neighbour tells is read at a pace, and until its turn comes it waits and rules
nothing out.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from typing import Final

from pyroaring import BitMap

from common.digest import (
    PATCH_PLACES_MAX,
    fullest,
    may_have,
    pack_places,
    statement,
    unpack_places,
)
from common.errors import RemoteProtocolError
from common.ids import NodeId, is_signed
from common.messages.overlay import Patch
from common.rates import Bucket

Whole = tuple[int, BitMap]  # bits and places of a digest that is whole

WAITING_BYTES_MAX: Final = 65_536  # of patches nobody has asked for yet; wild guess
READ_PER_S: Final = 4_000_000  # places of one neighbour's digests that are hashed: 5 % of a core
READ_BURST: Final = 1 << 23  # the fullest digest, once: 0.1 s
_PATCH_BYTES: Final = 128  # without places
_PATCH_COST: Final = 300  # places hashed in the time that a patch takes without any: 4 us
_PLACE_COST: Final = 5  # ... that one place takes to be inflated: 60 ns


def reading_pace(now: float) -> Bucket:
    """What may be read of what one neighbour tells."""
    return Bucket(READ_PER_S, READ_BURST, now)


class Copy:
    """What a super-peer has, by its own word as far as it came to us; read at `pace`."""

    __slots__ = (
        *("_bits", "_is_proven", "_is_void", "_network", "_owner", "_pace", "_places"),
        *("_signature", "_waiting", "_waiting_bytes", "whole"),
    )

    def __init__(self, owner: NodeId, network: str, pace: Bucket) -> None:
        self._owner = owner
        self._network = network
        self._pace = pace
        self._bits = 0
        self._places = BitMap()
        self._signature: bytes | None = None
        self._is_void = True
        self._is_proven = False  # the signature was held against the places
        self._waiting: deque[Patch] = deque()
        self._waiting_bytes = 0
        self.whole: Whole | None = None
        """What it was when it was whole last; None where it is void."""

    def __len__(self) -> int:
        """How many places are set, as of the last look."""
        return len(self._places)

    def take(self, patch: Patch) -> None:
        """Note what has come."""
        if patch.afresh:
            self._waiting.clear()
            self._waiting_bytes = 0
        self._waiting.append(patch)
        self._waiting_bytes += patch_bytes(patch)

    @property
    def lags(self) -> bool:
        """Whether more has come than may wait for somebody to ask."""
        return self._waiting_bytes > WAITING_BYTES_MAX

    def look(self, now: float) -> None:
        """Take in what was noted, as far as it may be read by now. Raises RemoteProtocolError where
        it is no digest, or not its owner's, or changes faster than it can be read; the copy is void
        then."""
        try:
            while self._waiting and self._pace.take(now):
                self._apply(self._waiting.popleft())
            if self.lags:
                raise RemoteProtocolError("a digest that changes faster than it can be read")
            if not self._waiting and self._signature is not None and not self._is_proven:
                self._prove(now)
        except RemoteProtocolError:
            self.void()
            raise

    def void(self) -> None:
        """It tells nothing until it begins afresh."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._places, self._signature, self._is_void = BitMap(), None, True
        self._is_proven, self.whole = False, None

    def rules_out(self, wanted: Iterable[int]) -> bool:
        """Whether one of the places that a hit must have is not set, after all that has come."""
        is_whole = self._is_proven and not self._waiting
        return is_whole and not may_have(self._places, self._bits, wanted)

    @property
    def is_void(self) -> bool:
        """Whether it tells nothing."""
        return self._is_void and not self._waiting

    def patches(self) -> list[Patch]:
        """What makes another copy what this one is."""
        if self._is_void:
            read = [voiding(self._owner)]
        else:
            places, signature = self._places, self._signature if self._is_proven else None
            read = patches(self._owner, self._bits, places, BitMap(), signature, afresh=True)
        return [*read, *self._waiting]

    def _prove(self, now: float) -> None:
        """Hold the signature against the places, if that may be done by now."""
        if not self._pace.take(now):
            return
        self._pace.spend(len(self._places))
        stated = statement(self._network, self._bits, self._places)
        if self._signature is None or not is_signed(self._owner, stated, self._signature):
            raise RemoteProtocolError("a digest that its owner has not signed")
        self._is_proven, self.whole = True, (self._bits, self._places)

    def _apply(self, patch: Patch) -> None:
        self._waiting_bytes -= patch_bytes(patch)
        if patch.afresh:
            self._bits, self._places, self._is_void = patch.bits, BitMap(), False
        if self._is_void:
            return
        if patch.bits != self._bits:
            raise RemoteProtocolError("a digest that changes its size half-way")
        added, cleared = (unpack_places(each, self._bits) for each in (patch.added, patch.cleared))
        self._pace.spend(_PATCH_COST + _PLACE_COST * (len(added) + len(cleared)))
        if self.whole is not None and self._places is self.whole[1]:
            self._places = BitMap(self._places)  # another one: `whole` stays as it is
        self._places |= added
        self._places -= cleared
        if len(self._places) > fullest(self._bits):
            raise RemoteProtocolError("a digest that is too full to tell anything")
        self._signature, self._is_proven = patch.signature, False


def voiding(owner: NodeId) -> Patch:
    """What makes a copy void."""
    return Patch(owner, 0, afresh=True)


def patch_bytes(patch: Patch) -> int:
    """What a patch takes in a message, about."""
    return _PATCH_BYTES + len(patch.added) + len(patch.cleared)


def patches(
    owner: NodeId,
    bits: int,
    added: BitMap,
    cleared: BitMap,
    signature: bytes | None,
    *,
    afresh: bool,
) -> list[Patch]:
    """These changes in parts that fit into frames; the signature stands over the last, where all
    of it is told."""
    parts = [(pack_places(part), b"") for part in _parted(added)]
    parts += [(b"", pack_places(part)) for part in _parted(cleared)]
    if len(added) + len(cleared) <= PATCH_PLACES_MAX:
        parts = [(pack_places(added), pack_places(cleared))]
    return [
        Patch(owner, bits, *part, afresh and at == 1, signature if at == len(parts) else None)
        for at, part in enumerate(parts, 1)
    ]


def _parted(places: BitMap) -> "list[array[int]]":
    plain = places.to_array()
    return [plain[at : at + PATCH_PLACES_MAX] for at in range(0, len(plain), PATCH_PLACES_MAX)]
