"""How long a folder of many small files takes from one leaf to another, with what it costs.

    python -m tests.bench.folder [FILES] [BYTES]

Real processes on loopback. Prints the seconds from `share` to the manifest, of `get`, and of `get`
once more when all is there, with CPU seconds and memory of both leaves.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.folder_processes import Leaf, manifest, read, write
from tests.test_programs import command, ready, start

HOUR_S = 3_600.0


def cpu_s(leaf: Leaf) -> float:
    """Processor seconds of a leaf so far."""
    fields = Path(f"/proc/{leaf.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(what: str, leaves: tuple[Leaf, Leaf], leaf: Leaf, *arguments: str) -> object:
    """Do it and print what it took; the document."""
    before, began = [cpu_s(each) for each in leaves], time.monotonic()
    _, out, _ = command("leaf", *arguments, *leaf.home, "--json", limit_s=HOUR_S)
    document: object = json.loads(out)
    took = time.monotonic() - began
    spent = [cpu_s(each) - old for each, old in zip(leaves, before, strict=True)]
    held = [each("status")["rss_bytes"] / 2**20 for each in leaves]
    print(
        f"{what}: {took:.2f} s; CPU giver {spent[0]:.2f} s, taker {spent[1]:.2f} s; "
        f"RSS {held[0]:.0f} and {held[1]:.0f} MiB"
    )
    return document


def main(files: int, size: int) -> None:
    """One run."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        superpeer = start("superpeer", "run", "--home", f"{place}/s", "--listen", "127.0.0.1:0")
        listen = ready(superpeer)["listen"]
        leaves = Leaf(folder, "giver", listen), Leaf(folder, "taker", listen)
        try:
            run(folder, leaves, files, size)
        finally:
            for leaf in leaves:
                leaf.end()
            superpeer.terminate()
            superpeer.communicate(timeout=20)


def run(folder: Path, leaves: tuple[Leaf, Leaf], files: int, size: int) -> None:
    """Share, fetch, fetch again."""
    shared = folder / "my music"
    write(shared, {f"{n % 100:02}/{n}.bin": os.urandom(size) for n in range(files)})
    wait = ("--wait", "--timeout", "3600")
    rows: Any = measured("share", leaves, leaves[0], "share", "--as-folder", str(shared), *wait)
    link = manifest(rows)["link"]
    print(f"{files} files of {size} bytes; manifest {manifest(rows)['size']} bytes")
    measured("get", leaves, leaves[1], "get", link)
    measured("get again", leaves, leaves[1], "get", link)
    assert read(folder / "taker" / "downloads" / "my music") == read(shared)


if __name__ == "__main__":
    main(*(int(each) for each in (*sys.argv[1:], *("1000", "100")[len(sys.argv) - 1 :])))
