"""A folder as one thing, between leaves as processes: shared, fetched, changed, fetched again."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folder_processes import Leaf, manifest, read, write
from tests.test_programs import command, ready, start

pytestmark = pytest.mark.processes

FILES = {
    "one.txt": b"one",
    "deep/er/two.bin": os.urandom(3_000_000),
    "deep/empty": b"",
    "deep/tränen 涙.ogg": os.urandom(300_000),
    "again.txt": b"one",
}


@pytest.fixture
def leaves(tmp_path: Path) -> Iterator[tuple[Leaf, Leaf]]:
    """A super-peer and two leaves."""
    superpeer = start("superpeer", "run", "--home", str(tmp_path / "s"), "--listen", "127.0.0.1:0")
    listen = ready(superpeer)["listen"]
    giver, taker = [Leaf(tmp_path, name, listen) for name in ("giver", "taker")]
    yield giver, taker
    giver.end()
    taker.end()
    superpeer.terminate()
    superpeer.communicate(timeout=20)


def test_a_folder_travels_as_one(leaves: tuple[Leaf, Leaf], tmp_path: Path) -> None:
    """All of it; then, changed, only what changed; also by its id, and some of it alone."""
    giver, taker = leaves
    shared, fetched = tmp_path / "my music", tmp_path / "new" / "my music"
    write(shared, FILES)
    rows = giver("share", "--as-folder", str(shared), "--wait", "--timeout", "30")
    assert len(rows) == len(FILES) + 1
    first = manifest(rows)
    assert read(shared) == FILES  # nothing of ours is in it
    (hit,) = taker("search", "my", "music", "folder")["hits"]
    assert hit["id"] == first["id"]
    got = taker("get", "1", "-o", f"{tmp_path}/new/")
    size = sum(map(len, FILES.values()))
    assert (got["path"], got["size"], got["files"]) == (str(fetched), size, len(FILES))
    assert (got["verified"], got["sources"]) == (True, 1)
    assert read(fetched) == FILES
    (row,) = taker("downloads")
    assert (row["id"], row["state"], row["done_bytes"]) == (first["id"], "done", size)

    (shared / "one.txt").write_bytes(b"one, and more")
    second = first
    while second["id"] == first["id"]:  # until the change is noticed, hashed and made
        second = manifest(giver("share", "--as-folder", str(shared), "--wait", "--timeout", "30"))
    assert manifest(giver("ls")) == second
    got = taker("get", second["link"], "-o", f"{tmp_path}/new/")
    assert got["bytes_received"] == second["size"] + len(b"one, and more")
    assert (got["beside"], got["first_beside"]) == (1, f"{fetched}/one (1).txt")
    assert read(fetched) == {**FILES, "one (1).txt": b"one, and more"}
    assert len(taker("downloads")) == 1

    got = taker(
        "get", second["id"], "-o", f"{tmp_path}/some", "--only", "*.ogg", "--only", "deep/e*"
    )
    assert (got["path"], got["files"]) == (f"{tmp_path}/some", 3)
    some = {path: data for path, data in FILES.items() if path.startswith("deep/")}
    assert read(tmp_path / "some") == some
    progress = command("leaf", "get", second["id"], "-o", f"{tmp_path}/all", *taker.home, "--jsonl")
    last = json.loads(progress[1].splitlines()[-1])["result"]
    assert (progress[0], last["files"], last["path"]) == (0, len(FILES), f"{tmp_path}/all")
    assert read(tmp_path / "all") == {**FILES, "one.txt": b"one, and more"}


def test_folders_outlive_their_leaves(leaves: tuple[Leaf, Leaf], tmp_path: Path) -> None:
    """Killed in the middle, both go on: the one shares the same folder, the other ends it."""
    giver, taker = leaves
    shared = tmp_path / "my music"
    files = {f"{number}/{number}.bin": os.urandom(2_000_000) for number in range(12)}
    write(shared, files)
    row = manifest(giver("share", "--as-folder", str(shared), "--wait", "--timeout", "30"))
    taker("get", row["link"], "--detach")
    giver.restart(signal.SIGKILL)
    taker.restart(signal.SIGKILL)
    assert manifest(giver("share", "--wait", "--timeout", "30"))["id"] == row["id"]
    got = taker("get", row["link"], "--timeout", "60")
    target = tmp_path / "taker" / "downloads" / "my music"
    assert (got["path"], got["files"]) == (str(target), 12)
    assert read(target) == files
    rows = taker("rm", row["id"])
    assert rows == []
    assert read(target) == files
    giver("unshare", str(shared))
    assert [path for path in (tmp_path / "giver" / "manifests").rglob("*") if path.is_file()] == []
    assert taker("downloads") == []
    code, out, _ = command("leaf", "search", "music", *taker.home, "--json", "--wait", "2")
    assert (code, json.loads(out)["hits"]) == (3, [])
