"""The BEP 52 tree against a plain recursive reference, and its proofs against hostile input."""

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.content.merkle import (
    BLOCK_BYTES,
    EMPTY_ROOT,
    HASH_BYTES,
    PIECE_BYTES_MAX,
    PIECES_WANTED_MAX,
    FileHasher,
    FileTree,
    LayerTree,
    SizeMismatchError,
    TreeError,
    layer_proof,
    layer_root,
    piece_count,
    piece_hash,
    piece_size_bytes,
    piece_span,
    verify_layer,
)
from common.limits import FILE_SIZE_MAX, PIECES_PER_FILE_MAX

SIZES = [1, 16383, 16384, 16385, 32768, 49152, 49153, 100_000, 131_072, 131_073, 1_000_000]


def tree_of(data: bytes, buffer_bytes: int = 1 << 20) -> FileTree:
    hasher = FileHasher(len(data))
    for at in range(0, len(data), buffer_bytes):
        hasher.update(memoryview(data)[at : at + buffer_bytes])
    return hasher.finish()


def reference_root(nodes: list[bytes]) -> bytes:
    """The root over leaves, padded with zero hashes to a power of two, straight from BEP 52."""
    width = 1
    while width < len(nodes):
        width *= 2
    nodes = nodes + [bytes(32)] * (width - len(nodes))
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [sha256(left + right).digest() for left, right in pairs]
    return nodes[0]


def leaves_of(data: bytes) -> list[bytes]:
    blocks = range(0, len(data), BLOCK_BYTES)
    return [sha256(data[at : at + BLOCK_BYTES]).digest() for at in blocks]


def layer_of(pieces: int, seed: int = 0) -> tuple[bytes, int]:
    """A made-up layer and the size of a file that has it (16 KiB pieces)."""
    return Random(seed).randbytes(pieces * HASH_BYTES), pieces * BLOCK_BYTES - 5


@pytest.mark.parametrize("size", SIZES)
def test_root_is_that_of_the_padded_tree_over_all_blocks(size: int) -> None:
    """The file root does not depend on pieces: it is the reference root over the blocks."""
    data = Random(size).randbytes(size)
    assert tree_of(data).root == reference_root(leaves_of(data))


@pytest.mark.parametrize("size", SIZES)
def test_layer_is_the_hash_of_each_piece(size: int) -> None:
    """A piece hashed alone gives its entry in the layer; a lone piece gives the root."""
    data = Random(size).randbytes(size)
    tree = tree_of(data)
    spans = [piece_span(size, index) for index in range(piece_count(size))]
    hashes = [piece_hash(data[at : at + n], piece_size_bytes(size), size) for at, n in spans]
    assert b"".join(hashes) == (tree.layer or tree.root)
    assert layer_root(b"".join(hashes), size) == tree.root


def test_wide_pieces_pad_their_last_piece_in_full() -> None:
    """With several blocks to a piece the last piece is padded to a whole subtree."""
    data = Random(3).randbytes(5 * BLOCK_BYTES + 1)
    hashes = [
        piece_hash(data[at : at + 4 * BLOCK_BYTES], 4 * BLOCK_BYTES, len(data))
        for at in (0, 4 * BLOCK_BYTES)
    ]
    assert hashes[1] == reference_root([*leaves_of(data)[4:], bytes(32), bytes(32)])
    assert sha256(hashes[0] + hashes[1]).digest() == tree_of(data).root


def test_a_lone_piece_pads_only_to_its_own_power_of_two() -> None:
    """A file within one piece is padded to the next power of two of its blocks, not further."""
    data = Random(4).randbytes(3 * BLOCK_BYTES)
    assert piece_hash(data, 64 * BLOCK_BYTES, len(data)) == tree_of(data).root


