"""A small graph as text: nodes on an ellipse, straight lines between them.

Made for a handful of nodes on a terminal of 80 columns, in plain ASCII.
"""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 46, 11  # the ellipse; labels need room beside it
MARGIN = 16


def draw(labels: Sequence[str], edges: Sequence[tuple[int, int]]) -> list[str]:
    """The lines of a picture; an edge names its two ends by their place in `labels`."""
    canvas = [[" "] * (WIDTH + 2 * MARGIN) for _ in range(HEIGHT)]
    places = [_place(number, len(labels)) for number in range(len(labels))]
    for a, b in edges:
        _line(canvas, places[a], places[b])
    for label, (column, row) in zip(labels, places, strict=True):
        _write(canvas[row], f"({label})", column)
    lines = ["".join(line).rstrip() for line in canvas]
    return [line for line in lines if line]


def _place(number: int, count: int) -> tuple[int, int]:
    """Where a node stands: two side by side, more of them around, the first on top."""
    angle = 2 * math.pi * number / count - (math.pi if count == 2 else math.pi / 2)
    return (
        MARGIN + _nearest((WIDTH - 1) * (1 + math.cos(angle)) / 2),
        _nearest((HEIGHT - 1) * (1 + math.sin(angle)) / 2),
    )


def _nearest(value: float) -> int:
    """Halves go up whatever the last bit of a sine says, so that what is level looks level."""
    return math.floor(value + 0.5 + 1e-9)


def _line(canvas: list[list[str]], start: tuple[int, int], end: tuple[int, int]) -> None:
    wide, high = end[0] - start[0], end[1] - start[1]
    steps = max(abs(wide), abs(high), 1)
    flat = abs(high) * 6 < abs(wide)  # characters are twice as high as they are wide
    steep = abs(wide) < abs(high) / 3
    mark = "-" if flat else "|" if steep else "\\" if wide * high > 0 else "/"
    if not flat:
        steps = max(abs(high), 1)  # one mark a row reads as a line; a row full of slashes does not
    for step in range(steps + 1):
        row, column = start[1] + high * step / steps, start[0] + wide * step / steps
        canvas[round(row)][round(column)] = mark


def _write(line: list[str], text: str, centre: int) -> None:
    start = min(max(centre - len(text) // 2, 0), len(line) - len(text))
    line[start : start + len(text)] = text
