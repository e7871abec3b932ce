"""What a simulated host remembers over restarts, and the trees that all hosts have in common.

`MemoryStore` is `common.shell.disk.store.Store` without SQLite: the same methods, each one
transaction. It costs almost nothing while nothing is remembered.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from common.addresses import Address
from common.content.merkle import FileHasher, FileTree
from common.ids import NodeId
from common.schedule import LimitsRecord
from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError, naming
from common.shell.disk.files import FileChangedError, FileStamp, check_stamp, open_beneath
from common.shell.disk.scan import FoundFile, HashCancelledError, Known
from common.shell.disk.store import GIVING_MAX, SUPER_PEERS_MAX
from common.storage import DownloadRecord, FolderRecord, GivingRecord, WishRecord

_PLACE = Path("/state.db")


class Trees:
    """The tree of each content, hashed once however many hosts hold it; it keeps the contents."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, FileTree]] = {}

    def of(self, content: bytes) -> FileTree:
        """The tree of a content."""
        known = self._known.get(content)
        if known is None:
            hasher = FileHasher(len(content))
            hasher.update(content)
            known = self._known[content] = content, hasher.finish()
        return known[1]

    def known(self, content: bytes) -> bytes | None:
        """The one copy of this content that hosts hold; None if it was never hashed."""
        known = self._known.get(content)
        return known[0] if known is not None else None

    def hash_file(
        self,
        root: Path,
        file: FoundFile,
        cancelled: Callable[[], bool] = lambda: False,
        on_bytes: Callable[[int], None] = lambda _count: None,
        disk: DiskCalls = REAL,
    ) -> FileTree:
        """As `common.shell.disk.scan.hash_file`, with the whole file read by one call."""
        path = root / file.relpath
        with naming("read", path):
            fd = open_beneath(root, file.relpath, disk)
            try:
                check_stamp(fd, path, file.stamp, disk)
                if cancelled():
                    raise HashCancelledError(path)
                content = disk.contents(fd)
                check_stamp(fd, path, file.stamp, disk)
            finally:
                disk.close(fd)
        if len(content) != file.stamp.size:
            raise FileChangedError(path)
        on_bytes(len(content))
        return self.of(content)


