"""How fast this leaf may be, and how many it serves at once: what was set, and what holds now.

What a person sets (`leaf limit`) is remembered; what `run` was given as a flag goes before it until
it is set anew, in windows of the week too. Invariant: the caps of the leaf are those of this
minute. While there are windows the clock on the wall is asked at each full minute, since it may
be put forward or back, and a machine that slept has missed some.
"""

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

from msgspec.structs import replace

from common.config import SwarmConfig
from common.core import Answer, Asked, Effect, Event, Woke
from common.errors import Exit, UserError
from common.schedule import (
    NO_CAP,
    NOTHING_SET,
    WINDOWS_MAX,
    AskTime,
    CapWindow,
    LimitsRecord,
    RememberLimits,
    TimeTold,
    caps_at,
    check_rate,
    minute_text,
    next_change,
    parse_window,
)
from common.storage import Restored
from leaf.links.caps import Caps
from leaf.methods import Limit, LimitRow, WindowRow
from leaf.signals import Limited

SLOTS_MAX: Final = 1_000
ALL_WINDOWS: Final = "all"  # instead of a window that is to be removed
_MINUTE_S: Final = 60.0
_SOON_S: Final = 0.01  # a clock that is a hair before the full minute is asked again then

_HINT: Final = "`leaf limit --help` shows how limits are written."

T = TypeVar("T")


