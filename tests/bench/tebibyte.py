"""A tebibyte to share that nobody has to hash: sparse files of zeros, whose trees are known.

All pieces of such a file but the last are alike, so a tree costs two pieces of hashing. The files
differ in size, and so in content. They and their hashes are put where the leaf looks for them:
it finds 1 TiB that it has hashed before, as after any restart. `python -m tests.bench.pair
--tebibyte FILES` measures a leaf that shares that besides.
"""

import os
from functools import cache
from pathlib import Path

from common.content.merkle import (
    FileTree,
    layer_root,
    piece_count,
    piece_hash,
    piece_size_bytes,
    piece_span,
)
from common.shell.disk.files import FileStamp
from common.shell.disk.store import Store

TEBIBYTE = 2**40


def tree_of_zeros(size: int) -> FileTree:
    """The tree of a file of zeros that is larger than one piece."""
    count, piece_bytes = piece_count(size), piece_size_bytes(size)
    last = bytes(piece_span(size, count - 1)[1])
    layer = _piece_of_zeros(piece_bytes) * (count - 1) + piece_hash(last, piece_bytes, size)
    return FileTree(layer_root(layer, size), size, layer)


@cache
def _piece_of_zeros(piece_bytes: int) -> bytes:
    return piece_hash(bytes(piece_bytes), piece_bytes, 2 * piece_bytes)


def share_tebibyte(folder: Path, state: Path, files: int) -> None:
    """Fill `folder` with so many files, 1 TiB in all but a few bytes, and `state` with hashes."""
    folder.mkdir(parents=True)
    store = Store(state)
    trees = {}
    for number in range(files):
        path = folder / f"zeros {number}.bin"
        with path.open("wb") as file:
            os.truncate(file.fileno(), TEBIBYTE // files - number)
        status = path.stat()
        trees[path.name] = FileStamp.of(status), tree_of_zeros(status.st_size)
    store.remember_hashes(folder, trees)
    store.remember_share(str(folder))
    store.close()
