"""A switch in user space, for kernels that cannot delay packets: `python -m deploy.netlab.switch`.

It makes a TAP device for each host (whoever started it moves each into its host's namespace) and
passes Ethernet frames between them: later by the delays of both hosts and of the link between
them, and no faster than the receiver's rate. Between two hosts frames keep their order. It learns
nothing: a host's MAC address is its number. Frames between hosts that are cut off are lost. Its
plan comes in one line of JSON on standard input, then any number of cuts; it ends with its input.
"""

import fcntl
import heapq
import json
import os
import select
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from deploy.graphs import Edge

MAC_PREFIX: Final = b"\x02\x00"  # locally administered
QUEUE_S: Final = 0.05  # what waits longer for a slow link is lost, as in a home router ...
QUEUE_BYTES: Final = 10 * 1514  # ... but for so much, which even the slowest holds
BATCH: Final = 32  # frames from one host before the others have their turn
FRAME_BYTES_MAX: Final = 2048
READY: Final = b"READY\n"
_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_TAP: Final = 0x0002
_NO_HEADER: Final = 0x1000


class Plan(msgspec.Struct):
    """Of each host: seconds to the middle, bytes/s that it takes in (0: no limit)."""

    delays_s: list[float]
    down_rates: list[float]
    extra: list[tuple[int, int, float]] = []  # two hosts, and seconds more between them


def mac(host: int) -> bytes:
    """The address of a host on the switch."""
    return MAC_PREFIX + host.to_bytes(4, "big")


class Fabric:
    """The frames under way. It knows no device and no clock."""

    def __init__(self, plan: Plan) -> None:
        self._delays_s = plan.delays_s
        self._down_rates = plan.down_rates
        self._extra: Mapping[Edge, float] = {_edge(a, b): more for a, b, more in plan.extra}
        self._groups = [0] * len(plan.delays_s)
        self._free_at = [0.0] * len(plan.delays_s)  # when a host's link has room again
        self._under_way: list[tuple[float, int, bool, int, bytes]] = []
        self._count = 0

    @property
    def next_at(self) -> float | None:
        """When `due` has something again; None: not before another frame came."""
        return self._under_way[0][0] if self._under_way else None

    def part(self, groups: Sequence[int]) -> None:
        """From now on only hosts of one group reach each other."""
        self._groups = list(groups)

    def came(self, source: int, frame: bytes, now: float) -> None:
        """A host sends a frame."""
        for host in self._receivers(source, frame):
            if self._groups[host] == self._groups[source]:
                delay_s = self._delays_s[source] + self._delays_s[host]
                delay_s += self._extra.get(_edge(source, host), 0.0)
                self._push(now + delay_s, not self._down_rates[host], host, frame)

    def due(self, now: float) -> Iterator[tuple[int, bytes]]:
        """What arrives by now: host and frame."""
        while self._under_way and self._under_way[0][0] <= now:
            at, _, has_passed, host, frame = heapq.heappop(self._under_way)
            if has_passed:
                yield host, frame
                continue
            begin, rate = max(at, self._free_at[host]), self._down_rates[host]
            if begin - at <= QUEUE_S + QUEUE_BYTES / rate:
                self._free_at[host] = begin + len(frame) / rate
                self._push(self._free_at[host], True, host, frame)

    def _receivers(self, source: int, frame: bytes) -> Sequence[int]:
        hosts = range(len(self._groups))
        if frame[0] & 1:  # to all, or to a group of them
            return [host for host in hosts if host != source]
        host = int.from_bytes(frame[2:6], "big")
        return [host] if frame[:2] == MAC_PREFIX and host in hosts else []

    def _push(self, at: float, has_passed: bool, host: int, frame: bytes) -> None:
        self._count += 1
        heapq.heappush(self._under_way, (at, self._count, has_passed, host, frame))


def _edge(a: int, b: int) -> Edge:
    return (min(a, b), max(a, b))


# --- devices --------------------------------------------------------------------------------------


def tap_name(host: int) -> str:
    """The device of a host, where it is made."""
    return f"t{host}"


def _tap(host: int) -> int:
    """A new TAP device that stays ours wherever it is moved."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = struct.pack("16sH22x", tap_name(host).encode(), _TAP | _NO_HEADER)
    fcntl.ioctl(device, _TUNSETIFF, name)
    return device


class _Lines:
    """Lines of standard input, without ever waiting for the end of one."""

    def __init__(self) -> None:
        self._read = b""
        self.has_ended = False

    def take(self) -> list[bytes]:
        """Read what is there; the lines that are complete."""
        got = os.read(sys.stdin.fileno(), 65536)
        self.has_ended = not got
        *lines, self._read = (self._read + got).split(b"\n")
        return lines


def _pass_on(fabric: Fabric, taps: Sequence[int], lines: _Lines) -> None:
    """Pass frames until standard input ends."""
    hosts = {tap: host for host, tap in enumerate(taps)}
    stdin = sys.stdin.fileno()
    while not lines.has_ended:
        now = time.monotonic()
        for host, frame in fabric.due(now):
            _write(taps[host], frame)
        wait_s = None if fabric.next_at is None else max(fabric.next_at - now, 0)
        for ready in select.select([*taps, stdin], [], [], wait_s)[0]:
            if ready == stdin:
                for line in lines.take():
                    fabric.part(json.loads(line))
            else:
                _read(ready, hosts[ready], fabric)


def _read(tap: int, host: int, fabric: Fabric) -> None:
    now = time.monotonic()
    for _ in range(BATCH):
        try:
            fabric.came(host, os.read(tap, FRAME_BYTES_MAX), now)
        except OSError:  # nothing more, or the device is down
            return


def _write(tap: int, frame: bytes) -> None:
    try:
        os.write(tap, frame)
    except OSError:  # a device that is down or full loses frames
        return


def main() -> int:
    """Make the devices, say READY, pass frames on; the exit code."""
    lines = _Lines()
    first: list[bytes] = []
    while not first and not lines.has_ended:
        first = lines.take()
    if not first:
        return 0
    plan = msgspec.json.decode(first[0], type=Plan)
    taps = [_tap(host) for host in range(len(plan.delays_s))]
    os.write(sys.stdout.fileno(), READY)
    _pass_on(Fabric(plan), taps, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
