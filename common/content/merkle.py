"""The SHA-256 tree of one file (BEP 52): its root names the content, its layers prove pieces.

Leaves are the hashes of 16 KiB blocks; what is missing up to a power of two is 32 zero bytes.
The piece layer is the row of subtree roots of our wire pieces; it is all that a holder keeps.
The invariant: a root together with a size fixes the height of the tree and which nodes are
padding, so nothing but the true content verifies. Reading files and choosing what to ask for
happen elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from common.limits import FILE_SIZE_MAX

Buffer = bytes | bytearray | memoryview

BLOCK_BYTES: Final = 16 * 1024  # BEP 52
HASH_BYTES: Final = 32
PIECES_WANTED_MAX: Final = 2_048  # LimeWire and Shareaza kept trees of at most 2,048 leaves
PIECE_BYTES_MAX: Final = 1024 * 1024  # one bulk frame, and the fastest one measured

EMPTY_ROOT: Final = bytes(HASH_BYTES)  # an empty file has no tree; this stands for it
SIZES_KEPT: Final = 1_024  # of files, whose piece is not worked out anew
_PAD: Final = bytes(HASH_BYTES)  # BEP 52: a leaf beyond the end of the file


class TreeError(ValueError):
    """A piece, layer or range does not have the shape that the size of its file dictates."""


class SizeMismatchError(TreeError):
    """Other than the announced number of bytes came: the file changed while it was read."""


@dataclass(frozen=True, slots=True)
class FileTree:
    """What is kept of a hashed file: `layer` is its piece hashes in a row, 32 bytes each.

    A file of one piece, or empty, has an empty layer: its root says it all.
    """

    root: bytes
    size: int
    layer: bytes


@lru_cache(SIZES_KEPT)
def piece_size_bytes(size: int, piece_bytes_max: int = PIECE_BYTES_MAX) -> int:
    """The piece of a file of `size` bytes: the smallest power of two that gives few pieces.

    At least a block, and no more than 2,048 pieces as long as `piece_bytes_max` allows it.
    """
    wanted = -(-size // PIECES_WANTED_MAX)
    return min(max(BLOCK_BYTES, _power_of_two(wanted)), piece_bytes_max)


def piece_count(size: int) -> int:
    """How many pieces a file of `size` bytes has; an empty one has none."""
    return -(-size // piece_size_bytes(size))


def piece_span(size: int, index: int) -> tuple[int, int]:
    """Where piece `index` lies, as (offset, length) in bytes; TreeError beyond the last."""
    if not 0 <= index < piece_count(size):
        raise TreeError(f"a file of {size} bytes has no piece {index}")
    piece_size = piece_size_bytes(size)
    offset = index * piece_size
    return offset, min(piece_size, size - offset)


def piece_hash(data: Buffer, piece_size: int, file_size: int) -> bytes:
    """The subtree root of one piece; the root of the file where that fits in one piece.

    `data` is sliced, not copied. Raises TreeError when it is longer than a piece.
    """
    view = memoryview(data).cast("B")
    if len(view) > min(piece_size, file_size):
        raise TreeError(f"{len(view)} bytes are more than one piece")
    blocks = range(0, len(view), BLOCK_BYTES)
    leaves = b"".join([sha256(view[at : at + BLOCK_BYTES]).digest() for at in blocks])
    return _root(leaves, _leaf_height(piece_size, file_size), _PAD)


def layer_root(layer: bytes, size: int) -> bytes:
    """The root of a file from its whole piece layer (of a single piece: its hash).

    Raises TreeError when the layer does not have one hash per piece.
    """
    if size == 0 and not layer:
        return EMPTY_ROOT
    _check_layer(layer, size)
    return _root(layer, _layer_height(size), _pad_piece(size))


def coarser_layer(layer: bytes, size: int, piece_bytes: int) -> bytes:
    """The piece layer of the same file for pieces of `piece_bytes`: a power of two, ours or more.

    `layer` is ours, as a `FileTree` keeps it. Empty where the file fits into one such piece. Raises
    TreeError when the layer does not have one hash per piece of ours.
    """
    if size <= piece_bytes:
        return b""
    _check_layer(layer, size)
    found = layer
    rows = (piece_bytes // piece_size_bytes(size)).bit_length() - 1
    for row, _ in _levels(layer, rows, _pad_piece(size)):
        found = row
    return found


class LayerTree:
    """The hashes above a piece layer, kept so that many ranges can be proven.

    Costs two hashes of memory per piece and one SHA-256 of work per piece, once: 0.5 s for the
    million pieces of the largest file, which is why a holder keeps it while it serves a file.
    """

    def __init__(self, layer: bytes, size: int) -> None:
        """Raises TreeError when the layer does not have one hash per piece."""
        _check_layer(layer, size)
        self._pieces = piece_count(size)
        self._levels = list(_levels(layer, _layer_height(size), _pad_piece(size)))
        self.root = self._levels[-1][0]

    def proof(self, first: int, count: int) -> tuple[bytes, ...]:
        """The uncle hashes, lowest first, that prove the piece hashes [first, first + count).

        As in a BEP 52 hash request `count` is a power of two and `first` a multiple of it; the
        range may reach beyond the last piece. Raises TreeError for any other range.
        """
        height = count.bit_length() - 1
        aligned = count > 0 and count == 1 << height and first % count == 0
        if not (aligned and 0 <= first < self._pieces and height < len(self._levels)):
            raise TreeError(f"no {count} piece hashes from {first} on can be proven together")
        node = first >> height
        uncles = []
        for nodes, pad in self._levels[height:-1]:
            at = (node ^ 1) * HASH_BYTES
            uncles.append(nodes[at : at + HASH_BYTES] or pad)
            node >>= 1
        return tuple(uncles)


def layer_proof(layer: bytes, size: int, first: int, count: int) -> tuple[bytes, ...]:
    """`LayerTree.proof` for a single range; it hashes the whole layer each time."""
    return LayerTree(layer, size).proof(first, count)


def verify_layer(root: bytes, size: int, first: int, hashes: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `hashes`, 32 bytes each, are the piece hashes from `first` on of that file.

    The length of `proof` says how wide the proven range is (no uncles: the whole layer); every
    hash in it up to the last piece must be there. Anything malformed is False, never an error,
    and the work is one SHA-256 per hash that was sent. An empty file has no layer to verify.
    """
    if not 0 < size <= FILE_SIZE_MAX:
        return False
    pieces, height = piece_count(size), _layer_height(size) - len(proof)
    if height < 0 or not 0 <= first < pieces or first % (1 << height):
        return False
    if len(hashes) != min(1 << height, pieces - first) * HASH_BYTES:
        return False
    if any(len(uncle) != HASH_BYTES for uncle in proof):
        return False
    found, node = _root(hashes, height, _pad_piece(size)), first >> height
    for uncle in proof:
        found = sha256(uncle + found if node & 1 else found + uncle).digest()
        node >>= 1
    return found == root


