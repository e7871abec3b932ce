"""What a link is to the shell: a number, three calls out, two calls in.

`Sink` is who the transport works for, `Link` what the two kinds of link have in common (a
connection through a door, `doors.py`; a dial, `dials.py`), `Ledger` what both know of the
transport that numbers them. Also the shape every message must have, whichever way it came.
"""

from collections import Counter
from typing import Protocol

from common.doors import Door
from common.shell.net.descriptors import Address, Traffic
from common.shell.net.intake import Message
from common.shell.net.ports import FRAME_BYTES_MAX


class Sink(Protocol):
    """The owner of links; `link` numbers are never used twice."""

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: Address, inbound: bool
    ) -> None:
        """A link's handshake is over: `curve_key` is proven, `address` is what we see."""

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """One message; `data` is libzmq's own memory, alive as long as it is referred to."""

    def moving(self, link: int) -> None:
        """Bytes come over this bulk link, whether or not a frame is whole yet."""

    def closed(self, link: int, reason: str) -> None:
        """A link is gone, or a dial came to nothing; exactly once for each link."""


class Ledger(Protocol):
    """What a door needs of its transport: numbers, the sink, and the end of a link."""

    sink: Sink
    tally: Counter[str]

    def enter(self, link: "Link") -> int:
        """Give a link its number."""

    def close_soon(self, number: int, reason: str) -> None:
        """Tell the sink in the next turn of the loop, once."""


class Link(Protocol):
    """One conversation, whoever began it."""

    def send(self, body: bytes, data: memoryview | bytes | None) -> bool:
        """False if it is gone or its pipe is full."""

    def traffic(self) -> Traffic | None:
        """What the kernel counted on it; None if it is gone or the kernel does not count."""

    def hangup(self, reason: str) -> None:
        """End it now; what libzmq has not sent yet is lost."""

    def close(self) -> None:
        """Let go of it, telling nobody."""


def fault_of(message: Message, door: Door) -> str:
    """What is wrong with the shape of a message; empty if nothing."""
    if message.overlong:
        return "too many frames in one message"
    if len(message.body) > FRAME_BYTES_MAX[door]:
        return "frame too long"
    if message.data is not None and len(message.data) > FRAME_BYTES_MAX[door]:
        return "frame too long"
    return ""
