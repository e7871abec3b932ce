"""The plot of `deploy.costs`: messages and bytes per search against the number of super-peers."""

import io
from collections.abc import Sequence
from typing import Any, Final, Protocol

FILES: Final = {"any": "-", "popular": ":", "single": "-", "absent": "--"}
COLOURS: Final = {"flood": "#444444", "ring": "#0b6bcb", "dynamic": "#d9480f"}
SIZE_INCHES: Final = (9.0, 4.0)


class Point(Protocol):
    """What is drawn of a row."""

    super_peers: int
    strategy: str
    files: str
    messages: float
    bytes: float
    upkeep_bytes: float


def svg(rows: Sequence[Point]) -> str:
    """Both panels as an SVG file without date. Needs matplotlib (extra `report`)."""
    import matplotlib
    from matplotlib.figure import Figure

    written = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        style: dict[Any, Any] = {"svg.hashsalt": "superpeer", "svg.fonttype": "none"}
        matplotlib.rcParams.update(style)
        figure = Figure(SIZE_INCHES, layout="constrained")
        left, right = figure.subplots(1, 2)
        _panel(left, rows, "messages per search", _messages)
        _panel(right, rows, "bytes per search, with upkeep", _bytes)
        left.legend(frameon=False, fontsize=8)
        bare = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=bare)
    return written.getvalue()


def _panel(axes: Any, rows: Sequence[Point], title: str, value: Any) -> None:
    for strategy, colour in COLOURS.items():
        for files, dashes in FILES.items():
            drawn = [row for row in rows if (row.strategy, row.files) == (strategy, files)]
            if drawn and (files != "any" or strategy == "flood"):
                name = strategy if strategy == "flood" else f"{strategy}, {files}"
                places = [(row.super_peers, max(value(row), 1)) for row in drawn]
                axes.plot(*zip(*places, strict=True), dashes, color=colour, marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="super-peers", title=title)
    axes.grid(alpha=0.2)


def _messages(row: Point) -> float:
    return row.messages


def _bytes(row: Point) -> float:
    return row.bytes + row.upkeep_bytes
