"""The ZeroMQ transport of one node: two doors to come in by, dials to go out by, links by number.

Every link is CURVE, proven to its key, and never blocks. `send` says False when a link is gone or
its pipe is full; `closed` follows once for each link, always from the loop and never from inside
a call of the owner's. Frames of links that were hung up are not delivered any more. What the
frames mean, who may stay and whom to dial is the owner's (`drive.py`, and the cores behind it).
"""

import asyncio
import itertools
from collections import Counter

import zmq

from common.doors import Door
from common.shell.net.admission import Admission
from common.shell.net.descriptors import Address, Traffic
from common.shell.net.dials import Dial
from common.shell.net.doors import RouterDoor
from common.shell.net.links import Link, Sink
from common.shell.net.ports import Keys, TransportLimits
from common.shell.net.switchboard import Context, Switchboard, shared_context

__all__ = ["Sink", "Transport", "TransportLimits"]


class Transport:
    """The links of one node; the keys are raw X25519, 32 bytes each."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        secret_key: bytes,
        public_key: bytes,
        limits: TransportLimits,
        sink: Sink,
        *,
        context: Context | None = None,
    ) -> None:
        self.sink = sink
        self.tally: Counter[str] = Counter()
        self._loop = loop
        self._keys = Keys(public_key, secret_key)
        self._limits = limits
        self._numbers = itertools.count(1)
        self._links: dict[int, Link] = {}
        self._doors: dict[Door, RouterDoor] = {}
        self._closed = False
        self._board = Switchboard.join(context or shared_context(), loop)
        self._admission = Admission(
            handshakes_per_s=limits.handshakes_per_s,
            handshakes_burst=limits.handshakes_burst,
            address_per_s=limits.address_per_s,
            address_burst=limits.address_burst,
        )
        self._domain = self._board.enter(self._admission)

    def bind(self, door: Door, host: str, port: int) -> Address:
        """Open a door at an IP literal ("::" and "0.0.0.0" are all); port 0 takes a free one.

        Returns host and port. Raises OSError, with EADDRINUSE for a taken port.
        """
        try:
            opened = RouterDoor(
                door,
                board=self._board,
                admission=self._admission,
                domain=self._domain,
                keys=self._keys,
                limits=self._limits,
                ledger=self,
            )
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"cannot open a door: {error.strerror}") from error
        try:
            address = opened.bind(host, port)
        except OSError:
            opened.close()
            raise
        if door in self._doors:
            self._doors[door].close()
        self._doors[door] = opened
        return address

    def dial(
        self, door: Door, address: Address, curve_key: bytes, source_host: str | None = None
    ) -> int:
        """Begin a link to the holder of `curve_key`; `opened` or `closed` comes later.

        It leaves from `source_host` unless that is None or a wildcard. Raises OSError if this
        process has no socket left.
        """
        try:
            return Dial(
                door,
                address,
                curve_key,
                source_host,
                board=self._board,
                keys=self._keys,
                limits=self._limits,
                ledger=self,
            ).number
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"cannot dial: {error.strerror}") from error

    def send(self, link: int, body: bytes, data: memoryview | bytes | None = None) -> bool:
        """Queue one message; False if the link is gone or its pipe is full. Never blocks.

        `data` of 64 KiB and more is not copied: its memory must not change until libzmq lets go.
        """
        found = self._links.get(link)
        return found is not None and found.send(body, data)

    def traffic(self, link: int) -> Traffic | None:
        """What the kernel counted on a link; None if it is gone or the kernel does not count."""
        found = self._links.get(link)
        return None if found is None else found.traffic()

    def hangup(self, link: int, reason: str) -> None:
        """End a link at once; `closed` follows in the next turn of the loop."""
        found = self._links.get(link)
        if found is not None:
            found.hangup(reason)

    def ban(self, who: bytes | str, seconds: float) -> None:
        """Let a CURVE key or an address in no more for a while; open links stay."""
        self._admission.ban(who, self._loop.time() + seconds)

    def counters(self) -> dict[str, int]:
        """What happened since the start, by name; and the links there are now."""
        return {
            **self.tally,
            "handshakes_refused": self._admission.refused,
            "links": len(self._links),
        }

    def close(self) -> None:
        """Close everything; the sink hears nothing more."""
        if self._closed:
            return
        self._closed = True
        links, self._links = self._links, {}
        for link in links.values():
            link.close()
        for door in self._doors.values():
            door.close()
        self._board.zap.forget(self._domain)
        self._board.leave()

    # --- what doors and dials need ----------------------------------------------------------

    def enter(self, link: Link) -> int:
        """Give a link its number."""
        number = next(self._numbers)
        self._links[number] = link
        return number

    def close_soon(self, number: int, reason: str) -> None:
        """Take the link out now, tell the sink in the next turn of the loop."""
        if self._links.pop(number, None) is not None:
            self._loop.call_soon(self._tell_closed, number, reason)

    def _tell_closed(self, number: int, reason: str) -> None:
        if not self._closed:
            self.sink.closed(number, reason)
