"""One small world from its start to the verdict: warm up, faults and people, quiet, and a look.

Safety is checked after every event, liveness at the end. The same seed always does the same.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.doings import Doings
from deploy.sim.chaos.faults import FAULTS
from deploy.sim.chaos.liveness import Liveness
from deploy.sim.chaos.plan import QUIET_S, WARM_S, ChaosPlan, draw
from deploy.sim.checkers.accusations import Accusations
from deploy.sim.checkers.answers import Answers
from deploy.sim.checkers.books import BooksAreKept
from deploy.sim.checkers.bounds import Bounds
from deploy.sim.checkers.clusters import Clusters
from deploy.sim.checkers.durable import JournalsAreTrue
from deploy.sim.checkers.hits import Hits
from deploy.sim.checkers.leases import Leases
from deploy.sim.checkers.leaves import Leaves
from deploy.sim.checkers.litter import Litter
from deploy.sim.checkers.manners import Manners
from deploy.sim.checkers.pieces import PiecesAreTrue
from deploy.sim.checkers.queries import Queries
from deploy.sim.checkers.requests import RequestsAreAnswered
from deploy.sim.checkers.secrets import Secrets
from deploy.sim.checkers.shown import Shown
from deploy.sim.checkers.signed import Signed
from deploy.sim.checkers.wishes import Wishes
from deploy.sim.hostile import KINDS
from deploy.sim.probes import Probes

HOSTILE: Final[tuple[str, ...]] = KINDS


class Verdict(msgspec.Struct):
    """What came of one seed."""

    seed: int
    events: int
    virtual_s: float
    violations: list[str]
    trace_sha256: str
    struck: dict[str, int]  # faults, and how often each struck
    probes: dict[str, int]  # situations, and how often each came up


def run(
    seed: int, faults: tuple[str, ...] | None = None, hostile: tuple[str, ...] | None = None
) -> Verdict:
    """Run the world of `seed`; `faults` and `hostile` nodes instead of those that it draws."""
    plan = draw(seed, tuple(FAULTS), HOSTILE)
    if faults is not None:
        plan = msgspec.structs.replace(plan, faults=faults)
    if hostile is not None:
        plan = msgspec.structs.replace(plan, hostile=hostile)
    return run_plan(plan)


def run_plan(plan: ChaosPlan) -> Verdict:
    """Run one world to its verdict, or to its first violation."""
    arena = Arena(plan)
    world, truth = arena.world, arena.truth
    world.watch(
        [
            Queries(world.violate, truth.hostile),
            Hits(world.violate, truth, world.by_node),
            Answers(world.violate, truth.hostile),
            PiecesAreTrue(world.violate, truth, arena.files),
            JournalsAreTrue(world.violate, truth, arena.files),
            Litter(world.violate, truth, arena.files),
            RequestsAreAnswered(world.violate, truth.hostile),
            Clusters(world.violate, world.by_node, truth.hostile),
            Leaves(world.violate, truth, world.by_node),
            Bounds(world.violate, world.schedule, plan.config, world.hosts),
            Secrets(world.violate, plan.network.key),
            Accusations(
                world.violate,
                world.schedule,
                world.paths,
                truth,
                plan.config.link.dead_s,
            ),
            Manners(world.violate, truth.hostile),
            BooksAreKept(world.violate, truth.hostile),
            Shown(world.violate, truth, world.by_node),
            Wishes(world.violate, truth),
            Leases(world.violate),
            Signed(world.violate, plan.network.name),
        ]
    )
    probes = Probes(world.schedule, truth.hostile)
    world.watch([probes])
    arena.start()
    world.run(WARM_S)
    end = WARM_S + plan.chaos_s
    people = Doings(arena)
    world.watch([people])
    people.begin(end)
    for name in plan.faults:
        _again(arena, name, end)()
    world.run(end)
    arena.heal()
    world.run(end + QUIET_S)
    if not world.stopped:
        Liveness(arena).check()
    return Verdict(
        seed=plan.seed,
        events=world.events,
        virtual_s=round(world.now, 3),
        violations=world.violations,
        trace_sha256=arena.trace.hexdigest(),
        struck=arena.struck,
        probes=probes.finish(world.hosts),
    )


def _again(arena: Arena, name: str, end: float) -> Callable[[], None]:
    """Let a fault strike now and then until `end`."""
    strike, mean_s = FAULTS[name]

    def wait() -> None:
        arena.world.schedule.later(arena.rng.expovariate(1 / mean_s), happen)

    def happen() -> None:
        if arena.world.now < end:
            arena.strike(name, strike)
            wait()

    return wait
