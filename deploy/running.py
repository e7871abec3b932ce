"""A scenario run with real processes, whatever they stand on, from its file to the exit code.

Phase after phase it puts the workload to the network, strikes with the faults, and holds what came
back against what the known graph and the known files demand. Homes and logs of all nodes lie in the
work folder, which goes after a clean run unless it was named. Where the processes live is known to
the ground alone (`deploy.ground`).
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click
import msgspec

from common.errors import Exit, UserError
from deploy import content, loading, telling, verdict
from deploy.content import Source
from deploy.ground import Ground
from deploy.network import Network, overrides, read_error
from deploy.oracle import Held, Oracle
from deploy.phases import PhaseRun
from deploy.processes import Processes, end_on_signals
from deploy.report import Report, Tally, report_of
from deploy.scenario import Scenario
from deploy.series import Series

VIOLATIONS_TOLD = 10  # of one phase

Opened = Callable[[Scenario], AbstractContextManager[Ground]]


def run(asked: Scenario, folder: Path, ground: Ground) -> tuple[Report, Tally]:
    """Bring the scenario up below `folder`, run it, take it down."""
    began = time.monotonic()
    total = Tally()
    with Processes(folder, settings=overrides(asked)) as processes:
        network = Network(asked, processes, ground)
        chosen = _lay_out(network)
        network.start(say)
        oracle, is_broken = Oracle(_ranked(network, chosen)), False
        for number, phase in enumerate(asked.phases):
            _settle(network, oracle, total, demanded=not is_broken)
            is_broken |= phase.may_fail and any(fault.kill for fault in phase.faults)
            tally = Tally()
            PhaseRun(network, oracle, tally, is_broken=is_broken).run(phase, number)
            total.add(tally.without_figures() if phase.may_fail else tally)
            say(f"{phase.name}: {_summary(tally)}")
        if not is_broken:
            _settle(network, oracle, total, demanded=True)
        for node in processes.dead():
            if node not in network.killed:
                total.violations.append(f"{node.name} died: {node.last_words()}")
    took_s = time.monotonic() - began
    return report_of(asked, ground.world, total, virtual_s=took_s, wall_s=took_s), total


def _lay_out(network: Network) -> list[Source]:
    asked = network.scenario
    chosen = content.sources(asked) if asked.content.files else []
    if chosen:
        content.lay_out(asked, chosen, network.shares(), content.holders(asked, len(chosen)))
        real = sum(source.real is not None for source in chosen)
        say(f"{len(chosen)} files laid out, {real} of them found on this machine")
    return chosen


def _ranked(network: Network, chosen: Sequence[Source]) -> list[Held]:
    """What the leaves say they share, in the order in which it was laid out."""
    rank = {source.path: number for number, source in enumerate(chosen)}
    shared = network.on_leaves(network.shared_by).values()
    return sorted(
        (held for rows in shared for held in rows),
        key=lambda held: (rank[f"{held.folder}/{held.name}".lstrip("/")], held.leaf),
    )


def _settle(network: Network, oracle: Oracle, tally: Tally, *, demanded: bool) -> None:
    """A network that does not come to rest is at fault, and is put to work all the same.

    Without super-peers there is nothing that could come to rest.
    """
    try:
        network.settle(oracle.count(network.alive_leaves) if network.alive else 0)
    except UserError as error:
        if demanded:
            tally.violations.append(error.message)
            say(error.message)


def _series(tally: Tally) -> Series:
    return Series(
        search_s=tally.done_s,
        first_hit_s=tally.first_hit_s,
        costs=tally.costs,
        coverage=tally.coverages,
        failover_s=tally.failover_s,
    )


def _summary(tally: Tally) -> str:
    """What a phase brought, in a line, and what it violated below."""
    parts: list[str] = []
    if tally.searches:
        found, expected = tally.pairs_found, tally.pairs_expected
        parts.append(f"{tally.searches} searches found {found} of {expected}")
    if tally.searches_struck:
        parts.append(f"{tally.searches_struck} of them were under way when a fault struck")
    if tally.downloads:
        whole = tally.downloads_complete
        parts.append(f"{whole} of {tally.downloads} downloads are whole and true")
    if moved := tally.failover_s:
        parts.append(f"{len(moved)} leaves moved, the last after {max(moved):.2f} s")
    violations = tally.violations
    parts.append(f"{len(violations)} violations" if violations else "as it should be")
    lines = [f"\n    {text}" for text in violations[:VIOLATIONS_TOLD]]
    return "; ".join(parts) + "".join(lines)


def say(text: str) -> None:
    """Talk beside the report."""
    click.echo(text, err=True)


# --- the command ----------------------------------------------------------------------------------


def parsed(program: str, story: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line of a world of processes."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=story)
    parser.add_argument("scenario", help="a path, or the name of a file in deploy/scenarios/")
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    parser.add_argument("--ipv6", action="store_true", help="as `ipv6` in the table `hosts`")
    parser.add_argument("--work", type=Path, help="keep homes and logs in this new folder")
    telling.add_arguments(parser)
    return parser.parse_args(arguments)


def main(options: argparse.Namespace, opened: Opened) -> int:
    """Run what the command line names on the ground that `opened` gives; the exit code.

    `opened` refuses, by a UserError, what its world cannot do.
    """
    end_on_signals()
    try:
        telling.check(options)
        asked = loading.load(options.scenario).varied(seed=options.seed, ipv6=options.ipv6)
        with opened(asked) as ground:
            report, tally = _run_in_folder(asked, ground, options.work)
    except UserError as error:
        return _fail(error, as_json=options.json)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    try:
        telling.tell(report, _series(tally), options)
    except UserError as error:
        say(read_error(error))
        return error.code
    return verdict.exit_code(asked, report, say)


def _run_in_folder(asked: Scenario, ground: Ground, work: Path | None) -> tuple[Report, Tally]:
    if work is not None:
        return run(asked, _new_folder(work), ground)
    folder = Path(tempfile.mkdtemp(prefix="superpeer-"))
    try:
        report, tally = run(asked, folder, ground)
    except BaseException:
        if any(folder.iterdir()):
            say(f"homes and logs are in {folder}")
        else:
            folder.rmdir()
        raise
    if report.violations:
        say(f"homes and logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return report, tally


def _new_folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True)
    except OSError as error:
        hint = "name a folder that is not there yet"
        raise UserError(Exit.DISK, f"cannot make {path}: {error.strerror}", hint) from error
    return path.resolve()


def _fail(error: UserError, *, as_json: bool) -> int:
    say(read_error(error))
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(msgspec.json.encode({"error": told}).decode())
    return error.code
