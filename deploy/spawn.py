"""A scenario as real processes on this machine: `python -m deploy.spawn SCENARIO [--json]`.

Phase after phase it puts the workload to the network, strikes with the faults, and holds what came
back against what the known graph and the known files demand. What must never be is a violation;
any makes the exit code 1. Homes and logs of all nodes lie in the work folder, which goes after a
clean run unless it was named.
"""

import argparse
import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from common.errors import Exit, UserError
from deploy import content, loading
from deploy.delay import Delays
from deploy.network import Network, read_error
from deploy.oracle import Oracle
from deploy.phases import PhaseRun
from deploy.processes import Processes, end_on_signals
from deploy.report import Report, Tally, percentile
from deploy.scenario import Scenario

VIOLATIONS_TOLD = 10  # of one phase


def run(asked: Scenario, folder: Path) -> Report:
    """Bring the scenario up below `folder`, run it, take it down."""
    began = time.monotonic()
    tally = Tally()
    with Delays() as delays, Processes(folder, time_scale=asked.time_scale) as processes:
        network = Network(asked, processes, delays)
        _lay_out(network)
        network.start(_say)
        shared = network.on_leaves(network.shared_by).values()
        oracle = Oracle(held for rows in shared for held in rows)
        for number, phase in enumerate(asked.phases):
            network.settle(len(oracle.held_by(network.alive_leaves)))
            before = copy.deepcopy(tally)
            PhaseRun(network, oracle, tally).run(phase, number)
            _say(f"{phase.name}: {_summary(tally, before)}")
        for node in processes.dead():
            if node not in network.killed:
                tally.violations.append(f"{node.name} died: {node.last_words()}")
    return _report(asked, tally, time.monotonic() - began)


def _lay_out(network: Network) -> None:
    asked = network.scenario
    if asked.content.files:
        chosen = content.sources(asked)
        content.lay_out(asked, chosen, network.shares(), content.holders(asked, len(chosen)))
        real = sum(source.real is not None for source in chosen)
        _say(f"{len(chosen)} files laid out, {real} of them found on this machine")


def _report(asked: Scenario, tally: Tally, elapsed_s: float) -> Report:
    """The figures of a run. Processes cannot tell their events apart nor replay them."""
    return Report(
        scenario=asked.name,
        seed=asked.seed,
        world="processes",
        super_peers=asked.super_peers,
        leaves=asked.leaves,
        virtual_s=round(elapsed_s, 3),
        events=None,
        violations=len(tally.violations),
        searches=tally.searches,
        recall=tally.recall,
        coverage=tally.coverage,
        messages_per_query=tally.messages_per_query,
        first_hit_p50_s=percentile(tally.first_hit_s, 50),
        first_hit_p99_s=percentile(tally.first_hit_s, 99),
        done_p50_s=percentile(tally.done_s, 50),
        done_p99_s=percentile(tally.done_s, 99),
        failover_p50_s=percentile(tally.failover_s, 50),
        failover_p99_s=percentile(tally.failover_s, 99),
        promotions=None,
        demotions=None,
        downloads=tally.downloads,
        downloads_complete=tally.downloads_complete,
        bytes_useful=tally.bytes_useful,
        bytes_wasted=tally.bytes_wasted,
        trace_sha256=None,
    )


def _summary(tally: Tally, before: Tally) -> str:
    """What a phase added, in a line, and what it violated below."""
    parts: list[str] = []
    if searches := tally.searches - before.searches:
        found = tally.pairs_found - before.pairs_found
        expected = tally.pairs_expected - before.pairs_expected
        parts.append(f"{searches} searches found {found} of {expected}")
    if struck := tally.searches_struck - before.searches_struck:
        parts.append(f"{struck} of them were under way when a fault struck")
    if downloads := tally.downloads - before.downloads:
        whole = tally.downloads_complete - before.downloads_complete
        parts.append(f"{whole} of {downloads} downloads are whole and true")
    if moved := tally.failover_s[len(before.failover_s) :]:
        parts.append(f"{len(moved)} leaves moved, the last after {max(moved):.2f} s")
    violations = tally.violations[len(before.violations) :]
    parts.append(f"{len(violations)} violations" if violations else "as it should be")
    lines = [f"\n    {text}" for text in violations[:VIOLATIONS_TOLD]]
    return "; ".join(parts) + "".join(lines)


def _say(text: str) -> None:
    click.echo(text, err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that the command line names; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.spawn", description=__doc__)
    parser.add_argument("scenario", help="a path, or the name of a file in deploy/scenarios/")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    parser.add_argument("--work", type=Path, help="keep homes and logs in this new folder")
    options = parser.parse_args(arguments)
    end_on_signals()
    try:
        report = _run_in_folder(options)
    except UserError as error:
        return _fail(error, as_json=options.json)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    _print(report, as_json=options.json)
    return Exit.UNEXPECTED if report.violations else Exit.DONE


def _run_in_folder(options: argparse.Namespace) -> Report:
    asked = loading.load(options.scenario)
    if options.seed is not None:
        asked = msgspec.structs.replace(asked, seed=options.seed)
    if options.work is not None:
        return run(asked, _new_folder(options.work))
    folder = Path(tempfile.mkdtemp(prefix="superpeer-"))
    try:
        report = run(asked, folder)
    except BaseException:
        if any(folder.iterdir()):
            _say(f"homes and logs are in {folder}")
        else:
            folder.rmdir()
        raise
    if report.violations:
        _say(f"homes and logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return report


def _new_folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True)
    except OSError as error:
        hint = "name a folder that is not there yet"
        raise UserError(Exit.DISK, f"cannot make {path}: {error.strerror}", hint) from error
    return path.resolve()


def _fail(error: UserError, *, as_json: bool) -> int:
    _say(read_error(error))
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(msgspec.json.encode({"error": told}).decode())
    return error.code


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for key, value in msgspec.to_builtins(report).items():
        click.echo(f"{key:20} {'-' if value is None else value}")


if __name__ == "__main__":
    sys.exit(main())
