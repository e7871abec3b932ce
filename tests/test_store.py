"""What is remembered over restarts, and what becomes of a store that cannot be read."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.addresses import Address
from common.content.merkle import FileTree
from common.schedule import NOTHING_SET, CapWindow, LimitsRecord
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.files import FileStamp
from common.shell.disk.scan import Known
from common.shell.disk.store import SUPER_PEERS_MAX, Store, StoreNewerError
from common.storage import DownloadRecord, FolderRecord, WishedFile, WishRecord

STAMP = FileStamp(5, 1_700_000_000_123_456_789, 2**64 - 1)
TREE = FileTree(root=b"r" * 32, size=5, layer=b"l" * 64)
RECORD = DownloadRecord(7, b"\xff" * 32, 2**40, "/x/ä.bin", "rename", "fetching", "no source")
FOUND = WishedFile(b"\xff" * 32, 5, "ä.ogg", 1.5, fetched=True)
WISH = WishRecord(3, ("ä",), "", (), 0, None, True, 10, 2**60, 1.5, files=(FOUND,))
FOLDER = FolderRecord(2, b"\xff" * 32, 9, "ä.folder", "/x/ä", "rename", ("*.txt",), "fetching")
LIMITS = LimitsRecord(5_000, None, 3, (CapWindow("22:00-06:00", up=0),))
NODE, ADDRESS = b"n" * 32, Address.of("::1", 1214)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Each kind of thing comes back as it was put in."""
    store = Store(tmp_path / "state.db")
    store.remember_hashes(tmp_path / "music", {"ä.mp3": (STAMP, TREE)})
    store.remember_share("/music", as_folder=True)
    store.remember_share("/music")
    store.remember_share("/video")
    store.remember_folder(FOLDER)
    store.remember_download(RECORD)
    store.remember_wish(WISH)
    assert store.limits() is None
    store.remember_limits(NOTHING_SET)
    store.remember_limits(LIMITS)
    store.remember_pin("host:1214", NODE)
    store.remember_super_peer(NODE, ADDRESS, 5.0)
    store.close()
    again = Store(tmp_path / "state.db")
    assert again.hashes(tmp_path / "music") == {"ä.mp3": Known(STAMP, TREE.root)}
    assert again.layer(TREE.root) == TREE.layer
    assert again.shares() == ("/music", "/video")
    assert again.folder_shares() == ("/music",)
    assert again.fetched_folders() == (FOLDER,)
    again.forget_share("/music")
    again.forget_folder(2)
    assert (again.shares(), again.folder_shares()) == (("/video",), ())
    assert again.fetched_folders() == ()
    assert again.downloads() == (RECORD,)
    assert again.wishes() == (WISH,)
    assert again.limits() == LIMITS
    assert again.pins() == (("host:1214", NODE),)
    assert again.super_peers() == ((NODE, ADDRESS),)
    assert again.moved_aside is None
    again.close()


def test_a_store_from_before_there_were_wishes_is_taken_on(tmp_path: Path) -> None:
    """With all that is in it; who wrote it can go on with it too."""
    store = Store(tmp_path / "state.db")
    store.remember_download(RECORD)
    store.close()
    with sqlite3.connect(tmp_path / "state.db") as old:
        old.execute("DROP TABLE wishes")
    old.close()
    again = Store(tmp_path / "state.db")
    assert (again.moved_aside, again.downloads(), again.wishes()) == (None, (RECORD,), ())
    again.close()


def test_everything_can_be_forgotten(tmp_path: Path) -> None:
    """Forgetting takes that one thing, and again is fine."""
    store = Store(tmp_path / "state.db")
    store.remember_share("/a")
    store.remember_share("/b")
    store.remember_download(RECORD)
    store.remember_wish(WISH)
    store.remember_pin("a:1", NODE)
    store.remember_pin("b:1", NODE)
    for _ in range(2):
        store.forget_share("/a")
        store.forget_download(7)
        store.forget_wish(3)
        store.remember_pin("a:1", None)
    assert (store.shares(), store.downloads(), store.wishes()) == (("/b",), (), ())
    assert store.pins() == (("b:1", NODE),)
    store.close()


def test_folders_are_told_with_all_below(tmp_path: Path) -> None:
    """Not one that only begins with the same letters; a layer goes with its last file."""
    store = Store(tmp_path / "state.db")
    other = FileTree(root=b"o" * 32, size=5, layer=b"o" * 64)
    for folder in ("a", "a/b", "a/b/c"):
        store.remember_hashes(tmp_path / folder, {"f": (STAMP, TREE), "g": (STAMP, TREE)})
    for folder in ("ab", "a.b", "a0"):
        store.remember_hashes(tmp_path / folder, {"f": (STAMP, other)})
    store.forget_hashes(tmp_path / "a", ["f", "none"])
    assert list(store.hashes(tmp_path / "a")) == ["g"]
    below = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"]
    assert store.folders(tmp_path / "a") == below
    for each in below:
        store.forget_layers()
        assert store.layer(TREE.root) == TREE.layer
        store.forget_hashes(each, ["f", "g"])
    assert store.folders(tmp_path / "a") == []
    assert len(store.folders(tmp_path)) == 3
    store.forget_layers()
    assert store.layer(TREE.root) is None
    assert store.layer(other.root) == other.layer
    store.close()


