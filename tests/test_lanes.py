"""The credit of a link between super-peers: what is beyond it waits, and for how long."""

from msgspec.structs import replace as replaced

from common.config import FloodConfig
from common.core import Send
from common.limits import QUERIES_OPEN_MAX
from common.messages.overlay import Prune, Query, QueryDone
from tests.test_flood import ASKER, OTHER, flood, query


def test_questions_beyond_a_neighbours_credit_wait() -> None:
    """It is asked no more at a time than it takes; each answer lets the next one go, the newest
    first, and one that was taken back never goes."""
    core = flood()
    queries = [query(2, nonce=number.to_bytes(16, "big")) for number in range(QUERIES_OPEN_MAX + 3)]
    asked = [core.on_query(ASKER, one, 0.0) for one in queries]
    assert [bool(sent) for sent in asked] == [True] * QUERIES_OPEN_MAX + [False] * 3
    assert core.lanes.owed(ASKER) == len(queries)
    assert core.on_prune(ASKER, Prune(queries[-1].guid), 0.1) == []
    sent = core.on_query_done(OTHER, QueryDone(queries[0].guid, reached=1, messages=1), 0.2)
    forwarded = [send.message for send in sent if isinstance(send, Send) and send.peer == OTHER]
    assert [one.guid for one in forwarded if isinstance(one, Query)] == [queries[-2].guid]
    assert core.on_prune(ASKER, Prune(queries[-2].guid), 0.3) == [
        Send(OTHER, Prune(queries[-2].guid)),
        Send(OTHER, replaced(queries[-3], ttl=1, hops=2)),
    ]
    core.neighbour_lost(OTHER, 0.4)
    core.neighbour_lost(ASKER, 0.4)
    assert (core.lanes.owed(ASKER), core.open) == (0, 0)


def test_what_waits_for_a_neighbour_ends_with_its_ring() -> None:
    """When the ring is over nothing waits on, and who was asked is told to stop."""
    core = flood(config=FloodConfig(ring_s=1.0))
    queries = [query(2, nonce=number.to_bytes(16, "big")) for number in range(QUERIES_OPEN_MAX + 1)]
    for one in queries:
        core.on_query(ASKER, one, 0.0)
    told = [send.message for send in core.due(5.0) if isinstance(send, Send) and send.peer == OTHER]
    assert Prune(queries[0].guid) in told
    assert core.lanes.waiting(OTHER) == 0


def test_who_answers_before_it_is_asked_is_not_asked() -> None:
    """A question may still wait for its neighbour, who knows its GUID from others and answers it:
    that ends the question, and nothing of it comes later, when the tree is gone."""
    core = flood()
    queries = [query(2, nonce=number.to_bytes(16, "big")) for number in range(QUERIES_OPEN_MAX + 1)]
    for one in queries:
        core.on_query(ASKER, one, 0.0)
    early = core.on_query_done(OTHER, QueryDone(queries[-1].guid, reached=1, messages=1), 0.1)
    report = QueryDone(queries[-1].guid, reached=2, messages=2)
    assert early == [Send(ASKER, report)]
    for one in queries[:-1]:
        sent = core.on_query_done(OTHER, QueryDone(one.guid, reached=1, messages=1), 0.2)
        assert sent == [Send(ASKER, QueryDone(one.guid, reached=2, messages=3))]
    assert (core.lanes.owed(ASKER), core.open) == (0, 0)
