"""Connections that have not said anything yet, and how long they may go on like that.

A handshake may take as long as libzmq allows it (a crowd that re-homes needs seconds); from its
end to the first frame there are `hello_s`. libzmq does not tell which connection's handshake is
over, but the kernel does: we have sent READY when more than greeting and WELCOME is acknowledged,
and the time since then is the time since we last sent. Invariant: never more than `max_total`
connections nor more than `max_per_address` of one address group in here; the oldest goes first,
since an honest newcomer needs milliseconds. Hanging up is the door's.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final, Protocol

from common.shell.net.admission import address_group
from common.shell.net.descriptors import Address, traffic_of

HANDSHAKE_SENT_BYTES: Final = 64 + 170 + 8  # greeting, WELCOME, and the first of READY (RFC 26)
_RECHECK_S: Final = 0.05


class Newcomer(Protocol):
    """A connection without a frame."""

    descriptor: int
    address: Address
    accepted_at: float


class HalfOpen:
    """The newcomers of one door; `expire` is called with the one that must go, and why."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        expire: Callable[[Newcomer, str], None],
        *,
        behind: Callable[[], bool],
        handshake_s: float,
        hello_s: float,
        max_total: int,
        max_per_address: int,
    ) -> None:
        self._loop = loop
        self._expire = expire
        self._behind = behind  # whether frames that have arrived are still unread
        self._handshake_s = handshake_s
        self._hello_s = hello_s
        self._max_total = max_total
        self._max_per_address = max_per_address
        self._newcomers: dict[int, Newcomer] = {}
        self._groups: dict[str, int] = {}
        self._due: list[tuple[float, int, Newcomer, bool]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._newcomers)

    def add(self, newcomer: Newcomer) -> None:
        """Begin to count; may expire the oldest, or this one at its address's limit."""
        group = address_group(newcomer.address[0])
        if group is not None and self._groups.get(group, 0) >= self._max_per_address:
            self._expire(newcomer, "too many half-open connections from one address")
            return
        while len(self._newcomers) >= self._max_total:
            oldest = next(iter(self._newcomers.values()))
            self.remove(oldest)
            self._expire(oldest, "too many half-open connections")
        self._newcomers[newcomer.descriptor] = newcomer
        if group is not None:
            self._groups[group] = self._groups.get(group, 0) + 1
        self._look_again(newcomer, self._hello_s)

    def remove(self, newcomer: Newcomer) -> None:
        """It has spoken, or gone."""
        if self._newcomers.get(newcomer.descriptor) is not newcomer:
            return
        del self._newcomers[newcomer.descriptor]
        group = address_group(newcomer.address[0])
        if group is not None:
            self._groups[group] -= 1
            if not self._groups[group]:
                del self._groups[group]

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
        self._newcomers.clear()
        self._due.clear()

    def _look_again(self, newcomer: Newcomer, in_s: float, *, last_time: bool = False) -> None:
        when = self._loop.time() + max(in_s, _RECHECK_S)
        heapq.heappush(self._due, (when, next(self._numbers), newcomer, last_time))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            if not self._due or self._timer.when() <= self._due[0][0]:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0][0], self._check) if self._due else None

    def _check(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._due and self._due[0][0] <= now:
            _, _, newcomer, last_time = heapq.heappop(self._due)
            if self._newcomers.get(newcomer.descriptor) is newcomer:
                self._judge(newcomer, now, last_time=last_time)
        self._arm()

    def _judge(self, newcomer: Newcomer, now: float, *, last_time: bool) -> None:
        traffic = traffic_of(newcomer.descriptor)
        shaken = traffic is not None and traffic.acked > HANDSHAKE_SENT_BYTES
        if shaken and traffic is not None:
            left_s = self._hello_s - traffic.silent_s
        else:
            left_s = min(self._hello_s, newcomer.accepted_at + self._handshake_s - now)
        if left_s > 0 and not last_time:  # libzmq answers a PING by itself: look once more only
            self._look_again(newcomer, left_s, last_time=shaken)
            return
        if self._behind() and now < newcomer.accepted_at + self._handshake_s + self._hello_s:
            self._look_again(newcomer, 0, last_time=last_time)  # it may be us who are late
            return
        self.remove(newcomer)
        self._expire(newcomer, "no hello" if shaken else "no handshake")
