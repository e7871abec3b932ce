"""A node as a running program: its doors, disk, memory and control socket around one driver.

Order matters here and nowhere else: lock the home, open the store, bind the doors, tell the node
what it remembers, then take calls. SIGTERM and the first Ctrl-C ask the node to stop; it has
`STOP_S` to do so, and a second Ctrl-C ends it at once.
"""

import asyncio
import secrets
import signal
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from common.addresses import Address
from common.config import Config
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Bound,
    Effect,
    Event,
    Fail,
    HostMeasured,
    Notify,
    Stopped,
    Tell,
)
from common.errors import Exit
from common.ids import Identity
from common.methods import Methods
from common.network import Network
from common.node import Node, RoleFactory
from common.shell import memory, wallclock
from common.shell.allocator import keep_freed_memory
from common.shell.desk.control import ControlServer
from common.shell.desk.home import Home
from common.shell.disk.jobs import Disk
from common.shell.disk.shares import Shares
from common.shell.disk.store import Store
from common.shell.disk.workers import Returns
from common.shell.drive import Driver, Performer
from common.shell.hosting import Doors, open_doors
from common.shell.net.resident import rss_bytes
from common.shell.net.webclient import WebClient
from common.shell.seeking import Elsewhere, Seeking

if TYPE_CHECKING:
    from common.shell.net.webdoor import WebDoor

STOP_S: Final = 9.0  # SIGTERM drains and exits within 10 s

_NOT_DROPPED: Final = ("accepted", "opened", "dialled", "links")  # what the sockets count besides

OnNotify = Callable[[Notify], None]


