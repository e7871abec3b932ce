"""What others measured of our leaves: receipts, dial-backs, tests, and how long they were here.

A receipt is made by a leaf that downloaded, and goes to its own parent, which vouches for it and
passes it on to the giver's: at once where that is itself, else along neighbours that have it in
sight (three links at most). The giver's parent believes a super-peer that it has in sight, and of
each receiver only what is newer than it knows. Books outlive the link of a leaf; what a super-peer
knows of its leaves it tells its neighbours now and then, signed, for whoever has them next.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from itertools import islice
from random import Random
from typing import Final

import msgspec

from common.config import VitalsConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.hostcache import group_of
from common.ids import SIGNATURE_BYTES, Identity, NodeId
from common.limits import HOPS_MAX, RECEIPTS_MAX, RECORDS_MAX
from common.messages import hierarchy
from common.messages.fields import Contact
from common.messages.hierarchy import Carried, Receipts, Records
from common.rates import Bucket
from common.vitals import (
    Receipt,
    Record,
    Vouched,
    is_receipt,
    is_record,
    is_vouched,
    sign_record,
    vouch,
)
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.reach import short_id
from superpeer.vitals.books import Book
from superpeer.vitals.verdict import Inputs

BOOKS_MAX: Final = 4_096  # of leaves, here or gone; up to 20 KiB each, usually 1
CARRY_TTL: Final = 3  # links that receipts go: as far as a super-peer sees
RECEIPTS_PER_S: Final = 4.0  # of one leaf: four checks of a signature, 0.4 ms
RECEIPTS_BURST: Final = 2 * RECEIPTS_MAX
RECORDS_PER_S: Final = 2.0  # of one neighbour, who tells 64 in a minute
RECORDS_BURST: Final = 2 * RECORDS_MAX
SUPER_PEERS_ENOUGH: Final = 3  # in sight, we among them: DESIGN §5
_RECORDS: Final = "records"


class Vitals:
    """The books. `links`, `leaves` and `neighbours` are read as they are at the moment, `around`
    is who is in sight, and `rtt_s` the round trip to a leaf."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: VitalsConfig,
        rng: Random,
        *,
        links: Mapping[NodeId, LinkUp],
        leaves: Mapping[NodeId, Contact],
        neighbours: Mapping[NodeId, Neighbour],
        around: Callable[[], frozenset[int]],
        rtt_s: Callable[[NodeId], float | None],
    ) -> None:
        self._identity, self._me, self._network = identity, identity.node, network
        self._config, self._rng = config, rng
        self._links, self._leaves, self._neighbours = links, leaves, neighbours
        self._around, self._rtt_s = around, rtt_s
        self._books: dict[NodeId, Book] = {}  # the one that arrived last at the end
        self._told: dict[NodeId, hierarchy.Vitals] = {}
        self._credit: dict[NodeId, Bucket] = {}
        self._record_credit: dict[NodeId, Bucket] = {}
        self._deadlines = Deadlines()
        self.dropped: Counter[str] = Counter()

    def book(self, node: NodeId) -> Book:
        """What we know of it."""
        book = self._books.get(node)
        if book is None:
            book = self._books[node] = Book()
            self._forget()
        return book

    def known(self, node: NodeId) -> Book | None:
        """The same, where we know anything."""
        return self._books.get(node)

    def inputs(self, node: NodeId, now: float, *, need: bool) -> Inputs:
        """What counts for a verdict on it."""
        link = self._links.get(node)
        return self.book(node).inputs(
            self._config,
            me=self._me,
            bulk_door=link is not None and link.bulk_port > 0,
            groups_there=self._groups_there(node),
            rtt_s=self._rtt_s(node),
            need=need,
            now=now,
        )

    def up_rate(self, node: NodeId, now: float) -> float | None:
        """What it is seen to send; None where too few saw it."""
        book = self._books.get(node)
        if book is None:
            return None
        rate, groups, _ = book.rate(self._config, now)
        wanted = max(1, min(self._config.groups_min, self._groups_there(node)))
        return rate if groups >= wanted else None

    def seen(self, node: NodeId, now: float) -> tuple[bool | None, float | None]:
        """Whether others can dial it, and what it is seen to send."""
        book = self._books.get(node)
        reachable = None if book is None else book.reachable(self._config, now)
        return reachable, self.up_rate(node, now)

    @property
    def known_share(self) -> float:
        """Of our leaves that would be super-peers, how many have a rate that was measured."""
        books = [self._books[leaf] for leaf in self._leaves if leaf in self._books]
        rates = [bool(book.tested or book.received) for book in books if book.willing]
        return sum(rates) / len(rates) if rates else 1.0

    def ourselves(self, now: float) -> Inputs | None:
        """What is known of ourselves, by the words of others; None where nobody measured us."""
        book = self._books.get(self._me)
        rate = None if book is None else book.told_rate(self._config, now)
        if rate is None:
            return None
        found = self.inputs(self._me, now, need=True)
        return msgspec.structs.replace(found, up_rate=rate, session_s=None)

    def beside(self, peer: NodeId, now: float) -> Inputs | None:
        """What is known of a neighbour as a super-peer, by ourselves or else by the words of
        others; None where nobody measured it."""
        each, book = self._neighbours[peer], self._books.get(peer)
        if book is None:
            return None
        rate = self.up_rate(peer, now) or book.told_rate(self._config, now)
        if rate is None:
            return None
        found = self.inputs(peer, now, need=True)
        uptime_s = found.uptime_s + book.sessions_s + now - each.since
        return msgspec.structs.replace(found, up_rate=rate, uptime_s=uptime_s, session_s=None)

    def _groups_there(self, node: NodeId) -> int:
        """How many others could measure it, as far as it matters: in a network of three super-peers
        or more there are always enough."""
        if len(self._around()) >= SUPER_PEERS_ENOUGH:
            return self._config.groups_min
        there = sum(each.leaves for each in self._neighbours.values())
        own = sum(1 for leaf in islice(self._leaves, self._config.groups_min + 1) if leaf != node)
        return min(there + own, self._config.groups_min)

    # --- leaves that come and go ------------------------------------------------------------

    def arrived(self, leaf: NodeId, now: float) -> None:
        """It joined us."""
        book = self._books.pop(leaf, None) or Book()
        self._books[leaf] = book
        book.arrive(now)
        self._forget()
        if self._config.records_s > 0 and self._deadlines.get(_RECORDS) is None:
            self._deadlines.set(_RECORDS, now + self._config.records_s)
        self.changed(leaf, now)

    def departed(self, leaf: NodeId, now: float) -> None:
        """It is no leaf of ours any more."""
        if leaf in self._books:
            self._books[leaf].depart(now)
        self._told.pop(leaf, None)
        self._credit.pop(leaf, None)
        self._deadlines.cancel(("tell", leaf))

    def changed(self, leaf: NodeId, now: float) -> None:
        """Something was measured of it: it is told, before long."""
        if leaf in self._leaves and self._deadlines.get(("tell", leaf)) is None:
            soon = leaf not in self._told
            self._deadlines.set(("tell", leaf), now + (0.0 if soon else self._config.tell_s))

    def _forget(self) -> None:
        """What only others tell of gives way first, then who left us longest ago."""
        while len(self._books) > BOOKS_MAX:
            gone = {node: book for node, book in self._books.items() if node not in self._leaves}
            told = (node for node, book in gone.items() if book.is_hearsay)
            del self._books[next(told, next(iter(gone or self._books)))]

    # --- receipts ---------------------------------------------------------------------------

    def on_receipts(self, peer: NodeId, message: Receipts, now: float) -> list[Effect]:
        """A leaf of ours downloaded: enter it, or pass it on to the parents of who gave."""
        if peer not in self._leaves:
            return self._drop("receipts_of_stranger")
        credit = self._pace(peer, now)
        carried: dict[NodeId, list[Vouched]] = {}
        group = group_of(Contact(peer, self._links[peer].address))
        for receipt, home in zip(message.receipts, message.homes, strict=False):
            if not credit.take(now):
                self.dropped["receipts_too_many"] += 1
                break
            if receipt.receiver != peer or not self._holds(receipt):
                self.dropped["receipt_false"] += 1
                continue
            self.book(peer).enter_down(receipt, now)
            if receipt.giver in self._leaves:
                self._enter(receipt, group, now)
            elif home != self._me:
                vouched = vouch(self._identity, self._network, receipt, group)
                carried.setdefault(home, []).append(vouched)
        self.changed(peer, now)
        return [
            effect
            for home, vouched in carried.items()
            for effect in self._carry(Carried(home, self._me, CARRY_TTL, tuple(vouched)))
        ]

    def on_carried(self, peer: NodeId, message: Carried, now: float) -> list[Effect]:
        """Receipts from elsewhere: ours, or to be passed on."""
        if peer not in self._neighbours:
            return self._drop("receipts_of_stranger")
        if message.to != self._me:
            if message.ttl <= 0:  # one less would be no message: the next would end our link
                return self._drop("receipts_without_way")
            ttl = min(message.ttl, HOPS_MAX) - 1
            return self._carry(Carried(message.to, message.by, ttl, message.vouched), peer)
        if short_id(message.by) not in self._around():
            return self._drop("receipts_out_of_sight")
        credit = self._pace(message.by, now)
        for vouched in message.vouched:
            if vouched.receipt.giver not in self._leaves or not credit.take(now):
                self.dropped["receipts_not_wanted"] += 1
            elif self._is_long(vouched.receipt) and is_vouched(vouched, message.by, self._network):
                self._enter(vouched.receipt, vouched.group, now)
            else:
                self.dropped["receipt_false"] += 1
        return []

    def _pace(self, by: NodeId, now: float) -> Bucket:
        """What one may still tell, who is heard of last at the end."""
        return _paced(self._credit, by, Bucket(RECEIPTS_PER_S, RECEIPTS_BURST, now))

    def _holds(self, receipt: Receipt) -> bool:
        """Whether it is worth anything: long enough, and signed."""
        return self._is_long(receipt) and is_receipt(receipt, self._network)

    def _enter(self, receipt: Receipt, group: bytes, now: float) -> None:
        if self.book(receipt.giver).enter_receipt(receipt, group, now):
            self.changed(receipt.giver, now)

    def _is_long(self, receipt: Receipt) -> bool:
        config = self._config
        is_long = receipt.span_us >= 1e6 * config.window_s and receipt.length >= config.window_bytes
        return is_long and receipt.giver != receipt.receiver

    def _carry(self, message: Carried, came_from: NodeId = b"") -> list[Effect]:
        """To its super-peer, or one link nearer to it."""
        if message.to in self._neighbours:
            return [Send(message.to, message)]
        wanted = short_id(message.to)
        ways = [
            peer
            for peer, each in self._neighbours.items()
            if peer != came_from and (wanted in each.beyond() or wanted in each.nearby)
        ]
        if message.ttl <= 0 or not ways:
            return self._drop("receipts_without_way")
        near = [peer for peer in ways if wanted in self._neighbours[peer].beyond()]
        return [Send(self._rng.choice(near or ways), message)]

    # --- records ----------------------------------------------------------------------------

    def on_records(self, peer: NodeId, message: Records, now: float) -> list[Effect]:
        """What a neighbour knows of its leaves; it may be ours one day."""
        if peer not in self._neighbours:
            return self._drop("records_of_stranger")
        credit = _paced(self._record_credit, peer, Bucket(RECORDS_PER_S, RECORDS_BURST, now))
        for record in message.records:
            if not credit.take(now):
                self.dropped["records_too_many"] += 1
                break
            if record.by != peer or not is_record(record, self._network):
                self.dropped["record_false"] += 1
            else:
                self.book(record.node).enter_record(record, now)
        return []

    def _tell_records(self, now: float) -> list[Effect]:
        """Neighbours that we measured, and of our leaves as many as fit, to all neighbours."""
        self._deadlines.set(_RECORDS, now + self._config.records_s)
        if not self._neighbours:
            return []
        beside = [peer for peer in self._neighbours if self.up_rate(peer, now) is not None]
        known = [leaf for leaf in self._leaves if leaf in self._books and leaf != self._me]
        known = [leaf for leaf in known if leaf not in self._neighbours]
        chosen = beside[:RECORDS_MAX]
        chosen += self._rng.sample(known, min(RECORDS_MAX - len(chosen), len(known)))
        records = Records(tuple(self._record(leaf, now) for leaf in chosen))
        return [Send(peer, records) for peer in self._neighbours] if chosen else []

    def _record(self, leaf: NodeId, now: float) -> Record:
        book = self._books[leaf]
        rate, groups, _ = book.rate(self._config, now)
        bare = Record(
            node=leaf,
            by=self._me,
            reachable=book.reachable(self._config, now),
            up_rate=None if rate is None else round(rate),
            witnesses=groups,
            uptime_s=int(book.uptime_s(now)),
            sessions=book.sessions,
            session_s=int(book.sessions_s / book.sessions) if book.sessions else 0,
            age_s=0,
            signature=bytes(SIGNATURE_BYTES),
        )
        return sign_record(self._identity, self._network, bare)

    # --- time -------------------------------------------------------------------------------

    def due(self, now: float) -> list[Effect]:
        """Tell leaves and neighbours."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._on_due(key, now)
        return effects

    def _on_due(self, key: Hashable, now: float) -> list[Effect]:
        if not isinstance(key, tuple):
            return self._tell_records(now)
        leaf = key[1]
        if leaf not in self._leaves:
            return []
        rate = self.up_rate(leaf, now)
        down = self.book(leaf).down_rate(self._config, now)
        told = hierarchy.Vitals(
            self.book(leaf).reachable(self._config, now),
            None if rate is None else round(rate),
            None if down is None else round(down),
        )
        if self._told.get(leaf, hierarchy.Vitals()) == told:
            return []
        self._told[leaf] = told
        return [Send(leaf, told)]

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    def _drop(self, why: str) -> list[Effect]:
        self.dropped[why] += 1
        return []


def _paced(owed: dict[NodeId, Bucket], by: NodeId, new: Bucket) -> Bucket:
    """What one may still tell, who is heard of last at the end."""
    credit = owed[by] = owed.pop(by, new)
    if len(owed) > BOOKS_MAX:
        del owed[next(iter(owed))]
    return credit
