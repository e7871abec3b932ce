"""Searches over whole overlays: recall, exact depth, cost, termination, and what faults may do."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from common.config import Config, FloodConfig
from common.core import Effect, Event, Received, Send
from common.limits import REACH_IDS_MAX, TTL_MAX
from common.messages.cluster import Coverage, Hit, Locate, SearchDone, SearchHits, Sources
from common.messages.overlay import Extend, Extent, Link, Query, QueryDone, QueryHits
from superpeer.overlay.reach import nearby, pack
from tests.overlay_world import Puppet, World, entry_of

Edges = list[tuple[int, int]]

OF_A_QUERY = (Query, Extend, QueryHits, QueryDone)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    """Up to nine super-peers and any edges between them, mostly connected."""
    count = draw(st.integers(1, 9))
    tree = [(draw(st.integers(0, node - 1)), node) for node in range(1, count)]
    pairs = [(one, other) for other in range(count) for one in range(other)]
    more = draw(st.lists(st.sampled_from(pairs), max_size=9)) if pairs else []
    cut = draw(st.integers(0, 9))  # now and then a piece that nobody reaches
    return count, list(dict.fromkeys([edge for edge in tree if edge[1] != cut] + more))


def network(count: int, edges: Edges, seed: int = 0, config: Config | None = None) -> World:
    """Super-peers sp0.. along `edges`, each with a leaf that shares one file."""
    world = World(seed)
    names = [f"sp{node}" for node in range(count)]
    world.superpeers(names, [(f"sp{one}", f"sp{other}") for one, other in edges], config)
    for node in range(count):
        world.leaf(f"leaf{node}")
        world.join(f"leaf{node}", f"sp{node}")
    world.advance(0.1)
    for node in range(count):
        world.publish(f"leaf{node}", f"sp{node}", {f"common {node}.txt": node})
    world.advance(5.0)  # until everybody has told the others
    return world


def distances(count: int, edges: Edges, start: int = 0) -> dict[int, int]:
    """How far each reachable node is."""
    found = {start: 0}
    for node in _in_order(found):
        for other in range(count):
            linked = (node, other) in edges or (other, node) in edges
            if linked and other not in found:
                found[other] = found[node] + 1
    return found


def _in_order(found: dict[int, int]) -> Iterator[int]:
    place = 0
    while place < len(found):
        yield list(found)[place]
        place += 1


def outcome(world: World, leaf: str) -> tuple[list[str], Coverage | None]:
    """The names that a leaf was given, in order, and how its search ended."""
    hits: list[Hit] = []
    ends = []
    for message in world.puppet(leaf).heard:
        if isinstance(message, SearchHits):
            hits += message.hits
        if isinstance(message, SearchDone):
            ends.append(message.coverage)
    assert len(ends) <= 1
    return [hit.entry.name for hit in hits], ends[0] if ends else None


def names(nodes: list[int]) -> list[str]:
    return sorted(f"common {node}.txt" for node in nodes)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 10), st.sampled_from(["ring", "dynamic"]), st.integers(0, 2**16))
def test_rings_find_exactly_what_is_within_their_depth(
    graph: tuple[int, Edges], ttl: int, strategy: str, seed: int
) -> None:
    """A search by rings is complete, exact in depth, and costs no more than its bound."""
    count, edges = graph
    world = network(count, edges, seed)
    before = len(world.sent)
    world.search("leaf0", "sp0", "common", ttl=ttl, strategy=strategy)
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    within = [node for node, distance in distances(count, edges).items() if distance <= ttl]
    assert sorted(found) == names(within)
    assert coverage is not None
    assert coverage.complete
    assert coverage.reached == len(within)
    cost = [message for _, _, message in world.sent[before:] if isinstance(message, OF_A_QUERY)]
    assert coverage.messages == len(cost)
    of_tree = len(distances(count, edges)) - 1
    hits = sum(isinstance(message, QueryHits) for message in cost)
    rings = 1 + max(distances(count, edges).values())
    assert len(cost) - hits <= 2 * (2 * len(edges) - of_tree) + 2 * of_tree * (rings - 1)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 2**16))
def test_flood_finds_everything_in_one_wave(graph: tuple[int, Edges], seed: int) -> None:
    """A flood reaches every super-peer of the component once, with two messages a direction."""
    count, edges = graph
    world = network(count, edges, seed)
    before = len(world.sent)
    world.search("leaf0", "sp0", "common", strategy="flood")
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    component = list(distances(count, edges))
    assert sorted(found) == names(component)
    assert coverage is not None
    assert (coverage.complete, coverage.reached) == (True, len(component))
    cost = [message for _, _, message in world.sent[before:] if isinstance(message, OF_A_QUERY)]
    hits = sum(isinstance(message, QueryHits) for message in cost)
    of_tree = len(component) - 1
    assert coverage.messages == len(cost) <= 2 * (2 * len(edges) - of_tree) + hits


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from(["ring", "flood", "dynamic"]), st.integers(0, 2**16))
def test_nobody_gets_a_query_twice_over_one_link(
    graph: tuple[int, Edges], strategy: str, seed: int
) -> None:
    """Each GUID crosses a link at most once in each direction, and each copy is answered once."""
    world = network(*graph, seed)
    before = len(world.sent)
    world.search("leaf0", "sp0", "common", strategy=strategy)
    world.advance(5.0)
    queries = [(a, b) for a, b, message in world.sent[before:] if isinstance(message, Query)]
    assert len(queries) == len(dict.fromkeys(queries))
    firsts = [(b, a) for a, b, message in world.sent[before:] if isinstance(message, QueryDone)]
    extends = [(a, b) for a, b, message in world.sent[before:] if isinstance(message, Extend)]
    assert sorted(firsts) == sorted(queries + extends)


@settings(max_examples=100, deadline=None)
@given(
    graphs(),
    st.sampled_from(["ring", "flood", "dynamic"]),
    st.integers(1, 8),
    st.floats(0, 0.3),
    st.integers(0, 2**16),
)
def test_a_death_in_mid_search_ends_and_hides_nothing(
    graph: tuple[int, Edges], strategy: str, victim: int, moment: float, seed: int
) -> None:
    """Whoever dies when: the search ends, and has found all that can still be reached."""
    count, edges = graph
    world = network(count, edges, seed)
    world.search("leaf0", "sp0", "common", strategy=strategy)
    world.advance(moment)
    if f"sp{victim}" in world.nodes:
        world.kill(f"sp{victim}")
    world.advance(30.0)
    found, coverage = outcome(world, "leaf0")
    left = [edge for edge in edges if victim not in edge]
    still_there = list(distances(count, left))
    assert coverage is not None
    assert [name for name in names(still_there) if name not in found] == []
    assert len(found) == len(dict.fromkeys(found))
    for node in range(count):
        if node != victim:
            assert world.core(f"sp{node}").snapshot().searches == 0


def test_a_silent_neighbour_ends_the_ring_by_time() -> None:
    """A neighbour that never reports costs one ring of time, and the search is not complete."""
    world = network(2, [(0, 1)], config=Config(flood=FloodConfig(ring_s=1.0)))
    world.deafen("sp1")
    world.search("leaf0", "sp0", "common")
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    assert found == ["common 0.txt"]
    assert coverage is not None
    assert (coverage.reached, coverage.complete) == (1, False)
    assert coverage.elapsed_s == pytest.approx(1.0)


def test_deep_nodes_give_up_before_those_above() -> None:
    """Behind a silent node at the end of a line, what lies before it is still counted."""
    world = network(4, [(0, 1), (1, 2), (2, 3)], config=Config(flood=FloodConfig(ring_s=2.0)))
    world.deafen("sp3")
    world.search("leaf0", "sp0", "common", strategy="flood")
    world.advance(10.0)
    found, coverage = outcome(world, "leaf0")
    assert sorted(found) == names([0, 1, 2])
    assert coverage is not None
    assert (coverage.reached, coverage.complete) == (3, False)


def test_a_lost_ring_is_not_complete_even_at_its_depth() -> None:
    """Depth counts as reached only if nobody within it was lost."""
    world = network(2, [(0, 1)], config=Config(flood=FloodConfig(ring_s=1.0)))
    world.deafen("sp1")
    world.search("leaf0", "sp0", "common", ttl=1)
    world.advance(5.0)
    _, coverage = outcome(world, "leaf0")
    assert coverage is not None
    assert not coverage.complete


def test_who_answered_before_the_repeat_still_counts_as_reached() -> None:
    """The repeat finds less because a relay died; its own reach is what is known from then on."""
    world = network(4, [(0, 1), (1, 2), (2, 3)])
    world.deafen("sp3")
    world.search("leaf0", "sp0", "common")
    world.advance(1.0)
    world.kill("sp1")
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    assert sorted(found) == names([0, 1, 2])
    assert coverage is not None
    assert (coverage.reached, coverage.complete) == (3, True)
    world.puppet("leaf0").heard.clear()
    world.search("leaf0", "sp0", "common", wanted=1)
    world.advance(5.0)
    _, coverage = outcome(world, "leaf0")
    assert coverage is not None
    assert (coverage.reached, coverage.known) == (1, 1)


def test_a_ring_stops_when_enough_is_found() -> None:
    """With as many hits as were wanted no further ring is begun; that there are more is known."""
    world = network(4, [(0, 1), (1, 2), (2, 3)])
    world.search("leaf0", "sp0", "common", wanted=2)
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    assert sorted(found) == names([0, 1])
    assert coverage is not None
    assert (coverage.reached, coverage.known, coverage.complete) == (2, 4, False)


@pytest.mark.parametrize(("strategy", "asked"), [("ring", 8), ("dynamic", 3)])
def test_dynamic_stops_when_a_portion_is_enough(strategy: str, asked: int) -> None:
    """Of eight neighbours that have something it asks three, and says that it is not complete."""
    world = network(9, [(0, other) for other in range(1, 9)])
    before = len(world.sent)
    world.search("leaf0", "sp0", "common", wanted=4, strategy=strategy)
    world.advance(5.0)
    found, coverage = outcome(world, "leaf0")
    assert (len(found), coverage is not None and coverage.known) == (4, 9)
    assert coverage is not None
    assert coverage.complete == (strategy == "ring")
    queries = [to for _, to, message in world.sent[before:] if isinstance(message, Query)]
    assert len(queries) == asked


def test_made_up_super_peers_cost_one_ring() -> None:
    """Who tells of some that nobody can cover makes no search go on for ever, nor incomplete."""
    world = network(6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    world.leaf("hostile")
    world.connect("hostile", "sp0")
    world.say("hostile", "sp0", Link(0, (), nearby(range(2, 200, 2))))
    world.advance(1.0)
    world.search("leaf0", "sp0", "common", wanted=50)
    world.advance(15.0)
    found, coverage = outcome(world, "leaf0")
    assert sorted(found) == names(list(range(6)))
    assert coverage is not None
    assert coverage.reached == 6


class Liar(Puppet):
    """A neighbour that says, whenever it is asked, that all there are were asked; and asks back."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """The smallest ids stand for all."""
        if not isinstance(event, Received) or not isinstance(event.message, Query | Extend):
            return super().handle(event, now)
        everybody = Extent(pack(range(REACH_IDS_MAX), 2), id_bytes=2)
        report = QueryDone(event.message.guid, reached=1, frontier=1, reach=everybody)
        back = [replaced(event.message, ttl=TTL_MAX)] if isinstance(event.message, Query) else []
        return [Send(event.peer, message) for message in (*back, report)]


def test_nobody_ends_a_search_before_it_has_come_as_far_as_digests_tell() -> None:
    """Who claims to have covered what is further than it was asked to go is not believed, whatever
    depth it pretends to have been asked for."""
    world = network(4, [(0, 1), (1, 2), (2, 3)])
    for at in (0, 1):
        world.leaf(f"liar{at}")
        world.nodes[f"liar{at}"] = Liar(world.identities[f"liar{at}"])
        world.connect(f"liar{at}", f"sp{at}")
        world.say(f"liar{at}", f"sp{at}", Link(0))
    world.advance(5.0)
    world.search("leaf0", "sp0", "common", wanted=50)
    world.advance(15.0)
    found, _ = outcome(world, "leaf0")
    assert sorted(found) == names(list(range(4)))


def test_known_comes_from_the_last_search_that_reached_all() -> None:
    """A search that stops early tells the size that an earlier complete one saw."""
    world = network(3, [(0, 1), (1, 2)])
    world.search("leaf0", "sp0", "common")
    world.advance(5.0)
    world.puppet("leaf0").heard.clear()
    world.search("leaf0", "sp0", "common", ttl=0)
    world.advance(5.0)
    _, coverage = outcome(world, "leaf0")
    assert coverage is not None
    assert (coverage.reached, coverage.known, coverage.complete) == (1, 3, True)


def test_locate_names_each_other_source_once() -> None:
    """Sources come local first, without the asker, and end with `done`."""
    world = network(3, [(0, 1), (1, 2)])
    for node in range(3):
        world.publish(f"leaf{node}", f"sp{node}", {"same.txt": 7})
    world.advance(1.0)
    entry = entry_of("same.txt", 7)
    world.puppet("leaf0").heard.clear()
    world.say("leaf0", "sp0", Locate(bytes(16), entry.root, entry.size, 10))
    world.advance(5.0)
    answers = [message for message in world.puppet("leaf0").heard if isinstance(message, Sources)]
    nodes = [world.names[contact.node] for answer in answers for contact in answer.sources]
    assert nodes == ["leaf1", "leaf2"]
    assert [answer.done for answer in answers] == [False, False, True]


def test_a_silent_neighbour_costs_one_search_only() -> None:
    """Later ones leave it out: they wait for nobody, ask once, and say that they are not whole."""
    world = network(3, [(0, 1), (0, 2)], config=Config(flood=FloodConfig(ring_s=1.0)))
    world.deafen("sp1")
    world.search("leaf0", "sp0", "common")
    world.advance(5.0)
    for _ in range(3):
        world.puppet("leaf0").heard.clear()
        before = len(world.sent)
        world.search("leaf0", "sp0", "common")
        world.advance(5.0)
        found, coverage = outcome(world, "leaf0")
        assert sorted(found) == names([0, 2])
        assert coverage is not None
        assert (coverage.reached, coverage.complete) == (2, False)
        assert coverage.elapsed_s < 0.5
        asked = [to for _, to, message in world.sent[before:] if isinstance(message, Query)]
        assert asked == ["sp2"]


def test_a_search_that_asks_nobody_is_complete_beside_a_silent_neighbour() -> None:
    """Whom it need not ask it does not miss."""
    world = network(2, [(0, 1)], config=Config(flood=FloodConfig(ring_s=1.0)))
    world.deafen("sp1")
    world.search("leaf0", "sp0", "common")
    world.advance(5.0)
    world.puppet("leaf0").heard.clear()
    world.search("leaf0", "sp0", "common", ttl=0)
    world.advance(5.0)
    _, coverage = outcome(world, "leaf0")
    assert coverage is not None
    assert coverage.complete


def test_a_captured_guid_is_worth_nothing() -> None:
    """Junk that runs ahead of a query under its GUID keeps nobody from answering the query."""
    world = network(3, [(0, 1), (1, 2)])
    world.leaf("hostile")
    world.connect("hostile", "sp2")
    world.say("hostile", "sp2", Link(0))
    world.advance(0.5)
    world.search("leaf0", "sp0", "common", strategy="flood")
    while not any(to == "sp1" and isinstance(message, Query) for _, to, message in world.sent):
        world.advance(0.001)
    (query,) = [m for _, to, m in world.sent if to == "sp1" and isinstance(m, Query)]
    world.feed("sp2", Received(world.identities["hostile"].node, replaced(query, body=b"\xc1")))
    world.advance(5.0)
    found, _ = outcome(world, "leaf0")
    assert sorted(found) == names([0, 1, 2])
