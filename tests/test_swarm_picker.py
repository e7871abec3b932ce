"""Which pieces are asked for next."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.limits import REQUEST_BYTES_MAX
from common.merkle import piece_count, piece_size_bytes
from leaf.swarm.picker import RANDOM_FIRST, SPANS_MAX, Picker
from leaf.swarm.pieces import Pieces, State

MIB = 1024 * 1024


@given(
    size=st.integers(1, 40 * MIB),
    seed=st.integers(0, 99),
    request_bytes=st.integers(0, 2 * REQUEST_BYTES_MAX),
)
def test_every_piece_is_chosen_once(size: int, seed: int, request_bytes: int) -> None:
    """Runs cover the file without overlap: one piece, or no longer than a request is to be."""
    pieces, picker = Pieces(bytes(piece_count(size))), Picker(size, Random(seed))
    while run := picker.choose(pieces, None, request_bytes):
        first, count = run
        length = count * piece_size_bytes(size)
        assert count == 1 or length <= min(request_bytes, REQUEST_BYTES_MAX)
        for piece in range(first, first + count):
            pieces.ask(piece, b"p")
    assert pieces.count(State.ASKED) == len(pieces)


@given(marks=st.lists(st.booleans(), min_size=70, max_size=70), seed=st.integers(0, 99))
def test_only_what_the_source_has(marks: list[bool], seed: int) -> None:
    """Of a partial source exactly its pieces are asked for."""
    size = 70 * 16384
    pieces, picker = Pieces(bytes(70)), Picker(size, Random(seed))
    has = bytearray(marks)
    picker.source_came(has)
    while run := picker.choose(pieces, has):
        for piece in range(run[0], run[0] + run[1]):
            pieces.ask(piece, b"p")
    assert [pieces.state(n) is State.ASKED for n in range(70)] == marks


def test_the_rarest_comes_first() -> None:
    """After the first few, what the fewest partial sources have is asked for before the rest."""
    size = 20 * MIB
    count = piece_count(size)
    per_request = REQUEST_BYTES_MAX // piece_size_bytes(size)
    pieces, picker = Pieces(bytes(count)), Picker(size, Random(1))
    for _ in range(RANDOM_FIRST):
        first, length = picker.choose(pieces, None) or (0, 0)
        for piece in range(first, first + length):
            pieces.ask(piece, b"p")
    rare = pieces.first_missing(count // 2, count) // per_request
    common = bytearray(b"\1" * count)
    common[rare * per_request : (rare + 1) * per_request] = bytes(per_request)
    picker.source_came(common)
    assert picker.choose(pieces, None) == (rare * per_request, per_request)
    picker.source_left(common)


def test_what_is_given_back_is_chosen_again() -> None:
    """A span that was used up opens again."""
    pieces, picker = Pieces(bytes(1)), Picker(100, Random(1))
    assert picker.choose(pieces, None) == (0, 1)
    pieces.ask(0, b"p")
    assert picker.choose(pieces, None) is None
    pieces.give_back(0, b"p")
    picker.reopen(0)
    assert picker.choose(pieces, None) == (0, 1)


def test_the_largest_file_has_few_spans() -> None:
    """A file of 2**40 bytes costs no more choices than the limit."""
    picker = Picker(2**40, Random(1))
    assert len(picker._weights) <= SPANS_MAX
