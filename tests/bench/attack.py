"""Hostile peers against a real transport in a process of its own; one JSON line of what came of it.

    python -m tests.bench.attack frames --count 100000     frames no honest node would send
    python -m tests.bench.attack endless --mib 2048        parts that never end
    python -m tests.bench.attack parts --count 10000000    one message of so many parts
    python -m tests.bench.attack silent --count 5000       connections that say nothing, or half
    python -m tests.bench.attack routing-id --seconds 300  claim the id that is issued next

An honest peer sends an echo over a link of its own all the while: its longest round trip is in the
line, and `survived` says whether the process did. `routing-id` first kills a bare ROUTER, to show
that the attack is real.
"""

import argparse
import asyncio
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import zmq
from nacl.public import PrivateKey

from common.doors import Door
from common.shell.net.sockets import Transport, TransportLimits
from tests.bench.rawcurve import RawPeer

ECHO_EVERY_S: Final = 0.02
SEALED_AHEAD_BYTES: Final = 192 * 1024 * 1024  # sealing in Python is slower than the wire
PARTS_AHEAD_BYTES: Final = 64 * 1024 * 1024
ABORT: Final = -6
FIRST_UNSEEDED: Final = 0x6B8B4567  # glibc's first rand()

Figures = dict[str, Any]


class Target(Protocol):
    """What an attacker knows of a node."""

    @property
    def key(self) -> bytes:
        """Its CURVE key."""

    def at(self, door: Door) -> tuple[str, int]:
        """Where a door is."""

    def met(self, door: Door) -> RawPeer:
        """A connection that has said what is to be said first."""


def met(target: Target, door: Door) -> RawPeer:
    """A connection to a bare transport, which takes any first frame."""
    peer = RawPeer(target.at(door), target.key)
    peer.handshake()
    peer.socket.sendall(peer.sealed(b"hello", more=False))
    return peer


class Victim:
    """The attacked process."""

    def __init__(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.victim", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if flags else None,
            text=True,
        )
        self.doors: Figures = json.loads(self._line())

    def figures(self) -> Figures:
        """What it says about itself; {} if it is dead."""
        if self._process.poll() is not None or self._process.stdin is None:
            return {}
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            return dict(json.loads(self._line()))
        except (OSError, ValueError):
            return {}

    def at(self, door: Door) -> tuple[str, int]:
        """Where a door is."""
        host, port = self.doors[door.value]
        return host, port

    @property
    def key(self) -> bytes:
        """Its CURVE key."""
        return bytes.fromhex(self.doors["key"])

    def met(self, door: Door) -> RawPeer:
        """A connection whose first frame was taken; any will do here."""
        return met(self, door)

    def end(self) -> int:
        """Stop it; its exit status."""
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.communicate()

    def died(self, timeout_s: float) -> int | None:
        """Its exit status if it ends within that time."""
        try:
            return self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _line(self) -> str:
        return "" if self._process.stdout is None else self._process.stdout.readline()


class Honest:
    """An honest link from this process, echoing while the attack runs."""

    def __init__(self) -> None:
        self.round_trips_s: list[float] = []
        self.lost = 0
        self._link = 0
        self._sent_at = 0.0
        self._transport: Transport

    def opened(
        self, link: int, door: Door, curve_key: bytes, address: tuple[str, int], inbound: bool
    ) -> None:
        """Begin."""
        self._ping()

    def frame(self, link: int, body: memoryview | bytes, data: memoryview | None) -> None:
        """An echo came back."""
        self.round_trips_s.append(time.monotonic() - self._sent_at)
        asyncio.get_running_loop().call_later(ECHO_EVERY_S, self._ping)

    def moving(self, link: int) -> None:
        """Nothing hangs on it here."""

    def closed(self, link: int, reason: str) -> None:
        """An honest link must not be lost."""
        self.lost += 1

    async def during(self, victim: Victim, attack: Callable[[], Figures]) -> Figures:
        """Echo until the attack is over."""
        pair = PrivateKey.generate()
        loop = asyncio.get_running_loop()
        self._transport = Transport(
            loop, bytes(pair), bytes(pair.public_key), TransportLimits(), self
        )
        self._link = self._transport.dial(Door.CONTROL, victim.at(Door.CONTROL), victim.key)
        result = await loop.run_in_executor(None, attack)
        self._transport.close()
        worst = max(self.round_trips_s, default=float("inf"))
        return result | {
            "honest_echoes": len(self.round_trips_s),
            "honest_worst_ms": round(worst * 1000, 1),
            "honest_lost": self.lost,
        }

    def _ping(self) -> None:
        self._sent_at = time.monotonic()
        self._transport.send(self._link, b"echo")


