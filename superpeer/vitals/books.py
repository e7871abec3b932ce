"""What is known of one leaf, by who measured it: the book that its parent keeps.

Nothing in it comes from the leaf itself. It outlives the link, so that a leaf that comes back is
known; what is older than `kept_s` counts no more.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from common.config import VitalsConfig
from common.ids import NodeId, node_text
from common.vitals import Receipt, Record
from superpeer.vitals.estimates import middle, received_rate, witnessed_rate
from superpeer.vitals.verdict import Inputs

RECEIVERS_MAX: Final = 64  # whose receipts are kept for one leaf, 200 B each
RECORDS_OF_MAX: Final = 8  # super-peers whose word of one leaf is kept
TELLERS_MIN: Final = 2  # super-peers, before how long a leaf was elsewhere counts
DIALS_MAX: Final = 8  # dial-backs of one leaf that are kept


class _Received(NamedTuple):
    group: bytes
    rate: float
    number: int
    at: float


class _Dialled(NamedTuple):
    reached: bool
    at: float


class _Told(NamedTuple):
    record: Record
    at: float


class Tested(NamedTuple):
    """A transfer test: the rate by all of these witnesses, of so many groups."""

    rate: float
    witnesses: tuple[NodeId, ...]
    groups: int
    is_lower_bound: bool
    at: float


class Book:
    """One leaf, from the moment that we saw it first."""

    __slots__ = (
        *("bulk_reached", "dialled", "down", "held_back_until", "here_since", "held_back_s"),
        *("received", "sessions", "sessions_s", "tested", "told", "willing"),
    )

    def __init__(self) -> None:
        self.here_since: float | None = None  # None: it is not our leaf now
        self.sessions = 0  # that are over
        self.sessions_s = 0.0  # their sum
        self.bulk_reached: _Dialled | None = None  # by ourselves
        self.dialled: dict[NodeId, _Dialled] = {}  # its control door, by others; latest last
        self.received: dict[NodeId, _Received] = {}  # by receiver; latest last
        self.down: dict[NodeId, _Received] = {}  # what it signed itself, for people only
        self.tested: Tested | None = None
        self.told: dict[NodeId, _Told] = {}  # by other super-peers
        self.willing = False  # it says that it would be a super-peer
        self.held_back_until = 0.0
        self.held_back_s = 0.0  # the last time: it doubles

    # --- what happens -----------------------------------------------------------------------

    def arrive(self, now: float) -> None:
        """It is our leaf."""
        if self.here_since is None:
            self.here_since = now

    def depart(self, now: float) -> None:
        """It is no more."""
        if self.here_since is not None:
            self.sessions += 1
            self.sessions_s += now - self.here_since
            self.here_since = None

    def enter_receipt(self, receipt: Receipt, group: bytes, now: float) -> bool:
        """Somebody got bytes of it; what is not newer than what is known of that receiver counts
        for nothing."""
        return _enter(self.received, receipt.receiver, receipt, group, now)

    def enter_down(self, receipt: Receipt, now: float) -> None:
        """It says that it got bytes."""
        _enter(self.down, receipt.giver, receipt, b"", now)

    def enter_dial(self, by: NodeId, reached: bool, now: float) -> None:
        """Somebody dialled it back."""
        self.dialled.pop(by, None)
        self.dialled[by] = _Dialled(reached, now)
        if len(self.dialled) > DIALS_MAX:
            del self.dialled[next(iter(self.dialled))]

    def enter_bulk(self, reached: bool, now: float) -> None:
        """We dialled its bulk door ourselves, which no lie can change."""
        self.bulk_reached = _Dialled(reached, now)

    def enter_test(
        self,
        reports: dict[NodeId, tuple[int, ...]],
        config: VitalsConfig,
        *,
        groups: int,
        is_lower_bound: bool,
        now: float,
    ) -> None:
        """Witnesses took from it at once."""
        rate = witnessed_rate(list(reports.values()), config.liars_share)
        if rate is not None:
            self.tested = Tested(rate, tuple(reports), groups, is_lower_bound, now)

    def enter_record(self, record: Record, now: float) -> None:
        """Another super-peer tells what it measured."""
        self.told.pop(record.by, None)
        self.told[record.by] = _Told(record, now)
        if len(self.told) > RECORDS_OF_MAX:
            del self.told[next(iter(self.told))]

    def hold_back(self, at_least_s: float, most_s: float, now: float) -> None:
        """Ask it nothing for a while, which doubles each time."""
        self.held_back_s = min(max(2 * self.held_back_s, at_least_s), most_s)
        self.held_back_until = now + self.held_back_s

    # --- what it says -----------------------------------------------------------------------

    @property
    def is_hearsay(self) -> bool:
        """Whether it was never our leaf, and nobody here held it back."""
        return self.here_since is None and not self.sessions and not self.held_back_s

    def reachable(self, config: VitalsConfig, now: float) -> bool | None:
        """Whether others can dial it: we at its bulk door, and the majority of others at the
        other one; None while that is not known."""
        own = self.bulk_reached
        if own is None or now - own.at >= 2 * config.kept_s:  # it is dialled anew after half of it
            return None
        if not own.reached:
            return False
        last = [each for each in self.dialled.values() if _is_fresh(each.at, config, now)]
        last = last[-config.dialbacks :]
        if not last:
            return None
        reached = sum(each.reached for each in last)
        if 2 * reached == len(last):
            return None
        return 2 * reached > len(last)

    def rate(self, config: VitalsConfig, now: float) -> tuple[float | None, int, list[NodeId]]:
        """What it sends, the groups of those who measured it, and who they are: by receipts or by
        a test, whichever has groups enough and says more; both can only say too little."""
        groups: dict[bytes, list[float]] = {}
        fresh = {
            node: each for node, each in self.received.items() if _is_fresh(each.at, config, now)
        }
        for each in fresh.values():
            groups.setdefault(each.group, []).append(each.rate)
        found = [(received_rate(groups), len(groups), list(fresh))]
        if self.tested is not None and _is_fresh(self.tested.at, config, now):
            found.append((self.tested.rate, self.tested.groups, list(self.tested.witnesses)))
        return max(found, key=lambda one: (min(one[1], config.groups_min), one[0] or 0.0))

    def told_rate(self, config: VitalsConfig, now: float) -> float | None:
        """What other super-peers say that they measured, the median of their words: it says whom
        to test first, and how a super-peer does that we have not tested."""
        rates = [
            float(each.record.up_rate)
            for each in self.told.values()
            if each.record.up_rate is not None
            and each.record.witnesses >= config.groups_min
            and _is_fresh(each.at - each.record.age_s, config, now)
        ]
        return middle(rates) if rates else None

    def down_rate(self, config: VitalsConfig, now: float) -> float | None:
        """What it says that it gets, from whoever gives it most: for people, it decides nothing."""
        rates = [each.rate for each in self.down.values() if _is_fresh(each.at, config, now)]
        return max(rates, default=None)

    def uptime_s(self, now: float) -> float:
        """Since it is here."""
        return 0.0 if self.here_since is None else now - self.here_since

    def inputs(
        self,
        config: VitalsConfig,
        *,
        me: NodeId,
        bulk_door: bool,
        groups_there: int,
        rtt_s: float | None,
        need: bool,
        now: float,
    ) -> Inputs:
        """All that counts for a verdict."""
        rate, groups, by = self.rate(config, now)
        told = self._told_uptime(config, now)
        uptime_s, uptime_by = self.uptime_s(now), [me]
        if told is not None:
            uptime_s, uptime_by = uptime_s + told[0], [me, *told[1]]
        dialled = [node for node, each in self.dialled.items() if _is_fresh(each.at, config, now)]
        return Inputs(
            willing=self.willing,
            bulk_door=bulk_door,
            reachable=self.reachable(config, now),
            reachable_by=_texts([me, *dialled] if self.bulk_reached is not None else dialled),
            up_rate=rate,
            up_rate_by=_texts(by),
            groups=groups,
            groups_there=groups_there,
            uptime_s=uptime_s,
            session_s=self.sessions_s / self.sessions if self.sessions else None,
            uptime_by=_texts(uptime_by),
            rtt_s=rtt_s,
            held_back_s=max(0.0, self.held_back_until - now),
            need=need,
        )

    def _told_uptime(
        self, config: VitalsConfig, now: float
    ) -> tuple[float, tuple[NodeId, ...]] | None:
        """How long it was a leaf of others until it came here, by the median of their words: none
        where only one says so, and no longer than a measurement counts."""
        fresh = [
            (float(each.record.uptime_s), node)
            for node, each in self.told.items()
            if _is_fresh(each.at - each.record.age_s, config, now)
        ]
        if len(fresh) < TELLERS_MIN:
            return None
        fresh.sort()
        median = fresh[(len(fresh) - 1) // 2][0]
        return min(median, config.kept_s), tuple(node for _, node in fresh)


def _enter(
    book: dict[NodeId, _Received], who: NodeId, receipt: Receipt, group: bytes, now: float
) -> bool:
    before = book.pop(who, None)
    if before is not None and before.number >= receipt.number:
        book[who] = before
        return False
    book[who] = _Received(group, receipt.rate, receipt.number, now)
    if len(book) > RECEIVERS_MAX:
        del book[next(iter(book))]
    return True


def _is_fresh(at: float, config: VitalsConfig, now: float) -> bool:
    return now - at < config.kept_s


def _texts(nodes: Iterable[NodeId]) -> tuple[str, ...]:
    return tuple(node_text(node) for node in nodes)
