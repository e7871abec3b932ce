"""When data has left: as soon as the host at the other end has it.

libzmq takes a frame into its pipe, and the kernel into its buffer, long before the network carries
it: megabytes on a slow link, which nobody can take back or overtake any more. So that no more is
read for a link than it can carry, data counts as sent when the other host has acknowledged its
last byte. That is asked of the kernel a few hundred times a second, only while data is on its way,
and from the moment on at which nothing was: what went before has been acknowledged or soon is, so
an error is a few hundred bytes and does not add up. Where the kernel does not tell (macOS) data has
left as soon as libzmq takes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from common.shell.net.descriptors import Traffic
from common.shell.net.watch import wire_bytes

POLL_S: Final = 0.005  # at 1 GB/s 5 MB leave in that time, less than a leaf's budget
EMPTY_POLLS: Final = 20  # with nothing in the kernel: libzmq has given it all it had

TrafficOf = Callable[[int], Traffic | None]
OnLeft = Callable[[int, int], None]


class _OnItsWay:
    """The data of one link, with the count of acknowledged bytes at which each has left."""

    __slots__ = ("ends", "handed", "polls_empty")

    def __init__(self, acked: int) -> None:
        self.handed = acked  # what the count will be when all that was sent has left
        self.ends: deque[tuple[int, int]] = deque()  # count, length of the data
        self.polls_empty = 0

    def left(self, traffic: Traffic) -> int:
        """How much data has left since the last time."""
        empty = traffic.unacked == 0 and bool(self.ends)
        self.polls_empty = self.polls_empty + 1 if empty else 0
        everything = self.polls_empty >= EMPTY_POLLS
        length = 0
        while self.ends and (everything or self.ends[0][0] <= traffic.acked):
            length += self.ends.popleft()[1]
        return length


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
                self._links[link] = _OnItsWay(traffic.acked)

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
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_S, self._poll)

    def forget(self, link: int) -> None:
        """The link is gone, and what was on its way with it."""
        self._links.pop(link, None)

    def close(self) -> None:
        """Ask no more."""
        self._links.clear()

    def _poll(self) -> None:
        self._timer = None
        for link, way in list(self._links.items()):
            traffic = self._traffic_of(link)
            if traffic is None:
                continue  # its end is on the way to us
            length = way.left(traffic)
            if not way.ends:
                del self._links[link]
            if length:
                self._left(link, length)
        if self._links and self._timer is None:
            self._timer = self._loop.call_later(POLL_S, self._poll)
