"""The program `leaf`: its commands, and `run`, the daemon that they ask.

Flags of `run` are settings that go before environment and file; one that was not given says
nothing. What a flag means stands in `common.shell.desk.settings` and `common.config`.
"""

import sys
from typing import Any, Final, NoReturn

import click

from common.shell.desk.options import (
    CONTEXT,
    Invocation,
    Whole,
    global_options,
    node_options,
    pass_invocation,
    run,
)
from leaf.commands.downloads import downloads, pause, resume, rm
from leaf.commands.export import export
from leaf.commands.getting import get
from leaf.commands.identify import identify
from leaf.commands.limits import limit
from leaf.commands.node import pins, status, stop
from leaf.commands.searching import search
from leaf.commands.sharing import ls, share, unshare
from leaf.commands.tracing import trace
from leaf.commands.why import why
from leaf.commands.wishes import wish

PROGRAM: Final = "leaf"


@click.group(context_settings=CONTEXT)
@global_options
def cli() -> None:
    """Share folders, search the network and fetch files from many machines at once."""


@cli.command("run")
@click.option("--super", multiple=True, metavar="HOST[:PORT][/KEY]", help="First choice first.")
@click.option("--share", multiple=True, metavar="PATH", help="For this run only.")
@click.option("--downloads", metavar="DIR", help="Where fetched files go.")
@click.option("--up", metavar="RATE", help="At most so much a second, as 500k, 20mbit or none.")
@click.option("--down", metavar="RATE", help="As --up. `leaf limit` sets both for good.")
@click.option("--slots", type=Whole(1, 1000), metavar="N", help="Leaves served at once.")
@click.option(
    "--http", metavar="HOST:PORT", help="Serve files to whoever asks for them there by their root."
)
@click.option("--no-promote", is_flag=True, help="Never become a super-peer.")
@node_options
@global_options
@pass_invocation
def run_leaf(invocation: Invocation, /, **flags: Any) -> int:
    """Run the leaf in the foreground; prints `READY {json}` once it serves.

    It runs until it is told to stop; --timeout, for commands that wait, says nothing here.
    """
    from leaf.assembly import serve

    return serve(invocation, _settings(flags))


def _settings(flags: dict[str, Any]) -> dict[str, object]:
    """Flags as settings; what was not given is None."""
    renamed = dict(flags)
    renamed["swarm.upload_slots"] = renamed.pop("slots", None)
    renamed["promote"] = False if renamed.pop("no_promote", False) else None
    for several in ("super", "share"):
        renamed[several] = renamed.get(several) or None
    return renamed


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
    LEAF_SWARM__UPLOAD_SLOTS is swarm.upload_slots; LEAF_SLOTS, named after the flag, is the same.
    """
    from common.shell.desk.starting import show
    from leaf.settings import LeafOptions

    show(LeafOptions, invocation, PROGRAM, origin=origin)


@cli.command()
@click.option("--super", "places", multiple=True, metavar="HOST[:PORT]", help="Can it be reached?")
@click.option("--network", default="public", show_default=True, help="To ask for there.")
@click.option("--network-key", metavar="FILE", help="Of that network; a ping cannot check it.")
@global_options
@pass_invocation
def doctor(
    invocation: Invocation, places: tuple[str, ...], network: str, network_key: str | None
) -> int:
    """What could keep this leaf from working, and what to do about it."""
    from common.shell.desk.doctor import examine
    from common.shell.desk.settings import NodeOptions, network_of

    asked = network_of(NodeOptions(network_key=network_key or ""), network)
    return examine(invocation, PROGRAM, places, asked)


for command in (
    status,
    stop,
    pins,
    share,
    unshare,
    ls,
    identify,
    export,
    search,
    get,
    downloads,
    pause,
    resume,
    rm,
    trace,
    why,
    wish,
    limit,
):
    cli.add_command(command)


def main() -> NoReturn:
    """The entry point of the program."""
    sys.exit(run(cli, PROGRAM, sys.argv[1:]))
