"""A small BitTorrent tracker of one torrent, for programs that cannot be told whom to meet.

    python -m tests.bench.tracker HOST

BEP 3 over HTTP, answers in the compact form of BEP 23. Says `READY PORT` when it serves, then
`seed HOST:PORT` for each announce of a node that lacks nothing.
"""

import sys
from collections.abc import Mapping
from hashlib import sha1
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

INTERVAL_S: Final = 60  # whom a node meets, it meets at the start

Value = int | bytes | Mapping[bytes, "Value"]


def bencode(value: Value) -> bytes:
    """As BEP 3 writes numbers, strings and dictionaries."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    items = [bencode(key) + bencode(value[key]) for key in sorted(value)]
    return b"d%be" % b"".join(items)


def make_v1(source: Path, torrent: Path, piece_bytes: int, announce: str) -> None:
    """Write a v1 torrent of one file."""
    pieces = bytearray()
    with source.open("rb") as file:
        while piece := file.read(piece_bytes):
            pieces += sha1(piece, usedforsecurity=False).digest()
    info: dict[bytes, Value] = {
        b"length": source.stat().st_size,
        b"name": source.name.encode(),
        b"piece length": piece_bytes,
        b"pieces": bytes(pieces),
    }
    torrent.write_bytes(bencode({b"announce": announce.encode(), b"info": info}))


class Tracker(ThreadingHTTPServer):
    """Who has announced, the first ones first."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str) -> None:
        self.peers: dict[bytes, None] = {}
        super().__init__((host, 0), Handler)

    def announced(self, host: str, query: Mapping[str, list[str]]) -> bytes:
        """The answer to an announce."""
        port = int(query["port"][0])
        peer = IPv4Address(host).packed + port.to_bytes(2, "big")
        others = b"".join(each for each in list(self.peers) if each != peer)
        if query.get("event") == ["stopped"]:
            self.peers.pop(peer, None)
        else:
            self.peers[peer] = None
        if query.get("left") == ["0"]:
            print(f"seed {host}:{port}", flush=True)
        return bencode({b"interval": INTERVAL_S, b"peers": others})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Tracker

    def do_GET(self) -> None:
        """An announce."""
        try:
            body = self.server.announced(
                self.client_address[0], parse_qs(urlsplit(self.path).query, encoding="latin-1")
            )
        except (KeyError, ValueError, OverflowError):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def main() -> None:
    """Serve until ended."""
    tracker = Tracker(sys.argv[1])
    print("READY", tracker.server_port, flush=True)
    tracker.serve_forever()


if __name__ == "__main__":
    main()
