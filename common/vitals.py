"""What one node measured of another, signed, as it travels from super-peer to super-peer.

A receipt is made by who got bytes from another leaf: so many in so long. The parent of who made it
vouches that this was a leaf of its own, seen in this group. A record is what a parent knows of one
of its leaves. Times are lengths and ages, never clock readings that two machines would have to
agree on; `number` only orders what one node says, so that nothing counts twice.
"""

import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from common.ids import SIGNATURE_BYTES, Identity, NodeId, is_signed
from common.messages.fields import Bytes32, Count, Signature

_RECEIPT: Final = b"superpeer receipt 1\0"
_VOUCHED: Final = b"superpeer vouched 1\0"
_RECORD: Final = b"superpeer record 1\0"
_NOT_KNOWN: Final = 2  # beside 0 and 1 for no and yes

Group = Annotated[bytes, Meta(max_length=32)]  # `common.hostcache.group_of`


class Receipt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`giver` gave `receiver`, who signs, `length` proven bytes in `span_us` of steady transfer."""

    giver: Bytes32
    receiver: Bytes32
    length: Count
    span_us: Count
    number: Count  # wall milliseconds of the receiver: later ones have a higher one
    signature: Signature

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.length / (self.span_us / 1e6) if self.span_us else 0.0


class Vouched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A receipt whose receiver is seen in `group` by its parent, who signs."""

    receipt: Receipt
    group: Group
    signature: Signature


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `by`, who signs, knows of `node`, `age_s` before it was sent."""

    node: Bytes32
    by: Bytes32
    reachable: bool | None
    up_rate: Count | None
    witnesses: Count  # groups that measured the rate
    uptime_s: Count  # since it is here
    sessions: Count  # that it had here before, and their mean
    session_s: Count
    age_s: Count
    signature: Signature


def sign_receipt(
    me: Identity, network: str, giver: NodeId, length: int, span_s: float, number: int
) -> Receipt:
    """A receipt of ours."""
    bare = Receipt(giver, me.node, length, round(span_s * 1e6), number, bytes(SIGNATURE_BYTES))
    return msgspec.structs.replace(bare, signature=me.sign(_received(bare, network)))


def is_receipt(receipt: Receipt, network: str) -> bool:
    """Whether its receiver signed it in this network."""
    return is_signed(receipt.receiver, _received(receipt, network), receipt.signature)


def vouch(me: Identity, network: str, receipt: Receipt, group: bytes) -> Vouched:
    """Say that its receiver is a leaf of ours, in this group."""
    return Vouched(receipt, group, me.sign(_seen(receipt, group, network)))


def is_vouched(vouched: Vouched, by: NodeId, network: str) -> bool:
    """Whether receiver and parent signed."""
    said = _seen(vouched.receipt, vouched.group, network)
    return is_signed(by, said, vouched.signature) and is_receipt(vouched.receipt, network)


def sign_record(me: Identity, network: str, record: Record) -> Record:
    """The same, by us and signed."""
    ours = msgspec.structs.replace(record, by=me.node)
    return msgspec.structs.replace(ours, signature=me.sign(_known(ours, network)))


def is_record(record: Record, network: str) -> bool:
    """Whether who measured it signed it in this network."""
    return is_signed(record.by, _known(record, network), record.signature)


def _received(receipt: Receipt, network: str) -> bytes:
    numbers = struct.pack(">QQQ", receipt.length, receipt.span_us, receipt.number)
    return _RECEIPT + _named(network) + receipt.giver + receipt.receiver + numbers


def _seen(receipt: Receipt, group: bytes, network: str) -> bytes:
    return _VOUCHED + _named(network) + receipt.signature + group


def _known(record: Record, network: str) -> bytes:
    reachable = _NOT_KNOWN if record.reachable is None else int(record.reachable)
    is_rated, rate = record.up_rate is not None, record.up_rate or 0
    numbers = struct.pack(
        ">BBQQQQQQ",
        reachable,
        is_rated,
        rate,
        record.witnesses,
        record.uptime_s,
        record.sessions,
        record.session_s,
        record.age_s,
    )
    return _RECORD + _named(network) + record.node + record.by + numbers


def _named(network: str) -> bytes:
    name = network.encode()
    return struct.pack(">H", len(name)) + name