class FileHasher:
    """Builds the `FileTree` of a file of known size from its bytes in order.

    Keeps the hashes of one piece and of the layer, never the data. Whole blocks are hashed
    where they lie, so buffers that are multiples of 16 KiB run at the speed of SHA-256.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        piece_size = piece_size_bytes(size)
        self._height = _leaf_height(piece_size, size)
        self._piece_blocks = piece_size // BLOCK_BYTES
        self._block = sha256()  # the block that buffers have only begun
        self._block_left = BLOCK_BYTES
        self._leaves: list[bytes] = []
        self._layer = bytearray()

    def update(self, buffer: Buffer) -> None:
        """Take the next bytes; raises SizeMismatchError when they are more than the size."""
        view = memoryview(buffer).cast("B")
        if len(view) > self._left:
            raise SizeMismatchError(f"more than the {self._size} bytes of the file came")
        self._left -= len(view)
        at = 0
        if self._block_left < BLOCK_BYTES:
            at = min(self._block_left, len(view))
            self._extend_block(view[:at])
        while at + BLOCK_BYTES <= len(view):
            self._add_leaf(sha256(view[at : at + BLOCK_BYTES]).digest())
            at += BLOCK_BYTES
        if at < len(view):
            self._extend_block(view[at:])

    def finish(self) -> FileTree:
        """The tree, once all bytes came; raises SizeMismatchError when some are missing."""
        if self._left:
            raise SizeMismatchError(f"the file ended {self._left} bytes before its size")
        if self._block_left < BLOCK_BYTES:
            self._end_block()
        if self._leaves:
            self._end_piece()
        layer = bytes(self._layer)
        return FileTree(
            root=layer_root(layer, self._size),
            size=self._size,
            layer=layer if len(layer) > HASH_BYTES else b"",
        )

    def _extend_block(self, view: memoryview) -> None:
        self._block.update(view)
        self._block_left -= len(view)
        if not self._block_left:
            self._end_block()

    def _end_block(self) -> None:
        leaf = self._block.digest()
        self._block, self._block_left = sha256(), BLOCK_BYTES
        self._add_leaf(leaf)

    def _add_leaf(self, leaf: bytes) -> None:
        self._leaves.append(leaf)
        if len(self._leaves) == self._piece_blocks:
            self._end_piece()

    def _end_piece(self) -> None:
        self._layer += _root(b"".join(self._leaves), self._height, _PAD)
        self._leaves.clear()


def _levels(nodes: bytes, height: int, pad: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each row of a tree from its lowest to its root, with the hash that stands for missing nodes.

    `nodes` are at most 2**height hashes in a row; padding is never stored, only its hash.
    """
    yield nodes or pad, pad
    for _ in range(height):
        if len(nodes) % (2 * HASH_BYTES):
            nodes += pad
        pairs = range(0, len(nodes), 2 * HASH_BYTES)
        nodes = b"".join([sha256(nodes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
        pad = sha256(pad + pad).digest()
        yield nodes or pad, pad


def _root(nodes: bytes, height: int, pad: bytes) -> bytes:
    if len(nodes) == HASH_BYTES << height:  # nearly all pieces: no padding has to be hashed
        for _ in range(height):
            pairs = range(0, len(nodes), 2 * HASH_BYTES)
            nodes = b"".join([sha256(nodes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
        return nodes
    found = pad
    for row, _ in _levels(nodes, height, pad):
        found = row
    return found


def _check_layer(layer: bytes, size: int) -> None:
    if size <= 0 or len(layer) != piece_count(size) * HASH_BYTES:
        raise TreeError(f"{len(layer)} bytes are not the piece layer of {size} bytes")


def _leaf_height(piece_size: int, file_size: int) -> int:
    """Rows from the leaves to the hash of a piece; BEP 52 pads a lone piece only as needed."""
    return _height(-(-min(piece_size, file_size) // BLOCK_BYTES))


def _layer_height(size: int) -> int:
    return _height(piece_count(size))


def _pad_piece(size: int) -> bytes:
    """The hash of a piece beyond the end of the file: a subtree of nothing but padding."""
    return _root(b"", _leaf_height(piece_size_bytes(size), size), _PAD)


def _height(nodes: int) -> int:
    return max(nodes - 1, 0).bit_length()


def _power_of_two(least: int) -> int:
    return 1 << _height(least)
