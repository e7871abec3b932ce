"""One download by itself: what it has, before and after its part is open."""

from random import Random

from common.config import SwarmConfig
from common.content.merkle import piece_count, piece_span
from common.storage import DownloadRecord, PartOpened
from leaf.links.links import BulkLinks
from leaf.signals import Started
from leaf.swarm.download import Download

SIZE = 5 * 16384 + 100  # the last of six pieces is short


def download() -> Download:
    """One that nobody has begun."""
    config = SwarmConfig()
    record = DownloadRecord(1, bytes(32), SIZE, "/downloads/x", "rename", "queued")
    return Download(
        record, sources=(), links=BulkLinks(config), config=config, rng=Random(1), now=0.0
    )


def test_one_that_is_not_begun_has_nothing() -> None:
    """No bytes, no links, nothing to serve, and no lack of space."""
    one = download()
    shown = (one.done_bytes, one.linked, one.proven, one.is_short_of_space)
    assert shown == (0, 0, False, False)


def test_what_is_there_counts_by_its_bytes() -> None:
    """A short last piece counts for what it is, and can be served."""
    last = piece_count(SIZE) - 1
    for there in ((0,), (last,), (0, last)):
        one = download()
        one.handle(Started(), 0.0)
        marks = bytes(int(piece in there) for piece in range(last + 1))
        one.handle(PartOpened(1, marks, b""), 0.0)
        assert one.done_bytes == sum(piece_span(SIZE, piece)[1] for piece in there)
        assert one.proven
