"""Whom a leaf asks next to be its parent, and when it begins anew: rounds up the ladder.

A round that finds nobody is repeated after a doubling, jittered pause. What becomes of a leaf that
is alone then is `leaf.parent.succession`: its node may become a super-peer too, and that is who is
asked from then on. Who is asked in one round, in which order, is `leaf.parent.ladder`. What became
of those that were asked is told here.
"""

import enum
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar, Final

from common.addresses import Address, from_here
from common.config import ParentConfig
from common.core import Bound, DatagramReceived, Demoted, Effect, Event, Notify, Promoted
from common.deadlines import soonest
from common.hostcache import HostCache
from common.ids import NodeId, node_text
from common.ladder import LINE, SELF, Found
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from common.storage import RememberSuperPeer, Restored
from leaf.parent.candidates import Candidate
from leaf.parent.ladder import Ladder
from leaf.parent.pins import Pins
from leaf.signals import Alone, Named

HEARD: Final = (Restored, Bound, Found, Named, Promoted, Demoted, DatagramReceived)
_REFUSED: Final = "refused: "  # how `common.links` begins the reason of a link that was refused


class Then(enum.Enum):
    """What a leaf does when it has heard of super-peers."""

    WAIT = "wait"
    GO_ON = "go on"  # with the next candidate
    BEGIN = "begin"  # a round


Taken = tuple[list[Effect], Then]


