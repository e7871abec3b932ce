"""The bare pump: a file from one process to another over ZeroMQ with CURVE, SHA-256 of each frame.

What a transfer cannot beat here: `pread` in 1 MiB frames, `copy=False` both ways, a DEALER with
eight frames of credit, hashed and written in the receiving thread. Nothing is checked against
anything, nothing is made durable. `python -m tests.bench.pair` runs it beside two leaves. With
several takers, each a process, it is the floor of a swarm on one machine: each byte that somebody
gets is sealed, opened, hashed and written once, whoever sends it.

    python -m tests.bench.pump SOURCE TARGET [TAKERS]     prints {"seconds": …, "cpu_s": …}
"""

import hashlib
import json
import os
import resource
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

FRAME_BYTES = 1024 * 1024
CREDIT = 8  # frames asked for and not yet here


def cpu_s() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def serve(path: str, takers: int, told: Connection) -> None:
    """Answer each request for an offset with its frame; an empty one of each taker ends it."""
    public, secret = zmq.curve_keypair()
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.curve_secretkey, socket.curve_publickey, socket.curve_server = secret, public, True
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    told.send((port, public))
    descriptor = os.open(path, os.O_RDONLY)
    while takers:
        name, request = socket.recv_multipart()
        if not request:
            takers -= 1
            continue
        data = os.pread(descriptor, FRAME_BYTES, int(request))
        socket.send(name, zmq.SNDMORE)
        socket.send(data, copy=False)
    told.send(cpu_s())
    context.destroy(0)


def fetch(size: int, target: str, port: int, public: bytes) -> None:
    """Ask for all frames, CREDIT at a time; hash and write each."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    mine, secret = zmq.curve_keypair()
    socket.curve_secretkey, socket.curve_publickey, socket.curve_serverkey = secret, mine, public
    socket.connect(f"tcp://127.0.0.1:{port}")
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    asked = got = 0
    while got < size:
        while asked < size and asked - got < CREDIT * FRAME_BYTES:
            socket.send(str(asked).encode())
            asked += FRAME_BYTES
        frame = socket.recv(copy=False)
        hashlib.sha256(frame.buffer).digest()
        os.pwrite(descriptor, frame.buffer, got)
        got += len(frame.buffer)
    socket.send(b"")
    context.destroy(1000)


def take(size: int, target: str, port: int, public: bytes, told: Connection) -> None:
    """Fetch all when told to; what that cost."""
    told.send(None)
    told.recv()
    before = cpu_s()
    fetch(size, target, port, public)
    told.send(cpu_s() - before)


def main() -> None:
    """One run."""
    source, target = sys.argv[1:3]
    takers = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(source, takers, theirs))
    server.start()
    port, public = ours.recv()
    size, pipes, processes = Path(source).stat().st_size, [spawn.Pipe() for _ in range(takers)], []
    for number, (_, far) in enumerate(pipes):
        path = target if takers == 1 else f"{target}-{number}"
        processes.append(spawn.Process(target=take, args=(size, path, port, public, far)))
        processes[-1].start()
    for near, _ in pipes:
        near.recv()
    began = time.monotonic()
    for near, _ in pipes:
        near.send(None)
    cpu = sum(near.recv() for near, _ in pipes)
    seconds = time.monotonic() - began
    cpu += ours.recv()
    for process in [server, *processes]:
        process.join()
    print(json.dumps({"seconds": seconds, "cpu_s": cpu}))


if __name__ == "__main__":
    main()
