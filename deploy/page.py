"""A report as one HTML page: all figures with their baseline beside them, and the plots of the run.

The page stands alone: no script, no font, image or style from elsewhere, so it can be mailed, kept
and opened in ten years. It follows the reader's light or dark mode, fits a phone and prints. What
a scenario calls itself is text here and never markup. What the plots show is `deploy.plots`.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from deploy import plots, saved
from deploy.plots import Plot
from deploy.report import Report
from deploy.saved import Row
from deploy.series import Series

# Told on top where a run knows them; the table has all.
_GLANCE: Final = {
    "recall": "recall",
    "coverage": "coverage",
    "first_hit_p50_s": "to the first answer, p50",
    "first_hit_p99_s": "to the first answer, p99",
    "messages_per_query": "messages per query",
    "failover_p99_s": "failover, p99",
}

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1d1f23; --soft: #5d636d; --rule: #e3e3de;
  --first: #2563a8; --second: #c2571a; --past: #8b919b; --good: #17703d; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --ink: #e6e7e9; --soft: #9aa1ab; --rule: #2d3138;
    --first: #6ea8e8; --second: #f0955a; --past: #7d848f; --good: #6cc48d; --bad: #f28b82;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
p { margin: 0; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 1rem; font-size: 1.15rem; font-weight: 600; }
h3 { margin: 0; font-size: 1rem; font-weight: 600; }
.soft, figcaption, .glance dt, th, .missing { color: var(--soft); }
.lead { margin-top: .5rem; overflow-wrap: anywhere; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.glance {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1.25rem;
  margin: 2rem 0 0; padding: 1.25rem 0; border: solid var(--rule); border-width: 1px 0;
}
.glance div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.glance dt, figcaption, .missing { font-size: .85rem; }
.glance dd { margin: 0; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.glance small { display: block; font-size: .8rem; }
.plots {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 2.5rem 2rem;
}
figure { margin: 0; break-inside: avoid; }
svg { display: block; width: 100%; height: auto; margin: .5rem 0; overflow: visible; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-variant-numeric: tabular-nums; }
.key { display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: .25rem 0 0; font-size: .85rem; }
.key span::before {
  content: ""; display: inline-block; width: .7em; height: .7em; margin-right: .45em;
  border-radius: 50%; background: currentColor; print-color-adjust: exact;
}
.key b { font-weight: 400; color: var(--ink); }
.first { color: var(--first); }
.second { color: var(--second); }
.past { color: var(--past); }
.missing { margin-top: 1.5rem; }
.wide { overflow-x: auto; }
table { width: 100%; max-width: 34rem; border-collapse: collapse; font-size: .95rem; }
table.compared { max-width: 52rem; }
th, td { padding: .35rem 0 .35rem 1rem; border-bottom: 1px solid var(--rule); text-align: right; }
th { font-weight: 400; font-size: .85rem; white-space: nowrap; }
th:first-child { padding-left: 0; text-align: left; }
td { font-variant-numeric: tabular-nums; }
tbody th { color: inherit; font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
td.long { word-break: break-all; }
td:last-child { white-space: nowrap; }
@media (max-width: 34rem) {
  body { padding: 1.75rem 1rem 3rem; }
  h1 { font-size: 1.6rem; }
  table { font-size: .75rem; }
  th { font-size: .68rem; }
  td.long { font-size: .68rem; }
  td:last-child { white-space: normal; }
  th, td { padding-left: .4rem; }
}
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc;
    --first: #2563a8; --second: #c2571a; --past: #777; --good: #17703d; --bad: #b3261e;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .plots { grid-template-columns: 1fr 1fr; }
  h2 { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""

_COLOUR: Final = {"better": "good", "worse": "bad", "": "soft"}
LONG: Final = 16  # characters, from which on a value is set small and may break anywhere


def page(report: Report, series: Series, baseline: tuple[Report, Series] | None) -> str:
    """The whole page; the same run gives the same page. Raises UserError without matplotlib."""
    before, behind = baseline or (None, None)
    rows = saved.rows(report, before)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.scenario)}: report of a run</title>",
        f"<style>{_STYLE}</style></head>",
        "<body>",
        *_head(report, before),
        *_glance(rows),
        *_plots(plots.draw(series, behind)),
        *_table(rows, compared=before is not None),
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _head(report: Report, before: Report | None) -> list[str]:
    verdict = "no violations"
    if report.violations:
        verdict = f"{report.violations:,} violation{'s' if report.violations > 1 else ''}"
    colour = "bad" if report.violations else "good"
    nodes = f"{report.super_peers:,} super-peers and {report.leaves:,} leaves"
    told = [
        "<header>",
        f"<h1>{escape(report.scenario)}</h1>",
        f'<p class="lead">{nodes}, {escape(report.world)}, seed {report.seed}: '
        f'<strong class="{colour}">{verdict}</strong></p>',
    ]
    if before is not None:
        run = f"{before.scenario}, {before.world}, seed {before.seed}"
        told.append(f'<p class="soft">Baseline: {escape(run)}</p>')
    return [*told, "</header>"]


def _glance(rows: Sequence[Row]) -> list[str]:
    """The few figures to look at first."""
    known = {row.key: row for row in rows if row.now != saved.NULL}
    told = [
        f"<div><dt>{words}</dt><dd>{escape(known[key].now)}{_change(known[key])}</dd></div>"
        for key, words in _GLANCE.items()
        if key in known
    ]
    return ['<dl class="glance">', *told, "</dl>"] if told else []


def _change(row: Row) -> str:
    """What changed since the baseline, below a figure."""
    if row.change in ("", "=", saved.NULL):
        return ""
    return f' <small class="{_COLOUR[row.verdict]}">{_moved(row)}</small>'


def _moved(row: Row) -> str:
    """With signs and spaces as print has them; the verdict is told by words, not colour alone."""
    change = row.change.replace("-", "\N{MINUS SIGN}").replace(" ", "\N{NO-BREAK SPACE}")
    return escape(f"{change} {row.verdict}".strip())


def _plots(drawn: Sequence[Plot]) -> list[str]:
    """The plots that there are, then why the others are not there."""
    told = ["<h2>What happened</h2>"]
    if shown := [plot for plot in drawn if plot.svg]:
        told += ['<div class="plots">', *map(_figure, shown), "</div>"]
    if missing := [f"{plot.title}: {plot.sentence}" for plot in drawn if not plot.svg]:
        told.append(f'<p class="missing">Not drawn. {escape(" ".join(missing))}</p>')
    return told


def _figure(plot: Plot) -> str:
    keys = "".join(f'<span class="{kind}"><b>{escape(w)}</b></span>' for kind, w in plot.keys)
    return (
        f'<figure><h3>{escape(plot.title)}</h3><p class="key">{keys}</p>\n{_inline(plot)}\n'
        f"<figcaption>{escape(plot.sentence)}</figcaption></figure>"
    )


def _inline(plot: Plot) -> str:
    """A plot's SVG file as an element of the page: its text, colours and identifiers are ours."""
    name = re.sub(r"\W+", "-", plot.title.lower())
    svg = plot.svg[plot.svg.index("<svg") :].strip()
    head, _, rest = re.sub(r"<style.*?</style>", "", svg, count=1, flags=re.DOTALL).partition(">")
    size = re.search(r'viewBox="[^"]*"', head)
    drawn = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', rest)
    drawn = re.sub(r'(href="|url\()#', rf"\1#{name}-", drawn)
    drawn = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", drawn)
    drawn = re.sub(r"font-size: ([\d.]+px); font-family: [^;\"]*", r"font-size: \1", drawn)
    for stand_in, colour in plots.COLOURS.items():
        drawn = drawn.replace(stand_in, colour)
    return f'<svg role="img" aria-label="{escape(plot.title)}" {size[0] if size else ""}>{drawn}'


def _table(rows: Sequence[Row], *, compared: bool) -> list[str]:
    """Every figure of the report by the name that scripts know it by."""
    head = ("figure", "this run", "baseline", "change") if compared else ("figure", "this run")
    titles = "".join(f'<th scope="col">{name}</th>' for name in head)
    told = [
        "<h2>All figures</h2>",
        '<div class="wide"><table class="compared">' if compared else '<div class="wide"><table>',
        f"<thead><tr>{titles}</tr></thead>",
        "<tbody>",
    ]
    for row in rows:
        cells = _cell(row.now)
        if compared:
            cells += _cell(row.baseline)
            cells += f'<td class="{_COLOUR[row.verdict]}">{_moved(row)}</td>'
        told.append(f'<tr><th scope="row">{escape(row.key)}</th>{cells}</tr>')
    return [*told, "</tbody>", "</table></div>"]


def _cell(text: str) -> str:
    kind = ' class="long"' if len(text) > LONG else ""
    return f"<td{kind}>{escape(text)}</td>"
