"""Where a leaf looks for a super-peer: those that it was given, or step by step up the ladder.

Given ones are one round, in order, again and again. A leaf that was given none asks one step of the
ladder after the other: the host cache, then those that its program has (`common.ladder`). All that
a step names are pinged side by side, and the next step is asked once none of them is left. Who was
named with a key but answers no ping is kept for the very end. Which of them is dialled is
`leaf.parent.candidates`; here stand only the pings and the waiting.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from common.config import ParentConfig
from common.core import DatagramReceived, Effect
from common.deadlines import Deadlines
from common.hostcache import HostCache
from common.ids import NodeId
from common.ladder import CACHE, LAN, NAMES, Found, Seek
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from leaf.parent.candidates import Candidate, Round, near_within_s
from leaf.parent.pins import Pins

HEARD_OF_MAX: Final = 32  # of those that we know by ourselves, in one round; wild guess
SILENT_MAX: Final = 8  # of those that answer no ping, dialled at the end; wild guess

_PONGS: Final = "pongs"
_GATHER: Final = "gather"
_STEP: Final = "step"


class Ladder:
    """The round that is under way, and where the next candidates come from.

    `pins` and `cache` are read as they are at the moment.
    """

    __slots__ = (
        *("_cache", "_config", "_deadlines", "_is_full", "_me", "_meeting", "_pins", "_problem"),
        *("_reasons", "_refused", "_rng", "_round", "_seeds", "_silent", "_step", "_steps"),
        "_wrong_key",
    )

    def __init__(
        self,
        me: NodeId,
        *,
        seeds: Sequence[Seed],
        steps: Sequence[str],
        meeting: Meeting,
        config: ParentConfig,
        pins: Pins,
        cache: HostCache,
        rng: Random,
    ) -> None:
        """`steps` come after the host cache; with `seeds` none is asked."""
        self._me = me
        self._seeds = tuple(seeds)
        self._steps = () if seeds else (CACHE, *steps)
        self._meeting = meeting
        self._config = config
        self._pins = pins
        self._cache = cache
        self._rng = rng
        self._deadlines = Deadlines()
        self._round = Round(me)
        self._step = len(self._steps)
        self._silent: list[Candidate] = []
        self._reasons: list[str] = []
        self._problem = ""
        self._refused = self._is_full = self._wrong_key = False

    # --- questions --------------------------------------------------------------------------

    @property
    def is_given(self) -> bool:
        """Whether somebody told this leaf whom to join."""
        return bool(self._seeds)

    @property
    def over(self) -> bool:
        """Whether nobody is left, on no step."""
        is_top = self._step >= len(self._steps)
        return is_top and not self._silent and self._round.over

    @property
    def nobody(self) -> bool:
        """Whether all that was found is of no use, so that waiting may not help: neither full nor
        of another key than we know it by."""
        full = self._is_full or self._round.is_full
        return not full and not self._wrong_key and self._round.wrong_key is None

    @property
    def refused(self) -> bool:
        """Whether somebody is there but will not have us."""
        return self._refused or self._round.refused

    @property
    def wrong_key(self) -> bool:
        """Whether somebody has another key than the one pinned for its place."""
        return self._wrong_key or self._round.wrong_key is not None

    @property
    def reason(self) -> str:
        """Why nobody became our parent."""
        said = [each for each in (*self._reasons, self._round.reason) if each]
        return "; ".join(dict.fromkeys(said)) or "no super-peer is given or known"

    def next(self) -> Candidate | None:
        """Whom to dial now, if it is somebody's turn."""
        return self._round.next()

    # --- going on ---------------------------------------------------------------------------

    def begin(self, now: float) -> list[Effect]:
        """From the first step on."""
        self.rest()
        self._step = 0
        if self._steps:
            return self._ask_step(now)
        pinged = self._round.give(self._seeds)
        self._round.hear_of(self._cache.pick(HEARD_OF_MAX), CACHE)
        return self._ping(pinged, now)

    def with_these(self, contacts: Sequence[Contact], source: str) -> None:
        """A round with these only, even if one is this node itself."""
        self.rest()
        self._round = Round(b"")
        self._round.hear_of(contacts, source)

    def rest(self) -> None:
        """Look for nobody."""
        self._stop_waiting()
        self._step = len(self._steps)
        self._silent, self._reasons, self._problem = [], [], ""
        self._refused = self._is_full = self._wrong_key = False
        self._round = Round(self._me)

    def climb(self, now: float, *, to_the_end: bool) -> list[Effect]:
        """Ask the next step as long as nobody is left on this one; `to_the_end`: also those that
        answered no ping."""
        effects: list[Effect] = []
        while self._round.over and self._deadlines.get(_STEP) is None:
            if self._step < len(self._steps):
                self._step_over()
            if self._step < len(self._steps):
                effects += self._ask_step(now)
            elif self._silent and to_the_end:
                self._round = Round(self._me)
                self._round.try_unheard(self._silent[:SILENT_MAX])
                self._silent = []
            else:
                self._silent.clear()
                break
        return effects

    def _ask_step(self, now: float) -> list[Effect]:
        step = self._steps[self._step]
        self._stop_waiting()
        self._problem = ""
        self._round = Round(self._me, by_load=True, more_come=step == LAN)
        if step == CACHE:
            return self._ping(self._round.hear_of(self._cache.pick(HEARD_OF_MAX), CACHE), now)
        wait_s = self._config.list_s
        if step == LAN:  # at random, so that of many that begin at once one comes first
            wait_s = self._config.lan_s * self._rng.uniform(1.0, 2.0)
        self._deadlines.set(_STEP, now + wait_s)
        return [Seek(step, wait_s + self._config.redial_max_s if step == LAN else 0.0)]

    def _step_over(self) -> None:
        """Keep what this step brought."""
        step, reason = self._steps[self._step], self._round.reason or self._problem
        nothing = "" if step == CACHE else f"{NAMES[step]} names nobody"
        self._reasons.append(reason or nothing)
        self._refused |= self._round.refused
        self._is_full |= self._round.is_full
        self._wrong_key |= self._round.wrong_key is not None
        self._step += 1
        self._round = Round(self._me)

    # --- what comes -------------------------------------------------------------------------

    def found(self, event: Found, now: float) -> list[Effect]:
        """The step that was asked names some; what comes later waits for the next time."""
        if self._step >= len(self._steps) or self._steps[self._step] != event.step:
            return []
        if event.step != LAN:  # which may go on telling
            self._deadlines.cancel(_STEP)
        self._problem = event.problem
        shuffled = self._rng.sample(event.seeds, len(event.seeds))
        return self._ping(self._round.give(shuffled, event.step), now)

    def pong(self, event: DatagramReceived, now: float) -> bool:
        """A pong came; whether it tells us anything."""
        heard = self._meeting.heard(event)
        if heard is None or not isinstance(heard[0], Candidate):
            return False
        each, pong = heard[0], heard[1]
        pinned = self._pins.of(each)
        rtt_s = now - each.pinged_at
        if not self._round.answered(each, pong, event.address, pinned, rtt_s):
            return False
        if self._steps and not self._round.gathered and self._deadlines.get(_GATHER) is None:
            others_s = max(self._config.gather_s, near_within_s(rtt_s) - rtt_s)
            self._deadlines.set(_GATHER, now + others_s)
        return True

    def failed(self, candidate: Candidate, reason: str, *, refused: bool) -> None:
        """It could not be joined."""
        self._round.failed(candidate, reason, refused=refused)

    def full(self, candidate: Candidate, reason: str, contacts: Sequence[Contact]) -> None:
        """It takes nobody now, and names others."""
        self._round.add_alternatives(candidate, contacts)
        self._round.full(candidate, reason)

    def due(self, now: float) -> bool:
        """Wait no longer for what did not come; whether there was something."""
        due = self._deadlines.pop_due(now)
        for key in due:
            if key == _GATHER:
                self._round.gathered = True
            elif key == _PONGS:
                self._give_up_pongs(now)
        return bool(due)

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    def _ping(self, pinged: Sequence[Candidate], now: float) -> list[Effect]:
        for each in pinged:
            each.pinged_at = now
        if pinged and self._deadlines.get(_PONGS) is None:
            self._deadlines.set(_PONGS, now + self._config.ping_s)
        return [self._meeting.ask(each, each.address) for each in pinged]

    def _give_up_pongs(self, now: float) -> None:
        for each in self._round.pinged:
            if now < each.pinged_at + self._config.ping_s:
                self._deadlines.set(_PONGS, each.pinged_at + self._config.ping_s)
                return
            self._round.silent(each)
            if each.node is not None:
                self._silent.append(each)

    def _stop_waiting(self) -> None:
        """For what was asked before."""
        for key in (_PONGS, _GATHER, _STEP):
            self._deadlines.cancel(key)
