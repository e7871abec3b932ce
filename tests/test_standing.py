"""What wishes may cost a super-peer, and what a leaf believes of what it is told of them."""

from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace
from pyroaring import BitMap

from common.addresses import Address
from common.calendar import utc_text
from common.config import WishConfig
from common.content.catalogue import Entry
from common.core import Asked, Effect, Received, Send
from common.digest import BITS_MIN, place_of_word
from common.limits import DIGEST_BITS_MAX, TTL_MAX, WISHES_PER_LEAF_MAX
from common.messages.cluster import (
    Coverage,
    Forget,
    Hit,
    Search,
    SearchDone,
    SearchHits,
    Unwish,
    Wish,
    Wished,
    WishHits,
)
from common.terms import parse
from leaf.library.library import Library
from leaf.methods import WishAdd
from leaf.search.wishes import FILES_MAX
from leaf.search.wishes import Wishes as LeafWishes
from leaf.signals import Joined
from superpeer.search.wishes import CHECKS_MAX, HITS_MAX, NEAR_LINKS, STANDING, Wishes
from tests.test_leaf_search import hit

LEAF = b"l" * 32
NOTHING = Coverage(1, 1, 0, 0.0, True)


class Standing:
    """The wishes of a super-peer's leaves; searches end when the test says so."""

    def __init__(self, **config: float) -> None:
        self.core = Wishes(
            config=WishConfig(**config),  # type: ignore[arg-type]
            rng=Random(1),
            is_leaf=lambda peer: peer != b"stranger",
        )
        self.searches: list[Search] = []

    def wish(
        self, text: str, leaf: bytes = LEAF, *, again: bool = False, now: float = 0.0
    ) -> list[Effect]:
        """A leaf wishes for something."""
        guid = text.encode().ljust(16)[:16]
        return self.feed(self.core.on_wish(leaf, Wish(guid, parse([text]), again), now))

    def due(self, now: float) -> list[Effect]:
        """Time passes."""
        return self.feed(self.core.due(now))

    def end(self, now: float, *found: Hit) -> list[Effect]:
        """The oldest open search ends."""
        guid = self.searches.pop(0).guid
        hits = SearchHits(guid, found)
        effects = self.core.on_search_hits(STANDING, hits, now) if found else []
        return effects + self.feed(
            self.core.on_search_done(STANDING, SearchDone(guid, NOTHING), now)
        )

    def feed(self, effects: list[Effect]) -> list[Effect]:
        """Keep what is asked for."""
        for each in effects:
            if isinstance(each, Send) and isinstance(each.message, Search):
                self.searches.append(each.message)
        return effects


def digest(*words: str) -> tuple[int, BitMap]:
    """Of a super-peer that has these."""
    cut = DIGEST_BITS_MAX - BITS_MIN
    return BITS_MIN, BitMap([place_of_word(word) >> cut for word in words])


def entry(name: str) -> Entry:
    """Something published."""
    return Entry(b"r" * 32, 1, name)


# --- at the super-peer --------------------------------------------------------------------------


def test_a_wish_is_searched_for_at_once_and_then_again_and_again() -> None:
    """All of the network, some `every_s` apart."""
    standing = Standing(every_s=100.0)
    assert standing.wish("blue")[0] == Send(LEAF, Wished(b"blue".ljust(16)))
    (search,) = standing.searches
    assert (search.wanted, search.ttl) == (HITS_MAX, TTL_MAX)
    standing.end(1.0)
    assert 75.0 <= (standing.core.wakeup() or 0) <= 125.0
    standing.due(125.0)
    assert [each.ttl for each in standing.searches] == [TTL_MAX]


def test_the_same_terms_are_one_wish() -> None:
    """One search for all leaves, told to each of them."""
    standing = Standing()
    standing.wish("blue")
    standing.wish("blue", b"other")
    assert len(standing.core) == 1
    told = standing.end(1.0, hit(0, "blue.ogg"))
    assert [each.peer for each in told if isinstance(each, Send)][:2] == [LEAF, b"other"]
    standing.core.on_unwish(LEAF, Unwish(b"blue".ljust(16)), 2.0)
    assert len(standing.core) == 1
    standing.core.leaf_lost(b"other", 2.0)
    assert len(standing.core) == 0
    assert standing.core.wanting(entry("blue.ogg")) == ([], 0)


def test_one_that_nobody_wishes_for_any_more_is_not_searched_for() -> None:
    """The open search is forgotten, and nothing is due."""
    standing = Standing()
    standing.wish("blue")
    (search,) = standing.searches
    gone = standing.core.on_unwish(LEAF, Unwish(b"blue".ljust(16)), 1.0)
    assert gone == [Send(STANDING, Forget(search.guid))]
    assert standing.core.wakeup() is None
    assert standing.core.on_search_done(STANDING, SearchDone(search.guid, NOTHING), 1.0) == []


