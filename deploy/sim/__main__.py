"""A scenario in virtual time: `python -m deploy.sim SCENARIO [--seed N] [--json]`.

The same file, the same phases and the same judge as with processes, driving the very nodes that
ZeroMQ drives. The same seed gives the same trace. What must never be is a violation.
"""

import argparse
import sys
from collections.abc import Sequence

import click
import msgspec

from common.errors import Exit, UserError
from deploy import loading, telling, verdict
from deploy.network import read_error
from deploy.scenario import Scenario
from deploy.sim.show import Show
from deploy.soundness import ImpossibleError, check

VIOLATIONS_TOLD = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that the command line names; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sim", description=__doc__)
    parser.add_argument("scenario", help="a path, or the name of a file in deploy/scenarios/")
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    parser.add_argument("--ipv6", action="store_true", help="as `ipv6` in the table `hosts`")
    parser.add_argument("--sizes", help="run it with 10,30,100 super-peers too, for the plot")
    telling.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        telling.check(options)
        asked = loading.load(options.scenario).varied(seed=options.seed, ipv6=options.ipv6)
        sized = [_sized(asked, size) for size in _sizes(options.sizes)]
        show = Show(asked, _say)
        report = show.run()
        series = show.series()
        costs = [_cost(each) for each in sized]
        series.sizes = [cost for cost, _ in costs]
    except UserError as error:
        return _fail(error, as_json=options.json)
    for violation in show.tally.violations[:VIOLATIONS_TOLD]:
        _say(f"violation: {violation}")
    try:
        telling.tell(report, series, options)
    except UserError as error:
        _say(read_error(error))
        return error.code
    if report.violations:
        _say(f"replay: python -m deploy.sim {options.scenario} --seed {asked.seed}")
    code = verdict.exit_code(asked, report, _say)
    return Exit.UNEXPECTED if any(violations for _, violations in costs) else code


def _sizes(text: str | None) -> list[int]:
    """The sizes of a sweep. Raises UserError."""
    try:
        sizes = [int(part) for part in text.split(",")] if text else []
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise UserError(Exit.USAGE, f"--sizes {text} is no list of numbers", "say 10,30,100")
    return sizes


def _sized(asked: Scenario, super_peers: int) -> Scenario:
    """The same with so many super-peers, and leaves in proportion. Raises UserError."""
    leaves = max(asked.leaves * super_peers // asked.super_peers, 1)
    sized = msgspec.structs.replace(asked, super_peers=super_peers, leaves=leaves)
    try:
        check(sized)
    except ImpossibleError as error:
        key = ".".join(str(step) for step in error.place)
        what = f"--sizes {super_peers}, that is with {leaves} leaves: {key}: {error.message}"
        raise UserError(Exit.USAGE, what, "say sizes that this scenario can have") from None
    return sized


def _cost(sized: Scenario) -> tuple[tuple[int, float, float], int]:
    """How many super-peers there are and what a search costs in messages and bytes; violations."""
    show = Show(sized, lambda text: _say(f"{sized.super_peers} super-peers: {text}"))
    report = show.run()
    for violation in show.tally.violations[:VIOLATIONS_TOLD]:
        _say(f"violation with {sized.super_peers} super-peers: {violation}")
    searches = max(report.searches, 1)
    per_search = (report.bytes_sent or 0) / searches
    cost = (sized.super_peers, report.messages_per_query or 0.0, per_search)
    return cost, report.violations


def _say(text: str) -> None:
    click.echo(text, err=True)


def _fail(error: UserError, *, as_json: bool) -> int:
    _say(read_error(error))
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(msgspec.json.encode({"error": told}).decode())
    return error.code


if __name__ == "__main__":
    sys.exit(main())
