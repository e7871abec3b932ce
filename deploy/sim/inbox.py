"""What came for a host that has not come to it: of each link in order, the links in turn.

So it is on a real machine: each connection has a buffer of its own, and ZeroMQ reads one message of
each in turn. What concerns no link has a turn too.
"""

from collections import deque

from common.core import Event


class Inbox:
    """The events that wait for a processor."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[int | None, deque[Event]] = {}  # by link; whose turn is next: first

    def __bool__(self) -> bool:
        return bool(self._queues)

    def append(self, event: Event) -> None:
        """It came."""
        self._queues.setdefault(getattr(event, "link", None), deque()).append(event)

    def pop(self) -> Event:
        """The next one."""
        link = next(iter(self._queues))
        queue = self._queues.pop(link)
        event = queue.popleft()
        if queue:
            self._queues[link] = queue
        return event

    def all(self) -> list[Event]:
        """Everything that waits."""
        return [event for queue in self._queues.values() for event in queue]

    def clear(self) -> None:
        """The process is gone."""
        self._queues.clear()
