"""Leaf and leaf, on the bulk door: who has what of a file, and its bytes.

Everything is about one file named by its root. A downloader says `Interested`; the holder
answers with a `Bitfield` and chokes or unchokes. A request is answered by exactly one `Piece`
(its bytes travel as the second frame) or one `Reject`. The piece layer is asked for with
`TreeRequest` and proven against the root before any piece is. Those who exchange a file name others
that do with `Peers`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from common.limits import (
    HAVE_PIECES_MAX,
    PEERS_TOLD_MAX,
    PIECES_PER_FILE_MAX,
    REQUEST_BYTES_MAX,
    TREE_HASHES_MAX,
)
from common.messages.fields import Bytes32, Contact, Count, Message

PieceIndex = Annotated[int, Meta(ge=0, lt=PIECES_PER_FILE_MAX)]
Reason = Literal["choked", "gone", "changed", "not_here", "too_many", "disk"]


class Interested(Message, frozen=True, array_like=True, gc=False):
    """I want pieces of this file."""

    root: Bytes32
    size: Count


class NotInterested(Message, frozen=True, array_like=True, gc=False):
    """I want nothing more of this file."""

    root: Bytes32


class Bitfield(Message, frozen=True, array_like=True, gc=False):
    """The pieces I have, one bit each, first piece in the highest bit; empty means all."""

    root: Bytes32
    bits: Annotated[bytes, Meta(max_length=PIECES_PER_FILE_MAX // 8)] = b""


class Have(Message, frozen=True, array_like=True, gc=False):
    """I now have this piece too, and more of them."""

    root: Bytes32
    piece: PieceIndex
    more: Annotated[tuple[PieceIndex, ...], Meta(max_length=HAVE_PIECES_MAX - 1)] = ()


class Choke(Message, frozen=True, array_like=True, gc=False):
    """I answer no requests for this file now; your place in the line and about how long it takes.

    The place is 1 for who comes next, and 0 where there is none; the time is in seconds.
    """

    root: Bytes32
    place: Count = 0
    wait_s: Count = 0


class Unchoke(Message, frozen=True, array_like=True, gc=False):
    """I answer requests for this file."""

    root: Bytes32


class Request(Message, frozen=True, array_like=True, gc=False):
    """Send these bytes: whole pieces, at most 1 MiB."""

    root: Bytes32
    offset: Count
    length: Annotated[int, Meta(ge=1, le=REQUEST_BYTES_MAX)]


class Piece(Message, frozen=True, array_like=True, gc=False):
    """The bytes at `offset`; they are the second frame."""

    root: Bytes32
    offset: Count


class Cancel(Message, frozen=True, array_like=True, gc=False):
    """The request at `offset` is no longer wanted."""

    root: Bytes32
    offset: Count


class Reject(Message, frozen=True, array_like=True, gc=False):
    """The request at `offset` will not be answered, and why; all of them where it is null."""

    root: Bytes32
    reason: Reason
    offset: Count | None = None


class TreeRequest(Message, frozen=True, array_like=True, gc=False):
    """Send `count` hashes of the piece layer from piece `first` on."""

    root: Bytes32
    first: PieceIndex
    count: Annotated[int, Meta(ge=1, le=TREE_HASHES_MAX)]


class Peers(Message, frozen=True, array_like=True, gc=False):
    """These leaves, with which I am linked, have or fetch this file too."""

    root: Bytes32
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=PEERS_TOLD_MAX)]


class TreeHashes(Message, frozen=True, array_like=True, gc=False):
    """Hashes of the piece layer (the second frame), and the uncles that prove them."""

    root: Bytes32
    first: PieceIndex
    proof: Annotated[tuple[Bytes32, ...], Meta(max_length=24)] = ()
