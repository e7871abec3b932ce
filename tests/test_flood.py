"""One super-peer's part in a query: once, in order, within limits, and never for strangers."""

from collections.abc import Iterator

from msgspec.structs import replace as replaced

from common import wire
from common.addresses import Address
from common.config import DigestConfig, FloodConfig
from common.core import LinkUp, Send
from common.digest import CountedPlaces
from common.doors import Door
from common.ids import Identity
from common.limits import HITS_PER_FRAME_MAX, HOPS_MAX
from common.messages.cluster import Hit
from common.messages.fields import Contact
from common.messages.overlay import (
    Extend,
    Prune,
    Query,
    QueryBody,
    QueryDone,
    QueryHits,
    query_guid,
)
from common.terms import parse
from superpeer.digests.digests import Digests
from superpeer.flood.flood import STEPS_MAX, Evaluate, Flood
from superpeer.flood.guide import Guide
from superpeer.flood.hitflow import HITS_PER_WINDOW, WINDOW_S
from superpeer.flood.query import Gap
from superpeer.overlay.neighbour import Neighbour
from tests.overlay_world import entry_of

ME, ASKER, OTHER, STRANGER = b"m" * 32, b"a" * 32, b"o" * 32, b"s" * 32
NONCE = b"n" * 16
BODY = wire.pack(QueryBody(5_000, terms=parse(["x"])))
GUID = query_guid(NONCE, BODY)
NOBODY = Contact(b"l" * 32, Address.of("10.0.0.9", 1215))


def query(ttl: int = 1, hops: int = 1, body: bytes = BODY, nonce: bytes = NONCE) -> Query:
    """A query whose GUID is right."""
    return Query(query_guid(nonce, body), nonce, ttl, hops, body)


def hit(slot: int, contact: Contact = NOBODY) -> Hit:
    return Hit(contact, entry_of(f"x {slot}"), slot, 1, (), bytes(64))


def flood(
    found: int = 0, config: FloodConfig | None = None, evaluate: Evaluate | None = None
) -> Flood:
    """A super-peer between two neighbours, whose index has so many hits for anything."""
    links = {
        peer: LinkUp(peer, Door.CONTROL, Address.of("10.0.0.1", 1214), NOBODY.address, True)
        for peer in (ASKER, OTHER, STRANGER)
    }
    neighbours = {peer: Neighbour(links[peer].address, 0.0) for peer in (ASKER, OTHER)}
    return Flood(
        ME,
        config=config or FloodConfig(),
        links=links,
        neighbours=neighbours,
        askable=lambda: list(neighbours),
        evaluate=evaluate or (lambda body: (hit(slot) for slot in range(min(found, body.wanted)))),
        guide=Guide(
            ME,
            digests=Digests(Identity(bytes(32)), "test", DigestConfig(), CountedPlaces()),
            neighbours=neighbours,
            around=lambda: (),
        ),
        is_proven=lambda each: each.signature == bytes(64),
    )


def test_a_query_is_forwarded_but_not_back() -> None:
    """It goes to all neighbours except the one it came from, with a hop more and a ring less."""
    sent = flood().on_query(ASKER, Query(GUID, NONCE, 3, 1, BODY), 0.0)
    assert sent == [Send(OTHER, Query(GUID, NONCE, 2, 2, BODY))]


def test_a_guid_is_evaluated_once() -> None:
    """The second copy is answered `duplicate`, whoever sends it, even when the tree is gone."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0)
    duplicate = QueryDone(GUID, duplicate=True, messages=1)
    assert core.on_query(OTHER, Query(GUID, NONCE, 1, 1, BODY), 0.0) == [Send(OTHER, duplicate)]
    core.on_prune(ASKER, Prune(GUID), 0.0)
    assert core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 1.0) == [Send(ASKER, duplicate)]
    assert core.duplicates == 2


def test_who_sent_a_copy_is_not_asked_in_the_next_ring() -> None:
    """A neighbour that forwarded the query to us has it, so the frontier shrinks."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0)
    core.on_query(OTHER, Query(GUID, NONCE, 1, 1, BODY), 0.0)
    (send,) = core.on_extend(ASKER, Extend(GUID), 0.1)
    assert send == Send(ASKER, QueryDone(GUID, messages=1))


