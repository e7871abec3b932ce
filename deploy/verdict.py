"""Whether a run showed what its scenario expects, and the exit code that says so.

A scenario that is marked as expected to fail is held to that just as strictly: once it meets all,
the mark must go.
"""

from collections.abc import Callable

from common.errors import Exit
from deploy.report import Report
from deploy.scenario import Expect, Scenario


def missed(expect: Expect, report: Report) -> list[str]:
    """What the report should have shown and did not, a sentence each."""
    downloads = report.downloads_complete / report.downloads if report.downloads else None
    wasted = report.bytes_wasted / report.bytes_useful if report.bytes_useful else None
    least = (
        ("recall", report.recall, expect.recall_min),
        ("coverage", report.coverage, expect.coverage_min),
        ("the share of complete downloads", downloads, expect.downloads_min),
    )
    most = (
        ("wasted bytes for each useful one", wasted, expect.wasted_max),
        ("seed_copies", report.seed_copies, expect.seed_copies_max),
        ("failover_p99_s", report.failover_p99_s, expect.failover_p99_max_s),
        ("first_hit_p99_s", report.first_hit_p99_s, expect.first_hit_p99_max_s),
        ("messages_per_query", report.messages_per_query, expect.messages_per_query_max),
    )
    said = [
        f"{what} is {_told(value)}, expected at least {bound:g}"
        for what, value, bound in least
        if bound is not None and (value is None or value < bound)
    ]
    return said + [
        f"{what} is {_told(value)}, expected at most {bound:g}"
        for what, value, bound in most
        if bound is not None and (value is None or value > bound)
    ]


def exit_code(scenario: Scenario, report: Report, say: Callable[[str], None]) -> int:
    """DONE where the run is as it should be, else UNEXPECTED; `say` hears why."""
    faults = missed(scenario.expect, report)
    if report.violations:
        faults.append(f"there were {report.violations} violations")
    for fault in faults:
        say(fault)
    if not scenario.expected_to_fail:
        return Exit.UNEXPECTED if faults else Exit.DONE
    if faults:
        say(f"fails as expected: {scenario.expected_to_fail}")
        return Exit.DONE
    say("it passes now: take the mark `expected_to_fail` out")
    return Exit.UNEXPECTED


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
