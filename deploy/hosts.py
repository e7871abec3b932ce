"""The links that a scenario gives its machines: each one's access, and the delays between them.

Drawn from the scenario's seed, the same for a node in every world. Rates are spread evenly over the
orders of magnitude between the bounds, as access links are; delays evenly between theirs.
"""

import math
from random import Random
from typing import NamedTuple

from deploy.graphs import Edge
from deploy.scenario import Scenario


class Access(NamedTuple):
    """One way to the middle of the network, and bytes/s up and down (0: no limit)."""

    delay_s: float
    up_rate: float
    down_rate: float


def access(scenario: Scenario, kind: str, number: int) -> Access:
    """The link of the `number`-th node of a kind ("super-peer" or "leaf")."""
    hosts = scenario.hosts
    if not (hosts.delay_max_s or hosts.up_max or hosts.down_max):
        return Access(0.0, 0.0, 0.0)
    rng = scenario.random(f"access of {kind} {number}")
    return Access(
        rng.uniform(hosts.delay_min_s, hosts.delay_max_s),
        _spread(rng, hosts.up_min, hosts.up_max),
        _spread(rng, hosts.down_min, hosts.down_max),
    )


def firewalled(scenario: Scenario) -> list[int]:
    """The leaves that nobody can dial."""
    count = round(scenario.hosts.firewalled * scenario.leaves)
    return sorted(scenario.random("firewalls").sample(range(scenario.leaves), count))


def link_delays(scenario: Scenario) -> dict[Edge, float]:
    """How much longer the way over each link of the overlay takes; empty where none does."""
    overlay, rng = scenario.overlay, scenario.random("delays")
    if not overlay.delay_max_s:
        return {}
    low, high = overlay.delay_min_s, overlay.delay_max_s
    return {edge: rng.uniform(low, high) for edge in scenario.edges()}


def _spread(rng: Random, low: float, high: float) -> float:
    """Between the two, evenly in their logarithm; 0 where there is no limit."""
    if not high:
        return 0.0
    return math.exp(rng.uniform(math.log(low), math.log(high)))
