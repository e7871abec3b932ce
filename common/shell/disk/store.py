"""What a node remembers over restarts, in one SQLite file of its home.

Hashes of shared files by path and stamp, shares, downloads, wishes, pins, super-peers that worked,
who gave and who waits. WAL, one connection, one caller at a time (a lock); a method is one
transaction, so a failure leaves everything as it was. A file that SQLite cannot read is moved aside
and said so: all in it can be made again. What of a download is there stands in its journal.
"""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from common.addresses import Address
from common.content.merkle import FileTree
from common.errors import Exit, UserError
from common.ids import NodeId
from common.schedule import LimitsRecord
from common.shell.disk import rows
from common.shell.disk.diskcalls import DiskError, naming
from common.shell.disk.files import FileStamp
from common.shell.disk.scan import Known
from common.storage import DownloadRecord, FolderRecord, GivingRecord, WishRecord

SCHEMA_VERSION: Final = 1
GIVING_MAX: Final = 10_000  # as many as `leaf.uploads.ledger` keeps
SUPER_PEERS_MAX: Final = 1000  # as many as `common.hostcache` keeps of those that worked
_BROKEN: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_ERRNO: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}
_SCHEMA: Final = """
CREATE TABLE hashes (folder BLOB, name TEXT, size INTEGER, mtime_ns INTEGER, inode TEXT,
    root BLOB NOT NULL, PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE TABLE layers (root BLOB PRIMARY KEY, layer BLOB NOT NULL);
CREATE TABLE shares (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE downloads (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE pins (place TEXT PRIMARY KEY, node BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE super_peers (node BLOB PRIMARY KEY, ip BLOB NOT NULL, port INTEGER NOT NULL,
    last_seen_s REAL NOT NULL, successes INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADDED: Final = (  # since the first release; who does not know them leaves them alone
    "CREATE TABLE IF NOT EXISTS wishes (number INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS folder_shares (path TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS fetched_folders (number INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS limits (number INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS giving (moved INTEGER PRIMARY KEY, node BLOB UNIQUE NOT NULL, "
    "given INTEGER NOT NULL, had INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS line (node BLOB PRIMARY KEY, waited_s REAL NOT NULL) WITHOUT ROWID",
)
_BEST_FIRST: Final = "ORDER BY last_seen_s DESC, successes DESC, node"
_SHARES: Final = "SELECT path FROM shares ORDER BY path"
_DOWNLOADS: Final = "SELECT record FROM downloads ORDER BY number"
_WISHES: Final = "SELECT record FROM wishes ORDER BY number"
_FOLDER_SHARES: Final = "SELECT path FROM folder_shares ORDER BY path"
_FETCHED_FOLDERS: Final = "SELECT record FROM fetched_folders ORDER BY number"
_LIMITS: Final = "SELECT record FROM limits"
_GIVING: Final = (
    "SELECT node, given, had FROM (SELECT * FROM giving ORDER BY moved DESC LIMIT ?) ORDER BY moved"
)
_LINE: Final = "SELECT node, waited_s FROM line ORDER BY waited_s DESC, node"
_PINS: Final = "SELECT place, node FROM pins ORDER BY place"
_SUPER_PEERS: Final = f"SELECT node, ip, port FROM super_peers {_BEST_FIRST}"


class StoreNewerError(UserError):
    """The file was written by a later version of this program; it is left alone."""

    def __init__(self, path: Path, version: int) -> None:
        text = f"{path} was written by a newer version (schema {version})."
        super().__init__(Exit.USAGE, text, "Run that version, or use another --home.")


class Store:
    """An open store. `moved_aside` tells where an unreadable predecessor went, and None if none."""

    def __init__(self, path: Path) -> None:
        """Open or make it, mode 0600. Raises DiskError and StoreNewerError."""
        self.path = path
        self.moved_aside: Path | None = None
        self._lock = threading.Lock()
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError as error:
            raise self._disk_error("open", error) from error
        except _BrokenError:
            self.moved_aside = self._move_aside()
            self._db = self._connect()

    def close(self) -> None:
        """Write the log back into the file and close it."""
        with self._lock:
            self._db.close()

    # Hashes of shared files

    def hashes(self, folder: Path) -> dict[str, Known]:
        """What is known of the files of one folder, by name."""
        rows = self._rows(
            "SELECT name, size, mtime_ns, inode, root FROM hashes WHERE folder = ?", _key(folder)
        )
        return {
            name: Known(FileStamp(size, mtime_ns, int(inode)), root)
            for name, size, mtime_ns, inode, root in rows
        }

    def remember_hashes(
        self, folder: Path, trees: Mapping[str, tuple[FileStamp, FileTree]]
    ) -> None:
        """Keep the trees of files of one folder, by name."""
        key = _key(folder)
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (key, name, stamp.size, stamp.mtime_ns, str(stamp.inode), tree.root)
                    for name, (stamp, tree) in trees.items()
                ],
            )
            db.executemany(
                "INSERT OR IGNORE INTO layers VALUES (?, ?)",
                [(tree.root, tree.layer) for _, tree in trees.values() if tree.layer],
            )

    def forget_hashes(self, folder: Path, names: Iterable[str]) -> None:
        """These files of a folder are gone; their layers stay until `forget_layers`."""
        key = _key(folder)
        with self._writing() as db:
            db.executemany(
                "DELETE FROM hashes WHERE folder = ? AND name = ?", [(key, name) for name in names]
            )

    def forget_layers(self) -> None:
        """Layers that belong to no hashed file any more; one pass over all hashes."""
        self._write("DELETE FROM layers WHERE root NOT IN (SELECT root FROM hashes)")

    def folders(self, above: Path) -> list[Path]:
        """Which folders have hashed files: `above` and all below it, sorted."""
        key = _key(above)
        below = key.rstrip(b"/")
        rows = self._rows(
            "SELECT DISTINCT folder FROM hashes "
            "WHERE folder = ? OR (folder > ? AND folder < ?) ORDER BY folder",
            *(key, below + b"/", below + b"0"),  # '0' follows '/'
        )
        return [Path(os.fsdecode(folder)) for (folder,) in rows]

    def layer(self, root: bytes) -> bytes | None:
        """The piece layer of a hashed file; None if unknown or if it is a single piece."""
        for (layer,) in self._rows("SELECT layer FROM layers WHERE root = ?", root):
            return bytes(layer)
        return None

    # Shares, downloads, pins

    def shares(self) -> tuple[str, ...]:
        """The shares that survive restarts, sorted."""
        return tuple(path for (path,) in self._rows(_SHARES))

    def folder_shares(self) -> tuple[str, ...]:
        """Those of them that are published as one thing, sorted."""
        return tuple(path for (path,) in self._rows(_FOLDER_SHARES))

    def remember_share(self, path: str, *, as_folder: bool = False) -> None:
        """Keep a share; twice is once, and what was a folder stays one."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO shares VALUES (?)", (path,))
            if as_folder:
                db.execute("INSERT OR IGNORE INTO folder_shares VALUES (?)", (path,))

    def forget_share(self, path: str) -> None:
        """It is no share any more."""
        with self._writing() as db:
            db.execute("DELETE FROM shares WHERE path = ?", (path,))
            db.execute("DELETE FROM folder_shares WHERE path = ?", (path,))

    def downloads(self) -> tuple[DownloadRecord, ...]:
        """All downloads, by number."""
        return rows.downloads(self._rows(_DOWNLOADS))

    def remember_download(self, record: DownloadRecord) -> None:
        """Keep a download, or its new state."""
        encoded = msgspec.json.encode(record)
        self._write("INSERT OR REPLACE INTO downloads VALUES (?, ?)", record.number, encoded)

    def forget_download(self, number: int) -> None:
        """Forget a download; no file is touched."""
        self._write("DELETE FROM downloads WHERE number = ?", number)

    def wishes(self) -> tuple[WishRecord, ...]:
        """All standing searches, by number."""
        return rows.wishes(self._rows(_WISHES))

    def remember_wish(self, record: WishRecord) -> None:
        """Keep a standing search, with what it has found."""
        encoded = msgspec.json.encode(record)
        self._write("INSERT OR REPLACE INTO wishes VALUES (?, ?)", record.number, encoded)

    def forget_wish(self, number: int) -> None:
        """Forget a standing search."""
        self._write("DELETE FROM wishes WHERE number = ?", number)

    def fetched_folders(self) -> tuple[FolderRecord, ...]:
        """All folders that are fetched as one, by number."""
        return rows.fetched_folders(self._rows(_FETCHED_FOLDERS))

    def remember_folder(self, record: FolderRecord) -> None:
        """Keep a fetched folder, or its new state."""
        encoded = msgspec.json.encode(record)
        self._write("INSERT OR REPLACE INTO fetched_folders VALUES (?, ?)", record.number, encoded)

    def forget_folder(self, number: int) -> None:
        """Forget a fetched folder; no file is touched."""
        self._write("DELETE FROM fetched_folders WHERE number = ?", number)

    def limits(self) -> LimitsRecord | None:
        """The limits that were set, if any were."""
        return rows.limits(self._rows(_LIMITS))

    def remember_limits(self, record: LimitsRecord) -> None:
        """Keep the limits that were set."""
        self._write("INSERT OR REPLACE INTO limits VALUES (0, ?)", msgspec.json.encode(record))

    def pins(self) -> tuple[tuple[str, NodeId], ...]:
        """(place as typed, key) of every pinned super-peer."""
        return tuple(self._rows(_PINS))

    def remember_pin(self, place: str, node: NodeId | None) -> None:
        """Pin a place to a key, or with None to none."""
        if node is None:
            self._write("DELETE FROM pins WHERE place = ?", place)
        else:
            self._write("INSERT OR REPLACE INTO pins VALUES (?, ?)", place, node)

    # Uploads

    def giving(self) -> tuple[GivingRecord, ...]:
        """What leaves gave and had, the one that moved last at the end; at most GIVING_MAX."""
        return rows.giving(self._rows(_GIVING, GIVING_MAX))

    def remember_giving(self, records: tuple[GivingRecord, ...]) -> None:
        """Keep what these gave and had; who moved longest ago goes when there are too many."""
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO giving (node, given, had) VALUES (?, ?, ?)",
                [(record.node, record.given, record.had) for record in records],
            )
            db.execute(
                "DELETE FROM giving WHERE moved NOT IN "
                "(SELECT moved FROM giving ORDER BY moved DESC LIMIT ?)",
                (GIVING_MAX,),
            )

    def line(self) -> tuple[tuple[NodeId, float], ...]:
        """Who waited for a slot, and for how many seconds."""
        return rows.line(self._rows(_LINE))

    def remember_line(self, places: tuple[tuple[NodeId, float], ...]) -> None:
        """These wait, so long; nobody else does."""
        with self._writing() as db:
            db.execute("DELETE FROM line")
            db.executemany("INSERT INTO line VALUES (?, ?)", places)

    # Super-peers

    def super_peers(self) -> tuple[tuple[NodeId, Address], ...]:
        """Super-peers that worked, the latest first; at most SUPER_PEERS_MAX."""
        return rows.super_peers(self._rows(_SUPER_PEERS))

    def remember_super_peer(self, node: NodeId, address: Address, wall_s: float) -> None:
        """One that worked at `wall_s`; the longest unseen goes when there are too many."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO super_peers VALUES (?, ?, ?, ?, 1) ON CONFLICT (node) DO UPDATE SET "
                "ip = excluded.ip, port = excluded.port, last_seen_s = excluded.last_seen_s, "
                "successes = successes + 1",
                (node, address.ip, address.port, wall_s),
            )
            db.execute(
                "DELETE FROM super_peers WHERE node IN "
                f"(SELECT node FROM super_peers {_BEST_FIRST} LIMIT -1 OFFSET ?)",
                (SUPER_PEERS_MAX,),
            )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self._disk_error("read", error) from error

    def _write(self, statement: str, *values: object) -> None:
        with self._writing() as db:
            db.execute(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError):
                    raise self._disk_error("write", error) from error
                raise

    def _connect(self) -> sqlite3.Connection:
        with naming("open", self.path):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            self.path.chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreNewerError(self.path, version)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last moments
            if version == 0:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
            for added in _ADDED:
                db.execute(added)
            _probe(db)
        except BaseException as error:
            db.close()
            broken = isinstance(error, sqlite3.DatabaseError) and _code(error) in _BROKEN
            if broken or isinstance(error, ValueError | TypeError):
                raise _BrokenError from error
            raise
        return db

    def _move_aside(self) -> Path:
        """Give the file and its log names of their own; nothing is deleted."""
        aside = self.path.with_name(f"{self.path.name}.unreadable-{time.time_ns()}")
        with naming("rename", self.path):
            for tail in ("", "-wal", "-shm"):
                source = self.path.with_name(self.path.name + tail)
                if source.exists():
                    source.rename(aside.with_name(aside.name + tail))
        return aside

    def _disk_error(self, op: str, error: sqlite3.DatabaseError) -> DiskError:
        return DiskError(op, self.path, _ERRNO.get(_code(error), errno.EIO))


class _BrokenError(Exception):
    """The file is no store that can be read."""


def _probe(db: sqlite3.Connection) -> None:
    """Read once what a start reads anyway: a fresh memory is better than half of an old one."""
    ((verdict,),) = db.execute("PRAGMA quick_check(1)")
    if verdict != "ok":
        raise ValueError(verdict)
    db.execute("SELECT folder, name, size, mtime_ns, inode, root FROM hashes LIMIT 1").fetchall()
    db.execute("SELECT root, layer FROM layers LIMIT 1").fetchall()
    db.execute(_SHARES).fetchall()
    db.execute(_PINS).fetchall()
    rows.downloads(db.execute(_DOWNLOADS).fetchall())
    rows.wishes(db.execute(_WISHES).fetchall())
    db.execute(_FOLDER_SHARES).fetchall()
    rows.fetched_folders(db.execute(_FETCHED_FOLDERS).fetchall())
    rows.limits(db.execute(_LIMITS).fetchall())
    rows.super_peers(db.execute(_SUPER_PEERS).fetchall())
    rows.giving(db.execute(_GIVING, (GIVING_MAX,)).fetchall())
    rows.line(db.execute(_LINE).fetchall())


def _code(error: sqlite3.DatabaseError) -> int:
    """The primary result code: the low byte of SQLite's extended ones."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _key(folder: Path) -> bytes:
    return os.fsencode(folder.absolute())