def test_a_file_of_one_piece_has_no_layer(tmp_path: Path) -> None:
    """Its root says it all; nothing is kept for it."""
    store = Store(tmp_path / "state.db")
    store.remember_hashes(tmp_path, {"f": (STAMP, FileTree(root=b"s" * 32, size=5, layer=b""))})
    assert store.layer(b"s" * 32) is None
    store.close()


def test_super_peers_are_bounded_and_the_latest_first(tmp_path: Path) -> None:
    """The longest unseen goes; one that worked again moves to the front with its new address."""
    store = Store(tmp_path / "state.db")
    for number in range(SUPER_PEERS_MAX + 5):
        store.remember_super_peer(number.to_bytes(32, "big"), ADDRESS, float(number))
    store.remember_super_peer((10).to_bytes(32, "big"), Address.of("10.0.0.1", 9), 10_000.0)
    peers = store.super_peers()
    assert len(peers) == SUPER_PEERS_MAX
    assert peers[0] == ((10).to_bytes(32, "big"), Address.of("10.0.0.1", 9))
    assert (4).to_bytes(32, "big") not in dict(peers)
    store.close()


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    """0600 whatever the umask was, for the log beside it too."""
    path = tmp_path / "state.db"
    path.touch(0o666)
    path.chmod(0o666)
    store = Store(path)
    store.remember_share("/a")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    store.close()


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 40_000), noise=st.binary(min_size=1, max_size=300), cut=st.booleans())
def test_a_broken_store_is_moved_aside_or_read(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes, cut: bool
) -> None:
    """Damage anywhere: it opens and reads, or is fresh with the old file kept beside."""
    path = tmp_path_factory.mktemp("store") / "state.db"
    store = Store(path)
    store.remember_share("/a")
    store.remember_download(RECORD)
    store.remember_super_peer(NODE, ADDRESS, 5.0)
    store.close()
    data = bytearray(path.read_bytes())
    data[at : at + len(noise)] = noise
    damaged = bytes(data[:at] if cut else data)
    path.write_bytes(damaged)
    try:
        again = Store(path)
    except (StoreNewerError, DiskError):
        assert path.read_bytes()[:16] == damaged[:16]
        return
    seen = (again.shares(), again.downloads(), again.pins(), again.super_peers())
    again.hashes(path.parent)
    if again.moved_aside is not None:
        assert seen == ((), (), (), ())
        assert again.moved_aside.read_bytes() == damaged
    again.close()


def test_a_file_that_is_no_store_is_moved_aside(tmp_path: Path) -> None:
    """What somebody else put there is kept under another name."""
    (tmp_path / "state.db").write_bytes(b"my diary" * 1_000)
    store = Store(tmp_path / "state.db")
    assert store.moved_aside is not None
    assert store.moved_aside.read_bytes() == b"my diary" * 1_000
    assert store.shares() == ()
    store.close()


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    """A later version's file is an error that says so; nothing is changed or moved."""
    path = tmp_path / "state.db"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreNewerError, match="newer version"):
        Store(path)
    assert [each.name for each in tmp_path.iterdir()] == ["state.db"]


def test_a_store_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    """No folder for it: one named error."""
    with pytest.raises(DiskError, match=r"Cannot open .*state\.db"):
        Store(tmp_path / "none" / "state.db")


def test_threads_may_share_it(tmp_path: Path) -> None:
    """Calls from many threads come one after the other."""
    store = Store(tmp_path / "state.db")
    paths = [f"/{number:02}" for number in range(50)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.remember_share, paths))
    assert store.shares() == tuple(paths)
    store.close()


_FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.store import Store

store = Store(Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
errors = kept = 0
for number in range(500):
    try:
        store.remember_share(f"/{number}/" + "x" * 2_000)
        kept += 1
    except DiskError as error:
        errors += 1
        there = len(store.shares())
        if there != kept:
            sys.exit(f"{there} of {kept}")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.remember_share("/after")
print(errors > 0 and kept > 0 and len(store.shares()) == kept + 1)
"""


@pytest.mark.processes
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Each write that does not fit is one DiskError; what was kept stays, and it goes on later."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(Path(__file__).parent.parent), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
