"""Whether a run showed what its scenario expects, and the exit code that says so.

A scenario that is marked as expected to fail names what it misses, and is held to that just as
strictly: what it meets after all must go from the mark. No mark excuses what must never be.
"""

from collections.abc import Callable

from common.errors import Exit
from deploy.report import Report
from deploy.scenario import Expect, Expectation, Scenario

_Bound = tuple[Expectation, str, float | None, float | None]  # what it is, what it is to be


def missed(expect: Expect, report: Report) -> dict[Expectation, str]:
    """What the report should have shown and did not, a sentence each."""
    downloads = report.downloads_complete / report.downloads if report.downloads else None
    wasted = report.bytes_wasted / report.bytes_useful if report.bytes_useful else None
    of_downloads, of_bytes = "the share of complete downloads", "wasted bytes for each useful one"
    failover_s, first_hit_s = report.failover_p99_s, report.first_hit_p99_s
    messages = report.messages_per_query
    least: tuple[_Bound, ...] = (
        ("recall_min", "recall", report.recall, expect.recall_min),
        ("coverage_min", "coverage", report.coverage, expect.coverage_min),
        ("downloads_min", of_downloads, downloads, expect.downloads_min),
    )
    most: tuple[_Bound, ...] = (
        ("wasted_max", of_bytes, wasted, expect.wasted_max),
        ("seed_copies_max", "seed_copies", report.seed_copies, expect.seed_copies_max),
        ("failover_p99_max_s", "failover_p99_s", failover_s, expect.failover_p99_max_s),
        ("first_hit_p99_max_s", "first_hit_p99_s", first_hit_s, expect.first_hit_p99_max_s),
        ("messages_per_query_max", "messages_per_query", messages, expect.messages_per_query_max),
    )
    said: dict[Expectation, str] = {}
    for key, what, value, bound in least:
        if bound is not None and (value is None or value < bound):
            said[key] = f"{what} is {_told(value)}, expected at least {bound:g}"
    for key, what, value, bound in most:
        if bound is not None and (value is None or value > bound):
            said[key] = f"{what} is {_told(value)}, expected at most {bound:g}"
    return said


def exit_code(scenario: Scenario, report: Report, say: Callable[[str], None]) -> int:
    """DONE where the run is as it should be, else UNEXPECTED; `say` hears why."""
    misses, mark = missed(scenario.expect, report), scenario.expected_to_fail
    for miss in misses.values():
        say(miss)
    if report.violations:
        say(f"there were {report.violations} violations")
    marked = mark.misses if mark else ()
    met = [key for key in marked if key not in misses]
    for key in met:
        say(f"{key} is met now: take it out of the mark `expected_to_fail`")
    if met or report.violations or any(key not in marked for key in misses):
        return Exit.UNEXPECTED
    if mark:
        say(f"fails as expected: {mark.because}")
    return Exit.DONE


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
