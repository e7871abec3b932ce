"""The one report that every world gives, with the same keys, and how its figures are reckoned.

A key is null where a world cannot tell. `violations` counts what must never be; what they were is
told as talk, and the first of them in `Tally.violations`.
"""

import math
from collections.abc import Sequence

import msgspec

from deploy.scenario import Scenario


class Report(msgspec.Struct):
    """What a run showed; times in seconds, volumes in bytes."""

    scenario: str
    seed: int
    world: str
    super_peers: int
    leaves: int
    virtual_s: float | None
    events: int | None
    violations: int
    searches: int
    recall: float | None  # of all (file, source) pairs that searches should have found
    coverage: float | None  # of all super-peers within reach of a search, those that answered
    messages_per_query: float | None
    first_hit_p50_s: float | None
    first_hit_p99_s: float | None
    done_p50_s: float | None
    done_p99_s: float | None
    failover_p50_s: float | None
    failover_p99_s: float | None
    promotions: int | None
    demotions: int | None
    downloads: int
    downloads_complete: int
    bytes_useful: int
    bytes_wasted: int
    trace_sha256: str | None
    echo_s: float | None = None  # how often nodes say that they live
    wall_s: float | None = None  # what the run took
    events_per_s: float | None = None
    rss_bytes: int | None = None
    bytes_sent: int | None = None  # over all links, headers included
    load_p50: float | None = None  # messages that a super-peer handled
    load_p95: float | None = None
    load_max: float | None = None
    seed_copies: float | None = None  # where one leaf had all at first: what it sent, in files
    messages_per_find: float | None = None  # all messages, those of leaves too, for one answer


class Tally(msgspec.Struct):
    """What a run has seen so far; a `Report` is made of it at the end."""

    violations: list[str] = []
    searches: int = 0
    searches_struck: int = 0  # under way when a fault struck
    pairs_found: int = 0
    pairs_expected: int = 0
    hits: int = 0  # (file, source) pairs found, at most as many as were asked for
    hits_due: int = 0
    reached: int = 0
    reachable: int = 0
    messages: int = 0
    costs: list[tuple[int, int]] = []  # of each search: super-peers reached, messages
    coverages: list[float] = []  # of each search: reached of the super-peers within its reach
    first_hit_s: list[float] = []
    done_s: list[float] = []
    failover_s: list[float] = []
    downloads: int = 0
    downloads_complete: int = 0
    fetch_s: list[float] = []
    bytes_useful: int = 0
    bytes_wasted: int = 0

    def add(self, other: "Tally") -> None:
        """Count what another has counted too."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def without_figures(self) -> "Tally":
        """What counts of a phase that may fail: what must never be, whatever may."""
        return Tally(violations=list(self.violations))

    @property
    def recall(self) -> float | None:
        """Found of what should have been found, or None where nothing should."""
        return _ratio(self.pairs_found, self.pairs_expected)

    @property
    def coverage(self) -> float | None:
        """Super-peers that answered of those that a search could reach."""
        return _ratio(self.reached, self.reachable)

    @property
    def messages_per_query(self) -> float | None:
        """Messages among super-peers that one search cost on average."""
        return _ratio(self.messages, self.searches)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value that `percent` of `values` do not exceed (nearest rank), or None without any."""
    if not values:
        return None
    rank = max(math.ceil(len(values) * percent / 100), 1)
    return round(sorted(values)[rank - 1], 6)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def report_of(
    asked: Scenario, world: str, tally: Tally, *, virtual_s: float, wall_s: float
) -> Report:
    """What every world can tell of a run; the keys that only some can are null still."""
    return Report(
        scenario=asked.name,
        seed=asked.seed,
        world=world,
        super_peers=asked.super_peers,
        leaves=asked.leaves,
        virtual_s=round(virtual_s, 3),
        events=None,
        violations=len(tally.violations),
        searches=tally.searches,
        recall=tally.recall,
        coverage=tally.coverage,
        messages_per_query=tally.messages_per_query,
        first_hit_p50_s=percentile(tally.first_hit_s, 50),
        first_hit_p99_s=percentile(tally.first_hit_s, 99),
        done_p50_s=percentile(tally.done_s, 50),
        done_p99_s=percentile(tally.done_s, 99),
        failover_p50_s=percentile(tally.failover_s, 50),
        failover_p99_s=percentile(tally.failover_s, 99),
        promotions=None,
        demotions=None,
        downloads=tally.downloads,
        downloads_complete=tally.downloads_complete,
        bytes_useful=tally.bytes_useful,
        bytes_wasted=tally.bytes_wasted,
        trace_sha256=None,
        echo_s=asked.config.link.echo_s * asked.time_scale,
        wall_s=round(wall_s, 3),
    )
