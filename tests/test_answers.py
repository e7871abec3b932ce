"""What a super-peer finds among its leaves' files: for bounded work, and as they are when taken."""

from collections.abc import Iterator

from common.core import Send
from common.limits import HITS_PER_FRAME_MAX
from common.messages.cluster import Hit, Published, Put, Welcome
from common.messages.overlay import Query, QueryBody, QueryDone
from common.terms import parse
from superpeer.cluster.findable import SHORT_PAGES_MAX
from superpeer.flood.hitflow import HITS_PER_WINDOW, WINDOW_S
from superpeer.flood.query import Gap
from superpeer.index.matching import LOOKS_MAX
from tests.overlay_world import entry_of, signed
from tests.test_cluster import Bench
from tests.test_flood import ASKER, BODY, GUID, NONCE, OTHER, flood, hit


def test_hits_are_proven_as_they_are_taken() -> None:
    """What is withdrawn while an answer is being taken is not in the rest of it."""
    bench = Bench()
    one, two = bench.leaf(1), bench.leaf(2)
    for leaf in (one, two):
        bench.join(leaf)
        bench.share(leaf, *[f"hello {number}" for number in range(100)])
    hits = bench.cluster.evaluate(QueryBody(5_000, terms=parse(["hello"])))
    taken = [next(hits) for _ in range(75)]
    assert [isinstance(hit, Hit) and hit.slot for hit in taken] == list(range(75))
    bench.lose(one, 1.0, on_purpose=True)
    assert [isinstance(hit, Hit) and hit.source.node for hit in hits] == [two.identity.node] * 100


def test_what_does_not_match_any_more_is_passed_over() -> None:
    """An entry that took the place of another while an answer was being taken."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, *[f"hello {number}" for number in range(60)])
    hits = bench.cluster.evaluate(QueryBody(5_000, terms=parse(["hello"])))
    next(hits)
    leaf.catalogue.put(3, entry_of("good-bye 3"))
    leaf.catalogue.put(4, entry_of("hello again 4"))
    leaf.generation += 1
    puts = tuple(
        Put(slot, entry_of(name)) for slot, name in ((3, "good-bye 3"), (4, "hello again 4"))
    )
    bench.say(leaf, signed(leaf, puts))
    rest = [hit.entry.name for hit in hits if isinstance(hit, Hit)]
    assert rest[:3] == ["hello 1", "hello 2", "hello again 4"]
    assert len(rest) == 58


def test_looking_in_vain_leaves_gaps_and_ends() -> None:
    """A phrase that never stands: others come between its pages, and at last it is left out."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    pages = 3
    bench.share(leaf, *[f"towers two {number}" for number in range(pages * LOOKS_MAX + 1)])
    body = QueryBody(5_000, terms=parse(['"two towers"']))
    assert list(bench.cluster.evaluate(body)) == [Gap.LATER] * pages
    bench.share(leaf, *[f"towers two {n}" for n in range(SHORT_PAGES_MAX * LOOKS_MAX)])
    while bench.cluster.wakeup() is not None:
        bench.cluster.due(bench.cluster.wakeup() or 0.0)
    gaps = list(bench.cluster.evaluate(body))
    assert gaps == [Gap.LATER] * (SHORT_PAGES_MAX - 1) + [Gap.LEFT_OUT]


def test_looking_in_vain_costs_as_much_as_ten_hits_and_is_told_where_it_ends() -> None:
    """One window of looks at a time; where not all was looked at the report leaves us out."""
    looked = []

    def evaluate(_body: QueryBody) -> Iterator[Hit | Gap]:
        for number in range(HITS_PER_WINDOW + 5):
            looked.append(number)
            yield Gap.LATER
        yield hit(1)
        yield Gap.LEFT_OUT

    core = flood(evaluate=evaluate)
    assert core.on_query(ASKER, Query(GUID, NONCE, 1, 1, BODY), 0.0) == []
    assert len(looked) == HITS_PER_WINDOW // HITS_PER_FRAME_MAX
    windows = [core.due(number * WINDOW_S) for number in range(1, HITS_PER_WINDOW)]
    (done,) = [each.message for window in windows for each in window if isinstance(each, Send)]
    assert isinstance(done, QueryDone)
    assert (done.hits, done.left_out) == ((hit(1),), True)


def test_a_report_brings_the_last_hits() -> None:
    """They go up before the report is counted, and with ours, in one message where they fit."""
    core = flood()
    core.on_query(ASKER, Query(GUID, NONCE, 2, 1, BODY), 0.0)
    done = QueryDone(GUID, reached=1, messages=1, hits=(hit(5), hit(6)))
    (sent,) = core.on_query_done(OTHER, done, 0.1)
    assert sent == Send(ASKER, QueryDone(GUID, reached=2, messages=3, hits=(hit(5), hit(6))))
    assert core.on_query_done(OTHER, done, 0.2) == []  # it owed one answer
    assert core.dropped["done_unasked"] == 1


def test_the_numbers_of_all_leaves_are_limited() -> None:
    """A leaf with one file uses up 64; who comes when there are none is refused, and taken when
    those of one that is gone are swept."""
    bench = Bench(docs_max=128)
    leaves = [bench.leaf(number) for number in (1, 2, 3, 4)]
    assert all(isinstance(bench.join(leaf), Welcome) for leaf in leaves)
    full = Published(0, refused="this super-peer holds as many files as it can")
    told = [bench.share(leaf, "a b") for leaf in leaves[:3]]
    assert told == [[Published(1)], [Published(1)], [full]]
    bench.lose(leaves[0], 1.0, on_purpose=True)
    bench.cluster.due(2.0)
    assert bench.share(leaves[3], "a b") == [Published(1)]


def test_a_lease_may_end_before_what_was_published_is_acknowledged() -> None:
    """Both are due when the loop comes late; nobody is left to be told."""
    bench = Bench(lease_s=0.5)
    bench.spread_s = 0.75
    leaf = bench.leaf()
    bench.join(leaf)
    assert bench.share(leaf, "a b") == []
    bench.lose(leaf, 0.1)
    assert bench.cluster.due(2.0) == []
    assert bench.cluster.files == 0
