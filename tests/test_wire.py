"""The border: golden bytes of every message, and what does not get through."""

import contextlib
from pathlib import Path

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import limits, wire
from common.errors import LocalProtocolError, RemoteProtocolError
from common.messages import overlay
from common.messages.cluster import Hit, SearchHits
from common.messages.fields import Message
from common.messages.link import Echo
from common.messages.swarm import Bitfield, Piece
from common.messages.table import TABLE
from tests.samples import GUID, HIT, ROOT, SAMPLES

GOLDEN = Path(__file__).parent / "fixtures" / "wire-1.txt"
ALL_TYPES = frozenset(row.id for row in TABLE)


def encoded(message: Message) -> bytes:
    """A frame with this one message."""
    return wire.frame([wire.encode(message)])


def raw(*items: object) -> bytes:
    """A frame of anything at all."""
    return bytes(msgpack.packb(list(items), use_bin_type=True))


def test_every_message_has_a_sample() -> None:
    """A row of the table without a golden sample would change unseen."""
    assert [type(sample) for sample in SAMPLES] == [row.message for row in TABLE]


def test_ids_are_unique_and_ascending() -> None:
    """Ids are appended, so the table reads in order and none stands twice."""
    ids = [row.id for row in TABLE]
    assert ids == sorted(set(ids))


def test_golden_bytes(pytestconfig: pytest.Config) -> None:
    """The bytes of version 1 never change; `--rewrite-transcripts` writes them anew."""
    lines = [f"{type(sample).__name__} {encoded(sample).hex()}" for sample in SAMPLES]
    if pytestconfig.getoption("rewrite_transcripts"):
        GOLDEN.write_text("\n".join(lines) + "\n")
    assert GOLDEN.read_text().splitlines() == lines


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_round_trip(sample: Message) -> None:
    """What is encoded is decoded to the same value."""
    has_data = type(sample).__name__ in ("Piece", "TreeHashes", "TestData")
    decoded = wire.decode(encoded(sample), types=ALL_TYPES, has_data=has_data)
    assert decoded == [sample]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_appended_fields_are_ignored(sample: Message) -> None:
    """A newer version's extra field does not trouble us."""
    fields = msgpack.unpackb(wire.encode(sample), raw=False)
    has_data = type(sample).__name__ in ("Piece", "TreeHashes", "TestData")
    decoded = wire.decode(raw([*fields, "new"]), types=ALL_TYPES, has_data=has_data)
    assert decoded == [sample]


def test_unknown_types_are_passed_over() -> None:
    """A message that we do not know leaves its place, and does not trouble the others."""
    frame = raw([9999, "what"], [2, 1, 0, 0])
    assert wire.decode(frame) == [wire.UNKNOWN, Echo(1)]


def test_command_messages_do_not_pass_a_link() -> None:
    """What belongs on the control socket is unknown on a link."""
    assert wire.decode(raw([112, 1, "leaf.stop", b"{}"])) == [wire.UNKNOWN]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        raw()[:0] + b"\x91",
        bytes(msgpack.packb({"a": 1})),
        raw(1),
        raw([]),
        raw(["2", 1]),
        raw([True, 1]),
        raw([2, -1]),
        raw([2, "text"]),
        raw([2]),
        raw([3, "x" * 256]),
        raw([26, b"short"]),
        raw([26, "x" * 16]),
        raw([26, "AAAAAAAAAAAAAAAAAAAAAA=="]),
        raw([3, b"bytes"]),
        b"\x91\x92\x03\xa2\xff\xfe",
        b"\x91" * 2000,
        raw([2, 1, 0, 0]) + b"more",
        bytes(msgpack.packb([[2, msgpack.ExtType(5, b"x")]])),
    ],
)
def test_malformed_frames_are_refused(frame: bytes) -> None:
    """Anything that is not our protocol is one RemoteProtocolError, never another exception."""
    with pytest.raises(RemoteProtocolError):
        wire.decode(frame)


def test_size_limits() -> None:
    """Frames, arrays and strings beyond their limits do not get through."""
    with pytest.raises(RemoteProtocolError, match="limit"):
        wire.decode(b"\x90" * (limits.CONTROL_FRAME_BYTES_MAX + 1), bytes_max=64 * 1024)
    with pytest.raises(RemoteProtocolError):
        wire.decode(raw(*[[2, 1, 0, 0]] * (limits.MESSAGES_PER_FRAME_MAX + 1)))
    with pytest.raises(RemoteProtocolError):
        wire.decode(raw([9999, "x" * (limits.STRING_BYTES_MAX + 1)]))
    with pytest.raises(RemoteProtocolError):
        wire.decode(encoded(SearchHits(GUID, (HIT,) * (limits.HITS_PER_FRAME_MAX + 1))))