def test_a_query_at_the_last_hop_goes_no_further() -> None:
    """Whatever `ttl` says and however often it is extended, hops end at the limit (T9)."""
    core = flood()
    (done,) = core.on_query(ASKER, Query(GUID, NONCE, 10, HOPS_MAX, BODY), 0.0)
    assert done == Send(ASKER, QueryDone(GUID, reached=1, frontier=1, messages=1))
    (again,) = core.on_extend(ASKER, Extend(GUID), 0.0)
    assert again == Send(ASKER, QueryDone(GUID, frontier=1, messages=1))


def test_what_nobody_asked_for_is_dropped_and_counted() -> None:
    """Hits and reports out of turn, and everything of strangers, change nothing (T10)."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 3, 1, BODY), 0.0)
    assert core.on_query(STRANGER, query(nonce=b"2" * 16), 0.0) == []
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
    asked = query(3, 1, b"\xc1")
    sent = core.on_query(ASKER, asked, 0.0)
    assert sent == [Send(ASKER, QueryDone(asked.guid, messages=1))]
    assert (core.open, core.dropped["query_undecodable"]) == (0, 1)


def test_hits_beyond_what_was_wanted_are_cut() -> None:
    """A query never carries more hits than it asked for, wherever they come from."""
    core = flood(found=2)
    body = wire.pack(QueryBody(3, terms=parse(["x"])))
    asked = query(2, body=body)
    core.on_query(ASKER, asked, 0.0)
    (sent,) = core.on_query_hits(OTHER, QueryHits(asked.guid, (hit(7), hit(8))), 0.0)
    assert sent == Send(ASKER, QueryHits(asked.guid, (hit(7),)))
    assert core.dropped["hits_too_many"] == 1


def test_hits_with_addresses_out_of_scope_are_dropped() -> None:
    """What a private neighbour says about loopback is not passed on."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    lie = hit(1, Contact(b"l" * 32, Address.of("127.0.0.1", 22)))
    assert core.on_query_hits(OTHER, QueryHits(GUID, (lie,)), 0.0) == []
    assert core.dropped["hits_out_of_scope"] == 1


def test_many_hits_are_paced_and_the_report_waits_for_them() -> None:
    """Windows of hits in small frames, then the report: a link's queue is never filled at once."""
    core = flood(found=95)
    windows = [core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0)]
    windows += [core.due(core.wakeup() or 0.0) for _ in range(2)]
    messages = [[e.message for e in window if isinstance(e, Send)] for window in windows]
    hits = [[m.hits for m in window if isinstance(m, QueryHits | QueryDone)] for window in messages]
    assert [sum(map(len, window)) for window in hits] == [HITS_PER_WINDOW, HITS_PER_WINDOW, 15]
    assert max(len(some) for window in hits for some in window) == HITS_PER_FRAME_MAX
    reports = [m for window in messages for m in window if isinstance(m, QueryDone)]
    last = tuple(hits[-1][-1])
    report = QueryDone(GUID, reached=1, frontier=1, messages=10, hits=last)
    assert reports == [messages[-1][-1]] == [report]


def test_a_burst_from_below_is_paced_too() -> None:
    """A relay passes on no more in one window, however its neighbours send."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    sent = []
    for first in range(0, 100, 10):
        hits = tuple(hit(slot) for slot in range(first, first + 10))
        sent += core.on_query_hits(OTHER, QueryHits(GUID, hits), 0.0)
    assert len(sent) == HITS_PER_WINDOW // HITS_PER_FRAME_MAX
    assert core.wakeup() == WINDOW_S


def test_the_oldest_tree_gives_way() -> None:
    """Above the limit the oldest query is shed: its asker is told, those below it too."""
    core = flood(config=FloodConfig(open_max=1))
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    sent = core.on_query(ASKER, query(2, nonce=b"2" * 16), 0.0)
    assert sent[:2] == [
        Send(ASKER, QueryDone(GUID, messages=1, lost=True)),
        Send(OTHER, Prune(GUID)),
    ]
    assert core.open == 1


def test_seen_guids_are_bounded_by_number_and_age() -> None:
    """The oldest GUIDs are forgotten first, and those that are too old."""
    core = flood(config=FloodConfig(seen_max=2, seen_s=10.0))
    for number, now in ((1, 0.0), (2, 1.0), (3, 2.0)):
        core.on_query(ASKER, query(nonce=bytes([number]) * 16), now)
    assert len(core.seen) == 2
    core.on_query(ASKER, query(nonce=bytes([4]) * 16), 50.0)
    assert len(core.seen) == 1


def test_a_tree_ends_after_its_time() -> None:
    """An open tree is forgotten after `open_s`; to extend it then is answered `lost`."""
    core = flood(config=FloodConfig(open_s=5.0))
    core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0)
    assert core.wakeup() == 5.0
    assert core.due(5.0) == []
    assert core.open == 0
    lost = QueryDone(GUID, messages=1, lost=True)
    assert core.on_extend(ASKER, Extend(GUID), 6.0) == [Send(ASKER, lost)]


def test_a_branch_lost_between_rings_counts_in_the_next() -> None:
    """A branch that could have grown and is gone makes the next ring a lost one."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    core.on_query_done(OTHER, QueryDone(GUID, reached=1, frontier=2, messages=1), 0.0)
    assert core.neighbour_lost(OTHER, 0.1) == []
    (done,) = core.on_extend(ASKER, Extend(GUID), 0.2)
    assert done == Send(ASKER, QueryDone(GUID, messages=1, lost=True))


