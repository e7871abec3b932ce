"""What waits to be sent: per link, gathered over one turn of the loop into as few frames as fit.

Order within a link is kept, data included. Where a link's pipe is full its frames wait here, in
order, and are tried again shortly. A link is given up when `WAITING_BYTES_MAX` of messages wait for
it, or more than `SEND_QUEUE_BYTES_MAX` for `PATIENCE_S`. Data does not count: who sends it is told
when it has left (`departures.py`), and keeps its own measure.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from common.limits import CONTROL_FRAME_BYTES_MAX, SEND_QUEUE_BYTES_MAX
from common.shell.departures import Departures
from common.wire import frame

WAITING_BYTES_MAX = 8 * 1024 * 1024  # all 5,000 hits of a search, with their proofs
PATIENCE_S = 30.0  # gtk-gnutella kicks after 180
RETRY_S = 0.005  # a ROUTER does not say when a pipe has room again

_ROOM = CONTROL_FRAME_BYTES_MAX - 8  # the array header of a frame

Data = memoryview | bytes
SendFrame = Callable[[int, bytes, Data | None], bool]
OnLink = Callable[[int], None]


class _Queue:
    """The messages and frames of one link."""

    __slots__ = ("frames", "full_since", "messages", "messages_bytes", "waiting_bytes")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.messages_bytes = 0
        self.frames: deque[tuple[bytes, Data | None]] = deque()
        self.waiting_bytes = 0
        self.full_since: float | None = None

    def is_hopeless(self, now: float) -> bool:
        """Whether the other end takes so little that the link is as good as lost."""
        if self.waiting_bytes <= SEND_QUEUE_BYTES_MAX:
            self.full_since = None
            return False
        if self.full_since is None:
            self.full_since = now
        return self.waiting_bytes > WAITING_BYTES_MAX or now - self.full_since > PATIENCE_S


class Outbox:
    """Gathers, sends, and retries.

    `stuck` is called once for a link that is given up; `departures` is told of all that is sent.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: SendFrame,
        stuck: OnLink,
        departures: Departures,
    ) -> None:
        self._loop = loop
        self._send = send
        self._stuck = stuck
        self._departures = departures
        self._queues: dict[int, _Queue] = {}
        self._stirred: dict[int, _Queue] = {}  # those with something to send
        self._scheduled = self._closed = False

    def put(self, link: int, encoded: bytes, data: Data | None = None) -> None:
        """Send this message with the others of this turn; with data it ends its frame."""
        if self._closed:
            return
        queue = self._stirred.get(link)
        if queue is None:
            queue = self._queues.get(link) or self._queues.setdefault(link, _Queue())
            self._stirred[link] = queue
        if data is not None or queue.messages_bytes + len(encoded) > _ROOM:
            self._seal(queue)
        queue.messages.append(encoded)
        queue.messages_bytes += len(encoded)
        if data is not None:
            self._seal(queue, data)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_all)

    def flush(self, link: int) -> bool:
        """Send what waits for this link now; whether there was anything."""
        queue = self._queues.get(link)
        if queue is None or link not in self._stirred:
            return False
        self._drain(link, queue)
        return True

    def forget(self, link: int) -> None:
        """The link is gone, and what waited for it."""
        self._queues.pop(link, None)
        self._stirred.pop(link, None)
        self._departures.forget(link)

    def close(self) -> None:
        """Send what can be sent at once, and nothing more: the sockets are to be closed."""
        self._closed = True
        for link, queue in list(self._stirred.items()):
            self._drain(link, queue)
        self._queues.clear()
        self._stirred.clear()
        self._departures.close()

    def _seal(self, queue: _Queue, data: Data | None = None) -> None:
        if queue.messages:
            body = frame(queue.messages)
            queue.frames.append((body, data))
            queue.waiting_bytes += len(body)
            queue.messages, queue.messages_bytes = [], 0

    def _drain(self, link: int, queue: _Queue) -> None:
        self._seal(queue)
        while queue.frames:
            body, data = queue.frames[0]
            if data is not None:
                self._departures.expect(link)
            if not self._send(link, body, data):
                break
            queue.frames.popleft()
            queue.waiting_bytes -= len(body)
            self._departures.sent(link, len(body), None if data is None else len(data))
        if not queue.frames:
            del self._stirred[link]

    def _flush_all(self) -> None:
        self._scheduled = False
        for link, queue in list(self._stirred.items()):
            self._drain(link, queue)
        if not self._stirred:
            return
        now = self._loop.time()
        for link, queue in list(self._stirred.items()):
            if queue.is_hopeless(now):
                self.forget(link)
                self._stuck(link)
        if self._stirred:
            self._scheduled = True
            self._loop.call_later(RETRY_S, self._flush_all)
