"""Whom a leaf serves now, and in which order the others wait.

As many leaves are served at once as there are slots, and share the uplink by what they give
(`leaf.uploads.turns`). Where more want something they wait in a line: who gives most comes first,
and among equals who has waited longest. Every `choke_s` it is decided anew who is served (BEP 3: 10
s). A slot is kept for `slot_s` at least, so that it brings whole pieces, and its leaf then goes to
the end of the line; a seed, to which nobody gives, serves all in turn by that. One slot goes by lot
every `lot_s`, whatever its leaf gives: so nobody waits for ever, and who would give more is found
out (BEP 3: 30 s). A slot whose leaf asks for nothing goes to the next at once. Who drops out of the
line keeps the place for a while, over our own restarts too (PARQ: 300 s). A decider: it says who is
choked and who is served, and nothing is sent here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from common.config import SwarmConfig
from common.deadlines import Deadlines
from common.ids import NodeId

ABSENT_MAX: Final = 4_000  # that keep a place (PARQ: 4,000)
TENURE_KEPT: Final = 0.8  # of the mean time that a slot lasts, with each one that ends; wild guess

LOT_SLOTS_MIN: Final = 2  # with fewer nothing is left for who comes by right

ROUND: Final = "round"
IDLE: Final = "idle"
LOT: Final = "lot"

Weight = Callable[[NodeId], float]
Waits = Callable[[NodeId], bool]


@dataclass(slots=True)
class _Claim:
    """One leaf that wants something."""

    since: float  # it waits; or is served
    is_served: bool = False
    used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """Who is choked and who is served from now on."""

    choked: tuple[NodeId, ...] = ()
    served: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leaf stands in the line (1: next), and about how long it will wait, in seconds."""

    place: int
    wait_s: float


