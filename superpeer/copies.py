"""The digest of one super-peer, as a neighbour of ours tells it.

Patches come as their owner made them and are looked at no sooner than somebody asks: most of those
from two links away are void before any query needs them. A copy is whole while the owner's
signature stands over it; what is not whole rules nothing out, and what cannot be read, was not
signed or is fuller than any digest has reason to be is void until it begins afresh.
"""

from array import array
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

Whole = tuple[int, BitMap]  # bits and places of a digest that is whole

WAITING_BYTES_MAX: Final = 65_536  # of patches nobody has asked for yet; wild guess
_PATCH_BYTES: Final = 128  # without places


class Copy:
    """What a super-peer has, by its own word as far as it came to us."""

    __slots__ = (
        *("_bits", "_is_void", "_network", "_owner", "_places", "_signature", "_waiting"),
        "whole",
    )

    def __init__(self, owner: NodeId, network: str) -> None:
        self._owner = owner
        self._network = network
        self._bits = 0
        self._places = BitMap()
        self._signature: bytes | None = None
        self._is_void = True
        self._waiting: list[Patch] = []
        self.whole: Whole | None = None
        """What it was when it was whole last; None where it is void."""

    def __len__(self) -> int:
        """How many places are set, as of the last look."""
        return len(self._places)

    def take(self, patch: Patch) -> None:
        """Note what has come. Raises RemoteProtocolError, as `look` does."""
        if patch.afresh:
            self._waiting.clear()
        self._waiting.append(patch)
        if sum(map(patch_bytes, self._waiting)) > WAITING_BYTES_MAX:
            self.look()

    def look(self) -> None:
        """Take in what was noted. Raises RemoteProtocolError where it is no digest, or not its
        owner's; the copy is void then."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            for patch in waiting:
                self._apply(patch)
            if self._signature is not None:
                stated = statement(self._network, self._bits, self._places)
                if not is_signed(self._owner, stated, self._signature):
                    raise RemoteProtocolError("a digest that its owner has not signed")
                self.whole = self._bits, self._places
        except RemoteProtocolError:
            self.void()
            raise

    def void(self) -> None:
        """It tells nothing until it begins afresh."""
        self._places, self._signature, self._is_void = BitMap(), None, True
        self.whole = None

    def rules_out(self, wanted: Iterable[int]) -> bool:
        """Whether, as of the last look, one of the places that a hit must have is not set."""
        return self._signature is not None and not may_have(self._places, self._bits, wanted)

    @property
    def is_void(self) -> bool:
        """Whether it tells nothing."""
        return self._is_void

    def patches(self) -> list[Patch]:
        """What makes another copy what this one is."""
        if self._is_void:
            return [Patch(self._owner, 0, afresh=True)]
        return patches(
            self._owner, self._bits, self._places, BitMap(), self._signature, afresh=True
        )

    def _apply(self, patch: Patch) -> None:
        if patch.afresh:
            self._bits, self._places, self._is_void = patch.bits, BitMap(), False
        if self._is_void:
            return
        if patch.bits != self._bits:
            raise RemoteProtocolError("a digest that changes its size half-way")
        added, cleared = (unpack_places(each, self._bits) for each in (patch.added, patch.cleared))
        self._places = (self._places | added) - cleared  # another one: `whole` stays as it is
        if len(self._places) > fullest(self._bits):
            raise RemoteProtocolError("a digest that is too full to tell anything")
        self._signature = patch.signature


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
