"""What a search costs: `python -m deploy.costs [--sizes 10,100,1000] [--svg FILE]`.

The scenario `search-costs` in virtual time: each strategy looks for popular files (100 copies and
more; 8 hits are enough), for files with a single copy, and for words that no file has together. The
flood is the baseline. What keeps the overlay and its digests is charged as well: all that
super-peers told one another while every leaf came and published, once for each leaf, as if it
searched once while it is there.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import msgspec

from common.errors import Exit
from deploy import columns, costplot, loading
from deploy.report import percentile
from deploy.scenario import Phase, Scenario
from deploy.sim.show import Show
from deploy.sim.traffic import Traffic

SCENARIO: Final = "search-costs"
DEGREE: Final = 12
FLOODED: Final = 1_000  # super-peers; in larger networks fewer searches go everywhere


class Cost(msgspec.Struct):
    """One strategy looking for one kind of file, on average over its searches."""

    super_peers: int
    strategy: str
    files: str
    searches: int
    found: float | None  # of the hits that were there and wanted
    messages: float  # between super-peers
    of_flood: float | None  # as a share of the flood's
    bytes: float
    upkeep_bytes: float  # of digests and neighbourhoods, beside
    first_hit_p99_s: float | None
    done_p99_s: float | None


class _Marks:
    """A watcher's counts at the beginning of each phase."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.seen: list[tuple[int, int, int]] = []

    def take(self, _phase: Phase | None = None) -> None:
        """Note the counts as they are."""
        counts = self.traffic
        self.seen.append(
            (counts.messages["search"], counts.bytes["search"], counts.bytes["upkeep"])
        )


def costs(scenario: Scenario) -> list[Cost]:
    """Run it, and tell phase by phase. Raises ValueError where it shows what must never be."""
    marks = _Marks()
    show = Show(scenario, lambda text: click.echo(text, err=True), marks.take)
    show.stage.world.watch([marks.traffic])
    report = show.run()
    if report.violations:
        raise ValueError(f"{report.violations} violations, first: {show.tally.violations[0]}")
    marks.take()
    upkeep = marks.seen[-1][2] / max(scenario.leaves, 1)
    told: list[Cost] = []
    spans = pairwise(marks.seen)
    for (phase, tally), (before, after) in zip(show.acts.tallies, spans, strict=True):
        messages, sent = (after[at] - before[at] for at in (0, 1))
        told.append(
            Cost(
                super_peers=scenario.super_peers,
                strategy=phase.strategy,
                files=phase.files,
                searches=tally.searches,
                found=round(tally.hits / tally.hits_due, 4) if tally.hits_due else None,
                messages=round(messages / tally.searches, 1),
                of_flood=None,
                bytes=round(sent / tally.searches),
                upkeep_bytes=0.0 if phase.strategy == "flood" else round(upkeep),
                first_hit_p99_s=percentile(tally.first_hit_s, 99),
                done_p99_s=percentile(tally.done_s, 99),
            )
        )
    flood = next((each.messages for each in told if each.strategy == "flood"), 0)
    for each in told:
        each.of_flood = round(each.messages / flood, 5) if flood else None
    return told


def sized(scenario: Scenario, super_peers: int, leaves: int) -> Scenario:
    """The same with so many super-peers and leaves, and files in proportion."""
    phases = tuple(_rarer(phase, super_peers) for phase in scenario.phases)
    files = scenario.content.files * leaves // scenario.leaves
    copies = min(scenario.content.copies, leaves // 2)
    return msgspec.structs.replace(
        scenario,
        super_peers=super_peers,
        leaves=leaves,
        phases=phases,
        content=msgspec.structs.replace(scenario.content, files=files, copies=copies),
        overlay=msgspec.structs.replace(scenario.overlay, degree=min(DEGREE, super_peers - 1)),
    )


def _rarer(phase: Phase, super_peers: int) -> Phase:
    """What goes everywhere costs in a large network as much as many times in a small one, and all
    are alike."""
    goes_everywhere = phase.strategy == "flood" or phase.files == "any"
    if not goes_everywhere or super_peers <= FLOODED:
        return phase
    searches = max(phase.searches * FLOODED // super_peers, 1)
    return msgspec.structs.replace(phase, searches=searches)


COLUMNS: Final = (
    ("super_peers", "super-peers"),
    ("strategy", "strategy"),
    ("files", "files"),
    ("searches", "searches"),
    ("found", "found"),
    ("messages", "messages"),
    ("of_flood", "of flood"),
    ("bytes", "bytes"),
    ("upkeep_bytes", "upkeep"),
    ("first_hit_p99_s", "first hit p99"),
    ("done_p99_s", "done p99"),
)


def table(rows: Sequence[Cost]) -> str:
    """The rows as text."""
    cells = [[title for _, title in COLUMNS]]
    cells += [[_told(key, getattr(each, key)) for key, _ in COLUMNS] for each in rows]
    return columns.table(cells)


def _told(key: str, value: object) -> str:
    if value is None:
        return "-"
    if key == "of_flood" and isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all sizes, print the table, draw the plot; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.costs", description=__doc__)
    parser.add_argument("--sizes", default="1000", help="numbers of super-peers, with commas")
    parser.add_argument("--leaves-per-super-peer", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--svg", type=Path, help="draw messages and bytes over the size")
    options = parser.parse_args(arguments)
    asked = loading.load(SCENARIO)
    rows: list[Cost] = []
    for size in map(int, options.sizes.split(",")):
        click.echo(f"{size} super-peers ...", err=True)
        rows += costs(sized(asked, size, size * options.leaves_per_super_peer))
    click.echo(msgspec.json.encode(rows).decode() if options.json else table(rows))
    if options.svg is not None:
        options.svg.write_text(costplot.svg(rows))
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