class Daemon:
    """One node of one home. `run` blocks until it has ended and returns the exit code."""

    def __init__(
        self,
        *,
        home: Home,
        identity: Identity,
        network: Network,
        config: Config,
        roles: dict[str, RoleFactory],
        start: tuple[str, ...],
        methods: Methods,
        listen: tuple[str, int],
        port_asked: bool,
        bulk: bool,
        on_serving: Callable[["Daemon"], None],
        on_notify: OnNotify,
        agent: str,
        elsewhere: Elsewhere,
        http: tuple[str, int] | None = None,
    ) -> None:
        """`listen`: an IP literal and a port, 0 for any; `port_asked`: it may be no other.

        Of the `roles` those in `start` begin at once; the control socket answers `methods`;
        `on_serving` is called when the doors are open; `elsewhere` is where super-peers are looked
        for where a role asks for it; `http`: where files are served over HTTP, if at all.
        """
        self._home = home
        self._identity = identity
        self._network = network
        self._config = config
        self._roles = roles
        self._start = start
        self._methods = methods
        self._listen = listen
        self._port_asked = port_asked
        self._bulk = bulk
        self._on_serving = on_serving
        self._on_notify = on_notify
        self._agent = agent
        self._elsewhere = elsewhere
        self._http_asked = http
        self._signals = 0
        self._doors: Doors | None = None
        self._driver: Driver | None = None
        self._server: ControlServer | None = None
        self._web: WebDoor | None = None
        self.http: Address | None = None  # where it is served; once serving
        self._stopping = asyncio.Event()

    @property
    def listen(self) -> Address:
        """Where the control door listens; once serving."""
        if self._doors is None:
            raise RuntimeError("the doors are not open yet")
        return self._doors.control

    @property
    def was_signalled(self) -> bool:
        """Whether a signal told it to end, and not `stop`."""
        return self._stopping.is_set()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Run something in the daemon's loop; once serving."""
        asyncio.get_running_loop().call_later(delay_s, call)

    def run(self) -> int:
        """Serve until stopped. Raises UserError where it cannot begin."""
        return asyncio.run(self._serve())

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        if self._bulk:
            keep_freed_memory()
        store = Store(self._home.state_file)
        if store.moved_aside is not None:
            fields: dict[str, object] = {"moved_to": str(store.moved_aside)}
            self._on_notify(Notify("state_unreadable", fields, "warning"))
        disk = Disk(Returns(loop), self._feed, store)
        shares = Shares(loop, self._feed, store, self._home.private)
        node = self._node()
        host = self._listen[0]
        seeking = Seeking(
            loop, self._feed, self._elsewhere, self._network, self._identity.node, host
        )
        performers = {**self._performers(disk, shares, store), **seeking.performers()}
        self._web = web = _web_door(self._feed) if self._http_asked else None
        if web is not None:
            performers |= web.performers()
        client = WebClient(self._feed)
        performers |= client.performers()
        driver = Driver(loop, node, performers, None if _wild(host) else host)
        self._driver = driver
        doors = open_doors(
            loop,
            self._identity,
            driver,
            self._listen,
            port_asked=self._port_asked,
            bulk=self._bulk,
        )
        self._doors = doors
        seeking.bound(doors.control)
        try:
            if web is not None and self._http_asked is not None:
                self.http = await web.open(*self._http_asked)
            self._begin(loop, doors, store)
            await self._until_exited(driver)
        finally:
            for number in (
                signal.SIGINT,
                signal.SIGTERM,
            ):  # what is left is quick, and must be whole
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            if self._server is not None:
                self._server.close()
            if web is not None:
                await web.close()
            await client.close()
            driver.close()
            await seeking.close()
            shares.close()
            doors.close()
            disk.close()
            store.close()
        return int(Exit.INTERRUPTED if self._signals > 1 else Exit.DONE)

    def _node(self) -> Node:
        rng = Random(secrets.randbits(256))
        return Node(
            self._identity.node,
            self._network,
            self._config.link,
            factories=self._roles,
            start=self._start,
            rng=rng,
            agent=self._agent,
        )

    def _performers(
        self, disk: Disk, shares: Shares, store: Store
    ) -> dict[type[Effect], Performer]:
        return {
            **disk.performers(),
            **shares.performers(),
            **memory.performers(store, self._on_notify),
            **wallclock.performers(self._feed),
            Notify: self._on_notify,
            Tell: lambda effect: self._carrier.tell(effect.call, effect.event),
            Answer: lambda effect: self._carrier.answer(effect.call, effect.result),
            Fail: lambda effect: self._carrier.fail(
                effect.call, effect.code, effect.message, effect.hint
            ),
        }

    @property
    def _carrier(self) -> ControlServer:
        if self._server is None:
            raise RuntimeError("nobody can have asked yet")
        return self._server

    def _begin(self, loop: asyncio.AbstractEventLoop, doors: Doors, store: Store) -> None:
        self._feed(memory.restored(store))
        self._feed(Bound(doors.control, doors.bulk))
        self._server = ControlServer(
            loop,
            doors.context,
            doors.monitors,
            self._home.socket,
            self._methods,
            self._asked,
            lambda call: self._feed(AskerLeft(call)),
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        self._on_serving(self)

    def _asked(self, call: int, method: str, params: msgspec.Struct) -> None:
        self._feed(HostMeasured(rss_bytes(), self._dropped()))
        self._feed(Asked(call, method, params))

    def _dropped(self) -> dict[str, int]:
        """What the sockets, the driver and the links dropped, by reason."""
        counts: dict[str, int] = {}
        if self._doors is not None and self._driver is not None:
            of_web = self._web.dropped if self._web is not None else {}
            for source in (self._doors.transport.counters(), self._driver.counts(), of_web):
                for reason, count in source.items():
                    if reason in _NOT_DROPPED or not count:
                        continue
                    counts[reason] = counts.get(reason, 0) + count
        return counts

    def _feed(self, event: Event) -> None:
        if self._driver is not None:
            self._driver.feed(event)

    # --- the end ----------------------------------------------------------------------------

    def _signalled(self, number: int) -> None:
        self._signals += 1 if number == signal.SIGINT else 0
        if self._stopping.is_set():
            if self._signals > 1 and self._driver is not None:
                self._driver.exited.set()
            return
        self._stopping.set()
        self._feed(Stopped(STOP_S))

    async def _until_exited(self, driver: Driver) -> None:
        """Until the node says so; once it was asked to stop, no longer than STOP_S."""
        exited = asyncio.ensure_future(driver.exited.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((exited, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait((exited,), timeout=STOP_S)
        exited.cancel()


def _web_door(feed: Callable[[Event], None]) -> "WebDoor":
    """Loaded where it is asked for: most nodes have none."""
    from common.shell.net.webdoor import WebDoor

    return WebDoor(feed)


def _wild(host: str) -> bool:
    """Whether a listening host says nothing about where we dial out from."""
    return host in ("0.0.0.0", "::")
