"""The plots of a page: what is drawn of a run's samples, and the sentence where nothing can be.

Colours are stand-ins that the page replaces by its own, so that one drawing suits light and dark.
The same samples give the same bytes, whatever a user's settings of matplotlib are; it is imported
when something is drawn and never before.
"""

import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from common.errors import Exit, UserError
from deploy import saved
from deploy.report import percentile
from deploy.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES: Final = (5.2, 3.0)  # small, so that text is still readable on a phone
POINTS_MAX: Final = 300  # of a curve: more than it is pixels wide says nothing more
DOTS_MAX: Final = 1200  # of a scatter
DOTS_LARGE_MAX: Final = 60  # more are drawn smaller
BARS_MAX: Final = 60  # with gaps between them; more become one outline
WIDE: Final = 50  # from such a ratio of largest to smallest on, an axis is logarithmic
FLOOR_S: Final = 1e-6  # what was faster stands at the left edge of a logarithmic axis

INK, FIRST, SECOND, PAST = "#010101", "#010102", "#010103", "#010104"
COLOURS: Final = {  # what the page puts in their place
    INK: "currentColor",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    PAST: "var(--past)",
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "superpeer",
    "font.size": 10.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
}


class Plot(NamedTuple):
    """A plot, or with an empty `svg` the sentence that says why there is none."""

    title: str
    sentence: str
    svg: str = ""
    keys: tuple[tuple[str, str], ...] = ()  # the page's class of a colour, and what has it


Points = Sequence[tuple[int, float]]


class Curve(NamedTuple):
    """Samples that are drawn alike."""

    name: str
    colour: str
    values: Sequence[float]


def require() -> None:
    """Raises UserError where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401  # asked for here, used by `_svg`
    except ImportError as error:
        raise UserError(
            Exit.USAGE,
            "a page needs matplotlib, which is not there",
            ".venv/bin/pip install -e '.[report]'",
        ) from error


def draw(series: Series, baseline: Series | None) -> list[Plot]:
    """All plots of a run, the baseline's curves behind where there is one. Raises UserError."""
    require()
    past = baseline or Series()
    return [
        _latency(series, past),
        _coverage(series, past),
        _costs(series, past),
        _traffic(series, past),
        _failover(series, past),
        _spread("Load", "messages", series.load, past.load),
        _spread("Leaves", "leaves", series.leaves_per_super_peer, past.leaves_per_super_peer),
    ]


# --- distributions of times ---------------------------------------------------------------------


def _latency(series: Series, past: Series) -> Plot:
    title = "Search latency"
    curves = [
        Curve("first answer", FIRST, series.first_hit_s),
        Curve("last answer", SECOND, series.search_s),
    ]
    behind = [Curve("", PAST, past.first_hit_s), Curve("", PAST, past.search_s)]
    if not any(curve.values for curve in curves):
        return Plot(title, "no search was timed.")
    sentence = "Share of searches that had their answer by then; dots mark p50 and p99."
    return _shares_over_time(title, sentence, curves, behind, log=True)


def _failover(series: Series, past: Series) -> Plot:
    title = "Failover"
    curves = [Curve("new parent", FIRST, series.failover_s)]
    if not series.failover_s:
        return Plot(title, "no leaf lost its parent, or the time until it had another is unknown.")
    moved = _count(len(series.failover_s), "leaf", "leaves")
    sentence = f"Share of {moved} that had another parent by then; dots mark p50 and p99."
    behind = [Curve("", PAST, past.failover_s)]
    return _shares_over_time(title, sentence, curves, behind, log=False)


def _shares_over_time(
    title: str, sentence: str, curves: list[Curve], behind: list[Curve], *, log: bool
) -> Plot:
    """Cumulative shares, in percent, over seconds."""
    curves = [curve for curve in curves if curve.values]
    behind = [curve for curve in behind if curve.values]
    every = [value for curve in (*curves, *behind) for value in curve.values]
    least = min((value for value in every if value > FLOOR_S), default=FLOOR_S)
    most = max(*every, least)
    left, right = (least * 0.8, most * 1.25) if log else (0.0, most * 1.06)

    def paint(axes: "Axes") -> None:
        axes.set_xscale("log" if log else "linear")
        axes.set_xlim(left, right)
        axes.set_ylim(0, 103)
        axes.set_yticks((0, 25, 50, 75, 100), ("0 %", "25 %", "50 %", "75 %", "100 %"))
        for curve in (*behind, *curves):
            ordered = [max(value, left) for value in sorted(curve.values)]
            _step(axes, curve.colour, ordered, left, right)
        for curve in curves:
            for percent in (50, 99):
                at = max(percentile(curve.values, percent) or 0.0, left)
                axes.plot([at], [percent], "o", color=curve.colour, markersize=5)
        _time_axis(axes, log=log)

    kinds = {FIRST: "first", SECOND: "second"}
    keys = [(kinds[c.colour], f"{c.name}: {_marks(c.values)}") for c in curves]
    return Plot(title, sentence, _svg(paint), _with_past(keys, behind))


