"""The commands that build hosts out of namespaces, and take them away again.

Every namespace carries the lab's own name, which ends in the process id of its maker; bridges and
links exist inside of these alone, so nothing of the machine's own network is ever named here. What
a host sends is shaped where it leaves the host, what it takes in where it leaves the bridge.
Nothing is run here.
"""

import re
from collections.abc import Iterable
from typing import Final

from deploy.hosts import Access
from deploy.netlab.switch import mac, tap_name

Command = tuple[str, ...]

PREFIX: Final = "splab"
DEVICE: Final = "eth0"  # of a host
BRIDGE: Final = "br0"  # of the hub
NETWORK: Final = "10.77"
NETWORK_V6: Final = "fd77"
FRAME_BYTES: Final = 1514
BURST_FRAMES: Final = 10
BURST_S: Final = 0.002  # of the rate; below it the timer of the kernel is the limit
QUEUE_MS: Final = 50  # as a decent home router has
DELAYED_MAX: Final = 10_000  # packets; netem drops what is beyond its 1,000 otherwise
CONGESTION: Final = "cubic"  # what ordinary hosts run, whatever this machine is set to
_NAME: Final = re.compile(rf"{PREFIX}(\d+)-\w+")


def lab_name(process: int) -> str:
    """The name that all of a lab's namespaces begin with."""
    return f"{PREFIX}{process}"


def maker(namespace: str) -> int | None:
    """The process that made a namespace, None where it is no lab's."""
    found = _NAME.fullmatch(namespace)
    return int(found[1]) if found else None


def hub(lab: str) -> str:
    """The namespace of the middle."""
    return f"{lab}-hub"


def home(lab: str, host: int) -> str:
    """The namespace of a host."""
    return f"{lab}-{host}"


def address(host: int) -> str:
    """The IP address of a host."""
    high, low = divmod(host + 1, 256)
    return f"{NETWORK}.{high}.{low}"


def address_v6(host: int) -> str:
    """The IPv6 address of a host."""
    return f"{NETWORK_V6}::{host + 1:x}"


def port(host: int) -> str:
    """A host's place on the bridge."""
    return f"p{host}"


# --- building -------------------------------------------------------------------------------------


def hub_with_bridge(lab: str) -> list[Command]:
    """The middle, where the kernel passes packets on."""
    return [*hub_alone(lab), *_bridge(lab, BRIDGE)]


def hub_alone(lab: str) -> list[Command]:
    """The middle, where a switch in user space does."""
    return [("ip", "netns", "add", hub(lab))]


def host_on_bridge(lab: str, host: int, access: Access) -> list[Command]:
    """A host on a cable to the bridge, with the kernel's own delay at both ends."""
    there, middle, place = home(lab, host), hub(lab), port(host)
    cable = ("link", "add", "name", DEVICE, "netns", there, "type", "veth")
    return [
        ("ip", "netns", "add", there),
        ("ip", *cable, "peer", "name", place, "netns", middle),
        ("ip", "-n", middle, "link", "set", "dev", place, "master", BRIDGE, "up"),
        *_up(lab, host),
        *shaped(there, DEVICE, access.up_rate, access.delay_s),
        *shaped(middle, place, access.down_rate, access.delay_s),
    ]


def host_on_switch(lab: str, host: int, access: Access) -> list[Command]:
    """A host whose cable is a device of the switch, which delays and shapes what comes in."""
    there, device = home(lab, host), mac(host).hex(":")
    moved = (
        "link",
        "set",
        "dev",
        tap_name(host),
        "netns",
        there,
        "name",
        DEVICE,
        "address",
        device,
    )
    return [
        ("ip", "netns", "add", there),
        ("ip", "-n", hub(lab), *moved),
        *_up(lab, host),
        *shaped(there, DEVICE, access.up_rate, 0.0),
    ]


def _up(lab: str, host: int) -> list[Command]:
    at = ("ip", "-n", home(lab, host))
    route = ("route", "replace", f"{NETWORK}.0.0/16", "dev", DEVICE, "src", address(host))
    return [
        (*at, "link", "set", "dev", "lo", "up"),
        (
            *at,
            "link",
            "set",
            "dev",
            DEVICE,
            "addrgenmode",
            "none",
        ),  # no IPv6, no chatter of its own
        (*at, "addr", "add", f"{address(host)}/16", "dev", DEVICE),
        (*at, "link", "set", "dev", DEVICE, "up"),
        (*at, *route, "congctl", CONGESTION),
    ]


