"""Super-peers on the LAN, by mDNS: ours is announced, those of the same network are told of.

An entry carries the network's name and the node's key, never a network's key: whoever has the name
alone is refused at the link. mDNS is spoken on the interfaces that the node listens on, so never
where it listens on loopback; and of an entry only addresses on a network of these interfaces are
used, so that no entry can aim our pings elsewhere. What an entry says is as little proof as a pong.
`zeroconf` is loaded when the first is wanted, and its sockets are open only as long.
"""

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from common.addresses import Address
from common.ids import NodeId, node_text, parse_node
from common.ladder import FOUND_MAX, LAN
from common.meeting import Seed
from common.network import Network

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

SERVICE: Final = "_superpeer._tcp.local."
NETWORK_KEY: Final = "network"  # of the TXT record
NODE_KEY: Final = "node"
ADDRESSES_MAX: Final = 4  # of one entry; a machine with more is met by these
NAME_BYTES_MAX: Final = 200  # a string of a TXT record has 255, its key included
CLOSE_S: Final = 2.0  # for the goodbyes
RESOLVE_MS: Final = 1500
ROAM_S: Final = 15.0  # how often our own interfaces are looked at

OnFound = Callable[[tuple[Seed, ...], str], None]
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Entry(NamedTuple):
    """What mDNS says of one super-peer."""

    network: str
    node: NodeId
    port: int
    addresses: tuple[str, ...]


