"""What super-peers send one another: for searches, and to keep the overlay and its digests.

Bytes are those of the messages as they are encoded, each as a frame of its own: what is sent in one
turn shares a frame in the programs, which is cheaper.
"""

from collections import Counter
from typing import Final

from common import wire
from common.messages import overlay
from common.messages.fields import Message
from deploy.sim.host import Host
from deploy.sim.wires import OVERHEAD_BYTES

SEARCHING: Final = (
    *(overlay.Query, overlay.Extend, overlay.QueryHits, overlay.QueryDone, overlay.Prune),
)
UPKEEP: Final = (
    *(overlay.Link, overlay.Linked, overlay.Unlinked, overlay.Neighbourhood, overlay.Patches),
)


class Traffic:
    """A watcher that counts messages and bytes between super-peers."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._last: Message | None = None  # one message goes to many: encoded once
        self._last_bytes = 0

    def sent(
        self, _host: Host, _there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        kind = type(message)
        if kind in SEARCHING or kind in UPKEEP:
            what = "search" if kind in SEARCHING else "upkeep"
            self.messages[what] += 1
            self.bytes[what] += self._size(message)

    def _size(self, message: Message) -> int:
        if message is not self._last:
            self._last, self._last_bytes = message, len(wire.encode(message)) + OVERHEAD_BYTES
        return self._last_bytes
