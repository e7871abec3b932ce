"""Searching, and which hits are believed."""

from random import Random

import msgspec
import pytest

from common.addresses import Address
from common.config import SearchConfig
from common.content.catalogue import Catalogue, Entry, statement
from common.content.torrent import file_id, magnet
from common.core import Answer, Asked, AskerLeft, Effect, Event, Fail, Received, Send, Tell, Woke
from common.errors import Exit, UserError
from common.ids import Identity
from common.limits import SEARCH_BYTES_MAX
from common.messages import cluster
from common.messages.cluster import Coverage, Forget, Hit, SearchDone, SearchHits
from common.messages.fields import Contact
from leaf.methods import CoverageRow, Get, HitRow, Search, SearchResult
from leaf.search.hits import SOURCES_WEIGHT
from leaf.search.search import LOST_S, Searches
from leaf.signals import Inherits, Joined, Orphaned, Wanted

PARENT = bytes(32)
WHERE = Address.of("10.0.0.1", 1214)
LEAVES = [Identity(bytes([number]) * 32) for number in range(1, 5)]
COVERAGE = Coverage(3, 4, 12, 0.5, True)


def hit(
    who: int, name: str, content: int = 1, slot: int = 0, generation: int = 1, size: int = 100
) -> Hit:
    """A hit as an honest leaf and its parent make it."""
    catalogue = Catalogue()
    for filler in range(slot):
        catalogue.put(filler, Entry(bytes(32), 1, f"filler {filler}"))
    entry = Entry(content.to_bytes(32, "big"), size, name)
    catalogue.put(slot, entry)
    node = LEAVES[who].node
    signature = LEAVES[who].sign(statement("test", node, generation, catalogue.root()))
    source = Contact(node, Address.of(f"10.0.0.{who + 2}", 1215))
    return Hit(source, entry, slot, generation, tuple(catalogue.proof(slot)), signature)


class Searching:
    """Searches with a parent that says what the test wants."""

    def __init__(self, *, joined: bool = True) -> None:
        self.guid, self.why = bytes(16), "lost it"
        self.core = Searches("test", SearchConfig(), Random(1), why_none=lambda: self.why)
        if joined:
            self.join()

    def feed(self, event: Event, now: float = 0.0) -> list[Effect]:
        """What an event causes; remembers the GUID of the last search."""
        effects = self.core.handle(event, now)
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, cluster.Search):
                self.guid = effect.message.guid
        return effects

    def join(self, now: float = 0.0) -> list[Effect]:
        """There is a parent."""
        return self.feed(Joined(PARENT, WHERE, 0, 100), now)

    def ask(self, *words: str, call: int = 1, **filters: object) -> list[Effect]:
        """Somebody searches."""
        params = msgspec.convert({"words": list(words), **filters}, Search)
        return self.feed(Asked(call, "leaf.search", params))

    def hear(self, *hits: Hit) -> list[Effect]:
        """The parent sends hits."""
        return self.feed(Received(PARENT, SearchHits(self.guid, hits)))

    def end(self, refused: str = "", now: float = 1.0) -> list[Effect]:
        """The parent says that it is over."""
        return self.feed(Received(PARENT, SearchDone(self.guid, COVERAGE, refused)), now)

    def result(self) -> SearchResult:
        """The answer at the end."""
        (answer,) = self.end()
        assert isinstance(answer, Answer)
        assert isinstance(answer.result, SearchResult)
        return answer.result


def test_what_is_asked_while_an_heir_is_joined_waits_for_it() -> None:
    """It is no failure: it goes out with the welcome, as those do that were open before."""
    searching = Searching()
    searching.ask("blue", call=1)
    searching.feed(Orphaned(soon=True))
    assert searching.ask("green", call=2) == []
    asked = [send.message for send in searching.join(0.1) if isinstance(send, Send)]
    assert [each.terms.words for each in asked if isinstance(each, cluster.Search)] == [
        ("blue",),
        ("green",),
    ]


def test_what_is_asked_right_after_a_loss_waits_for_the_next_parent() -> None:
    """As long as for hits, and not long after; with nobody by then nothing is searched: exit 6."""
    searching = Searching()
    searching.feed(Orphaned())
    assert searching.ask("red") == []
    (failed,) = searching.feed(Woke(), 20.0)
    assert isinstance(failed, Fail)
    assert (failed.code, "lost it" in failed.message) == (Exit.UNREACHABLE, True)
    searching.why = "another key"  # it went on looking
    with pytest.raises(UserError, match="another key"):
        searching.feed(Asked(3, "leaf.search", Search(["green"])), LOST_S + 0.1)


