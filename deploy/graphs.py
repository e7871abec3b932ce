"""Graphs of super-peers: drawing one, and what can be known of it.

Super-peers are numbered from 0; an edge is a pair with the lower number first. A random graph is
always connected and is the same for the same generator. Nothing here knows a process or a clock.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, Literal

Shape = Literal["line", "ring", "full", "random", "regular", "explicit"]
Edge = tuple[int, int]
WITH_DEGREES: Final = ("random", "regular")
SWAPS_PER_EDGE: Final = 10
Neighbours = dict[int, list[int]]


def draw(shape: Shape, nodes: int, degree: int, rng: Random) -> list[Edge]:
    """The edges of a graph; `degree` is a random graph's mean, and exactly
    that of each node in a regular one (or one less). An explicit one is not drawn."""
    if shape == "explicit":
        raise ValueError("an explicit graph says its edges itself")
    path = [(node, node + 1) for node in range(nodes - 1)]
    if shape == "line" or nodes < 3:
        return path
    if shape == "ring":
        return sorted([*path, (0, nodes - 1)])
    if shape == "full":
        return [(a, b) for a in range(nodes) for b in range(a + 1, nodes)]
    return (_regular if shape == "regular" else _random)(nodes, degree, rng)


def _random(nodes: int, degree: int, rng: Random) -> list[Edge]:
    """A random tree, so that it is connected, and edges until the mean degree is reached."""
    order = rng.sample(range(nodes), nodes)
    edges: dict[Edge, None] = {}
    for place in range(1, nodes):
        edges[_edge(order[place], order[rng.randrange(place)])] = None
    wanted = min(max(nodes * degree // 2, nodes - 1), nodes * (nodes - 1) // 2)
    while len(edges) < wanted:
        a, b = rng.sample(range(nodes), 2)
        edges[_edge(a, b)] = None
    return sorted(edges)


def _regular(nodes: int, degree: int, rng: Random) -> list[Edge]:
    """Everybody is linked with the next ones on a ring; then edges swap ends until nothing is left
    of that but the degrees."""
    half = max(min(degree, nodes - 1) // 2, 1)
    edges = [_edge(a, (a + step) % nodes) for a in range(nodes) for step in range(1, half + 1)]
    edges = list(dict.fromkeys(edges))
    while True:
        _swap_ends(edges, SWAPS_PER_EDGE * len(edges), rng)
        if len(ball(neighbours(range(nodes), edges), 0, nodes)) == nodes:
            return sorted(edges)


def _swap_ends(edges: list[Edge], count: int, rng: Random) -> None:
    there = dict.fromkeys(edges)
    for _ in range(count):
        one, other = rng.sample(range(len(edges)), 2)
        (a, b), (c, d) = edges[one], edges[other]
        if rng.random() < 0.5:
            c, d = d, c
        new = _edge(a, d), _edge(c, b)
        if a != d and b != c and new[0] not in there and new[1] not in there and new[0] != new[1]:
            for place, edge in zip((one, other), new, strict=True):
                del there[edges[place]]
                there[edge] = None
                edges[place] = edge


def _edge(a: int, b: int) -> Edge:
    return (min(a, b), max(a, b))


def neighbours(nodes: Sequence[int], edges: Sequence[Edge]) -> Neighbours:
    """Who is next to whom, among `nodes` only."""
    beside: Neighbours = {node: [] for node in nodes}
    for a, b in edges:
        if a in beside and b in beside:
            beside[a].append(b)
            beside[b].append(a)
    return beside


def ball(beside: Neighbours, centre: int, radius: int) -> dict[int, int]:
    """Every node within `radius` edges of `centre`, and how many edges away it is."""
    away = {centre: 0}
    ring = [centre]
    for hops in range(1, radius + 1):
        ring = list(dict.fromkeys(b for a in ring for b in beside[a] if b not in away))
        away.update(dict.fromkeys(ring, hops))
        if not ring:
            break
    return away


def waves(nodes: int, edges: Sequence[Edge]) -> list[list[int]]:
    """The order of starting: each node joins its lower neighbours, so they must stand before it."""
    height = [0] * nodes
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        height[b] = max(height[b], height[a] + 1)
    return [[n for n in range(nodes) if height[n] == level] for level in range(max(height) + 1)]