@pytest.mark.parametrize(
    ("leaf", "text"), [(b"stranger", "blue"), (LEAF, " ".join(f"{'w' * 60}{n}" for n in range(30)))]
)
def test_what_is_refused(leaf: bytes, text: str) -> None:
    """A stranger's, and one of too many bytes; both are told why, and nothing is kept."""
    standing = Standing()
    (refused,) = standing.wish(text, leaf)
    assert isinstance(refused, Send) and isinstance(refused.message, Wished)
    assert refused.message.refused
    assert len(standing.core) == 0 and standing.core.dropped["wish_refused"] == 1


def test_a_leaf_has_only_so_many() -> None:
    """One of a name that it used takes the place of that."""
    standing = Standing()
    for number in range(WISHES_PER_LEAF_MAX + 5):
        standing.wish(f"word{number}")
    assert len(standing.core) == WISHES_PER_LEAF_MAX
    name = b"word0".ljust(16)
    standing.feed(standing.core.on_wish(LEAF, Wish(name, parse(["other"])), 0.0))
    assert len(standing.core) == WISHES_PER_LEAF_MAX
    assert standing.core.wanting(entry("word0.ogg"))[0] == []


def test_searches_keep_to_their_pace_whoever_wishes() -> None:
    """A few at once, then some a second, a few open at a time."""
    standing = Standing(searches_burst=8, searches_per_s=1.0, searches_max=4)
    for leaf in range(20):
        for number in range(10):
            standing.wish(f"word{leaf}x{number}", bytes([leaf]) * 32)
    assert len(standing.searches) == 4
    for _ in range(100):
        if standing.searches:
            standing.end(0.0)
    assert standing.core.searched == 8
    now = 0.0
    while standing.core.searched < 60:
        now = max(now, standing.core.wakeup() or now)
        standing.due(now)
        while standing.searches:
            standing.end(now)
        assert (standing.core.wakeup() or 0.0) > now  # time goes on, whatever rounding leaves
    assert now >= 60 - 8 - 1


def test_one_that_moved_here_waits_its_turn() -> None:
    """A new one goes first."""
    standing = Standing(searches_max=1, again_s=30.0)
    standing.wish("first")
    standing.wish("moved", again=True)
    standing.wish("new")
    standing.end(1.0)
    assert [each.terms.words for each in standing.searches] == [("new",)]
    standing.end(2.0)
    standing.due(30.0)
    assert [each.terms.words for each in standing.searches] == [("moved",)]


def test_a_published_file_is_held_against_few_wishes_only() -> None:
    """Against those of its own words, and of those not all: what is left is found by a search."""
    standing = Standing()
    for leaf in range(20):
        for number in range(20):
            standing.wish(f"mp3 -word{leaf}x{number}", bytes([leaf]) * 32)
    wanting, checks = standing.core.wanting(entry("song.mp3"))
    assert (len(wanting), checks) == (CHECKS_MAX, CHECKS_MAX)
    assert standing.core.wanting(entry("song.ogg")) == ([], 0)


def test_a_wish_is_kept_by_its_rarest_word() -> None:
    """So that a common word is not met by all of them."""
    standing = Standing()
    for number in range(30):
        standing.wish(f"mp3 word{number}", bytes([number]) * 32)
    _, checks = standing.core.wanting(entry("word7 song.mp3"))
    assert checks <= 2


def test_what_is_published_at_once_is_told_in_part_and_found_by_a_search() -> None:
    """A leaf's link is never filled; the one that shares it is not told."""
    standing = Standing(hits_burst=40, hits_per_s=1.0, near_s=2.0)
    standing.wish("blue")
    standing.end(1.0)
    found = standing.core.wanting(entry("blue.ogg"))[0]
    told = [
        each for number in range(100) for each in standing.core.found(found, hit(0, "blue"), 1.0)
    ]
    assert len(told) == 40
    standing.due(3.0)
    assert [each.ttl for each in standing.searches] == [NEAR_LINKS]
    own = hit(0, "blue.ogg")
    standing.wish("blue", own.source.node, now=3.0)
    sent = standing.core.found(found, own, 200.0)
    assert [each.peer for each in sent if isinstance(each, Send)] == [LEAF]


def test_a_digest_that_no_longer_rules_it_out_is_looked_into() -> None:
    """Two links deep and soon; not what we hear of for the first time, nor another's words."""
    standing = Standing(near_s=2.0)
    standing.wish("blue moon")
    standing.end(0.0)
    far = standing.core.wakeup()
    standing.core.digest_changed(None, digest("blue", "moon"), 10.0)
    standing.core.digest_changed(digest(), digest("blue", "sun"), 10.0)
    assert standing.core.wakeup() == far
    standing.core.digest_changed(digest("blue"), digest("blue", "moon"), 10.0)
    standing.due(11.0)
    assert [each.ttl for each in standing.searches] == [NEAR_LINKS]


