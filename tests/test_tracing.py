"""The way of a search: who was asked, ruled out, met again or lost, and what a trace may cost."""

from random import Random

import pytest
from msgspec.structs import replace as replaced

from common import wire
from common.addresses import Address
from common.config import Config, OverlayConfig
from common.content.catalogue import Entry
from common.core import Fail, Send
from common.ids import node_text
from common.limits import (
    CONTROL_FRAME_BYTES_MAX,
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    FILES_PER_LEAF_MAX,
    HITS_PER_FRAME_MAX,
    HOPS_MAX,
    REACH_IDS_MAX,
    STRING_BYTES_MAX,
    TRACE_HOPS_MAX,
)
from common.messages.cluster import Hit, Hop
from common.messages.fields import Contact
from common.messages.overlay import Extent, Query, QueryDone, QueryHits
from leaf.methods import HopRow, Search, SearchResult, TraceOf, TraceResult
from superpeer.flood.tracing import TRACES_BURST, Trail
from tests.test_flood import ASKER, flood, hit, query
from tests.wish_world import Row

AS_LINKED = Config(overlay=OverlayConfig(degree_wanted=0))


def traced(row: Row, *words: str, **more: object) -> SearchResult:
    """A traced search of the first leaf."""
    params = Search(list(words), trace=True, **more)  # type: ignore[arg-type]
    result = row.ask(row.leaves[0], "leaf.search", params)
    assert isinstance(result, SearchResult)
    return result


def told(row: Row, hops: list[HopRow]) -> list[tuple[int, int, str]]:
    """Which super-peer, at which depth, and what came of it."""
    numbers = {node_text(host.identity.node): n for n, host in enumerate(row.supers)}
    return [(numbers[hop.node], hop.depth, hop.outcome) for hop in hops]


def test_a_trace_is_the_tree_of_a_search() -> None:
    """Each behind the one that asked it, with its cost; the ruled out where they were spared."""
    row = Row(3, AS_LINKED)
    row.share(row.leaves[2], "blue river.ogg")
    row.run(3.0)
    result = traced(row, "blue", strategy="flood")
    assert told(row, result.trace) == [(0, 0, "answered"), (1, 1, "answered"), (2, 2, "answered")]
    assert [hop.hits for hop in result.trace] == [0, 0, 1]
    assert sum(hop.messages for hop in result.trace) == result.coverage.messages
    origin, middle, end = [hop.elapsed_s for hop in result.trace]
    assert origin >= middle > end > 0
    assert told(row, traced(row, "absent").trace) == [(0, 0, "answered"), (1, 1, "ruled out")]


def test_a_trace_is_kept_by_its_id_where_it_was_asked_for() -> None:
    """The last one without an id; nothing of a search that nobody traced."""
    row = Row(2, AS_LINKED)
    leaf = row.leaves[0]
    missing = row.ask(leaf, "leaf.trace", TraceOf())
    assert isinstance(missing, Fail)
    first, second = traced(row, "blue"), traced(row, "red", strategy="flood")
    plain = row.ask(leaf, "leaf.search", Search(["blue"]))
    assert plain.trace == []
    assert row.ask(leaf, "leaf.trace", TraceOf()) == TraceResult(second.id, "red", second.trace)
    assert row.ask(leaf, "leaf.trace", TraceOf(first.id)).hops == first.trace
    assert isinstance(row.ask(leaf, "leaf.trace", TraceOf(plain.id)), Fail)


def test_nothing_is_traced_unasked() -> None:
    """No query says so, no report carries a hop."""
    row = Row(3, AS_LINKED)
    row.ask(row.leaves[0], "leaf.search", Search(["blue"], strategy="flood"))
    queries = [message for _, _, message in row.messages if isinstance(message, Query)]
    reports = [message for _, _, message in row.messages if isinstance(message, QueryDone)]
    assert queries and not any(query.traced for query in queries)
    assert reports and not any(report.trace for report in reports)


def test_where_a_link_was_lost_is_shown() -> None:
    """And then the way of the second asking."""
    row = Row(2, AS_LINKED)
    row.supers[1].freeze()
    result = traced(row, "blue", strategy="flood")
    assert told(row, result.trace) == [(0, 0, "answered"), (1, 1, "lost"), (0, 0, "answered")]


