"""PROTOCOL.md against the code: every message and field, every limit, every worked example.

The document is meant to be enough for a second implementation, so nothing in it that a program
can check is left to care alone.
"""

import re
from pathlib import Path

import msgspec
import pytest

from common import limits
from common.addresses import Address
from common.config import Config
from common.content.catalogue import Entry
from common.ids import Identity
from common.messages.cluster import Coverage, Hit, Hop, Put, SearchDone
from common.messages.fields import Contact
from common.messages.overlay import Able, Extent, Patch, QueryBody
from common.messages.table import TABLE, Row, To
from common.names import media_type
from common.network import Network
from common.shell.net.ports import TransportLimits
from common.terms import Terms
from common.vitals import Receipt, Record, Vouched
from tests.overlay_world import World

TEXT = (Path(__file__).parent.parent / "PROTOCOL.md").read_text(encoding="utf-8")
PARTS = (
    Address,
    Contact,
    Entry,
    Terms,
    Put,
    Hit,
    Hop,
    Coverage,
    Able,
    Extent,
    Patch,
    QueryBody,
    Receipt,
    Vouched,
    Record,
)  # of messages
TAKERS = {
    To.LINK: "node",
    To.DATAGRAM: "node",
    To.SUPERPEER: "super-peer",
    To.LEAF: "leaf",
    To.COMMAND: "daemon or command",
}

FIRST = Identity(bytes(range(32)))
SECOND = Identity(bytes(range(32, 64)))
GUID = bytes(range(16))
LAB = Network("lab", b"0123456789abcdef")
ENTRIES = (
    Entry(b"\xaa" * 32, 123456, "Die Forelle.flac", "Schubert/Lieder", 1_700_000_000),
    Entry(b"\xbb" * 32, 1, "Grüße.txt", "", 0),
    Entry(b"\xcc" * 32, 2**40, "x", "y", 1),
)


# --- the document's tables ------------------------------------------------------------------


