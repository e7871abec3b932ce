"""`leaf trace`: which way a search went that was asked for with `--trace`."""

from typing import TYPE_CHECKING

import click

from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, time_text
from leaf.commands.node import client

if TYPE_CHECKING:
    from leaf.methods import HopRow


@click.command()
@click.argument("search", metavar="[ID]", default="")
@global_options
@pass_invocation
def trace(invocation: Invocation, search: str) -> None:
    """Which way a search went, by its id; without one the last that was traced."""
    with client(invocation) as leaf:
        found = leaf.trace(search)
    output = invocation.output()
    if output.for_people:
        print_hops(output, found.hops)
    else:
        output.document(found)


def print_hops(output: Output, hops: "list[HopRow]") -> None:
    """The tree, each super-peer under the one that asked it."""
    for hop in hops:
        output.line(f"{'  ' * hop.depth}{hop.node}  {_told(hop)}")
    if any(hop.hits for hop in hops):
        output.talk(
            "Here each leaf's copy counts; a hit of the search is all copies of one content."
        )


def _told(hop: "HopRow") -> str:
    if hop.outcome == "ruled out":
        return "ruled out by its digest"
    parts = [hop.outcome] if hop.outcome != "answered" else []
    if hop.outcome in ("answered", "lost"):
        parts += [counted(hop.hits, "copy", "copies"), counted(hop.messages, "message")]
    if hop.outcome != "left out":
        parts.append(time_text(hop.elapsed_s))
    if hop.cut:
        parts.append(f"{hop.cut} more behind it")
    return ", ".join(parts)