class Limits:
    """The limits of one leaf."""

    __slots__ = (
        "_calls",
        "_caps",
        "_due",
        "_flagged",
        "_minute",
        "_record",
        "_settings",
        "_shown",
        "_yields",
    )

    def __init__(
        self, caps: Caps, settings: LimitsRecord, flagged: LimitsRecord, config: SwarmConfig
    ) -> None:
        """`settings` and `config` hold where nothing was set; `flagged` goes before what was."""
        self._caps = caps
        self._settings = replace(settings, slots=config.upload_slots)
        self._flagged = flagged
        self._record = NOTHING_SET
        self._yields = (False, False)  # whether flags do, to times: up, down
        self._minute: int | None = None  # of the week, as told last
        self._due: float | None = None
        self._calls: list[int] = []  # that wait to hear the time
        self._shown: tuple[int, int, int] | None = None  # what holds now: up, down, slots

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot ask."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next full minute, while there are windows."""
        return self._due

    @property
    def up(self) -> int | None:
        """The cap that holds now, in bytes a second; None: none."""
        return _or_none(self._now[0])

    @property
    def down(self) -> int | None:
        """The cap that holds now, in bytes a second; None: none."""
        return _or_none(self._now[1])

    def _restored(self, event: Restored, now: float) -> list[Effect]:
        self._record = event.limits or NOTHING_SET
        return self._apply(now) + self._ask_time()

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        params = event.params
        if not isinstance(params, Limit):
            return []
        effects: list[Effect] = []
        if params != Limit():
            self._record = self._changed(params)
            self._forget_flags(params)
            effects.append(RememberLimits(self._record))
        if not self._record.windows:
            self._due = self._minute = None
            return [*effects, *self._apply(now), Answer(event.call, self._row())]
        self._calls.append(event.call)
        return [*effects, *self._apply(now), *self._ask_time()]

    def _changed(self, params: Limit) -> LimitsRecord:
        """What was set, with this. Raises UserError."""
        record = self._record
        for rate in (params.up, params.down):
            if rate is not None:
                _checked(check_rate, rate)
        if params.slots is not None and not 1 <= params.slots <= SLOTS_MAX:
            text = f"{params.slots} is no number of slots: 1 to {SLOTS_MAX}."
            raise UserError(Exit.USAGE, text, _HINT)
        if params.remove:
            record = replace(record, windows=self._without(params.remove))
        if params.at:
            record = replace(record, windows=self._with(record.windows, params))
        else:
            up, down = params.up, params.down
            record = replace(
                record,
                up=record.up if up is None else up,
                down=record.down if down is None else down,
            )
        return record if params.slots is None else replace(record, slots=params.slots)

    def _without(self, text: str) -> tuple[CapWindow, ...]:
        if text == ALL_WINDOWS and not self._record.windows:
            text = "No time has limits of its own."
            raise UserError(Exit.NOTHING_FOUND, text, "`leaf limit --up none` lifts a limit.")
        if text == ALL_WINDOWS:
            return ()
        at = str(_checked(parse_window, text))
        left = tuple(each for each in self._record.windows if each.at != at)
        if len(left) == len(self._record.windows):
            hint = "`leaf limit` shows them."
            raise UserError(Exit.NOTHING_FOUND, f"No limit is set at {at}.", hint)
        return left

    def _with(self, windows: tuple[CapWindow, ...], params: Limit) -> tuple[CapWindow, ...]:
        """A new one comes last, one that is there keeps its place and what is not set anew."""
        if params.up is None and params.down is None:
            text = "A time needs a limit that holds then."
            raise UserError(Exit.USAGE, text, "Add --up RATE, --down RATE or both.")
        at = str(_checked(parse_window, params.at))
        by_time = {each.at: each for each in windows}
        new = by_time.get(at, CapWindow(at))
        up = new.up if params.up is None else params.up
        down = new.down if params.down is None else params.down
        by_time[at] = replace(new, up=up, down=down)
        if len(by_time) > WINDOWS_MAX:
            text = f"{WINDOWS_MAX} times have limits of their own already."
            raise UserError(Exit.USAGE, text, "Remove one with `leaf limit --remove`.")
        return tuple(by_time.values())

    def _forget_flags(self, params: Limit) -> None:
        """What is set anew no longer comes from the flags of `run`; for some times only then."""
        flagged = self._flagged
        if params.at:
            up, down = self._yields
            self._yields = (up or params.up is not None, down or params.down is not None)
            return
        self._flagged = LimitsRecord(
            flagged.up if params.up is None else None,
            flagged.down if params.down is None else None,
            flagged.slots if params.slots is None else None,
        )

    # --- what holds now ---------------------------------------------------------------------

    @property
    def _usual(self) -> tuple[int, int]:
        """Up and down, outside of windows."""
        flagged, record, settings = self._flagged, self._record, self._settings
        return (
            _first(flagged.up, record.up, settings.up),
            _first(flagged.down, record.down, settings.down),
        )

    @property
    def _windows(self) -> tuple[CapWindow, ...]:
        """Those that count in this run: flags go before them, unless they were set in it."""
        up = self._flagged.up is None or self._yields[0]
        down = self._flagged.down is None or self._yields[1]
        return tuple(
            replace(each, up=each.up if up else None, down=each.down if down else None)
            for each in self._record.windows
        )

    @property
    def _now(self) -> tuple[int, int]:
        if self._minute is None:
            return self._usual
        return caps_at(self._minute, self._usual, self._windows)

    @property
    def _slots(self) -> int:
        return _first(self._flagged.slots, self._record.slots, self._settings.slots)

    def _apply(self, now: float) -> list[Effect]:
        (up, down), slots = self._now, self._slots
        before, self._shown = self._shown, (up, down, slots)
        if before is None or before[0] != up:
            self._caps.up.change(_or_none(up), now)
        if before is None or before[1] != down:
            self._caps.down.change(_or_none(down), now)
        others = before is None or before[2] != slots
        return [Limited(slots)] if others else []

    def _row(self) -> LimitRow:
        up, down = self._usual
        windows = self._windows
        ups = tuple(replace(each, down=None) for each in windows)
        downs = tuple(replace(each, up=None) for each in windows)
        return LimitRow(
            up_limit=self.up,
            down_limit=self.down,
            slots=self._slots,
            next_change=self._changes_at(windows),
            up_next_change=self._changes_at(ups),
            down_next_change=self._changes_at(downs),
            up=up,
            down=down,
            schedule=[WindowRow(each.at, each.up, each.down) for each in self._record.windows],
        )

    def _changes_at(self, windows: tuple[CapWindow, ...]) -> str | None:
        """When these make the caps others than they are now."""
        if self._minute is None:
            return None
        change = next_change(self._minute, self._usual, windows)
        return None if change is None else minute_text(change)

    # --- the clock on the wall --------------------------------------------------------------

    def _ask_time(self) -> list[Effect]:
        self._due = None
        return [AskTime()] if self._record.windows else []

    def _time_told(self, event: TimeTold, now: float) -> list[Effect]:
        self._minute = int(event.week_s // _MINUTE_S)
        if self._record.windows:
            self._due = now + max(_MINUTE_S - event.week_s % _MINUTE_S, _SOON_S)
        effects = self._apply(now)
        calls, self._calls = self._calls, []
        return [*effects, *(Answer(call, self._row()) for call in calls)]

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        return self._ask_time() if self._due is not None and self._due <= now else []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        Asked: _asked,
        TimeTold: _time_told,
        Woke: _woke,
    }


def _first(*rates: int | None) -> int:
    return next((rate for rate in rates if rate is not None), NO_CAP)


def _or_none(rate: int) -> int | None:
    return None if rate == NO_CAP else rate


def _checked(check: Callable[[T], object], value: T) -> object:
    """What `check` makes of it; its sentence as a UserError."""
    try:
        return check(value)
    except ValueError as error:
        sentence = str(error)
        raise UserError(Exit.USAGE, f"{sentence[0].upper()}{sentence[1:]}.", _HINT) from None