def section(heading: str) -> str:
    """What stands under a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.M | re.S)
    assert found, f"PROTOCOL.md has no section {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without heads and code quotes."""
    cells = [
        [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [row for at, row in enumerate(cells) if not _is_head(cells, at)]


def _is_head(cells: list[list[str]], at: int) -> bool:
    """Whether this is the dashed line of a table or the names above it."""
    dashed = [set(cells[near][0]) <= {"-", ":"} for near in (at, at + 1) if near < len(cells)]
    return any(dashed)


def shown_type(info: msgspec.inspect.Type) -> str:
    """A field's type and its bounds as the tables write them."""
    match info:
        case msgspec.inspect.Metadata(type=inner):
            return shown_type(inner)
        case msgspec.inspect.IntType(ge=None):
            return "int"
        case msgspec.inspect.IntType(ge=low, le=high, lt=beyond):
            return f"int {low}..{number(high if beyond is None else beyond - 1)}"
        case msgspec.inspect.BytesType(min_length=low, max_length=high):
            return f"bytes {span(low, high)}"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return f"text {span(low, high)}"
        case msgspec.inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            return f"array {span(low, high)} of {shown_type(item)}"
        case msgspec.inspect.LiteralType(values=values):
            shown = (str(value) if isinstance(value, int) else f'"{value}"' for value in values)
            return " or ".join(shown)
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(shown_type(each) for each in types)
        case msgspec.inspect.StructType(cls=cls):
            return cls.__name__
    plain = {"NoneType": "nil", "FloatType": "float", "BoolType": "bool"}
    return plain.get(type(info).__name__, f"no rule for {info}")


def span(low: object, high: object) -> str:
    """Bounds of a length."""
    if isinstance(low, int) and low == high:
        return str(low)
    return f"{low or 0}..{number(high)}" if isinstance(high, int) else "of any length"


def number(value: object) -> str:
    """Large powers of two as such."""
    assert isinstance(value, int)
    for shown, less in ((value, ""), (value + 1, "-1")):
        if shown >= 2**20 and not shown & (shown - 1):
            return f"2^{shown.bit_length() - 1}{less}"
    return str(value)


def shown_default(default: object) -> str:
    """A default as the tables write it."""
    special = {msgspec.NODEFAULT: "required", None: "nil", "": '""', b"": "empty"}
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[]"
    for value, text in special.items():
        if default is value or (default == value and type(default) is type(value)):
            return text
    return f'"{default}"' if isinstance(default, str) else str(default)


def fields_of(kind: type[msgspec.Struct]) -> list[list[str]]:
    """(name, type, default) of each field, in order."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    types = [shown_type(field.type) for field in info.fields]
    found = msgspec.structs.fields(kind)
    return [
        [field.name, kind_, shown_default(field.default)]
        for field, kind_ in zip(found, types, strict=True)
    ]


def test_all_messages_are_listed() -> None:
    """The overview is the table of the code: id, name, taker, door, data."""
    listed = [[row[0], row[1], row[3], row[4], row[5]] for row in rows(section("All messages"))]
    assert listed == [
        [
            str(row.id),
            row.message.__name__,
            TAKERS[row.to],
            row.door.value if row.door else "-",
            "yes" if row.carries_data else "-",
        ]
        for row in TABLE
    ]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.message.__name__)
def test_each_message_has_its_fields(row: Row) -> None:
    """A section per message: all its fields in order, with type, bounds and default."""
    heading = f"{row.id} {row.message.__name__}"
    assert [cells[:3] for cells in rows(section(heading))] == fields_of(row.message)


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_each_part_has_its_fields(kind: type[msgspec.Struct]) -> None:
    """The structures inside messages have a section like a message's."""
    assert [cells[:3] for cells in rows(section(kind.__name__))] == fields_of(kind)


def test_no_part_is_forgotten() -> None:
    """Every structure that a message's fields name has a section of its own."""
    kinds: list[type[msgspec.Struct]] = [*[row.message for row in TABLE], *PARTS]
    types = " ".join(text for kind in kinds for _, text, _ in fields_of(kind))
    parts = {part.__name__ for part in PARTS}
    assert set(re.findall(r"\b[A-Z]\w+", types)) | {"QueryBody"} == parts


@pytest.mark.parametrize(
    ("strategy", "ttl", "reached", "messages"),
    [("ring", 10, 4, 10), ("flood", 10, 4, 12), ("ring", 1, 3, 2)],
)
def test_the_search_on_a_cycle(strategy: str, ttl: int, reached: int, messages: int) -> None:
    """The figures of the example search: four super-peers in a cycle, a file at the far one."""
    world = World(seed=1, delay_s=(0.01, 0.0101))
    world.superpeers(list("ABCD"), [("A", "B"), ("A", "D"), ("B", "C"), ("D", "C")])
    for leaf, parent in (("asker", "A"), ("holder", "C")):
        world.leaf(leaf)
        world.join(leaf, parent)
        world.advance(1)
    world.publish("holder", "C", {"wanted": 1})
    world.advance(1)
    world.search("asker", "A", "wanted", strategy=strategy, ttl=ttl)
    world.advance(1)
    done = world.puppet("asker").heard[-1]
    assert isinstance(done, SearchDone)
    coverage = done.coverage
    assert (coverage.reached, coverage.messages, coverage.complete) == (reached, messages, True)


# --- limits and times -----------------------------------------------------------------------


def test_every_limit_is_listed_with_its_value() -> None:
    """The limits of the document are those of the code, all of them."""
    named = {name: value for name, value in vars(limits).items() if name.isupper()}
    listed = {row[0]: float(row[1].replace(",", "")) for row in rows(section("Limits"))}
    assert listed == {name: float(value) for name, value in named.items()}


def test_times_are_those_of_the_code() -> None:
    """Each listed setting of a node or a transport has the default that is said."""
    roots = {"transport": TransportLimits()}
    for name, value, *_ in rows(section("Times and capacities")):
        owner, _, field = name.partition(".")
        default = getattr(roots.get(owner) or getattr(Config(), owner), field)
        assert float(value.replace(",", "")) == float(default), name


def test_kinds_of_files() -> None:
    """Each listed extension is of the kind under which it stands."""
    for kind, extensions in rows(section("Extensions and kinds")):
        for text in extensions.split():
            assert media_type(f"name.{text}") == kind, text
