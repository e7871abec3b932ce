"""Graphs of super-peers: shapes, reach, and the order of starting."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.graphs import Shape, ball, draw, neighbours, waves

NODES = st.integers(1, 40)


@pytest.mark.parametrize(
    ("shape", "edges"),
    [
        ("line", [(0, 1), (1, 2), (2, 3)]),
        ("ring", [(0, 1), (0, 3), (1, 2), (2, 3)]),
        ("full", [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
    ],
)
def test_shapes(shape: Shape, edges: list[tuple[int, int]]) -> None:
    """A line, a ring and a full graph of four."""
    assert draw(shape, 4, 0, Random(0)) == edges


@given(NODES, st.integers(1, 8), st.integers())
def test_a_random_graph_is_connected_and_plain(nodes: int, degree: int, seed: int) -> None:
    """Everybody reaches everybody; no loops, no double edges, the degree as asked."""
    edges = draw("random", nodes, degree, Random(seed))
    assert len(ball(neighbours(range(nodes), edges), 0, nodes)) == nodes
    assert edges == sorted({(a, b) for a, b in edges if a < b})
    assert len(edges) == min(max(nodes * degree // 2, nodes - 1), nodes * (nodes - 1) // 2)


@given(st.integers(3, 60), st.integers(2, 12), st.integers())
def test_a_regular_graph_gives_everybody_as_many(nodes: int, degree: int, seed: int) -> None:
    """Connected, plain, and nobody has more or fewer than the others."""
    edges = draw("regular", nodes, degree, Random(seed))
    beside = neighbours(range(nodes), edges)
    assert len(ball(beside, 0, nodes)) == nodes
    assert edges == sorted({(a, b) for a, b in edges if a < b})
    wanted = min(degree, nodes - 1) // 2 * 2
    assert {len(others) for others in beside.values()} == {wanted}


def test_a_ball_counts_hops() -> None:
    """On a ring of six, two hops reach all but the opposite node."""
    beside = neighbours(range(6), draw("ring", 6, 0, Random(0)))
    assert ball(beside, 0, 2) == {0: 0, 1: 1, 5: 1, 2: 2, 4: 2}


def test_who_is_gone_is_no_neighbour() -> None:
    """Edges to nodes that are not among those asked about do not count."""
    assert neighbours([0, 2], [(0, 1), (1, 2)]) == {0: [], 2: []}


@given(NODES, st.integers(1, 6), st.integers())
def test_waves_start_everybody_after_whom_it_joins(nodes: int, degree: int, seed: int) -> None:
    """Each node is in one wave, later than all its lower neighbours."""
    edges = draw("random", nodes, degree, Random(seed))
    order = {node: place for place, wave in enumerate(waves(nodes, edges)) for node in wave}
    assert sorted(order) == list(range(nodes))
    assert all(order[a] < order[b] for a, b in edges)