class Slots:
    """The leaves that want something, and those that have a slot."""

    __slots__ = ("_absent", "_claims", "_config", "_lot", "_rng", "_tenure_s", "deadlines")

    def __init__(self, config: SwarmConfig, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._claims: dict[NodeId, _Claim] = {}
        self._absent: dict[NodeId, tuple[float, float]] = {}  # waits since, place kept until
        self._lot: NodeId | None = None  # who has a slot by lot
        self._tenure_s = config.slot_s  # how long a slot lasts
        self.deadlines = Deadlines()
        """When to `settle` without anything having happened."""

    @property
    def served(self) -> int:
        """How many have a slot."""
        return sum(claim.is_served for claim in self._claims.values())

    @property
    def are_contended(self) -> bool:
        """Whether more want something than are served."""
        return len(self._claims) > self._config.upload_slots

    @property
    def have_line(self) -> bool:
        """Whether some wait, or did when it was decided last."""
        return self.are_contended or self.deadlines.earliest() is not None

    def allow(self, slots: int) -> None:
        """So many may be served at once, from the next decision on."""
        self._config = msgspec.structs.replace(self._config, upload_slots=slots)
        self._lot = None
        self.deadlines.cancel(LOT)

    def is_due(self, now: float) -> bool:
        """Whether it is time to `settle`."""
        when = self.deadlines.earliest()
        return when is not None and when <= now

    def serve(self, peer: NodeId) -> bool:
        """Whether this leaf has a slot."""
        claim = self._claims.get(peer)
        return claim is not None and claim.is_served

    def join(self, peer: NodeId, now: float) -> None:
        """This leaf wants something; where it kept a place it has that again."""
        if peer not in self._claims:
            since, until = self._absent.pop(peer, (now, now))
            self._claims[peer] = _Claim(since if until >= now else now)

    def leave(self, peer: NodeId) -> None:
        """This leaf wants nothing more."""
        self._claims.pop(peer, None)

    def drop(self, peer: NodeId, now: float) -> None:
        """Its link is gone: if it waited, its place is kept for a while."""
        claim = self._claims.pop(peer, None)
        if claim is not None and not claim.is_served:
            self._keep(peer, claim.since, now)

    def keep(self, places: Iterable[tuple[NodeId, float]], now: float) -> None:
        """These waited so long in our last run."""
        for peer, waited_s in places:
            self._keep(peer, now - waited_s, now)

    def _keep(self, peer: NodeId, since: float, now: float) -> None:
        self._absent.pop(peer, None)
        if len(self._absent) >= ABSENT_MAX:
            del self._absent[next(iter(self._absent))]
        self._absent[peer] = (since, now + self._config.place_s)

    def waited(self, now: float) -> tuple[tuple[NodeId, float], ...]:
        """How long everybody in the line has waited, those included who keep a place."""
        here = {peer: each.since for peer, each in self._claims.items() if not each.is_served}
        away = {peer: since for peer, (since, until) in self._absent.items() if until >= now}
        return tuple((peer, now - since) for peer, since in {**away, **here}.items())

    def used(self, peer: NodeId, now: float) -> None:
        """Something of ours has come to it: a slot is used by that, and not by asking."""
        if peer in self._claims:
            self._claims[peer].used_at = now

    def line(self, weight: Weight) -> dict[NodeId, Place]:
        """All who wait, in order."""
        waiting = self._in_order((p for p, c in self._claims.items() if not c.is_served), weight)
        a_place_s = self._tenure_s / max(self._config.upload_slots, 1)
        return {
            peer: Place(place, place * a_place_s) for place, peer in enumerate(waiting, start=1)
        }

    def settle(self, waits: Waits, weight: Weight, now: float) -> Change:
        """Who is choked and who is served from now on; to be asked after each change.

        `waits` tells whether a leaf waits for bytes of ours, `weight` how much it has a right to.
        """
        due = list(self.deadlines.pop_due(now))
        if not self.are_contended:
            for name in (ROUND, IDLE, LOT):
                self.deadlines.cancel(name)
            self._lot = None
            return self._change(self._claims, now)
        idle = [peer for peer in self._claims if self._is_idle(peer, waits, now)]
        by_lot = self._lot
        if LOT in due or by_lot not in self._claims or by_lot in idle:
            self._lot = None
        kept = [
            peer
            for peer, claim in self._claims.items()
            if claim.is_served and peer not in idle and peer != by_lot
            if ROUND not in due or now - claim.since < self._config.slot_s
        ]
        others = self._in_order((peer for peer in self._claims if peer not in kept), weight)
        line = [*kept, *(peer for peer in others if peer not in idle), *idle]
        self._wait(now)
        return self._change(self._first_of([peer for peer in line if peer != self._lot], now), now)

    def _first_of(self, line: list[NodeId], now: float) -> list[NodeId]:
        """As many as there are slots; one of them by lot, where there are several."""
        slots = self._config.upload_slots
        if slots < LOT_SLOTS_MIN:
            return line[:slots]
        by_right = line[: slots - 1]
        if self._lot is None:
            self._lot = self._rng.choice(line[slots - 1 :])
            self.deadlines.set(LOT, now + self._config.lot_s)
        return [*by_right, self._lot]

    def _in_order(self, peers: Iterable[NodeId], weight: Weight) -> list[NodeId]:
        """Who has the most right comes first, then who waits; then who has waited longest."""

        def rank(peer: NodeId) -> tuple[float, bool, float]:
            claim = self._claims[peer]
            return -weight(peer), claim.is_served, claim.since

        return sorted(peers, key=rank)

    def _is_idle(self, peer: NodeId, waits: Waits, now: float) -> bool:
        claim = self._claims[peer]
        used_at = max(claim.used_at, claim.since)
        unused_s = now - used_at
        return claim.is_served and unused_s >= self._config.slot_idle_s and not waits(peer)

    def _wait(self, now: float) -> None:
        self.deadlines.set(IDLE, now + self._config.slot_idle_s)
        if self.deadlines.get(ROUND) is None:
            self.deadlines.set(ROUND, now + self._config.choke_s)

    def _change(self, chosen: Iterable[NodeId], now: float) -> Change:
        served = dict.fromkeys(chosen)
        before = [peer for peer, claim in self._claims.items() if claim.is_served]
        choked = tuple(peer for peer in before if peer not in served)
        begun = tuple(peer for peer in served if not self._claims[peer].is_served)
        for peer in choked:
            tenure_s = now - self._claims[peer].since
            self._tenure_s = TENURE_KEPT * self._tenure_s + (1 - TENURE_KEPT) * tenure_s
        for peer in (*choked, *begun):
            claim = self._claims[peer]
            claim.is_served, claim.since = not claim.is_served, now
        return Change(choked, begun)
