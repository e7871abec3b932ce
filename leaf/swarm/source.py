"""One leaf that a download fetches from: what it has, what it owes, and how it behaved.

The window is what may be asked of it and not be here yet. It begins small, grows by what arrives,
and stays near what the leaf sends in a second, pauses included but for chokes, so one that is slow,
seldom has anything or never answers holds little of anything: in a crowd the first answers come at
once, and who took these for its rate would ask it for all that it has, like everybody else.
Requests are sized by the same measure. Nothing is sent or decided here.
"""

import enum
from dataclasses import dataclass, field
from typing import Final

from pyroaring import BitMap

from common.addresses import Address
from common.ids import NodeId
from common.limits import OPEN_REQUESTS_MAX, REQUEST_BYTES_MAX
from common.messages.swarm import Choke
from common.rates import Rate

REQUEST_BYTES_FIRST: Final = 16 * 1024  # of a leaf that is not measured yet: one block
REQUEST_S: Final = 0.5  # what one request may take to arrive: so late is a Choke or a Cancel
WINDOW_S: Final = 1.0  # what may be owed; a round trip longer than this is not filled
WINDOW_BYTES_FIRST: Final = 2 * REQUEST_BYTES_FIRST  # one arrives while the next is asked for
LATE_MAX: Final = OPEN_REQUESTS_MAX  # taken-back requests that may still be answered
SNUBS_MAX: Final = 3  # times in a row without data before the link is given up (THREATS T3: 3)


class Phase(enum.Enum):
    """How far we are with it."""

    KNOWN = "known"  # not dialled, or waiting for the next try
    DIALLING = "dialling"
    LINKED = "linked"

    __hash__ = object.__hash__  # asked for with each message


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the pieces, their bytes, and when."""

    first: int
    count: int
    length: int
    at: float


@dataclass(slots=True)
class Source:
    """A leaf that has, or may get, pieces of the file."""

    peer: NodeId
    address: Address
    phase: Phase = Phase.KNOWN
    choking: bool = True
    linked_at: float = 0.0
    place: int = 0  # in its line, if it told us; 1: next
    turn_at: float = 0.0  # ... and when that is, by its word
    shown: bool = False  # its bit field came
    has: BitMap | None = None  # the pieces it has; None: all
    requests: dict[int, Asked] = field(default_factory=dict)  # by offset
    late: list[tuple[int, int]] = field(default_factory=list)  # offset, length: not waited for
    owed_bytes: int = 0
    request_bytes: int = REQUEST_BYTES_FIRST
    window_bytes: int = WINDOW_BYTES_FIRST
    rate: Rate | None = None  # since it last choked us; a newcomer's since `WINDOW_S` before that
    is_measured: bool = False  # it sent something over this link
    snubs: int = 0
    full_until: float = 0.0  # it takes no more requests
    tries: int = 0  # dials in a row that came to nothing
    is_hearsay: bool = False  # other leaves named it, and the parent has not
    overdue: bool = False  # our dial should have been answered: it takes no other's place

    @property
    def has_none(self) -> bool:
        """Whether it has shown that it has no piece yet, and so no hashes either."""
        return self.shown and self.has is not None and not self.has

    @property
    def ready(self) -> bool:
        """Whether it would answer a request."""
        return self.phase is Phase.LINKED and self.shown and not self.choking

    @property
    def room(self) -> bool:
        """Whether another request may be asked of it; who let us wait gets one at a time."""
        if self.snubs:
            return not self.requests
        return len(self.requests) < OPEN_REQUESTS_MAX and self.owed_bytes < self.window_bytes

    def choke(self, message: object, now: float) -> None:
        """It answers no requests now; where we stand in its line, if it says so."""
        self.choking, self.rate = True, None
        if isinstance(message, Choke):
            self.place, self.turn_at = message.place, now + message.wait_s

    def asked(self, offset: int, request: Asked) -> None:
        """It owes this now."""
        if self.rate is None:
            self.rate = Rate(request.at - (0.0 if self.is_measured else WINDOW_S))
        self.requests[offset] = request
        self.owed_bytes += request.length

    def answered(self, offset: int, window_bytes_max: int, now: float) -> Asked | None:
        """It brought what it owed at `offset`."""
        request = self._settle(offset)
        if request is not None:
            self.snubs, self.is_measured = 0, True
            self._measure(request.length, window_bytes_max, now)
        return request

    def takes_s(self, now: float) -> float:
        """How long it takes for all that it owes, if it goes on as it did; 0: nothing came yet."""
        per_s = self.rate.per_s(now) if self.rate is not None else 0.0
        return self.owed_bytes / per_s if per_s > 0.0 else 0.0

    def is_full(self, now: float) -> bool:
        """Whether it would refuse a request, as it did one a moment ago."""
        return now < self.full_until

    def refused(self, until: float) -> None:
        """It was asked for more than it takes: it is asked for less, and for nothing until then."""
        self.window_bytes = max(self.window_bytes // 2, self.request_bytes)
        self.full_until = until

    def _measure(self, length: int, window_bytes_max: int, now: float) -> None:
        """So much came: size the next request and the window by how fast."""
        grown = min(self.window_bytes + length, window_bytes_max)
        if self.rate is not None:
            self.rate.add(length, now)
            per_s = self.rate.per_s(now)
            if per_s > 0.0:
                self.request_bytes = min(int(per_s * REQUEST_S), REQUEST_BYTES_MAX)
                grown = min(grown, max(2 * self.request_bytes, int(per_s * WINDOW_S)))
        self.window_bytes = grown

    def take_back(self, offset: int) -> Asked | None:
        """We no longer wait for it; it may come all the same."""
        request = self._settle(offset)
        if request is not None:
            self.late.append((offset, request.length))
            del self.late[:-LATE_MAX]
        return request

    def came_late(self, offset: int, length: int) -> bool:
        """Whether it owed this once, and only now brings it; the same place may have been asked
        for several times, in other lengths too."""
        if (offset, length) not in self.late:
            return False
        self.late.remove((offset, length))
        return True

    def unlink(self) -> None:
        """The link is gone, and all that was said over it."""
        self.choking, self.shown, self.has = True, False, None
        self.place, self.full_until = 0, 0.0
        self.requests.clear()
        self.late.clear()
        self.request_bytes, self.window_bytes = REQUEST_BYTES_FIRST, WINDOW_BYTES_FIRST
        self.owed_bytes, self.snubs, self.rate, self.is_measured = 0, 0, None, False

    def _settle(self, offset: int) -> Asked | None:
        request = self.requests.pop(offset, None)
        if request is not None:
            self.owed_bytes -= request.length
        return request
