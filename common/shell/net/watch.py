"""The watchdog against messages that never end.

libzmq delivers a message when its last part has come, and bounds neither the number nor the sum
of its parts: one stranger filled 1.5 GiB through MAXMSGSIZE and high-water marks (measured). So
what the kernel handed to libzmq on each connection is compared with what came out of it. Two
limits, both far above what an honest link can hold inside libzmq: `settled` applies to bytes
that were there before its reader last ran dry (whatever had ended was delivered by then), and
`ceiling`, a full pipe and a half, at any time, however late we read.

Idle links cost nothing: an edge-triggered epoll names the connections on which bytes arrived, and
the timer runs only while there are some. Nor is each busy one looked at every time, which cost a
super-peer with 1,000 leaves a tenth of its time: what never ends stays in memory, so while this
process has not grown there is nothing to find. What honest connections have on their way comes and
goes, so it must have grown by more where they are many. Where the kernel has no such counters
(macOS) nothing is watched. It decides nothing but "too much"; hanging up is the owner's.
"""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Final

from common.shell.net.descriptors import traffic_of
from common.shell.net.edge import EdgeReader
from common.shell.net.resident import rss_bytes

TICK_S: Final = 0.05
TICK_BUSY_S: Final = 0.01  # loopback brings 10 MiB in that time
BUSY_BYTES: Final = 256 * 1024
GROWN_BYTES: Final = 1024 * 1024  # less hides in memory that was there; wild guess
FLOW_BYTES: Final = 8 * 1024  # more for each connection: what honest ones have on their way
UNGROWN_S: Final = 0.25  # between two looks while memory does not grow
UNGROWN_FLOW_S: Final = 0.001  # ... or so much for each connection: a look takes 5 to 10 us
UNGROWN_MAX_S: Final = 1.0  # ... but a link whose frame is still coming must be known to live
MOVING_S: Final = 0.5  # how often the owner of a bulk link is told that bytes come

_CURVE_OVERHEAD: Final = 33  # command name, nonce, authenticator and flags of a CURVE message
_SHORT_FRAME: Final = 255


def wire_bytes(size: int) -> int:
    """What a frame of `size` bytes is on the wire under CURVE (RFC 23 and 26)."""
    sealed = size + _CURVE_OVERHEAD
    return sealed + (2 if sealed <= _SHORT_FRAME else 9)


class Flow:
    """One connection under watch; its owner adds to `delivered` what came out of libzmq."""

    __slots__ = (
        "_sample",
        "_sampled_at",
        "ceiling",
        "consumed",
        "delivered",
        "descriptor",
        "moving",
        "overrun",
        "reader",
        "settled",
        "told_at",
    )

    def __init__(
        self,
        descriptor: int,
        reader: EdgeReader,
        *,
        settled: int,
        ceiling: int,
        overrun: Callable[[], None],
        moving: Callable[[], None] | None = None,
    ) -> None:
        """`moving`, where given, is told now and then while bytes come, whole frames or not."""
        self.descriptor = descriptor
        self.reader = reader
        self.settled = settled
        self.ceiling = ceiling
        self.overrun = overrun
        self.moving = moving
        self.told_at = 0.0
        self.delivered = 0
        self.consumed = 0
        self._sample = 0
        self._sampled_at = -1

    def look(self) -> bool:
        """Take the kernel's count; whether it is beyond a limit."""
        traffic = traffic_of(self.descriptor)
        if traffic is None:
            return False
        self.consumed = traffic.consumed
        if self.consumed - self.delivered > self.ceiling:
            return True
        if self._sampled_at != self.reader.emptied:
            if self._sampled_at >= 0 and self._sample - self.delivered > self.settled:
                return True
            self._sample, self._sampled_at = self.consumed, self.reader.emptied
        return False

    @property
    def pending(self) -> bool:
        """Whether it must be looked at again although nothing may arrive any more."""
        return self.consumed - self.delivered > self.settled


class Watch:
    """Looks at every flow on which bytes arrived, soon after they did."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, memory: Callable[[], int] = rss_bytes
    ) -> None:
        """`memory` tells how many bytes this process holds."""
        self._loop = loop
        self._growth = Growth(memory)
        self._flows: dict[int, Flow] = {}
        self._pending: dict[int, Flow] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._interval_s = TICK_S
        self._epoll = _Arrivals() if sys.platform == "linux" else None
        self.ticks = 0
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._first_bytes)

    def add(self, flow: Flow) -> None:
        """Watch from now on, whatever had that descriptor before."""
        self._flows[flow.descriptor] = flow
        self._pending.pop(flow.descriptor, None)
        if self._epoll is not None:
            self._epoll.add(flow.descriptor)

    def remove(self, flow: Flow) -> None:
        """Forget; the kernel forgets a closed descriptor by itself."""
        if self._flows.get(flow.descriptor) is flow:
            del self._flows[flow.descriptor]
            self._pending.pop(flow.descriptor, None)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _first_bytes(self) -> None:
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._tick()

    def _tick(self) -> None:
        if self._epoll is None:
            return
        idle = self._timer is None
        if not self._growth.must_look(self._loop.time(), len(self._flows)):
            self._next_tick(TICK_BUSY_S if idle else self._interval_s)
            return
        self._timer = None
        self.ticks += 1
        moved = 0
        looked = self._pending
        self._pending = {}
        for descriptor in self._epoll.arrived():
            if descriptor in self._flows:
                looked[descriptor] = self._flows[descriptor]
        for flow in looked.values():
            moved = max(moved, self._look(flow))
        if not looked:
            self._loop.add_reader(self._epoll.fileno(), self._first_bytes)
            return
        busy = idle or moved > BUSY_BYTES
        self._next_tick(TICK_BUSY_S if busy else TICK_S)

    def _next_tick(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._timer = self._loop.call_later(interval_s, self._tick)

    def _look(self, flow: Flow) -> int:
        before = flow.consumed
        if flow.look():
            self.remove(flow)
            flow.overrun()
        elif flow.pending:
            self._pending[flow.descriptor] = flow
            flow.reader.wake()  # parts without an end wake nobody
        moved = flow.consumed - before
        if moved and flow.moving is not None and self._loop.time() - flow.told_at > MOVING_S:
            flow.told_at = self._loop.time()
            flow.moving()
        return moved


class Growth:
    """When to look: as soon as the process has grown, and now and then."""

    def __init__(self, memory: Callable[[], int]) -> None:
        self._memory = memory
        self._least = 0  # that it held since the last look
        self._next_at = 0.0

    def must_look(self, now: float, flows: int) -> bool:
        held = self._memory()
        if now < self._next_at and held < self._least + GROWN_BYTES + flows * FLOW_BYTES:
            self._least = min(self._least, held)
            return False
        pause_s = min(max(UNGROWN_S, flows * UNGROWN_FLOW_S), UNGROWN_MAX_S)
        self._least, self._next_at = held, now + pause_s
        return True


class _Arrivals:
    """An epoll of our own over libzmq's descriptors; reads nothing from them.

    An edge is reported only if the connection is still ready when we ask, and libzmq has mostly
    read the bytes by then. Waiting for "writable" too makes every arrival visible: a connection
    nearly always is. One that is not has a peer that reads nothing, and its link is given up.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self.close = self._epoll.close

    def add(self, descriptor: int) -> None:
        try:
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        except OSError:
            return  # closed in the meantime; its end is on the way to us

    def arrived(self) -> list[int]:
        return [descriptor for descriptor, _ in self._epoll.poll(0)]
