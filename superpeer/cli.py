"""The program `superpeer`: its commands, and `run`, the daemon that they ask.

Flags of `run` are settings that go before environment and file; one that was not given says
nothing. The documents of `--json` are the results of the method table as they come.
"""

import sys
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from common.errors import Exit, UserError
from common.shell.desk.options import (
    CONTEXT,
    Invocation,
    Number,
    Whole,
    global_options,
    node_options,
    pass_invocation,
    run,
)
from common.shell.desk.units import counted, size_text, time_text

if TYPE_CHECKING:
    from common.shell.desk.calls import Calls
    from superpeer.methods import Graph, Status

PROGRAM: Final = "superpeer"
ANSWER_S: Final = 30.0  # for what a daemon knows at once; a busy machine may hold it up
STOP_S: Final = 12.0  # a daemon ends within 10 s
WATCH_S: Final = 1.0
KEY_CHARS_SHOWN: Final = 8


@click.group(context_settings=CONTEXT)
@global_options
def cli() -> None:
    """Index what leaves share and pass queries on among super-peers."""


@cli.command("run")
@click.option("--join", multiple=True, metavar="HOST[:PORT][/KEY]", help="Super-peers to link to.")
@click.option("--max-leaves", type=Whole(0), metavar="N", help="Leaves let in.")
@click.option("--static", is_flag=True, default=None, help="Never step down.")
@node_options
@global_options
@pass_invocation
def run_superpeer(invocation: Invocation, /, **flags: Any) -> int:
    """Run the super-peer in the foreground; prints `READY {json}` once it serves.

    It runs until it is told to stop; --timeout, for commands that wait, says nothing here.
    """
    from superpeer.assembly import serve

    flags["cluster.leaves_max"] = flags.pop("max_leaves")
    flags["join"] = flags["join"] or None
    return serve(invocation, flags)


def _calls(invocation: Invocation) -> "Calls":
    from common.shell.desk.calls import Calls

    return Calls(invocation.home_of(PROGRAM))


def _within(invocation: Invocation, default_s: float = ANSWER_S) -> float:
    return default_s if invocation.timeout is None else invocation.timeout


@cli.command()
@click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
@global_options
@pass_invocation
def status(invocation: Invocation, watch: bool) -> None:
    """What this super-peer is and does."""
    from superpeer.methods import Nothing, Status

    output = invocation.output()
    with _calls(invocation) as calls:
        while True:
            found = calls.call("superpeer.status", Nothing(), Status, timeout_s=_within(invocation))
            if output.for_people:
                for name, value in _lines(found):
                    output.line(f"{name:<10} {value}")
            else:
                output.document(found)
            if not watch:
                return
            time.sleep(WATCH_S)


def _lines(found: "Status") -> list[tuple[str, str]]:
    return [
        ("node", found.node),
        ("listen", f"{found.listen}, network {found.network}"),
        ("leaves", f"{found.leaves} of {found.leaves_max}, sharing {counted(found.files, 'file')}"),
        (
            "heirs",
            f"of {found.heirs} of them; {counted(found.copies, 'copy', 'copies')} kept for others",
        ),
        ("neighbours", f"{found.neighbours}{_named(found.sources)}"),
        (
            "queries",
            f"{found.queries_evaluated} evaluated, {found.queries_forwarded} forwarded, "
            f"{counted(found.searches, 'search', 'searches')} open",
        ),
        ("running", f"{time_text(found.uptime_s)}, {size_text(found.rss_bytes)} of memory"),
        ("version", found.version),
    ]


def _named(sources: dict[str, int]) -> str:
    """What the steps of the ladder brought."""
    from common.ladder import NAMES

    said = [f"{number} by {NAMES.get(step, step)}" for step, number in sources.items() if number]
    return f" (named: {', '.join(said)})" if said else ""


def _listing_options(command: Any) -> Any:
    command = click.option(
        "--limit",
        type=Whole(1),
        default=1000,
        show_default=True,
        help="So many rows at most.",
    )(command)
    return click.option("--sort", default="node", show_default=True, help="A key of the rows.")(
        command
    )


