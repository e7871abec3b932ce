"""How many bytes of files may go out and come in each second: a cap for either way.

A cap is a token bucket that is kept as a time: until when all that passed is paid for. Who wants to
pass books its place in one line (`Gate`) and passes when what it brings has been paid for, so the
last byte is never early, and all wait alike: large requests and small ones, leaves and readers over
HTTP, one download and another. Who leaves the line takes back what it booked; what passed and did
not go is given back, but only for as long as what was left unused may be made up for. Invariant:
what passed in any time, and was not given back, is no more than the rate allows for it and for
`BURST_S` (three times that where something was given back), and one request of each gate. What is
capped is content, piece hashes among it: words and the headers of packets come on top.
"""

from collections import deque
from typing import Final

from common.content.merkle import BLOCK_BYTES

BURST_S: Final = 0.1  # what was left unused for so long may be made up for: a late wake, a pause
SPARES_MAX: Final = 64  # given back, and not used by who books next; the oldest are forgotten
GRAIN_S: Final = 0.1  # what one request of ours takes at the cap: no other waits for long


class Cap:
    """One way's cap; without a rate nothing waits."""

    __slots__ = ("_paid_until", "_spares", "rate", "version")

    def __init__(self) -> None:
        self.rate: float | None = None
        """Bytes a second; None: no cap."""
        self.version = 0
        """Counts the changes: what was booked before one does not count any more."""
        self._paid_until = 0.0
        self._spares: deque[tuple[float, int]] = deque(maxlen=SPARES_MAX)  # when it passed, bytes

    def change(self, rate: float | None, now: float) -> None:
        """From now on this rate."""
        self.rate, self._paid_until = rate, now
        self._spares.clear()
        self.version += 1

    @property
    def grain_bytes(self) -> int | None:
        """How much one request should be for at most; None: as much as it likes."""
        return None if self.rate is None else max(int(self.rate * GRAIN_S), BLOCK_BYTES)

    def book(self, length: int, now: float) -> float:
        """When `length` bytes may pass; what is booked later comes later."""
        if self.rate is None:
            return now
        spare = sum(spared for passed_at, spared in self._spares if now - passed_at <= BURST_S)
        self._spares.clear()
        self._paid_until = max(self._paid_until, now - BURST_S) + (length - spare) / self.rate
        return self._paid_until

    def unbook(self, length: int) -> None:
        """So much of what was booked will not pass."""
        if self.rate is not None:
            self._paid_until -= length / self.rate

    def give_back(self, length: int, passed_at: float) -> None:
        """So much of what passed then did not go; who books next has it, if that is soon."""
        if self.rate is not None:
            self._spares.append((passed_at, length))


class Gate:
    """The place of one owner in the line before a cap: it books for what it brings next."""

    __slots__ = ("_booked", "_cap", "_opens_at", "_told", "_version")

    def __init__(self, cap: Cap) -> None:
        self._cap = cap
        self._booked: int | None = None  # bytes
        self._opens_at = 0.0
        self._told = False
        self._version = cap.version

    @property
    def grain_bytes(self) -> int | None:
        """How much one request should be for at most: what is booked, if anything is."""
        return self._booked if self._stands else self._cap.grain_bytes

    @property
    def rate(self) -> float | None:
        """The cap, in bytes a second; None: none."""
        return self._cap.rate

    def is_shut(self, now: float) -> bool:
        """Whether nothing passes yet, whatever it is."""
        return self._stands and self._opens_at > now

    def may_pass(self, length: int, now: float) -> bool:
        """Whether this much passes now; where not, it has its place in the line from now on."""
        if self._cap.rate is None:
            self._booked = None
            return True
        booked = self._booked if self._stands and self._booked is not None else 0
        if length > booked:  # it was booked for another request, or not at all
            opens_at = self._cap.book(length - booked, now)
            self._opens_at = max(self._opens_at, opens_at) if booked else opens_at
            self._booked, self._version = length, self._cap.version
            self._told = False
        if self._opens_at > now:
            return False
        if length < booked:
            self._cap.give_back(booked - length, now)
        self._booked = None
        return True

    def leave(self) -> None:
        """Nothing more is to pass: the place in the line is for others."""
        if self._stands and self._booked is not None:
            self._cap.unbook(self._booked)
        self._booked = None

    def give_back(self, length: int, passed_at: float) -> None:
        """So much of what passed then did not go."""
        self._cap.give_back(length, passed_at)

    def charge(self, length: int, now: float) -> None:
        """So much went without having passed here."""
        self._cap.book(length, now)

    @property
    def opens_at(self) -> float | None:
        """When what was refused is to be tried again, until `opened` has told of it.

        At once where the cap has changed since.
        """
        if self._booked is None or self._told:
            return None
        return self._opens_at if self._stands else 0.0

    def opened(self, now: float) -> bool:
        """Whether that time has come; told once."""
        opens_at = self.opens_at
        self._told = self._told or (opens_at is not None and opens_at <= now)
        return opens_at is not None and self._told

    @property
    def _stands(self) -> bool:
        """Whether something is booked that still counts."""
        return self._booked is not None and self._version == self._cap.version


class Caps:
    """Both ways of one leaf."""

    __slots__ = ("down", "up")

    def __init__(self) -> None:
        self.up = Cap()
        self.down = Cap()