def test_pieces_of_several_blocks_are_hashed_the_same_way_alone_and_in_a_file() -> None:
    """Above 32 MiB a piece has more than one block; the hasher and `piece_hash` agree."""
    size = PIECES_WANTED_MAX * BLOCK_BYTES + 12_345
    data = bytes(size)
    tree = tree_of(data)
    assert piece_size_bytes(size) == 2 * BLOCK_BYTES
    last = piece_count(size) - 1
    for index in (0, last):
        at, length = piece_span(size, index)
        found = piece_hash(memoryview(data)[at : at + length], 2 * BLOCK_BYTES, size)
        assert found == tree.layer[index * HASH_BYTES : (index + 1) * HASH_BYTES]
    assert tree.root == reference_root(leaves_of(data))


@given(st.integers(0, 200_000), st.integers(1, 70_000))
def test_buffer_sizes_do_not_matter(size: int, buffer_bytes: int) -> None:
    """Any cut of the bytes into buffers gives the same tree."""
    data = Random(size).randbytes(size)
    assert tree_of(data, buffer_bytes) == tree_of(data)


def test_an_empty_file_has_a_root_of_zeros_and_no_pieces() -> None:
    """Nothing to hash, nothing to ask for."""
    assert tree_of(b"") == FileTree(EMPTY_ROOT, 0, b"")
    assert piece_count(0) == 0
    assert layer_root(b"", 0) == EMPTY_ROOT
    assert not verify_layer(EMPTY_ROOT, 0, 0, b"", ())


def test_a_file_that_grows_or_shrinks_is_an_error() -> None:
    """Other than the announced number of bytes never gives a tree."""
    with pytest.raises(SizeMismatchError, match="more than the 3 bytes"):
        FileHasher(3).update(b"four")
    short = FileHasher(5)
    short.update(b"four")
    with pytest.raises(SizeMismatchError, match="1 bytes before"):
        short.finish()


def test_finish_can_be_asked_again() -> None:
    """The tree of a finished file stays what it is."""
    hasher = FileHasher(40_000)
    hasher.update(bytes(40_000))
    assert hasher.finish() == hasher.finish()


@given(st.integers(1, FILE_SIZE_MAX))
def test_pieces_are_few_powers_of_two_that_cover_the_file(size: int) -> None:
    """The piece size is the smallest that gives 2,048 pieces or fewer, within its bounds."""
    piece_size, pieces = piece_size_bytes(size), piece_count(size)
    assert piece_size.bit_count() == 1
    assert BLOCK_BYTES <= piece_size <= PIECE_BYTES_MAX
    assert pieces <= PIECES_WANTED_MAX or piece_size == PIECE_BYTES_MAX
    if piece_size > BLOCK_BYTES:
        assert size > (piece_size // 2) * PIECES_WANTED_MAX
    offset, length = piece_span(size, pieces - 1)
    assert offset + length == size
    assert 0 < length <= piece_size


def test_the_largest_file_has_the_most_pieces() -> None:
    """1 TiB in pieces of 1 MiB is the limit of pieces per file."""
    assert piece_count(FILE_SIZE_MAX) == PIECES_PER_FILE_MAX


@pytest.mark.parametrize("index", [-1, 2])
def test_a_piece_beyond_the_file_has_no_span(index: int) -> None:
    """Only pieces that exist have a place."""
    with pytest.raises(TreeError, match="no piece"):
        piece_span(BLOCK_BYTES + 1, index)


def test_more_bytes_than_a_piece_have_no_hash() -> None:
    """A good piece with something behind it must not pass for the piece."""
    with pytest.raises(TreeError):
        piece_hash(bytes(BLOCK_BYTES + 1), BLOCK_BYTES, 10 * BLOCK_BYTES)
    with pytest.raises(TreeError):
        piece_hash(b"ab", BLOCK_BYTES, 1)


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_layer_of_another_length_has_no_root(pieces: int) -> None:
    """The size dictates how many hashes a layer has."""
    layer, _ = layer_of(pieces)
    with pytest.raises(TreeError):
        layer_root(layer, 2 * BLOCK_BYTES)
    with pytest.raises(TreeError):
        LayerTree(layer, -1)


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 8, 13, 600])
def test_every_aligned_range_is_proven(pieces: int) -> None:
    """Each range of a power of two verifies with its uncles, short last ranges included."""
    layer, size = layer_of(pieces)
    tree, count = LayerTree(layer, size), 1
    while count < 2 * pieces:
        for first in range(0, pieces, count):
            hashes = layer[first * HASH_BYTES : (first + count) * HASH_BYTES]
            assert verify_layer(tree.root, size, first, hashes, tree.proof(first, count))
        count *= 2
    assert tree.root == layer_root(layer, size)
    assert verify_layer(tree.root, size, 0, layer, ())


