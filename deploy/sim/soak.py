"""Small worlds with faults, one seed after the other: `python -m deploy.sim.soak --events N`.

Seeds follow one another from `--seed` until so many events have been fed to nodes. The first
violation ends it, with the one command that replays it; nothing is tried twice. The exit code is 0
where all was well, 1 where it was not. With `--probes` a run of a million events must also have
reached every required probe.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import count
from typing import Final

import click
import msgspec

from common.errors import Exit
from deploy.sim.chaos.run import Verdict, run
from deploy.sim.probes import missed, sentence

PROBED_EVENTS: Final = 1_000_000  # in so many every required probe is reached


class SoakReport(msgspec.Struct):
    """What a soak showed."""

    seed: int  # the first, or the one that failed
    seeds: int
    events: int
    violations: int
    virtual_s: float
    wall_s: float
    events_per_s: float
    trace_sha256: str  # over the traces of all seeds
    struck: dict[str, int]
    probes: dict[str, int]


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
    bad = [verdict for verdict in verdicts if verdict.violations]
    report = SoakReport(
        seed=bad[0].seed if bad else first,
        seeds=len(verdicts),
        events=fed,
        violations=sum(len(verdict.violations) for verdict in bad),
        virtual_s=round(sum(verdict.virtual_s for verdict in verdicts), 1),
        wall_s=round(wall_s, 1),
        events_per_s=round(fed / wall_s),
        trace_sha256=sha256("".join(each.trace_sha256 for each in verdicts).encode()).hexdigest(),
        struck=_sums(verdict.struck for verdict in verdicts),
        probes=_sums(verdict.probes for verdict in verdicts),
    )
    return report, verdicts


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for each in counts:
        sums.update(each)
    return dict(sorted(sums.items()))


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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak as the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sim.soak", description=__doc__)
    parser.add_argument(
        "--events",
        type=_positive,
        default=1_000_000,
        help="how many, at least (default: a million)",
    )
    parser.add_argument("--seed", type=int, default=1, help="the first (default: 1)")
    parser.add_argument("--jobs", type=_positive, default=1, help="processes (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--probes", action="store_true", help="tell which were never reached")
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
    fell_short = options.probes and _tell_missed(report)
    return Exit.UNEXPECTED if report.violations or fell_short else Exit.DONE


def _tell_missed(report: SoakReport) -> bool:
    """Print the required probes that were never reached; whether the run was long enough that
    each of them should have been."""
    names = missed(report.probes)
    for name in names:
        click.echo(f"never reached: {name}: {sentence(name)}", err=True)
    return bool(names) and report.events >= PROBED_EVENTS


if __name__ == "__main__":
    sys.exit(main())
