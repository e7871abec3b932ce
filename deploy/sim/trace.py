"""The trace of a run as one hash: two runs that differ in anything differ in it.

Each event goes in with its moment and its host. A message goes in as its bytes; of what the disk
brought only how much, because the bytes that it becomes on the wire are there already.
"""

import hashlib
import struct

import msgspec

from common import wire
from common.core import Effect, Event, FrameReceived
from common.storage import BytesRead
from common.wire import Unknown
from deploy.sim.host import Host
from deploy.sim.schedule import Schedule


class Trace:
    """A watcher that hashes all it sees."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._hash = hashlib.sha256()

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """Take in one event, and what it made the host do."""
        moment = struct.pack(">dIH", self._schedule.now, host.number, len(effects))
        self._hash.update(moment + type(event).__name__.encode() + _said(event))

    def hexdigest(self) -> str:
        """The hash of all that was so far."""
        return self._hash.hexdigest()


def _said(event: Event) -> bytes:
    if isinstance(event, FrameReceived):
        if isinstance(event.message, Unknown):
            return b"unknown"
        data = b"" if event.data is None else len(event.data).to_bytes(4, "big")
        return wire.encode(event.message) + data
    if isinstance(event, BytesRead):
        return len(event.data).to_bytes(4, "big")
    return msgspec.json.encode(event)