def _check_key(sort: str, keys: tuple[str, ...]) -> None:
    if sort not in keys:
        text = f"{sort!r} is none of {', '.join(keys)}"
        raise click.BadParameter(text, param_hint="--sort")


@cli.command()
@_listing_options
@global_options
@pass_invocation
def leaves(invocation: Invocation, sort: str, limit: int) -> None:
    """Our leaves."""
    from superpeer.methods import LeafRow, Listing

    _check_key(sort, LeafRow.__struct_fields__)
    with _calls(invocation) as calls:
        rows = calls.call(
            "superpeer.leaves", Listing(sort, limit), list[LeafRow], timeout_s=_within(invocation)
        )
    _print_rows(invocation, rows, LeafRow.__struct_fields__)


@cli.command()
@_listing_options
@global_options
@pass_invocation
def neighbours(invocation: Invocation, sort: str, limit: int) -> None:
    """The super-peers that we are linked to."""
    from superpeer.methods import Listing, NeighbourRow

    _check_key(sort, NeighbourRow.__struct_fields__)
    with _calls(invocation) as calls:
        rows = calls.call(
            "superpeer.neighbours",
            Listing(sort, limit),
            list[NeighbourRow],
            timeout_s=_within(invocation),
        )
    _print_rows(invocation, rows, NeighbourRow.__struct_fields__)


def _print_rows(invocation: Invocation, rows: Any, columns: tuple[str, ...]) -> None:
    output = invocation.output()
    if output.for_people:
        output.table(
            [name.removesuffix("_s") for name in columns],
            [[_cell(name, getattr(row, name)) for name in columns] for row in rows],
        )
    else:
        output.document(rows)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith("_s"):
        return time_text(value)
    return f"{size_text(value)}/s" if name.endswith("_rate") else str(value)


@cli.command()
@click.option("--dot", is_flag=True, help="As a Graphviz document; --json goes before.")
@global_options
@pass_invocation
def graph(invocation: Invocation, dot: bool) -> None:
    """The overlay as far as it is known here."""
    from superpeer.methods import Graph, Nothing

    output = invocation.output()
    with _calls(invocation) as calls:
        found = calls.call("superpeer.graph", Nothing(), Graph, timeout_s=_within(invocation))
    if dot and output.for_people:
        output.line("graph overlay {")
        for node in found.nodes:
            label = node.address if node.leaves is None else f"{node.address} ({node.leaves})"
            output.line(f'  "{node.node}" [label="{label}"];')
        for edge in found.edges:
            output.line(f'  "{edge.a}" -- "{edge.b}";')
        output.line("}")
    elif output.for_people:
        output.table(("node", "address", ">leaves", "neighbours"), _adjacency(found))
    else:
        output.document(found)


def _adjacency(found: "Graph") -> list[tuple[str, str, str, str]]:
    beside: dict[str, list[str]] = {node.node: [] for node in found.nodes}
    for edge in found.edges:
        beside.setdefault(edge.a, []).append(edge.b[:KEY_CHARS_SHOWN])
        beside.setdefault(edge.b, []).append(edge.a[:KEY_CHARS_SHOWN])
    return [
        (
            node.node[:KEY_CHARS_SHOWN],
            node.address,
            "-" if node.leaves is None else str(node.leaves),
            " ".join(beside[node.node]),
        )
        for node in found.nodes
    ]


@cli.command()
@click.argument("node", metavar="[NODE]", default="")
@global_options
@pass_invocation
def explain(invocation: Invocation, node: str) -> None:
    """Why a leaf becomes a super-peer or does not: all that counts, and who measured it.

    NODE is the key of one of our leaves; without it the best of them are shown.
    """
    from superpeer.commands.explain import print_explanation
    from superpeer.methods import Explain, Explanation

    output = invocation.output()
    with _calls(invocation) as calls:
        found = calls.call(
            "superpeer.explain", Explain(node), Explanation, timeout_s=_within(invocation)
        )
    if output.for_people:
        print_explanation(output, found)
    else:
        output.document(found)


@cli.command()
@click.option(
    "--grace",
    metavar="S",
    type=Number(0, 3600),
    default=5.0,
    show_default=True,
    help="Seconds that leaves have to go.",
)
@global_options
@pass_invocation
def drain(invocation: Invocation, grace: float) -> None:
    """Send the leaves elsewhere, then end the daemon."""
    _drain(invocation, grace)