def test_uncles_of_a_range_are_those_of_bep_52() -> None:
    """Lowest uncle first, padding included."""
    layer, size = layer_of(5)
    nodes = [layer[at : at + 32] for at in range(0, len(layer), 32)]
    pad_pair = sha256(bytes(64)).digest()
    assert layer_proof(layer, size, 4, 1) == (
        bytes(32),
        pad_pair,
        reference_root(nodes[:4]),
    )
    assert layer_proof(layer, size, 0, 4) == (
        sha256(sha256(nodes[4] + bytes(32)).digest() + pad_pair).digest(),
    )


@pytest.mark.parametrize(
    ("first", "count"), [(0, 0), (0, 3), (1, 2), (-2, 2), (6, 2), (0, 16), (8, 8), (0, -1)]
)
def test_other_ranges_have_no_proof(first: int, count: int) -> None:
    """Not aligned, not a power of two, or beyond the layer: refused."""
    layer, size = layer_of(5)
    with pytest.raises(TreeError):
        layer_proof(layer, size, first, count)


@given(st.integers(1, 40), st.data())
def test_a_changed_bit_is_never_proven(pieces: int, data: st.DataObject) -> None:
    """One bit changed in the hashes, the proof or the root fails the range."""
    layer, size = layer_of(pieces)
    tree = LayerTree(layer, size)
    count = 1 << data.draw(st.integers(0, max(pieces - 1, 0).bit_length()))
    first = data.draw(st.integers(0, (pieces - 1) // count)) * count
    parts = [
        tree.root,
        layer[first * HASH_BYTES : (first + count) * HASH_BYTES],
        *tree.proof(first, count),
    ]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    broken = bytearray(parts[which])
    broken[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(broken)
    assert not verify_layer(parts[0], size, first, parts[1], parts[2:])


@given(
    root=st.binary(max_size=40),
    size=st.integers(-5, 2**70),
    first=st.integers(-5, 2**70),
    hashes=st.binary(max_size=200),
    proof=st.lists(st.binary(max_size=40), max_size=80),
)
def test_hostile_proofs_are_false_and_no_error(
    root: bytes, size: int, first: int, hashes: bytes, proof: list[bytes]
) -> None:
    """Whatever shape comes, the answer is no."""
    assert not verify_layer(root, size, first, hashes, proof)


def test_wrong_lengths_are_false() -> None:
    """Hashes missing or added, uncles missing, added or cut: never verified, never an error."""
    layer, size = layer_of(6)
    tree = LayerTree(layer, size)
    proof, hashes = tree.proof(4, 2), layer[4 * HASH_BYTES :]
    assert verify_layer(tree.root, size, 4, hashes, proof)
    assert not verify_layer(tree.root, size, 4, hashes[:-1], proof)
    assert not verify_layer(tree.root, size, 4, hashes[:-32], proof)
    assert not verify_layer(tree.root, size, 4, hashes + bytes(32), proof)
    assert not verify_layer(tree.root, size, 5, hashes, proof)
    assert not verify_layer(tree.root, size, 4, hashes, proof[:-1])
    assert not verify_layer(tree.root, size, 4, hashes, (*proof, bytes(32)))
    assert not verify_layer(tree.root, size, 4, hashes, (proof[0], proof[1][:-1]))
    assert not verify_layer(tree.root, size, 4, hashes, (proof[0] + b"x", proof[1]))
    assert not verify_layer(tree.root, FILE_SIZE_MAX + 1, 4, hashes, proof)
    assert not verify_layer(tree.root, size, 0, b"", ())
