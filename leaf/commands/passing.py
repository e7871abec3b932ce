"""What commands say and do that can go without a daemon: by a leaf that comes and goes."""

from typing import TYPE_CHECKING, Any

import click

from common.errors import UserError
from common.shell.desk.options import Invocation
from leaf.commands.node import PROGRAM, client, with_doubt

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaf.client import LeafClient


def passing_options(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Flags of the commands that can do without a daemon."""
    for option in (
        click.option("--network-key", metavar="FILE", help="With --super: its network's key."),
        click.option("--network", metavar="NAME", help="With --super: its network."),
        click.option(
            "--super",
            "supers",
            multiple=True,
            metavar="HOST[:PORT][/KEY]",
            help="Where no daemon runs: ask there, with a passing identity.",
        ),
    ):
        command = option(command)
    return command


def passing_by(
    invocation: Invocation, supers: tuple[str, ...], network: str | None, network_key: str | None
) -> "dict[str, object] | None":
    """The settings of a passing leaf; None where the daemon of this home is to do it."""
    if not supers:
        return None
    from common.shell.desk.home import holder

    if holder(invocation.home_of(PROGRAM)) is not None:
        invocation.output().talk("Warning: a leaf runs in this home, so --super is ignored.")
        return None
    from common.shell.desk.pins import with_pins

    supers = with_pins(invocation.home_of(PROGRAM), supers)
    return {"super": supers, "network": network, "network_key": network_key}


def done_by(
    invocation: Invocation,
    work: "Callable[[LeafClient], Any]",
    passing: "dict[str, object] | None",
) -> Any:
    """What `work` gives, asked of the daemon or of a passing leaf."""
    try:
        if passing is None:
            with client(invocation) as leaf:
                return work(leaf)
        from leaf.assembly import pass_through

        return pass_through(invocation, passing, work)
    except UserError as error:
        raise UserError(error.code, with_doubt(error.message), error.hint) from error
