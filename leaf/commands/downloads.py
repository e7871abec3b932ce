"""`leaf downloads`, `pause`, `resume` and `rm`: what the daemon is fetching."""

from typing import TYPE_CHECKING

import click

from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import size_text, time_text
from leaf.commands.node import client

if TYPE_CHECKING:
    from leaf.methods import DownloadRow


@click.command()
@global_options
@pass_invocation
def downloads(invocation: Invocation) -> None:
    """All downloads, and why each is where it is."""
    with client(invocation) as leaf:
        rows = leaf.downloads()
    _print_downloads(invocation.output(), rows)


@click.command()
@click.argument("download", metavar="[ID]", default="")
@global_options
@pass_invocation
def pause(invocation: Invocation, download: str) -> None:
    """Pause one download, or all."""
    with client(invocation) as leaf:
        rows = leaf.pause(download)
    _print_downloads(invocation.output(), rows)


@click.command()
@click.argument("download", metavar="[ID]", default="")
@global_options
@pass_invocation
def resume(invocation: Invocation, download: str) -> None:
    """Go on with one download, or all."""
    with client(invocation) as leaf:
        rows = leaf.resume(download)
    _print_downloads(invocation.output(), rows)


@click.command()
@click.argument("download", metavar="ID")
@click.option("--delete-data", is_flag=True, help="Remove its unfinished part too.")
@global_options
@pass_invocation
def rm(invocation: Invocation, download: str, delete_data: bool) -> None:
    """Forget a download; a finished file always stays."""
    with client(invocation) as leaf:
        rows = leaf.remove(download, delete_data=delete_data)
    _print_downloads(invocation.output(), rows)


def _print_downloads(output: Output, rows: "list[DownloadRow]") -> None:
    if not output.for_people:
        output.document(rows)
        return
    output.table(
        ("state", ">done", ">of", ">rate", ">left", "path", "id", "reason"),
        [
            (
                row.state,
                size_text(row.done_bytes),
                size_text(row.size),
                f"{size_text(row.rate)}/s" if row.rate else "",
                "" if row.eta_s is None else time_text(row.eta_s),
                row.path,
                row.id,
                row.reason,
            )
            for row in rows
        ],
    )
