"""`.torrent` files, with libtorrent as the yardstick."""

from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.content.bencode import Value, bencode
from common.content.merkle import (
    EMPTY_ROOT,
    FileHasher,
    FileTree,
    TreeError,
    coarser_layer,
    layer_root,
    piece_size_bytes,
)
from common.content.metainfo import torrent_file
from common.content.torrent import info, info_hash, torrent_piece_length
from common.content.webseeds import web_seeds

KIB, MIB = 1024, 1024 * 1024
NAME = "Ärger & Söhne 日本.bin"


def hashed(path: Path, size: int) -> FileTree:
    """Fill `path` with seeded bytes that differ from block to block; its tree."""
    hasher, rng = FileHasher(size), Random(size)
    with path.open("wb") as file:
        for at in range(0, size, MIB):
            data = rng.randbytes(min(MIB, size - at))
            file.write(data)
            hasher.update(data)
    return hasher.finish()


def of_libtorrent(folder: Path, name: str, size: int, piece_bytes: int) -> dict[bytes, Any]:
    """What libtorrent makes of the file."""
    libtorrent = pytest.importorskip("libtorrent")
    entry = libtorrent.create_file_entry(name, size)
    creator = libtorrent.create_torrent([entry], piece_bytes, libtorrent.create_torrent.v2_only)
    libtorrent.set_piece_hashes(creator, str(folder))
    found: dict[bytes, Any] = creator.generate()
    return found


@pytest.mark.parametrize(
    "size",
    [1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 48 * KIB, 32 * MIB, 32 * MIB + 1, 70 * MIB + 5],
)
def test_info_and_piece_layers_are_those_of_libtorrent(tmp_path: Path, size: int) -> None:
    """Byte for byte, for one byte, exactly one piece and many: 2,048 pieces end at 32 MiB."""
    libtorrent = pytest.importorskip("libtorrent")
    tree = hashed(tmp_path / NAME, size)
    seeds = ["http://127.0.0.1:1/f/", "https://b.example/c/"]
    torrent = torrent_file(NAME, tree, web_seeds(seeds, NAME))
    theirs = of_libtorrent(tmp_path, NAME, size, torrent_piece_length(size))
    layers = theirs.get(b"piece layers", {})
    for key, value in ((b"info", theirs[b"info"]), (b"piece layers", layers)):
        assert bencode(key) + libtorrent.bencode(value) in torrent
    loaded = libtorrent.load_torrent_buffer(torrent)
    assert loaded.info_hashes.v2.to_bytes() == info_hash(NAME, size, tree.root)
    assert list(loaded.url_seeds) == seeds


@pytest.mark.parametrize("size", [5 * MIB, 8 * MIB, 9 * MIB + 1, 13 * MIB - 3])
@pytest.mark.parametrize("piece_bytes", [16 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB])
def test_layers_of_larger_pieces_are_those_of_libtorrent(
    tmp_path: Path, size: int, piece_bytes: int
) -> None:
    """Above 2 GiB a torrent's pieces are larger than ours: its layer is a higher row."""
    tree = hashed(tmp_path / "a", size)
    theirs = of_libtorrent(tmp_path, "a", size, piece_bytes).get(b"piece layers", {})
    assert coarser_layer(tree.layer, size, piece_bytes) == theirs.get(tree.root, b"")


@given(st.integers(1, 2**40), st.integers(0, 10))
def test_a_coarser_layer_has_one_hash_for_each_piece(size: int, doublings: int) -> None:
    """Of whatever size, without padding; what fits into one piece has none."""
    piece_bytes = min(piece_size_bytes(size) << doublings, 16 * MIB)
    if size > 2000 * piece_size_bytes(size):
        size = 2000 * piece_size_bytes(size)  # the layer is made here
    pieces = -(-size // piece_size_bytes(size))
    layer = b"".join(sha256(b"%d" % at).digest() for at in range(pieces))
    found = coarser_layer(layer, size, piece_bytes)
    wanted = -(-size // piece_bytes)
    assert len(found) == (32 * wanted if size > piece_bytes else 0)


def test_a_layer_of_another_size_is_refused() -> None:
    """A hash too few would shift all others."""
    with pytest.raises(TreeError):
        coarser_layer(bytes(32), 48 * KIB, 32 * KIB)
    assert layer_root(bytes(96), 48 * KIB)  # while three hashes are its layer


def test_an_empty_file_has_a_torrent_without_root_and_layers() -> None:
    """As BEP 52 writes it, although libtorrent loads no torrent of nothing."""
    tree = FileHasher(0).finish()
    expected: dict[bytes, Value] = {b"info": info("a", 0, EMPTY_ROOT), b"piece layers": {}}
    assert torrent_file("a", tree) == bencode(expected)
    assert b"pieces root" not in torrent_file("a", tree)


def test_one_web_seed_is_a_string_and_several_are_a_list() -> None:
    """As libtorrent writes them; outside of the info dictionary."""
    tree = FileHasher(0).finish()
    assert torrent_file("a", tree, ["http://a/"]).endswith(b"8:url-list9:http://a/e")
    assert torrent_file("a", tree, ["u", "v"]).endswith(b"8:url-listl1:u1:vee")


def test_a_hostile_name_is_sanitised() -> None:
    """No torrent of ours names a path."""
    torrent = torrent_file("../etc/passwd", FileHasher(0).finish())
    assert b"/" not in torrent


def _values() -> st.SearchStrategy[Any]:
    leaves = st.integers() | st.binary(max_size=20)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )


@given(_values())
def test_bencoding_is_what_libtorrent_reads(value: Any) -> None:
    """Every value comes back; numbers beyond 64 bits are none that BitTorrent has."""
    libtorrent = pytest.importorskip("libtorrent")
    text = bencode(value)
    if b"i" in text and _largest(value) >= 2**63:
        return
    assert libtorrent.bdecode(text) == value


def _largest(value: Any) -> int:
    if isinstance(value, int):
        return abs(value)
    if isinstance(value, dict):
        return max(map(_largest, value.values()), default=0)
    return max(map(_largest, value), default=0) if isinstance(value, list) else 0
