"""Piece layers at hand: how many are kept, and how much memory that is."""

from leaf.uploads.trees import TREES_BYTES_MAX, TREES_MAX, Trees
from tests.bench.tebibyte import tree_of_zeros


def kept(sizes: list[int]) -> list[bool]:
    """Which of these files' layers are still there after all were asked for."""
    trees, files = Trees(), [tree_of_zeros(size) for size in sizes]
    for read, file in enumerate(files):
        trees.reading(read, file.root, file.size)
        trees.came(read, file.layer)
    return [file.root in trees for file in files]


def test_the_oldest_of_too_many_goes() -> None:
    """Ordinary files are counted."""
    sizes = [2**20 + number for number in range(TREES_MAX + 2)]
    assert kept(sizes) == [False, False, *[True] * TREES_MAX]


def test_trees_of_very_large_files_are_few() -> None:
    """Each of these takes a third of the room and a little: two stay, and one that fills it all."""
    third = TREES_BYTES_MAX // 9 // 32 * 2**20  # a megabyte each piece, three hashes of it
    assert kept([third + number for number in range(2, 6)]) == [False, False, True, True]
    assert kept([2**20, 4 * third]) == [False, True]