def flood(victim: Target, door: Door, part_bytes: int, parts: int, ahead_bytes: int) -> Figures:
    """One message of `parts` parts, or until we are cut."""
    peer = victim.met(door)
    payload = bytes(part_bytes)
    sealed = bytearray()
    count = 0
    while count < parts and len(sealed) < ahead_bytes:
        sealed += peer.sealed(payload, more=True)
        count += 1
    sent, began, cut = 0, time.monotonic(), False
    view = memoryview(sealed)
    try:
        while count < parts or sent < len(view):
            if sent == len(view):
                view, sent = memoryview(peer.sealed(payload, more=True)), 0
                count += 1
            sent += peer.socket.send(view[sent : sent + 2**20])
    except OSError:
        cut = True
    peer.close()
    return {"cut": cut, "cut_after_s": round(time.monotonic() - began, 3), "sent_bytes": sent}


def attack_endless(victim: Victim, options: argparse.Namespace) -> Figures:
    """Parts that never end, at each door."""
    parts = options.mib * 16
    return {door.value: flood(victim, door, 65_000, parts, SEALED_AHEAD_BYTES) for door in Door}


def attack_parts(victim: Victim, options: argparse.Namespace) -> Figures:
    """One message of very many tiny parts, at each door."""
    return {door.value: flood(victim, door, 1, options.count, PARTS_AHEAD_BYTES) for door in Door}


def attack_frames(victim: Victim, options: argparse.Namespace) -> Figures:
    """Noise, empty frames, too many frames, frames too long: reconnecting whenever cut."""
    dice = random.Random(options.seed)
    cuts = dict.fromkeys((door.value for door in Door), 0)
    for door in Door:
        sent = 0
        while sent < options.count:
            sent += noise(victim, door, dice, options.count - sent)
            cuts[door.value] += 1
    return {"frames_sent": options.count * len(Door), "connections": cuts}


def noise(victim: Target, door: Door, dice: random.Random, count: int) -> int:
    """Send until cut; how many frames went out."""
    try:
        peer = victim.met(door)
    except OSError:
        return 0
    sent = 0
    try:
        while sent < count:
            kind = dice.random()
            if kind < 0.001:
                peer.socket.sendall(peer.sealed(bytes(1_100_000), more=False))
            elif kind < 0.002:
                peer.socket.sendall(b"".join(peer.sealed(b"", more=n < 3) for n in range(4)))
            else:
                body = dice.randbytes(dice.randrange(400, 800))
                peer.socket.sendall(peer.sealed(body, more=False))
            sent += 1
    except OSError:
        sent += 1
    peer.close()
    return sent


