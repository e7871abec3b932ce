"""The five systems of the lecture books beside one another: `python -m deploy.lectures`.

Plain client-server, BitTorrent, Napster, flat Gnutella and Kazaa are scenarios with the same files
and the same wishes, run in virtual time. One table tells what a search costs, how much the busiest
node has to do, what is found, how long a crowd waits for one file, and what is left when one node
dies: the busiest, or the server.
"""

import argparse
import sys
from collections.abc import Sequence

import click
import msgspec

from common.errors import Exit
from deploy import columns, loading
from deploy.report import Tally, percentile
from deploy.sim.show import Show

SYSTEMS = ("client-server", "bittorrent", "napster", "gnutella-flat", "kazaa")


class Row(msgspec.Struct):
    """One system; shares are of 1, null where it has nothing of the kind."""

    system: str
    messages_per_search: float | None  # all of them, those between leaf and index too
    messages_per_download: float | None  # to find who has a file
    busiest_messages: int  # of all that nodes handled, by the one with most
    busiest_share: float
    busiest_upload_bytes: int
    recall: float | None
    downloads: float | None
    crowd_s: float | None  # until the last of a crowd had one file
    recall_after: float | None  # when one node is dead
    downloads_after: float | None
    violations: int


def row(system: str) -> Row:
    """Run one system."""
    show = Show(loading.load(system))
    report = show.run()
    tallies = show.acts.tallies
    load = show.load
    busiest = max(load.by_host.values(), default=0)
    after = tallies[-1][1]
    crowd = next((tally for phase, tally in tallies if phase.crowd), Tally())
    return Row(
        system=system,
        messages_per_search=_per(load.searching, report.searches),
        messages_per_download=_per(load.locating, report.downloads),
        busiest_messages=busiest,
        busiest_share=round(busiest / max(sum(load.by_host.values()), 1), 3),
        busiest_upload_bytes=max(load.data_by_host.values(), default=0),
        recall=report.recall,
        downloads=_per(report.downloads_complete, report.downloads),
        crowd_s=percentile(crowd.fetch_s, 100),
        recall_after=after.recall,
        downloads_after=_per(after.downloads_complete, after.downloads),
        violations=report.violations,
    )


def _per(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


COLUMNS = (
    ("system", "system"),
    ("messages_per_search", "messages/search"),
    ("messages_per_download", "messages/locate"),
    ("busiest_messages", "busiest node"),
    ("busiest_share", "its share"),
    ("busiest_upload_bytes", "most uploaded"),
    ("recall", "recall"),
    ("downloads", "fetched"),
    ("crowd_s", "crowd of 30"),
    ("recall_after", "recall after"),
    ("downloads_after", "fetched after"),
)


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    cells = [[title for _, title in COLUMNS]]
    cells += [[_told(key, getattr(each, key)) for key, _ in COLUMNS] for each in rows]
    return columns.table(cells)


def _told(key: str, value: object) -> str:
    if value is None:
        return "-"
    if key == "busiest_upload_bytes" and isinstance(value, int):
        return f"{value / 1e6:.1f} MB"
    if key == "crowd_s":
        return f"{value:.2f} s"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all five and print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.lectures", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    rows = []
    for system in SYSTEMS:
        click.echo(f"running {system} ...", err=True)
        rows.append(row(system))
    click.echo(msgspec.json.encode(rows).decode() if options.json else table(rows))
    bad = [each.system for each in rows if each.violations]
    if bad:
        click.echo(f"there were violations in {', '.join(bad)}", err=True)
    return Exit.UNEXPECTED if bad else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