HEIR = Contact(b"h" * 32, Address.of("10.0.0.99", 1214))


class Hedging(Searching):
    """Searches with an heir; `heard` is when the parent was heard of last."""

    def __init__(self) -> None:
        super().__init__(joined=False)
        self.heard = -1.0
        self.core = Searches("test", SearchConfig(), Random(1), lambda _peer: self.heard)
        self.join()
        self.feed(Inherits(HEIR))

    def hedge(self) -> bytes:
        """The GUID under which the heir is asked."""
        (send,) = self.feed(Woke(), 0.3)
        assert isinstance(send, Send)
        assert isinstance(send.message, cluster.Search)
        assert send.peer == HEIR.node
        return send.message.guid


def test_the_heir_is_asked_where_the_parent_is_silent() -> None:
    """Its hits count once with those of the parent; who is done first answers, and the other need
    not."""
    searching = Hedging()
    (asked,) = searching.ask("blue", limit=5)
    assert isinstance(asked, Send)
    guid, hedge = searching.guid, searching.hedge()
    (told,) = searching.feed(Received(HEIR.node, SearchHits(hedge, (hit(0, "blue note.mp3"),))))
    assert isinstance(told, Tell)
    both = SearchHits(guid, (hit(0, "blue note.mp3"), hit(1, "blue moon.mp3", content=9)))
    assert len(searching.feed(Received(PARENT, both))) == 1
    forget, answer = searching.feed(Received(HEIR.node, SearchDone(hedge, COVERAGE)), 1.0)
    assert forget == Send(PARENT, Forget(guid))
    assert isinstance(answer, Answer)
    assert isinstance(answer.result, SearchResult)
    assert [row.sources for row in answer.result.hits] == [1, 1]


def test_what_parent_and_heir_both_tell_takes_no_room_from_what_one_tells() -> None:
    """Each may tell as many as are wanted, which are four here, and no more."""
    searching = Hedging()
    searching.ask("blue", limit=1)
    guid, hedge = searching.guid, searching.hedge()
    hits = tuple(hit(who, "blue note.mp3", content=who + 1) for who in range(4))
    searching.feed(Received(PARENT, SearchHits(guid, hits[:3])))
    searching.feed(Received(HEIR.node, SearchHits(hedge, hits)))
    assert searching.core.dropped == {}
    searching.feed(Received(HEIR.node, SearchHits(hedge, hits[3:])))
    assert searching.core.dropped == {"more hits than wanted": 1}


def test_an_heir_that_refuses_ends_no_search() -> None:
    """The parent may still answer."""
    searching = Hedging()
    searching.ask("blue")
    guid, hedge = searching.guid, searching.hedge()
    assert searching.feed(Received(HEIR.node, SearchDone(hedge, COVERAGE, "no")), 0.4) == []
    (answer,) = [
        each
        for each in searching.feed(Received(PARENT, SearchDone(guid, COVERAGE)), 1.0)
        if isinstance(each, Answer)
    ]
    assert isinstance(answer, Answer)


def test_a_parent_that_says_anything_is_not_hedged() -> None:
    """Nor is one asked beyond the budget, or by another guid than the heir's own."""
    searching = Hedging()
    searching.ask("blue")
    searching.heard = 0.1
    assert searching.feed(Woke(), 0.3) == []
    stray = SearchHits(searching.guid, (hit(0, "blue note.mp3"),))
    assert searching.feed(Received(HEIR.node, stray)) == []
    assert searching.core.dropped == {"not asked of the heir": 1}
    searching.heard = -1.0
    for call in range(2, 40):
        searching.ask("blue", call=call)
    hedged = searching.feed(Woke(), 0.31)
    assert len(hedged) == SearchConfig().hedges_burst


def test_hits_stream_and_end_in_an_answer() -> None:
    """One content is one row, told when first seen; the end says how far the search reached."""
    searching = Searching()
    (send,) = searching.ask("Blue", "note", limit=5)
    assert isinstance(send, Send)
    assert isinstance(send.message, cluster.Search)
    assert (send.message.terms.words, send.message.wanted) == (("blue", "note"), 20)
    (told,) = searching.hear(hit(0, "blue note.mp3"), hit(1, "note, blue.mp3"))
    assert isinstance(told, Tell)
    assert isinstance(told.event, HitRow)
    assert searching.hear(hit(2, "blue note.mp3")) == []
    result = searching.result()
    (row,) = result.hits
    assert (row.name, row.sources) == ("blue note.mp3", 3)
    assert row.names == ["blue note.mp3", "note, blue.mp3"]
    assert result.coverage == CoverageRow(3, 4, 12, 1.0, True)
    assert result.query == "Blue note"