class MemoryStore:
    """What one host remembers. With `refuses`, an errno as ENOSPC, nothing more is taken."""

    __slots__ = (
        *("_downloads", "_hashes", "_layers", "_pins", "_shares", "_super_peers", "_wishes"),
        *("_folder_shares", "_folders", "_giving", "_limits", "_line"),
        "refuses",
    )

    def __init__(self) -> None:
        self.refuses = 0
        self._hashes: dict[str, dict[str, Known]] = {}
        self._layers: dict[bytes, bytes] = {}
        self._giving: dict[NodeId, GivingRecord] = {}
        self._line: tuple[tuple[NodeId, float], ...] = ()
        self._shares: dict[str, None] = {}
        self._downloads: dict[int, DownloadRecord] = {}
        self._pins: dict[str, NodeId] = {}
        self._wishes: dict[int, WishRecord] = {}
        self._folder_shares: dict[str, None] = {}
        self._folders: dict[int, FolderRecord] = {}
        self._limits: LimitsRecord | None = None
        self._super_peers: dict[NodeId, tuple[Address, float, int]] = {}

    def copy(self) -> "MemoryStore":
        """The same memory, to restart a host with later: an older state that was put back."""
        other = MemoryStore()
        other._hashes = {folder: dict(files) for folder, files in self._hashes.items()}
        other._layers = dict(self._layers)
        other._shares = dict(self._shares)
        other._downloads = dict(self._downloads)
        other._pins = dict(self._pins)
        other._wishes = dict(self._wishes)
        other._folder_shares = dict(self._folder_shares)
        other._folders = dict(self._folders)
        other._limits = self._limits
        other._super_peers = dict(self._super_peers)
        return other

    # Hashes of shared files

    def hashes(self, folder: Path) -> dict[str, Known]:
        """What is known of the files of one folder, by name."""
        return dict(self._hashes.get(str(folder), {}))

    def remember_hashes(
        self, folder: Path, trees: Mapping[str, tuple[FileStamp, FileTree]]
    ) -> None:
        """Keep the trees of files of one folder, by name."""
        self._written()
        files = self._hashes.setdefault(str(folder), {})
        for name, (stamp, tree) in trees.items():
            files[name] = Known(stamp, tree.root)
            if tree.layer:
                self._layers.setdefault(tree.root, tree.layer)

    def forget_hashes(self, folder: Path, names: Iterable[str]) -> None:
        """These files of a folder are gone; their layers stay until `forget_layers`."""
        self._written()
        files = self._hashes.get(str(folder), {})
        for name in names:
            files.pop(name, None)
        if not files:
            self._hashes.pop(str(folder), None)

    def forget_layers(self) -> None:
        """Layers that belong to no hashed file any more."""
        self._written()
        roots = {known.root for files in self._hashes.values() for known in files.values()}
        self._layers = {root: layer for root, layer in self._layers.items() if root in roots}

    def folders(self, above: Path) -> list[Path]:
        """Which folders have hashed files: `above` and all below it, sorted."""
        top = str(above)
        below = top.rstrip("/") + "/"
        return [
            Path(folder)
            for folder in sorted(self._hashes)
            if folder == top or folder.startswith(below)
        ]

    def layer(self, root: bytes) -> bytes | None:
        """The piece layer of a hashed file; None if unknown or if it is a single piece."""
        return self._layers.get(root)

    # Shares, downloads, pins

    def shares(self) -> tuple[str, ...]:
        """The shares that survive restarts, sorted."""
        return tuple(sorted(self._shares))

    def folder_shares(self) -> tuple[str, ...]:
        """Those of them that are published as one thing, sorted."""
        return tuple(sorted(self._folder_shares))

    def remember_share(self, path: str, *, as_folder: bool = False) -> None:
        """Keep a share; twice is once, and what was a folder stays one."""
        self._written()
        self._shares[path] = None
        if as_folder:
            self._folder_shares[path] = None

    def forget_share(self, path: str) -> None:
        """It is no share any more."""
        self._written()
        self._shares.pop(path, None)
        self._folder_shares.pop(path, None)

    def downloads(self) -> tuple[DownloadRecord, ...]:
        """All downloads, by number."""
        return tuple(self._downloads[number] for number in sorted(self._downloads))

    def remember_download(self, record: DownloadRecord) -> None:
        """Keep a download, or its new state."""
        self._written()
        self._downloads[record.number] = record

    def forget_download(self, number: int) -> None:
        """Forget a download; no file is touched."""
        self._written()
        self._downloads.pop(number, None)

    def wishes(self) -> tuple[WishRecord, ...]:
        """All standing searches, by number."""
        return tuple(self._wishes[number] for number in sorted(self._wishes))

    def remember_wish(self, record: WishRecord) -> None:
        """Keep a standing search, with what it has found."""
        self._written()
        self._wishes[record.number] = record

    def forget_wish(self, number: int) -> None:
        """Forget a standing search."""
        self._written()
        self._wishes.pop(number, None)

    def fetched_folders(self) -> tuple[FolderRecord, ...]:
        """All folders that are fetched as one, by number."""
        return tuple(self._folders[number] for number in sorted(self._folders))

    def remember_folder(self, record: FolderRecord) -> None:
        """Keep a fetched folder, or its new state."""
        self._written()
        self._folders[record.number] = record

    def forget_folder(self, number: int) -> None:
        """Forget a fetched folder."""
        self._written()
        self._folders.pop(number, None)

    def limits(self) -> LimitsRecord | None:
        """The limits that were set, if any were."""
        return self._limits

    def remember_limits(self, record: LimitsRecord) -> None:
        """Keep the limits that were set."""
        self._written()
        self._limits = record

    def giving(self) -> tuple[GivingRecord, ...]:
        """What leaves gave and had, the one that moved last at the end."""
        return tuple(self._giving.values())

    def remember_giving(self, records: tuple[GivingRecord, ...]) -> None:
        """Keep what these gave and had."""
        self._written()
        for record in records:
            self._giving.pop(record.node, None)
            self._giving[record.node] = record
        while len(self._giving) > GIVING_MAX:
            del self._giving[next(iter(self._giving))]

    def line(self) -> tuple[tuple[NodeId, float], ...]:
        """Who waited for a slot, and for how many seconds, the longest first."""
        return self._line

    def remember_line(self, places: tuple[tuple[NodeId, float], ...]) -> None:
        """These wait, so long; nobody else does."""
        self._written()
        self._line = tuple(sorted(places, key=lambda each: (-each[1], each[0])))

    def pins(self) -> tuple[tuple[str, NodeId], ...]:
        """(place as typed, key) of every pinned super-peer."""
        return tuple(sorted(self._pins.items()))

    def remember_pin(self, place: str, node: NodeId | None) -> None:
        """Pin a place to a key, or with None to none."""
        self._written()
        if node is None:
            self._pins.pop(place, None)
        else:
            self._pins[place] = node

    # Super-peers

    def super_peers(self) -> tuple[tuple[NodeId, Address], ...]:
        """Super-peers that worked, the latest first; at most SUPER_PEERS_MAX."""
        return tuple((node, self._super_peers[node][0]) for node in self._best_first())

    def remember_super_peer(self, node: NodeId, address: Address, wall_s: float) -> None:
        """One that worked at `wall_s`; the longest unseen goes when there are too many."""
        self._written()
        _, _, successes = self._super_peers.get(node, (address, 0.0, 0))
        self._super_peers[node] = address, wall_s, successes + 1
        if len(self._super_peers) > SUPER_PEERS_MAX:
            del self._super_peers[self._best_first()[-1]]

    def _best_first(self) -> list[NodeId]:
        def rank(node: NodeId) -> tuple[float, int, NodeId]:
            _, last_seen_s, successes = self._super_peers[node]
            return -last_seen_s, -successes, node

        return sorted(self._super_peers, key=rank)

    def _written(self) -> None:
        if self.refuses:
            raise DiskError("write", _PLACE, self.refuses)