class Rounds:
    """The candidates of a leaf, round after round."""

    __slots__ = (
        *(
            "_at",
            "_busy_s",
            "_config",
            "_from_line",
            "_ladder",
            "_me",
            "_pause_s",
            "_listen",
            "_promotes",
            "_is_restored",
        ),
        "_rng",
        *("_is_superpeer", "cache", "pins", "reason", "refused"),
    )

    def __init__(
        self,
        me: NodeId,
        meeting: Meeting,
        config: ParentConfig,
        seeds: Sequence[Seed],
        steps: Sequence[str],
        *,
        rng: Random,
        promotes: bool,
    ) -> None:
        """`steps` of the ladder come after the host cache where there are no `seeds`; then a node
        that `promotes` begins the network where it finds nobody."""
        self._me = me
        self._config = config
        self._rng = rng
        self._promotes = promotes
        self._is_restored = False
        self._is_superpeer = False
        self._listen: Address | None = None
        self.pins = Pins()
        self.cache = HostCache(me, rng)
        self._ladder = Ladder(
            me,
            seeds=seeds,
            steps=steps,
            meeting=meeting,
            config=config,
            pins=self.pins,
            cache=self.cache,
            rng=rng,
        )
        self._from_line: tuple[Contact, ...] = ()  # whom the line named, not asked yet
        self._busy_s: float | None = None  # when the first full one wants to be asked again
        self._pause_s = config.redial_s
        self._at: float | None = None  # when the next round begins
        self.reason = "not asked yet"
        """Why there is no parent, in one sentence; '' while there is one."""
        self.refused = False
        """Whether in the last round somebody was there and would not have us."""

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._at, self._ladder.wakeup())
        return soonest(times)

    # --- what tells us of super-peers -------------------------------------------------------

    def take(self, event: Event, now: float, *, seeking: bool) -> tuple[list[Effect], Then]:
        """Take in one event of those in `HEARD`; what to do then. `seeking`: we have no parent."""
        return self._TAKERS[type(event)](self, event, now, seeking)

    def _restored(self, event: Restored, _now: float, _seeking: bool) -> Taken:
        """What is known from before; with it all begins."""
        is_first, self._is_restored = not self._is_restored, True
        self.pins.restore(event.pins)
        if not self._ladder.is_given:  # who was given super-peers wants those
            self.cache.restore(event.known)
        return [], Then.BEGIN if is_first else Then.WAIT

    def _bound(self, event: Bound, _now: float, _seeking: bool) -> Taken:
        self._listen = event.control
        return [], Then.WAIT

    def _found(self, event: Found, now: float, seeking: bool) -> Taken:
        """A step of the ladder names some."""
        effects = self._ladder.found(event, now)
        if not seeking or self._at is None:
            return effects, Then.GO_ON if seeking else Then.WAIT
        if event.seeds:  # while we rest: soon, but not each time somebody shows up
            self._at = min(self._at, now + self._config.lan_s)
        return [], Then.WAIT

    def _named(self, event: Named, _now: float, seeking: bool) -> Taken:
        """Others in line have found these: a round with them, whoever we were given; as soon as
        the one that is being dialled turns out to be gone too."""
        self._from_line = event.superpeers
        if not seeking:
            return [], Then.WAIT
        self._at = None
        return [], Then.GO_ON

    def _promoted(self, _event: Promoted, _now: float, seeking: bool) -> Taken:
        """Our node is a super-peer now; a parent that we have stays."""
        self._is_superpeer = True
        return [], Then.BEGIN if seeking else Then.WAIT

    def _demoted(self, _event: Demoted, _now: float, _seeking: bool) -> Taken:
        self._is_superpeer = False
        return [], Then.WAIT

    def _pong(self, event: DatagramReceived, now: float, seeking: bool) -> Taken:
        counts = self._ladder.pong(event, now)
        return [], Then.GO_ON if counts and seeking else Then.WAIT

    _TAKERS: ClassVar[dict[type[Event], Callable[..., Taken]]] = {
        Restored: _restored,
        Bound: _bound,
        Found: _found,
        Named: _named,
        Promoted: _promoted,
        Demoted: _demoted,
        DatagramReceived: _pong,
    }

    # --- a round ----------------------------------------------------------------------------

    def begin(self, now: float) -> list[Effect]:
        """From the first candidate on."""
        self._busy_s = self._at = None
        if (here := self.here) is not None:
            self._from_line = ()
            self._ladder.with_these((here,), SELF)
            return []
        return self._ladder.begin(now)

    def next(self, now: float) -> tuple[list[Effect], Candidate | None]:
        """Whom to join now; None: wait for one, or rest after a round without success."""
        if self._from_line:
            self._ladder.with_these(self._from_line, LINE)
            self._from_line = ()
        effects = self._ladder.climb(now, to_the_end=not self._may_begin)
        candidate = self._ladder.next()
        if candidate is not None or not self._ladder.over:
            return effects, candidate
        self.rest(now)
        may_begin = self._may_begin and self._listen is not None and self._ladder.nobody
        alone = Alone(self._ladder.reason, may_begin)
        return [*effects, *([] if may_begin else self._explain()), alone], None

    def rest(self, now: float) -> None:
        """Begin anew after a pause: doubling, with jitter, or when a full one said."""
        limit = self._config.redial_max_s
        pause = self._pause_s * self._rng.uniform(0.5, 1.0)
        self._pause_s = min(2 * self._pause_s, limit)
        if self._busy_s is not None:
            pause = max(pause, min(self._busy_s, limit) * self._rng.uniform(1.0, 1.2))
        self._at = now + pause

    def hurry(self, now: float) -> None:
        """Begin anew now."""
        self._at = now

    def due(self, now: float) -> tuple[bool, bool]:
        """Whether a new round is to begin, and whether somebody is waited for no longer."""
        begins = self._at is not None and self._at <= now
        if begins:
            self._at = None
        return begins, self._ladder.due(now)

    def stop(self) -> None:
        """Look for nobody."""
        self._at = None
        self._from_line = ()
        self._ladder.rest()

    @property
    def here(self) -> Contact | None:
        """Our own node as our parent, where it is a super-peer too."""
        is_there = self._is_superpeer and self._listen is not None
        return Contact(self._me, from_here(self._listen)) if is_there and self._listen else None

    @property
    def _may_begin(self) -> bool:
        """Whether this leaf may begin the network where it finds nobody."""
        return self._promotes and not self._is_superpeer and not self._ladder.is_given

    def _explain(self) -> list[Effect]:
        """Say why there is no parent, once as long as the reason stays."""
        self.refused = self._ladder.refused
        if self.reason == self._ladder.reason:
            return []
        self.reason = self._ladder.reason
        level = "error" if self._ladder.wrong_key else "warning"
        return [Notify("parent_not_found", {"reason": self.reason}, level)]

    # --- what became of them ----------------------------------------------------------------

    def failed(self, candidate: Candidate, text: str, reason: str) -> None:
        """It cannot be joined now."""
        self._ladder.failed(candidate, text, refused=reason.startswith(_REFUSED))
        self.cache.failed(candidate.node or b"")

    def full(
        self, candidate: Candidate, text: str, retry_s: float, others: Sequence[Contact]
    ) -> None:
        """It takes nobody now, and names others."""
        self._busy_s = min(self._busy_s or retry_s, retry_s)
        self._ladder.full(candidate, text, others)

    def joined(self, candidate: Candidate, others: Sequence[Contact]) -> list[Effect]:
        """We have a parent. What the next run should know; a key is pinned only after a link has
        proven it."""
        self.reason, self.refused, self._pause_s = "", False, self._config.redial_s
        self.stop()
        node, address = candidate.node or b"", candidate.address
        self.cache.hear(others, Contact(node, address))
        source: dict[str, object] = {"source": candidate.source} if candidate.source else {}
        told = {"node": node_text(node), "address": str(address), **source}
        joined = Notify("parent_joined", told)
        if node == self._me:
            return [joined]
        self.cache.worked(Contact(node, address))
        return [RememberSuperPeer(node, address), *self.pins.joined(candidate), joined]