def test_better_names_and_more_sources_come_first() -> None:
    """The share of words that were asked for, then sources, then the name."""
    searching = Searching()
    searching.ask("blue")
    searching.hear(hit(0, "blue and much else.mp3", content=1), hit(0, "blue b.mp3", content=2))
    searching.hear(hit(1, "blue a.mp3", content=3), hit(2, "blue b.mp3", content=2))
    rows = searching.result().hits
    assert [row.name for row in rows] == ["blue b.mp3", "blue a.mp3", "blue and much else.mp3"]
    assert rows[0].score == pytest.approx((1 + 1 / 3) / 2 + SOURCES_WEIGHT, abs=0.001)


def forged(kind: str) -> Hit:
    """A hit with one thing wrong."""
    good = hit(0, "blue.mp3", slot=2)
    change: dict[str, object] = {
        "name": {"entry": msgspec.structs.replace(good.entry, name="blue virus.mp3")},
        "leaf": {"source": Contact(LEAVES[1].node, good.source.address)},
        "generation": {"generation": 2},
        "slot": {"slot": 1},
        "proof": {"proof": ()},
        "signature": {"signature": bytes(64)},
        "words": {"entry": msgspec.structs.replace(good.entry, name="red.mp3")},
        "scope": {"source": Contact(good.source.node, Address.of("127.0.0.1", 1))},
    }[kind]  # type: ignore[assignment]
    return msgspec.structs.replace(good, **change)


@pytest.mark.parametrize(
    "kind", ["name", "leaf", "generation", "slot", "proof", "signature", "words", "scope"]
)
def test_forged_hits_are_dropped_and_counted(kind: str) -> None:
    """What is not proven by the leaf's signature, or was not asked for, is not shown."""
    searching = Searching()
    searching.ask("blue")
    assert searching.hear(forged(kind)) == []
    assert searching.hear(hit(0, "blue.mp3", slot=2)) != []
    assert sum(searching.core.dropped.values()) == 1
    assert [row.names for row in searching.result().hits] == [["blue.mp3"]]


@pytest.mark.parametrize(("content", "size"), [(7, 0), (0, 7)])
def test_a_file_that_cannot_be_is_not_shown(content: int, size: int) -> None:
    """Nothing has a root but one that stands for it, and that stands for nothing else."""
    searching = Searching()
    searching.ask("blue")
    assert searching.hear(hit(0, "blue.mp3", content=content, size=size)) == []
    assert searching.core.dropped == {"hit of a file that cannot be": 1}
    assert searching.hear(hit(0, "blue.mp3", content=0, size=0)) != []


def test_hits_beyond_what_was_wanted_are_dropped() -> None:
    """Nobody can send more hits than were asked for."""
    searching = Searching()
    searching.ask("blue", limit=1)
    for number in range(6):
        searching.hear(hit(0, f"blue {number}.mp3", content=number + 1))
    assert searching.core.dropped == {"more hits than wanted": 2}
    assert len(searching.result().hits) == 1


def test_strangers_and_old_guids_are_dropped() -> None:
    """Only our parent, and only about a search of ours."""
    searching = Searching()
    searching.ask("blue")
    stranger = Received(LEAVES[0].node, SearchHits(searching.guid, (hit(0, "blue"),)))
    assert searching.feed(stranger) == []
    assert searching.feed(Received(PARENT, SearchHits(bytes(16), (hit(0, "blue"),)))) == []
    assert searching.feed(Received(PARENT, SearchDone(bytes(16), COVERAGE))) == []
    assert sum(searching.core.dropped.values()) == 3


def test_time_is_up() -> None:
    """At the deadline there is what there is, and it is not complete."""
    searching = Searching()
    searching.ask("blue", wait=2.0)
    searching.hear(hit(0, "blue.mp3"))
    assert searching.core.wakeup() == 2.0
    forget, answer = searching.feed(Woke(), 2.0)
    assert forget == Send(PARENT, Forget(searching.guid))
    assert isinstance(answer, Answer)
    assert isinstance(answer.result, SearchResult)
    assert not answer.result.coverage.complete
    assert len(answer.result.hits) == 1
    assert searching.core.wakeup() is None


