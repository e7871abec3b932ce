"""How fast the transport is: small messages in batches, and file data; one JSON line.

    python -m tests.bench.transport [--seconds 3]

Two processes, CURVE on. A small message is 100 bytes, 32 of them travel in a frame, as the outbox
gathers them; a data frame is 1 MiB beside a header of 32 bytes. The receiver counts.
"""

import argparse
import asyncio
import json
import time
from typing import Final

from nacl.public import PrivateKey

from common.doors import Door
from common.shell.net.sockets import Transport, TransportLimits
from tests.bench.attack import Figures, Victim

MESSAGE_BYTES: Final = 100
MESSAGES_PER_FRAME: Final = 32
PER_TURN: Final = 64
RETRY_S: Final = 0.0003
DATA_BYTES: Final = 1024 * 1024


class Sender:
    """The sending end."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.lost = False

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: tuple[str, int], inbound: bool
    ) -> None:
        """Begin."""
        self.open.set()

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """Nothing is answered to frames of this size."""

    def moving(self, link: int) -> None:
        """Nothing hangs on it here."""

    def closed(self, link: int, reason: str) -> None:
        """The figures are worthless then."""
        self.lost = True


async def pump(door: Door, body: bytes, data: bytes | None, seconds: float) -> Figures:
    """Send for some seconds; what arrived per second, and what it cost in CPU on both sides."""
    loop = asyncio.get_running_loop()
    pair = PrivateKey.generate()
    sender = Sender()
    victim = Victim()
    transport = Transport(loop, bytes(pair), bytes(pair.public_key), TransportLimits(), sender)
    link = transport.dial(door, victim.at(door), victim.key)
    await sender.open.wait()
    before, cpu, began = victim.figures(), time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds and not sender.lost:
        taken = 0
        while taken < PER_TURN and transport.send(link, body, data):
            taken += 1
        await asyncio.sleep(0 if taken else RETRY_S)  # a full pipe empties soon
    took, after = time.perf_counter() - began, victim.figures()
    transport.close()
    victim.end()
    return {
        "frames_per_s": (after["frames"] - before["frames"]) / took,
        "bytes_per_s": (after["bytes"] - before["bytes"]) / took,
        "receiver_cpu": round((after["cpu_s"] - before["cpu_s"]) / took, 2),
        "sender_cpu": round((time.process_time() - cpu) / took, 2),
        "lost": sender.lost,
    }


async def measure(seconds: float) -> Figures:
    """All figures, each with a receiver of its own."""
    small = await pump(Door.CONTROL, bytes(MESSAGE_BYTES * MESSAGES_PER_FRAME), None, seconds)
    single = await pump(Door.CONTROL, bytes(MESSAGE_BYTES * 3), None, seconds)
    bulk = await pump(Door.BULK, bytes(32), bytes(DATA_BYTES), seconds)
    return {
        "messages_per_s": round(small["frames_per_s"] * MESSAGES_PER_FRAME),
        "frames_per_s": round(single["frames_per_s"]),
        "bulk_gb_per_s": round(bulk["bytes_per_s"] / 1e9, 3),
        "small": small,
        "single": single,
        "bulk": bulk,
    }


def main() -> None:
    """Measure, print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    print(json.dumps(asyncio.run(measure(parser.parse_args().seconds))))


if __name__ == "__main__":
    main()