def test_looking_in_vain_doubles_the_pause() -> None:
    """Until something else is found: who has the words and much that is new costs little."""
    standing = Standing(near_s=2.0, every_s=10_000.0)
    standing.wish("blue")
    standing.end(0.0)
    asked: list[float] = []
    now, known = 100.0, ["blue"]
    while now < 700.0:
        standing.core.digest_changed(digest(*known), digest(*known, f"{now}"), now)
        known.append(f"{now}")
        standing.due(now)
        if standing.searches:
            asked.append(now)
            standing.end(now, hit(0, "blue.ogg"))
        now += 1.0
    gaps = [round(later - before) for before, later in pairwise(asked)]
    assert gaps == sorted(gaps) and gaps[-1] >= 128
    assert len(asked) <= 12
    standing.core.digest_changed(digest(), digest("blue"), now)
    standing.due(now + 1.0)
    standing.end(now + 1.0, hit(0, "blue two.ogg", content=2))
    standing.core.digest_changed(digest("blue"), digest("blue", "x"), now + 1.0)
    standing.due(now + 3.5)
    assert len(standing.searches) == 1


def test_digests_of_all_ones_and_all_zeros_cost_a_bounded_number_of_searches() -> None:
    """One that flaps between both stirs each wish once in a while, at the pace of all."""
    standing = Standing(near_s=2.0, searches_per_s=1.0, searches_burst=8)
    for leaf in range(10):
        for number in range(10):
            standing.wish(f"word{leaf}x{number}", bytes([leaf]) * 32, again=True)
    ones, zeros = (BITS_MIN, BitMap(range(1 << BITS_MIN))), (BITS_MIN, BitMap())
    now = 0.0
    while now < 60.0:
        standing.core.digest_changed(zeros, ones, now)
        standing.core.digest_changed(ones, zeros, now)
        standing.due(now)
        while standing.searches:
            standing.end(now)
        now += 0.1
    assert standing.core.searched <= 8 + 60


# --- at the leaf --------------------------------------------------------------------------------


class Leaf:
    """A leaf's wishes; its parent says what the test wants."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.core = LeafWishes(
            LEAF, "test", Library(()), Random(1), epoch=1_000_000, dropped=self.dropped
        )
        self.core.handle(Joined(bytes(32), Address.of("10.0.0.1", 1214), 0, 100), 0.0)
        added = self.core.handle(Asked(1, "leaf.wish_add", WishAdd(["blue"])), 0.0)
        (told,) = [each.message for each in added if isinstance(each, Send)]
        assert isinstance(told, Wish)
        self.wish = told

    def hear(self, *hits: Hit, peer: bytes = bytes(32), wish: bytes = b"") -> list[Effect]:
        """Somebody sends hits."""
        message = WishHits(wish or self.wish.wish, hits)
        return self.core.handle(Received(peer, message), 1.0)


def test_forged_hits_of_a_wish_are_not_believed() -> None:
    """Of other words, unsigned, of a stranger, of no wish: counted, and the true one is told."""
    leaf, true = Leaf(), hit(0, "blue.ogg")
    unsigned = replace(true, signature=bytes(64))
    assert leaf.hear(hit(0, "red.ogg")) == []
    assert leaf.hear(unsigned) == []
    assert leaf.hear(true, peer=b"x" * 32) == []
    assert leaf.hear(true, wish=bytes(16)) == []
    assert sum(leaf.dropped.values()) == 4
    assert leaf.hear(true) and leaf.hear(true) == []


def test_a_wish_tells_of_so_many_files_and_ends() -> None:
    """The parent is told that it is over; no later parent is asked."""
    leaf = Leaf()
    effects: list[Effect] = []
    for number in range(FILES_MAX + 10):
        effects += leaf.hear(hit(0, "blue.ogg", content=number + 1))
    ends = [each.message for each in effects if isinstance(each, Send)]
    assert ends == [Unwish(leaf.wish.wish)]
    assert leaf.core.handle(Joined(b"p" * 32, Address.of("10.0.0.1", 1214), 0, 100), 2.0) == []


def test_times_are_utc() -> None:
    """Of any century."""
    assert utc_text(0) == "1970-01-01T00:00:00Z"
    assert utc_text(951_782_400.9) == "2000-02-29T00:00:00Z"
    assert utc_text(4_107_542_399) == "2100-02-28T23:59:59Z"
    assert utc_text(-1) == "1969-12-31T23:59:59Z"