def test_a_link_that_is_gone_is_no_way_to_grow() -> None:
    """A neighbour lost before it was asked is not waited for, and nothing was lost with it."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0)
    core.neighbour_lost(OTHER, 0.1)
    assert core.on_extend(ASKER, Extend(GUID), 0.2) == [Send(ASKER, QueryDone(GUID, messages=1))]


def test_a_tree_that_cannot_grow_ends_with_its_report() -> None:
    """Nobody needs to prune it."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    (done,) = core.on_query_done(OTHER, QueryDone(GUID, reached=1, messages=1), 0.0)
    assert done == Send(ASKER, QueryDone(GUID, reached=2, messages=3))
    assert (core.open, core.wakeup()) == (0, None)


def test_the_tree_dies_with_its_asker() -> None:
    """When the link upwards is gone, those below are told to forget."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    assert core.neighbour_lost(ASKER, 0.1) == [Send(OTHER, Prune(GUID))]
    assert core.open == 0


def test_a_guid_that_is_not_the_hash_of_its_body_occupies_nothing() -> None:
    """Junk under the GUID of a query is answered `lost`; the query itself is taken after it."""
    core = flood(found=1)
    junk = Query(GUID, NONCE, 1, 1, b"\xc1")
    assert core.on_query(OTHER, junk, 0.0) == [Send(OTHER, QueryDone(GUID, messages=1, lost=True))]
    assert (len(core.seen), core.open, core.dropped["query_forged"]) == (0, 0, 1)
    done = QueryDone(GUID, reached=1, frontier=1, messages=1, hits=(hit(0),))
    assert core.on_query(ASKER, query(), 0.0) == [Send(ASKER, done)]


def test_an_undecodable_body_is_not_remembered() -> None:
    """What is never evaluated costs no memory."""
    core = flood()
    core.on_query(ASKER, query(body=b"\xc1"), 0.0)
    assert len(core.seen) == 0


def test_hits_are_made_only_as_they_are_let_out() -> None:
    """A hundred queries for five thousand hits each make one window of hits, not half a million."""
    made = []

    def evaluate(body: QueryBody) -> Iterator[Hit]:
        for slot in range(body.wanted):
            made.append(slot)
            yield hit(slot)

    core = flood(evaluate=evaluate)
    for number in range(100):
        core.on_query(ASKER, query(nonce=bytes([number]) * 16), 0.0)
    assert len(made) == HITS_PER_WINDOW


def test_pages_in_vain_are_few_in_a_window() -> None:
    """For each of them fifty entries were looked at, which costs as much as ten hits."""
    pages = iter([Gap.LATER] * 100)
    flood(evaluate=lambda _body: pages).on_query(ASKER, query(), 0.0)
    assert len(list(pages)) == 100 - HITS_PER_WINDOW // HITS_PER_FRAME_MAX


def test_queries_of_one_asker_take_turns() -> None:
    """Two large answers go up side by side, ten hits of each."""
    core = flood(found=1_000)
    other = query(nonce=b"2" * 16)
    core.on_query(ASKER, query(), 0.0)
    core.on_query(ASKER, other, 0.0)
    sent = core.due(WINDOW_S)
    turns = [e.message.guid for e in sent if isinstance(e, Send) and hasattr(e.message, "guid")]
    assert turns == [GUID, other.guid, GUID, other.guid]


def test_hits_that_wait_for_one_neighbour_are_bounded() -> None:
    """Above the limit the oldest query is shed and said to be lost; so in all."""
    for config in (FloodConfig(waiting_link_max=50), FloodConfig(waiting_max=50)):
        core = flood(config=config)
        newer = query(2, nonce=b"2" * 16)
        core.on_query(ASKER, query(2), 0.0)
        core.on_query(ASKER, newer, 0.0)
        for first in range(0, 90, 10):
            hits = tuple(hit(slot) for slot in range(first, first + 10))
            guid = GUID if first < 80 else newer.guid
            core.on_query_hits(OTHER, QueryHits(guid, hits), 0.0)
        assert core.dropped["query_shed"] == 0
        more = tuple(hit(slot) for slot in range(10))
        sent = core.on_query_hits(OTHER, QueryHits(newer.guid, more), 0.0)
        assert sent[0] == Send(ASKER, QueryDone(GUID, messages=1, lost=True))
        assert (core.open, core.dropped["query_shed"]) == (1, 1)


def test_a_query_that_waited_too_long_is_left_out() -> None:
    """It is neither evaluated nor remembered, so it may come again by another way."""
    core = flood()
    late = query()
    left_out = QueryDone(late.guid, messages=1, left_out=True)
    assert core.give_up(ASKER, late, 0.5) == [Send(ASKER, left_out)]
    assert (len(core.seen), core.evaluated, core.dropped["query_too_late"]) == (0, 0, 1)


def test_a_silent_neighbour_is_left_out_for_a_pause_that_doubles() -> None:
    """It costs one ring, then nothing but `left_out`; after each pause one query tries it."""
    config = FloodConfig(ring_s=1.0, silent_s=10.0, silent_max_s=25.0)
    core = flood(config=config)

    def asked(number: int, now: float) -> bool:
        one = query(2, nonce=bytes([number]) * 16)
        sent = core.on_query(ASKER, one, now)
        if sent[0] == Send(OTHER, Query(one.guid, one.nonce, 1, 2, BODY)):
            return True
        assert sent == [Send(ASKER, QueryDone(one.guid, reached=1, messages=1, left_out=True))]
        return False

    assert asked(1, 0.0)
    core.due(1.0)
    assert not asked(2, 1.0)
    assert not asked(3, 10.0)
    assert asked(4, 11.0)
    assert not asked(5, 11.1)  # one try at a time
    core.due(12.0)
    assert not asked(6, 31.0)
    assert asked(7, 33.0)
    core.due(34.0)
    assert not asked(8, 58.0)
    assert asked(9, 59.5)  # not more than `silent_max_s`


def test_an_answer_to_the_try_clears_a_silent_neighbour() -> None:
    """What comes of older queries meanwhile does not."""
    core = flood(config=FloodConfig(ring_s=1.0, silent_s=10.0))
    older, late = query(2, nonce=b"1" * 16), query(2, nonce=b"2" * 16)
    core.on_query(ASKER, older, 0.0)
    core.on_query(ASKER, late, 0.9)
    core.due(0.95)
    core.on_query_done(OTHER, QueryDone(late.guid, reached=1, messages=1), 1.0)
    left_out = query(2, nonce=b"3" * 16)
    (done,) = core.on_query(ASKER, left_out, 1.1)
    assert done == Send(ASKER, QueryDone(left_out.guid, reached=1, messages=1, left_out=True))
    tried = query(2, nonce=b"4" * 16)
    core.on_query(ASKER, tried, 20.0)
    core.on_query_done(OTHER, QueryDone(tried.guid, reached=1, messages=1), 20.1)
    for number in (5, 6):
        one = query(2, nonce=bytes([number]) * 16)
        assert core.on_query(ASKER, one, 20.2) == [Send(OTHER, replaced(one, ttl=1, hops=2))]


def test_a_tree_is_not_extended_for_ever() -> None:
    """More rings and portions than there are hops and neighbours are nobody's honest search."""
    core = flood()
    core.on_query(ASKER, query(1, HOPS_MAX), 0.0)
    answered = [bool(core.on_extend(ASKER, Extend(GUID), 0.0)) for _ in range(STEPS_MAX + 1)]
    assert answered == [True] * STEPS_MAX + [False]


def test_what_could_not_go_up_in_time_is_lost() -> None:
    """A ring ends by its clock even where hits still wait."""
    core = flood(found=5_000, config=FloodConfig(ring_s=0.1))
    core.on_query(ASKER, query(), 0.0)
    sent: list[object] = []
    while (when := core.wakeup()) is not None and when <= 0.1:
        sent += [effect.message for effect in core.due(when) if isinstance(effect, Send)]
    done = sent[-1]
    assert isinstance(done, QueryDone)
    assert done.lost
