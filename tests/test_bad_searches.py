"""Bad input against searches: each costs a bounded amount, and no honest search a result."""

from collections.abc import Callable

import msgpack
import msgspec
import pytest
from msgspec.structs import replace
from pyroaring import BitMap

from common import wire
from common.core import Effect, Event, LinkUp, Received, Send
from common.digest import BITS_MIN, pack_places, statement
from common.errors import RemoteProtocolError
from common.ids import Identity
from common.limits import HITS_PER_FRAME_MAX, QUERY_BYTES_MAX, QUERY_WORDS_MAX, WORD_CHARS_MAX
from common.messages.cluster import Hit, Search, SearchDone, SearchHits, Wish
from common.messages.fields import Message
from common.messages.overlay import (
    Link,
    Patch,
    Patches,
    Query,
    QueryBody,
    QueryDone,
    QueryHits,
    query_guid,
)
from common.terms import parse
from tests.overlay_world import NETWORK, Puppet, World
from tests.test_leaf_search import hit
from tests.test_superpeer_search import Edges, names, network, outcome

GUID = bytes(range(16))
Answer = Callable[[Query], list[Message]]


class Liar(Puppet):
    """A neighbour that answers every query as a test wants."""

    def __init__(self, identity: Identity, answer: Answer) -> None:
        super().__init__(identity)
        self.answer = answer

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Answer queries."""
        super().handle(event, now)
        if isinstance(event, LinkUp):
            return [Send(event.peer, Link(0))]
        if isinstance(event, Received) and isinstance(event.message, Query):
            return [Send(event.peer, message) for message in self.answer(event.message)]
        return []


def with_liar(count: int, edges: Edges, answer: Answer, beside: str = "sp0") -> World:
    """An overlay with a liar for one neighbour."""
    world = network(count, edges)
    world.leaf("liar")
    world.nodes["liar"] = Liar(world.identities["liar"], answer)
    world.connect("liar", beside)
    world.advance(1.0)
    assert world.core(beside).snapshot().neighbours >= 1
    return world


def true_names(world: World) -> list[str]:
    """What the search of leaf0 found that is there."""
    found, coverage = outcome(world, "leaf0")
    assert coverage is not None
    return sorted(name for name in found if name.startswith("common"))


def quiet(query: Query) -> list[Message]:
    """Nothing, at once."""
    return [QueryDone(query.guid, messages=1, reached=1)]


# --- hits -----------------------------------------------------------------------------------


def as_many_as_wanted(made: Callable[[int], Hit]) -> Answer:
    """A liar that fills the quota of each query at once."""

    def answer(query: Query) -> list[Message]:
        wanted = wire.unpack(query.body, QueryBody).wanted
        hits = [made(number) for number in range(wanted)]
        parts = range(0, wanted, HITS_PER_FRAME_MAX)
        told = [QueryHits(query.guid, tuple(hits[at : at + HITS_PER_FRAME_MAX])) for at in parts]
        return [*told, *quiet(query)]

    return answer


UNSIGNED = replace(hit(0, "common x.txt"), signature=bytes(64))
KINDS: dict[str, Callable[[int], Hit]] = {
    "unsigned": lambda number: replace(UNSIGNED, slot=number),
    "of other words": lambda number: hit(0, f"other {number}.txt", content=number + 1),
    "the same again": lambda _number: hit(0, "common x.txt"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["ring", "flood", "dynamic"])
def test_a_quota_full_of_lies_leaves_room_for_what_is_true(kind: str, strategy: str) -> None:
    """Whatever a neighbour sends first, all that others have is found, near and far."""
    answer = as_many_as_wanted(KINDS[kind])
    world = with_liar(4, [(0, 1), (1, 2), (2, 3)], answer)
    world.search("leaf0", "sp0", "common", wanted=20, strategy=strategy)
    world.advance(10.0)
    assert true_names(world)[:4] == names([0, 1, 2, 3])


def test_lies_far_away_leave_room_too() -> None:
    """Each super-peer on the way keeps half for what is proven."""
    world = with_liar(4, [(0, 1), (1, 2), (2, 3)], as_many_as_wanted(KINDS["unsigned"]), "sp2")
    world.search("leaf0", "sp0", "common", wanted=20, strategy="flood")
    world.advance(10.0)
    assert true_names(world)[:4] == names([0, 1, 2, 3])
    assert world.core("sp2").snapshot().dropped["hits_not_proven"] >= 10


def test_late_and_crossed_hits_reach_nobody() -> None:
    """After the report, after the search, and for the query of another."""
    seen: list[Query] = []

    def answer(query: Query) -> list[Message]:
        seen.append(query)
        late = QueryHits(query.guid, (hit(0, "common late.txt"),))
        crossed = QueryHits(seen[0].guid, (hit(1, "common crossed.txt"),))
        return [*quiet(query), late, crossed, *quiet(query)]

    world = with_liar(2, [(0, 1)], answer)
    for _ in range(3):
        world.puppet("leaf0").heard.clear()
        world.search("leaf0", "sp0", "common", strategy="flood")
        world.advance(5.0)
        assert outcome(world, "leaf0")[0] == names([0, 1])
    for query in seen:
        world.say("liar", "sp0", QueryHits(query.guid, (hit(0, "common after.txt"),)))
    world.advance(1.0)
    heard = [message for message in world.puppet("leaf0").heard if isinstance(message, SearchHits)]
    assert sum(len(message.hits) for message in heard) == 2
    assert world.core("sp0").snapshot().dropped["hits_unasked"] == 9


def test_a_replayed_guid_is_evaluated_and_passed_on_once() -> None:
    """Whatever depth it claims; each replay is answered `duplicate` and no more."""
    world = with_liar(3, [(0, 1), (1, 2)], quiet)
    body = wire.pack(QueryBody(50, parse(["common"])))
    guid = query_guid(GUID, body)
    before = [world.core(name).snapshot().queries_evaluated for name in ("sp0", "sp1", "sp2")]
    for number in range(300):
        world.say("liar", "sp0", Query(guid, GUID, number % 11, number % 11, body))
    world.advance(10.0)
    after = [world.core(name).snapshot().queries_evaluated for name in ("sp0", "sp1", "sp2")]
    assert [now - then for now, then in zip(after, before, strict=True)] <= [1, 1, 1]
    done = [m for m in world.puppet("liar").heard if isinstance(m, QueryDone) and m.guid == guid]
    assert sum(message.duplicate for message in done) == 299
    assert sum(isinstance(message, Query) for _, to, message in world.sent if to == "sp1") <= 1


# --- digests --------------------------------------------------------------------------------


def told_digest(world: World, places: BitMap) -> None:
    """The liar signs this digest of itself."""
    liar = world.identities["liar"]
    signed = liar.sign(statement(NETWORK.name, BITS_MIN, places))
    parts = [BitMap(places[:10_000]), BitMap(places[10_000:])]
    first = Patch(liar.node, BITS_MIN, pack_places(parts[0]), afresh=True)
    last = Patch(liar.node, BITS_MIN, pack_places(parts[1]), signature=signed)
    world.say("liar", "sp0", Patches((first, last)))
    world.advance(1.0)


@pytest.mark.parametrize("places", [BitMap(range(1 << BITS_MIN)), BitMap()], ids=["ones", "zeros"])
def test_a_digest_of_all_ones_or_zeros_costs_the_liar_its_own_files(places: BitMap) -> None:
    """All that others have is found; who tells of all ones is parted from."""
    queries: list[Query] = []

    def answer(query: Query) -> list[Message]:
        queries.append(query)
        return [QueryHits(query.guid, (hit(0, "common own.txt"),)), *quiet(query)]

    world = with_liar(3, [(0, 1), (1, 2)], answer)
    told_digest(world, places)
    world.search("leaf0", "sp0", "common")
    world.advance(5.0)
    assert true_names(world) == sorted(names([0, 1, 2]))
    world.puppet("leaf0").heard.clear()
    world.search("leaf0", "sp0", "absent")
    world.advance(5.0)
    _, coverage = outcome(world, "leaf0")
    assert coverage is not None and coverage.complete
    assert not queries


# --- the wire -------------------------------------------------------------------------------


def frame(kind: int, *fields: object) -> bytes:
    """One message as raw bytes."""
    return bytes(msgpack.packb([[kind, *fields]], unicode_errors="surrogateescape"))


def terms(*words: str, without: tuple[str, ...] = ()) -> list[object]:
    """Terms as they are packed."""
    return [list(words), list(without), "", [], 0, None]


@pytest.mark.parametrize("kind", [21, 27])
@pytest.mark.parametrize(
    "asked",
    [
        terms(""),
        terms("w" * (WORD_CHARS_MAX + 1)),
        terms("w" * 2_000),
        terms(*["w"] * (QUERY_WORDS_MAX + 1)),
        terms("w", without=("x",) * 1_000),
        terms("\udcff\udcfe"),
        None,
        [[1]],
    ],
    ids=["empty", "long", "endless", "many", "thousand", "no UTF-8", "nil", "a number"],
)
def test_bad_terms_are_no_protocol_of_ours(kind: int, asked: object) -> None:
    """As a search and as a wish: refused at the border, before anything looks at them."""
    rest = (50, 10, "ring") if kind == 21 else ()
    with pytest.raises(RemoteProtocolError):
        wire.decode(frame(kind, GUID, asked, *rest))


@pytest.mark.parametrize(
    "fields",
    [(50, 255, "ring"), (0, 10, "ring"), (5_001, 10, "ring"), (50, -1, "ring"), (50, 10, "all")],
)
def test_bad_bounds_of_a_search_are_no_protocol_of_ours(fields: tuple[object, ...]) -> None:
    """TTL 255, no hits, too many, a depth below nothing, a strategy that is none."""
    with pytest.raises(RemoteProtocolError):
        wire.decode(frame(21, GUID, terms("blue"), *fields))


@pytest.mark.parametrize("fields", [(255, 0), (1, 255), (11, 0), (1, 11), (-1, 0)])
def test_a_query_with_an_absurd_depth_is_no_protocol_of_ours(fields: tuple[int, int]) -> None:
    """TTL 255 and hops beyond the last."""
    with pytest.raises(RemoteProtocolError):
        wire.decode(frame(52, GUID, GUID, *fields, b"\x91\x01"))


def test_a_body_with_bad_terms_is_answered_and_goes_no_further() -> None:
    """It travels as bytes, so each that gets it looks at it itself; nobody is asked for it."""
    world = with_liar(2, [(0, 1)], quiet)
    bad = bytes(msgpack.packb([50, terms("w" * 2_000), None, 0]))
    world.say("liar", "sp0", Query(query_guid(GUID, bad), GUID, 10, 1, bad))
    world.advance(2.0)
    done = [message for message in world.puppet("liar").heard if isinstance(message, QueryDone)]
    assert [(message.reached, message.frontier) for message in done] == [(0, 0)]
    assert world.core("sp0").snapshot().dropped["query_undecodable"] == 1
    assert world.core("sp1").snapshot().queries_evaluated == 0


def test_samples_of_these_are_what_the_border_takes() -> None:
    """The frames above are refused for their one fault alone."""
    (search,) = wire.decode(frame(21, GUID, terms("blue"), 50, 10, "ring"))
    (wish,) = wire.decode(frame(27, GUID, terms("blue")))
    (query,) = wire.decode(frame(52, GUID, GUID, 10, 10, b"\x91\x01"))
    assert (type(search), type(wish), type(query)) == (Search, Wish, Query)
    assert msgspec.convert(msgspec.to_builtins(search), Search) == search


def test_a_search_with_too_many_bytes_is_passed_on_to_nobody() -> None:
    """Every super-peer would pay for it; its own super-peer answers, and says why no more came."""
    world = network(2, [(0, 1)])
    long = replace(parse(["blue"]), without=tuple(f"{'ж' * 60}{number:04}" for number in range(64)))
    assert long.bytes > QUERY_BYTES_MAX / 2
    phrases = ("ж" * 256,) * 8
    longer = replace(long, phrases=phrases, without_phrases=phrases)
    for terms, is_refused in ((long, False), (longer, True)):
        evaluated = world.core("sp1").snapshot().queries_evaluated
        world.say("leaf0", "sp0", Search(GUID, terms, 50, 10, "flood"))
        world.advance(5.0)
        done = world.puppet("leaf0").heard[-1]
        assert isinstance(done, SearchDone)
        assert bool(done.refused) == is_refused
        assert world.core("sp1").snapshot().queries_evaluated == evaluated + (not is_refused)


def test_a_query_with_a_longer_body_is_no_protocol_of_ours() -> None:
    """So the trees that are open hold so much and no more."""
    with pytest.raises(RemoteProtocolError):
        wire.decode(frame(52, GUID, GUID, 1, 0, b"\x91" * (QUERY_BYTES_MAX + 1)))
