"""The field types that several messages share, each with its limit.

msgspec checks them while it converts, so behind the border every value is within its limits.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from common.addresses import Address
from common.limits import HOPS_MAX, HOSTS_PER_LIST_MAX, STRING_BYTES_MAX, TTL_MAX

Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Text = Annotated[str, Meta(max_length=STRING_BYTES_MAX)]
Name = Annotated[str, Meta(max_length=255)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Ttl = Annotated[int, Meta(ge=0, le=TTL_MAX)]
Hops = Annotated[int, Meta(ge=0, le=HOPS_MAX)]


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The root of everything that is sent: positional fields, appended to, never reordered.

    Values without a way back to themselves, of which thousands wait where many ask: the collector
    of cycles need not look at them (`gc`), which took it a twentieth of a busy super-peer's time.
    """


class Contact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node and where it was seen."""

    node: Bytes32
    address: Address


Contacts = Annotated[tuple[Contact, ...], Meta(max_length=HOSTS_PER_LIST_MAX)]
