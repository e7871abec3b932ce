"""The one report: its keys, and how its figures are reckoned."""

import msgspec
import pytest

from deploy.drawing import draw
from deploy.report import Report, Tally, percentile

KEYS = (
    "scenario seed world super_peers leaves virtual_s events violations searches recall coverage "
    "messages_per_query first_hit_p50_s first_hit_p99_s done_p50_s done_p99_s failover_p50_s "
    "failover_p99_s promotions demotions downloads downloads_complete bytes_useful bytes_wasted "
    "trace_sha256"
)


def test_every_world_reports_these_keys() -> None:
    """The keys of a report are a contract with scripts."""
    keys = [field.encode_name for field in msgspec.structs.fields(Report)]
    assert " ".join(keys[: len(KEYS.split())]) == KEYS


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([3.0], 99, 3.0), ([4.0, 1.0, 3.0, 2.0], 50, 2.0), ([1.0, 2.0], 99, 2.0)],
)
def test_percentiles_are_values_that_occurred(
    values: list[float], percent: float, expected: float | None
) -> None:
    """Nearest rank, and null without any value."""
    assert percentile(values, percent) == expected


def test_ratios_of_nothing_are_null() -> None:
    """A run without searches has no recall."""
    tally = Tally()
    assert (tally.recall, tally.coverage, tally.messages_per_query) == (None, None, None)
    tally.pairs_expected, tally.pairs_found = 4, 3
    assert tally.recall == 0.75


def test_a_drawing_shows_every_node_and_link() -> None:
    """All labels stand in the picture, lines between them."""
    lines = draw(["A: 1", "B: 2", "C: 3"], [(0, 1), (1, 2), (0, 2)])
    text = "\n".join(lines)
    assert all(f"({label})" in text for label in ("A: 1", "B: 2", "C: 3"))
    assert {"/", "\\", "-"} <= {*text}
    assert max(len(line) for line in lines) <= 80


def test_a_lone_node_is_drawn() -> None:
    """One super-peer without links is a picture too."""
    assert "(A)" in "\n".join(draw(["A"], []))
