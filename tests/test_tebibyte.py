"""The tree of a file of zeros, as the bench of large shares makes it."""

import pytest

from tests.bench.tebibyte import tree_of_zeros
from tests.memory_disk import tree_of


@pytest.mark.parametrize("size", [16_385, 1_000_000, 33_554_433, 2 * 16_384])
def test_it_is_the_tree_of_that_file(size: int) -> None:
    """As if every byte had been hashed."""
    assert tree_of_zeros(size) == tree_of(bytes(size))
