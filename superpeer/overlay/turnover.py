"""Turnover: while all is well, now and then one neighbour is exchanged for another.

Either for a fresh draw of the lot: who is never exchanged may be surrounded, since those that want
to surround us never leave and the others do (THREATS T6). Or for a nearer one: a few that we know
are pinged, and if the quickest is much nearer than the farthest that we asked ourselves, it is
asked. The new one comes first; then one goes, and only one that has enough others, and another way
to us, and whom we wanted ourselves. It goes in peace (`Unlinked.leaving`), so no query is cut.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import ClassVar, Final

from common.config import OverlayConfig
from common.core import Effect
from common.deadlines import Deadlines
from common.hostcache import HostCache
from common.ids import NodeId
from common.limits import HOSTS_PER_LIST_MAX
from common.meeting import Meeting
from common.messages.fields import Contact
from common.messages.link import Pong
from superpeer.overlay.joining import Joining, Why
from superpeer.overlay.neighbour import Neighbour, has_way, staying
from superpeer.overlay.places import Places

PINGED_AT_ONCE: Final = 4  # 1,200 bytes each; wild guess
NEARER: Final = 0.5  # of the farthest one's round trip: less than that is worth it; wild guess
DRAWS_MAX: Final = 30  # in one exchange, of whom most may be away; wild guess
_TURN: Final = "turn"
_PONGS: Final = "pongs"
_DRAW: Final = "draw"


class Turnover:
    """`neighbours` are read as they are at the moment; `part` lets one go in peace."""

    def __init__(
        self,
        config: OverlayConfig,
        rng: Random,
        *,
        neighbours: Mapping[NodeId, Neighbour],
        cache: HostCache,
        joining: Joining,
        places: Places,
        meeting: Meeting,
        part: Callable[[NodeId, float], list[Effect]],
    ) -> None:
        self._config = config
        self._rng = rng
        self._neighbours = neighbours
        self._cache = cache
        self._joining = joining
        self._places = places
        self._meeting = meeting
        self._part = part
        self._deadlines = Deadlines()
        self._pinged: dict[NodeId, tuple[Contact, float]] = {}
        self._answered: dict[NodeId, tuple[Contact, float]] = {}  # and its round trip
        self._draws = 0  # left in this exchange
        self._awaited: NodeId | None = None  # once it is our neighbour, another one goes

    def start(self, now: float) -> None:
        """From now on, where the overlay is kept at all."""
        if self._config.degree_wanted > 0:
            pause_s = self._config.turnover_s * self._rng.uniform(0.5, 1.5)
            self._deadlines.set(_TURN, now + pause_s)

    def stop(self) -> None:
        """No more."""
        self._deadlines.cancel(_TURN)
        self._deadlines.cancel(_PONGS)
        self._deadlines.cancel(_DRAW)

    def due(self, now: float) -> list[Effect]:
        """Begin an exchange, or go on with one, if it is time."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._DUE[str(key)](self, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- the new one --------------------------------------------------------------------------

    def _begin(self, now: float) -> list[Effect]:
        self.start(now)
        self._awaited = None
        if len(staying(self._neighbours)) < self._config.degree_wanted:
            return []
        if self._places.near > 0 and self._rng.random() < 1 / 2:
            strangers = self._cache.pick(HOSTS_PER_LIST_MAX, without=self._neighbours)
            return self._ping(strangers, now)
        self._draws = DRAWS_MAX
        return self._draw(now)

    def _draw(self, now: float) -> list[Effect]:
        """Try one; in a moment another one, if nothing came of it: most of those that we know are
        away, and those that want to surround us never are."""
        if self._awaited is not None and self._joining.why(self._awaited) is not None:
            self._deadlines.set(_DRAW, now + self._config.mend_s)
            return []
        self._draws -= 1
        if self._draws < 0:
            self._awaited = None
            return []
        self._deadlines.set(_DRAW, now + self._config.mend_s)
        for contact in self._cache.pick(HOSTS_PER_LIST_MAX, without=self._neighbours):
            self._awaited = contact.node
            effects = self._joining.want(contact, now, Why.DRAWN)
            if self._joining.why(contact.node) is not None:
                return effects
        self._awaited = None
        return []

    def awaits(self, peer: NodeId) -> bool:
        """Whether one of those that we drew goes as soon as this one is our neighbour."""
        return peer == self._awaited

    def _ping(self, strangers: list[Contact], now: float) -> list[Effect]:
        """A ping is as good as a dial to aim at a victim, so it comes out of the same budget."""
        self._pinged, self._answered = {}, {}
        effects: list[Effect] = []
        for contact in strangers:
            if len(effects) >= PINGED_AT_ONCE:
                break
            proven = self._cache.has_worked(contact)
            if proven and self._joining.budget.take(contact.address, now, proven=proven):
                self._pinged[contact.node] = contact, now
                effects.append(self._meeting.ask(("near", contact.node), contact.address))
        self._deadlines.set(_PONGS, now + self._config.ping_s)
        return effects

    def on_pong(self, node: NodeId, pong: Pong, now: float) -> None:
        """One of those that were pinged is there, and so far away."""
        asked = self._pinged.pop(node, None)
        if asked is not None and pong.node == node:
            self._answered[node] = asked[0], now - asked[1]

    def _pongs_are_in(self, now: float) -> list[Effect]:
        farthest = max((each.rtt_s or 0.0 for each in self._exchangeable().values()), default=0.0)
        ranked = sorted(self._answered.values(), key=lambda one: one[1])
        for contact, rtt_s in ranked:
            if rtt_s >= NEARER * farthest:
                return []
            if contact.node not in self._neighbours:
                self._awaited = contact.node
                return self._joining.want(contact, now, Why.NEAR, rtt_s)
        return []

    # --- the old one --------------------------------------------------------------------------

    def linked(self, peer: NodeId, now: float) -> list[Effect]:
        """It is our neighbour: if it was awaited, one that we can do without goes."""
        if peer != self._awaited:
            return []
        self._awaited = None
        self._deadlines.cancel(_DRAW)
        if len(staying(self._neighbours)) <= self._config.degree_wanted:
            return []
        can_go = {
            other: each
            for other, each in self._exchangeable().items()
            if other != peer
            and each.degree > self._config.degree_min
            and has_way(self._neighbours, each)
        }
        if self._neighbours[peer].near:
            ours = [other for other, each in can_go.items() if each.ours]
            farthest = max(ours, key=lambda one: can_go[one].rtt_s or 0.0, default=None)
            return self._part(farthest, now) if farthest is not None else []
        drawn = [other for other, each in can_go.items() if each.chosen]
        if not drawn:
            return []
        loser = self._rng.choice(drawn)
        if self._neighbours[loser].ours:
            return self._part(loser, now)
        self._neighbours[loser].chosen = False  # it came to us, and may stay as a guest
        return []

    def _exchangeable(self) -> dict[NodeId, Neighbour]:
        """Those that are our neighbours because we wanted them, but for seeds."""
        return {
            peer: each
            for peer, each in staying(self._neighbours).items()
            if (each.ours or each.chosen) and not self._joining.is_seed(peer)
        }

    _DUE: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        _TURN: _begin,
        _PONGS: _pongs_are_in,
        _DRAW: _draw,
    }