@cli.command()
@global_options
@pass_invocation
def stop(invocation: Invocation) -> None:
    """The same as `drain --grace 5`."""
    _drain(invocation, 5.0)


def _drain(invocation: Invocation, grace_s: float) -> None:
    from superpeer.methods import Drain, Drained

    output = invocation.output()
    limit_s = _within(invocation, grace_s + STOP_S)
    with _calls(invocation) as calls:
        try:
            done = calls.call("superpeer.drain", Drain(grace_s), Drained, timeout_s=limit_s)
        except UserError as error:
            raise _undrained(calls, error) from error
        if not calls.wait_gone(limit_s):
            raise UserError(
                Exit.TIMED_OUT, "The super-peer is still ending.", "Look at its log, or wait."
            )
    if output.for_people:
        told = f"{counted(done.leaves, 'leaf has', 'leaves have')} another super-peer now"
        output.talk(f"Ended; {told}." if done.leaves else "Ended; no leaf was handed over.")
    else:
        output.document(done)


def _undrained(calls: "Calls", error: UserError) -> UserError:
    """Why a node is not drained: that of a leaf may play this role too, or not now."""
    from superpeer.methods import Nothing, Status

    if error.code is not Exit.USAGE:
        return error
    try:
        calls.call("superpeer.status", Nothing(), Status, timeout_s=ANSWER_S)
    except UserError as refused:
        return refused
    text = "This super-peer is a leaf too, and ends with it."
    return UserError(Exit.REFUSED, text, "`leaf stop` hands its leaves over and ends both.")


@cli.group("config")
@global_options
def config() -> None:
    """Settings."""


@config.command("show")
@click.option("--origin", is_flag=True, help="Where each value came from.")
@global_options
@pass_invocation
def config_show(invocation: Invocation, origin: bool) -> None:
    """All settings as `run` would have them now.

    A key may stand in the file or, in capitals and with __ for its dots, in the environment:
    SUPERPEER_CLUSTER__LEAVES_MAX is cluster.leaves_max; SUPERPEER_MAX_LEAVES, named after the
    flag, is the same.
    """
    from common.shell.desk.starting import show
    from superpeer.settings import SuperPeerOptions

    show(SuperPeerOptions, invocation, PROGRAM, origin=origin)


@cli.group()
@global_options
def pins() -> None:
    """Keys pinned for super-peers that were given without one."""


@pins.command("ls")
@global_options
@pass_invocation
def pins_ls(invocation: Invocation) -> None:
    """All pinned keys."""
    from common.shell.desk.pins import print_pins

    print_pins(invocation.home_of(PROGRAM), invocation.output())


@pins.command("reset")
@click.argument("place", metavar="HOST[:PORT]")
@global_options
@pass_invocation
def pins_reset(invocation: Invocation, place: str) -> None:
    """Forget the key of a super-peer, while this one is stopped."""
    from common.shell.desk.pins import forget_pin
    from common.shell.desk.resolve import place_of

    place = place_of(place)
    forget_pin(invocation.home_of(PROGRAM), place)
    output = invocation.output()
    if output.for_people:
        output.talk(f"{place} may have any key now; the next one met is pinned.")
    else:
        output.document({"place": place})


@cli.command()
@click.option("--join", "places", multiple=True, metavar="HOST[:PORT]", help="Can it be reached?")
@click.option("--network", default="public", show_default=True, help="To ask for there.")
@click.option("--network-key", metavar="FILE", help="Of that network; a ping cannot check it.")
@global_options
@pass_invocation
def doctor(
    invocation: Invocation, places: tuple[str, ...], network: str, network_key: str | None
) -> int:
    """What could keep this super-peer from working, and what to do about it."""
    from common.shell.desk.doctor import examine
    from common.shell.desk.settings import NodeOptions, network_of

    asked = network_of(NodeOptions(network_key=network_key or ""), network)
    return examine(invocation, PROGRAM, places, asked)


def main() -> NoReturn:
    """The entry point of the program."""
    sys.exit(run(cli, PROGRAM, sys.argv[1:]))
