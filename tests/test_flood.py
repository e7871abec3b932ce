"""One super-peer's part in a query: once, in order, within limits, and never for strangers."""

from common import wire
from common.addresses import Address
from common.config import FloodConfig
from common.core import LinkUp, Send
from common.doors import Door
from common.limits import HITS_PER_FRAME_MAX, HOPS_MAX
from common.messages.cluster import Hit
from common.messages.fields import Contact
from common.messages.overlay import Extend, Prune, Query, QueryBody, QueryDone, QueryHits
from common.terms import parse
from superpeer.flood import Flood
from superpeer.query import HITS_PER_WINDOW, WINDOW_S
from tests.overlay_world import entry_of

ME, ASKER, OTHER, STRANGER = b"m" * 32, b"a" * 32, b"o" * 32, b"s" * 32
GUID = b"g" * 16
BODY = wire.pack(QueryBody(5_000, terms=parse(["x"])))
NOBODY = Contact(b"l" * 32, Address.of("10.0.0.9", 1215))


def hit(slot: int, contact: Contact = NOBODY) -> Hit:
    return Hit(contact, entry_of(f"x {slot}"), slot, 1, (), bytes(64))


def flood(found: int = 0, config: FloodConfig | None = None) -> Flood:
    """A super-peer between two neighbours, whose index has so many hits for anything."""
    links = {
        peer: LinkUp(peer, Door.CONTROL, Address.of("10.0.0.1", 1214), NOBODY.address, True)
        for peer in (ASKER, OTHER, STRANGER)
    }
    return Flood(
        ME,
        config=config or FloodConfig(),
        links=links,
        neighbours={ASKER: None, OTHER: None},
        evaluate=lambda body: [hit(slot) for slot in range(found)][: body.wanted],
    )


def test_a_query_is_forwarded_but_not_back() -> None:
    """It goes to all neighbours except the one it came from, with a hop more and a ring less."""
    sent = flood().on_query(ASKER, Query(GUID, 3, 1, BODY), 0.0)
    assert sent == [Send(OTHER, Query(GUID, 2, 2, BODY))]


def test_a_guid_is_evaluated_once() -> None:
    """The second copy is answered `duplicate`, whoever sends it, even when the tree is gone."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 1, 1, BODY), 0.0)
    duplicate = QueryDone(GUID, duplicate=True, messages=1)
    assert core.on_query(OTHER, Query(GUID, 1, 1, BODY), 0.0) == [Send(OTHER, duplicate)]
    core.on_prune(ASKER, Prune(GUID), 0.0)
    assert core.on_query(ASKER, Query(GUID, 1, 1, BODY), 1.0) == [Send(ASKER, duplicate)]
    assert core.duplicates == 2


def test_who_sent_a_copy_is_not_asked_in_the_next_ring() -> None:
    """A neighbour that forwarded the query to us has it, so the frontier shrinks."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 1, 1, BODY), 0.0)
    core.on_query(OTHER, Query(GUID, 1, 1, BODY), 0.0)
    (send,) = core.on_extend(ASKER, Extend(GUID), 0.1)
    assert send == Send(ASKER, QueryDone(GUID, messages=1))


def test_a_query_at_the_last_hop_goes_no_further() -> None:
    """Whatever `ttl` says and however often it is extended, hops end at the limit (T9)."""
    core = flood()
    (done,) = core.on_query(ASKER, Query(GUID, 10, HOPS_MAX, BODY), 0.0)
    assert done == Send(ASKER, QueryDone(GUID, reached=1, frontier=1, messages=1))
    (again,) = core.on_extend(ASKER, Extend(GUID), 0.0)
    assert again == Send(ASKER, QueryDone(GUID, frontier=1, messages=1))


def test_what_nobody_asked_for_is_dropped_and_counted() -> None:
    """Hits and reports out of turn, and everything of strangers, change nothing (T10)."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 3, 1, BODY), 0.0)
    assert core.on_query(STRANGER, Query(b"n" * 16, 1, 1, BODY), 0.0) == []
    assert core.on_extend(STRANGER, Extend(b"n" * 16), 0.0) == []
    assert core.on_extend(OTHER, Extend(GUID), 0.0) == []
    assert core.on_extend(ASKER, Extend(GUID), 0.0) == []  # the ring is not over
    assert core.on_query_hits(STRANGER, QueryHits(GUID, (hit(1),)), 0.0) == []
    assert core.on_query_hits(OTHER, QueryHits(b"n" * 16, (hit(1),)), 0.0) == []
    assert core.on_query_done(STRANGER, QueryDone(GUID), 0.0) == []
    assert core.on_prune(OTHER, Prune(GUID), 0.0) == []
    core.on_query_done(OTHER, QueryDone(GUID, frontier=1), 0.0)
    assert core.on_query_hits(OTHER, QueryHits(GUID, (hit(1), hit(2))), 0.0) == []
    assert core.dropped == {
        "query_of_stranger": 2,
        "extend_unasked": 2,
        "hits_unasked": 4,
        "done_unasked": 1,
        "prune_unasked": 1,
    }


def test_an_undecodable_body_is_answered_and_not_passed_on() -> None:
    """Nothing is evaluated, nothing is forwarded, and the asker need not wait."""
    core = flood()
    sent = core.on_query(ASKER, Query(GUID, 3, 1, b"\xc1"), 0.0)
    assert sent == [Send(ASKER, QueryDone(GUID, messages=1))]
    assert (core.open, core.dropped["query_undecodable"]) == (0, 1)


def test_hits_beyond_what_was_wanted_are_cut() -> None:
    """A query never carries more hits than it asked for, wherever they come from."""
    core = flood(found=2)
    body = wire.pack(QueryBody(3, terms=parse(["x"])))
    core.on_query(ASKER, Query(GUID, 2, 1, body), 0.0)
    (sent,) = core.on_query_hits(OTHER, QueryHits(GUID, (hit(7), hit(8))), 0.0)
    assert sent == Send(ASKER, QueryHits(GUID, (hit(7),)))
    assert core.dropped["hits_too_many"] == 1


def test_hits_with_addresses_out_of_scope_are_dropped() -> None:
    """What a private neighbour says about loopback is not passed on."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    lie = hit(1, Contact(b"l" * 32, Address.of("127.0.0.1", 22)))
    assert core.on_query_hits(OTHER, QueryHits(GUID, (lie,)), 0.0) == []
    assert core.dropped["hits_out_of_scope"] == 1


