"""Messages to bytes and back: the border, and the only importer of msgpack.

A frame is one msgpack array of messages; a message is an array of its type id and its fields in
order. Sizes, counts and types are checked here, once; behind it code trusts its types. Fields are
only appended, so a frame of a newer version decodes with what we know, and of an older one with
defaults. A second frame carries the raw bytes of the one message whose row says so.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgpack
import msgspec

from common.errors import LocalProtocolError, RemoteProtocolError
from common.limits import (
    BULK_FRAME_BYTES_MAX,
    CONTAINER_ITEMS_MAX,
    CONTROL_FRAME_BYTES_MAX,
    MESSAGES_PER_FRAME_MAX,
    STRING_BYTES_MAX,
)
from common.messages import cluster, link, overlay
from common.messages.fields import Message
from common.messages.table import BY_ID, BY_MESSAGE, To

PROTOCOL_VERSION = 1

LINK_TYPES = frozenset(row.id for row in BY_ID.values() if row.to not in (To.COMMAND, To.DATAGRAM))
DATAGRAM_TYPES = frozenset(row.id for row in BY_ID.values() if row.to is To.DATAGRAM)
COMMAND_TYPES = frozenset(row.id for row in BY_ID.values() if row.to is To.COMMAND)

T = TypeVar("T")

_FIXARRAY: Final = 0x90  # msgpack's array of up to 15 items: its head holds the count
_FIXARRAY_ITEMS_MAX: Final = 15
_FIXARRAYS: Final = [bytes((_FIXARRAY + count,)) for count in range(_FIXARRAY_ITEMS_MAX + 1)]
_ARRAY16: Final = 0xDC  # ... and of up to 65,535, whose count follows
_HEADS: Final = {
    row.message: bytes((_FIXARRAY + 1 + len(row.message.__struct_fields__), row.id))
    for row in BY_ID.values()
}
_QUICK: Final = {
    _HEADS[kind]: (_FIXARRAYS[len(kind.__struct_fields__)], msgspec.msgpack.Decoder(kind).decode)
    for kind in (
        *(cluster.Search, cluster.SearchDone, cluster.Locate, cluster.Forget, link.Echo),
        *(overlay.Query, overlay.Extend, overlay.QueryDone, overlay.Prune),
    )
}

_packer = msgpack.Packer(use_bin_type=True)
_encode_fields: Final = msgspec.msgpack.Encoder().encode
_split: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Unknown(Message, frozen=True, array_like=True):
    """Stands for a message of a type that we do not know, or that does not belong here."""


UNKNOWN = Unknown()


def pack(value: object) -> bytes:
    """Any struct of ours as msgpack, without a type id (bodies, parameters, results)."""
    return bytes(_packer.pack(msgspec.to_builtins(value, builtin_types=(bytes,))))


def unpack(body: bytes | memoryview, kind: type[T]) -> T:
    """The inverse of `pack`; raises RemoteProtocolError where `body` is not a `kind`."""
    return _convert(_builtins(body, CONTROL_FRAME_BYTES_MAX), kind)


def encode(message: Message) -> bytes:
    """One message as an element of a frame.

    msgspec writes the fields (an array) at once, three times as fast as by way of builtins; the
    type id goes in front of them.
    """
    head = _HEADS.get(type(message))
    if head is None:
        raise LocalProtocolError(f"{type(message).__name__} has no row in the message table")
    return head + _encode_fields(message)[1:]


def frame(encoded: list[bytes]) -> bytes:
    """Encoded messages as one frame; the caller keeps it within the door's limit."""
    count = len(encoded)
    if count <= _FIXARRAY_ITEMS_MAX:
        return _FIXARRAYS[count] + b"".join(encoded)
    return bytes(_packer.pack_array_header(count)) + b"".join(encoded)


def decode(
    body: bytes | memoryview,
    *,
    types: Iterable[int] = LINK_TYPES,
    has_data: bool = False,
    bytes_max: int = BULK_FRAME_BYTES_MAX,
) -> list[Message]:
    """The messages of one frame in order; `UNKNOWN` for those that are not one of `types`.

    Raises RemoteProtocolError for anything malformed, oversize, or of the wrong shape, and where
    a second frame came with a message that carries none, or the other way round.
    """
    if types is LINK_TYPES and not has_data and len(body) <= bytes_max:
        quick = _decode_quickly(body)
        if quick is not None:
            return quick
    items = _builtins(body, bytes_max)
    if not isinstance(items, list) or len(items) > MESSAGES_PER_FRAME_MAX:
        raise RemoteProtocolError("a frame is an array of messages")
    messages: list[Message] = []
    for item in items:
        if not isinstance(item, list) or not item or type(item[0]) is not int:
            raise RemoteProtocolError("a message is an array that begins with its type id")
        row = BY_ID.get(item[0])
        if row is None or row.id not in types:
            messages.append(UNKNOWN)
            continue
        if row.carries_data and (not has_data or len(items) != 1):
            raise RemoteProtocolError(f"{row.message.__name__} travels alone with its data")
        messages.append(_convert(item[1:], row.message))
    if has_data and messages != [UNKNOWN] and not (messages and _carries_data(messages[0])):
        raise RemoteProtocolError("a second frame belongs to a message that carries data")
    return messages


def _decode_quickly(body: bytes | memoryview) -> list[Message] | None:
    """The messages of a frame that holds nothing but `_QUICK` ones, all well; None for any other.

    msgspec reads these from the bytes at once, in half the time. Their fields bound every string
    and array within, as tightly as the limits of the long way do; but for the folders of hits,
    whose letters may be several bytes: such a frame goes the long way.
    """
    first = body[0] if body else 0
    is_short = _FIXARRAY <= first <= _FIXARRAY + _FIXARRAY_ITEMS_MAX
    is_long = first == _ARRAY16 and int.from_bytes(body[1:3], "big") <= MESSAGES_PER_FRAME_MAX
    if not (is_short or is_long):
        return None
    try:
        messages = []
        for raw in _split(body):
            packed = bytes(raw)
            fields, decode_fields = _QUICK[packed[:2]]
            messages.append(decode_fields(fields + packed[2:]))
        return messages if all(map(_has_plain_folders, messages)) else None
    except (KeyError, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def _has_plain_folders(message: Message) -> bool:
    """Whether each letter of its hits' folders, if it has any, is one byte."""
    if not isinstance(message, overlay.QueryDone):
        return True
    return all(hit.entry.folder.isascii() for hit in message.hits)


def _carries_data(message: Message) -> bool:
    row = BY_MESSAGE.get(type(message))
    return row is not None and row.carries_data


def _builtins(body: bytes | memoryview, bytes_max: int) -> object:
    if len(body) > bytes_max:
        raise RemoteProtocolError(f"a frame of {len(body)} bytes is over the limit of {bytes_max}")
    try:
        return msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            max_str_len=STRING_BYTES_MAX,
            max_bin_len=bytes_max,
            max_array_len=CONTAINER_ITEMS_MAX,
            max_map_len=CONTAINER_ITEMS_MAX,
            max_ext_len=0,
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        # UnicodeDecodeError and msgpack's own errors are ValueErrors; their text may hold bytes
        raise RemoteProtocolError(f"not msgpack: {type(error).__name__}") from None


def _convert(value: object, kind: type[T]) -> T:
    try:
        # bytes are bytes: without this a base64 text would pass for them
        return msgspec.convert(value, kind, builtin_types=(bytes,))
    except (msgspec.ValidationError, RecursionError) as error:
        raise RemoteProtocolError(f"not a {kind.__name__}: {str(error)[:200]}") from None