def _step(axes: "Axes", colour: str, ordered: list[float], left: float, right: float) -> None:
    picked = _picked(len(ordered), POINTS_MAX)
    places = [left, *(ordered[index] for index in picked), right]
    shares = [0.0, *((index + 1) / len(ordered) * 100 for index in picked), 100.0]
    axes.step(places, shares, where="post", color=colour, **_line(colour))


def _time_axis(axes: "Axes", *, log: bool) -> None:
    """Ticks read as times; a logarithmic axis over few decades has some between them as well."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if log:
        left, right = axes.get_xlim()
        between = (1.0, 2.0, 5.0) if math.log10(right / left) < 2.5 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=between, numticks=12))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: saved.seconds(value)))


def _marks(values: Sequence[float]) -> str:
    p50, p99 = percentile(values, 50) or 0.0, percentile(values, 99) or 0.0
    return f"p50 {saved.seconds(p50)}, p99 {saved.seconds(p99)}"


# --- what searches reach and cost ---------------------------------------------------------------


def _coverage(series: Series, past: Series) -> Plot:
    title = "Coverage"
    if not series.coverage:
        return Plot(title, "what searches reached is unknown.")
    whole = sum(value >= 1 for value in series.coverage)
    sentence = (
        f"{whole:,} of {_count(len(series.coverage), 'search', 'searches')} reached every "
        f"super-peer within reach; the least was {saved.share(min(series.coverage))}."
    )

    def paint(axes: "Axes") -> None:
        edges = [number / 20 for number in range(21)]
        for values, colour in ((series.coverage, FIRST), (past.coverage, PAST)):
            if values:
                held = [min(max(value, 0.0), 1.0) for value in values]
                weights = [100 / len(held)] * len(held)
                solid = {"rwidth": 0.85} if colour == FIRST else {"histtype": "step", "ls": "--"}
                axes.hist(held, edges, weights=weights, color=colour, **solid)
        axes.set_xlim(-0.01, 1.01)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("reached, of the super-peers within reach")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f} %")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")

    keys = [("first", "share of searches")]
    return Plot(title, sentence, _svg(paint), _with_past(keys, [past.coverage]))


def _costs(series: Series, past: Series) -> Plot:
    sweep = [(size, messages) for size, messages, _ in series.sizes]
    before = [(size, messages) for size, messages, _ in past.sizes]
    return _by_size("Messages per query", series.costs, sweep, before)


def _traffic(series: Series, past: Series) -> Plot:
    sweep = [(size, volume) for size, _, volume in series.sizes]
    before = [(size, volume) for size, _, volume in past.sizes]
    return _by_size("Bytes per query", [], sweep, before)


def _by_size(title: str, costs: list[tuple[int, int]], sweep: Points, before: Points) -> Plot:
    """What queries cost against how many super-peers they reached, or there are."""
    if not costs and not sweep:
        return Plot(title, "the run did not measure it.")
    told, keys = [], []
    if costs:
        told.append(f"{_count(len(costs), 'search', 'searches')}; a larger dot is many.")
        keys.append(("first", "one search"))
    if sweep:
        told.append("Line: the average in networks of growing size.")
        keys.append(("second", "sweep"))

    def paint(axes: "Axes") -> None:
        _dots(axes, costs)
        for colour, line in ((PAST, sorted(before)), (SECOND, sorted(sweep))):
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", color=colour, ms=4, **_line(colour))
        _count_axes(axes, [*costs, *sweep, *before])
        axes.set_xlabel("super-peers")

    return Plot(title, " ".join(told), _svg(paint), _with_past(keys, [before]))


def _dots(axes: "Axes", costs: Sequence[tuple[int, int]]) -> None:
    """One dot for each place, its size by the decade of how many searches are there."""
    there = sorted(Counter(costs).items())
    kept = [there[index] for index in _picked(len(there), DOTS_MAX)]
    for decade in range(5):
        dots = [place for place, count in kept if min(int(math.log10(count)), 4) == decade]
        if dots:
            size = (3.5 if len(there) > DOTS_LARGE_MAX else 6) + 2 * decade
            axes.plot(
                *zip(*dots, strict=True), "o", color=FIRST, markersize=size, alpha=0.45, mew=0
            )


def _count_axes(axes: "Axes", points: Points) -> None:
    """Axes of counts: from zero on, or logarithmic where they span that much."""
    from matplotlib.ticker import MaxNLocator

    for side, values in zip("xy", zip(*points, strict=True), strict=True):
        least, most = min(values), max(*values, 1)
        if most < WIDE * max(least, 1):
            axes.set(**{f"{side}lim": (0, most * 1.06)})
        elif least >= 1:
            axes.set(**{f"{side}scale": "log", f"{side}lim": (least * 0.7, most * 1.4)})
        else:
            axes.set(**{f"{side}scale": "symlog", f"{side}lim": (0, most * 1.4)})
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "linear":
            axis.set_major_locator(MaxNLocator("auto", integer=True, steps=(1, 2, 5, 10)))
        axis.set_major_formatter(_number)


# --- how work is spread -------------------------------------------------------------------------


def _spread(title: str, what: str, values: Sequence[int], past: Sequence[int]) -> Plot:
    """One bar for each super-peer, the highest first."""
    if not values:
        return Plot(title, f"the {what} of each super-peer are unknown.")
    p50, p95 = percentile(values, 50) or 0.0, percentile(values, 95) or 0.0
    sentence = (
        f"{what.capitalize()} of {_count(len(values), 'super-peer', 'super-peers')}, the highest "
        f"first: p50 {p50:,.0f}, p95 {p95:,.0f}, at most {max(values):,}."
    )

    def paint(axes: "Axes") -> None:
        _bars(axes, sorted(values, reverse=True), FIRST)
        if past:
            _bars(axes, sorted(past, reverse=True), PAST)
        for name, height in _labels(p50, p95, max(values)):
            axes.text(1.0, height, f" {name}", transform=axes.get_yaxis_transform(), va="center")
        for height in (p50, p95):
            axes.axhline(height, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
        axes.set_xlim(0, max(len(values), len(past)))
        if max(values) >= WIDE * max(p50, 1):
            axes.set_yscale("symlog")
        highest = max(*values, min(max(past, default=0), 1.5 * max(values)), 1)
        axes.set_ylim(0, highest * 1.06)
        axes.grid(visible=False, axis="x")
        axes.locator_params("x", integer=True)
        axes.xaxis.set_major_formatter(_number)
        axes.yaxis.set_major_formatter(_number)
        axes.set_xlabel("super-peers, the highest first")

    return Plot(title, sentence, _svg(paint), _with_past([("first", what)], [past]))


def _labels(p50: float, p95: float, most: int) -> list[tuple[str, float]]:
    """What stands beside the two lines; one label for both where two would overlap."""
    if p95 - p50 < most * 0.08:
        return [("p50, p95", p95)]
    return [("p50", p50), ("p95", p95)]


def _bars(axes: "Axes", ordered: list[int], colour: str) -> None:
    if colour == FIRST and len(ordered) <= BARS_MAX:
        axes.bar([place + 0.5 for place in range(len(ordered))], ordered, color=colour, width=0.8)
        return
    picked = _picked(len(ordered), POINTS_MAX)
    edges = [0, *(index + 1 for index in picked)]
    heights = [ordered[index] for index in picked]
    style = {"fill": True, "linewidth": 0} if colour == FIRST else _line(colour)
    axes.stairs(heights, edges, color=colour, **style)


# --- how it is drawn ------------------------------------------------------------------------------


def _svg(paint: Callable[["Axes"], None]) -> str:
    """What `paint` draws, as an SVG file without date."""
    import matplotlib
    from matplotlib.figure import Figure

    written = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the same picture whatever a user's own settings are
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(SIZE_INCHES, layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        paint(axes)
        bare = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=bare)
    return written.getvalue()


def _line(colour: str) -> dict[str, Any]:
    """A run's own curves are whole, the baseline's dashed."""
    return {"linewidth": 1.2, "linestyle": (0, (4, 2))} if colour == PAST else {"linewidth": 1.8}


def _number(value: float, _place: object) -> str:
    """A tick of an axis of counts."""
    return saved.number(value)


def _with_past(
    keys: list[tuple[str, str]], behind: Sequence[object]
) -> tuple[tuple[str, str], ...]:
    return (*keys, ("past", "baseline")) if any(behind) else tuple(keys)


def _picked(count: int, most: int) -> list[int]:
    """At most so many of `count` places, spread evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(number * (count - 1) / (most - 1)) for number in range(most)]


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