class Lan:
    """One node's view of its LAN, and the LAN's of it. To be used in its loop only."""

    def __init__(
        self,
        network: Network,
        node: NodeId,
        interfaces: Callable[[], list[Interface]],
        found: OnFound,
    ) -> None:
        """`interfaces` are where we may speak, asked again and again; `found` is told of others."""
        self._network = tag(network.name)
        self._node = node
        self._interfaces = interfaces
        self._found = found
        self._known: dict[str, tuple[Seed, ...]] = {}
        self._port: int | None = None  # that we announce
        self._browse_until = float("-inf")
        self._used: list[Interface] = []
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._info: ServiceInfo | None = None
        self._announcing: Awaitable[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._closing = False
        self._resolving: dict[str, asyncio.Task[None]] = {}

    def seek(self, for_s: float) -> None:
        """Tell of all that are there, and of who comes within `for_s` (it only grows)."""
        now = asyncio.get_running_loop().time()
        self._browse_until = max(self._browse_until, now + for_s)
        if known := [seed for seeds in self._known.values() for seed in seeds]:
            self._found(tuple(known[:FOUND_MAX]), "")
        self._change()

    def announce(self, port: int | None) -> None:
        """A super-peer listens at this port; None: not any more."""
        self._port = port
        self._change()

    async def close(self) -> None:
        """Say goodbye where we were announced, and close the sockets."""
        self._closing = True
        self._port, self._browse_until = None, float("-inf")
        if self._task is not None:
            self._wanted.set()
            await asyncio.wait((self._task,), timeout=CLOSE_S)
            self._task.cancel()

    # --- the one task that opens and closes -------------------------------------------------

    def _change(self) -> None:
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Bring what is open in line with what is wanted, again when either changes."""
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            is_last = self._closing
            try:
                await self._settle(loop.time())
            except Exception as error:  # the library names none; a node lives without mDNS
                self._found((), f"mDNS does not work here: {error}")
                await self._close()
            if is_last:
                return
            left_s = max(self._browse_until - loop.time(), 0.0)
            is_open = self._port is not None or left_s > 0
            wait_s = min(left_s, ROAM_S) if self._port is None else ROAM_S
            try:
                await asyncio.wait_for(self._wanted.wait(), wait_s if is_open else None)
            except TimeoutError:
                continue

    async def _settle(self, now: float) -> None:
        browsing = now < self._browse_until
        is_wanted = browsing or self._port is not None
        interfaces = self._interfaces() if is_wanted else []
        if interfaces != self._used:  # roamed, or nothing is wanted any more
            await self._close()
        if not interfaces:
            if is_wanted:
                self._found((), "mDNS has no interface here but loopback")
            return
        if self._zeroconf is None:
            self._used, self._zeroconf = interfaces, _opened(interfaces)
        await self._browse(self._zeroconf, browsing)
        await self._register(self._zeroconf, interfaces)

    async def _browse(self, zeroconf: "AsyncZeroconf", browsing: bool) -> None:
        from zeroconf.asyncio import AsyncServiceBrowser

        if browsing and self._browser is None:
            self._browser = AsyncServiceBrowser(
                zeroconf.zeroconf, SERVICE, handlers=[self._changed]
            )
        elif not browsing and self._browser is not None:
            browser, self._browser = self._browser, None
            await browser.async_cancel()

    async def _register(self, zeroconf: "AsyncZeroconf", interfaces: Sequence[Interface]) -> None:
        if self._port is None:
            if self._info is not None:
                info, self._info = self._info, None
                await (await zeroconf.async_unregister_service(info))
            return
        if self._info is None:
            self._info = _info(self._network, self._node, self._port, interfaces)
            # our key is in the name: nobody else has it, and there is nothing to probe for
            self._announcing = await zeroconf.async_register_service(
                self._info, cooperating_responders=True, strict=False
            )

    async def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        self._browser = self._info = None
        self._used = []
        self._known.clear()
        for task in list(self._resolving.values()):
            task.cancel()
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()
            await asyncio.sleep(0)  # a transport closes its socket one turn later

    # --- what the LAN says ------------------------------------------------------------------

    def _changed(
        self,
        zeroconf: "Zeroconf",
        service_type: str,  # noqa: ARG002 - handlers are called by name
        name: str,
        state_change: "ServiceStateChange",
    ) -> None:
        from zeroconf import ServiceStateChange

        if state_change is ServiceStateChange.Removed:
            self._known.pop(name, None)
        elif name not in self._resolving and len(self._resolving) < FOUND_MAX:
            task = asyncio.get_running_loop().create_task(self._resolve(zeroconf, name))
            self._resolving[name] = task
            task.add_done_callback(lambda _task: self._resolving.pop(name, None))

    async def _resolve(self, zeroconf: "Zeroconf", name: str) -> None:
        from zeroconf import BadTypeInNameException
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            info = AsyncServiceInfo(SERVICE, name)
        except BadTypeInNameException:  # a name that somebody made up
            return
        if not await info.async_request(zeroconf, RESOLVE_MS):
            return
        entry = read_entry(info.decoded_properties, info.port, info.parsed_addresses())
        seeds = () if entry is None else seeds_of(entry, self._network, self._node, self._used)
        is_new = bool(seeds) and self._known.get(name) != seeds
        if seeds and (name in self._known or len(self._known) < FOUND_MAX):
            self._known[name] = seeds
            if is_new:
                self._found(seeds, "")


def tag(network: str) -> str:
    """A network's name as an entry carries it, which has no room for a long one."""
    name = network.encode()
    return network if len(name) <= NAME_BYTES_MAX else hashlib.sha256(name).hexdigest()


def read_entry(
    properties: dict[str, str | None], port: int | None, addresses: Sequence[str]
) -> Entry | None:
    """What an entry says; None where it is not one of ours."""
    network, key = properties.get(NETWORK_KEY), properties.get(NODE_KEY)
    if not network or not key or not port:
        return None
    try:
        return Entry(network, parse_node(key), port, tuple(addresses))
    except ValueError:
        return None


def seeds_of(
    entry: Entry, network: str, me: NodeId, interfaces: Sequence[Interface]
) -> tuple[Seed, ...]:
    """Where a super-peer of our network can be reached; nothing for another network, or ourselves.

    Only addresses on a network that we are on ourselves count; IPv6's link-local ones mean nothing
    without an interface, which an address does not carry.
    """
    if entry.network != network or entry.node == me:
        return ()
    found: dict[Address, None] = {}
    for text in entry.addresses:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:  # with a scope that this Python does not take
            continue
        linked = any(ip in each.network for each in interfaces if each.version == ip.version)
        if linked and not (ip.version == 6 and ip.is_link_local):
            found[Address.of(str(ip), entry.port)] = None
    return tuple(Seed("", each, entry.node, LAN) for each in list(found)[:ADDRESSES_MAX])


def interfaces_of(listen: str) -> list[Interface]:
    """The addresses of this machine, with their networks, on which a node that listens at this IP
    literal is reached by others: never loopback."""
    import ifaddr

    wanted = ipaddress.ip_address(listen)
    found: list[Interface] = []
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            text = each.ip if isinstance(each.ip, str) else each.ip[0]
            interface = ipaddress.ip_interface(f"{text}/{each.network_prefix}")
            is_wanted = interface.ip == wanted or (
                wanted.is_unspecified and (wanted.version == 6 or interface.version == 4)
            )
            if is_wanted and not interface.ip.is_loopback:
                found.append(interface)
    return sorted(found, key=lambda each: (each.version, each))


def _opened(interfaces: Sequence[Interface]) -> "AsyncZeroconf":
    from zeroconf.asyncio import AsyncZeroconf

    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)  # we tell what concerns anybody
    one_of_each_network = {each.network: str(each.ip) for each in interfaces}
    return AsyncZeroconf(interfaces=list(one_of_each_network.values()))


def _info(network: str, node: NodeId, port: int, interfaces: Sequence[Interface]) -> "ServiceInfo":
    from zeroconf.asyncio import AsyncServiceInfo

    key = node_text(node)
    told = [each for each in interfaces if not (each.version == 6 and each.ip.is_link_local)]
    return AsyncServiceInfo(
        SERVICE,
        f"{key}.{SERVICE}",
        port=port,
        properties={NETWORK_KEY: network, NODE_KEY: key},
        server=f"{key}.local.",
        parsed_addresses=[str(each.ip) for each in told],
    )
