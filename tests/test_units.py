"""Sizes, rates and times as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.shell.desk.units import parse_size, size_text, time_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1500", 1500),
        ("10k", 10_000),
        ("10 kB", 10_000),
        ("1.5M", 1_500_000),
        ("2G", 2 * 10**9),
        ("1KiB", 1024),
        ("1.5GiB", 3 * 2**29),
        ("20mbit", 2_500_000),
        ("8kbit/s", 1000),
    ],
)
def test_units(text: str, size: int) -> None:
    """Powers of ten, powers of two, and bits."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1e3", "1 2", "0x10", "1zz", "\u0663", "1" * 99])
def test_what_is_no_size(text: str) -> None:
    """A sentence that shows how one is written."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@given(st.integers(0, 10**15 - 1))
def test_plain_numbers_are_exact(size: int) -> None:
    """No size of a file goes through a float."""
    assert parse_size(str(size)) == size


def test_texts_for_people() -> None:
    """Few digits, and the unit that fits."""
    sizes = [0, 999, 1000, 99_940, 999_900, 1_500_000_000, 5 * 10**15]
    assert [size_text(size) for size in sizes] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "99.9 kB",
        "1.0 MB",
        "1.5 GB",
        "5000.0 TB",
    ]
    times = [0.0421, 12.3, 185, 7800]
    assert [time_text(each) for each in times] == ["0.042 s", "12 s", "3 min 05 s", "2 h 10 min"]
