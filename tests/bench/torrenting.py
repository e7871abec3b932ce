"""A node of libtorrent that is told what to do on its standard input.

    python -m tests.bench.torrenting make SOURCE TORRENT PIECE_BYTES
    python -m tests.bench.torrenting run TORRENT FOLDER HOST [--seed]

`make` writes a v2 torrent of a file. `run` is a daemon with libtorrent's own settings over TCP
alone and without ways to find others: it says `READY PORT` when it listens, a seed when it has also
checked its file. Told `go HOST:PORT …` it takes the torrent up, connects to these nodes, and says
`done` when all is there and proven. It serves on until its input ends, or until SIGTERM: then it
writes what is still in memory, for libtorrent calls a file finished before it is on the disk.
"""

import argparse
import signal
import sys
import warnings
from pathlib import Path

import libtorrent


def settings_of(host: str) -> "libtorrent.settings_pack":  # only its type stubs have the name
    """libtorrent's own settings, but where it listens, by what, and whom it asks for others."""
    settings = libtorrent.default_settings()
    settings["listen_interfaces"] = f"{host}:0"
    settings["outgoing_interfaces"] = host
    settings["enable_dht"] = settings["enable_lsd"] = False
    settings["enable_upnp"] = settings["enable_natpmp"] = False
    settings["enable_incoming_utp"] = settings["enable_outgoing_utp"] = False
    settings["allow_multiple_connections_per_ip"] = True
    settings["alert_mask"] = libtorrent.alert.category_t.status_notification
    return settings


def make(source: Path, torrent: Path, piece_bytes: int) -> None:
    """A v2 torrent of one file."""
    entry = libtorrent.create_file_entry(source.name, source.stat().st_size)
    flags = libtorrent.create_torrent.v2_only
    creator = libtorrent.create_torrent([entry], piece_bytes, flags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        libtorrent.set_piece_hashes(creator, str(source.parent))
    torrent.write_bytes(libtorrent.bencode(creator.generate()))


class Node:
    """A session and its one torrent."""

    def __init__(self, torrent: Path, folder: Path, host: str) -> None:
        self._session = libtorrent.session(settings_of(host))
        self._wanted = libtorrent.load_torrent_file(str(torrent))
        self._wanted.save_path = str(folder)
        flags = libtorrent.torrent_flags
        self._wanted.flags &= ~(flags.auto_managed | flags.paused)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._session.listen_port()
        return port

    def take_up(self, peers: list[str]) -> None:
        """Begin, with these nodes known."""
        handle = self._session.add_torrent(self._wanted)
        for peer in peers:
            host, _, port = peer.rpartition(":")
            handle.connect_peer((host, int(port)))

    def await_all(self) -> None:
        """Until all of the file is there and proven."""
        while True:
            self._session.wait_for_alert(1000)
            for alert in self._session.pop_alerts():
                if isinstance(alert, libtorrent.torrent_finished_alert):
                    return


def run(args: argparse.Namespace) -> None:
    """Serve until the input ends, or we are asked to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    node = Node(args.torrent, args.folder, args.host)
    if args.seed:
        node.take_up([])
        node.await_all()
    print("READY", node.port, flush=True)
    told = sys.stdin.readline().split()
    if told[:1] == ["go"]:
        node.take_up(told[1:])
        node.await_all()
        print("done", flush=True)
    sys.stdin.read()


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make")
    making.add_argument("source", type=Path)
    making.add_argument("torrent", type=Path)
    making.add_argument("piece_bytes", type=int)
    running = commands.add_parser("run")
    running.add_argument("torrent", type=Path)
    running.add_argument("folder", type=Path)
    running.add_argument("host")
    running.add_argument("--seed", action="store_true")
    args = parser.parse_args()
    if args.command == "make":
        make(args.source, args.torrent, args.piece_bytes)
    else:
        run(args)


if __name__ == "__main__":
    main()
