"""The steps of the ladder as a daemon has them: the LAN, a tracker site, the name service.

Lists block, so each is asked in a thread of its own, one at a time; such a thread is never waited
for, not even at the end. Which step is asked when is the core's decision, and what comes of it is
fed back as `Found`. What a step needs is loaded when it is asked.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import msgspec

from common.addresses import Address
from common.core import Effect, Event
from common.ids import NodeId
from common.ladder import LAN, SITE, SRV, Announce, Found, Seek
from common.meeting import Seed
from common.network import Network
from common.shell.drive import Performer

if TYPE_CHECKING:
    from common.shell.desk.site import Listed
    from common.shell.net.lan import Lan


class Elsewhere(msgspec.Struct, frozen=True):
    """Where a node looks for super-peers that nobody gave it and that it does not remember."""

    lan: bool = False
    site: str = ""  # a URL or a file
    srv: str = ""  # a domain

    def steps(self, listen: str) -> tuple[str, ...]:
        """The steps of the ladder for a node that listens at this IP literal, in order.

        A node that listens on loopback alone is met by nobody on the LAN, nor meets anybody.
        """
        on_lan = self.lan and not ip_address(listen).is_loopback
        given = ((LAN, on_lan), (SITE, self.site), (SRV, self.srv))
        return tuple(step for step, is_there in given if is_there)


class Seeking:
    """Performs `Seek` and `Announce` of one node."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        feed: Callable[[Event], None],
        elsewhere: Elsewhere,
        network: Network,
        node: NodeId,
        listen: str,
    ) -> None:
        self._loop = loop
        self._feed = feed
        self._elsewhere = elsewhere
        self._network = network
        self._node = node
        self._listen = listen
        self._port = 0
        self._lan: Lan | None = None
        self._asking: dict[str, None] = {}
        self._closed = False

    def performers(self) -> dict[type[Effect], Performer]:
        """What to do for the effects of the ladder."""
        return {Seek: self._seek, Announce: self._announce}

    def bound(self, control: Address) -> None:
        """The doors are open: this is what is announced."""
        self._port = control.port

    async def close(self) -> None:
        """Say goodbye to the LAN. Threads that still ask are told nothing any more."""
        self._closed = True
        if self._lan is not None:
            await self._lan.close()

    def _seek(self, effect: Seek) -> None:
        if effect.step == LAN:
            self._on_lan().seek(effect.for_s)
        elif effect.step not in self._asking:
            self._asking[effect.step] = None
            threading.Thread(target=self._ask, args=(effect.step,), daemon=True).start()

    def _announce(self, effect: Announce) -> None:
        self._on_lan().announce(self._port if effect.on else None)

    def _on_lan(self) -> "Lan":
        from common.shell.net.lan import Lan, interfaces_of

        if self._lan is None:
            self._lan = Lan(
                self._network,
                self._node,
                lambda: interfaces_of(self._listen),
                lambda seeds, problem: self._found(LAN, seeds, problem),
            )
        return self._lan

    def _ask(self, step: str) -> None:
        """In a thread: ask a list, and bring what it says into the loop."""
        listed = self._listed(step)
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(self._answered, step, listed)

    def _listed(self, step: str) -> "Listed":
        if step == SITE:
            from common.shell.desk.site import ask_site

            return ask_site(self._elsewhere.site)
        from common.shell.desk.srv import ask_srv

        return ask_srv(self._elsewhere.srv)

    def _answered(self, step: str, listed: "Listed") -> None:
        self._asking.pop(step, None)
        self._found(step, listed.seeds, listed.problem)

    def _found(self, step: str, seeds: tuple[Seed, ...], problem: str) -> None:
        if not self._closed:
            self._feed(Found(step, seeds, problem))
