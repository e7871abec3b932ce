"""The commands; see the package's docstring. What is said is one JSON line for each change."""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import click

from tests.power.judges import SOAK, InTurn, Judge, PureTests, Soak
from tests.power.mechanical import sample
from tests.power.mutants import Mutant
from tests.power.planted import PlantedError, load
from tests.power.processes import EndedError, Processes
from tests.power.runner import Book, NotCleanError, OtherBookError, run
from tests.power.tree import Copy, CopyError

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PLANTED_EVENTS: Final = 1_000_000  # THREATS G14
MECHANICAL_EVENTS: Final = 200_000
COUNT: Final = 200

INTERRUPTED: Final = 130
UNUSABLE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 once all was tried, whatever was found."""
    options = _parser().parse_args(arguments)
    if options.command == "list":
        _list()
        return 0
    processes = Processes()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _try_all(options, processes)
    except (KeyboardInterrupt, EndedError):
        return INTERRUPTED
    except (CopyError, NotCleanError, OtherBookError, PlantedError) as error:
        click.echo(f"error: {error}", err=True)
        return UNUSABLE
    return 0


def _try_all(options: argparse.Namespace, processes: Processes) -> None:
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        first = Copy.of(options.root, Path(folder) / "0")
        book = Book(options.out, click.echo, _book_of(options, first))
        others = [first.again(Path(folder) / str(n)) for n in range(1, max(options.jobs, 1))]
        mutants = _mutants(options, first.root)
        judge = _judge(options, processes)
        run(options.command, mutants, [first, *others], judge, book, give_up=processes.end)


def _book_of(options: argparse.Namespace, copy: Copy) -> dict[str, str | int | float | None]:
    """All that a verdict hangs on; how many are tried, and how many at once, is no part of it."""
    asked = ("command", "events", "seed", "soak", "limit_s")
    return {"tree": copy.digest(), **{name: getattr(options, name) for name in asked}}


def _mutants(options: argparse.Namespace, root: Path) -> list[Mutant]:
    if options.command == "planted":
        return load().mutants(root, tuple(options.only))
    return sample(root, options.count, options.seed)


def _judge(options: argparse.Namespace, processes: Processes) -> Judge:
    soak = Soak(
        processes,
        events=options.events,
        seed=options.seed,
        command=tuple(shlex.split(options.soak)) if options.soak else SOAK,
        limit_s=options.limit_s,
    )
    return soak if options.command == "planted" else InTurn(soak, PureTests(processes))


def _list() -> None:
    planted = load()
    width = max(len(bug.name) for bug in planted.bug)
    for bug in planted.bug:
        click.echo(f"{bug.name:<{width}}  {', '.join(bug.breaks):<8}  {bug.wrong}")
    for number, why in planted.left_out.invariants.items():
        click.echo(f"no bug for invariant {number}: {why}")
    for fault, why in planted.left_out.faults.items():
        click.echo(f"no bug for fault {fault}: {why}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what is planted")
    planted = commands.add_parser("planted", help="is each planted bug found by the simulator?")
    planted.add_argument("--only", nargs="*", default=[], metavar="NAME")
    _add_common(planted, PLANTED_EVENTS)
    mechanical = commands.add_parser("mechanical", help="how many small changes are noticed?")
    mechanical.add_argument("--count", type=int, default=COUNT)
    _add_common(mechanical, MECHANICAL_EVENTS)
    return parser


def _add_common(parser: argparse.ArgumentParser, events: int) -> None:
    parser.add_argument("--events", type=int, default=events, help="simulated for each change")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="changes tried side by side")
    parser.add_argument("--out", type=Path, help="keep the lines here; go on from what it knows")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--soak", default="", help="another simulator than deploy.sim.soak")
    parser.add_argument("--limit-s", type=float, help="after which a simulation hangs")


if __name__ == "__main__":
    sys.exit(main())
