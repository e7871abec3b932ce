"""When data has left: as soon as the host at the other end has it.

libzmq takes a frame into its pipe, and the kernel into its buffer, long before the network carries
it: megabytes on a slow link, which nobody can take back or overtake any more. So that no more is
read for a link than it can carry, data counts as sent when the other host has acknowledged its
last byte. That is asked of the kernel when it may be so by how fast the link was lately, only while
data is on its way, and from the moment on at which nothing was: what went before has been
acknowledged or soon is, so an error is a few hundred bytes and does not add up. Where the kernel
does not tell (macOS) data has left as soon as libzmq takes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from common.shell.net.descriptors import Traffic
from common.shell.net.watch import wire_bytes

POLL_S: Final = 0.005  # at 1 GB/s 5 MB leave in that time, less than a leaf's budget
POLL_MAX_S: Final = 0.1  # less than half of what may lie in a link; asking costs 20 us, waking more
EMPTY_S: Final = 0.2  # with nothing in the kernel: libzmq has given it all it had

TrafficOf = Callable[[int], Traffic | None]
OnLeft = Callable[[int, int], None]


class _OnItsWay:
    """The data of one link, with the count of acknowledged bytes at which each has left."""

    __slots__ = ("acked", "asked_at", "empty_since", "ends", "handed", "next_at", "wait_s")

    def __init__(self, acked: int, now: float) -> None:
        self.handed = acked  # what the count will be when all that was sent has left
        self.ends: deque[tuple[int, int]] = deque()  # count, length of the data
        self.acked, self.asked_at = acked, now
        self.next_at, self.wait_s = now + POLL_S, POLL_S
        self.empty_since: float | None = None

    def left(self, traffic: Traffic, now: float) -> int:
        """How much data has left since the last time."""
        if traffic.unacked:
            self.empty_since = None
        elif self.empty_since is None:
            self.empty_since = now
        everything = self.empty_since is not None and now - self.empty_since >= EMPTY_S
        length = 0
        while self.ends and (everything or self.ends[0][0] <= traffic.acked):
            length += self.ends.popleft()[1]
        self._plan(traffic.acked, now)
        return length

    def _plan(self, acked: int, now: float) -> None:
        """Ask again when the next has left, if it goes on as it went."""
        per_s = (acked - self.acked) / max(now - self.asked_at, POLL_S)
        self.acked, self.asked_at = acked, now
        waits = self.ends[0][0] - acked if self.ends else 0
        wait_s = waits / per_s if per_s > 0 else POLL_MAX_S
        self.wait_s = min(max(wait_s, POLL_S), POLL_MAX_S)
        self.next_at = now + self.wait_s


class Departures:
    """Watches what is on its way; `left` is called with a link and how much of its data has left,
    from the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, traffic_of: TrafficOf, left: OnLeft
    ) -> None:
        self._loop = loop
        self._traffic_of = traffic_of
        self._left = left
        self._links: dict[int, _OnItsWay] = {}
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, link: int) -> None:
        """Data is about to be sent: count from here, if none is on its way."""
        if link not in self._links:
            traffic = self._traffic_of(link)
            if traffic is not None:
                self._links[link] = _OnItsWay(traffic.acked, self._loop.time())

    def sent(self, link: int, body_bytes: int, data_bytes: int | None) -> None:
        """libzmq has taken a frame, and data with it if that is not None."""
        way = self._links.get(link)
        if way is None:
            if data_bytes is not None:
                self._loop.call_soon(self._left, link, data_bytes)
            return
        way.handed += wire_bytes(body_bytes)
        if data_bytes is not None:
            way.handed += wire_bytes(data_bytes)
            way.ends.append((way.handed, data_bytes))
        self._ask_at(way.next_at)

    def forget(self, link: int) -> None:
        """The link is gone, and what was on its way with it."""
        self._links.pop(link, None)

    def close(self) -> None:
        """Ask no more."""
        self._links.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _poll(self) -> None:
        self._timer = None
        now = self._loop.time()
        for link, way in list(self._links.items()):
            if way.next_at - now > way.wait_s / 2:  # what is due soon is asked with the others
                continue
            traffic = self._traffic_of(link)
            if traffic is None:
                way.next_at = now + POLL_MAX_S  # its end is on the way to us
                continue
            length = way.left(traffic, now)
            if not way.ends:
                del self._links[link]
            if length:
                self._left(link, length)
        if self._links:
            earliest = min(way.next_at for way in self._links.values())
            self._ask_at(max(earliest, now + POLL_S))

    def _ask_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when + POLL_S:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._poll)