def test_data_travels_with_its_message_only() -> None:
    """A second frame belongs to one message that carries data, and to nothing else."""
    piece = wire.encode(Piece(ROOT, 0))
    with pytest.raises(RemoteProtocolError):
        wire.decode(wire.frame([piece]))
    with pytest.raises(RemoteProtocolError):
        wire.decode(wire.frame([piece, piece]), has_data=True)
    with pytest.raises(RemoteProtocolError):
        wire.decode(encoded(Bitfield(ROOT)), has_data=True)


def test_what_has_no_row_is_not_sent() -> None:
    """Encoding something that is no message is our own mistake, and loud."""
    with pytest.raises(LocalProtocolError):
        wire.encode(Message())


def depth(kind: object) -> int:
    """How deep the arrays of a type nest."""
    info = msgspec.inspect.type_info(kind)
    return _depth(info)


def _depth(info: object) -> int:
    if isinstance(info, msgspec.inspect.StructType):
        return 1 + max((_depth(field.type) for field in info.fields), default=0)
    if isinstance(info, msgspec.inspect.VarTupleType):
        return 1 + _depth(info.item_type)
    if isinstance(info, msgspec.inspect.UnionType):
        return max(_depth(each) for each in info.types)
    if isinstance(info, msgspec.inspect.Metadata):
        return _depth(info.type)
    return 0


def test_no_message_nests_deeper_than_the_limit() -> None:
    """The schema itself holds the depth limit: no type has room for more."""
    assert max(1 + depth(row.message) for row in TABLE) <= limits.DEPTH_MAX
    assert depth(Hit) == 3


def test_a_full_frame_of_hits_fits_a_control_frame() -> None:
    """The largest answer that the limits allow is not over the frame's limit."""
    hit = msgspec.structs.replace(HIT, proof=(ROOT,) * 15)
    entry = msgspec.structs.replace(HIT.entry, name="n" * 255, folder="f" * 1024)
    hit = msgspec.structs.replace(hit, entry=entry)
    frame = encoded(SearchHits(GUID, (hit,) * limits.HITS_PER_FRAME_MAX))
    assert len(frame) <= limits.CONTROL_FRAME_BYTES_MAX


@given(st.binary(max_size=200))
def test_random_bytes_never_surprise(frame: bytes) -> None:
    """Any bytes decode or are refused; nothing else comes out."""
    with contextlib.suppress(RemoteProtocolError):
        wire.decode(frame)


@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_frames_never_surprise(sample: Message, data: st.DataObject) -> None:
    """A frame with some bytes changed decodes or is refused."""
    frame = bytearray(encoded(sample))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteProtocolError):
        wire.decode(bytes(frame), types=ALL_TYPES)


QUICK = [sample for sample in SAMPLES if wire.encode(sample)[:2] in wire._QUICK]


def test_a_text_too_long_in_bytes_is_refused_by_any_way() -> None:
    """A folder of 1,024 letters may be 2,048 bytes, which nobody may pass on: who took it with a
    report would be hung up for telling it."""
    entry = msgspec.structs.replace(HIT.entry, folder="\u00e9" * limits.STRING_BYTES_MAX)
    long = msgspec.structs.replace(HIT, entry=entry)
    for message in (overlay.QueryHits(GUID, (long,)), overlay.QueryDone(GUID, hits=(HIT, long))):
        with pytest.raises(RemoteProtocolError):
            wire.decode(encoded(message))


@given(st.lists(st.sampled_from(QUICK), max_size=40), st.data())
def test_the_quick_way_is_the_long_way(messages: list[Message], data: st.DataObject) -> None:
    """Frames of the commonest messages are read at once, to the same end, whatever is wrong."""
    frame = bytearray(wire.frame([wire.encode(message) for message in messages]))
    for _ in range(data.draw(st.integers(0, 2))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    outcomes: list[object] = []
    for types in (wire.LINK_TYPES, set(wire.LINK_TYPES)):  # the second knows no quick way
        try:
            outcomes.append(wire.decode(bytes(frame), types=types))
        except RemoteProtocolError as error:
            outcomes.append(str(error))
    assert repr(outcomes[0]) == repr(outcomes[1])
