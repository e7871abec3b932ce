"""What a scenario expects of a report, and the exit code that it comes to."""

import msgspec
import pytest

from common.errors import Exit
from deploy.report import Report
from deploy.scenario import Expect, Mark, Scenario
from deploy.verdict import exit_code, missed

REPORT = Report(
    scenario="x",
    seed=1,
    world="processes",
    super_peers=1,
    leaves=2,
    virtual_s=1.0,
    events=None,
    violations=0,
    searches=10,
    recall=0.91,
    coverage=1.0,
    messages_per_query=12.5,
    first_hit_p50_s=0.1,
    first_hit_p99_s=0.2,
    done_p50_s=0.1,
    done_p99_s=0.2,
    failover_p50_s=None,
    failover_p99_s=None,
    promotions=None,
    demotions=None,
    downloads=8,
    downloads_complete=6,
    bytes_useful=1000,
    bytes_wasted=250,
    trace_sha256=None,
)


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        (Expect(), []),
        (Expect(recall_min=0.99), ["recall is 0.91, expected at least 0.99"]),
        (Expect(recall_min=0.91, coverage_min=1.0), []),
        (
            Expect(downloads_min=0.8),
            ["the share of complete downloads is 0.75, expected at least 0.8"],
        ),
        (
            Expect(wasted_max=0.2),
            ["wasted bytes for each useful one is 0.25, expected at most 0.2"],
        ),
        (Expect(wasted_max=0.25), []),
        (Expect(failover_p99_max_s=3), ["failover_p99_s is unknown, expected at most 3"]),
        (Expect(first_hit_p99_max_s=0.1), ["first_hit_p99_s is 0.2, expected at most 0.1"]),
        (
            Expect(messages_per_query_max=12),
            ["messages_per_query is 12.5, expected at most 12"],
        ),
    ],
)
def test_each_missed_expectation_is_a_sentence(expect: Expect, said: list[str]) -> None:
    """What is, and what should be; what a world cannot tell has not been shown."""
    assert list(missed(expect, REPORT).values()) == said


def test_nothing_wasted_of_nothing_is_not_shown() -> None:
    """A run without downloads has no share of whole ones."""
    none = msgspec.structs.replace(REPORT, downloads=0, downloads_complete=0)
    assert missed(Expect(downloads_min=0.5), none) == {
        "downloads_min": "the share of complete downloads is unknown, expected at least 0.5"
    }


RECALL = Mark(("recall_min",), "no choker")
MET = "recall_min is met now: take it out of the mark `expected_to_fail`"


@pytest.mark.parametrize(
    ("mark", "expect", "violations", "code", "last"),
    [
        (None, Expect(recall_min=0.5), 0, Exit.DONE, None),
        (None, Expect(recall_min=0.99), 0, Exit.UNEXPECTED, "recall is 0.91"),
        (None, Expect(recall_min=0.5), 3, Exit.UNEXPECTED, "there were 3 violations"),
        (RECALL, Expect(recall_min=0.99), 0, Exit.DONE, "fails as expected: no choker"),
        (RECALL, Expect(recall_min=0.99), 1, Exit.UNEXPECTED, "there were 1 violations"),
        (RECALL, Expect(recall_min=0.99, wasted_max=0), 0, Exit.UNEXPECTED, "wasted bytes"),
        (RECALL, Expect(recall_min=0.5), 0, Exit.UNEXPECTED, MET),
        (RECALL, Expect(recall_min=0.5), 1, Exit.UNEXPECTED, MET),
        (RECALL, Expect(), 0, Exit.UNEXPECTED, MET),
    ],
)
def test_the_exit_code_and_what_is_said_last(
    mark: Mark | None, expect: Expect, violations: int, code: int, last: str | None
) -> None:
    """A mark excuses what it names, is held to it, and excuses nothing that must never be."""
    asked = Scenario(super_peers=1, leaves=2, expected_to_fail=mark, expect=expect)
    report = msgspec.structs.replace(REPORT, violations=violations)
    said: list[str] = []
    assert exit_code(asked, report, said.append) == code
    assert said[-1].startswith(last) if last else not said