def shaped(namespace: str, device: str, rate: float, delay_s: float) -> list[Command]:
    """What makes a device slow (bytes/s) and late; nothing where it is neither."""
    add = ("tc", "-n", namespace, "qdisc", "add", "dev", device)
    burst = max(BURST_FRAMES * FRAME_BYTES, round(rate * BURST_S))
    slow = ("tbf", "rate", f"{round(rate)}bps", "burst", str(burst), "latency", f"{QUEUE_MS}ms")
    late = ("netem", "delay", f"{round(delay_s * 1e6)}us", "limit", str(DELAYED_MAX))
    if rate and delay_s:
        return [(*add, "root", "handle", "1:", *late), (*add, "parent", "1:1", *slow)]
    if rate:
        return [(*add, "root", *slow)]
    return [(*add, "root", *late)] if delay_s else []


def walled(lab: str, host: int) -> list[Command]:
    """A firewall before a host that is not shaped: nobody opens a TCP connection to it, it may to
    others. A first packet, SYN without ACK, goes into a class that swallows all."""
    at = ("tc", "-n", hub(lab))
    on = ("dev", port(host))
    add_class = (*at, "class", "add", *on, "parent", "1:", "classid")
    first = ("match", "u8", "0x02", "0x12", "at", "33")
    opening = ("protocol", "ip", "u32", "match", "ip", "protocol", "6", "0xff", *first)
    rate = ("htb", "rate", "10gbit", "quantum", "60000")
    return [
        (*at, "qdisc", "add", *on, "root", "handle", "1:", "htb", "default", "1"),
        (*add_class, "1:1", *rate),
        (*add_class, "1:2", *rate),
        (*at, "qdisc", "add", *on, "parent", "1:2", "blackhole"),
        (*at, "filter", "add", *on, "parent", "1:", *opening, "flowid", "1:2"),
    ]


def speaks_v6(lab: str, host: int) -> list[Command]:
    """Give a host an IPv6 address too, which it may use at once."""
    at = ("ip", "-n", home(lab, host))
    return [(*at, "addr", "add", f"{address_v6(host)}/64", "dev", DEVICE, "nodad")]


def on_lan(lab: str, host: int) -> list[Command]:
    """Give a host the default route of a LAN, by which it reaches groups as well."""
    at = ("ip", "-n", home(lab, host))
    return [(*at, "route", "add", "default", "dev", DEVICE)]


def only_v6(lab: str, host: int) -> list[Command]:
    """Take a host's IPv4 address away; its IPv6 has a route to groups by itself."""
    at = ("ip", "-n", home(lab, host))
    return [(*at, "addr", "del", f"{address(host)}/16", "dev", DEVICE)]


# --- cutting and removing -------------------------------------------------------------------------


def cut_off(lab: str, number: int, hosts: Iterable[int]) -> list[Command]:
    """Move hosts to a bridge of their own, where they reach each other alone."""
    bridge, at = f"cut{number}", ("ip", "-n", hub(lab))
    moves = [(*at, "link", "set", "dev", port(host), "master", bridge) for host in hosts]
    return [*_bridge(lab, bridge), *moves]


def healed(lab: str, number: int, hosts: Iterable[int]) -> list[Command]:
    """Move them back."""
    at = ("ip", "-n", hub(lab))
    moves = [(*at, "link", "set", "dev", port(host), "master", BRIDGE) for host in hosts]
    return [*moves, (*at, "link", "del", "dev", f"cut{number}")]


def removed(namespaces: Iterable[str], lab: str) -> list[Command]:
    """Take away those of these namespaces that are this lab's; their links go with them."""
    ours = [name for name in namespaces if name.startswith(f"{lab}-")]
    return [("ip", "netns", "del", name) for name in ours]


def _bridge(lab: str, name: str) -> list[Command]:
    at = ("ip", "-n", hub(lab), "link")
    return [(*at, "add", "name", name, "type", "bridge"), (*at, "set", "dev", name, "up")]
