"""What the best rule could hold that knows everything but the future.

    python -m tests.bench.foresight [--rounds 200]

The nodes of `tests.bench.hierarchy` without a network: uplinks log-normal over three decades,
Weibull sessions of shape 0.5, everybody replaced. At a moment one in twenty is chosen: by one that
knows when each goes, and by a knower of all rates and ages that takes the greatest rate x expected
remaining time, which no rule can beat on average. Printed as one JSON line for each size: which
part of the oracle's rate x remaining time the knower's choice holds (mean, and the middle nine
tenths of the rounds), and besides if sessions had other shapes but the same mean.
"""

import argparse
import json
import math
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from deploy.churn import PROFILES, Sessions

SIZES: Final = (200, 2000)
SHAPES: Final = (0.5, 1.0, 3.0)
PER_SUPER_PEER: Final = 20
AT_S: Final = (1800.0, 36_000.0)  # since all came
SIGMA: Final = 0.5  # of the decimal logarithm of rates: three decades from -3 to 3
GRID: Final = 64


class Node(NamedTuple):
    """One that is there at the moment."""

    rate: float
    age_s: float
    remains_s: float


def population(nodes: int, at_s: float, sessions: Sessions, rng: Random) -> list[Node]:
    """Who is there so long after all came; who goes is replaced."""
    there = []
    for _ in range(nodes):
        began = rng.random() * 300.0
        until = began + max(30.0, sessions.draw_s(rng))
        while until <= at_s:
            began = until + rng.expovariate(1 / 5.0)
            until = began + max(30.0, sessions.draw_s(rng))
        there.append(Node(10 ** rng.gauss(0.0, SIGMA), max(0.0, at_s - began), until - at_s))
    return there


def remaining(sessions: Sessions) -> Callable[[float], float]:
    """The mean of what remains at an age: the integral of survival beyond it, over survival."""
    scale_s, shape = 60.0 * sessions.scale_min, sessions.shape

    def of(age_s: float) -> float:
        base, width_s, at_s, total = (age_s / scale_s) ** shape, 60.0, age_s, 0.0
        while True:  # steps that grow: the tail is long
            middle = math.exp(base - ((at_s + width_s / 2) / scale_s) ** shape)
            total, at_s, width_s = total + middle * width_s, at_s + width_s, 1.05 * width_s
            if middle < 1e-6:
                return total

    return of


def held(nodes: int, at_s: float, sessions: Sessions, rng: Random) -> float:
    """The knower's share of what the oracle holds, in one round."""
    there = population(nodes, at_s, sessions, rng)
    of = remaining(sessions)
    table = [of(at_s * step / GRID) for step in range(GRID + 1)]
    chosen = nodes // PER_SUPER_PEER

    def expected(each: Node) -> float:
        return each.rate * table[min(GRID, round(GRID * each.age_s / at_s))]

    known = sorted(there, key=expected, reverse=True)[:chosen]
    best = sorted((each.rate * each.remains_s for each in there), reverse=True)[:chosen]
    return sum(each.rate * each.remains_s for each in known) / sum(best)


def main() -> None:
    """See the top."""
    parser = argparse.ArgumentParser(description="What can be held without knowing the future.")
    parser.add_argument("--rounds", type=int, default=200)
    asked = parser.parse_args()
    mean_s = PROFILES["gnutella"].mean_s
    for shape in SHAPES:
        sessions = Sessions(shape, mean_s / 60.0 / math.gamma(1 + 1 / shape))
        for nodes in SIZES:
            for at_s in AT_S:
                rng = Random(f"foresight/{shape}/{nodes}/{at_s}")
                rounds = max(5, asked.rounds * SIZES[0] // nodes)
                found = sorted(held(nodes, at_s, sessions, rng) for _ in range(rounds))
                line = {"shape": shape, "nodes": nodes, "at_s": at_s, "rounds": rounds}
                line |= {"mean": round(sum(found) / rounds, 3)}
                line |= {"p5": round(found[int(0.05 * rounds)], 3)}
                line |= {"p95": round(found[int(0.95 * (rounds - 1))], 3)}
                print(json.dumps(line))


if __name__ == "__main__":
    main()
