"""Runs of `tests.bench.hierarchy` beside one another: our controller and fixed thresholds.

    python -m tests.bench.hierarchy --nodes 100 --rules RULES --save FILE   (for each of the rules)
    python -m tests.bench.rules FILE ... [--svg deploy/rules.svg]

Prints the table, in Markdown. The plot shows over time the leaves per super-peer with the band of
15 % around the target, how unevenly super-peers are used, and which part of the capacity x expected
remaining time of the best as many nodes the promoted hold.
"""

import argparse
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.hierarchy import BAND

SIZE_INCHES: Final = (11.0, 3.6)
COLOURS: Final = {"ours": "#0b6bcb", "limewire": "#d9480f", "gtk-gnutella": "#444444"}
Run = dict[str, Any]


def table(runs: Sequence[Run]) -> str:
    """One column for each run."""
    rows: list[tuple[str, Callable[[Run], str]]] = [
        ("nodes, seed", lambda run: f"{run['nodes']}, {run['seed']}"),
        ("super-peers and leaves, grown", lambda run: _pair(run["grown"])),
        ("... halved, doubled", lambda run: f"{_pair(run['halved'])}; {_pair(run['doubled'])}"),
        ("in the band after: down, s", lambda run: _text(run["down_within_s"])),
        ("... up, s", lambda run: _text(run["up_within_s"])),
        ("p95 / p50: grown, halved, doubled", _evenness),
        ("held of what can be known, before", lambda run: _held(run, "expected")),
        ("... of the true future", lambda run: _held(run, "future")),
        ("role changes per node and 30 min", _flips),
        ("events", lambda run: f"{run['events']:,}"),
    ]
    lines = ["| | " + " | ".join(run["rules"] for run in runs) + " |"]
    lines.append("|---" * (len(runs) + 1) + "|")
    lines += [f"| {name} | " + " | ".join(of(run) for run in runs) + " |" for name, of in rows]
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "never" if value is None else f"{value:g}"


def _pair(pair: Sequence[int]) -> str:
    return f"{pair[0]} and {pair[1]}"


def _evenness(run: Run) -> str:
    keys = ("p95_by_p50", "p95_by_p50_halved", "p95_by_p50_doubled")
    return ", ".join("none" if run[key] is None else f"{run[key]:.2f}" for key in keys)


def _held(run: Run, of: str) -> str:
    value = run["held_by_promoted_before_shocks"][of]
    return "none" if value is None else f"{value:.2f}"


def _flips(run: Run) -> str:
    found = run["role_changes_per_node_30min"]
    return f"{found['mean']:.2f}, of one {found['most']:g}"


def svg(runs: Sequence[Run]) -> str:
    """The three panels as an SVG file without date. Needs matplotlib (extra `report`)."""
    import matplotlib
    from matplotlib.figure import Figure

    written = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "superpeer", "svg.fonttype": "none"})
        figure = Figure(SIZE_INCHES, layout="constrained")
        loads, even, held = figure.subplots(1, 3)
        for run in runs:
            colour, name = COLOURS[run["rules"]], f"{run['rules']}, {run['nodes']:,} nodes"
            points = [(at / 60, leaves / supers) for at, supers, leaves in run["samples"] if supers]
            loads.plot(*zip(*points, strict=True), color=colour, linewidth=1, label=name)
            for axes, column in ((even, 1), (held, 2)):
                known = [(one[0] / 60, one[column]) for one in run["course"] if one[column]]
                if known:
                    axes.plot(*zip(*known, strict=True), color=colour, linewidth=1)
        target = runs[0]["target"]
        loads.axhspan(target * (1 - BAND), target * (1 + BAND), alpha=0.15, color="#2b8a3e")
        loads.set(yscale="log", title="leaves per super-peer")
        even.axhline(1.5, color="#2b8a3e", linewidth=0.8, linestyle="--")
        even.set(title="use of super-peers, p95 / p50", ylim=(0.9, 4.0))
        held.set(title="held of what can be known", ylim=(0.0, 1.05))
        loads.legend(frameon=False, fontsize=8)
        for axes in (loads, even, held):
            axes.set_xlabel("minutes")
            axes.grid(alpha=0.2)
        bare = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=bare)
    return written.getvalue()


def main() -> None:
    """See the top."""
    parser = argparse.ArgumentParser(description="Rules beside one another.")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--svg", type=Path)
    asked = parser.parse_args()
    runs = [json.loads(each.read_text()) for each in asked.files]
    print(table(runs))
    if asked.svg is not None:
        asked.svg.write_text(svg(runs))


if __name__ == "__main__":
    main()