def test_who_was_not_asked_for_its_silence_is_shown() -> None:
    """By the one that did not ask."""
    trail = Trail(b"m" * 32, 0, 0.0)
    trail.missed([b"a" * 32], "left out")
    assert [hop.outcome for hop in trail.hops(())] == ["answered", "left out"]


def test_who_is_asked_vouches_for_itself_only() -> None:
    """A neighbour that names others in its place, or above it, is put right."""
    me, peer = b"m" * 32, b"p" * 32
    trail = Trail(me, 1, 0.0)
    trail.asked([peer], 0.0)
    lies = (Hop(b"x" * 32, 9, "lost", elapsed_us=5), Hop(b"y" * 32, 0), Hop(b"z" * 32, 3))
    trail.answered(peer, QueryDone(bytes(16), trace=lies), 0.5)
    assert [(hop.node, hop.depth) for hop in trail.hops(())] == [(me, 1), (peer, 2), (b"z" * 32, 3)]
    assert trail.hops(())[1].elapsed_us == 500_000


def test_a_trace_is_cut_at_its_limit_and_fits_a_frame() -> None:
    """The least telling go first, and the one that cut says how many."""
    rng = Random(1)
    trail = Trail(b"m" * 32, 0, 0.0)
    for number in range(30):
        peer = number.to_bytes(32, "big")
        below = tuple(Hop(rng.randbytes(32), 2, "answered", 9, 9, 999) for _ in range(100))
        trail.asked([peer], 0.0)
        trail.answered(peer, QueryDone(bytes(16), trace=(Hop(peer, 1), *below)), 1.0)
    trail.missed([b"d" * 32], "duplicate")
    hops = trail.hops([b"r" * 32])
    assert len(hops) == TRACE_HOPS_MAX
    assert hops[0].cut == 30 * 101 + 2 - (TRACE_HOPS_MAX - 1)
    assert {hop.outcome for hop in hops} == {"answered"}
    largest = Hop(b"m" * 32, HOPS_MAX, "duplicate", 2**32, 2**32, 2**32, 2**32)
    reach, whole = Extent(bytes(2 * REACH_IDS_MAX), b"", 2), (largest,) * TRACE_HOPS_MAX
    report = QueryDone(bytes(16), False, 2**32, 2**32, 2**32, True, True, reach, True, whole)
    assert len(wire.frame([wire.encode(report)])) <= CONTROL_FRAME_BYTES_MAX


def test_a_report_with_a_trace_has_no_room_for_hits() -> None:
    """They go before it; without a trace the largest hits and the most ids fit together."""
    core = flood(found=1)
    asked = replaced(query(), traced=True)
    sent = [each.message for each in core.on_query(ASKER, asked, 0.0) if isinstance(each, Send)]
    assert sent[0] == QueryHits(asked.guid, (hit(0),))
    (report,) = sent[1:]
    assert isinstance(report, QueryDone)
    assert (report.hits, report.messages) == ((), 2)
    assert (report.trace[0].hits, report.trace[0].messages) == (1, 2)
    name, folder = "n" * FILE_NAME_BYTES_MAX, "f" * STRING_BYTES_MAX
    entry = Entry(bytes(32), FILE_SIZE_MAX, name, folder, 2**40)
    at = Contact(b"l" * 32, Address.of("2001:db8::1", 65_535))
    largest = Hit(at, entry, FILES_PER_LEAF_MAX - 1, 2**53, (bytes(32),) * 24, bytes(64))
    reach, sums = Extent(bytes(2 * REACH_IDS_MAX), b"", 2), (2**32, 2**32, 2**32)
    hits = (largest,) * HITS_PER_FRAME_MAX
    fullest = QueryDone(bytes(16), False, *sums, True, True, reach, True, (), hits)
    assert len(wire.frame([wire.encode(fullest)])) <= CONTROL_FRAME_BYTES_MAX


@pytest.mark.parametrize("burst", [TRACES_BURST])
def test_who_traces_too_much_is_answered_untraced(burst: int) -> None:
    """The search is the same, and nobody carries hops for it."""
    row = Row(2, AS_LINKED)
    row.share(row.leaves[1], "blue river.ogg")
    row.run(3.0)
    results = [traced(row, "blue") for _ in range(burst + 5)]
    assert all(len(result.hits) == 1 for result in results)
    assert results[0].trace and not results[-1].trace
