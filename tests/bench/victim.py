"""A node that only has a transport, to be attacked or measured from other processes.

    python -m tests.bench.victim          a transport with all its measures
    python -m tests.bench.victim --bare   a ROUTER as libzmq makes it, without CURVE and seed

It prints one JSON line with its doors and key, echoes short frames, and answers each line on
stdin with one JSON line of figures; it ends with its stdin.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import zmq
from nacl.public import PrivateKey

from common.doors import Door
from common.shell.net.sockets import Transport, TransportLimits

ECHO_BYTES_MAX = 256
HOST = "127.0.0.1"


def memory_mib(field: str) -> float:
    """A field of /proc/self/status in MiB: VmRSS now, VmHWM at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


class Echo:
    """A sink that sends short frames back."""

    def __init__(self) -> None:
        self.transport: Transport
        self.frames = 0
        self.bytes = 0

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: tuple[str, int], inbound: bool
    ) -> None:
        """Nothing to do."""

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """Count, and echo what is short."""
        self.frames += 1
        self.bytes += len(body) + (0 if data is None else len(data))
        if len(body) <= ECHO_BYTES_MAX and data is None:
            self.transport.send(link, bytes(body))

    def moving(self, link: int) -> None:
        """Nothing hangs on it here."""

    def closed(self, link: int, reason: str) -> None:
        """Nothing to do."""


async def serve() -> None:
    """Run until stdin ends."""
    loop = asyncio.get_running_loop()
    pair = PrivateKey.generate()
    echo = Echo()
    transport = echo.transport = Transport(
        loop, bytes(pair), bytes(pair.public_key), TransportLimits(), echo
    )
    doors = {door.value: transport.bind(door, HOST, 0) for door in Door}
    print(
        json.dumps({**doors, "key": bytes(pair.public_key).hex(), "pid": os.getpid()}), flush=True
    )
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        figures = {
            "rss_mib": round(memory_mib("VmRSS"), 1),
            "peak_mib": round(memory_mib("VmHWM"), 1),
            "cpu_s": round(time.process_time(), 2),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "frames": echo.frames,
            "bytes": echo.bytes,
        }
        print(json.dumps(figures | transport.counters()), flush=True)
    transport.close()


def serve_bare() -> None:
    """What libzmq does by itself: an unseeded counter of routing ids."""
    router = zmq.Context().socket(zmq.ROUTER)
    port = router.bind_to_random_port(f"tcp://{HOST}")
    print(json.dumps({"control": (HOST, port)}), flush=True)
    while True:
        router.recv_multipart()


if __name__ == "__main__":
    if "--bare" in sys.argv:
        serve_bare()
    else:
        asyncio.run(serve())