def attack_silent(victim: Victim, options: argparse.Namespace) -> Figures:
    """Connections that send nothing, noise, a greeting, or a whole handshake and then nothing."""
    dice = random.Random(options.seed)
    held: list[socket.socket] = []
    for n in range(options.count):
        try:
            if n % 20 == 19:
                peer = RawPeer(victim.at(Door.CONTROL), victim.key)
                peer.handshake()
                held.append(peer.socket)
                continue
            held.append(socket.create_connection(victim.at(Door.CONTROL), timeout=30))
            if n % 4 == 1:
                held[-1].sendall(dice.randbytes(64))
            elif n % 4 == 2:
                peer = RawPeer(victim.at(Door.CONTROL), victim.key)
                held.append(peer.socket)
                peer.greet()
        except OSError:
            continue
    most = victim.figures().get("descriptors", 0)
    deadline = time.monotonic() + 15
    while victim.figures().get("descriptors", 0) > 40 and time.monotonic() < deadline:
        time.sleep(0.1)
    for connection in held:
        connection.close()
    return {"connections": len(held), "descriptors_most": most}


def attack_routing_id(victim: Victim, options: argparse.Namespace) -> Figures:
    """Claim ids ahead of the counter while plain peers come in, for as long as asked."""
    result: Figures = {"bare_router_exit": kill_bare_router()}
    dice = random.Random(options.seed)
    tally = {"claims": 0, "plain": 0}
    stop = threading.Event()

    def claim(kind: str) -> None:
        while not stop.is_set():
            held: list[RawPeer] = []
            try:
                for _ in range(32):
                    peer = RawPeer(victim.at(Door.CONTROL), victim.key, timeout_s=15)
                    held.append(peer)
                    blind = dice.getrandbits(32)
                    unseeded = FIRST_UNSEEDED + dice.randrange(4096)
                    number = unseeded if dice.random() < 0.5 else blind
                    identity = b"\0" + number.to_bytes(4, "big") if kind == "claims" else b""
                    peer.handshake(identity)
                    tally[kind] += 1
            except OSError:
                pass
            if kind == "claims":
                stop.wait(1)
            for peer in held:
                peer.close()

    threads = [
        threading.Thread(target=claim, args=(kind,), daemon=True)
        for kind in ("claims", "claims", "claims", "plain")
    ]
    for thread in threads:
        thread.start()
    died = victim.died(options.seconds)
    stop.set()
    for thread in threads:
        thread.join(20)
    return result | tally | {"victim_exit": died, "seconds": options.seconds}


def kill_bare_router() -> int:
    """The exit status of a ROUTER without our measures; -6 is libzmq's assertion."""
    bare = Victim("--bare")
    host, port = bare.at(Door.CONTROL)
    with zmq.Context() as context:
        context.linger = 0
        first = context.socket(zmq.DEALER)
        first.connect(f"tcp://{host}:{port}")
        first.send(b"I have the first id")
        claimed = [context.socket(zmq.DEALER) for _ in range(2)]
        for n, socket_ in enumerate(claimed):
            socket_.set(zmq.ROUTING_ID, b"\0" + (FIRST_UNSEEDED + 1 + n).to_bytes(4, "big"))
            socket_.connect(f"tcp://{host}:{port}")
            socket_.send(b"I claim the next")
        plain: list[zmq.Socket[bytes]] = []
        died = None
        while died is None and len(plain) < 50:
            plain.append(context.socket(zmq.DEALER))
            plain[-1].connect(f"tcp://{host}:{port}")
            plain[-1].send(b"I get it")
            died = bare.died(0.1)
        context.destroy(linger=0)
    return bare.end()


ATTACKS: Final[dict[str, Callable[[Victim, argparse.Namespace], Figures]]] = {
    "frames": attack_frames,
    "endless": attack_endless,
    "parts": attack_parts,
    "silent": attack_silent,
    "routing-id": attack_routing_id,
}


def main() -> None:
    """Run one attack, print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    victim = Victim()
    idle = victim.figures()
    attack = ATTACKS[options.attack]
    result = asyncio.run(Honest().during(victim, lambda: attack(victim, options)))
    after = victim.figures()
    survived = bool(after) and victim.end() == 0
    if after:
        result["rss_growth_mib"] = round(after["peak_mib"] - idle["rss_mib"], 1)
        result["counters"] = after
    print(json.dumps({"attack": options.attack, "survived": survived, **result}))


if __name__ == "__main__":
    main()
