"""How hits with one content become a row."""

import pytest

from common.addresses import Address
from common.content.catalogue import Entry
from common.messages.cluster import Hit
from common.messages.fields import Contact
from common.terms import parse
from leaf.search.hits import MODIFIED_MAX_S, Row

TERMS = parse(["a"])
WHERE = Address.of("10.0.0.1", 1215)


def hit(leaf: int, modified_s: int) -> Hit:
    """A leaf's word that it has a file, changed then."""
    entry = Entry(bytes(32), 7, "a", "", modified_s)
    return Hit(Contact(bytes([leaf]) * 32, WHERE), entry, 0, 1, (), bytes(64))


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ([], None),
        ([0, 0], None),
        ([0, 1_700_000_000, 1_600_000_000], "2020-09-13T12:26:40Z"),
        ([MODIFIED_MAX_S], "9999-12-31T23:59:59Z"),
        ([2**40], None),
    ],
)
def test_a_row_tells_the_earliest_change(told: list[int], shown: str | None) -> None:
    """Of those that leaves tell; who fetched the file tells none, and no year has five digits."""
    row = Row((bytes(32), 7))
    for leaf, modified_s in enumerate(told):
        row.add(hit(leaf, modified_s), TERMS)
    if not told:
        row.add(hit(9, 0), TERMS)
    assert row.shown().modified == shown