def test_many_hits_are_paced_and_the_report_waits_for_them() -> None:
    """Windows of hits in small frames, then the report: a link's queue is never filled at once."""
    core = flood(found=100)
    windows = [core.on_query(ASKER, Query(GUID, 1, 1, BODY), 0.0)]
    windows += [core.due(core.wakeup() or 0.0) for _ in range(2)]
    messages = [[e.message for e in window if isinstance(e, Send)] for window in windows]
    hits = [[m.hits for m in window if isinstance(m, QueryHits)] for window in messages]
    assert [sum(map(len, window)) for window in hits] == [HITS_PER_WINDOW, HITS_PER_WINDOW, 20]
    assert max(len(some) for window in hits for some in window) == HITS_PER_FRAME_MAX
    reports = [m for window in messages for m in window if isinstance(m, QueryDone)]
    assert reports == [messages[-1][-1]] == [QueryDone(GUID, reached=1, frontier=1, messages=11)]


def test_a_burst_from_below_is_paced_too() -> None:
    """A relay passes on no more in one window, however its neighbours send."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    sent = []
    for first in range(0, 100, 10):
        hits = tuple(hit(slot) for slot in range(first, first + 10))
        sent += core.on_query_hits(OTHER, QueryHits(GUID, hits), 0.0)
    assert len(sent) == HITS_PER_WINDOW // HITS_PER_FRAME_MAX
    assert core.wakeup() == WINDOW_S


def test_the_oldest_tree_gives_way() -> None:
    """Above the limit the oldest query is shed: its asker is told, those below it too."""
    core = flood(config=FloodConfig(open_max=1))
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    sent = core.on_query(ASKER, Query(b"n" * 16, 2, 1, BODY), 0.0)
    assert sent[:2] == [
        Send(ASKER, QueryDone(GUID, messages=1, lost=True)),
        Send(OTHER, Prune(GUID)),
    ]
    assert core.open == 1


def test_seen_guids_are_bounded_by_number_and_age() -> None:
    """The oldest GUIDs are forgotten first, and those that are too old."""
    core = flood(config=FloodConfig(seen_max=2, seen_s=10.0))
    for number, now in ((1, 0.0), (2, 1.0), (3, 2.0)):
        core.on_query(ASKER, Query(bytes([number]) * 16, 1, 1, b""), now)
    assert core.seen == 2
    core.on_query(ASKER, Query(bytes([4]) * 16, 1, 1, b""), 50.0)
    assert core.seen == 1


def test_a_tree_ends_after_its_time() -> None:
    """An open tree is forgotten after `open_s`; to extend it then is answered `lost`."""
    core = flood(config=FloodConfig(open_s=5.0))
    core.on_query(ASKER, Query(GUID, 1, 1, BODY), 0.0)
    assert core.wakeup() == 5.0
    assert core.due(5.0) == []
    assert core.open == 0
    lost = QueryDone(GUID, messages=1, lost=True)
    assert core.on_extend(ASKER, Extend(GUID), 6.0) == [Send(ASKER, lost)]


def test_a_branch_lost_between_rings_counts_in_the_next() -> None:
    """A branch that could have grown and is gone makes the next ring a lost one."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    core.on_query_done(OTHER, QueryDone(GUID, reached=1, frontier=2, messages=1), 0.0)
    assert core.neighbour_lost(OTHER, 0.1) == []
    (done,) = core.on_extend(ASKER, Extend(GUID), 0.2)
    assert done == Send(ASKER, QueryDone(GUID, messages=1, lost=True))


def test_a_link_that_is_gone_is_no_way_to_grow() -> None:
    """A neighbour lost before it was asked is not waited for, and nothing was lost with it."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 1, 1, BODY), 0.0)
    core.neighbour_lost(OTHER, 0.1)
    assert core.on_extend(ASKER, Extend(GUID), 0.2) == [Send(ASKER, QueryDone(GUID, messages=1))]


def test_a_tree_that_cannot_grow_ends_with_its_report() -> None:
    """Nobody needs to prune it."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    (done,) = core.on_query_done(OTHER, QueryDone(GUID, reached=1, messages=1), 0.0)
    assert done == Send(ASKER, QueryDone(GUID, reached=2, messages=3))
    assert (core.open, core.wakeup()) == (0, None)


def test_the_tree_dies_with_its_asker() -> None:
    """When the link upwards is gone, those below are told to forget."""
    core = flood()
    core.on_query(ASKER, Query(GUID, 2, 1, BODY), 0.0)
    assert core.neighbour_lost(ASKER, 0.1) == [Send(OTHER, Prune(GUID))]
    assert core.open == 0
