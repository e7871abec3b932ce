"""Standing searches of our leaves: what they wish for is looked for until they leave.

A wish meets what is new in three ways. What our own leaves publish is held against it as it becomes
findable, and told at once. When a super-peer within two links has something new and its digest does
not rule the wish out, the network is asked two links deep, which costs a few messages; each time
that was for nothing the pause until the next doubles. And every `every_s` all of it is asked: that
is the truth, the others are only quicker. The same terms of several leaves are one wish here.

Everything is bounded whatever leaves wish for: wishes by leaf, checks by published file, what is
told by leaf and second, and searches by second, whoever they are for; who comes first is new. What
is beyond a bound is found by a later search. Nothing is remembered of what was told: a leaf knows.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from itertools import chain, islice
from random import Random
from typing import Final

from pyroaring import BitMap

from common.config import WishConfig
from common.content.catalogue import Entry
from common.core import Effect, Send
from common.deadlines import Deadlines
from common.digest import may_have
from common.ids import Guid, NodeId, new_guid
from common.limits import DIGEST_BITS_MAX, TTL_MAX, WISH_BYTES_MAX, WISHES_PER_LEAF_MAX
from common.messages.cluster import (
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
from common.messages.overlay import QueryBody
from common.rates import Bucket
from common.terms import Terms, entry_words, matches
from superpeer.digests.copies import Whole
from superpeer.flood.guide import places

STANDING: Final[NodeId] = b"wishes"
"""Who asks for wishes, inside this super-peer."""

HITS_MAX: Final = 500  # of one search: who wishes for what so many have is told of some
NEAR_LINKS: Final = 2  # how far digests tell
GLANCES_MAX: Final = 1024  # wishes whose words one published file is held against, 0.2 us each
CHECKS_MAX: Final = 64  # ... and those of them that it is in full, 13 us each
LOOKS_PER_S: Final = 20_000  # wishes held against digests, 3 us each; wild guess
LOOKS_BURST: Final = 2_000
WAIT_MIN_S: Final = 0.01  # so that time goes on, whatever is left over in rounding
GATHER_S: Final = 0.5  # digests that change within it cause one search; wild guess

_PACE: Final = "pace"


class _Wish:
    """The same terms, whoever wishes for them."""

    __slots__ = (
        *("asked_at", "far", "key", "nearby", "pause_s", "places", "search", "seen", "terms"),
        *("whole", "wishers"),
    )

    def __init__(self, terms: Terms, whole: list[str], key: str) -> None:
        self.terms = terms
        self.whole = whole  # words that all of its files have as they are
        self.key = key  # a word that all of its files have; '' where none is known
        self.places = places(QueryBody(1, terms=terms))
        self.wishers: dict[tuple[NodeId, Guid], None] = {}
        self.search: Guid | None = None
        self.far = False  # the next search, or the open one, goes through all of the network
        self.asked_at = float("-inf")
        self.pause_s = 0.0  # at least, between two searches nearby
        self.seen = 0  # all hits of the open search as one number
        self.nearby = 0  # ... of the last one nearby


class Wishes:
    """What our leaves wish for; `is_leaf` tells who may."""

    def __init__(self, *, config: WishConfig, rng: Random, is_leaf: Callable[[NodeId], bool]):
        self._config = config
        self._rng = rng
        self._is_leaf = is_leaf
        self._wishes: dict[Terms, _Wish] = {}
        self._of: dict[NodeId, dict[Guid, _Wish]] = {}
        self._by_key: dict[str, dict[_Wish, None]] = {}
        self._by_place: dict[int, dict[int, list[_Wish]]] = {}  # by bits of a digest, as needed
        self._new: dict[_Wish, bool] = {}  # not asked for yet: they go first
        self._ready: dict[_Wish, bool] = {}  # due, the first first; through all of the network?
        self._open: dict[Guid, _Wish] = {}
        self._fresh: dict[NodeId, Bucket] = {}
        self._told: dict[NodeId, Bucket] = {}
        self._pace: Bucket | None = None
        self._looks: Bucket | None = None
        self._deadlines = Deadlines()
        self.searched = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._wishes)

    # --- from leaves ------------------------------------------------------------------------

    def on_wish(self, leaf: NodeId, message: Wish, now: float) -> list[Effect]:
        """Look for it from now on, or say why not."""
        why = self._fault(leaf, message)
        if why:
            self.dropped["wish_refused"] += 1
            return [Send(leaf, Wished(message.wish, why))]
        effects = self.on_unwish(leaf, Unwish(message.wish), now)
        wish = self._wishes.get(message.terms) or self._add(message.terms)
        wish.wishers[leaf, message.wish] = None
        self._of.setdefault(leaf, {})[message.wish] = wish
        effects.append(Send(leaf, Wished(message.wish)))
        if not message.again and self._takes(self._fresh, leaf, now):
            self._new[wish] = True
        else:
            within_s = self._config.again_s if message.again else self._config.every_s
            self._ask_far(wish, now + self._rng.uniform(0, within_s))
        return effects + self._go_on(now)

    def on_unwish(self, leaf: NodeId, message: Unwish, _now: float) -> list[Effect]:
        """The leaf has enough of it."""
        wishes = self._of.get(leaf, {})
        wish = wishes.pop(message.wish, None)
        if wish is None:
            return []
        if not wishes:
            del self._of[leaf]
        del wish.wishers[leaf, message.wish]
        return [] if wish.wishers else self._remove(wish)

    def leaf_lost(self, leaf: NodeId, now: float) -> list[Effect]:
        """It tells its wishes again wherever it joins."""
        self._fresh.pop(leaf, None)
        self._told.pop(leaf, None)
        guids = list(self._of.get(leaf, {}))
        return [effect for guid in guids for effect in self.on_unwish(leaf, Unwish(guid), now)]

    # --- what is new ------------------------------------------------------------------------

    def wanting(self, entry: Entry) -> tuple[list[_Wish], int]:
        """Who wishes for an entry that is findable from now on, and how many were looked at."""
        if not self._wishes:
            return [], 0
        there = dict.fromkeys(entry_words(entry))
        by_key = [self._by_key[key] for key in (*there, "") if key in self._by_key]
        near = islice(chain.from_iterable(by_key), GLANCES_MAX)
        may = [wish for wish in near if all(map(there.__contains__, wish.whole))][:CHECKS_MAX]
        return [wish for wish in may if matches(wish.terms, entry)], len(may)

    def found(self, wishes: list[_Wish], hit: Hit, now: float) -> list[Effect]:
        """Tell of one that was just published; beyond what a leaf is told, a search does."""
        effects: list[Effect] = []
        for wish in wishes:
            for leaf, guid in wish.wishers:
                if leaf == hit.source.node:
                    continue  # it knows
                if self._takes(self._told, leaf, now):
                    effects.append(Send(leaf, WishHits(guid, (hit,))))
                else:
                    self._stir(wish, now)
        return effects

    def digest_changed(self, before: Whole | None, after: Whole, now: float) -> None:
        """A super-peer within two links has something new; one that we did not know before has
        nothing that is."""
        bits, there = after
        if before is None or not self._wishes or (before[0] == bits and there <= before[1]):
            return
        by_place = self._watched(bits)
        for place in BitMap(by_place) & there:
            for wish in by_place[place]:
                if self._may_look(now) and may_have(there, bits, wish.places):
                    was_ruled_out = not may_have(before[1], before[0], wish.places)
                    self._stir(wish, now, hurried=was_ruled_out)

    # --- searches ---------------------------------------------------------------------------

    def on_search_hits(self, _me: NodeId, message: SearchHits, _now: float) -> list[Effect]:
        """Tell everybody who wishes for it."""
        wish = self._open.get(message.guid)
        if wish is None:
            return []
        for hit in message.hits:
            wish.seen ^= _number(hit)
        return [Send(leaf, WishHits(guid, message.hits)) for leaf, guid in wish.wishers]

    def on_search_done(self, _me: NodeId, message: SearchDone, now: float) -> list[Effect]:
        """Whatever came of it, it is asked for again in time."""
        wish = self._open.pop(message.guid, None)
        if wish is not None:
            wish.search = None
            if not wish.far:
                is_new, wish.nearby = wish.seen != wish.nearby, wish.seen
                doubled = max(self._config.near_s, 2 * wish.pause_s)
                wish.pause_s = 0.0 if is_new else min(doubled, self._config.every_s)
            wish.far = False
        return self._go_on(now)

    def due(self, now: float) -> list[Effect]:
        """Ask for what it is time for, as far as we ask at all now."""
        for key in self._deadlines.pop_due(now):
            if isinstance(key, tuple):
                wish, far = key
                self._ready[wish] = far or self._ready.get(wish, False)
        return self._go_on(now)

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- the steps they share ---------------------------------------------------------------

    def _fault(self, leaf: NodeId, message: Wish) -> str:
        """Why this wish is not taken; '' where it is."""
        if not self._is_leaf(leaf):
            return "this super-peer is not your parent"
        mine = self._of.get(leaf, {})
        if len(mine) >= WISHES_PER_LEAF_MAX and message.wish not in mine:
            return f"{WISHES_PER_LEAF_MAX} wishes are kept already"
        if message.terms.bytes > WISH_BYTES_MAX:
            return f"its words have more than {WISH_BYTES_MAX} bytes"
        return ""

    def _add(self, terms: Terms) -> _Wish:
        """Keep it by the word that fewest are kept by, the longest of those."""
        whole = list(terms.words)
        key = min(whole, key=lambda word: (len(self._by_key.get(word, ())), -len(word)), default="")
        wish = self._wishes[terms] = _Wish(terms, whole, key)
        self._by_key.setdefault(key, {})[wish] = None
        self._by_place.clear()
        return wish

    def _remove(self, wish: _Wish) -> list[Effect]:
        del self._wishes[wish.terms]
        del self._by_key[wish.key][wish]
        if not self._by_key[wish.key]:
            del self._by_key[wish.key]
        self._by_place.clear()
        self._new.pop(wish, None)
        self._ready.pop(wish, None)
        for key in _keys(wish):
            self._deadlines.cancel(key)
        if wish.search is None:
            return []
        del self._open[wish.search]
        return [Send(STANDING, Forget(wish.search))]

    def _go_on(self, now: float) -> list[Effect]:
        """Begin searches while there are some to begin, few are open, and the pace allows."""
        config = self._config
        pace = self._pace = self._pace or Bucket(config.searches_per_s, config.searches_burst, now)
        effects: list[Effect] = []
        while (queue := self._new or self._ready) and len(self._open) < config.searches_max:
            wish = next(iter(queue))
            if wish.search is not None:  # asked for just now: once more when that is over
                again = _keys(wish)[queue.pop(wish)]
                self._deadlines.set(again, now + self._config.near_s)
            elif pace.take(now):
                effects.append(self._ask(wish, queue.pop(wish), now))
            else:
                self._deadlines.set(_PACE, now + max(pace.wait_s, WAIT_MIN_S))
                break
        return effects

    def _ask(self, wish: _Wish, far: bool, now: float) -> Effect:
        wish.search, wish.asked_at = new_guid(self._rng), now
        wish.far, wish.seen = far, 0
        self._open[wish.search] = wish
        self.searched += 1
        near_key, far_key = _keys(wish)
        self._deadlines.cancel(near_key)
        if far:
            every_s = self._config.every_s * self._rng.uniform(0.75, 1.25)
            self._deadlines.set(far_key, now + every_s)
        ttl = TTL_MAX if far else NEAR_LINKS
        return Send(STANDING, Search(wish.search, wish.terms, HITS_MAX, ttl))

    def _ask_far(self, wish: _Wish, at: float) -> None:
        """Ask all of the network by then."""
        key = _keys(wish)[1]
        set_to = self._deadlines.get(key)
        if set_to is None or at < set_to:
            self._deadlines.set(key, at)

    def _stir(self, wish: _Wish, now: float, *, hurried: bool = True) -> None:
        """There may be something new nearby: ask soon, and not too often."""
        key = _keys(wish)[0]
        pause_s = self._config.near_s if hurried else max(self._config.near_s, wish.pause_s)
        at, set_to = max(now + GATHER_S, wish.asked_at + pause_s), self._deadlines.get(key)
        if set_to is None or at < set_to:
            self._deadlines.set(key, at)

    def _may_look(self, now: float) -> bool:
        """Whether one more wish is held against a digest now; a later search makes up for it."""
        self._looks = self._looks or Bucket(LOOKS_PER_S, LOOKS_BURST, now)
        return self._looks.take(now)

    def _watched(self, bits: int) -> dict[int, list[_Wish]]:
        """The wishes by their first places in a digest of so many bits."""
        if bits not in self._by_place:
            by_place = self._by_place[bits] = {}
            for wish in self._wishes.values():
                for place in wish.places[:1]:
                    by_place.setdefault(place >> (DIGEST_BITS_MAX - bits), []).append(wish)
        return self._by_place[bits]

    def _takes(self, buckets: dict[NodeId, Bucket], leaf: NodeId, now: float) -> bool:
        """Whether one more of this is for a leaf now."""
        if leaf not in buckets:
            config = self._config
            rate_per_s, burst = config.hits_per_s, config.hits_burst
            if buckets is self._fresh:
                rate_per_s, burst = config.fresh_per_s, config.fresh_burst
            buckets[leaf] = Bucket(rate_per_s, burst, now)
        return buckets[leaf].take(now)


def _number(hit: Hit) -> int:
    """Tells hits apart, well enough to see that there are others now."""
    return int.from_bytes(hit.entry.root, "big") ^ int.from_bytes(hit.source.node, "big")


def _keys(wish: _Wish) -> tuple[Hashable, Hashable]:
    """Its deadlines: asked for nearby, and everywhere."""
    return (wish, False), (wish, True)
