"""Peer exchange: leaves that share the work on a file name one another those they are linked with.

So a download goes on finding sources when its parent is gone. Who wants a file of us hears, some
seconds after it came and then once a minute where there is news, which others have or fetch it; of
the same leaves, and of those that we fetch from, we believe as much. It stays hearsay (THREATS T3):
what a leaf says about addresses of a narrower scope than its own is dropped, a name is kept only as
one of a few of its namer's, and dialled only while the download wants sources, once, and within a
budget for all of them; who names dead addresses is soon not listened to. What becomes of a source
that was reached is the download's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import SwarmConfig
from common.core import Effect, Event, LinkDown, LinkUp, Received, Send, Woke
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.ids import NodeId
from common.limits import PEERS_TOLD_MAX
from common.messages.fields import Contact, Message
from common.messages.swarm import Bitfield, Interested, Peers
from leaf.downloads.downloads import Downloads
from leaf.links.links import BulkLinks
from leaf.signals import SourcesFound
from leaf.swarm.fetch import Fetch
from leaf.swarm.source import Phase
from leaf.swarm.webpeers import WebPeers
from leaf.uploads.upload import Uploads

EARLY_SHARE: Final = 0.5  # of exchange_s: what comes sooner after the last is dropped; wild guess
SOURCE_WAITS: Final = 10  # times exchange_first_s: who does not ask us may have all, and not say so
HEARSAY_MAX: Final = 200  # leaves named for one file and not tried yet: as many as sources
STRIKES_MAX: Final = 8  # dead addresses more than live ones, then a namer is believed no more
STRICKEN_MAX: Final = 1_000  # namers that this is remembered of, hearsay_s from their last one on
TRIED_S: Final = 60.0  # then who was given to a download and neither linked nor failed is forgotten
FEED_S: Final = 1.0  # between two looks whether a download wants what was named; wild guess

Key = tuple[NodeId, bytes]  # a leaf, and the root of a file


@dataclass(slots=True)
class _Partner:
    """One leaf that is told of one file."""

    told: int = 0  # the last number of those that it heard of, or was
    pause_s: float = 0.0  # until it is looked again whether there is news, as long as it heard none


class Exchange:
    """Who is told whom, and what is made of what we are told."""

    __slots__ = (
        *("_budget", "_config", "_deadlines", "_downloads", "_hearsay", "_heard_at", "_links"),
        *("_me", "_numbers", "_partners", "_rng", "_strikes", "_tried", "_uploads", "_webpeers"),
        "dropped",
    )

    def __init__(
        self,
        me: NodeId,
        downloads: Downloads,
        uploads: Uploads,
        links: BulkLinks,
        webpeers: WebPeers,
        config: SwarmConfig,
        rng: Random,
    ) -> None:
        self._me = me
        self._downloads = downloads
        self._uploads = uploads
        self._links = links
        self._webpeers = webpeers
        self._config = config
        self._rng = rng
        self._partners: dict[bytes, dict[NodeId, _Partner]] = {}  # by root
        self._numbers: dict[bytes, dict[NodeId, int]] = {}  # by root: when each was seen first
        self._heard_at: dict[Key, float] = {}  # when a partner named others last
        self._hearsay: dict[bytes, dict[NodeId, tuple[Address, NodeId]]] = {}  # and who named it
        self._tried: dict[NodeId, tuple[NodeId, float]] = {}  # being dialled -> who named it, when
        self._strikes: dict[NodeId, tuple[int, float]] = {}  # and when the last one was
        self._budget = DialBudget(
            per_s=config.hearsay_dials_per_s,
            burst=config.hearsay_dials_burst,
            target_s=config.hearsay_s,
            again_s=config.hearsay_s,
        )
        self._deadlines = Deadlines()
        self.dropped: dict[str, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When somebody is told, or what was named is looked at."""
        return self._deadlines.earliest()

    # --- who exchanges what with us ---------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        return self._MESSAGES[type(event.message)](self, event.peer, event.message, now)

    def _on_share(self, peer: NodeId, message: Interested | Bitfield, now: float) -> list[Effect]:
        """It wants the file, or has a part of it: it hears of others before long."""
        root = message.root
        if not self._wants(peer, root) or self._webpeers.knows(peer):
            return []
        partner = self._partners.setdefault(root, {}).setdefault(peer, _Partner())
        pause_s = self._config.exchange_first_s
        if not self._uploads.is_asked_by(peer, root):
            pause_s *= SOURCE_WAITS
        if not partner.pause_s or (not partner.told and pause_s < partner.pause_s):
            partner.pause_s = pause_s
            self._deadlines.set((peer, root), now + pause_s)
        return []

    def _wants(self, peer: NodeId, root: bytes) -> bool:
        """Whether it exchanges this file with us, and does not have all of it."""
        if peer == self._me:
            return False
        if self._uploads.is_asked_by(peer, root):
            return True
        fetch = self._fetch(root)
        source = fetch.sources.get(peer) if fetch else None
        return source is not None and source.phase is Phase.LINKED and source.has is not None

    def _fetch(self, root: bytes) -> Fetch | None:
        download = self._downloads.roster.under_way.get(root)
        return download.fetch if download else None

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        tried = self._tried.pop(event.peer, None)
        if tried is not None:
            self._strike(tried[0], now)
        for root in [root for root, partners in self._partners.items() if event.peer in partners]:
            self._part(event.peer, root)
        for key in [key for key in self._heard_at if key[0] == event.peer]:
            del self._heard_at[key]
        return []

    def _link_up(self, event: LinkUp, _now: float) -> list[Effect]:
        tried = self._tried.pop(event.peer, None) if event.door is Door.BULK else None
        if tried is not None and tried[0] in self._strikes:
            count, at = self._strikes[tried[0]]
            self._strikes[tried[0]] = max(count - 1, 0), at
        return []

    def _part(self, peer: NodeId, root: bytes) -> None:
        """It is told of this file no more."""
        self._deadlines.cancel((peer, root))
        del self._partners[root][peer]
        if not self._partners[root]:
            del self._partners[root]
            self._numbers.pop(root, None)

    # --- telling ----------------------------------------------------------------------------

    def _tell(self, peer: NodeId, root: bytes, now: float) -> list[Effect]:
        """Name those that came since it was told last, some at random if they are many."""
        at = self._links.contact(peer)
        partner = self._partners[root][peer]
        if at is None or not self._wants(peer, root):
            if at is not None and partner.pause_s < self._config.exchange_s:
                partner.pause_s = self._config.exchange_s  # it may have all, and is named till then
                self._deadlines.set((peer, root), now + partner.pause_s)
            else:
                self._part(peer, root)
            return []
        numbers = self._numbered(root)
        told, partner.told = partner.told, max(numbers.values(), default=0)
        contacts = [self._links.contact(each) for each in numbers if numbers[each] > told]
        news = [
            each
            for each in contacts
            if each is not None and each.node != peer and may_tell(each.address, at.address)
        ]
        partner.pause_s = min(2 * partner.pause_s, self._config.exchange_s)
        if news:
            partner.pause_s = self._config.exchange_s
        self._deadlines.set((peer, root), now + partner.pause_s * self._rng.uniform(1.0, 1.25))
        if not news:
            return []
        some = self._rng.sample(news, min(len(news), PEERS_TOLD_MAX))
        return [Send(peer, Peers(root, tuple(some)))]

    def _numbered(self, root: bytes) -> dict[NodeId, int]:
        """All that exchange this file with us over a link, in the order in which they came."""
        before = self._numbers.get(root, {})
        last = max(before.values(), default=0)
        fetch = self._fetch(root)
        linked = [each.peer for each in fetch.sources.linked if each.shown] if fetch else []
        there = dict.fromkeys([*self._partners.get(root, {}), *linked])
        there = {
            each: None
            for each in there
            if each != self._me and not self._webpeers.knows(each) and self._links.is_up(each)
        }
        numbers = {each: number for each, number in before.items() if each in there}
        for each in there:
            if each not in numbers:
                last += 1
                numbers[each] = last
        self._numbers[root] = numbers
        return numbers

    # --- being told -------------------------------------------------------------------------

    def _on_peers(self, peer: NodeId, message: Peers, now: float) -> list[Effect]:
        root, at = message.root, self._links.contact(peer)
        if at is None or not self._exchanges(peer, root):
            return self._drop("peers from who exchanges nothing with us")
        if now < self._heard_at.get((peer, root), float("-inf")) + self._early_s:
            return self._drop("peers named too often")
        self._heard_at[peer, root] = now
        if self._is_out(peer, now):
            return self._drop("peers of who named dead ones")
        hearsay = self._hearsay.setdefault(root, {})
        mine = sum(namer == peer for _, namer in hearsay.values())
        for each in message.contacts:
            if mine >= PEERS_TOLD_MAX or len(hearsay) >= HEARSAY_MAX:
                break
            if each.node in (self._me, peer) or each.node in hearsay:
                continue
            if not may_tell(each.address, at.address):
                self._drop("peers out of scope")
                continue
            hearsay[each.node] = each.address, peer
            mine += 1
        return self._feed(root, now)

    @property
    def _early_s(self) -> float:
        return self._config.exchange_s * EARLY_SHARE

    def _exchanges(self, peer: NodeId, root: bytes) -> bool:
        """Whether we fetch this file, and this leaf takes part in it with us."""
        fetch = self._fetch(root)
        if fetch is None:
            return False
        return fetch.sources.is_linked(peer) or self._uploads.is_asked_by(peer, root)

    def _feed(self, root: bytes, now: float) -> list[Effect]:
        """Give a download as many of those that were named as it would dial now."""
        hearsay, fetch = self._hearsay.get(root), self._fetch(root)
        if not hearsay or fetch is None:
            self._hearsay.pop(root, None)
            return []
        self._deadlines.set(root, now + FEED_S)
        room = fetch.room
        given: list[Contact] = []
        for node in self._rng.sample(list(hearsay), len(hearsay)) if room else ():
            if len(given) >= room:
                break
            address, namer = hearsay[node]
            if fetch.sources.get(node) is not None or node in fetch.sources.liars:
                del hearsay[node]
            elif self._links.is_up(node) or self._may_dial(node, address, namer, now):
                del hearsay[node]
                given.append(Contact(node, address))
        return [SourcesFound(root, tuple(given), is_hearsay=True)] if given else []

    def _may_dial(self, node: NodeId, address: Address, namer: NodeId, now: float) -> bool:
        """Whether it is dialled now; what becomes of that counts for who named it."""
        while self._tried and now - next(iter(self._tried.values()))[1] >= TRIED_S:
            del self._tried[next(iter(self._tried))]
        if self._is_out(namer, now) or len(self._tried) >= HEARSAY_MAX:
            return False
        if not self._budget.take(address, now):
            return False
        self._tried.pop(node, None)
        self._tried[node] = namer, now
        return True

    def _is_out(self, namer: NodeId, now: float) -> bool:
        """Whether it is believed no more: it named too many who are not there."""
        count, at = self._strikes.get(namer, (0, now))
        return count >= STRIKES_MAX and now - at < self._config.hearsay_s

    def _strike(self, namer: NodeId, now: float) -> None:
        """It named somebody who is not there."""
        count, at = self._strikes.pop(namer, (0, now))
        oldest = next(iter(self._strikes.values()), (0, now))
        if len(self._strikes) >= STRICKEN_MAX and now - oldest[1] >= self._config.hearsay_s:
            del self._strikes[next(iter(self._strikes))]
        if len(self._strikes) < STRICKEN_MAX:
            self._strikes[namer] = 1 if now - at >= self._config.hearsay_s else count + 1, now

    def _drop(self, reason: str) -> list[Effect]:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return []

    # --- time -------------------------------------------------------------------------------

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if isinstance(key, tuple):
                peer, root = key
                effects += self._tell(peer, root, now)
            elif isinstance(key, bytes):
                effects += self._feed(key, now)
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        Woke: _woke,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Interested: _on_share,
        Bitfield: _on_share,
        Peers: _on_peers,
    }