def test_a_new_parent_is_asked_again() -> None:
    """A parent lost in between is replaced, under a fresh GUID; nobody counts twice."""
    searching = Searching()
    searching.ask("blue")
    searching.hear(hit(0, "blue.mp3"))
    first = searching.guid
    searching.feed(Orphaned())
    searching.join(1.0)
    assert searching.guid != first
    searching.hear(hit(0, "blue.mp3"), hit(1, "blue.mp3"))
    assert [row.sources for row in searching.result().hits] == [2]


def test_what_cannot_be_asked() -> None:
    """Each with its exit code: no parent 6; no words, a bad limit or strategy 2."""
    alone = Searching(joined=False)
    with pytest.raises(UserError) as no_parent:
        alone.ask("blue")
    assert no_parent.value.code is Exit.UNREACHABLE
    searching = Searching()
    for filters in ({}, {"limit": 0}, {"limit": 5_001}, {"ttl": 11}, {"strategy": "x"}):
        with pytest.raises(UserError) as wrong:
            searching.ask(*(("blue",) if filters else ()), **filters)
        assert wrong.value.code is Exit.USAGE
    with pytest.raises(UserError, match=f"at most {SEARCH_BYTES_MAX} bytes") as too_long:
        searching.ask(*(f"{'ა' * 50}{number}" for number in range(64)))
    assert too_long.value.code is Exit.USAGE


def test_open_searches_are_bounded() -> None:
    """One more than the limit is refused, until one has ended."""
    searching = Searching()
    for call in range(SearchConfig().searches_max):
        searching.ask("blue", call=call)
    with pytest.raises(UserError) as refused:
        searching.ask("blue", call=1000)
    assert refused.value.code is Exit.REFUSED
    searching.feed(AskerLeft(0))
    searching.ask("blue", call=1000)


def test_who_leaves_is_forgotten() -> None:
    """The parent need not go on, and nobody is answered."""
    searching = Searching()
    searching.ask("blue")
    assert searching.feed(AskerLeft(1)) == [Send(PARENT, Forget(searching.guid))]
    assert searching.end() == []


def test_a_refusal_is_an_error() -> None:
    """The parent's reason reaches the asker."""
    searching = Searching()
    searching.ask("blue")
    (failed,) = searching.end(refused="too many searches")
    assert isinstance(failed, Fail)
    assert "too many searches" in failed.message


def wanted(searching: Searching, what: str) -> Wanted:
    """What `get` means."""
    (effect,) = searching.feed(Asked(7, "leaf.get", Get(what)))
    assert isinstance(effect, Wanted)
    return effect


def test_what_get_means() -> None:
    """A number of the last search, an id with what is known of it, a link with its own name."""
    searching = Searching()
    searching.ask("blue")
    searching.hear(hit(0, "blue.mp3", content=5))
    searching.result()
    root, sources = (5).to_bytes(32, "big"), (hit(0, "blue.mp3").source,)
    by_number = wanted(searching, "1")
    assert (by_number.root, by_number.size, by_number.name) == (root, 100, "blue.mp3")
    assert by_number.sources == sources
    assert wanted(searching, file_id(root, 100)) == msgspec.structs.replace(
        by_number, params=Get(file_id(root, 100))
    )
    link = magnet("mine.mp3", root, 100)
    assert (wanted(searching, link).name, wanted(searching, link).sources) == ("mine.mp3", sources)
    unknown = file_id(b"x" * 32, 7)
    assert (wanted(searching, unknown).name, wanted(searching, unknown).sources) == (unknown, ())


@pytest.mark.parametrize("what", ["0", "2", "", "sp:nonsense", "magnet:?xt=1", "/etc/passwd"])
def test_what_get_cannot_mean(what: str) -> None:
    """No file: exit code 2."""
    searching = Searching()
    with pytest.raises(UserError) as wrong:
        wanted(searching, what)
    assert wrong.value.code is Exit.USAGE


def test_a_forged_hit_does_not_hide_the_next_one() -> None:
    """Each hit of a message is judged by itself."""
    searching = Searching()
    searching.ask("blue")
    forged = msgspec.structs.replace(hit(0, "blue one"), signature=bytes(64))
    told = searching.hear(forged, hit(1, "blue two", content=2))
    assert [each.event.name for each in told if isinstance(each, Tell)] == ["blue two"]  # type: ignore[attr-defined]
