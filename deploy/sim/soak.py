"""Small worlds with faults, one seed after the other: `python -m deploy.sim.soak --events N`.

Seeds follow one another from `--seed` until so many events have been fed to nodes. The first
violation ends it, with the one command that replays it; nothing is tried twice. The exit code is 0
where all was well, 1 where it was not.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count

import click
import msgspec

from common.errors import Exit
from deploy.sim.chaos.run import Verdict, run


class SoakReport(msgspec.Struct):
    """What a soak showed."""

    seed: int  # the first, or the one that failed
    seeds: int
    events: int
    violations: int
    virtual_s: float
    wall_s: float
    events_per_s: float
    struck: dict[str, int]


def soak(first: int, events: int, jobs: int = 1) -> tuple[SoakReport, list[Verdict]]:
    """Run seeds until there were so many events or a violation; the report and all verdicts."""
    began = time.monotonic()
    verdicts: list[Verdict] = []
    fed = 0
    for verdict in _verdicts(first, jobs):
        verdicts.append(verdict)
        fed += verdict.events
        if verdict.violations or fed >= events:
            break
    wall_s = time.monotonic() - began
    struck: dict[str, int] = {}
    for verdict in verdicts:
        for name, times in verdict.struck.items():
            struck[name] = struck.get(name, 0) + times
    bad = [verdict for verdict in verdicts if verdict.violations]
    report = SoakReport(
        seed=bad[0].seed if bad else first,
        seeds=len(verdicts),
        events=fed,
        violations=sum(len(verdict.violations) for verdict in bad),
        virtual_s=round(sum(verdict.virtual_s for verdict in verdicts), 1),
        wall_s=round(wall_s, 1),
        events_per_s=round(fed / wall_s),
        struck=dict(sorted(struck.items())),
    )
    return report, verdicts


def _verdicts(first: int, jobs: int) -> Iterator[Verdict]:
    """The verdicts of all seeds from `first` on, in order."""
    if jobs == 1:
        yield from map(run, count(first))
        return
    with ProcessPoolExecutor(jobs) as pool:
        batch = 4 * jobs
        for begin in count(first, batch):
            yield from pool.map(run, range(begin, begin + batch))


def replay_command(seed: int) -> str:
    """What replays one seed."""
    return f"python -m deploy.sim.soak --seed {seed} --events 1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak as the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sim.soak", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many, at least")
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    report, verdicts = soak(options.seed, options.events, options.jobs)
    for verdict in verdicts:
        for violation in verdict.violations:
            click.echo(f"violation: seed {verdict.seed}: {violation}", err=True)
    if report.violations:
        click.echo(f"replay: {replay_command(report.seed)}", err=True)
    if options.json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        for key, value in msgspec.to_builtins(report).items():
            click.echo(f"{key:14} {value}")
    return Exit.UNEXPECTED if report.violations else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
